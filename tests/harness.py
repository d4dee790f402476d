"""
A registry without sockets, threads or a reactor: bytes in, bytes out, and time when a test says so.

Files and database are real ones in a directory, used by a worker that the test brings.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections import deque
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from attrs import define, field, frozen
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from ociregd.interfaces import InThread
from ociregd.registry.repository import Policy, Registry
from ociregd.storage.disk import DiskBlobStore, DiskUploads, Tree
from ociregd.storage.metadata import records_in
from ociregd.storage.migrations import migrations
from ociregd.storage.sqlite import SqliteDatabase
from ociregd.web.api import registry_resource
from ociregd.web.channel import Patience, RegistryChannel
from ociregd.web.site import RegistrySite

from .workers import Later, now

#: Where a socket's transport begins to ask its producer for a pause.
TRANSPORT_BYTES = 2**16

HOST = "registry.example"

Headers = Iterable[tuple[str, str]]

_numbers = itertools.count(1)


def new_name() -> str:
    """A repository that no other test uses."""
    return f"team{next(_numbers)}/app"


def new_content(size: int = 100) -> bytes:
    """Bytes that no other test uses; the same ones in the next run."""
    seed = b"%d" % next(_numbers)
    return hashlib.shake_128(seed).digest(size)


def digest_of(content: bytes) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def request(
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
) -> bytes:
    """
    A request on the wire: with C{body} and its length, or with C{chunks} in the chunked coding.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunks is not None:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


@frozen
class Answer:
    """
    One response as it was on the wire.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """What all lines of a header say."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """What the only line of a header says."""
        [value] = self.values(name)
        return value

    @property
    def codes(self) -> list[str]:
        """The codes of a refusal."""
        assert self.header("Content-Type") == "application/json", self
        return [error["code"] for error in json.loads(self.body)["errors"]]


def read_answer(data: bytes, method: str = "GET") -> tuple[Answer, bytes]:
    """
    The first answer in some bytes, and what comes behind it.
    """
    head, found, rest = data.partition(b"\r\n\r\n")
    assert found, f"no whole answer: {data!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.[01] ([1-5][0-9]{2}) [ -~]*", first)
    assert status is not None, first
    pairs = []
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon and re.fullmatch("[A-Za-z-]+", name), line
        pairs.append((name, value))
    answer = Answer(int(status[1]), tuple(pairs))
    if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
        return answer, rest
    assert answer.values("Transfer-Encoding") == [], answer
    length = int(answer.header("Content-Length"))
    assert len(rest) >= length, f"{length - len(rest)} bytes are missing"
    return Answer(answer.status, answer.headers, rest[:length]), rest[length:]


class PacedTransport(StringTransport):
    """
    Like a socket's transport: it keeps what the client does not read, and has its producer pause.

    @ivar most_kept: how many bytes it had to keep at most.
    """

    def __init__(self) -> None:
        super().__init__(lenient=True)
        self.client_reads = True
        self.kept = self.most_kept = 0
        self._producer_paused = False

    def write(self, data: bytes) -> None:
        super().write(data)
        if not self.client_reads:
            self.kept += len(data)
            self.most_kept = max(self.kept, self.most_kept)
            if self.kept > TRANSPORT_BYTES and self.producer is not None:
                if not self._producer_paused:
                    self._producer_paused = True
                    self.producer.pauseProducing()

    def writeSequence(self, data: Iterable[bytes]) -> None:
        self.write(b"".join(data))

    def take(self, count: int) -> None:
        """The client reads."""
        self.kept = max(0, self.kept - count)
        if not self.kept and self._producer_paused:
            self._producer_paused = False
            if self.producer is not None:
                self.producer.resumeProducing()

    @property
    def finished(self) -> bool:
        """Whether a socket would be closed by now."""
        return self.disconnected or (self.disconnecting and not self.kept)


class Wire:
    """
    One connection to a registry, seen from the client.

    @ivar heedless: whether bytes arrive though the server has paused its transport, as those do that
        TLS has decrypted already.
    """

    def __init__(self, registry: InMemoryRegistry) -> None:
        self._registry = registry
        self._under_way: deque[bytes] = deque()
        self.heedless = False
        self.lost = False
        self.transport = PacedTransport()
        self.channel: RegistryChannel = registry.site.buildProtocol(None)
        self.channel.makeConnection(self.transport)

    @property
    def paused(self) -> bool:
        """Whether the server holds the client back."""
        return self.transport.producerState == "paused"

    @property
    def closed(self) -> bool:
        """Whether the server has ended the connection."""
        return self.transport.disconnecting

    @property
    def aborted(self) -> bool:
        """Whether it did so without sending the rest."""
        return self.transport.disconnected

    @property
    def unsent(self) -> int:
        """How many bytes the server has not taken yet."""
        return sum(map(len, self._under_way))

    def send(self, data: bytes, size: int | None = None) -> None:
        """
        Send bytes, cut into pieces of C{size}; all that can happen happens.
        """
        size = size or len(data) or 1
        self._under_way.extend(data[at : at + size] for at in range(0, len(data), size))
        self._registry.settle()

    def take(self, count: int) -> None:
        """Read some of what the server has sent, as a client that does not read on its own."""
        self.transport.take(count)
        self._registry.settle()

    def received(self) -> bytes:
        """What the server has sent since this was asked last."""
        data = self.transport.value()
        self.transport.clear()
        return data

    def answers(self, *methods: str) -> list[Answer]:
        """
        The answers to requests with these methods, which must be all there is.
        """
        found, data = [], self.received()
        for method in methods:
            answer, data = read_answer(data, method)
            found.append(answer)
        assert data == b"", f"behind the last answer: {data!r}"
        return found

    def answer(self, method: str = "GET") -> Answer:
        """The answer to a request, which must be all there is."""
        [answer] = self.answers(method)
        return answer

    def hang_up(self) -> None:
        """The client goes, in the middle of whatever it was."""
        self._end(ConnectionLost("the client has gone"))
        self._registry.settle()

    def turn(self) -> bool:
        """
        Let one thing happen on the connection; whether there was one.
        """
        if self.lost:
            return False
        if self.transport.finished:
            self._end(ConnectionDone())
            return True
        if self._under_way and not self.closed and (self.heedless or not self.paused):
            self.channel.dataReceived(self._under_way.popleft())
            return True
        return False

    def _end(self, reason: Exception) -> None:
        self.lost = True
        self.transport.connected = False
        self.channel.connectionLost(Failure(reason))


@define(eq=False)
class InMemoryRegistry:
    """
    A site over a registry over a directory.

    @ivar at_work: whether a L{Later} worker does what it is given.
    """

    directory: Path
    worker: InThread = now
    policy: Policy = field(factory=Policy)
    patience: Patience = field(factory=Patience)
    at_work: bool = True
    clock: Clock = field(factory=Clock, init=False)
    registry: Registry = field(init=False)
    site: RegistrySite = field(init=False)
    _database: SqliteDatabase = field(init=False)
    _wires: list[Wire] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        tree = Tree(self.directory)
        tree.prepare()
        self._database = SqliteDatabase(str(tree.root / "metadata.sqlite3"), self.worker)
        self._database.open(migrations())
        self.registry = Registry(
            blobs=DiskBlobStore(tree, self.worker),
            uploads=DiskUploads(tree, self.worker),
            records=records_in(self._database),
            now=self.clock.seconds,
            in_thread=self.worker,
            policy=self.policy,
        )
        self.site = RegistrySite(registry_resource(self.registry), self.clock, self.patience)

    def connect(self) -> Wire:
        """A new connection."""
        wire = Wire(self)
        self._wires.append(wire)
        return wire

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        while self._perform() or any([wire.turn() for wire in self._wires]):
            pass

    def advance(self, seconds: float) -> None:
        """Let time pass, and what comes with it happen."""
        self.clock.advance(seconds)
        self.settle()

    def close(self) -> None:
        """The end: all clients go, and nothing may be left behind."""
        self.at_work = True
        for wire in self._wires:
            if not wire.lost:
                wire.hang_up()
        self.settle()
        self._database.close()
        assert self.clock.getDelayedCalls() == []

    def call(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes | None = None,
        chunks: Iterable[bytes] | None = None,
    ) -> Answer:
        """One request on a connection of its own."""
        wire = self.connect()
        wire.send(request(method, target, headers, body, chunks))
        answer = wire.answer(method)
        wire.hang_up()
        return answer

    def begin(self, name: str) -> str:
        """Begin an upload, and return where it goes on."""
        answer = self.call("POST", f"/v2/{name}/blobs/uploads/", body=b"")
        assert answer.status == 202, answer
        return answer.header("Location")

    def offset(self, location: str) -> int:
        """How many bytes an upload holds."""
        answer = self.call("GET", location)
        assert answer.status == 204, answer
        last = int(answer.header("Range").removeprefix("0-"))
        return last + 1 if last else 0

    def push(self, name: str, content: bytes) -> str:
        """Push a blob, and return its path."""
        digest = digest_of(content)
        target = f"/v2/{name}/blobs/uploads/?digest={digest}"
        answer = self.call("POST", target, body=content)
        assert answer.status == 201, answer
        return answer.header("Location")

    def pull(self, path: str) -> bytes:
        """What is at a path."""
        answer = self.call("GET", path)
        assert answer.status == 200, answer
        return answer.body

    def _perform(self) -> bool:
        if not (self.at_work and isinstance(self.worker, Later) and self.worker.waiting):
            return False
        self.worker.perform()
        return True


def image_manifest(config: bytes, **more: Any) -> bytes:
    """A manifest of an image without layers, whose config has to be pushed."""
    config_type = "application/vnd.oci.image.config.v1+json"
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": config_type, "digest": digest_of(config), "size": len(config)},
        "layers": [],
        **more,
    }
    return json.dumps(document).encode()


#: How tests write down what the worker has still to do.
Work = Callable[[], object]
