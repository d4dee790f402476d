"""
Metadata in PostgreSQL: several processes, on several hosts, share one registry.

Statements that nobody waits for are sent together with the next one, and if an interaction waits
for none, all of it goes out as one query that is a transaction by itself: most take a single round
trip. Transactions see what was committed before each statement (READ COMMITTED), and lock the rows
that they rely on.
"""

from __future__ import annotations

import random
import re
from functools import lru_cache
from typing import Any, TypeVar

import psycopg2
import psycopg2.extensions
from attrs import define, field
from psycopg2 import errorcodes
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from zope.interface import implementer

from ociregd.errors import Overtaken, RegistryError, StorageFull, StorageReadOnly, Unavailable
from ociregd.storage.connection import PooledConnection, in_time
from ociregd.storage.pool import ConnectionPool
from ociregd.storage.quoting import quoted
from ociregd.storage.reading import ReadingCursor
from ociregd.threads import carried_through
from ociregd.transactions import ICursor, IDatabase, Interaction

T = TypeVar("T")

#: How often an interaction is run, at most, if others are in its way or the connection is lost.
ATTEMPTS = 8

#: Who was in the way is given this many seconds, and twice as many with each attempt.
STEP_ASIDE_SECONDS = 0.005

#: Bytes that are longer than this are written down in a thread.
LARGE_BYTES = 256 * 1024

#: The client library keeps the last statement, and as much memory again as the longest has taken:
#: after one that is longer than this, a connection is not used again.
BLOATING_BYTES = 1024 * 1024

#: The database has undone a transaction that met another one.
COLLISIONS = frozenset({errorcodes.SERIALIZATION_FAILURE, errorcodes.DEADLOCK_DETECTED})

#: What passes, or is the operator's to change: by code, or by the class of codes.
REFUSALS = {
    errorcodes.DISK_FULL: lambda: StorageFull("the storage of the registry's database is full"),
    errorcodes.READ_ONLY_SQL_TRANSACTION: lambda: StorageReadOnly(
        "the registry's database takes no writes"
    ),
    errorcodes.CLASS_INSUFFICIENT_RESOURCES: lambda: Unavailable(
        "the registry's database has too little of something"
    ),
    errorcodes.CLASS_CONNECTION_EXCEPTION: lambda: Unavailable(
        "the registry's database does not answer"
    ),
    errorcodes.CLASS_OPERATOR_INTERVENTION: lambda: Unavailable(
        "the registry's database is about to stop"
    ),
    errorcodes.LOCK_NOT_AVAILABLE: lambda: Unavailable("others keep the registry's database busy"),
}

# What is expected is a sentence in a number's place if it was not found: the server refuses to read
# it, says so, and undoes the transaction, without another question to it and in any language.
EXPECTATION = (
    "WITH found AS ({sql}) SELECT CASE WHEN count(*) = 0"
    " THEN CAST('unmet-' || count(*) || '-{number}' AS integer) END FROM found"
)

UNMET = re.compile("unmet-0-([0-9]+)")


class Again(Exception):
    """
    The transaction was not done, through no fault of its own.
    """


@lru_cache(maxsize=256)
def translated(sql: str) -> str:
    """A statement in the words of the client library."""
    return sql.replace("%", "%%").replace("?", "%s")


@implementer(ICursor)
@define(eq=False)
class PostgresCursor:
    """
    Statements of one transaction.

    @ivar _queued: what goes out with the next statement.
    @ivar _refusals: what each expectation raises if it is not met, by its number.
    @ivar ending: whether the end of the transaction has been sent.
    @ivar _large: whether it is one of the few transactions that may have large values.
    """

    _pool: ConnectionPool
    _connection: PooledConnection
    _queued: list[bytes] = field(factory=list, init=False)
    _refusals: list[Exception] = field(factory=list, init=False)
    _begun: bool = field(default=False, init=False)
    ending: bool = field(default=False, init=False)
    _large: bool = field(default=False, init=False)

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        self._begin()
        await self._send(sql, parameters)
        return self._found()

    async def change(self, sql: str, *parameters: object) -> int:
        self._begin()
        await self._send(sql, parameters)
        return int(self._connection.statement.rowcount)

    async def later(self, sql: str, *parameters: object) -> None:
        self._queued.append(await self._written(sql, parameters))

    async def expect(self, refusal: Exception, sql: str, *parameters: object) -> None:
        wrapped = EXPECTATION.format(sql=sql, number=len(self._refusals))
        self._queued.append(await self._written(wrapped, parameters))
        self._refusals.append(refusal)

    async def answer(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        if self._begun:
            # The commit has an answer of its own, so this one has to come before it.
            return await self.rows(sql, *parameters)
        self.ending = not self.is_lost
        await self._send(sql, parameters)
        return self._found()

    async def commit(self) -> None:
        """End the transaction, with all that was put off."""
        if self._begun:
            self._queued.append(b"COMMIT")
        if self._queued:
            self.ending = not self.is_lost
            await self._flush()

    async def end(self) -> None:
        """End it: undo the transaction, if there is one on the server."""
        self._queued.clear()
        if self._large:
            self._large = False
            self._pool.large.release()
        if self._connection.get_transaction_status() in (
            psycopg2.extensions.TRANSACTION_STATUS_INTRANS,
            psycopg2.extensions.TRANSACTION_STATUS_INERROR,
        ):
            self._queued.append(b"ROLLBACK")
            await self._flush()

    @property
    def is_lost(self) -> bool:
        """Whether there is no connection any more."""
        return bool(self._connection.closed)

    def refusal_for(self, problem: psycopg2.Error) -> Exception | None:
        """What an interaction is told if an expectation is the cause of an error."""
        unmet = UNMET.search(str(problem))
        if problem.pgcode == errorcodes.INVALID_TEXT_REPRESENTATION and unmet:
            return self._refusals[int(unmet[1])]
        return None

    def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            self._queued.insert(0, b"BEGIN")

    async def _written(self, sql: str, parameters: tuple[object, ...]) -> bytes:
        values = [
            await self._large_value(value)
            if isinstance(value, bytes) and len(value) > LARGE_BYTES
            else value
            for value in parameters
        ]
        written: bytes = self._connection.statement.mogrify(translated(sql), values)
        return written

    async def _large_value(self, value: bytes) -> object:
        if not self._large:
            await self._pool.large.acquire()
            self._large = True
        return await self._pool.in_thread(quoted, value)

    async def _send(self, sql: str, parameters: tuple[object, ...]) -> None:
        self._queued.append(await self._written(sql, parameters))
        await self._flush()

    async def _flush(self) -> None:
        query = b";".join(self._queued)
        self._queued.clear()
        if len(query) > BLOATING_BYTES:
            self._connection.bloated = True
        limits = self._pool.limits
        sending = self._connection.execute(query)
        seconds = limits.statement_seconds + limits.connect_seconds
        await in_time(self._pool.reactor, seconds, self._connection, sending)

    def _found(self) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._connection.statement.fetchall()
        return found


@implementer(IDatabase)
@define(eq=False)
class PostgresDatabase:
    """
    Transactions on the connections of a pool.

    @ivar _open: whether the tables are known to be there, and as this program wants them.
    """

    _pool: ConnectionPool
    _open: bool = field(default=False, init=False)

    def open(self) -> None:
        """Say that the database can be used."""
        self._open = True

    async def transact(self, interaction: Interaction[T], *args: object) -> T:
        return await self._persist(self._transaction, interaction, args)

    async def read(self, interaction: Interaction[T], *args: object) -> T:
        return await self._persist(self._reading, interaction, args)

    async def close(self) -> None:
        """Close all connections, when what is under way is done."""
        await self._pool.close()

    async def _persist(self, attempt: Any, interaction: Interaction[T], args: Any) -> T:
        """Try until it is done, refused, or others have been in the way too often."""
        if not self._open:
            raise Unavailable("the registry's database has not answered yet")
        for number in range(ATTEMPTS):
            connection = await self._pool.take()
            # Whose client goes is not waited for, but a connection has to come to an end of its
            # transaction before somebody else has it.
            work = Deferred.fromCoroutine(self._attempt(attempt, connection, interaction, args))
            try:
                result: T = await carried_through(work, expected=[RegistryError, Overtaken, Again])
                return result
            except Again:
                aside = STEP_ASIDE_SECONDS * 2**number * random.uniform(0.5, 1.5)
                await deferLater(self._pool.reactor, aside)
        raise Unavailable("others kept getting in the way of this; try again")

    async def _attempt(
        self,
        attempt: Any,
        connection: PooledConnection,
        interaction: Interaction[T],
        args: tuple[object, ...],
    ) -> T:
        cursor = PostgresCursor(self._pool, connection)
        try:
            result: T = await attempt(cursor, interaction, args)
            return result
        except psycopg2.Error as problem:
            refusal = explained(problem, cursor)
            if refusal is None:
                raise
            raise refusal from problem
        finally:
            try:
                await cursor.end()
            except (psycopg2.Error, Unavailable):
                # The connection is lost, and its transaction with it.
                connection.close()
            finally:
                self._pool.give_back(connection)

    async def _transaction(
        self, cursor: PostgresCursor, interaction: Interaction[T], args: tuple[object, ...]
    ) -> T:
        result = await interaction(cursor, *args)
        await cursor.commit()
        return result

    async def _reading(
        self, cursor: PostgresCursor, interaction: Interaction[T], args: tuple[object, ...]
    ) -> T:
        try:
            return await interaction(ReadingCursor(cursor), *args)
        finally:
            # Whatever happens, nothing has been done that could not be done again.
            cursor.ending = False


def explained(problem: psycopg2.Error, cursor: PostgresCursor) -> Exception | None:
    """
    What an error of the database means to whoever asked; nothing if it is a mistake of ours.
    """
    if (unmet := cursor.refusal_for(problem)) is not None:
        return unmet
    if problem.pgcode in COLLISIONS:
        return Again(str(problem))
    if cursor.is_lost:
        if cursor.ending:
            return Unavailable("the registry's database went away; this may have been done, or not")
        return Again(str(problem))
    code = problem.pgcode or ""
    refusal = REFUSALS.get(code) or REFUSALS.get(code[:2])
    return refusal() if refusal is not None else None
