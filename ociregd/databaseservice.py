"""
The configured database as a part of the daemon: how it starts and stops.
"""

from __future__ import annotations

import sqlite3
from typing import Any, ClassVar

import psycopg2
from attrs import define, field
from twisted.application.service import IService, Service
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.logger import Logger

from ociregd.databases import DatabaseUnusable, Schema, reason, schema_for, sqlite_path
from ociregd.databaseurl import SQLITE
from ociregd.errors import RegistryError
from ociregd.interfaces import InThread
from ociregd.settings import Metadata, Settings
from ociregd.storage.migrations import SchemaTooNew, migrations
from ociregd.storage.pool import ConnectionPool, PoolLimits
from ociregd.storage.postgres import PostgresDatabase
from ociregd.storage.sqlite import SqliteDatabase
from ociregd.threads import WorkerService
from ociregd.transactions import IDatabase

#: Threads for the database. SQLite has one that writes, the others read; PostgreSQL needs them to
#: look up its host.
DATABASE_THREADS = 4

#: Seconds between attempts to begin with a database that is away: at first, and at most.
FIRST_DELAY = 0.5
LAST_DELAY = 5.0


def database_for(settings: Settings, reactor: Any) -> tuple[IDatabase, list[IService]]:
    """
    The database that the settings mean, and what has to run for it, in the order of starting.
    """
    queries = WorkerService(reactor, "database", DATABASE_THREADS)
    metadata = settings.metadata
    if metadata.database == SQLITE:
        in_file = SqliteDatabase(sqlite_path(settings), queries.in_thread)
        return in_file, [SqliteService(in_file, sqlite_path(settings)), queries]
    limits = limits_of(metadata)
    pool = ConnectionPool(metadata.database, limits, reactor, queries.in_thread)
    on_server = PostgresDatabase(pool)
    schema = schema_for(settings)
    return on_server, [queries, PostgresService(on_server, schema, queries.in_thread, reactor)]


def limits_of(metadata: Metadata) -> PoolLimits:
    """What the settings say to the pool."""
    return PoolLimits(
        size=metadata.pool_size,
        queue_size=metadata.queue_size,
        queue_seconds=metadata.queue_timeout,
        connect_seconds=metadata.connect_timeout,
        statement_seconds=metadata.statement_timeout,
    )


class SqliteService(Service):
    """
    Opens the database and closes it.

    Both block, and may: the reactor does not run yet, or serves nobody any more.
    """

    def __init__(self, database: SqliteDatabase, path: str) -> None:
        self._database = database
        self._path = path

    def startService(self) -> None:
        super().startService()
        try:
            self._database.open(migrations())
        except (OSError, RegistryError, SchemaTooNew, sqlite3.Error) as problem:
            raise SystemExit(f"ociregd: cannot use {self._path}: {reason(problem)}") from None

    def stopService(self) -> None:
        super().stopService()
        self._database.close()


@define(eq=False)
class PostgresService(Service):
    """
    Brings the database to our schema, and lets it be asked then.

    A server that is away at the start is waited for; the registry answers meanwhile that it is not
    available. A database that is not for us ends the start instead.
    """

    _database: PostgresDatabase
    _schema: Schema
    _in_thread: InThread
    _clock: IReactorTime
    _waiting: Deferred[None] | None = field(default=None, init=False)
    _log: ClassVar[Logger] = Logger()

    def startService(self) -> None:
        super().startService()
        try:
            # This blocks, and may: the reactor does not run yet.
            self._schema.migrate()
        except DatabaseUnusable as problem:
            if not is_away(problem):
                raise SystemExit(f"ociregd: cannot use {problem}") from None
            self._waiting = Deferred.fromCoroutine(self._wait(problem))
            self._waiting.addErrback(self._stopped)
        else:
            self._database.open()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        if self._waiting is not None:
            self._waiting.cancel()
        return Deferred.fromCoroutine(self._database.close())

    async def _wait(self, problem: DatabaseUnusable) -> None:
        delay, said = FIRST_DELAY, ""
        while True:
            # Once, and not for every attempt.
            if str(problem) != said:
                said = str(problem)
                self._log.warn("cannot use {problem}; waiting for it", problem=problem)
            await deferLater(self._clock, delay)
            delay = min(delay * 2, LAST_DELAY)
            try:
                await self._in_thread(self._schema.migrate)
            except DatabaseUnusable as found:
                problem = found
            except CancelledError:
                raise
            except Exception:
                self._log.failure("cannot begin with the database")
            else:
                break
        self._database.open()
        self._log.info("the database answers: the registry is available")

    def _stopped(self, failure: Any) -> None:
        failure.trap(CancelledError)


def is_away(problem: DatabaseUnusable) -> bool:
    """Whether a database cannot be used because nobody answers, or not yet."""
    return isinstance(problem.__cause__, psycopg2.OperationalError)
