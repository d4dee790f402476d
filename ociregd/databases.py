"""
From the settings to the database that they mean.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence

import psycopg2
from attrs import field, frozen

from ociregd.databaseurl import SQLITE
from ociregd.errors import RegistryError
from ociregd.settings import Settings
from ociregd.storage.migrations import Migration, SchemaTooNew, migrations
from ociregd.storage.postgres_schema import DatabaseUnsuitable, PostgresSchema
from ociregd.storage.sqlite_schema import SqliteSchema

#: What may be wrong with a database that somebody wants to use.
PROBLEMS = (
    DatabaseUnsuitable,
    OSError,
    RegistryError,
    SchemaTooNew,
    psycopg2.Error,
    sqlite3.Error,
)


class DatabaseUnusable(Exception):
    """The database cannot be used. The text, of one line, says which and why."""


@frozen
class Schema:
    """
    What the tables of the configured database are, and what this program wants them to be.

    All of this blocks.
    """

    _database: PostgresSchema | SqliteSchema
    _wanted: Sequence[Migration] = field(factory=migrations)

    @property
    def wanted(self) -> int:
        """The number of the schema that this program works with."""
        return self._wanted[-1].number

    def version(self) -> int:
        """
        The number of the schema that the database has, or 0; changes nothing.

        @raise DatabaseUnusable: if that cannot be found out.
        """
        return self._asked(self._database.version)

    def migrate(self) -> int:
        """
        Bring the database to this program's schema.

        @return: the number of the schema that the database has now.
        @raise DatabaseUnusable: if that cannot be; then it is as it was.
        """
        return self._asked(lambda: self._database.migrate(self._wanted))

    def __str__(self) -> str:
        return str(self._database)

    def _asked(self, question: Callable[[], int]) -> int:
        try:
            return question()
        except PROBLEMS as problem:
            raise DatabaseUnusable(f"{self._database}: {reason(problem)}") from problem


def schema_for(settings: Settings) -> Schema:
    """The schema of the database that the settings mean."""
    metadata = settings.metadata
    if metadata.database == SQLITE:
        return Schema(SqliteSchema(sqlite_path(settings)))
    return Schema(PostgresSchema(metadata.database, metadata.connect_timeout))


def sqlite_path(settings: Settings) -> str:
    """Where the database is, if it is SQLite."""
    return os.path.join(settings.storage.root, "metadata.sqlite3")


def reason(problem: Exception) -> str:
    """What is wrong, in one line."""
    text = str(problem)
    if isinstance(problem, psycopg2.Error) and problem.diag.message_primary:
        # Without the statement, and the arrow below it.
        text = problem.diag.message_primary
    elif isinstance(problem, OSError) and problem.filename:
        text = f"{problem.filename}: {problem.strerror}"
    return " ".join(text.split())
