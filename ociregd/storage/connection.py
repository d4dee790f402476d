"""
One connection to PostgreSQL, and what txpostgres has to be told to keep it in order.
"""

from __future__ import annotations

from typing import Any

import psycopg2
import psycopg2.extensions
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from txpostgres import txpostgres

from ociregd.errors import Unavailable

IDLE = psycopg2.extensions.TRANSACTION_STATUS_IDLE


class PooledConnection(txpostgres.Connection):  # type: ignore[misc]
    """
    A connection that may die quietly while nobody uses it.

    @ivar statement: its one cursor, since there is one statement at a time; none until it is open.
    @ivar bloated: whether it has sent so much that it keeps more memory than it is worth.
    """

    statement: Any = None
    bloated: bool = False

    def doRead(self) -> None:
        if self.statement is None:
            self._open_further()
            return
        # While nobody waits for an answer, all there is to read is that the other side has gone;
        # txpostgres would raise that into the reactor.
        try:
            super().doRead()
        except psycopg2.Error:
            self.close()

    def doWrite(self) -> None:
        self._open_further()

    def _open_further(self) -> None:
        # It may go on to another host, and so to another socket: nothing of the first, which is
        # closed then, may be watched. And what is heard may have been meant for a connection that
        # had the same number a moment ago.
        self.reactor.removeReader(self)
        self.reactor.removeWriter(self)
        if not self.closed:
            self.continuePolling(swallowErrors=True)

    def execute(self, query: bytes) -> Deferred[Any]:
        """Send statements; one at a time."""
        # If the other side has gone, the client library may close its socket on sending: the
        # reactor must not watch it then, or it takes the next one of that number for this one.
        self.reactor.removeReader(self)
        sent: Deferred[Any] = self.statement.execute(query)
        return sent

    def is_idle(self) -> bool:
        """Whether it is open, and no transaction is under way."""
        return not self.closed and bool(self.get_transaction_status() == IDLE)

    def is_alive(self) -> bool:
        """Whether an idle connection can take a transaction, as far as this side can know."""
        # Not watched meanwhile, for the same reason.
        self.reactor.removeReader(self)
        try:
            # Take note of what has come in since: the server's last words, and then the end.
            self.pollable().poll()
            self.pollable().poll()
        except psycopg2.Error:
            return False
        return self.is_idle()


async def in_time(
    reactor: Any, seconds: float, connection: PooledConnection, answer: Deferred[Any]
) -> Any:
    """
    Wait for an answer of the server.

    @raise Unavailable: if it does not come in time; then the connection is closed, or if the server
        itself has ended the statement.
    @raise psycopg2.Error: what the server said, or that the connection is lost.
    """
    # Not by cancelling: that would ask the server, and wait for it in the reactor thread.
    timer = reactor.callLater(seconds, connection.close)
    try:
        return await answer
    except CancelledError:
        # So txpostgres tells that the server has cancelled a statement.
        raise Unavailable("the registry's database took too long") from None
    except (ConnectionDone, ConnectionLost) as problem:
        # What txpostgres tells of a connection that is closed while it waits.
        raise Unavailable("the registry's database does not answer") from problem
    finally:
        if timer.active():
            timer.cancel()
