"""
What tests in several rooms share: one PostgreSQL, made when the first test asks for it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from ociregd.storage.migrations import migrations
from ociregd.storage.postgres_schema import PostgresSchema

from .postgres import PostgresServer, postgres
from .postgres_programs import which
from .turning import TurnedReactor


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which databases the tests use; a header would not be shown to who wants it short."""
    terminalreporter.write_line(f"databases: SQLite {sqlite3.sqlite_version}, {which()}")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for all tests that do not break it; each has databases of its own there."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="session")
def postgres_template(postgres_server: PostgresServer) -> str:
    """The name of a database that has the schema and no data, to be copied."""
    name = "original"
    PostgresSchema(postgres_server.create_database(name), 5.0).migrate(migrations())
    return name


@pytest.fixture(scope="session")
def turned_reactor() -> Iterator[TurnedReactor]:
    """A reactor for all tests that turn one: it takes descriptors, and forgets what is closed."""
    reactor = TurnedReactor()
    yield reactor
    reactor.close()
