"""
A wire that can be watched and cut, between a client and the registry.

Clients tell little of what they do; here their requests can be read, their bytes counted, and a
download can be made to break in the middle, once, as networks do.
"""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from attrs import define, field

_HEAD = re.compile(rb"(?:GET|HEAD|POST|PUT|PATCH|DELETE) [^\r\n]+ HTTP/1\.1\r\n(?:[^\r\n]+\r\n)*")
_BLOCK = 65536


@define(eq=False)
class Relay:
    """
    Passes connections on to C{target}, and keeps the head of every request.

    @ivar cut_after: break the connection of the first answer that gets this long, if not L{None}.
    """

    target: tuple[str, int]
    cut_after: int | None = None
    heads: list[str] = field(factory=list)
    uploaded: int = 0
    downloaded: int = 0
    _listener: socket.socket = field(factory=lambda: socket.create_server(("127.0.0.1", 0)))
    _lock: threading.Lock = field(factory=threading.Lock)
    _name: str = field(init=False)

    def __attrs_post_init__(self) -> None:
        host, port = self._listener.getsockname()[:2]
        self._name = f"{host}:{port}"

    def __str__(self) -> str:
        return self._name

    def lines(self, method: str) -> list[str]:
        """The request lines so far of one method."""
        return [head.splitlines()[0] for head in self.heads if head.startswith(f"{method} ")]

    def serve(self) -> None:
        """Accept connections until the listener is closed."""
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            for pump in (self._pass_up, self._pass_down):
                threading.Thread(target=pump, args=(near, far), daemon=True).start()

    def close(self) -> None:
        """Accept no more connections."""
        # Closing alone does not wake a thread that sits in accept().
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _pass_up(self, near: socket.socket, far: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while block := near.recv(_BLOCK):
                with self._lock:
                    self.uploaded += len(block)
                    self.heads.extend(head.decode("latin-1") for head in _HEAD.findall(block))
                far.sendall(block)
        with contextlib.suppress(OSError):
            far.shutdown(socket.SHUT_WR)

    def _pass_down(self, near: socket.socket, far: socket.socket) -> None:
        passed = 0
        with contextlib.suppress(OSError):
            while block := far.recv(_BLOCK):
                passed += len(block)
                with self._lock:
                    self.downloaded += len(block)
                    cut = self.cut_after is not None and passed > self.cut_after
                    if cut:
                        self.cut_after = None
                if cut:
                    break
                near.sendall(block)
        for end in (near, far):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()


@contextmanager
def relay_to(host: str, port: int, cut_after: int | None = None) -> Iterator[Relay]:
    """A relay in front of C{host:port}, for as long as the context lasts."""
    relay = Relay((host, port), cut_after)
    thread = threading.Thread(target=relay.serve, daemon=True)
    thread.start()
    try:
        yield relay
    finally:
        relay.close()
        thread.join(5)
