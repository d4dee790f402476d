"""
end-9 and end-10: deleting tags, manifests and blobs; and a registry that does not delete.
"""

from __future__ import annotations

import pytest

from .client import Client
from .content import (
    OCI_INDEX,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    encode,
    index,
    number,
    unique,
    unknown_digest,
)
from .daemon import Daemon
from .repository import Repository


def test_tag(repository: Repository) -> None:
    """end-9: deleting a tag unties it; the manifest and its other tags stay."""
    digest, body = repository.push_image("v1")
    repository.push_manifest(body, "v2")
    assert repository.call("DELETE", "manifests/v1").status == 202
    answer = repository.call("GET", "manifests/v1")
    assert (answer.status, answer.codes()) == (404, ["MANIFEST_UNKNOWN"])
    assert repository.get(f"manifests/{digest}") == repository.get("manifests/v2") == body
    assert repository.tags() == ["v2"]


@pytest.mark.parametrize("tags", [0, 1, 3])
def test_manifest(repository: Repository, algorithm: str, tags: int) -> None:
    """end-9: deleting a manifest takes all its tags with it, and no other one's."""
    body = encode(repository.image())
    digest = digest_of(body, algorithm)
    query = "&".join(f"tag=v{count}" for count in range(tags))
    headers = {"Content-Type": OCI_MANIFEST}
    assert repository.call("PUT", f"manifests/{digest}?{query}", headers, body).status == 201
    repository.push_image("other")
    assert repository.call("DELETE", f"manifests/{digest}").status == 202
    for reference in (digest, *(f"v{count}" for count in range(tags))):
        answer = repository.call("GET", f"manifests/{reference}")
        assert (answer.status, answer.codes()) == (404, ["MANIFEST_UNKNOWN"])
        assert repository.status(f"manifests/{reference}") == 404
    assert repository.tags() == ["other"]


def test_last_manifest(repository: Repository) -> None:
    """end-8, end-9: a repository stays when all that was in it is deleted."""
    digest, _ = repository.push_image("v1")
    assert repository.call("DELETE", f"manifests/{digest}").status == 202
    assert repository.tags() == []


@pytest.mark.parametrize("reference", ["missing", None, ".INVALID"])
def test_unknown_manifest(repository: Repository, algorithm: str, reference: str | None) -> None:
    """end-9: what is not there is 404 MANIFEST_UNKNOWN, and so is what was deleted already."""
    digest, _ = repository.push_image("v1")
    path = f"manifests/{reference or unknown_digest(algorithm)}"
    answer = repository.call("DELETE", path)
    assert (answer.status, answer.codes()) == (404, ["MANIFEST_UNKNOWN"])
    assert repository.tags() == ["v1"]
    for status in (202, 404):
        assert repository.call("DELETE", f"manifests/{digest}").status == status


@pytest.mark.parametrize("kind", ["manifests", "blobs"])
def test_unknown_repository(repository: Repository, algorithm: str, kind: str) -> None:
    """end-9, end-10: in a repository that does not exist a delete is 404 NAME_UNKNOWN."""
    answer = repository.call("DELETE", f"{kind}/{unknown_digest(algorithm)}")
    assert (answer.status, answer.codes()) == (404, ["NAME_UNKNOWN"])


def test_index_and_children(repository: Repository) -> None:
    """end-9: an index and its children are deleted each for itself."""
    child, body = repository.push_image()
    parent_body = encode(index(descriptor(OCI_MANIFEST, body)))
    parent = repository.push_manifest(parent_body, "v1", OCI_INDEX)
    assert repository.call("DELETE", f"manifests/{child}").status == 202
    assert repository.get("manifests/v1") == parent_body
    repository.push_manifest(body)
    assert repository.call("DELETE", f"manifests/{parent}").status == 202
    assert repository.get(f"manifests/{child}") == body


def test_blob(repository: Repository, other: Repository, algorithm: str) -> None:
    """end-10: a blob is deleted from one repository; another one that holds it keeps it."""
    content = unique()
    digest = repository.push_blob(content, algorithm)
    other.push_blob(content, algorithm)
    assert repository.call("DELETE", f"blobs/{digest}").status == 202
    for _ in range(2):
        answer = repository.call("GET", f"blobs/{digest}")
        assert (answer.status, answer.codes()) == (404, ["BLOB_UNKNOWN"])
        assert repository.status(f"blobs/{digest}") == 404
        # Reading it elsewhere must not make it readable here again.
        assert other.get(f"blobs/{digest}") == content
    again = repository.call("DELETE", f"blobs/{digest}")
    assert (again.status, again.codes()) == (404, ["BLOB_UNKNOWN"])


def test_unknown_blob(repository: Repository, other: Repository, algorithm: str) -> None:
    """end-10: a blob that the repository does not hold is 404 BLOB_UNKNOWN."""
    content = unique()
    elsewhere = other.push_blob(content, algorithm)
    repository.push_blob(unique())
    for digest in (elsewhere, unknown_digest(algorithm)):
        answer = repository.call("DELETE", f"blobs/{digest}")
        assert (answer.status, answer.codes()) == (404, ["BLOB_UNKNOWN"])
    assert other.get(f"blobs/{elsewhere}") == content


def test_blob_of_a_manifest(repository: Repository) -> None:
    """end-10: deleting a blob leaves the manifests that name it; new ones are refused."""
    document = repository.image()
    body = encode(document)
    repository.push_manifest(body, "v1")
    digest = document["layers"][0]["digest"]
    assert repository.call("DELETE", f"blobs/{digest}").status == 202
    assert repository.get("manifests/v1") == body
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call(
        "PUT", "manifests/v2", headers, encode({**document, "annotations": {}})
    )
    assert (answer.status, answer.codes()) == (400, ["MANIFEST_BLOB_UNKNOWN"])
    assert answer.json()["errors"][0]["detail"] == digest


def test_pushed_again(repository: Repository, algorithm: str) -> None:
    """end-9, end-10: what was deleted can be pushed again, any number of times."""
    for _ in range(4):
        content = b"{}"
        digest = repository.push_blob(content, algorithm)
        blob = descriptor("application/vnd.oci.empty.v1+json", content, algorithm)
        body = encode({"schemaVersion": 2, "config": blob, "layers": [blob]})
        manifest = repository.push_manifest(body, "v1")
        assert repository.get(f"blobs/{digest}") == content
        assert repository.get("manifests/v1") == body
        assert repository.call("DELETE", f"manifests/{manifest}").status == 202
        assert repository.call("DELETE", f"blobs/{digest}").status == 202
        assert repository.tags() == []
        assert repository.status(f"blobs/{digest}") == 404


@pytest.fixture
def undeletable(daemon_without_deletes: Daemon) -> Repository:
    """A repository in a registry that refuses deletes."""
    return Repository(daemon_without_deletes.client, f"kept{number()}/app")


@pytest.mark.parametrize("what", ["tag", "manifest", "blob"])
def test_switched_off(undeletable: Repository, algorithm: str, what: str) -> None:
    """end-9, end-10: with deletes off each of them is 405 UNSUPPORTED, and nothing is gone."""
    manifest, body = undeletable.push_image("v1")
    content = unique()
    blob = undeletable.push_blob(content, algorithm)
    path = {"tag": "manifests/v1", "manifest": f"manifests/{manifest}", "blob": f"blobs/{blob}"}
    answer = undeletable.call("DELETE", path[what])
    assert (answer.status, answer.codes()) == (405, ["UNSUPPORTED"])
    allowed = {method.strip() for method in answer.header("Allow").split(",")}
    assert "GET" in allowed
    assert "DELETE" not in allowed
    assert undeletable.get("manifests/v1") == undeletable.get(f"manifests/{manifest}") == body
    assert undeletable.get(f"blobs/{blob}") == content
    assert undeletable.tags() == ["v1"]


def test_uploads_can_always_be_cancelled(undeletable: Repository) -> None:
    """end-14: with deletes off an upload can be cancelled still, since it deletes no content."""
    location = undeletable.begin()
    assert undeletable.client.call("DELETE", location).status == 204
    assert undeletable.client.call("GET", location).status == 404


def test_switched_off_for_what_is_unknown(undeletable: Repository) -> None:
    """end-9, end-10: with deletes off it does not matter whether the content exists."""
    client: Client = undeletable.client
    for path in ("manifests/v1", f"manifests/{unknown_digest()}", f"blobs/{unknown_digest()}"):
        answer = client.call("DELETE", f"/v2/{undeletable.name}/{path}")
        assert (answer.status, answer.codes()) == (405, ["UNSUPPORTED"])
