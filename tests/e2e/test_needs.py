"""
What clients need of a registry, as each of these has broken a real client elsewhere.

A test each, on plain sockets; what needs credentials is tested where credentials are known.
"""

from __future__ import annotations

import os
import ssl
import time
from collections.abc import Iterator
from email.parser import BytesParser
from email.policy import HTTP
from pathlib import Path

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.images import (
    CONFIG,
    EMPTY,
    LAYER,
    MANIFEST,
    MEGABYTE,
    as_json,
    digest_of,
    noise,
)
from tests.e2e.programs import Client, settles
from tests.e2e.wire import (
    OCTETS,
    Answer,
    closing,
    connect,
    exchange,
    head_of,
    push_blob,
    push_manifest,
    read_answer,
    start_upload,
)

# What clients that listen to several forms of manifest send, one line each.
ACCEPTED = [
    MANIFEST,
    "application/vnd.docker.distribution.manifest.v2+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
    "application/vnd.oci.image.index.v1+json",
]


def client_hello() -> bytes:
    """The first bytes that a TLS client sends."""
    outgoing = ssl.MemoryBIO()
    session = ssl.create_default_context().wrap_bio(ssl.MemoryBIO(), outgoing, False, "localhost")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return outgoing.read()


def test_a_tls_client_is_told_at_once_that_this_is_http(registry: Registry) -> None:
    """A TLS ClientHello on the plain port is answered with an HTTP 400 at once, then hung up on."""
    started = time.monotonic()
    with connect(registry) as connection:
        connection.sendall(client_hello())
        said = bytearray(connection.recv(4096))
        passed = time.monotonic() - started
        while more := connection.recv(4096):
            said += more

    assert said.startswith(b"HTTP/1.1 400 ")
    assert passed < 0.5
    assert time.monotonic() - started < 2


def test_a_client_that_tries_tls_first_is_served_quickly(
    skopeo: Client, registry: Registry, name: str
) -> None:
    """Skopeo, which tries TLS before plain HTTP, does not wait for anything."""
    started = time.monotonic()
    skopeo.refused("inspect", "--tls-verify=false", f"docker://{registry}/{name}:1")

    assert time.monotonic() - started < 5


def test_an_open_registry_asks_for_no_credentials(registry: Registry) -> None:
    """Where everybody may do everything, the ping is a plain 200."""
    answer = exchange(registry, "GET", "/v2/")

    assert answer.status == 200
    assert answer.headers["Docker-Distribution-API-Version"] == "registry/2.0"
    assert "X-Registry-Supports-Signatures" not in answer.headers


def test_empty_credentials_are_no_credentials(registry: Registry, name: str) -> None:
    """A client with an empty user name and an empty password is served like one without."""
    empty = [("Authorization", "Basic Og==")]

    assert exchange(registry, "GET", "/v2/", empty).status == 200
    answer = exchange(registry, "POST", f"/v2/{name}/blobs/uploads/", empty, b"")
    assert answer.status == 202


def test_the_headers_that_clients_insist_on_are_there(registry: Registry, name: str) -> None:
    """Digests on both PUTs, the range on PATCH, the length on HEAD, the type of a manifest."""
    content = noise(name, 1000)
    digest = digest_of(content)
    location = start_upload(registry, name)

    patched = exchange(registry, "PATCH", location, [], content)
    closed = exchange(registry, "PUT", closing(location, digest), [], b"")
    checked = exchange(registry, "HEAD", f"/v2/{name}/blobs/{digest}")

    assert patched.status == 202
    assert patched.headers["Range"] == "0-999"
    assert closed.status == 201
    assert closed.headers["Docker-Content-Digest"] == digest
    assert checked.status == 200
    assert checked.headers["Content-Length"] == "1000"
    manifest = image_of(digest, len(content))
    pushed = push_manifest(registry, name, "1", MANIFEST, manifest)
    checked = exchange(registry, "HEAD", f"/v2/{name}/manifests/1")
    assert pushed.status == 201
    assert pushed.headers["Docker-Content-Digest"] == digest_of(manifest)
    assert checked.headers["Docker-Content-Digest"] == digest_of(manifest)
    assert checked.headers["Content-Length"] == str(len(manifest))
    assert checked.headers["Content-Type"] == MANIFEST


@pytest.mark.parametrize("expects", [False, True], ids=["at-once", "after-100"])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_refusal_reaches_a_client_that_is_sending(
    registry: Registry, name: str, method: str, expects: bool
) -> None:
    """A client can send a large body to its end, and then read why it was in vain."""
    body = bytes(8 * MEGABYTE)
    target = f"/v2/{name}/blobs/uploads/00000000-0000-0000-0000-000000000000"
    length = f"Content-Length: {len(body)}"
    expect = ["Expect: 100-continue"] if expects else []
    with connect(registry) as connection:
        path = closing(target, digest_of(body)) if method == "PUT" else target
        connection.sendall(head_of(registry, method, path, length, *expect))
        if not expects:
            connection.sendall(body)
        answer = read_answer(connection, method)

    assert answer.status == 404
    assert answer.codes() == ["BLOB_UPLOAD_UNKNOWN"]


def test_accept_headers_in_several_lines_are_all_heard(registry: Registry, name: str) -> None:
    """A manifest is served whichever of the lines names its type, and also where none does."""
    push_image(registry, name)
    path = f"/v2/{name}/manifests/1"

    for accepted in (ACCEPTED, ACCEPTED[::-1], ["application/json"], []):
        answer = exchange(registry, "GET", path, [("Accept", line) for line in accepted])
        assert answer.status == 200
        assert answer.headers["Content-Type"] == MANIFEST


def test_a_header_of_20_kilobytes_asks_for_many_ranges(registry: Registry, name: str) -> None:
    """A thousand ranges of a blob come as the parts of one answer."""
    content = noise(name, MEGABYTE)
    digest = digest_of(content)
    push_blob(registry, name, content, digest)
    wanted = [(900 * number + 100_000, 900 * number + 100_009) for number in range(1000)]
    ranges = "bytes=" + ", ".join(f"{first:09d}-{last:09d}" for first, last in wanted)
    assert len(ranges) > 20_000

    answer = exchange(registry, "GET", f"/v2/{name}/blobs/{digest}", [("Range", ranges)])

    assert answer.status == 206
    assert list(parts_of(answer)) == [
        (f"bytes {first}-{last}/{MEGABYTE}", content[first : last + 1]) for first, last in wanted
    ]


def test_an_aborted_download_leaves_nothing_behind(registry: Registry, name: str) -> None:
    """A client that asks for the rest of a blob and leaves midway costs no file descriptor."""
    content = noise(name, 40 * MEGABYTE)
    digest = digest_of(content)
    push_blob(registry, name, content, digest)
    path = f"/v2/{name}/blobs/{digest}"
    descriptors = Path(f"/proc/{registry.process_id()}/fd")
    before = len(os.listdir(descriptors))

    for first in range(0, 16 * MEGABYTE, 2 * MEGABYTE):
        with connect(registry) as connection:
            connection.sendall(head_of(registry, "GET", path, f"Range: bytes={first}-"))
            received = 0
            while received < 2 * MEGABYTE:
                received += len(connection.recv(65536))

    assert settles(lambda: len(os.listdir(descriptors)) <= before)
    assert digest_of(exchange(registry, "GET", path).body) == digest


def test_an_open_range_from_the_beginning_is_the_whole(registry: Registry, name: str) -> None:
    """Clients ask for manifests and blobs with C{bytes=0-} and get all of them."""
    manifest = push_image(registry, name)
    whole = [("Range", "bytes=0-")]
    config = f"/v2/{name}/blobs/{digest_of(b'{}')}"

    assert exchange(registry, "GET", f"/v2/{name}/manifests/1", whole).body == manifest
    answer = exchange(registry, "GET", config, whole)
    assert answer.status == 206
    assert answer.headers["Content-Range"] == "bytes 0-1/2"
    assert answer.body == b"{}"


@pytest.mark.parametrize("codings", ["gzip", "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"])
def test_nothing_is_encoded_on_its_way(registry: Registry, name: str, codings: str) -> None:
    """Whatever codings a client knows, it gets the bytes that the digest is made of."""
    content = b"a" * 100_000
    digest = digest_of(content)
    push_blob(registry, name, content, digest)
    manifest = push_image(registry, name)
    known = [("Accept-Encoding", codings)]

    for path, stored in ((f"blobs/{digest}", content), ("manifests/1", manifest)):
        answer = exchange(registry, "GET", f"/v2/{name}/{path}", known)
        assert "Content-Encoding" not in answer.headers
        assert answer.headers["Content-Length"] == str(len(stored))
        assert answer.body == stored


def test_a_refused_put_can_be_sent_again(registry: Registry, name: str) -> None:
    """After a PUT that was refused the same session takes the right one."""
    content = noise(name, MEGABYTE)
    location = start_upload(registry, name)
    wrong = closing(location, digest_of(b"something else"))

    refused = exchange(registry, "PUT", wrong, [OCTETS], content)
    accepted = exchange(registry, "PUT", closing(location, digest_of(content)), [OCTETS], content)

    assert refused.status == 400
    assert refused.codes() == ["DIGEST_INVALID"]
    assert accepted.status == 201


def image_of(digest: str, size: int) -> bytes:
    """The manifest of an image of one layer, with an empty config."""
    return as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": digest, "size": size},
            "layers": [{"mediaType": LAYER, "digest": digest, "size": size}],
        }
    )


def push_image(registry: Registry, name: str) -> bytes:
    """Tag a minimal image C{1}, and return its manifest."""
    push_blob(registry, name, b"{}", digest_of(b"{}"))
    empty = {"mediaType": EMPTY, "digest": digest_of(b"{}"), "size": 2}
    manifest = as_json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": "application/vnd.example.nothing",
            "config": empty,
            "layers": [empty],
        }
    )
    assert push_manifest(registry, name, "1", MANIFEST, manifest).status == 201
    return manifest


def parts_of(answer: Answer) -> Iterator[tuple[str, bytes]]:
    """The ranges of an answer in several parts, each with its bytes."""
    assert answer.headers.get_content_type() == "multipart/byteranges"
    boundary = answer.headers.get_param("boundary")
    assert isinstance(boundary, str)
    before, *parts, end = (b"\r\n" + answer.body).split(f"\r\n--{boundary}".encode())
    assert (before.strip(), end.strip()) == (b"", b"--")
    for part in parts:
        head, _, content = part.partition(b"\r\n\r\n")
        headers = BytesParser(policy=HTTP).parsebytes(head.lstrip() + b"\r\n\r\n")
        yield headers["Content-Range"], content
