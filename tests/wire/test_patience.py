"""
How long the registry waits for its clients: each phase of a connection has an end.
"""

from __future__ import annotations

import pytest

from ociregd.storage.writing import HIGH_WATER_BYTES
from ociregd.web.channel import CLOSE_SECONDS, Patience
from ociregd.web.sending import CHUNK_BYTES

from ..harness import InMemoryRegistry
from ..messages import digest_of, new_content, new_name, request
from ..workers import Later
from .conftest import NewRegistry

PATIENCE = Patience(
    idle_seconds=60.0, header_seconds=10.0, rate_seconds=30.0, body_rate=1000, reader_rate=100_000
)


@pytest.fixture
def patient(new_registry: NewRegistry) -> InMemoryRegistry:
    """A registry with the patience above."""
    return new_registry(patience=PATIENCE)


def test_nothing_comes(patient: InMemoryRegistry) -> None:
    """A connection on which nothing is said ends without a word."""
    wire = patient.connect()
    patient.advance(59.9)
    assert not wire.closed
    patient.advance(0.1)
    assert wire.closed
    assert wire.received() == b""


def test_nothing_more_comes(patient: InMemoryRegistry) -> None:
    """After each answer the time begins anew, and then it ends."""
    wire = patient.connect()
    for _ in range(3):
        patient.advance(59)
        wire.send(request("GET", "/v2/"))
        assert wire.answer().status == 200
    patient.advance(59.9)
    assert not wire.closed
    patient.advance(0.1)
    assert wire.closed
    assert wire.received() == b""


@pytest.mark.parametrize("used", [False, True])
@pytest.mark.parametrize("head", [b"G" * 100, b"\r\nGET /v2/ HTTP/1.1\r\nX: " + b"y" * 100])
def test_headers_byte_by_byte(patient: InMemoryRegistry, head: bytes, used: bool) -> None:
    """A byte a second keeps nobody waiting for longer than all headers may take."""
    wire = patient.connect()
    if used:
        wire.send(request("GET", "/v2/"))
        assert wire.answer().status == 200
    for second in range(10):
        assert not wire.closed, second
        wire.send(head[second : second + 1])
        patient.advance(1)
    assert wire.closed
    assert wire.answer().status == 408


@pytest.mark.parametrize("used", [False, True])
def test_headers_line_by_line(patient: InMemoryRegistry, used: bool) -> None:
    """A header a second does not help either."""
    wire = patient.connect()
    if used:
        wire.send(request("GET", "/v2/"))
        assert wire.answer().status == 200
    wire.send(b"GET /v2/ HTTP/1.1\r\n")
    for _ in range(10):
        assert not wire.closed
        wire.send(b"X: y\r\n")
        patient.advance(1)
    assert wire.closed
    assert wire.answer().status == 408


def test_half_a_request_behind_another(patient: InMemoryRegistry) -> None:
    """What was pipelined and is not finished gets no more time than an idle connection."""
    for half in (b"GE", b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: "):
        wire = patient.connect()
        wire.send(request("GET", "/v2/") + half)
        assert wire.answer().status == 200
        for _ in range(60):
            patient.advance(1)
            wire.send(b"y")
        assert wire.closed


def test_headers_in_time(patient: InMemoryRegistry) -> None:
    """Slow, but within the time."""
    wire = patient.connect()
    data = request("GET", "/v2/")
    wire.send(data[:10])
    patient.advance(9.9)
    wire.send(data[10:])
    assert wire.answer().status == 200
    patient.advance(59.9)
    assert not wire.closed


def test_a_slow_body(patient: InMemoryRegistry) -> None:
    """A client that sends less than the rate is cut, and finds what it sent in the session."""
    location = patient.begin(new_name())
    wire = patient.connect()
    wire.send(request("PATCH", location, [("Content-Length", "1000000")]))
    for _ in range(30):
        assert not wire.closed
        wire.send(bytes(999))
        patient.advance(1)
    assert wire.aborted
    assert wire.received() == b""
    assert patient.offset(location) == 30 * 999


def test_a_body_that_comes_and_then_stops(patient: InMemoryRegistry) -> None:
    """What was sent in good time before does not help."""
    location = patient.begin(new_name())
    wire = patient.connect()
    wire.send(request("PATCH", location, [("Content-Length", "1000000")]) + bytes(500_000), 65536)
    patient.advance(30)
    assert not wire.closed
    patient.advance(30)
    assert wire.aborted
    assert patient.offset(location) == 500_000


def test_a_body_in_time(patient: InMemoryRegistry) -> None:
    """A client that keeps the rate may take as long as it needs."""
    location = patient.begin(new_name())
    wire = patient.connect()
    wire.send(request("PATCH", location, [("Content-Length", "200000")]))
    for _ in range(200):
        wire.send(bytes(1000))
        patient.advance(1)
    assert wire.answer().header("Range") == "0-199999"
    assert not wire.closed


def test_a_body_that_we_hold_back(new_registry: NewRegistry) -> None:
    """A client that waits for our disk is not to blame."""
    registry = new_registry(worker=Later(), patience=PATIENCE)
    content = new_content(3 * HIGH_WATER_BYTES)
    location = registry.begin(new_name())
    wire = registry.connect()
    registry.at_work = False
    wire.send(request("PATCH", location, body=content), 65536)
    for _ in range(100):
        registry.advance(10)
    assert not wire.closed
    registry.at_work = True
    registry.settle()
    assert wire.answer().status == 202


def test_a_disk_that_comes_back_late(new_registry: NewRegistry) -> None:
    """Time in which we held the body back is not the client's; the time after it is."""
    registry = new_registry(worker=Later(), patience=PATIENCE)
    location = registry.begin(new_name())
    wire = registry.connect()
    registry.at_work = False
    length = 3 * HIGH_WATER_BYTES
    wire.send(request("PATCH", location, [("Content-Length", str(length))]))
    wire.send(bytes(length - 1000), 65536)
    registry.advance(PATIENCE.rate_seconds)
    registry.advance(PATIENCE.rate_seconds - 0.1)
    registry.at_work = True
    registry.settle()
    registry.advance(0.2)
    assert not wire.closed
    for _ in range(3):
        registry.advance(PATIENCE.rate_seconds)
    assert wire.aborted


def test_a_body_that_nobody_wants(patient: InMemoryRegistry) -> None:
    """Where a body means nothing, it has the time of headers."""
    wire = patient.connect()
    wire.send(request("GET", "/v2/", [("Content-Length", "1000000")]))
    for _ in range(10):
        assert not wire.closed
        wire.send(bytes(1000))
        patient.advance(1)
    assert wire.closed


def test_a_client_that_waits_for_100(patient: InMemoryRegistry) -> None:
    """Told to go on, it has to."""
    location = patient.begin(new_name())
    wire = patient.connect()
    wire.send(request("PATCH", location, [("Expect", "100-continue"), ("Content-Length", "9")]))
    assert wire.received().startswith(b"HTTP/1.1 100 ")
    patient.advance(30)
    assert wire.aborted


def test_a_slow_handler(new_registry: NewRegistry) -> None:
    """The client is not to blame for the time that we need."""
    registry = new_registry(worker=Later(), patience=PATIENCE)
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("GET", "/v2/_catalog?n=1"))
    for _ in range(100):
        registry.advance(10)
    assert not wire.closed
    registry.at_work = True
    registry.settle()
    assert wire.answer().status == 200


def test_a_reader_that_stops(patient: InMemoryRegistry) -> None:
    """A client that does not take a chunk in the time is cut."""
    path = patient.push(new_name(), new_content(4 * CHUNK_BYTES))
    wire = patient.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", path))
    patient.advance(29.9)
    assert not wire.closed
    patient.advance(0.1)
    assert wire.aborted
    assert len(wire.received()) < 2 * CHUNK_BYTES


def test_a_slow_reader(patient: InMemoryRegistry) -> None:
    """A client that reads, however slowly within the rate, gets everything."""
    content = new_content(4 * CHUNK_BYTES)
    path = patient.push(new_name(), content)
    wire = patient.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", path))
    while wire.transport.kept:
        assert not wire.closed
        patient.advance(1)
        wire.take(10_000)
    assert wire.answer().body == content


def test_a_reader_that_stops_at_the_end(patient: InMemoryRegistry) -> None:
    """The last bytes have to be read as well, or the connection is cut with them unread."""
    path = patient.push(new_name(), bytes(TAIL))
    wire = patient.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", path))
    patient.advance(60)
    patient.advance(CLOSE_SECONDS)
    assert wire.aborted


TAIL = 20_000


def test_a_reader_of_many_small_answers_that_stops(patient: InMemoryRegistry) -> None:
    """So have small answers."""
    path = patient.push(new_name(), bytes(TAIL))
    wire = patient.connect()
    wire.transport.client_reads = False
    wire.send(20 * request("GET", path))
    patient.advance(60)
    patient.advance(CLOSE_SECONDS)
    assert wire.aborted
    assert wire.lost


def test_a_refusal_that_is_not_read(patient: InMemoryRegistry) -> None:
    """A connection that was told to close does not stay for somebody who does not listen."""
    wire = patient.connect()
    wire.transport.client_reads = False
    wire.send(b"nonsense\r\n")
    assert wire.closed
    patient.advance(CLOSE_SECONDS - 0.1)
    assert not wire.aborted
    patient.advance(0.1)
    assert wire.aborted


def test_no_timer_outlives_its_connection(patient: InMemoryRegistry) -> None:
    """Whatever a connection was at, when it is gone nothing waits for it."""
    name = new_name()
    path = patient.push(name, new_content(4 * CHUNK_BYTES))
    location = patient.begin(name)
    for data in (
        b"",
        b"G",
        b"GET / HTTP/1.1\r\nX",
        request("GET", "/v2/"),
        request("GET", path),
        request("PATCH", location, [("Content-Length", "10")]),
        request("PUT", f"{location}?digest={digest_of(b'x')}", body=b""),
        request("POST", "/v2/x", [("Content-Length", "10")]),
        request("GET", "/v2/", [("Content-Length", "10")]),
        b"nonsense\r\n",
    ):
        wire = patient.connect()
        wire.transport.client_reads = False
        wire.send(data)
        wire.hang_up()
        assert patient.clock.getDelayedCalls() == [], data
