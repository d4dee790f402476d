"""
Blobs that go from the file to the socket inside the kernel arrive like all others.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from twisted.internet.defer import Deferred

from ociregd.web.channel import Patience
from ociregd.web.kernel import CALL_BYTES
from ociregd.web.sending import CHUNK_BYTES

from ..harness import InMemoryRegistry, Wire
from ..messages import digest_of, image_manifest, new_content, new_name, request
from ..transports import KERNEL_BYTES, TRANSPORT_BYTES, SocketTransport
from ..workers import Later, now
from .conftest import Faults, NewRegistry
from .test_pulling import parts_of

CONTENT = new_content(CALL_BYTES + 100_000)

PATIENCE = Patience(rate_seconds=30.0, reader_rate=100_000)


@pytest.fixture(params=["now", "later"])
def registry(request: pytest.FixtureRequest, new_registry: NewRegistry) -> InMemoryRegistry:
    """A registry whose connections are sockets."""
    worker = now if request.param == "now" else Later()
    return new_registry(worker=worker, transport=SocketTransport, patience=PATIENCE)


@pytest.fixture
def path(registry: InMemoryRegistry) -> str:
    """Where the blob is."""
    return registry.push(new_name(), CONTENT)


def stalled(registry: InMemoryRegistry, data: bytes) -> tuple[Wire, SocketTransport]:
    """A connection whose client does not read."""
    wire = registry.connect()
    transport = wire.transport
    assert isinstance(transport, SocketTransport)
    transport.client_reads = False
    wire.send(data)
    return wire, transport


def read_on(registry: InMemoryRegistry, transport: SocketTransport, size: int) -> None:
    """Read in pieces until nothing comes any more."""
    while transport.read(size):
        registry.settle()


def open_files() -> list[str]:
    """
    What this process has open: files, and sockets without their numbers; but not the database,
    which opens what it needs when it is asked for the first time.
    """
    found = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            found.append(str(link.readlink()).partition("[")[0])
        except FileNotFoundError:  # the one that lists them
            continue
    return sorted(name for name in found if "metadata.sqlite3" not in name)


def test_whole(registry: InMemoryRegistry, path: str) -> None:
    """A blob arrives whole, and so does the answer to what was asked behind it."""
    wire = registry.connect()
    wire.send(request("GET", "/v2/") + request("GET", path) + request("GET", "/v2/"))
    first, blob, last = wire.answers("GET", "GET", "GET")
    assert (first.status, blob.status, last.status) == (200, 200, 200)
    assert blob.body == CONTENT


def test_ranges(registry: InMemoryRegistry, path: str) -> None:
    """Large ranges and small ones, alone and together."""
    wire = registry.connect()
    wire.send(request("GET", path, [("Range", "bytes=10-1000009")]))
    assert wire.answer().body == CONTENT[10:1_000_010]
    wire.send(request("GET", path, [("Range", "bytes=5-7,100-999999,20-20,2000000-2100000")]))
    bodies = [body for _, body in parts_of(wire.answer())]
    assert bodies == [
        CONTENT[5:8],
        CONTENT[100:1_000_000],
        CONTENT[20:21],
        CONTENT[2_000_000:2_100_001],
    ]
    wire.send(request("GET", "/v2/"))
    assert wire.answer().status == 200


@pytest.mark.parametrize("size", [1000, 30_000, 10**6])
def test_a_slow_reader(registry: InMemoryRegistry, path: str, size: int) -> None:
    """A client that reads in its own time gets everything, and nothing is kept for it here."""
    wire, transport = stalled(registry, request("GET", path))
    content = len(transport.io.getvalue())
    assert content == 0
    read_on(registry, transport, size)
    assert transport.most_kept < 1000
    assert wire.answer().body == CONTENT
    wire.send(request("GET", "/v2/"))
    transport.client_reads = True
    registry.settle()
    assert wire.answer().status == 200


def test_what_follows(registry: InMemoryRegistry, path: str) -> None:
    """Behind such a blob, answers from memory are sent at the pace of the client as before."""
    name = new_name()
    registry.push(name, b"{}")
    manifest = image_manifest(b"{}", annotations={"org.example": "x" * 3_000_000})
    target = f"/v2/{name}/manifests/t"
    assert registry.call("PUT", target, body=manifest).status == 201
    wire, transport = stalled(registry, request("GET", path) + request("GET", target))
    read_on(registry, transport, 100_000)
    blob, other = wire.answers("GET", "GET")
    assert (blob.body, other.body) == (CONTENT, manifest)
    assert transport.most_kept <= CHUNK_BYTES + TRANSPORT_BYTES


def test_the_end_of_the_connection(registry: InMemoryRegistry, path: str) -> None:
    """Told to close, the connection ends behind the last byte, and not before."""
    wire, transport = stalled(registry, request("GET", path, [("Connection", "close")]))
    read_on(registry, transport, 100_000)
    assert wire.answer().body == CONTENT
    assert wire.lost
    assert not wire.aborted


def test_a_reader_that_stops(registry: InMemoryRegistry, path: str) -> None:
    """A client that takes nothing for too long is cut, and its files are closed."""
    before = open_files()
    wire, transport = stalled(registry, request("GET", path))
    for _ in range(3):
        registry.advance(29)
        assert transport.read(10 * KERNEL_BYTES)
        registry.settle()
    assert not wire.closed
    registry.advance(30)
    assert wire.aborted
    assert open_files() == before


def test_a_reader_that_stopped_before(registry: InMemoryRegistry, path: str) -> None:
    """
    A client that has not even read what it asked for before is cut as well: its blob cannot begin.
    """
    small = registry.push(new_name(), new_content(60_000))
    before = open_files()
    wire, transport = stalled(registry, b"")
    while not transport.kept:
        wire.send(request("GET", small))
    wire.send(request("GET", path))
    assert not wire.closed
    registry.advance(100)
    registry.advance(30)
    assert wire.aborted
    assert open_files() == before


def test_a_reader_that_goes(registry: InMemoryRegistry, path: str) -> None:
    """The file and the socket are closed, whenever it goes."""
    before = open_files()
    for size in (0, 1, 10 * KERNEL_BYTES):
        wire, transport = stalled(registry, request("GET", path))
        if size:
            transport.read(size)
            registry.settle()
        wire.hang_up()
        assert open_files() == before
    assert registry.clock.getDelayedCalls() == []


@pytest.mark.parametrize("told", [False, True])
@pytest.mark.parametrize("jobs", range(8))
def test_a_reader_that_goes_at_any_moment(new_registry: NewRegistry, jobs: int, told: bool) -> None:
    """Even while a thread is sending, and even if the thread is the first to notice."""
    registry = new_registry(worker=Later(), transport=SocketTransport)
    path = registry.push(new_name(), new_content(300_000))
    before = open_files()
    registry.at_work = False
    wire, transport = stalled(registry, request("GET", path))
    assert isinstance(registry.worker, Later)
    for _ in range(jobs):
        if registry.worker.waiting:
            registry.worker.perform()
            registry.settle()
        transport.read(KERNEL_BYTES)
        registry.settle()
    if told:
        wire.hang_up()
    else:
        transport.hang_up()
    registry.at_work = True
    registry.settle()
    assert wire.lost
    assert open_files() == before


def test_a_file_that_shrinks(registry: InMemoryRegistry, faults: Faults) -> None:
    """When fewer bytes are there than were promised, the connection breaks off."""
    content = new_content(CALL_BYTES)
    path = registry.push(new_name(), content)
    before = open_files()
    wire, transport = stalled(registry, request("GET", path))
    [file] = (registry.directory / "blobs").rglob(f"{digest_of(content)[7:]}.*")
    with file.open("r+b") as opened:
        opened.truncate(CALL_BYTES // 2)
    while not wire.closed:
        assert transport.read(100_000), "all was sent, and the connection is still there"
        registry.settle()
    assert wire.aborted
    assert open_files() == before
    assert len(faults.take()) == 1


def test_the_end_of_the_grace(registry: InMemoryRegistry, path: str) -> None:
    """A site that has to end cuts a reader that is not done."""
    before = open_files()
    wire, _ = stalled(registry, request("GET", path))
    drained = Deferred.fromCoroutine(registry.site.drain(10.0))
    registry.advance(10)
    assert wire.aborted
    assert drained.called
    assert open_files() == before
