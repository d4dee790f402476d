"""
A wire between a registry and PostgreSQL, on which round trips are counted.
"""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

_BLOCK = 65536

#: The messages of PostgreSQL's protocol that a client sends, and then waits for the answer.
QUESTIONS = {b"Q": "Query", b"F": "FunctionCall", b"S": "Sync"}


@define(eq=False)
class Questions:
    """
    What one client asks, picked from the bytes that it sends.

    The first message has no type. How a client proves who it is, and the first query, in which a
    new connection is told how it shall be, belong to the opening of the connection.
    """

    _unread: bytes = b""
    _started: bool = False
    _opened: bool = False

    def received(self, data: bytes) -> list[str]:
        """The questions that end in these bytes."""
        self._unread += data
        found = []
        while (message := self._message()) is not None:
            kind, text = message
            if kind not in QUESTIONS:
                continue
            if self._opened:
                found.append(f"{QUESTIONS[kind]}: {text.decode('utf-8', 'replace')}")
            self._opened = True
        return found

    def _message(self) -> tuple[bytes, bytes] | None:
        start = 1 if self._started else 0
        length = start + int.from_bytes(self._unread[start : start + 4], "big")
        if len(self._unread) < start + 4 or len(self._unread) < length:
            return None
        message, self._unread = self._unread[:length], self._unread[length:]
        self._started = True
        return message[:start], message[start + 4 :]


@define(eq=False)
class CountingRelay:
    """
    Passes connections on to C{target}, and keeps what was asked on them.
    """

    target: tuple[str, int]
    _asked: list[str] = field(factory=list, init=False)
    _listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))

    @property
    def port(self) -> int:
        """Where it listens on the loopback address."""
        return int(self._listener.getsockname()[1])

    def asked(self) -> list[str]:
        """Each question since this was called last."""
        asked = list(self._asked)
        del self._asked[: len(asked)]
        return asked

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.create_connection(self.target)
            for sock in (near, far):
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._up, args=(near, far), daemon=True).start()
            threading.Thread(target=self._down, args=(near, far), daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        # Closing alone does not wake a thread that sits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _up(self, near: socket.socket, far: socket.socket) -> None:
        questions = Questions()
        with contextlib.suppress(OSError):
            while block := near.recv(_BLOCK):
                # Before it is passed on: the answer shall find it counted.
                self._asked += questions.received(block)
                far.sendall(block)
        _hang_up(far)

    def _down(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := far.recv(_BLOCK):
                near.sendall(block)
        for end in (near, far):
            _hang_up(end)
            end.close()


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def counted(host: str, port: int) -> Iterator[CountingRelay]:
    """A relay in front of C{host:port}, for as long as the context lasts."""
    relay = CountingRelay((host, port))
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(5)
