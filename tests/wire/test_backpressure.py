"""
Nobody's pace is anybody else's: a client is held back while the disk is behind, and the disk is not
read while the client is.
"""

from __future__ import annotations

import pytest

from ociregd.storage.writing import HIGH_WATER_BYTES
from ociregd.web.sending import CHUNK_BYTES, SMALL_BYTES

from ..harness import InMemoryRegistry, Wire
from ..messages import digest_of, image_manifest, new_content, new_name, request
from ..transports import TRANSPORT_BYTES
from ..workers import Later

PIECE = 65536
LENGTH = 4 * HIGH_WATER_BYTES


def perform(registry: InMemoryRegistry, wire: Wire) -> None:
    """Let the worker do one job, and the network what follows from it."""
    assert isinstance(registry.worker, Later)
    registry.worker.perform()
    registry.settle()


def framed(content: bytes, coding: str) -> dict[str, object]:
    """A body of a request in a coding."""
    if coding == "length":
        return {"body": content}
    return {"chunks": [content[at : at + 5000] for at in range(0, len(content), 5000)]}


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_an_upload(lazy_registry: InMemoryRegistry, coding: str) -> None:
    """
    Of a body no more is taken than what fits below the high-water mark: nothing to speak of before
    somebody reads, and then only as fast as the worker writes.
    """
    registry, content = lazy_registry, new_content(LENGTH)
    location = registry.begin(new_name())
    data = request("PATCH", location, **framed(content, coding))  # type: ignore[arg-type]
    wire = registry.connect()
    registry.at_work = False
    wire.send(data, PIECE)
    assert wire.paused
    assert len(data) - wire.unsent == PIECE
    most, resumed = 0, 0
    while wire.unsent:
        before, written = wire.unsent, (file_of(registry, location)).stat().st_size
        perform(registry, wire)
        resumed += wire.unsent < before
        most = max(most, len(data) - wire.unsent - written)
    assert HIGH_WATER_BYTES < most <= 2 * HIGH_WATER_BYTES + 2 * PIECE
    assert resumed > LENGTH // (2 * HIGH_WATER_BYTES)
    registry.at_work = True
    registry.settle()
    assert wire.answer().header("Range") == f"0-{LENGTH - 1}"
    answer = registry.call("PUT", f"{location}?digest={digest_of(content)}", body=b"")
    assert answer.status == 201


def file_of(registry: InMemoryRegistry, location: str):  # type: ignore[no-untyped-def]
    """The file of an upload."""
    return registry.directory / "uploads" / location.rpartition("/")[2]


def test_nobody_reads(lazy_registry: InMemoryRegistry) -> None:
    """A body that came in one piece with its head waits for its reader like any other."""
    registry, content = lazy_registry, new_content(PIECE)
    location = registry.begin(new_name())
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("PATCH", location, body=content)[:-1])
    assert wire.paused
    registry.at_work = True
    registry.settle()
    assert not wire.paused
    wire.send(content[-1:])
    assert wire.answer().status == 202


def test_what_is_pipelined(lazy_registry: InMemoryRegistry) -> None:
    """Behind a request that takes its time not much is taken in."""
    registry = lazy_registry
    registry.at_work = False
    wire = registry.connect()
    data = request("GET", "/v2/_catalog") + 2000 * request("GET", "/v2/")
    wire.send(data, 4096)
    assert wire.paused
    assert len(data) - wire.unsent <= 6 * 4096
    registry.at_work = True
    registry.settle()
    assert wire.unsent == 0
    statuses = {answer.status for answer in wire.answers(*["GET"] * 2001)}
    assert statuses == {200}


def test_a_slow_reader_of_a_blob(either_registry: InMemoryRegistry) -> None:
    """However large the blob, one chunk waits for a client that does not read."""
    registry, content = either_registry, new_content(8 * CHUNK_BYTES)
    path = registry.push(new_name(), content)
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", path))
    while wire.transport.kept:
        assert wire.transport.kept <= CHUNK_BYTES + TRANSPORT_BYTES
        wire.take(100_000)
    answer = wire.answer()
    assert answer.body == content
    wire.send(request("GET", "/v2/"))
    assert wire.answer().status == 200


def test_a_slow_reader_of_manifests(either_registry: InMemoryRegistry) -> None:
    """A large manifest is sent at the pace of its reader, like a blob."""
    registry, name = either_registry, new_name()
    registry.push(name, b"{}")
    manifest = image_manifest(b"{}", annotations={"org.example": "x" * 3_000_000})
    target = f"/v2/{name}/manifests/t"
    assert registry.call("PUT", target, body=manifest).status == 201
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", target))
    while wire.transport.kept:
        assert wire.transport.kept <= CHUNK_BYTES + TRANSPORT_BYTES
        wire.take(100_000)
    assert wire.answer().body == manifest


def test_pipelined_requests_take_turns(either_registry: InMemoryRegistry) -> None:
    """However many requests come at once, others get their turn between any two of them."""
    registry = either_registry
    wire, other = registry.connect(), registry.connect()
    wire.channel.dataReceived(50 * request("GET", "/nothing/here"))
    other.send(request("GET", "/v2/"))
    assert other.answer().status == 200
    assert [answer.status for answer in wire.answers(*["GET"] * 50)] == [404] * 50


def test_pipelined_requests_are_no_single_step(registry: InMemoryRegistry) -> None:
    """Requests that can be answered at once are not all answered in one step of the reactor."""
    wire = registry.connect()
    wire.channel.dataReceived(50 * request("GET", "/nothing/here"))
    assert wire.transport.value().count(b"HTTP/1.1 404") == 1
    registry.settle()
    assert [answer.status for answer in wire.answers(*["GET"] * 50)] == [404] * 50


def test_small_answers_to_a_client_that_does_not_read(either_registry: InMemoryRegistry) -> None:
    """Who asks again and again without reading the answers is not answered without end."""
    registry, name = either_registry, new_name()
    registry.push(name, b"{}")
    manifest = image_manifest(b"{}", annotations={"org.example": "x" * (SMALL_BYTES - 1000)})
    target = f"/v2/{name}/manifests/t"
    assert registry.call("PUT", target, body=manifest).status == 201
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(100 * request("GET", target), PIECE)
    assert wire.transport.most_kept <= 4 * SMALL_BYTES
    while wire.transport.kept:
        wire.take(SMALL_BYTES)
    assert {answer.body for answer in wire.answers(*["GET"] * 100)} == {manifest}


def test_order_while_a_client_does_not_read(lazy_registry: InMemoryRegistry) -> None:
    """What comes while the client is behind is answered in the order in which it came."""
    registry, name = lazy_registry, new_name()
    registry.push(name, b"{}")
    manifest = image_manifest(b"{}", annotations={"org.example": "x" * (4 * CHUNK_BYTES)})
    target = f"/v2/{name}/manifests/t"
    assert registry.call("PUT", target, body=manifest).status == 201
    for taken in (0, 1000, CHUNK_BYTES, CHUNK_BYTES + 1000):
        wire = registry.connect()
        wire.transport.client_reads = False
        wire.send(request("GET", target) + request("GET", f"/v2/{name}/tags/list"))
        if taken:
            wire.take(taken)
        wire.send(request("GET", "/v2/"))
        wire.transport.client_reads = True
        while wire.transport.kept:
            wire.take(PIECE)
        bodies = [answer.body for answer in wire.answers("GET", "GET", "GET")]
        assert bodies[0] == manifest
        assert b'"tags":["t"]' in bodies[1]
        assert bodies[2] == b"{}"


def test_what_a_client_sends_without_reading(registry: InMemoryRegistry) -> None:
    """Who does not read the answer is not read from without end either."""
    name = new_name()
    registry.push(name, b"{}")
    manifest = image_manifest(b"{}", annotations={"org.example": "x" * (4 * CHUNK_BYTES)})
    assert registry.call("PUT", f"/v2/{name}/manifests/t", body=manifest).status == 201
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", f"/v2/{name}/manifests/t"))
    wire.send(b"G" * 100 * PIECE, PIECE)
    assert wire.paused
    kept = len(wire.channel._buffer) + sum(map(len, wire.channel._dataBuffer))
    assert kept <= 2 * PIECE


def test_what_is_pipelined_without_end(registry: InMemoryRegistry) -> None:
    """Who pipelines faster than it is answered is not read from meanwhile."""
    wire = registry.connect()
    wire.channel.dataReceived(100 * request("GET", "/v2/"))
    assert wire.paused
    registry.settle()
    assert not wire.paused
    assert len(wire.answers(*["GET"] * 100)) == 100
