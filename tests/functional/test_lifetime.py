"""
What outlasts a restart, and what ends by itself: sessions that nobody uses, clients that are slow.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from .client import Wire, request
from .conftest import NewDaemon
from .content import OCI_MANIFEST, digest_of, encode, unique
from .daemon import Daemon, eventually
from .repository import Repository


@pytest.mark.parametrize("end", [Daemon.stop, Daemon.kill])
def test_restart(new_daemon: NewDaemon, end: Callable[[Daemon], None]) -> None:
    """After a stop and after a crash all is there that was acknowledged, and uploads go on."""
    daemon = new_daemon()
    daemon.start()
    assert daemon.client.call("GET", "/v2/_catalog").json() == {"repositories": []}
    repository = Repository(daemon.client, "kept/app")
    digest, body = repository.push_image("v1")
    referrer = encode(
        repository.image(subject={"mediaType": OCI_MANIFEST, "digest": digest, "size": len(body)})
    )
    repository.push_manifest(referrer)
    content = unique(200_000)
    sessions = {algorithm: repository.begin() for algorithm in ("sha256", "sha512")}
    for location in sessions.values():
        repository.append(location, content[:150_000])

    end(daemon)
    daemon.start()

    assert daemon.client.call("GET", "/v2/_catalog").json() == {"repositories": ["kept/app"]}
    assert repository.tags() == ["v1"]
    assert repository.get(f"manifests/{digest}") == repository.get("manifests/v1") == body
    assert len(repository.referrers(digest)) == 1
    for algorithm, location in sessions.items():
        assert repository.received(location) == "0-149999"
        headers = {"Content-Range": "150000-199999"}
        answer = repository.client.call("PATCH", location, headers, content[150_000:])
        assert answer.status == 202
        assert repository.commit(location, digest_of(content, algorithm)).status == 201
        assert repository.get(f"blobs/{digest_of(content, algorithm)}") == content
    daemon.stop()


def test_uploads_expire(impatient_daemon: Daemon) -> None:
    """end-5, 6, 13, 14: a session that nobody uses expires: its bytes go, and it is 404."""
    repository = Repository(impatient_daemon.client, "expiring/app")
    location = repository.begin()
    repository.append(location, unique())
    uploads = impatient_daemon.root / "uploads"
    assert list(uploads.iterdir()) != []
    eventually(lambda: list(uploads.iterdir()) == [])
    for method in ("GET", "PATCH", "DELETE"):
        body = b"x" if method == "PATCH" else None
        answer = repository.client.call(method, location, body=body)
        assert (answer.status, answer.codes()) == (404, ["BLOB_UPLOAD_UNKNOWN"])


@pytest.mark.parametrize(
    "beginning",
    [b"", b"GET", b"GET /v2/ HTTP/1.1\r\n", b"GET /v2/ HTTP/1.1\r\nHost: x\r\nX: "],
)
def test_request_that_does_not_go_on(impatient_daemon: Daemon, beginning: bytes) -> None:
    """A connection on which no request is completed in time is ended by the registry."""
    with Wire(impatient_daemon.port) as wire:
        wire.send(beginning)
        rest = wire.rest()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")


def test_body_that_does_not_go_on(impatient_daemon: Daemon) -> None:
    """An upload that stalls is ended by the registry."""
    repository = Repository(impatient_daemon.client, "stalling/app")
    with Wire(impatient_daemon.port) as wire:
        wire.send(request("PATCH", repository.begin(), {"Content-Length": "1000"}) + b"x" * 10)
        rest = wire.rest()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 408 ")


def test_idle_connection(impatient_daemon: Daemon) -> None:
    """A connection on which nothing more is asked is ended by the registry."""
    with Wire(impatient_daemon.port) as wire:
        wire.send(request("GET", "/v2/"))
        assert wire.answer().status == 200
        assert wire.rest() == b""
