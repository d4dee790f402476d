"""
Tests for L{ociregd.storage.migrations}.
"""

from __future__ import annotations

import sqlite3
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from ociregd.storage.migrations import Migration, SchemaTooNew, migrations
from ociregd.storage.sqlite import SqliteDatabase
from ociregd.transactions import ICursor

from ..workers import AtOnce
from .places import temporary

FRUIT = Migration(1, ["CREATE TABLE fruit (name TEXT)", "INSERT INTO fruit VALUES ('apple')"])
MORE = Migration(2, ["INSERT INTO fruit VALUES ('pear')"])
WRONG = Migration(2, ["INSERT INTO fruit VALUES ('plum')", "INSERT INTO vegetable VALUES ('leek')"])


async def all_fruit(cursor: ICursor) -> list[Any]:
    """What there is."""
    return [name for (name,) in await cursor.rows("SELECT name FROM fruit")]


class MigrationTests(AtOnce, SynchronousTestCase):
    """From one schema to the next."""

    def setUp(self) -> None:
        self.path = str(temporary(self) / "metadata.sqlite3")

    def fruit_after(self, *wanted: Migration) -> list[Any]:
        """What is in the database when it has been opened with these."""
        database = SqliteDatabase(self.path, self.in_thread)
        self.addCleanup(database.close)
        database.open(wanted)
        fruit: list[Any] = self.result_of(database.read(all_fruit))
        return fruit

    def test_each_is_applied_once(self) -> None:
        """Opening a database applies what it lacks, and nothing twice."""
        assert self.fruit_after(FRUIT) == ["apple"]
        assert self.fruit_after(FRUIT) == ["apple"]
        assert self.fruit_after(FRUIT, MORE) == ["apple", "pear"]

    def test_all_at_once(self) -> None:
        """A new database gets all of them, in order."""
        assert self.fruit_after(FRUIT, MORE) == ["apple", "pear"]

    def test_all_or_nothing(self) -> None:
        """A migration that fails leaves the database as it was."""
        self.fruit_after(FRUIT)
        self.assertRaises(sqlite3.Error, self.fruit_after, FRUIT, WRONG)
        assert self.fruit_after(FRUIT) == ["apple"]

    def test_a_newer_database(self) -> None:
        """A database that a newer program has used is refused, and stays as it was."""
        self.fruit_after(FRUIT, MORE)
        told = self.assertRaises(SchemaTooNew, self.fruit_after, FRUIT)
        assert "has schema 2" in str(told)
        assert self.fruit_after(FRUIT, MORE) == ["apple", "pear"]


def test_the_files_of_the_package() -> None:
    """The schema files are numbered from 1 without a gap, and none is empty."""
    found = migrations()
    assert [migration.number for migration in found] == list(range(1, len(found) + 1))
    assert all(migration.statements for migration in found)
