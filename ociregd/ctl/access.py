"""
C{ociregctl access}: what the rules come to.
"""

from __future__ import annotations

import json

import click

from ociregd.access.htpasswd import HtpasswdInvalid, read_users
from ociregd.access.rules import ANONYMOUS, Action
from ociregd.ctl.choice import Choice
from ociregd.errors import NameInvalid
from ociregd.oci.names import RepositoryName


@click.group()
def access() -> None:
    """
    Who may do what.
    """


@access.command()
@click.argument("user")
@click.argument("action", type=click.Choice([action.value for action in Action]))
@click.argument("repository")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def explain(choice: Choice, user: str, action: str, repository: str, as_json: bool) -> None:
    """
    Tell whether a user may do something, and which rule says so.

    USER is a name, or anonymous for who does not log in. The exit status is 0 only if it is
    allowed.
    """
    try:
        name = RepositoryName.parse(repository)
    except NameInvalid as problem:
        raise click.BadParameter(str(problem)) from None
    configuration = choice.configuration()
    settings = configuration.settings.access
    rule = line = None
    if settings is None:
        allowed, reason = True, "there is no [access], so that everybody may do everything"
    elif user != ANONYMOUS and user not in users(settings.htpasswd):
        allowed, reason = False, f"there is no user {user}"
    else:
        caller = settings.rules.caller(None if user == ANONYMOUS else user)
        rule = caller.rule_for(Action(action), name)
        allowed, reason = rule is not None, "no rule allows it"
        if rule is not None:
            line = rule.line
            reason = f'{configuration.path}: line {line}: repositories = "{rule.repositories}"'
    if as_json:
        found = {"file": configuration.path, "line": line} if rule is not None else None
        click.echo(json.dumps({"allowed": allowed, "reason": reason, "rule": found}))
    else:
        may = "may" if allowed else "may not"
        click.echo(f"{user} {may} {action} {name}: {reason}")
    if not allowed:
        raise SystemExit(1)


def users(htpasswd: str | None) -> set[str]:
    """The users that can log in."""
    try:
        return set(read_users(htpasswd)) if htpasswd is not None else set()
    except HtpasswdInvalid as problem:
        raise click.ClickException(str(problem)) from None
