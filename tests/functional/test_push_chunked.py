"""
end-5 and end-6: uploads that come in pieces, streamed or in numbered chunks.
"""

from __future__ import annotations

import pytest

from .client import Answer, request
from .content import digest_of, unique
from .repository import Repository


def assert_out_of_order(answer: Answer, location: str, received: str) -> None:
    """The refusal tells a client all it needs to go on."""
    assert (answer.status, answer.codes()) == (416, ["BLOB_UPLOAD_INVALID"])
    assert answer.header("Location") == location
    assert answer.header("Range") == received
    assert location.endswith("/" + answer.header("Docker-Upload-UUID"))


def test_chunks(repository: Repository, algorithm: str) -> None:
    """end-5: chunks in order are answered 202, each with the range of all that has come so far."""
    content = unique(1000)
    digest = digest_of(content, algorithm)
    location = repository.begin()
    for first, last in ((0, 9), (10, 10), (11, 499), (500, 999)):
        headers = {
            "Content-Range": f"{first}-{last}",
            "Content-Type": "application/octet-stream",
        }
        answer = repository.client.call("PATCH", location, headers, content[first : last + 1])
        assert answer.status == 202
        assert answer.header("Location") == location
        assert answer.header("Range") == f"0-{last}"
        assert location.endswith("/" + answer.header("Docker-Upload-UUID"))
        assert answer.header("Content-Length") == "0"
        assert repository.received(location) == f"0-{last}"
    answer = repository.commit(location, digest)
    assert answer.status == 201
    assert answer.header("Docker-Content-Digest") == digest
    assert repository.get(f"blobs/{digest}") == content


@pytest.mark.parametrize("numbered", [True, False])
def test_last_chunk_in_the_put(repository: Repository, algorithm: str, numbered: bool) -> None:
    """end-6: the closing PUT may bring the last chunk, with or without its place."""
    content = unique(100)
    digest = digest_of(content, algorithm)
    location = repository.begin()
    repository.append(location, content[:60])
    headers = {"Content-Range": "60-99"} if numbered else {}
    answer = repository.client.call("PUT", f"{location}?digest={digest}", headers, content[60:])
    assert answer.status == 201
    assert repository.get(f"blobs/{digest}") == content


def test_whole_blob_as_a_numbered_chunk_of_the_put(repository: Repository) -> None:
    """end-6: a PUT may bring the whole blob as the chunk that begins at 0."""
    content = unique(100)
    digest = digest_of(content)
    target = f"{repository.begin()}?digest={digest}"
    answer = repository.client.call("PUT", target, {"Content-Range": "0-99"}, content)
    assert answer.status == 201
    assert repository.get(f"blobs/{digest}") == content


@pytest.mark.parametrize("coded", [True, False])
def test_streamed(repository: Repository, algorithm: str, coded: bool) -> None:
    """end-5: PATCH without Content-Range and Content-Type appends, in the chunked coding too."""
    pieces = [unique(size) for size in (70_000, 1, 5, 300_000)]
    content = b"".join(pieces)
    digest = digest_of(content, algorithm)
    location = repository.begin()
    total = 0
    for piece in pieces:
        total += len(piece)
        if coded:
            cut = [piece[: len(piece) // 2], piece[len(piece) // 2 :]]
            chunks = [part for part in cut if part]
            answer = repository.client.call("PATCH", location, chunks=chunks)
        else:
            answer = repository.client.call("PATCH", location, body=piece)
        assert answer.status == 202
        assert answer.header("Range") == f"0-{total - 1}"
    assert repository.commit(location, digest).status == 201
    assert repository.get(f"blobs/{digest}") == content


def test_empty_pieces(repository: Repository, algorithm: str) -> None:
    """end-5: pieces without bytes change nothing, and an empty blob can be pushed with them."""
    location = repository.begin()
    pieces: list[list[bytes] | None] = [None, []]
    for chunks in pieces:
        answer = repository.client.call("PATCH", location, chunks=chunks)
        assert answer.status == 202
        assert answer.header("Range") == "0-0"
    digest = digest_of(b"", algorithm)
    assert repository.commit(location, digest).status == 201
    assert repository.call("HEAD", f"blobs/{digest}").header("Content-Length") == "0"


def test_earlier_locations_stay_valid(repository: Repository) -> None:
    """end-5: the location of any preceding answer can be used, not only the newest."""
    content = unique(30)
    first = repository.begin()
    newest = first
    for start in (0, 10):
        answer = repository.client.call("PATCH", newest, body=content[start : start + 10])
        newest = answer.header("Location")
    assert repository.received(first) == "0-19"
    assert repository.client.call("PATCH", first, body=content[20:]).status == 202
    assert repository.commit(newest, digest_of(content)).status == 201


@pytest.mark.parametrize(
    ("method", "content_range", "size"),
    [
        (method, content_range, size)
        for method in ("PATCH", "PUT")
        for content_range, size in (
            ("0-4", 5),
            ("0-9", 10),
            ("5-14", 10),
            ("9-10", 2),
            ("11-15", 5),
            ("999999999999999999999999999999-999999999999999999999999999999", 1),
            ("15-10", 6),
            ("20-19", 0),
        )
    ],
)
def test_out_of_order(
    repository: Repository, algorithm: str, method: str, content_range: str, size: int
) -> None:
    """end-5, end-6: a chunk that does not begin at the end is 416, and the session goes on."""
    content = unique(20)
    digest = digest_of(content, algorithm)
    location = repository.begin()
    repository.append(location, content[:10])
    target = location if method == "PATCH" else f"{location}?digest={digest}"
    answer = repository.client.call(method, target, {"Content-Range": content_range}, b"x" * size)
    assert_out_of_order(answer, location, "0-9")
    assert repository.received(location) == "0-9"
    headers = {"Content-Range": "10-19"}
    assert repository.client.call("PATCH", location, headers, content[10:]).status == 202
    assert repository.commit(location, digest).status == 201
    assert repository.get(f"blobs/{digest}") == content


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_first_chunk_begins_at_zero(repository: Repository, method: str) -> None:
    """end-5, end-6: a first chunk that begins elsewhere is 416."""
    location = repository.begin()
    target = location if method == "PATCH" else f"{location}?digest={digest_of(b'x' * 10)}"
    answer = repository.client.call(method, target, {"Content-Range": "1-10"}, b"x" * 10)
    assert_out_of_order(answer, location, "0-0")
    repository.append(location, b"x")
    assert repository.received(location) == "0-0"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize(
    "content_range",
    [
        "bytes 10-19/20",
        "bytes=10-19",
        "bytes 10-19",
        "10-19/20",
        "10-19/*",
        "10-",
        "-19",
        "-",
        "10",
        "10-19,20-29",
        "10 - 19",
        "+10-19",
        "10-+19",
        "1_0-19",
        "0x10-0x19",
        "1e1-19",
        "\u0661\u0660-\u0661\u0669",
        "a-b",
        "10\u201319",
        "",
    ],
)
def test_content_range_in_no_form(repository: Repository, method: str, content_range: str) -> None:
    """end-5, end-6: a Content-Range that is none is 400 BLOB_UPLOAD_INVALID, nothing is kept."""
    content = unique(20)
    location = repository.begin()
    repository.append(location, content[:10])
    target = location if method == "PATCH" else f"{location}?digest={digest_of(content)}"
    answer = repository.client.call(method, target, {"Content-Range": content_range}, content[10:])
    assert (answer.status, answer.codes()) == (400, ["BLOB_UPLOAD_INVALID"])
    assert repository.received(location) == "0-9"


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("size", [0, 9, 11, 100_000])
def test_chunk_of_another_length(
    repository: Repository, method: str, coded: bool, size: int
) -> None:
    """end-5, end-6: a body not as long as its Content-Range is 400 SIZE_INVALID, and not kept."""
    content = unique(20)
    location = repository.begin()
    repository.append(location, content[:10])
    target = location if method == "PATCH" else f"{location}?digest={digest_of(content)}"
    body = b"x" * size
    answer = repository.client.call(
        method,
        target,
        {"Content-Range": "10-19"},
        None if coded else body,
        ([body] if body else []) if coded else None,
    )
    assert (answer.status, answer.codes()) == (400, ["SIZE_INVALID"])
    assert repository.received(location) == "0-9"
    repository.append(location, content[10:])
    assert repository.commit(location, digest_of(content)).status == 201


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_second_writer(repository: Repository, method: str) -> None:
    """end-5, end-6: while one request writes to a session another is 416; the first goes on."""
    content = unique(20)
    digest = digest_of(content)
    location = repository.begin()
    repository.append(location, content[:10])
    headers = {"Content-Length": "10", "Expect": "100-continue"}
    with repository.client.connect() as first:
        first.send(request("PATCH", location, headers))
        # That it asks for the body shows that the first request has the session now.
        assert first.answer("PATCH").status == 100
        target = location if method == "PATCH" else f"{location}?digest={digest}"
        answer = repository.client.call(method, target, body=b"other")
        assert_out_of_order(answer, location, "0-9")
        first.send(content[10:])
        finished = first.answer("PATCH")
    assert finished.status == 202
    assert finished.header("Range") == "0-19"
    assert repository.commit(location, digest).status == 201
    assert repository.get(f"blobs/{digest}") == content


def test_many_pieces(repository: Repository, algorithm: str) -> None:
    """end-5: however a blob is cut, the same bytes are stored."""
    content = unique(3_000)
    digest = digest_of(content, algorithm)
    for size in (100, 999, 2_999):
        location = repository.begin()
        for start in range(0, len(content), size):
            repository.append(location, content[start : start + size])
        assert repository.commit(location, digest).status == 201
        assert repository.get(f"blobs/{digest}") == content
