"""
Manifests that are large, many, and slow: what they take of the memory is bounded.
"""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator

import pytest

from ociregd.web.budget import BUDGET_BYTES, FREE_BYTES
from ociregd.web.sending import CHUNK_BYTES

from ..harness import InMemoryRegistry, Wire
from ..messages import digest_of, image_manifest, new_name, request
from ..transports import TRANSPORT_BYTES
from ..workers import Later

SIZE = 3 * CHUNK_BYTES
LARGE = image_manifest(b"{}", annotations={"org.example": "x" * SIZE})

#: Room for one, and not for another.
BUDGET = len(LARGE) + 1000


def new_repository(registry: InMemoryRegistry) -> str:
    """Where a manifest can be pushed to."""
    name = new_name()
    registry.push(name, b"{}")
    return f"/v2/{name}/manifests/"


def perform(registry: InMemoryRegistry, which: int = 0) -> None:
    """Let the worker do one job, and the network what follows from it."""
    assert isinstance(registry.worker, Later)
    registry.worker.perform(which)
    registry.settle()


@pytest.fixture
def traced() -> Iterator[None]:
    """Python counts what it allocates."""
    tracemalloc.start()
    yield
    tracemalloc.stop()


def slow_reader(registry: InMemoryRegistry, target: str) -> Wire:
    """A client that asks for something and does not read it."""
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", target))
    return wire


@pytest.mark.usefixtures("traced")
def test_slow_readers(registry: InMemoryRegistry) -> None:
    """Of a large manifest a client that does not read keeps a chunk in memory, not all of it."""
    target = new_repository(registry) + "t"
    manifest = image_manifest(b"{}", annotations={"org.example": "x" * 8 * CHUNK_BYTES})
    assert registry.call("PUT", target, body=manifest).status == 201
    before, _ = tracemalloc.get_traced_memory()
    wires = [slow_reader(registry, target) for _ in range(20)]
    after, _ = tracemalloc.get_traced_memory()
    # The harness keeps what was sent, beside what the coroutine and the transport may have.
    assert after - before < len(wires) * 3 * CHUNK_BYTES
    for wire in wires:
        while wire.transport.kept:
            wire.take(CHUNK_BYTES)
        assert wire.answer().body == manifest


def test_head(either_registry: InMemoryRegistry) -> None:
    """A question about a large manifest, or one that the client has, is answered without it."""
    target = new_repository(either_registry) + "t"
    assert either_registry.call("PUT", target, body=LARGE).status == 201
    answer = either_registry.call("HEAD", target)
    assert (answer.status, answer.header("Content-Length")) == (200, str(len(LARGE)))
    headers = [("If-None-Match", answer.header("ETag"))]
    assert either_registry.call("GET", target, headers).status == 304
    assert either_registry.call("GET", target).body == LARGE


def test_deleted_while_it_is_sent(either_registry: InMemoryRegistry) -> None:
    """The answer breaks off: the client must not take what it has for the manifest."""
    registry, repository = either_registry, new_repository(either_registry)
    assert registry.call("PUT", repository + "t", body=LARGE).status == 201
    wire = slow_reader(registry, repository + "t")
    assert registry.call("DELETE", repository + digest_of(LARGE)).status == 202
    wire.take(CHUNK_BYTES + TRANSPORT_BYTES)
    assert wire.aborted
    received = wire.received()
    assert f"Content-Length: {len(LARGE)}".encode() in received
    assert received.count(b"HTTP/1.1") == 1
    assert b"MANIFEST_UNKNOWN" not in received


def test_deleted_before_it_is_sent(lazy_registry: InMemoryRegistry) -> None:
    """What is deleted before its first byte was sent is unknown, and nothing is said of it."""
    registry, repository = lazy_registry, new_repository(lazy_registry)
    assert registry.call("PUT", repository + "t", body=LARGE).status == 201
    registry.at_work = False
    reader, deleter = registry.connect(), registry.connect()
    reader.send(request("GET", repository + "t"))
    perform(registry)
    deleter.send(request("DELETE", repository + digest_of(LARGE)))
    perform(registry, which=1)
    assert deleter.answer().status == 202
    perform(registry)
    answer = reader.answer()
    assert (answer.status, answer.codes) == (404, ["MANIFEST_UNKNOWN"])
    assert answer.values("ETag") == answer.values("Docker-Content-Digest") == []


def new_referrers(registry: InMemoryRegistry) -> str:
    """Where a list of referrers is that does not fit on a page."""
    repository = new_repository(registry)
    subject = json.loads(image_manifest(b"{}"))["config"]
    for number in range(3):
        annotations = {"org.example": "x" * SIZE, "number": str(number)}
        manifest = image_manifest(b"{}", annotations=annotations, subject=subject)
        assert registry.call("PUT", f"{repository}{number}", body=manifest).status == 201
    return f"{repository.replace('manifests', 'referrers')}{subject['digest']}"


@pytest.mark.usefixtures("traced")
def test_slow_readers_of_referrers(registry: InMemoryRegistry) -> None:
    """A list of referrers is kept until it is read, once, and without what it was made from."""
    target = new_referrers(registry)
    before, _ = tracemalloc.get_traced_memory()
    wires = [slow_reader(registry, target) for _ in range(10)]
    after, _ = tracemalloc.get_traced_memory()
    assert after - before < len(wires) * (SIZE + 3 * CHUNK_BYTES)
    assert registry.list_budget.left < BUDGET_BYTES - len(wires) * SIZE
    for wire in wires:
        while wire.transport.kept:
            wire.take(CHUNK_BYTES)
        assert wire.answer().status == 200
    assert registry.list_budget.left == BUDGET_BYTES


def test_too_many_readers_of_referrers(either_registry: InMemoryRegistry) -> None:
    """
    When as many lists are being read as there is room for, one more reader is asked to come back,
    but not if its list is small; those who read go on.
    """
    registry, target = either_registry, new_referrers(either_registry) + "?artifactType="
    target += "application/vnd.oci.image.config.v1%2Bjson"
    registry.list_budget.left = 2 * SIZE
    reader = slow_reader(registry, target)
    refused = registry.call("GET", target)
    assert (refused.status, refused.codes) == (429, ["TOOMANYREQUESTS"])
    assert refused.values("Link") == refused.values("OCI-Filters-Applied") == []
    assert registry.call("GET", target + "x").status == 200
    while reader.transport.kept:
        reader.take(CHUNK_BYTES)
    answer = reader.answer()
    assert len(json.loads(answer.body)["manifests"]) == 1
    assert answer.values("Link") != []
    slow_reader(registry, target).hang_up()
    assert registry.list_budget.left == 2 * SIZE


@pytest.mark.parametrize("coding", ["length", "chunked"])
def test_too_many_at_once(either_registry: InMemoryRegistry, coding: str) -> None:
    """
    While others are pushing as much as there is room for, one is asked to come back; then it is
    taken, on the same connection.
    """
    registry, repository = either_registry, new_repository(either_registry)
    registry.push_budget.left = BUDGET
    one, other = registry.connect(), registry.connect()
    if coding == "length":
        data = request("PUT", repository + "t", body=LARGE)
    else:
        pieces = [LARGE[at : at + 5000] for at in range(0, len(LARGE), 5000)]
        data = request("PUT", repository + "t", chunks=pieces)
    one.send(data[:-1], 10_000)
    other.send(data, 10_000)
    refused = other.answer("PUT")
    assert (refused.status, refused.codes) == (429, ["TOOMANYREQUESTS"])
    assert refused.header("Retry-After") == "1"
    assert BUDGET - registry.push_budget.left >= len(LARGE) - 10_000, "only the first one has room"
    one.send(data[-1:])
    assert one.answer("PUT").status == 201
    assert registry.push_budget.left == BUDGET
    other.send(data, 10_000)
    assert other.answer("PUT").status == 201
    assert registry.push_budget.left == BUDGET


def test_small_ones_are_not_counted(either_registry: InMemoryRegistry) -> None:
    """Ordinary manifests are taken however many large ones there are."""
    registry, repository = either_registry, new_repository(either_registry)
    empty = len(image_manifest(b"{}", annotations={"org.example": ""}))
    small = image_manifest(b"{}", annotations={"org.example": "x" * (FREE_BYTES - empty)})
    assert len(small) == FREE_BYTES
    registry.push_budget.left = 0
    assert registry.call("PUT", repository + "t", body=small).status == 201
    assert registry.call("PUT", repository + "t", body=small + b" ").status == 429
    assert registry.pull(repository + "t") == small


@pytest.mark.parametrize(
    ("body", "reference", "code"),
    [
        (LARGE[:-1], "t", "MANIFEST_INVALID"),
        (
            LARGE.replace(digest_of(b"{}").encode(), digest_of(b"?").encode()),
            "t",
            "MANIFEST_BLOB_UNKNOWN",
        ),
        (LARGE, digest_of(b"?"), "DIGEST_INVALID"),
    ],
)
def test_given_back_after_a_refusal(
    either_registry: InMemoryRegistry, body: bytes, reference: str, code: str
) -> None:
    """What a refused manifest took is there for others."""
    registry, repository = either_registry, new_repository(either_registry)
    registry.push_budget.left = BUDGET
    answer = registry.call("PUT", repository + reference, body=body)
    assert (answer.status, answer.codes) == (400, [code])
    assert registry.push_budget.left == BUDGET


def test_given_back_when_it_becomes_too_large(either_registry: InMemoryRegistry) -> None:
    """So is what one took that turned out to be too large."""
    registry, repository = either_registry, new_repository(either_registry)
    most = registry.policy.manifest_bytes
    pieces = [b"x" * 100_000] * (most // 100_000 + 1)
    before = registry.push_budget.left
    assert registry.call("PUT", repository + "t", chunks=pieces).status == 413
    assert registry.push_budget.left == before


def test_given_back_after_a_hang_up(either_registry: InMemoryRegistry) -> None:
    """And what a client took that went before the end."""
    registry, repository = either_registry, new_repository(either_registry)
    registry.push_budget.left = BUDGET
    wire = registry.connect()
    wire.send(request("PUT", repository + "t", body=LARGE)[:-1])
    assert registry.push_budget.left < 2000
    wire.hang_up()
    assert registry.push_budget.left == BUDGET
    assert registry.call("PUT", repository + "t", body=LARGE).status == 201


@pytest.mark.parametrize("body", [LARGE, LARGE[:-1]])
def test_kept_as_long_as_a_thread_has_it(lazy_registry: InMemoryRegistry, body: bytes) -> None:
    """
    A client that goes when its manifest is whole leaves it in memory until a thread has read it,
    and it counts as long. What came of it nobody hears, nor is it a fault if it was refused.
    """
    registry, repository = lazy_registry, new_repository(lazy_registry)
    registry.push_budget.left = BUDGET
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("PUT", repository + "t", body=body))
    wire.hang_up()
    assert registry.push_budget.left == BUDGET - len(body)
    registry.at_work = True
    registry.settle()
    assert registry.push_budget.left == BUDGET
    stored = registry.call("GET", repository + "t").status
    assert stored == (200 if body == LARGE else 404)
