"""
Clients that go in the middle: what came is kept where it can be resumed, and nobody is alarmed.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ociregd.web.sending import CHUNK_BYTES

from ..harness import InMemoryRegistry
from ..messages import digest_of, image_manifest, new_content, new_name, request

CONTENT = new_content(1000)


def test_in_the_body_of_a_chunk(either_registry: InMemoryRegistry) -> None:
    """The bytes that came are kept, and the upload goes on behind them."""
    registry, name = either_registry, new_name()
    location = registry.begin(name)
    wire = registry.connect()
    wire.send(request("PATCH", location, body=CONTENT)[:-400], 100)
    wire.hang_up()
    assert wire.received() == b""
    assert registry.offset(location) == 600
    headers = [("Content-Range", "600-999")]
    assert registry.call("PATCH", location, headers, CONTENT[600:]).status == 202
    digest = digest_of(CONTENT)
    assert registry.call("PUT", f"{location}?digest={digest}", body=b"").status == 201


def test_in_the_last_chunk(either_registry: InMemoryRegistry) -> None:
    """An upload whose end was cut off is not a blob, and can be ended later."""
    registry, name = either_registry, new_name()
    location, digest = registry.begin(name), digest_of(CONTENT)
    wire = registry.connect()
    wire.send(request("PUT", f"{location}?digest={digest}", body=CONTENT)[:-1])
    wire.hang_up()
    assert registry.call("GET", f"/v2/{name}/blobs/{digest}").status == 404
    assert registry.offset(location) == 999
    rest = CONTENT[999:]
    assert registry.call("PUT", f"{location}?digest={digest}", body=rest).status == 201


def test_in_a_chunked_body(either_registry: InMemoryRegistry) -> None:
    """A stream that breaks off is not taken for one that ended."""
    registry, name = either_registry, new_name()
    location = registry.begin(name)
    wire = registry.connect()
    wire.send(request("PATCH", location, chunks=[CONTENT])[:-2])
    wire.hang_up()
    assert wire.received() == b""
    assert registry.offset(location) == len(CONTENT)


def test_in_a_blob_pushed_at_once(either_registry: InMemoryRegistry) -> None:
    """Half a blob is none, and a second attempt finds nothing in its way."""
    registry, name, content = either_registry, new_name(), new_content(1000)
    path = f"/v2/{name}/blobs/{digest_of(content)}"
    target = f"/v2/{name}/blobs/uploads/?digest={digest_of(content)}"
    wire = registry.connect()
    wire.send(request("POST", target, body=content)[:-1])
    wire.hang_up()
    assert registry.call("GET", path).status == 404
    assert registry.push(name, content) == path
    assert registry.pull(path) == content


def test_in_a_manifest(either_registry: InMemoryRegistry) -> None:
    """Half a manifest is none."""
    registry, name = either_registry, new_name()
    registry.push(name, b"{}")
    wire = registry.connect()
    wire.send(request("PUT", f"/v2/{name}/manifests/t", body=image_manifest(b"{}"))[:-1])
    wire.hang_up()
    assert registry.call("GET", f"/v2/{name}/manifests/t").status == 404


@pytest.mark.parametrize("jobs", range(12))
def test_at_any_moment_of_a_push(lazy_registry: InMemoryRegistry, jobs: int) -> None:
    """
    Whatever the worker was at when the client went: the blob is there or the session is, and
    pushing again succeeds.
    """
    registry, name, content = lazy_registry, new_name(), new_content(500)
    location, digest = registry.begin(name), digest_of(content)
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("PUT", f"{location}?digest={digest}", body=content))
    for _ in range(jobs):
        if registry.worker.waiting:  # type: ignore[attr-defined]
            registry.worker.perform()  # type: ignore[attr-defined]
            registry.settle()
    wire.hang_up()
    registry.at_work = True
    registry.settle()
    stored = registry.call("GET", f"/v2/{name}/blobs/{digest}").status == 200
    kept = registry.call("GET", location).status == 204
    assert stored != kept
    if kept:
        rest = content[registry.offset(location) :]
        assert registry.call("PUT", f"{location}?digest={digest}", body=rest).status == 201
    assert registry.pull(f"/v2/{name}/blobs/{digest}") == content


@pytest.mark.parametrize("jobs", range(6))
def test_at_any_moment_of_a_pull(lazy_registry: InMemoryRegistry, jobs: int) -> None:
    """A reader that goes takes its file along: no descriptor is left open."""
    registry = lazy_registry
    path = registry.push(new_name(), new_content(3 * CHUNK_BYTES))
    before = open_files(registry)
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("GET", path))
    for _ in range(jobs):
        if registry.worker.waiting:  # type: ignore[attr-defined]
            registry.worker.perform()  # type: ignore[attr-defined]
            registry.settle()
    wire.hang_up()
    registry.at_work = True
    registry.settle()
    assert open_files(registry) == before


def test_during_an_answer(either_registry: InMemoryRegistry) -> None:
    """A client that has read enough of a blob goes: parallel pulls do that all the time."""
    registry = either_registry
    path = registry.push(new_name(), new_content(4 * CHUNK_BYTES))
    before = open_files(registry)
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", path))
    assert len(wire.received()) < 2 * CHUNK_BYTES
    wire.hang_up()
    assert open_files(registry) == before
    assert registry.clock.getDelayedCalls() == []


def test_before_the_answer(lazy_registry: InMemoryRegistry) -> None:
    """A client that does not wait for an answer is not answered, and nothing else happens."""
    registry = lazy_registry
    registry.at_work = False
    wires = [registry.connect() for _ in range(3)]
    for wire, target in zip(wires, ("/v2/_catalog", f"/v2/{new_name()}/tags/list"), strict=False):
        wire.send(request("GET", target))
    wires[2].send(request("POST", f"/v2/{new_name()}/blobs/uploads/", body=b""))
    for wire in wires:
        wire.hang_up()
    registry.at_work = True
    registry.settle()
    assert [wire.received() for wire in wires] == [b""] * 3


def test_between_pipelined_requests(lazy_registry: InMemoryRegistry) -> None:
    """What was pipelined behind a request whose client went is not done."""
    registry, name = lazy_registry, new_name()
    target = f"/v2/{name}/blobs/uploads/?digest={digest_of(CONTENT)}"
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("GET", "/v2/_catalog") + request("POST", target, body=CONTENT))
    wire.hang_up()
    registry.at_work = True
    registry.settle()
    assert registry.call("GET", f"/v2/{name}/blobs/{digest_of(CONTENT)}").status == 404


def open_files(registry: InMemoryRegistry) -> int:
    """How many descriptors this process has below the directory of a registry's blobs."""
    blobs = str(registry.directory / "blobs")
    links = []
    for link in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(link.readlink()))
        except FileNotFoundError:  # the one that lists them
            continue
    return sum(target.startswith(blobs) for target in links)
