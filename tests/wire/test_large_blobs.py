"""
A daemon that moves a large blob has time and memory for others. It is watched from outside: by a
second connection, and by what the kernel counts.

What the second connection waits for is the longest step of the reactor that it meets, and on a
busy machine also its turn on a processor. So the bound for nearly all answers is the one that
matters: it is several times what is seen there. The bound for all of them only rules out that the
daemon stands still, as it would if it wrote the whole blob out to the disk in between.
"""

from __future__ import annotations

import hashlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from ..functional.daemon import Daemon
from ..messages import read_answer, request

PIECE = bytes(1024 * 1024)
PIECES = 256
TARGET = "/v2/large/blobs/"

#: How much the daemon may grow, in KiB. Kept whole, the blob would be sixteen times that.
GROWTH = 16 * 1024

#: Seconds within which nearly all of the other requests are answered.
USUAL = 0.05

#: Seconds within which all of them are.
WORST = 1.0


def digest_of_pieces() -> str:
    """The digest of the blob."""
    hasher = hashlib.sha256()
    for _ in range(PIECES):
        hasher.update(PIECE)
    return f"sha256:{hasher.hexdigest()}"


DIGEST = digest_of_pieces()


def connect(daemon: Daemon) -> socket.socket:
    """A connection to the daemon."""
    connection = socket.create_connection(("127.0.0.1", daemon.port), 60)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def push(daemon: Daemon) -> None:
    """Push the blob at once."""
    length = ("Content-Length", str(PIECES * len(PIECE)))
    with connect(daemon) as connection:
        target = f"{TARGET}uploads/?digest={DIGEST}"
        connection.sendall(request("POST", target, [length]))
        for _ in range(PIECES):
            connection.sendall(PIECE)
        assert read_answer(connection.recv(65536))[0].status == 201


def pull(daemon: Daemon) -> None:
    """Pull it."""
    buffer = bytearray(1024 * 1024)
    with connect(daemon) as connection:
        connection.sendall(request("GET", TARGET + DIGEST, [("Connection", "close")]))
        received = 0
        while count := connection.recv_into(buffer):
            received += count
        assert received > PIECES * len(PIECE)


def latencies(daemon: Daemon, transfer: Callable[[Daemon], None]) -> list[float]:
    """
    How long C{GET /v2/} takes, again and again, while something else is transferred.
    """
    failures: list[BaseException] = []

    def run() -> None:
        try:
            transfer(daemon)
        except BaseException as problem:
            failures.append(problem)

    thread, found = Thread(target=run), []
    with connect(daemon) as connection:
        thread.start()
        while thread.is_alive():
            before = time.perf_counter()
            connection.sendall(request("GET", "/v2/"))
            assert connection.recv(65536).startswith(b"HTTP/1.1 200 ")
            found.append(time.perf_counter() - before)
            thread.join(0.002)
    assert failures == []
    return sorted(found)


@contextmanager
def growth(daemon: Daemon) -> Iterator[Callable[[], int]]:
    """How much more memory the daemon had at most than at the beginning, in KiB."""
    process = Path(f"/proc/{daemon.pid}")
    (process / "clear_refs").write_text("5")

    def peak() -> int:
        [line] = [line for line in (process / "status").read_text().splitlines() if "VmHWM" in line]
        return int(line.split()[1])

    before = peak()
    yield lambda: peak() - before


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """A daemon that has served before, so that what it needs once is there."""
    daemon = Daemon(tmp_path_factory.mktemp("large"))
    daemon.start()
    for _ in range(20):
        assert daemon.client.call("GET", "/v2/").status == 200
    yield daemon
    daemon.stop()
    shutil.rmtree(daemon.root)


@pytest.mark.parametrize("transfer", [push, pull])
def test_others_are_served(daemon: Daemon, transfer: Callable[[Daemon], None]) -> None:
    """
    While a large blob is on its way nobody else waits for long, and the daemon hardly grows.
    """
    with growth(daemon) as grown:
        found = latencies(daemon, transfer)
        assert grown() < GROWTH
    assert found[int(0.95 * len(found))] < USUAL
    assert found[-1] < WORST
