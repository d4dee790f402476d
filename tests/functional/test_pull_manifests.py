"""
end-3: pulling manifests.
"""

from __future__ import annotations

import pytest

from .client import Headers
from .content import digest_of, encode, unique, unknown_digest
from .repository import Repository


@pytest.mark.parametrize("by_tag", [True, False])
def test_bytes_and_headers(repository: Repository, by_tag: bool) -> None:
    """end-3: GET gives exactly the bytes that were pushed, their type, digest and length."""
    digest, body = repository.push_image("v1")
    answer = repository.call("GET", f"manifests/{'v1' if by_tag else digest}")
    assert (answer.status, answer.body) == (200, body)
    assert answer.header("Content-Type") == "application/vnd.oci.image.manifest.v1+json"
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Length") == str(len(body))
    assert answer.header("ETag") == f'"{digest}"'


@pytest.mark.parametrize("by_tag", [True, False])
def test_head(repository: Repository, by_tag: bool) -> None:
    """end-3: HEAD has type, digest and length of the manifest, and no body."""
    digest, body = repository.push_image("v1")
    answer = repository.call("HEAD", f"manifests/{'v1' if by_tag else digest}")
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/vnd.oci.image.manifest.v1+json"
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Length") == str(len(body))
    assert answer.header("ETag") == f'"{digest}"'


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Accept": "*/*"},
        {"Accept": "application/vnd.docker.distribution.manifest.v1+prettyjws"},
        {"Accept": "text/html;q=0.9, application/json"},
        {"Accept": ""},
        [("Accept", "application/vnd.docker.distribution.manifest.v2+json"), ("Accept", "*/*")],
        {"Accept-Encoding": "zstd;q=1.0, gzip;q=0.8, deflate;q=0.5"},
        {"Range": "bytes=0-"},
    ],
)
def test_accept_is_ignored(repository: Repository, headers: Headers) -> None:
    """end-3: whatever the client says it accepts, it gets what is stored, as it is stored."""
    digest, body = repository.push_image("v1")
    answer = repository.call("GET", "manifests/v1", headers)
    assert answer.status in (200, 206)
    assert answer.body == body
    assert answer.header("Content-Type") == "application/vnd.oci.image.manifest.v1+json"
    assert answer.header("Docker-Content-Digest") == digest


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', '"other", "{}"', "*"])
@pytest.mark.parametrize("by_tag", [True, False])
def test_what_the_client_has(repository: Repository, method: str, form: str, by_tag: bool) -> None:
    """end-3: a client that names the digest in If-None-Match is told 304."""
    digest, _ = repository.push_image("v1")
    answer = repository.call(
        method,
        f"manifests/{'v1' if by_tag else digest}",
        {"If-None-Match": form.format(digest)},
    )
    assert answer.status == 304
    assert answer.header("ETag") == f'"{digest}"'


def test_a_tag_that_has_moved(repository: Repository) -> None:
    """end-3: a client that has the former manifest of a tag is sent the new one."""
    former, _ = repository.push_image("v1")
    _, body = repository.push_image("v1")
    answer = repository.call("GET", "manifests/v1", {"If-None-Match": f'"{former}"'})
    assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize("reference", ["missing", "V1", "latest"])
def test_unknown_tag(repository: Repository, reference: str) -> None:
    """end-3: a tag that is not there is 404 MANIFEST_UNKNOWN, also to HEAD."""
    repository.push_image("v1")
    answer = repository.call("GET", f"manifests/{reference}")
    assert (answer.status, answer.codes()) == (404, ["MANIFEST_UNKNOWN"])
    assert repository.status(f"manifests/{reference}") == 404


def test_unknown_digest(repository: Repository, algorithm: str) -> None:
    """end-3: a digest that is not there is 404 MANIFEST_UNKNOWN, also to HEAD."""
    repository.push_image("v1")
    path = f"manifests/{unknown_digest(algorithm)}"
    answer = repository.call("GET", path)
    assert (answer.status, answer.codes()) == (404, ["MANIFEST_UNKNOWN"])
    assert repository.status(path) == 404


def test_manifest_of_another_repository(repository: Repository, other: Repository) -> None:
    """end-3: a manifest is visible in the repository that it was pushed to, and in no other."""
    digest, _ = other.push_image("v1")
    repository.push_image("v2")
    for reference in ("v1", digest):
        answer = repository.call("GET", f"manifests/{reference}")
        assert (answer.status, answer.codes()) == (404, ["MANIFEST_UNKNOWN"])


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_unknown_repository(repository: Repository, method: str) -> None:
    """end-3: in a repository that does not exist there is no manifest."""
    for reference in ("v1", unknown_digest()):
        assert repository.call(method, f"manifests/{reference}").status == 404


def test_mirrors_name_the_upstream(repository: Repository) -> None:
    """Proxying: ns is accepted on pulls and changes nothing, by tag and by digest."""
    digest, body = repository.push_image("v1")
    for reference in ("v1", digest):
        answer = repository.call("GET", f"manifests/{reference}?ns=docker.io")
        assert (answer.status, answer.body) == (200, body)


@pytest.mark.parametrize(
    "name",
    [
        "blobs",
        "manifests",
        "tags",
        "referrers",
        "v2",
        "uploads",
        "a/blobs/uploads",
        "a/manifests/b",
        "manifests/latest",
        "blobs/uploads/blobs/uploads",
        "a/tags/list",
        "x/referrers",
        "a/b/c/d/e/f/g/h",
        "0",
        "a__b/c--d/e.f/g-h/i_j",
        "n" * 255,
    ],
)
def test_names_that_look_like_routes(repository: Repository, name: str) -> None:
    """Any name of the grammar works everywhere, also one with words of the protocol in it."""
    named = Repository(repository.client, name)
    blob = unique()
    location = named.begin()
    assert location.startswith(f"/v2/{name}/blobs/uploads/")
    named.append(location, blob[:10])
    assert named.received(location) == "0-9"
    digest = digest_of(blob)
    assert named.commit(location, digest, blob[10:]).status == 201
    assert named.get(f"blobs/{digest}") == blob
    body = encode(named.image())
    pushed = named.push_manifest(body, "latest")
    assert named.get("manifests/latest") == named.get(f"manifests/{pushed}") == body
    assert named.tags() == ["latest"]
    assert named.referrers(pushed) == []
    cancelled = named.begin()
    assert named.client.call("DELETE", cancelled).status == 204
    assert named.call("DELETE", "manifests/latest").status == 202
    assert named.call("DELETE", f"manifests/{pushed}").status == 202
    assert named.call("DELETE", f"blobs/{digest}").status == 202
    assert named.tags() == []
