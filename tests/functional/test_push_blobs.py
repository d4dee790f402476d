"""
end-4a, 4b, 4c, 6, 13 and 14: pushing a blob as one piece, and the life of an upload session.
"""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor

import pytest

from .client import Answer, request
from .content import digest_of, unique, unknown_digest
from .daemon import eventually
from .repository import Repository

BAD_DIGESTS = [
    "sha256:",
    "sha256:zz",
    "sha256:" + "a" * 63,
    "sha256:" + "a" * 65,
    "sha256:" + "A" * 64,
    "SHA256:" + "a" * 64,
    "sha512:" + "a" * 64,
    "md5:d41d8cd98f00b204e9800998ecf8427e",
    "sha384:" + "a" * 96,
    "a" * 64,
    "sha256",
    "sha256:../../etc/passwd",
    "sha256:" + "a" * 64 + "%0A",
    "",
]


def assert_blob_created(
    repository: Repository, answer: Answer, content: bytes, digest: str
) -> None:
    """The 201 has what clients need, and its Location is the blob."""
    assert answer.status == 201, answer
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Length") == "0"
    assert answer.header("Location") == f"/v2/{repository.name}/blobs/{digest}"
    pulled = repository.client.call("GET", answer.header("Location"))
    assert (pulled.status, pulled.body) == (200, content)


def assert_session_gone(repository: Repository, location: str) -> None:
    """Nothing can be done with the session any more: 404 BLOB_UPLOAD_UNKNOWN."""
    target = f"{location}?digest={digest_of(b'x')}"
    for method, path in (
        ("GET", location),
        ("PATCH", location),
        ("PUT", target),
        ("DELETE", location),
    ):
        body = b"x" if method in ("PATCH", "PUT") else None
        answer = repository.client.call(method, path, body=body)
        assert (answer.status, answer.codes()) == (404, ["BLOB_UPLOAD_UNKNOWN"]), method


@pytest.mark.parametrize("slash", ["", "/"])
def test_start(repository: Repository, slash: str) -> None:
    """end-4a: POST starts a session and says where it is, with and without the last slash."""
    answer = repository.call("POST", f"blobs/uploads{slash}")
    assert answer.status == 202
    location = answer.header("Location")
    session = answer.header("Docker-Upload-UUID")
    assert location == f"/v2/{repository.name}/blobs/uploads/{session}"
    assert re.fullmatch("[0-9a-zA-Z_-]{22,}", session), "can be guessed"
    assert answer.header("Range") == "0-0"
    assert answer.header("Content-Length") == "0"


def test_each_session_is_another(repository: Repository) -> None:
    """end-4a: no two sessions have one location."""
    assert len({repository.begin() for _ in range(10)}) == 10


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_single_post(repository: Repository, algorithm: str, size: int) -> None:
    """end-4b: POST with digest and body stores the blob at once."""
    content = unique(size)
    digest = digest_of(content, algorithm)
    answer = repository.call("POST", f"blobs/uploads/?digest={digest}", body=content)
    assert_blob_created(repository, answer, content, digest)


def test_single_post_without_the_last_slash(repository: Repository) -> None:
    """end-4b: the last slash may be missing, and the digest may come percent-encoded."""
    content = unique()
    digest = digest_of(content)
    target = f"blobs/uploads?digest={digest.replace(':', '%3A')}&ns=docker.io"
    answer = repository.call("POST", target, body=content)
    assert_blob_created(repository, answer, content, digest)


def test_single_post_in_chunks(repository: Repository, algorithm: str) -> None:
    """end-4b: the body of a single POST may come in the chunked coding."""
    content = unique(10_000)
    digest = digest_of(content, algorithm)
    chunks = [content[:1], content[1:5000], content[5000:]]
    answer = repository.call("POST", f"blobs/uploads/?digest={digest}", chunks=chunks)
    assert_blob_created(repository, answer, content, digest)


@pytest.mark.parametrize(
    "content_type",
    ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "text/plain"],
)
def test_single_post_of_any_content_type(repository: Repository, content_type: str) -> None:
    """end-4b: a body is bytes, also if a tool declares it to be a form."""
    content = b"--x\r\na=1&b=2\r\n--x--" + unique()
    digest = digest_of(content)
    headers = {"Content-Type": content_type}
    answer = repository.call("POST", f"blobs/uploads/?digest={digest}", headers, content)
    assert_blob_created(repository, answer, content, digest)


def test_single_post_of_other_bytes(repository: Repository, algorithm: str) -> None:
    """end-4b: a body that has another digest is 400 DIGEST_INVALID, and nothing is stored."""
    content = unique()
    wrong = unknown_digest(algorithm)
    answer = repository.call("POST", f"blobs/uploads/?digest={wrong}", body=content)
    assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])
    assert repository.status(f"blobs/{wrong}") == 404
    assert repository.status(f"blobs/{digest_of(content, algorithm)}") == 404


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_single_post_with_a_bad_digest(repository: Repository, digest: str) -> None:
    """end-4b: a digest that is malformed or of no supported algorithm is 400 DIGEST_INVALID."""
    answer = repository.call("POST", f"blobs/uploads/?digest={digest}", body=b"x")
    assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])


def test_single_post_cut_short(repository: Repository, algorithm: str) -> None:
    """end-4b: a body that ends before its declared length leaves no blob."""
    content = unique()
    digest = digest_of(content, algorithm)
    target = f"/v2/{repository.name}/blobs/uploads/?digest={digest}"
    with repository.client.connect() as wire:
        wire.send(request("POST", target, {"Content-Length": "200"}, content))
    assert repository.status(f"blobs/{digest}") == 404


@pytest.mark.parametrize("hint", ["sha256", "sha512"])
def test_digest_algorithm(repository: Repository, algorithm: str, hint: str) -> None:
    """end-4c: the hint at an algorithm is accepted, and does not bind the client."""
    answer = repository.call("POST", f"blobs/uploads/?digest-algorithm={hint}")
    assert answer.status == 202
    content = unique()
    digest = digest_of(content, algorithm)
    committed = repository.commit(answer.header("Location"), digest, content)
    assert_blob_created(repository, committed, content, digest)


@pytest.mark.parametrize("hint", ["md5", "sha384", "SHA256", "sha256:", ""])
def test_unsupported_digest_algorithm(repository: Repository, hint: str) -> None:
    """end-4c: an algorithm that is not supported is 400 DIGEST_INVALID."""
    answer = repository.call("POST", f"blobs/uploads/?digest-algorithm={hint}")
    assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])


@pytest.mark.parametrize("size", [0, 1, 100_000])
def test_put_of_the_whole(repository: Repository, algorithm: str, size: int) -> None:
    """end-6: POST, then PUT with the whole body, stores the blob and ends the session."""
    content = unique(size)
    digest = digest_of(content, algorithm)
    location = repository.begin()
    answer = repository.commit(location, digest, content)
    assert_blob_created(repository, answer, content, digest)
    assert_session_gone(repository, location)


def test_put_in_chunks(repository: Repository, algorithm: str) -> None:
    """end-6: the body of the PUT may come in the chunked coding."""
    content = unique(70_000)
    digest = digest_of(content, algorithm)
    target = f"{repository.begin()}?digest={digest}"
    answer = repository.client.call("PUT", target, chunks=[content[:60_000], content[60_000:]])
    assert_blob_created(repository, answer, content, digest)


def test_query_sorted_and_encoded_again(repository: Repository) -> None:
    """end-6: the digest is found in the query however a client has rewritten that."""
    content = unique()
    digest = digest_of(content)
    target = f"{repository.begin()}?a=%2F&digest={digest.replace(':', '%3a')}&state=x%3D%3D&z"
    answer = repository.client.call("PUT", target, body=content)
    assert_blob_created(repository, answer, content, digest)


def test_put_of_other_bytes(repository: Repository, algorithm: str) -> None:
    """end-6: bytes of another digest are 400 DIGEST_INVALID; the session is as before the PUT."""
    content = unique()
    digest = digest_of(content, algorithm)
    location = repository.begin()
    repository.append(location, content[:40])
    for body in (b"", unique(), content[40:] + b"x"):
        answer = repository.commit(location, digest, body)
        assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])
        assert repository.received(location) == "0-39"
    assert repository.status(f"blobs/{digest}") == 404
    answer = repository.commit(location, digest, content[40:])
    assert_blob_created(repository, answer, content, digest)


@pytest.mark.parametrize("digest", BAD_DIGESTS)
def test_put_with_a_bad_digest(repository: Repository, digest: str) -> None:
    """end-6: a malformed or unsupported digest is 400 DIGEST_INVALID; the session is kept."""
    content = unique()
    location = repository.begin()
    repository.append(location, content)
    answer = repository.client.call("PUT", f"{location}?digest={digest}", body=b"x")
    assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])
    assert repository.received(location) == "0-99"
    committed = repository.commit(location, digest_of(content))
    assert_blob_created(repository, committed, content, digest_of(content))


def test_put_without_a_digest(repository: Repository) -> None:
    """end-6: a PUT that names no digest is 400 DIGEST_INVALID; the session is kept."""
    location = repository.begin()
    answer = repository.client.call("PUT", location, body=b"x")
    assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])
    assert repository.received(location) == "0-0"


def test_status_of_a_session(repository: Repository) -> None:
    """end-13: GET says where the session is and how much it holds."""
    location = repository.begin()
    for size, expected in ((0, "0-0"), (1, "0-0"), (49, "0-49")):
        repository.append(location, b"x" * size)
        answer = repository.client.call("GET", location)
        assert answer.status == 204
        assert answer.header("Location") == location
        assert answer.header("Range") == expected
        assert location.endswith("/" + answer.header("Docker-Upload-UUID"))


def test_cancel(repository: Repository) -> None:
    """end-14: DELETE of the location ends the session, and what it held is gone."""
    content = unique()
    location = repository.begin()
    repository.append(location, content)
    answer = repository.client.call("DELETE", location)
    assert answer.status == 204
    assert_session_gone(repository, location)
    assert repository.status(f"blobs/{digest_of(content)}") == 404


@pytest.mark.parametrize(
    "session", ["0", "x" * 36, "6f1c3a52-1f1a-4c5c-9a52-6b9f0f6f6f6f", "%2e%2e"]
)
def test_session_that_never_was(repository: Repository, session: str) -> None:
    """end-5, 6, 13, 14: an unknown session is 404 BLOB_UPLOAD_UNKNOWN for every method."""
    repository.begin()
    assert_session_gone(repository, f"/v2/{repository.name}/blobs/uploads/{session}")


def test_session_of_another_repository(repository: Repository, other: Repository) -> None:
    """end-5, 6, 13, 14: a session is reached through its own repository only, and not disturbed."""
    location = repository.begin()
    repository.append(location, b"0123456789")
    other.push_blob(unique())
    session = location.rpartition("/")[2]
    assert_session_gone(repository, f"/v2/{other.name}/blobs/uploads/{session}")
    assert repository.received(location) == "0-9"


def test_a_session_makes_no_repository(repository: Repository) -> None:
    """end-8: a repository exists from its first blob on, not from the first upload session."""
    location = repository.begin()
    repository.append(location, b"x")
    answer = repository.call("GET", "tags/list")
    assert (answer.status, answer.codes()) == (404, ["NAME_UNKNOWN"])
    repository.commit(location, digest_of(b"x"))
    assert repository.tags() == []


def test_an_open_session_shows_no_blob(repository: Repository, algorithm: str) -> None:
    """end-2: what has been uploaded is no blob before the upload is closed under its digest."""
    content = unique()
    location = repository.begin()
    repository.append(location, content)
    assert repository.status(f"blobs/{digest_of(content, algorithm)}") == 404


def test_pushed_again(repository: Repository, algorithm: str) -> None:
    """end-6: pushing a blob that is there already succeeds as the first time."""
    content = unique()
    digest = digest_of(content, algorithm)
    for _ in range(3):
        answer = repository.commit(repository.begin(), digest, content)
        assert_blob_created(repository, answer, content, digest)


def test_pushed_by_several_at_once(repository: Repository, algorithm: str) -> None:
    """end-6: clients that push one blob at the same time are all told 201."""
    content = unique(500_000)
    digest = digest_of(content, algorithm)
    with ThreadPoolExecutor(8) as threads:
        pushes = [
            threads.submit(lambda: repository.commit(repository.begin(), digest, content).status)
            for _ in range(8)
        ]
        assert [push.result() for push in pushes] == [201] * 8
    assert repository.get(f"blobs/{digest}") == content


def test_cut_and_resumed(repository: Repository, algorithm: str) -> None:
    """end-13: after a broken connection the upload goes on where the session says it stopped."""
    content = unique(4_000_000)
    digest = digest_of(content, algorithm)
    location = repository.begin()
    with repository.client.connect() as wire:
        head = request("PATCH", location, {"Content-Length": str(len(content))})
        wire.send(head + content[:3_000_000])
        eventually(lambda: repository.received(location) != "0-0")

    def resumed() -> bool:
        offset = int(repository.received(location).removeprefix("0-")) + 1
        headers = {"Content-Range": f"{offset}-{len(content) - 1}"}
        answer = repository.client.call("PATCH", location, headers, content[offset:])
        assert answer.status in (202, 416), answer
        return answer.status == 202

    eventually(resumed)
    assert_blob_created(repository, repository.commit(location, digest), content, digest)
