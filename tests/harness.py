"""
A registry without sockets, threads or a reactor: bytes in, bytes out, and time when a test says so.

Files and database are real ones in a directory, used by a worker that the test brings.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from attrs import define, field
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from ociregd.access.gate import Gate
from ociregd.access.passwords import Passwords
from ociregd.access.rules import Rules
from ociregd.interfaces import InThread
from ociregd.registry.repository import Policy, Registry
from ociregd.storage.disk import DiskBlobStore, DiskUploads, Tree
from ociregd.storage.metadata import records_in
from ociregd.storage.migrations import migrations
from ociregd.storage.sqlite import SqliteDatabase
from ociregd.web.api import RegistryAPI
from ociregd.web.budget import Budget
from ociregd.web.channel import Patience, RegistryChannel
from ociregd.web.routing import RegistryResource
from ociregd.web.site import RegistrySite

from .messages import Answer, Headers, digest_of, read_answer, request
from .transports import PacedTransport
from .workers import Later, now


class Wire:
    """
    One connection to a registry, seen from the client.

    @ivar heedless: whether bytes arrive though the server has paused its transport, as those do
        that TLS has decrypted already.
    """

    def __init__(self, registry: InMemoryRegistry) -> None:
        self._registry = registry
        self._under_way: deque[bytes] = deque()
        self.heedless = False
        self.lost = False
        self.transport = registry.transport()
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
        data: bytes = self.transport.value()
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
        return self.transport.turn()

    def _end(self, reason: Exception) -> None:
        self.lost = True
        self.transport.connectionLost(reason)
        self.channel.connectionLost(Failure(reason))


@define(eq=False)
class InMemoryRegistry:
    """
    A site over a registry over a directory.

    @ivar at_work: whether a L{Later} worker does what it is given.
    @ivar rules: who may do what; without them everybody may do everything.
    @ivar users: the hashes of their passwords.
    """

    directory: Path
    worker: InThread = now
    policy: Policy = field(factory=Policy)
    patience: Patience = field(factory=Patience)
    transport: Callable[[], PacedTransport] = PacedTransport
    at_work: bool = True
    push_budget: Budget = field(factory=Budget)
    list_budget: Budget = field(factory=Budget)
    rules: Rules | None = None
    users: Mapping[str, str] = field(factory=dict)
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
        gate = None
        if self.rules is not None:
            gate = Gate(self.rules, Passwords(self.users, self.worker, self.clock))
        api = RegistryAPI(self.registry, self.push_budget, self.list_budget, gate)
        self.site = RegistrySite(
            RegistryResource(api.app.resource()),
            self.clock,
            self.patience,
        )

    def connect(self) -> Wire:
        """A new connection."""
        wire = Wire(self)
        self._wires.append(wire)
        return wire

    def settle(self) -> None:
        """Let everything happen that needs no time."""
        while self._perform() or self._take_turns() or any([wire.turn() for wire in self._wires]):
            pass

    def _take_turns(self) -> bool:
        """What was to come with the next turn of the reactor; whether there was something."""
        due = [
            call for call in self.clock.getDelayedCalls() if call.getTime() <= self.clock.seconds()
        ]
        self.clock.advance(0)
        return bool(due)

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
