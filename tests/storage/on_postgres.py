"""
Databases in PostgreSQL, for tests.
"""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from itertools import count
from typing import Any, ClassVar

import pytest
from twisted.internet.defer import Deferred

from ociregd.interfaces import InThread
from ociregd.storage.pool import ConnectionPool, PoolLimits
from ociregd.storage.postgres import PostgresDatabase
from ociregd.transactions import IDatabase

from ..postgres import PostgresServer
from ..turning import TurnedReactor
from ..workers import AtOnce


class OnPostgres(AtOnce):
    """
    Mixed into a test case: a database in PostgreSQL, and work that waits for its sockets.

    @ivar server: shared with all other tests.
    @ivar url: where the database of this test is.
    @cvar limits: of each pool of connections.
    """

    in_thread: InThread
    limits: ClassVar[PoolLimits] = PoolLimits()
    _numbers: ClassVar[count[int]] = count()

    @pytest.fixture(autouse=True)
    def _around(
        self,
        postgres_server: PostgresServer,
        postgres_template: str,
        turned_reactor: TurnedReactor,
    ) -> Iterator[None]:
        self.server, self.reactor, self._template = (
            postgres_server,
            turned_reactor,
            postgres_template,
        )
        self._begun: set[Deferred[Any]] = set()
        yield
        assert turned_reactor.left_behind() == []

    def begin(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        """Go as far as is possible without the server's answer."""
        outcome = super().begin(work)

        def ended(result: object) -> object:
            self._begun.discard(outcome)
            return result

        self._begun.add(outcome)
        return outcome.addBoth(ended)

    def perform_all(self) -> None:
        """Let the server answer until all that was begun has ended."""
        self.reactor.turn_until(lambda: not self._begun)

    def make_database(self: Any) -> PostgresDatabase:
        name = f"test{next(self._numbers)}"
        self.url = self.server.copy_database(name, self._template)
        self.addCleanup(self.server.drop_database, name)
        self.opened = self.open()
        opened: PostgresDatabase = self.opened
        return opened

    def make_reopened(self: Any) -> IDatabase:
        self.result_of(self.opened.close())
        self.opened = self.open()
        opened: IDatabase = self.opened
        return opened

    def open(self: Any) -> PostgresDatabase:
        """Another engine on the same database, as another process has it."""
        pool = ConnectionPool(
            dsn=self.url, limits=self.limits, reactor=self.reactor, in_thread=self.in_thread
        )
        database = PostgresDatabase(pool)
        database.open()
        self.addCleanup(lambda: self.result_of(database.close()))
        return database
