"""
Transports for connections without a reactor: one in memory, and one over a real pair of sockets, so
that a file can be sent into it.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Iterable
from typing import Any

from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.internet.testing import StringTransport
from zope.interface import implementer

#: Where a socket's transport begins to ask its producer for a pause.
TRANSPORT_BYTES = 2**16

#: What the kernel keeps for a client that does not read; it doubles what it is told.
KERNEL_BYTES = 64 * 1024


class PacedTransport(StringTransport):
    """
    Like a socket's transport: it keeps what the client does not read, and has its producer pause.

    @ivar most_kept: how many bytes it had to keep at most.
    """

    def __init__(self) -> None:
        super().__init__(lenient=True)
        self.client_reads = True
        self.kept = self.most_kept = 0
        self.producer_paused = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if not self.client_reads:
            self.kept += len(data)
            self.most_kept = max(self.kept, self.most_kept)
            self._ask_for_a_pause()

    def _ask_for_a_pause(self) -> None:
        if self.producer is None or not self.streaming or self.producer_paused:
            return
        if self.kept > TRANSPORT_BYTES:
            self.producer_paused = True
            self.producer.pauseProducing()

    def turn(self) -> bool:
        """Let one thing happen that needs no time; whether there was one."""
        return False

    def connectionLost(self, reason: object) -> None:
        """The connection is no more."""
        self.connected = False

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def take(self, count: int) -> None:
        """The client reads."""
        self.kept = max(0, self.kept - count)
        if not self.kept and self.producer_paused:
            self.producer_paused = False
            if self.producer is not None:
                self.producer.resumeProducing()

    @property
    def finished(self) -> bool:
        """Whether a socket would be closed by now."""
        return self.disconnected or (self.disconnecting and not self.kept)


@implementer(IReadWriteDescriptor)
class SocketTransport(PacedTransport):
    """
    Writes to a socket when its turn comes, and asks its producer for more as Twisted's own does.
    """

    def __init__(self) -> None:
        super().__init__()
        self._ours, self._theirs = socket.socketpair()
        for end in (self._ours, self._theirs):
            end.setblocking(False)
        self._ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        self._queue = b""
        self._wants_to_write = False

    def getHandle(self) -> socket.socket:
        """The socket itself."""
        return self._ours

    def fileno(self) -> int:
        return self._ours.fileno()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        super().registerProducer(producer, streaming)
        if not streaming:
            producer.resumeProducing()

    def unregisterProducer(self) -> None:
        self.producer = self.streaming = None

    def write(self, data: bytes) -> None:
        if data and self.connected:
            self._queue += data
            self.kept = len(self._queue)
            self.most_kept = max(self.kept, self.most_kept)
            self.startWriting()
            self._ask_for_a_pause()

    def startWriting(self) -> None:
        """Tell when the socket takes something."""
        self._wants_to_write = True

    def turn(self) -> bool:
        """One turn of a reactor; whether anything happened."""
        read = self.client_reads and self.read(2**20)
        if self._theirs.fileno() < 0 and not self.disconnected:
            self.abortConnection()
            return True
        return self._write() or bool(read)

    def doWrite(self) -> None:
        """The test does that, in its turns."""

    def doRead(self) -> None:
        """The same."""

    def _write(self) -> bool:
        if not self._wants_to_write:
            return False
        try:
            count = self._ours.send(self._queue or b"")
            if not self._queue and not self._takes_something():
                return False
        except BlockingIOError:
            return False
        except ConnectionError:
            self.abortConnection()
            return True
        self._queue = self._queue[count:]
        self.kept = len(self._queue)
        if not self._queue:
            self._wants_to_write = False
            if self.producer is not None and (not self.streaming or self.producer_paused):
                self.producer_paused = False
                self.producer.resumeProducing()
        return True

    def logPrefix(self) -> str:
        return "a pair of sockets"

    def connectionLost(self, reason: object) -> None:
        """The client finds what the kernel still has for it, and then the end."""
        self.connected = False
        self._ours.close()
        self.read(2**20)
        self.hang_up()
        producer, self.producer = self.producer, None
        if producer is not None:
            producer.stopProducing()

    def read(self, count: int) -> int:
        """The client reads; returns how much there was."""
        if self._theirs.fileno() < 0:
            return 0
        try:
            data = self._theirs.recv(count)
        except BlockingIOError:
            return 0
        self.io.write(data)
        return len(data)

    def hang_up(self) -> None:
        """The client goes, and nobody has told the server yet."""
        self._theirs.close()

    def _takes_something(self) -> bool:
        return bool(select.select([], [self._ours], [], 0)[1])
