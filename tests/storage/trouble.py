"""
What tests need that make trouble for a database in PostgreSQL.
"""

from __future__ import annotations

from typing import Any, cast

from attrs import evolve
from twisted.internet.defer import Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.failure import Failure

from ociregd.storage.connection import PooledConnection
from ociregd.storage.pool import ConnectionPool, PoolLimits
from ociregd.storage.postgres import PostgresDatabase
from ociregd.transactions import ICursor

from ..contracts.database import begin_fruit
from .on_postgres import OnPostgres

#: Longer than anything takes that is not meant to take long.
LONG = 30.0

#: Two connections make most of the trouble that many can have.
LIMITS = PoolLimits(size=2, queue_seconds=LONG)


async def backend(cursor: ICursor) -> int:
    """Which process of the server is talked to."""
    [(pid,)] = await cursor.rows("SELECT pg_backend_pid()")
    return int(pid)


class TroubleCase(OnPostgres):
    """
    A database with a table C{fruit} that may be maltreated.

    @ivar said: what the operator was told, in lines that begin with the level.
    """

    limits = LIMITS

    def setUp(self: Any) -> None:
        super().setUp()
        self.said: list[str] = []
        observer = cast(ILogObserver, self._observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        database = self.make_database()
        self.result_of(database.transact(begin_fruit))
        self.result_of(database.close())
        [(self.name,)] = self.execute("SELECT current_database()")

    def _observe(self, event: LogEvent) -> None:
        level, ours = event["log_level"], event["log_namespace"].startswith("ociregd.")
        if level > LogLevel.warn or (ours and level > LogLevel.debug):
            self.said.append(f"{level.name}: {formatEvent(event)}")

    def execute(self: Any, sql: str) -> list[tuple[Any, ...]]:
        """Do something in the database as who may do anything."""
        name = self.url.partition("?")[0].rpartition("/")[2]
        found: list[tuple[Any, ...]] = self.server.execute(sql, name)
        return found

    def make_pool(self: Any, url: str = "", **limits: Any) -> ConnectionPool:
        """Connections that have nothing to do with those of others."""
        pool = ConnectionPool(
            dsn=url or self.url,
            limits=evolve(self.limits, **limits),
            reactor=self.reactor,
            in_thread=self.in_thread,
        )
        self.addCleanup(lambda: self.result_of(pool.close()))
        return pool

    def make(self, url: str = "", **limits: Any) -> tuple[PostgresDatabase, ConnectionPool]:
        """A database, and its connections."""
        pool = self.make_pool(url, **limits)
        database = PostgresDatabase(pool)
        database.open()
        return database, pool

    def take(self: Any, pool: ConnectionPool) -> PooledConnection:
        """A connection, which was to be had."""
        connection: PooledConnection = self.result_of(pool.take())
        return connection

    def take_many(self: Any, pool: ConnectionPool, count: int) -> list[PooledConnection]:
        """Several connections, which were to be had at the same time."""
        taken = [self.begin(pool.take()) for _ in range(count)]
        self.perform_all()
        return [self.successResultOf(one) for one in taken]

    def assert_whole(self: Any, pool: ConnectionPool) -> None:
        """Assert that all connections of a pool can be lent, and are in order."""
        taken = self.take_many(pool, pool.limits.size)
        assert len(set(taken)) == pool.limits.size
        assert all(connection.is_idle() for connection in taken)
        for connection in taken:
            pool.give_back(connection)

    def backends(self: Any, condition: str = "true") -> list[int]:
        """The processes of the server that work for this database."""
        found = self.server.execute(
            "SELECT pid FROM pg_stat_activity WHERE backend_type = 'client backend'"
            f" AND datname = '{self.name}' AND {condition} ORDER BY backend_start"
        )
        return [pid for (pid,) in found]

    def until_it_sleeps(self: Any, count: int = 1) -> None:
        """Let happen what happens, until the server is in so many statements that take long."""
        sleeping = "state = 'active' AND wait_event = 'PgSleep'"
        self.reactor.turn_until(lambda: len(self.backends(sleeping)) == count)

    def terminate(self: Any) -> None:
        """End all connections from the other side; they have ended when this returns."""
        self.server.execute(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity"
            f" WHERE backend_type = 'client backend' AND datname = '{self.name}'"
        )

    def ended(self: Any, outcome: Deferred[Any]) -> bool:
        """Whether there is an outcome already."""
        return outcome.called and not outcome.paused

    def outcome(self: Any, outcome: Deferred[Any]) -> Any:
        """What came of something, be it good or bad."""
        found: list[Any] = []
        outcome.addBoth(found.append)
        assert found, "there is no outcome yet"
        return found[0].value if isinstance(found[0], Failure) else found[0]
