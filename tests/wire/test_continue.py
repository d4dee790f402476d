"""
C{Expect: 100-continue}: the client is told to go on by whoever reads its body, and by nobody else.
"""

from __future__ import annotations

import pytest

from ..harness import InMemoryRegistry
from ..messages import digest_of, new_content, new_name, read_answer, request

GO_ON = b"HTTP/1.1 100 Continue\r\n\r\n"
EXPECT = [("Expect", "100-continue")]
CONTENT = new_content(1000)


def head(method: str, target: str, length: int = len(CONTENT)) -> bytes:
    """The head of a request whose client waits before it sends the body."""
    return request(method, target, [*EXPECT, ("Content-Length", str(length))])


def test_the_first_read_says_so(either_registry: InMemoryRegistry) -> None:
    """A body that is wanted is asked for, once, and then answered."""
    registry = either_registry
    location = registry.begin(new_name())
    wire = registry.connect()
    wire.send(head("PATCH", location))
    assert wire.received() == GO_ON
    wire.send(CONTENT, 100)
    assert wire.answer().status == 202
    assert registry.offset(location) == len(CONTENT)
    wire.send(head("PATCH", location))
    assert wire.received() == GO_ON
    wire.send(CONTENT)
    assert wire.answer().status == 202


def test_chunked(registry: InMemoryRegistry) -> None:
    """The length of the body need not be known."""
    location = registry.begin(new_name())
    data = request("PATCH", location, EXPECT, chunks=[CONTENT])
    cut = data.index(b"\r\n\r\n") + 4
    wire = registry.connect()
    wire.send(data[:cut])
    assert wire.received() == GO_ON
    wire.send(data[cut:])
    assert wire.answer().status == 202


def test_a_manifest(either_registry: InMemoryRegistry) -> None:
    """A body that is collected is asked for as well."""
    registry = either_registry
    wire = registry.connect()
    wire.send(head("PUT", f"/v2/{new_name()}/manifests/t", 2))
    assert wire.received() == GO_ON
    wire.send(b"{}")
    assert wire.answer().codes == ["MANIFEST_INVALID"]


def test_not_before_somebody_reads(lazy_registry: InMemoryRegistry) -> None:
    """As long as it is not known whether the body is wanted, the client waits."""
    registry = lazy_registry
    location = registry.begin(new_name())
    wire = registry.connect()
    registry.at_work = False
    wire.send(head("PATCH", location))
    assert wire.received() == b""
    registry.at_work = True
    registry.settle()
    assert wire.received() == GO_ON


REFUSED = {
    "no session": ("PATCH", "/v2/a/blobs/uploads/00000000-0000-0000-0000-000000000000", 404),
    "no such endpoint": ("POST", "/v2/a/nowhere", 404),
    "wrong method": ("PUT", "/v2/", 405),
    "bad name": ("POST", "/v2/A/blobs/uploads/", 400),
    "bad digest": ("POST", "/v2/a/blobs/uploads/?digest=sha256:x", 400),
    "bad tag": ("PUT", "/v2/a/manifests/.x", 400),
    "too large": ("PUT", "/v2/a/manifests/t", 413),
}


@pytest.mark.parametrize(("method", "target", "status"), REFUSED.values(), ids=REFUSED.keys())
def test_never_when_refused(
    either_registry: InMemoryRegistry, method: str, target: str, status: int
) -> None:
    """
    A client whose body is not wanted is told so at once, and that its connection ends: whether it
    sends the body after all is its choice.
    """
    wire = either_registry.connect()
    wire.send(head(method, target, 5 * 1024 * 1024))
    answer = wire.answer()
    assert answer.status == status
    assert answer.header("Connection") == "close"


def test_refused_in_the_middle_of_a_session(registry: InMemoryRegistry) -> None:
    """A chunk out of order is refused before its bytes are sent, and the session is kept."""
    location = registry.begin(new_name())
    headers = [*EXPECT, ("Content-Range", "7-16"), ("Content-Length", "10")]
    wire = registry.connect()
    wire.send(request("PATCH", location, headers))
    answer = wire.answer()
    assert (answer.status, answer.header("Location")) == (416, location)
    assert registry.offset(location) == 0


def test_not_when_the_body_came_along(lazy_registry: InMemoryRegistry) -> None:
    """A client that did not wait needs no permission."""
    registry = lazy_registry
    location = registry.begin(new_name())
    wire = registry.connect()
    wire.send(head("PATCH", location) + CONTENT)
    assert wire.answer().status == 202
    wire.send(head("PATCH", location) + CONTENT[:1])
    wire.send(CONTENT[1:])
    assert wire.answer().status == 202
    assert registry.offset(location) == 2 * len(CONTENT)


def test_not_for_http_1_0(registry: InMemoryRegistry) -> None:
    """A client of HTTP/1.0 would take the interim answer for the answer (RFC 9110 10.1.1)."""
    location = registry.begin(new_name())
    wire = registry.connect()
    data = head("PATCH", location).replace(b"HTTP/1.1", b"HTTP/1.0")
    wire.send(data)
    assert wire.received() == b""
    wire.send(CONTENT)
    assert wire.answer().status == 202


@pytest.mark.parametrize("value", ["100-Continue", "100-CONTINUE"])
def test_in_any_case(registry: InMemoryRegistry, value: str) -> None:
    """The expectation is not sensitive to case."""
    location = registry.begin(new_name())
    wire = registry.connect()
    wire.send(request("PATCH", location, [("Expect", value), ("Content-Length", "1")]))
    assert wire.received() == GO_ON
    wire.send(b"x")
    assert wire.answer().status == 202


def test_without_a_body(registry: InMemoryRegistry) -> None:
    """Whoever waits for nothing gets the answer, with or without an interim one."""
    name = new_name()
    wire = registry.connect()
    wire.send(request("POST", f"/v2/{name}/blobs/uploads/", [*EXPECT, ("Content-Length", "0")]))
    answer, rest = read_answer(wire.received())
    if answer.status == 100:
        answer, rest = read_answer(rest)
    assert (answer.status, rest) == (202, b"")


def test_behind_another_request(either_registry: InMemoryRegistry) -> None:
    """The interim answer stands behind the answer to the request before, not in it."""
    registry, name = either_registry, new_name()
    path = registry.push(name, CONTENT)
    location = registry.begin(name)
    wire = registry.connect()
    wire.send(request("GET", path) + head("PATCH", location))
    first, rest = read_answer(wire.received())
    assert (first.status, first.body, rest) == (200, CONTENT, GO_ON)
    wire.send(CONTENT)
    assert wire.answer().status == 202


def test_a_whole_push(either_registry: InMemoryRegistry) -> None:
    """A client that always waits can push a blob."""
    registry, name = either_registry, new_name()
    content = new_content(200_000)
    target = f"/v2/{name}/blobs/uploads/?digest={digest_of(content)}"
    wire = registry.connect()
    wire.send(head("POST", target, len(content)))
    assert wire.received() == GO_ON
    wire.send(content, 65536)
    assert wire.answer().status == 201
