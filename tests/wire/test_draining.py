"""
The end of a site: requests under way finish, idle connections go, and the rest is cut in time.
"""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from ociregd.web.sending import CHUNK_BYTES
from ociregd.web.site import LAST_REQUEST_SECONDS

from ..harness import InMemoryRegistry
from ..messages import new_content, new_name, request

GRACE = 30.0


def drain(registry: InMemoryRegistry) -> Deferred[None]:
    """Begin to end."""
    drained = Deferred.fromCoroutine(registry.site.drain(GRACE))
    registry.settle()
    return drained


def test_nobody_there(registry: InMemoryRegistry) -> None:
    """Without connections there is nothing to wait for."""
    assert drain(registry).called


def test_all_gone_before(registry: InMemoryRegistry) -> None:
    """Connections that have ended are not waited for."""
    for _ in range(3):
        assert registry.call("GET", "/v2/").status == 200
    assert drain(registry).called


@pytest.mark.parametrize("used", [False, True])
def test_idle_connections(registry: InMemoryRegistry, used: bool) -> None:
    """They go after a moment, in which a request that is on its way is still answered."""
    wires = [registry.connect() for _ in range(3)]
    if used:
        for wire in wires:
            wire.send(request("GET", "/v2/"))
            assert wire.answer().status == 200
    drained = drain(registry)
    wires[0].send(request("GET", "/v2/"))
    assert wires[0].answer().status == 200
    assert wires[0].closed
    registry.advance(LAST_REQUEST_SECONDS)
    assert all(wire.lost and not wire.aborted for wire in wires)
    assert drained.called


def test_requests_under_way(lazy_registry: InMemoryRegistry) -> None:
    """They are answered, and then their connections end."""
    registry = lazy_registry
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("GET", "/v2/_catalog?n=1"))
    drained = drain(registry)
    registry.advance(GRACE - 1)
    assert not drained.called
    registry.at_work = True
    registry.settle()
    assert wire.answer().status == 200
    assert wire.lost
    assert drained.called


def test_an_upload(either_registry: InMemoryRegistry) -> None:
    """A body may come to its end."""
    registry = either_registry
    location = registry.begin(new_name())
    wire = registry.connect()
    wire.send(request("PATCH", location, body=bytes(1000))[:-500])
    drained = drain(registry)
    registry.advance(GRACE / 2)
    assert not drained.called
    wire.send(bytes(500))
    assert wire.answer().header("Range") == "0-999"
    assert drained.called


def test_a_pull(either_registry: InMemoryRegistry) -> None:
    """A reader may read to the end."""
    registry, content = either_registry, new_content(4 * CHUNK_BYTES)
    path = registry.push(new_name(), content)
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", path))
    drained = drain(registry)
    while wire.transport.kept:
        assert not drained.called
        wire.take(CHUNK_BYTES)
    assert wire.answer().body == content
    assert drained.called


def test_only_one_request_more(either_registry: InMemoryRegistry) -> None:
    """What is pipelined behind the present request is not begun."""
    registry, name = either_registry, new_name()
    location = registry.begin(name)
    wire = registry.connect()
    first = request("PATCH", location, body=b"abc")
    wire.send(first[:-1])
    drained = drain(registry)
    wire.send(first[-1:] + request("PATCH", location, body=b"def"))
    assert wire.answer().header("Range") == "0-2"
    assert drained.called
    assert registry.offset(location) == 3


def test_the_end_of_the_grace(either_registry: InMemoryRegistry) -> None:
    """Who is not done by then is cut; an upload can be resumed after the restart."""
    registry, content = either_registry, new_content(4 * CHUNK_BYTES)
    name = new_name()
    path, location = registry.push(name, content), registry.begin(name)
    sender, reader, talker = (registry.connect() for _ in range(3))
    sender.send(request("PATCH", location, body=bytes(1000))[:-500])
    reader.transport.client_reads = False
    reader.send(request("GET", path))
    talker.send(b"GET /v2/ HTTP/1.1\r\nX: ")
    drained = drain(registry)
    registry.advance(GRACE - 0.1)
    assert not drained.called
    registry.advance(0.1)
    assert drained.called
    assert sender.aborted
    assert reader.aborted
    assert talker.lost
    assert registry.offset(location) == 500
