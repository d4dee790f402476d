"""
Where the network cuts a request, and what follows it on the connection, changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import pytest
from attrs import frozen

from ..harness import InMemoryRegistry
from ..messages import digest_of, image_manifest, new_content, new_name, read_answer, request

CONTENT = b"hello world"
CODINGS: dict[str, dict[str, object]] = {
    "length": {"body": CONTENT},
    "chunked": {"chunks": [CONTENT[:1], CONTENT[1:8], CONTENT[8:]]},
}


@frozen
class Push:
    """
    A request with a body, as it is cut.

    @ivar make: prepares the repository and returns the request.
    @ivar check: asserts what the request has brought about.
    """

    make: Callable[[InMemoryRegistry, str], bytes]
    check: Callable[[InMemoryRegistry, str], None]


def blob_is_there(registry: InMemoryRegistry, name: str) -> None:
    """The blob can be pulled."""
    assert registry.pull(f"/v2/{name}/blobs/{digest_of(CONTENT)}") == CONTENT


def manifest_is_there(registry: InMemoryRegistry, name: str) -> None:
    """The manifest can be pulled."""
    assert registry.pull(f"/v2/{name}/manifests/t") == image_manifest(b"{}")


def put_manifest(registry: InMemoryRegistry, name: str) -> bytes:
    """A manifest whose config is there."""
    registry.push(name, b"{}")
    return request("PUT", f"/v2/{name}/manifests/t", body=image_manifest(b"{}"))


def put_blob(registry: InMemoryRegistry, name: str) -> bytes:
    """The end of an upload that has some bytes already."""
    location = registry.begin(name)
    assert registry.call("PATCH", location, body=CONTENT[:3]).status == 202
    return request("PUT", f"{location}?digest={digest_of(CONTENT)}", body=CONTENT[3:])


def post_blob(registry: InMemoryRegistry, name: str) -> bytes:
    """A whole blob at once, in the chunked coding."""
    target = f"/v2/{name}/blobs/uploads/?digest={digest_of(CONTENT)}"
    return request("POST", target, chunks=[CONTENT[:1], CONTENT[1:]])


PUSHES = {
    "manifest": Push(put_manifest, manifest_is_there),
    "end of an upload": Push(put_blob, blob_is_there),
    "blob at once": Push(post_blob, blob_is_there),
}


@pytest.mark.parametrize("heedless", [False, True])
@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS.keys())
def test_a_chunk_cut_at_any_size(
    either_registry: InMemoryRegistry, coding: dict[str, object], heedless: bool
) -> None:
    """However the network cuts a chunk and the request behind it, the same bytes are stored."""
    registry = either_registry
    location = registry.begin(new_name())
    data = request("PATCH", location, **coding) + request("GET", location)  # type: ignore[arg-type]
    for size in range(1, len(data) + 1):
        wire = registry.connect()
        wire.heedless = heedless
        wire.send(data, size)
        pushed, asked = wire.answers("PATCH", "GET")
        assert (pushed.status, asked.status) == (202, 204), size
        assert pushed.header("Range") == asked.header("Range") == f"0-{len(CONTENT) * size - 1}"
        wire.hang_up()
    digest = digest_of(CONTENT * len(data))
    assert registry.call("PUT", f"{location}?digest={digest}", body=b"").status == 201


@pytest.mark.parametrize("push", PUSHES.values(), ids=PUSHES.keys())
def test_a_push_cut_at_many_sizes(either_registry: InMemoryRegistry, push: Push) -> None:
    """However the network cuts a push and the request behind it, both do what they shall."""
    registry = either_registry
    # Each of these waits for the disk, so not all sizes: the odd ones up to a line, and then some.
    for size in [*range(1, 60, 4), 101, 151, 199, 251, 1000]:
        name = new_name()
        data = push.make(registry, name) + request("GET", "/v2/")
        wire = registry.connect()
        wire.send(data, size)
        pushed, asked = wire.answers("PUT", "GET")
        assert (pushed.status, asked.status) == (201, 200), size
        wire.hang_up()
        push.check(registry, name)


def test_a_request_in_two_pieces(registry: InMemoryRegistry) -> None:
    """Wherever the one cut is, the same bytes are stored."""
    location = registry.begin(new_name())
    data = request("PATCH", location, chunks=[CONTENT])
    for cut in range(1, len(data)):
        wire = registry.connect()
        wire.send(data[:cut])
        wire.send(data[cut:])
        assert wire.answer().header("Range") == f"0-{len(CONTENT) * cut - 1}"
        wire.hang_up()


def test_pipelined_bodies(either_registry: InMemoryRegistry) -> None:
    """Requests with bodies that come all at once are done one after the other."""
    registry = either_registry
    location = registry.begin(new_name())
    parts = [new_content(size) for size in (70_000, 1, 5000, 300_000)]
    wire = registry.connect()
    data = b"".join(request("PATCH", location, body=part) for part in parts)
    digest = digest_of(b"".join(parts))
    wire.send(data + request("PUT", f"{location}?digest={digest}", body=b""), 65536)
    answers = wire.answers(*["PATCH"] * len(parts), "PUT")
    assert [answer.status for answer in answers] == [202, 202, 202, 202, 201]
    assert answers[-1].header("Docker-Content-Digest") == digest


def test_answers_come_in_the_order_of_the_requests(lazy_registry: InMemoryRegistry) -> None:
    """A request that takes its time is answered before a quick one behind it."""
    registry, name = lazy_registry, new_name()
    path = registry.push(name, CONTENT)
    wire = registry.connect()
    registry.at_work = False
    wire.send(request("GET", path) + request("GET", "/v2/nowhere") + request("GET", "/v2/"))
    assert wire.received() == b""
    registry.at_work = True
    registry.settle()
    statuses = [answer.status for answer in wire.answers("GET", "GET", "GET")]
    assert statuses == [200, 404, 200]


@pytest.mark.parametrize("method", ["GET", "HEAD", "DELETE"])
@pytest.mark.parametrize("coding", CODINGS.values(), ids=CODINGS.keys())
def test_a_body_that_means_nothing(
    registry: InMemoryRegistry, method: str, coding: dict[str, object]
) -> None:
    """A body where there should be none is dropped, and the connection stays usable."""
    wire = registry.connect()
    target = f"/v2/{new_name()}/blobs/{digest_of(b'nothing')}"
    data = request(method, target, **coding) + request("GET", "/v2/")  # type: ignore[arg-type]
    for size in (1, 7, 100, len(data)):
        wire.send(data, size)
        refused, asked = wire.answers(method, "GET")
        assert (refused.status, asked.status) == (404, 200)


FORMS = {
    "urlencoded": ("application/x-www-form-urlencoded", b"digest=x&mount=y&n=1&" * 3),
    "multipart": (
        "multipart/form-data; boundary=b",
        b'--b\r\nContent-Disposition: form-data; name="digest"\r\n\r\nx\r\n--b--\r\n',
    ),
}


@pytest.mark.parametrize(("media_type", "form"), FORMS.values(), ids=FORMS.keys())
def test_forms_are_bytes_like_others(
    either_registry: InMemoryRegistry, media_type: str, form: bytes
) -> None:
    """A body of a form's type is a blob like any other: nothing takes it for arguments."""
    registry, name = either_registry, new_name()
    headers = [("Content-Type", media_type)]
    target = f"/v2/{name}/blobs/uploads/"
    begun = registry.call("POST", target, headers, b"")
    assert begun.status == 202
    location = begun.header("Location")
    assert registry.call("PATCH", location, headers, form).status == 202
    digest = digest_of(form * 2)
    assert registry.call("PUT", f"{location}?digest={digest}", headers, form).status == 201
    digest = digest_of(form)
    assert registry.call("POST", f"{target}?digest={digest}", headers, form).status == 201
    assert registry.pull(f"/v2/{name}/blobs/{digest}") == form


def test_a_form_is_not_kept_in_memory(lazy_registry: InMemoryRegistry) -> None:
    """A large form is held back like every body until somebody reads it."""
    registry = lazy_registry
    wire = registry.connect()
    registry.at_work = False
    headers = [("Content-Type", "application/x-www-form-urlencoded"), ("Content-Length", "99999")]
    wire.send(request("POST", f"/v2/{new_name()}/blobs/uploads/", headers))
    wire.send(b"a=b&" * 20_000, 1000)
    assert wire.paused
    assert wire.unsent == 80_000


def answers_until_closed(registry: InMemoryRegistry, data: bytes) -> Sequence[int]:
    """The statuses on a connection that the server has to close by itself."""
    wire = registry.connect()
    wire.send(data)
    statuses, received = [], wire.received()
    while received:
        answer, received = read_answer(received)
        statuses.append(answer.status)
    assert wire.closed
    return statuses


def test_connection_close(registry: InMemoryRegistry) -> None:
    """A client that says so gets one answer, and what it sends behind is not looked at."""
    ask = request("GET", "/v2/", [("Connection", "close")])
    push = request(
        "POST", f"/v2/{new_name()}/blobs/uploads/", [("Connection", "close")], body=CONTENT
    )
    assert answers_until_closed(registry, ask + request("GET", "/v2/")) == [200]
    assert answers_until_closed(registry, push + request("GET", "/v2/")) == [202]


def test_http_1_0(registry: InMemoryRegistry) -> None:
    """An old client gets its answer, ended by the end of the connection, and no chunked coding."""
    assert answers_until_closed(registry, b"GET /v2/ HTTP/1.0\r\n\r\n") == [200]
    digest = digest_of(CONTENT)
    push = f"POST /v2/{new_name()}/blobs/uploads/?digest={digest} HTTP/1.0\r\nContent-Length: 11"
    assert answers_until_closed(registry, push.encode() + b"\r\n\r\n" + CONTENT) == [201]


def test_an_empty_line_before_a_request(registry: InMemoryRegistry) -> None:
    """One empty line between requests is forgiven, as RFC 9112 2.2 asks."""
    wire = registry.connect()
    wire.send(request("GET", "/v2/") + b"\r\n" + request("GET", "/v2/"))
    assert [answer.status for answer in wire.answers("GET", "GET")] == [200, 200]
