"""
Tests for L{ociregd.storage.blocking}, and for the cursor of PostgreSQL that is run by it.
"""

from __future__ import annotations

from contextlib import closing
from itertools import count
from typing import Any, ClassVar

import psycopg2
import pytest
from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from ociregd.storage.blocking import run_to_end
from ociregd.storage.postgres_schema import BlockingCursor
from ociregd.storage.reading import ReadingCursor
from ociregd.transactions import ICursor, IDatabase, Interaction

from ..contracts.cursor import CursorContract
from ..postgres import PostgresServer
from ..workers import AtOnce


@implementer(IDatabase)
@frozen
class Blocking:
    """A database that runs each interaction to its end."""

    _url: str

    async def transact(self, interaction: Interaction[Any], *args: object) -> Any:
        with closing(psycopg2.connect(self._url)) as connection, connection:
            return run_to_end(interaction, BlockingCursor(connection.cursor()), args)

    async def read(self, interaction: Interaction[Any], *args: object) -> Any:
        async def reading(cursor: ICursor) -> Any:
            return await interaction(ReadingCursor(cursor), *args)

        return await self.transact(reading)


class BlockingCursorTests(AtOnce, CursorContract, SynchronousTestCase):
    """What a migration talks to in PostgreSQL."""

    server: PostgresServer
    _numbers: ClassVar[count[int]] = count()

    @pytest.fixture(autouse=True)
    def _on(self, postgres_server: PostgresServer) -> None:
        self.server = postgres_server

    def make_database(self) -> IDatabase:
        name = f"blocking{next(self._numbers)}"
        url = self.server.create_database(name)
        self.addCleanup(self.server.drop_database, name)
        database: IDatabase = Blocking(url)
        return database


class Waited(Exception):
    """What an interaction of these tests may raise."""


def test_runs_to_the_end() -> None:
    """What an interaction returns or raises comes of running it, with its cursor and arguments."""

    async def give_back(*args: object) -> object:
        return args

    async def fail(cursor: object) -> None:
        raise Waited

    cursor: Any = object()
    assert run_to_end(give_back, cursor, (1, "a")) == (cursor, 1, "a")
    with pytest.raises(Waited):
        run_to_end(fail, cursor, ())


def test_whoever_waits_is_stopped() -> None:
    """An interaction that waits for anything but its cursor is a mistake; it is ended there."""
    ended = []

    async def wait(cursor: object) -> None:
        try:
            await Deferred()
        finally:
            ended.append(True)

    cursor: Any = object()
    with pytest.raises(RuntimeError, match="waited for something other than its cursor"):
        run_to_end(wait, cursor, ())
    assert ended == [True]
