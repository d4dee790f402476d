"""
Answers that come before the end of the body: the rest is dropped within bounds, or the connection
ends in a way that the client notices only after it has the answer.
"""

from __future__ import annotations

import pytest

from ociregd.web.streaming import DRAIN_BYTES, DRAIN_SECONDS, LINGER_SECONDS

from ..harness import InMemoryRegistry, Wire
from ..messages import new_name, request

NO_SESSION = "00000000-0000-0000-0000-000000000000"
PIECE = bytes(1024 * 1024)


def refused(length: int | None) -> bytes:
    """The head of a request that is refused, with a body of that length, or a chunked one."""
    framing = ("Content-Length", str(length)) if length else ("Transfer-Encoding", "chunked")
    return request("PATCH", f"/v2/{new_name()}/blobs/uploads/{NO_SESSION}", [framing])


def assert_usable(wire: Wire) -> None:
    """The connection takes another request."""
    assert not wire.closed
    wire.send(request("GET", "/v2/"))
    assert wire.answer().status == 200


@pytest.mark.parametrize("size", [1, 100, 65536])
def test_a_body_that_came_along(either_registry: InMemoryRegistry, size: int) -> None:
    """A refused request and its small body leave the connection usable."""
    wire = either_registry.connect()
    wire.send(refused(5000) + bytes(5000), size)
    assert wire.answer().codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert_usable(wire)


def test_the_answer_waits_for_the_body(either_registry: InMemoryRegistry) -> None:
    """A client that is still sending is not answered, since some then never read the answer."""
    wire = either_registry.connect()
    wire.send(refused(3000))
    for _ in range(2):
        wire.send(bytes(1000))
        either_registry.advance(DRAIN_SECONDS * 0.9)
        assert wire.received() == b""
    wire.send(bytes(1000))
    assert wire.answer().codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert_usable(wire)


def test_a_chunked_body(either_registry: InMemoryRegistry) -> None:
    """The end of a chunked body is found although nobody wants it."""
    wire = either_registry.connect()
    wire.send(refused(None) + b"3\r\nabc\r\n")
    assert wire.received() == b""
    wire.send(b"0\r\n\r\n")
    assert wire.answer().codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert_usable(wire)


def test_a_client_that_sends_nothing(either_registry: InMemoryRegistry) -> None:
    """A client that waits for the answer gets it, and the connection ends."""
    registry = either_registry
    wire = registry.connect()
    wire.send(refused(3000))
    registry.advance(DRAIN_SECONDS)
    answer = wire.answer()
    assert answer.codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert answer.header("Connection") == "close"
    registry.advance(LINGER_SECONDS)
    assert wire.closed
    assert not wire.aborted


def test_a_client_that_stops_in_the_middle(registry: InMemoryRegistry) -> None:
    """However much came, the client is not waited for longer than for its next piece."""
    wire = registry.connect()
    wire.send(refused(3000) + bytes(2999))
    assert wire.received() == b""
    registry.advance(DRAIN_SECONDS)
    assert wire.answer().header("Connection") == "close"


def test_a_large_body(either_registry: InMemoryRegistry) -> None:
    """
    A body that is too long to be dropped ends with the connection. What the client still sends is
    taken for a while, since a reset could cost it the answer; then it is cut.
    """
    registry = either_registry
    wire = registry.connect()
    wire.send(refused(10 * DRAIN_BYTES))
    for _ in range(DRAIN_BYTES // len(PIECE)):
        assert wire.received() == b""
        wire.send(PIECE)
    answer = wire.answer()
    assert answer.codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert answer.header("Connection") == "close"
    assert not wire.closed
    wire.send(PIECE)
    assert (wire.closed, wire.unsent) == (False, 0)
    registry.advance(LINGER_SECONDS)
    assert wire.closed


def test_a_body_that_does_not_end(registry: InMemoryRegistry) -> None:
    """Who sends on and on after the answer is cut as well."""
    wire = registry.connect()
    wire.send(refused(None) + b"ffffffffff\r\n")
    for _ in range(2 * DRAIN_BYTES // len(PIECE)):
        wire.send(PIECE)
    assert wire.answer().header("Connection") == "close"
    assert wire.closed


def test_the_body_ends_while_we_linger(registry: InMemoryRegistry) -> None:
    """Even then the connection ends, as the answer said."""
    wire = registry.connect()
    wire.send(refused(3000))
    registry.advance(DRAIN_SECONDS)
    assert wire.answer().header("Connection") == "close"
    wire.send(bytes(3000) + request("GET", "/v2/"))
    assert wire.received() == b""
    assert wire.closed


def test_a_client_that_reads_the_answer_and_goes(either_registry: InMemoryRegistry) -> None:
    """That is as it should be."""
    registry = either_registry
    for seconds in (0, DRAIN_SECONDS, DRAIN_SECONDS + LINGER_SECONDS / 2):
        wire = registry.connect()
        wire.send(refused(3000) + bytes(10))
        registry.advance(seconds)
        wire.hang_up()
        assert registry.clock.getDelayedCalls() == []


def test_a_manifest_that_is_too_large(either_registry: InMemoryRegistry) -> None:
    """With a length it is refused at once; without one as soon as it is too large."""
    registry = either_registry
    limit, target = registry.policy.manifest_bytes, f"/v2/{new_name()}/manifests/t"
    for framing, start in (
        (("Content-Length", str(limit + 1)), b""),
        (("Transfer-Encoding", "chunked"), b"%x\r\n" % (limit + 1)),
    ):
        wire = registry.connect()
        wire.send(request("PUT", target, [framing]) + start)
        wire.send(bytes(limit + 1), 65536)
        if start:
            wire.send(b"\r\n0\r\n\r\n")
        assert (wire.answer().status, wire.closed) == (413, False)
        assert_usable(wire)


def test_an_answer_to_a_body_that_was_not_read(registry: InMemoryRegistry) -> None:
    """A mount succeeds whatever its body says, and leaves the connection usable."""
    name = new_name()
    digest = registry.push(name, b"content").rpartition("/")[2]
    wire = registry.connect()
    target = f"/v2/{new_name()}/blobs/uploads/?mount={digest}&from={name}"
    wire.send(request("POST", target, body=bytes(500)), 100)
    assert wire.answer().status == 201
    assert_usable(wire)


@pytest.mark.parametrize("length", [None, 1000])
def test_malformed_or_short_after_the_refusal(
    registry: InMemoryRegistry, length: int | None
) -> None:
    """Two refused requests with whole bodies, pipelined, get an answer each."""
    wire = registry.connect()
    body = bytes(1000) if length else b"3e8\r\n" + bytes(1000) + b"\r\n0\r\n\r\n"
    wire.send((refused(length) + body) * 2, 64)
    first, second = wire.answers("PATCH", "PATCH")
    assert first.codes == second.codes == ["BLOB_UPLOAD_UNKNOWN"]
    assert_usable(wire)
