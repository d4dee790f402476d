"""
C{ociregctl user}: who can log in.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable, Sequence

import click

from ociregd.access.htpasswd import (
    HtpasswdInvalid,
    Line,
    PasswordInvalid,
    UserInvalid,
    check_user,
    hashed,
    read_lines,
)
from ociregd.ctl.choice import Choice, Misconfigured
from ociregd.ctl.htpasswd import change

LATER = "The daemon reads the file when it starts."

from_stdin = click.option(
    "--stdin", is_flag=True, help="Read the password from standard input instead of asking for it."
)


@click.group()
def user() -> None:
    """
    Users and their passwords, in the htpasswd file of the configuration.
    """


@user.command(epilog=LATER)
@click.argument("name")
@from_stdin
@click.pass_obj
def add(choice: Choice, name: str, stdin: bool) -> None:
    """
    Add a user.
    """
    try:
        check_user(name)
    except UserInvalid as problem:
        raise click.ClickException(str(problem)) from None
    path = htpasswd_of(choice)
    # Before a password is asked for in vain.
    if _is_there(_lines(path), name):
        raise click.ClickException(f"{name} is there already; see ociregctl user passwd")
    line = _line(name, stdin)

    def edit(lines: Sequence[Line]) -> Sequence[Line]:
        if _is_there(lines, name):
            raise click.ClickException(f"{name} is there already")
        return [*lines, line]

    _change(path, edit)
    click.echo(f"added {name}")


@user.command(epilog=LATER)
@click.argument("name")
@from_stdin
@click.pass_obj
def passwd(choice: Choice, name: str, stdin: bool) -> None:
    """
    Give a user another password.
    """
    path = htpasswd_of(choice)
    _expect(_lines(path), name)
    line = _line(name, stdin)

    def edit(lines: Sequence[Line]) -> Sequence[Line]:
        _expect(lines, name)
        return [line if one.user == name else one for one in lines]

    _change(path, edit)
    click.echo(f"{name} has another password")


@user.command(epilog=LATER)
@click.argument("name")
@click.pass_obj
def remove(choice: Choice, name: str) -> None:
    """
    Remove a user.
    """

    def edit(lines: Sequence[Line]) -> Sequence[Line]:
        _expect(lines, name)
        return [one for one in lines if one.user != name]

    _change(htpasswd_of(choice), edit)
    click.echo(f"removed {name}")


@user.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def list_(choice: Choice, as_json: bool) -> None:
    """
    List the users, and the groups that they are in.
    """
    configuration = choice.configuration()
    access = configuration.settings.access
    groups = access.rules.groups if access is not None else {}
    users = {
        line.user: sorted(name for name, members in groups.items() if line.user in members)
        for line in _lines(htpasswd_of(choice))
        if line.user is not None
    }
    if as_json:
        entries = [{"name": name, "groups": users[name]} for name in sorted(users)]
        click.echo(json.dumps({"users": entries}))
        return
    for name in sorted(users):
        click.echo("  ".join([name, *users[name]]))


def htpasswd_of(choice: Choice) -> str:
    """
    Where the users are.

    @raise Misconfigured: if the configuration does not say.
    """
    configuration = choice.configuration()
    access = configuration.settings.access
    if access is None or access.htpasswd is None:
        where = configuration.path or "the configuration"
        raise Misconfigured(f"{where}: name the file of the users as htpasswd in [access]")
    return access.htpasswd


def _lines(path: str) -> Sequence[Line]:
    try:
        return read_lines(path)
    except HtpasswdInvalid as problem:
        if problem.missing:
            return []
        raise click.ClickException(str(problem)) from None


def _is_there(lines: Sequence[Line], name: str) -> bool:
    return any(line.user == name for line in lines)


def _expect(lines: Sequence[Line], name: str) -> None:
    if not _is_there(lines, name):
        raise click.ClickException(f"there is no user {name}")


def _line(name: str, stdin: bool) -> Line:
    """
    Never from the command line, which everybody on the machine can read.
    """
    if stdin:
        password = sys.stdin.buffer.read().removesuffix(b"\n").removesuffix(b"\r")
    else:
        # Not at once: the terminal has to be told first to show again what is typed.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        asked = click.prompt("Password", hide_input=True, confirmation_prompt=True)
        password = asked.encode("utf-8", "surrogateescape")
    try:
        return Line(f"{name}:{hashed(password)}\n", name)
    except PasswordInvalid as problem:
        raise click.ClickException(str(problem)) from None


def _change(path: str, edit: Callable[[Sequence[Line]], Sequence[Line]]) -> None:
    try:
        change(path, edit)
    except HtpasswdInvalid as problem:
        raise click.ClickException(str(problem)) from None
    except OSError as problem:
        raise click.ClickException(f"{problem.filename or path}: {problem.strerror}") from None
