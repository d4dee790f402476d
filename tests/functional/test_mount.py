"""
end-11: blobs taken over from another repository.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest

from .client import Answer
from .content import digest_of, encode, unique, unknown_digest
from .repository import Repository


def assert_session_instead(repository: Repository, answer: Answer, digest: str) -> None:
    """The answer is an upload session in which the client can push the blob, and no blob."""
    assert answer.status == 202, answer
    assert answer.header("Range") == "0-0"
    location = answer.header("Location")
    assert location.startswith(f"/v2/{repository.name}/blobs/uploads/")
    assert repository.received(location) == "0-0"
    assert repository.status(f"blobs/{digest}") != 200
    content = unique()
    assert repository.commit(location, digest_of(content), content).status == 201


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("query", ["mount={0}&from={1}", "from={1}&mount={0}&origin=docker.io"])
def test_mount(
    repository: Repository, other: Repository, algorithm: str, query: str, slash: str
) -> None:
    """end-11: a blob of the named repository is there at once, under the new repository's path."""
    content = unique()
    digest = other.push_blob(content, algorithm)
    asked = query.format(quote(digest), quote(other.name, safe=""))
    answer = repository.call("POST", f"blobs/uploads{slash}?{asked}")
    assert answer.status == 201
    assert answer.header("Location") == f"/v2/{repository.name}/blobs/{digest}"
    assert answer.header("Docker-Content-Digest") == digest
    assert repository.get(f"blobs/{digest}") == content
    assert repository.tags() == []


def test_mount_without_a_source(repository: Repository, other: Repository, algorithm: str) -> None:
    """end-11: without from the blob is taken from whichever repository holds it."""
    content = unique()
    digest = other.push_blob(content, algorithm)
    answer = repository.call("POST", f"blobs/uploads/?mount={digest}")
    assert answer.status == 201
    assert answer.header("Location") == f"/v2/{repository.name}/blobs/{digest}"
    assert repository.get(f"blobs/{digest}") == content


def test_mount_from_itself(repository: Repository) -> None:
    """end-11: a blob that the repository holds already can be mounted."""
    digest = repository.push_blob(unique())
    target = f"blobs/uploads/?mount={digest}&from={repository.name}"
    assert repository.call("POST", target).status == 201


def test_mounted_for_manifests(repository: Repository, other: Repository) -> None:
    """end-11: a mounted blob is the repository's own: a manifest can name it."""
    manifest = other.image()
    for blob in (manifest["config"], *manifest["layers"]):
        target = f"blobs/uploads/?mount={blob['digest']}&from={other.name}"
        assert repository.call("POST", target).status == 201
    repository.push_manifest(encode(manifest), "v1")


def test_mounted_blob_outlives_its_source(repository: Repository, other: Repository) -> None:
    """end-10, end-11: deleting the blob in the repository it came from does not take it away."""
    content = unique()
    digest = other.push_blob(content)
    assert repository.call("POST", f"blobs/uploads/?mount={digest}&from={other.name}").status == 201
    assert other.call("DELETE", f"blobs/{digest}").status == 202
    assert repository.get(f"blobs/{digest}") == content
    assert other.status(f"blobs/{digest}") == 404


def test_unknown_source(repository: Repository, other: Repository, algorithm: str) -> None:
    """end-11: from a repository that does not exist: a session, though another one has the blob."""
    digest = other.push_blob(unique(), algorithm)
    answer = repository.call("POST", f"blobs/uploads/?mount={digest}&from=nobody/here")
    assert_session_instead(repository, answer, digest)


def test_source_without_the_blob(repository: Repository, other: Repository, algorithm: str) -> None:
    """end-11: from a repository that does not hold the blob: a session."""
    other.push_blob(unique(), algorithm)
    digest = unknown_digest(algorithm)
    answer = repository.call("POST", f"blobs/uploads/?mount={digest}&from={other.name}")
    assert_session_instead(repository, answer, digest)


def test_no_source_and_nobody_has_it(repository: Repository, algorithm: str) -> None:
    """end-11: without from, and no repository holds the blob: a session."""
    digest = unknown_digest(algorithm)
    answer = repository.call("POST", f"blobs/uploads/?mount={digest}")
    assert_session_instead(repository, answer, digest)


def test_no_source_holds_it_any_more(repository: Repository, other: Repository) -> None:
    """end-10, end-11: a blob that its last repository has deleted cannot be mounted."""
    digest = other.push_blob(unique())
    assert other.call("DELETE", f"blobs/{digest}").status == 202
    answer = repository.call("POST", f"blobs/uploads/?mount={digest}")
    assert_session_instead(repository, answer, digest)


@pytest.mark.parametrize(
    "digest", ["", "sha256:zz", "md5:d41d8cd98f00b204e9800998ecf8427e", "latest", "..%2f.."]
)
def test_bad_digest(repository: Repository, other: Repository, digest: str) -> None:
    """end-11: a digest that is none: a session, not a refusal."""
    other.push_blob(unique())
    answer = repository.call("POST", f"blobs/uploads/?mount={digest}&from={other.name}")
    assert_session_instead(repository, answer, unknown_digest())


@pytest.mark.parametrize("source", ["UPPER", "..", "a//b", "%00", "'", "x" * 300])
def test_bad_source(repository: Repository, other: Repository, source: str) -> None:
    """end-11: a source that is no name of a repository: a session, not a refusal."""
    digest = other.push_blob(unique())
    answer = repository.call("POST", f"blobs/uploads/?mount={digest}&from={source}")
    assert_session_instead(repository, answer, digest)
