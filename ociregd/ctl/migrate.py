"""
C{ociregctl migrate}: bring the database to the schema of this program, or tell whether it has it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

import click
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import provider

from ociregd.ctl.choice import Choice
from ociregd.databases import DatabaseUnusable, Schema, schema_for


@click.command()
@click.option("--check", is_flag=True, help="Change nothing: tell whether there is work to do.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_obj
def migrate(choice: Choice, check: bool, as_json: bool) -> None:
    """
    Bring the database to the schema of this program.

    The daemon does that too when it starts. Do it as the user that the daemon runs as, or with
    PostgreSQL as the owner of the database. With --check, the exit status is 0 only if the
    database has the schema of this program already.
    """
    schema = schema_for(choice.settings())
    try:
        with told_to_the_operator():
            found = schema.version()
            now = found if check else schema.migrate()
    except DatabaseUnusable as problem:
        raise click.ClickException(str(problem)) from None
    current = now == schema.wanted
    if as_json:
        click.echo(json.dumps({"schema": now, "wanted": schema.wanted, "current": current}))
    elif check:
        click.echo(f"the database has {named(found)}; this program wants {named(schema.wanted)}")
    elif found == now:
        click.echo(f"the database has {named(now)} already")
    else:
        click.echo(f"the database had {named(found)}; now it has {named(now)}")
    if not current:
        raise click.ClickException(what_to_do(found, schema))


def named(version: int) -> str:
    """Call a schema by its number."""
    return f"schema {version}" if version else "no schema"


def what_to_do(found: int, schema: Schema) -> str:
    """Say how database and program come together."""
    if found > schema.wanted:
        return f"{schema} is newer than this program: install a newer ociregd"
    return f"{schema} is not up to date: run ociregctl migrate"


@contextmanager
def told_to_the_operator() -> Iterator[None]:
    """Print what is logged meanwhile beside the result."""

    @provider(ILogObserver)
    def tell(event: LogEvent) -> None:
        if event["log_level"] >= LogLevel.info:
            click.echo(formatEvent(event), err=True)

    globalLogPublisher.addObserver(tell)
    try:
        yield
    finally:
        globalLogPublisher.removeObserver(tell)
