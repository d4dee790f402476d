"""
A bounded pool of PostgreSQL connections, and the queue before it.

Connections are opened when they are needed, and those whose backend has died are replaced. While
the database is away requests wait in the queue, and are told so when their time is up: a restart of
the database that is over sooner is seen by nobody.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Any, ClassVar

import psycopg2.extensions
from attrs import define, field, frozen
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from ociregd.errors import Unavailable
from ociregd.interfaces import InThread
from ociregd.storage.connection import PooledConnection, in_time
from ociregd.storage.hosts import beginning_with, heeding_silence, resolved

#: Between attempts to connect, in seconds: at first, and at most.
FIRST_DELAY = 0.1
LAST_DELAY = 1.0

#: A large value is in memory several times over on its way: sixteen clients that pushed manifests
#: of 4 MiB at a time took 700 MiB.
LARGE_AT_ONCE = 2

#: What every connection is told first. A server that is set to acknowledge commits which are not on
#: disk yet is told otherwise; stricter settings of its own stay. What a backslash means in a string
#: is never changed: the client library has asked already, and writes values accordingly.
SESSION = (
    b"SET statement_timeout = %d;"
    b" SET idle_in_transaction_session_timeout = %d;"
    b" SET default_transaction_isolation = 'read committed';"
    b" SELECT set_config('synchronous_commit', 'on', false)"
    b" WHERE current_setting('synchronous_commit') = 'off'"
)


@frozen
class PoolLimits:
    """
    How much the database is asked at once, and how long for.

    @ivar size: connections, at most.
    @ivar queue_size: requests that wait for a connection, at most.
    @ivar queue_seconds: how long each of them waits, at most.
    @ivar connect_seconds: how long an attempt to connect may take, how long the network may take to
        bring what is sent to the server, and how long a statement may go unanswered after its time:
        then it is the server or the network that is gone.
    @ivar statement_seconds: how long a statement may take.
    """

    size: int = 10
    queue_size: int = 1000
    queue_seconds: float = 10.0
    connect_seconds: float = 5.0
    statement_seconds: float = 30.0


@define(eq=False)
class ConnectionPool:
    """
    Lends connections, one to a transaction.

    @ivar large: who has large values takes it before they are written down, whichever connection
        they go out on.
    @ivar _waiting: who waits for a connection, the first first.
    @ivar _delay: seconds until the next attempt to connect, if this one fails.
    @ivar _retry: the next attempt, after one has failed.
    @ivar _away: whether the last attempt to connect has failed.
    @ivar _first: which of the hosts is tried first.
    """

    dsn: str = field(repr=False)
    limits: PoolLimits
    reactor: Any
    in_thread: InThread
    large: DeferredSemaphore = field(factory=partial(DeferredSemaphore, LARGE_AT_ONCE), init=False)
    _idle: list[PooledConnection] = field(factory=list, init=False)
    _lent: set[PooledConnection] = field(factory=set, init=False)
    _connecting: int = field(default=0, init=False)
    _waiting: deque[Deferred[PooledConnection]] = field(factory=deque, init=False)
    _delay: float = field(default=FIRST_DELAY, init=False)
    _retry: IDelayedCall | None = field(default=None, init=False)
    _away: bool = field(default=False, init=False)
    _first: int = field(default=0, init=False)
    _closed: bool = field(default=False, init=False)
    _all_back: Deferred[None] | None = field(default=None, init=False)
    _log: ClassVar[Logger] = Logger()

    async def take(self) -> PooledConnection:
        """
        A connection that nobody else uses; it has to be given back.

        @raise Unavailable: if none was to be had in time, or too many wait already.
        """
        if self._closed:
            raise Unavailable("the registry is about to stop")
        if not self._waiting:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_alive():
                    self._lent.add(connection)
                    return connection
                connection.close()
        if len(self._waiting) >= self.limits.queue_size:
            raise Unavailable("too many requests wait for the registry's database")
        return await self._queued()

    def give_back(self, connection: PooledConnection) -> None:
        """
        Lend it to the next, unless it is of no use any more.
        """
        self._lent.discard(connection)
        if self._closed or connection.bloated or not connection.is_idle():
            connection.close()
            # They hold each other, and the last statement, until somebody collects garbage.
            connection.statement = None
        elif self._waiting:
            self._lend(connection)
        else:
            # So its end is noticed.
            self.reactor.addReader(connection)
            self._idle.append(connection)
        self._connect_more()
        self._tell_if_all_are_back()

    async def close(self) -> None:
        """
        Close all connections: those in use when they are given back, or when that takes long. May
        be called twice.
        """
        self._closed = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        while self._waiting:
            self._waiting.popleft().errback(Unavailable("the registry is about to stop"))
        while self._idle:
            self._idle.pop().close()
        if self._lent or self._connecting:
            timer = self.reactor.callLater(self.limits.connect_seconds, self._cut_off)
            if self._all_back is None:
                self._all_back = Deferred()
            await self._all_back
            if timer.active():
                timer.cancel()

    async def _queued(self) -> PooledConnection:
        waiting: Deferred[PooledConnection] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        timer = self.reactor.callLater(self.limits.queue_seconds, self._give_up, waiting)
        self._connect_more()
        try:
            return await waiting
        finally:
            if timer.active():
                timer.cancel()

    def _give_up(self, waiting: Deferred[PooledConnection]) -> None:
        self._waiting.remove(waiting)
        reason = "does not answer" if self._away and not self._lent else "has too much to do"
        waiting.errback(Unavailable(f"the registry's database {reason} at present"))

    def _cut_off(self) -> None:
        """Whoever still waits for an answer of the server waits no longer."""
        for connection in list(self._lent):
            connection.close()

    def _lend(self, connection: PooledConnection) -> None:
        self._lent.add(connection)
        self._waiting.popleft().callback(connection)

    def _connect_more(self) -> None:
        """Open connections for those who wait, as many as there may be."""
        while (
            self._retry is None
            and self._connecting < len(self._waiting)
            and self._connecting + len(self._lent) < self.limits.size
        ):
            self._connecting += 1
            connecting = Deferred.fromCoroutine(self._connect())
            connecting.addCallbacks(self._connected, self._failed)

    def _connected(self, connection: PooledConnection) -> None:
        self._connecting -= 1
        self._delay = FIRST_DELAY
        if self._away:
            self._away = False
            self._log.info("the database answers again")
        self.give_back(connection)

    def _failed(self, failure: Any) -> None:
        self._connecting -= 1
        if not self._away:
            # Once, and not for every attempt.
            self._away = True
            problem = " ".join(failure.getErrorMessage().split()) or failure.type.__name__
            self._log.warn("cannot connect to the database: {problem}", problem=problem)
        if self._retry is None and not self._closed:
            self._retry = self.reactor.callLater(self._delay, self._try_again)
            self._delay = min(self._delay * 2, LAST_DELAY)
        self._tell_if_all_are_back()

    def _tell_if_all_are_back(self) -> None:
        if self._all_back is not None and not self._lent and not self._connecting:
            all_back, self._all_back = self._all_back, None
            all_back.callback(None)

    def _try_again(self) -> None:
        self._retry = None
        self._connect_more()

    async def _connect(self) -> PooledConnection:
        """
        @raise psycopg2.Error: if the server refuses, or there is none.
        @raise Unavailable: if it does not answer in time.
        """
        first = self._first
        parameters = await resolved(psycopg2.extensions.parse_dsn(self.dsn), self.in_thread)
        parameters = {
            "application_name": "ociregd",
            **heeding_silence(self.limits.connect_seconds),
            **beginning_with(first, parameters),
        }
        connection = PooledConnection(self.reactor)
        connecting = connection.connect(**parameters, client_encoding="UTF8")
        try:
            await in_time(self.reactor, self.limits.connect_seconds, connection, connecting)
            connection.statement = connection.cursor()
            milliseconds = int(self.limits.statement_seconds * 1000)
            telling = connection.execute(SESSION % (milliseconds, milliseconds))
            await in_time(self.reactor, self.limits.connect_seconds, connection, telling)
        except BaseException as problem:
            if connection.pollable() is not None:
                connection.close()
            if isinstance(problem, Unavailable):
                # A host that says nothing takes all the time there is; another one may answer.
                self._first = first + 1
            raise
        return connection
