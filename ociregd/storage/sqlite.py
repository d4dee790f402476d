"""
Metadata in SQLite: nothing to set up, one writer, any number of readers.

An interaction is a coroutine, but here its cursor never waits: it runs whole in one trip to a
thread. Transactions that come while one is being committed share the next commit, each in a
savepoint of its own, so that the disk is waited for once and not once for each.
"""

from __future__ import annotations

import errno
import os
import re
import sqlite3
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from zope.interface import implementer

from ociregd.errors import StorageFull, StorageReadOnly, TooManyRequests
from ociregd.interfaces import InThread
from ociregd.storage.blocking import run_to_end
from ociregd.storage.migrations import Migration, migrate
from ociregd.storage.reading import ReadingCursor
from ociregd.transactions import ICursor, IDatabase, Interaction

T = TypeVar("T")

#: How long a transaction waits for another process.
BUSY_SECONDS = 30.0

#: Transactions that share one commit, at most.
BATCH = 64

REFUSALS: dict[int, Callable[[], Exception]] = {
    sqlite3.SQLITE_FULL: lambda: StorageFull("the storage of the registry's database is full"),
    sqlite3.SQLITE_BUSY: lambda: TooManyRequests("another process keeps the database locked"),
    sqlite3.SQLITE_READONLY: lambda: StorageReadOnly("the registry's database takes no writes"),
    # A full file system can also show when the shared memory of the log is made.
    sqlite3.SQLITE_IOERR_SHMSIZE: lambda: StorageFull("the storage of the database is full"),
}

#: What SQLite says of open files on a file system that becomes read-only; it does not say why.
UNEXPLAINED = frozenset({sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN})


def takes_no_writes(directory: str) -> bool:
    """
    Whether a file system has become read-only; found out with a file that has no name.

    Trying is the only way: a file system that went read-only after an error may not say so.
    """
    try:
        os.close(os.open(directory, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, 0o600))
    except OSError as problem:
        return problem.errno == errno.EROFS
    return False


def refusal_for(problem: sqlite3.Error, path: str) -> Exception:
    """What a client is told: a refusal if the error is one that passes, else the error."""
    code = getattr(problem, "sqlite_errorcode", 0)
    refusal = REFUSALS.get(code) or REFUSALS.get(code & 0xFF)
    if refusal is None and code & 0xFF in UNEXPLAINED and takes_no_writes(os.path.dirname(path)):
        refusal = REFUSALS[sqlite3.SQLITE_READONLY]
    return refusal() if refusal is not None else problem


def concerns_all(problem: Exception) -> bool:
    """
    Whether an error is not the fault of one transaction: the storage is full, broken or read-only.
    """
    operational = isinstance(problem, sqlite3.OperationalError)
    return operational and getattr(problem, "sqlite_errorcode", 0) != sqlite3.SQLITE_ERROR


#: How rows are kept from change on an engine that has more than one writer at a time.
LOCKING = re.compile(r" FOR (UPDATE|SHARE)( OF [a-z_, ]+)?$")


@lru_cache(maxsize=256)
def without_locks(sql: str) -> str:
    """A statement as SQLite takes it: while one writes nobody else does."""
    return LOCKING.sub("", sql)


@implementer(ICursor)
@frozen
class SqliteCursor:
    """
    Statements on one connection. Nothing here ever suspends, so nothing is put off either.
    """

    _connection: sqlite3.Connection

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self._connection.execute(without_locks(sql), parameters).fetchall()

    async def change(self, sql: str, *parameters: object) -> int:
        return self._connection.execute(sql, parameters).rowcount

    async def later(self, sql: str, *parameters: object) -> None:
        await self.rows(sql, *parameters)

    async def expect(self, refusal: Exception, sql: str, *parameters: object) -> None:
        if not await self.rows(sql, *parameters):
            raise refusal

    async def answer(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.rows(sql, *parameters)


@frozen
class Job:
    """A transaction that waits for its turn."""

    interaction: Interaction[Any]
    args: tuple[object, ...]
    done: Deferred[Any] = field(factory=Deferred)


@implementer(IDatabase)
@define(eq=False)
class SqliteDatabase:
    """
    @ivar _readers: connections that no thread is using.
    """

    _path: str
    _in_thread: InThread
    _writer: sqlite3.Connection | None = field(default=None, init=False)
    _readers: list[sqlite3.Connection] = field(factory=list, init=False)
    _waiting: list[Job] = field(factory=list, init=False)
    _writing: bool = field(default=False, init=False)

    def open(self, wanted: Sequence[Migration]) -> None:
        """
        Open or make the database, and bring it to the newest schema; blocks.

        @raise SchemaTooNew: if a newer program has used it.
        @raise StorageFull: if there is no room for it.
        @raise sqlite3.Error: if it cannot be opened.
        """
        self._writer = writer = self._connect()
        # In write-ahead mode, NORMAL would lose transactions in a power cut that somebody was told
        # about; FULL syncs each commit.
        [mode] = writer.execute("PRAGMA journal_mode = WAL").fetchone()
        if mode != "wal":
            raise sqlite3.OperationalError(f"write-ahead mode is not possible here, only {mode}")
        writer.execute("PRAGMA synchronous = FULL")
        [outcome] = self._write([Job(migrate, (wanted,))])
        if isinstance(outcome, Failure):
            outcome.raiseException()

    def close(self) -> None:
        """Close all connections; blocks. Nothing may be under way."""
        for connection in self._readers:
            connection.close()
        self._readers.clear()
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def transact(self, interaction: Interaction[T], *args: object) -> T:
        job = Job(interaction, args)
        self._waiting.append(job)
        if not self._writing:
            self._write_next()
        result: T = await job.done
        return result

    async def read(self, interaction: Interaction[T], *args: object) -> T:
        result: T = await self._in_thread(self._read, interaction, args)
        return result

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )
        connection.execute("PRAGMA cache_size = -8192")
        return connection

    def _read(self, interaction: Interaction[Any], args: tuple[object, ...]) -> Any:
        """In the thread."""
        try:
            connection = self._readers.pop()
        except IndexError:
            connection = self._connect()
            connection.execute("PRAGMA query_only = 1")
        try:
            return run_to_end(interaction, ReadingCursor(SqliteCursor(connection)), args)
        except sqlite3.Error as problem:
            raise refusal_for(problem, self._path) from problem
        finally:
            self._readers.append(connection)

    def _write_next(self) -> None:
        jobs, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
        self._writing = True
        self._in_thread(self._write, jobs).addBoth(self._written, jobs)

    def _written(self, outcomes: list[object] | Failure, jobs: list[Job]) -> None:
        if self._waiting:
            self._write_next()
        else:
            self._writing = False
        if isinstance(outcomes, Failure):
            outcomes = [outcomes] * len(jobs)
        for job, outcome in zip(jobs, outcomes, strict=True):
            job.done.callback(outcome)

    def _write(self, jobs: list[Job]) -> list[object]:
        """In the thread: all jobs in one transaction; a result or a failure for each."""
        connection = self._writer
        assert connection is not None, "the database is not open"
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                outcomes = [self._outcome(connection, job) for job in jobs]
                connection.execute("COMMIT")
            except BaseException:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise
        except sqlite3.Error as problem:
            raise refusal_for(problem, self._path) from problem
        return outcomes

    def _outcome(self, connection: sqlite3.Connection, job: Job) -> object:
        connection.execute("SAVEPOINT job")
        try:
            result: object = run_to_end(job.interaction, SqliteCursor(connection), job.args)
        except Exception as problem:
            if concerns_all(problem):
                raise
            failure = Failure()
            connection.execute("ROLLBACK TO job")
            connection.execute("RELEASE job")
            return failure
        connection.execute("RELEASE job")
        return result
