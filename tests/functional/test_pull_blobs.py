"""
end-2: pulling blobs, whole, in part, and not at all if the client has them already.
"""

from __future__ import annotations

import re

import pytest

from .client import Answer
from .content import digest_of, unique, unknown_digest
from .repository import Repository

SIZE = 1000


def parts(answer: Answer) -> list[tuple[str, bytes]]:
    """The parts of a multipart/byteranges answer: Content-Range and bytes of each."""
    kind = re.fullmatch(
        r'multipart/byteranges; ?boundary="?([0-9A-Za-z\'()+_,./:=?-]+)"?',
        answer.header("Content-Type"),
    )
    assert kind is not None, answer.headers
    # A line break before the first boundary is allowed, and usual.
    first, *rest = (b"\r\n" + answer.body).split(b"\r\n--" + kind[1].encode())
    assert first in (b"", b"\r\n")
    assert rest.pop().rstrip(b"\r\n") == b"--"
    found = []
    for part in rest:
        head, _, content = part.partition(b"\r\n\r\n")
        lines = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n") if line)
        assert b"content-type" in lines
        found.append((lines[b"content-range"].decode(), content))
    return found


@pytest.mark.parametrize("size", [0, 1, SIZE, 3_000_000])
def test_whole(repository: Repository, algorithm: str, size: int) -> None:
    """end-2: GET gives exactly the bytes, and the headers that say what they are."""
    content = unique(size)
    digest = repository.push_blob(content, algorithm)
    answer = repository.call("GET", f"blobs/{digest}")
    assert answer.status == 200
    assert answer.body == content
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Length") == str(size)
    assert answer.header("Content-Type") == "application/octet-stream"
    assert answer.header("Accept-Ranges") == "bytes"
    assert answer.header("ETag") == f'"{digest}"'
    assert "max-age=31536000" in answer.header("Cache-Control")


@pytest.mark.parametrize("size", [0, SIZE])
def test_head(repository: Repository, algorithm: str, size: int) -> None:
    """end-2: HEAD has the headers of GET, the true length among them, and no body."""
    digest = repository.push_blob(unique(size), algorithm)
    got = repository.call("GET", f"blobs/{digest}")
    headed = repository.call("HEAD", f"blobs/{digest}")
    assert headed.status == 200
    assert headed.header("Content-Length") == str(size)
    dates = {"date"}
    assert [pair for pair in headed.headers if pair[0].lower() not in dates] == [
        pair for pair in got.headers if pair[0].lower() not in dates
    ]


def test_unknown(repository: Repository, algorithm: str) -> None:
    """end-2: a blob that the repository does not hold is 404 BLOB_UNKNOWN, also to HEAD."""
    repository.push_blob(unique())
    path = f"blobs/{unknown_digest(algorithm)}"
    answer = repository.call("GET", path)
    assert (answer.status, answer.codes()) == (404, ["BLOB_UNKNOWN"])
    assert repository.call("HEAD", path).status == 404


def test_blob_of_another_repository(
    repository: Repository, other: Repository, algorithm: str
) -> None:
    """end-2: that another repository holds a blob does not make it visible in this one."""
    digest = other.push_blob(unique(), algorithm)
    repository.push_blob(unique())
    answer = repository.call("GET", f"blobs/{digest}")
    assert (answer.status, answer.codes()) == (404, ["BLOB_UNKNOWN"])
    assert repository.status(f"blobs/{digest}") == 404


def test_the_digest_of_one_algorithm_only(repository: Repository) -> None:
    """end-2: a blob is known by the digest that it was pushed under, and by no other."""
    content = unique()
    repository.push_blob(content, "sha512")
    assert repository.status(f"blobs/{digest_of(content, 'sha256')}") == 404


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-99", 0, 99),
        ("bytes=10-19", 10, 19),
        ("bytes=0-", 0, 999),
        ("bytes=100-", 100, 999),
        ("bytes=999-", 999, 999),
        ("bytes=990-2000", 990, 999),
        ("bytes=0-999999999999999999999999999999", 0, 999),
        ("bytes=-100", 900, 999),
        ("bytes=-1", 999, 999),
        ("bytes=-5000", 0, 999),
        ("bytes=-999999999999999999999999999999", 0, 999),
    ],
)
def test_range(repository: Repository, algorithm: str, wanted: str, first: int, last: int) -> None:
    """end-2: a range is answered 206 with these bytes and their place in the whole."""
    content = unique(SIZE)
    digest = repository.push_blob(content, algorithm)
    answer = repository.call("GET", f"blobs/{digest}", {"Range": wanted})
    assert answer.status == 206
    assert answer.body == content[first : last + 1]
    assert answer.header("Content-Range") == f"bytes {first}-{last}/{SIZE}"
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Type") == "application/octet-stream"


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=1000-",
        "bytes=1000-1001",
        "bytes=5000-6000",
        "bytes=999999999999999999999999999999-",
        "bytes=-0",
        "bytes=1000-,2000-3000",
    ],
)
def test_range_beyond_the_end(repository: Repository, wanted: str) -> None:
    """end-2: a range that holds no byte of the blob is 416, with the size of the blob."""
    digest = repository.push_blob(unique(SIZE))
    answer = repository.call("GET", f"blobs/{digest}", {"Range": wanted})
    assert (answer.status, answer.codes()) == (416, ["UNSUPPORTED"])
    assert answer.header("Content-Range") == f"bytes */{SIZE}"


def test_range_of_nothing(repository: Repository) -> None:
    """end-2: no range fits into an empty blob."""
    digest = repository.push_blob(b"")
    answer = repository.call("GET", f"blobs/{digest}", {"Range": "bytes=0-"})
    assert answer.status == 416
    assert answer.header("Content-Range") == "bytes */0"


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=3-1",
        "bytes=a-b",
        "bytes=",
        "bytes",
        "bytes=-",
        "bytes=--1",
        "bytes=1-2-3",
        "bytes=+1-2",
        "bytes=1_0-2_0",
        "bytes=0x1-0x2",
        "bytes=\u0661-\u0662",
        "bytes=0-1;2-3",
        "bytes=0-1,x",
        "bytes=0-1,3-2",
        "lines=0-1",
        "0-1",
        "=0-1",
    ],
)
def test_range_in_no_form(repository: Repository, wanted: str) -> None:
    """end-2: a Range that is none is ignored, as HTTP wants: the whole blob is the answer."""
    content = unique(SIZE)
    digest = repository.push_blob(content)
    answer = repository.call("GET", f"blobs/{digest}", {"Range": wanted})
    assert answer.status == 200
    assert answer.body == content


def test_range_of_a_head(repository: Repository) -> None:
    """end-2: a Range means nothing to HEAD, which tells the size of the whole."""
    digest = repository.push_blob(unique(SIZE))
    answer = repository.call("HEAD", f"blobs/{digest}", {"Range": "bytes=0-9"})
    assert answer.status == 200
    assert answer.header("Content-Length") == str(SIZE)


def test_ranges_make_the_whole(repository: Repository, algorithm: str) -> None:
    """end-2: ranges that follow each other, put together, are the blob."""
    content = unique(500_000)
    path = f"blobs/{repository.push_blob(content, algorithm)}"
    pieces = [
        repository.call("GET", path, {"Range": f"bytes={first}-{first + 77_776}"}).body
        for first in range(0, len(content), 77_777)
    ]
    assert b"".join(pieces) == content


def test_several_ranges(repository: Repository, algorithm: str) -> None:
    """end-2: several ranges are answered with a part for each, in the order asked for."""
    content = unique(SIZE)
    digest = repository.push_blob(content, algorithm)
    answer = repository.call("GET", f"blobs/{digest}", {"Range": "bytes=20-29, 0-9,500-499999,-10"})
    assert answer.status == 206
    assert answer.lines("Content-Range") == []
    assert answer.header("Docker-Content-Digest") == digest
    assert parts(answer) == [
        ("bytes 20-29/1000", content[20:30]),
        ("bytes 0-9/1000", content[:10]),
        ("bytes 500-999/1000", content[500:]),
        ("bytes 990-999/1000", content[990:]),
    ]


def test_several_ranges_of_which_some_fit(repository: Repository) -> None:
    """end-2: of several ranges those beyond the end are left out."""
    content = unique(SIZE)
    digest = repository.push_blob(content)
    answer = repository.call("GET", f"blobs/{digest}", {"Range": "bytes=0-9,20-29,1000-"})
    assert answer.status == 206
    assert [text for text, _ in parts(answer)] == ["bytes 0-9/1000", "bytes 20-29/1000"]


@pytest.mark.parametrize(("count", "status"), [(1024, 206), (1025, 200)])
def test_very_many_ranges(repository: Repository, count: int, status: int) -> None:
    """end-2: a header of 20 kB is read; beyond 1,024 ranges the whole is the shorter answer."""
    content = unique(20_000)
    digest = repository.push_blob(content)
    wanted = ",".join(f"{first * 10}-{first * 10 + 4}" for first in range(10, 10 + count))
    answer = repository.call("GET", f"blobs/{digest}", {"Range": f"bytes={wanted:<20000}"})
    assert answer.status == status
    if status == 206:
        assert len(parts(answer)) == count
        assert parts(answer)[-1][1] == content[(9 + count) * 10 :][:5]
    else:
        assert answer.body == content


def test_ranges_over_each_other(repository: Repository) -> None:
    """end-2: a small request for the same bytes again and again is not answered with them all."""
    content = unique(SIZE)
    digest = repository.push_blob(content)
    answer = repository.call("GET", f"blobs/{digest}", {"Range": "bytes=" + "0-," * 999 + "0-"})
    assert answer.status in (200, 206)
    assert len(answer.body) <= 2 * SIZE


@pytest.mark.parametrize("form", ['"{}"', "{}", 'W/"{}"', '"other", "{}"', '"other",{}', "*"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_what_the_client_has(
    repository: Repository, algorithm: str, method: str, form: str
) -> None:
    """end-2: a client that names the digest in If-None-Match is told 304, and sent no bytes."""
    digest = repository.push_blob(unique(), algorithm)
    condition = {"If-None-Match": form.format(digest), "Range": "bytes=0-1"}
    answer = repository.call(method, f"blobs/{digest}", condition)
    assert answer.status == 304
    assert answer.header("ETag") == f'"{digest}"'


@pytest.mark.parametrize("form", ['"other"', "", '"other", "another"', '"sha256:0"'])
def test_what_the_client_has_not(repository: Repository, form: str) -> None:
    """end-2: a client that names something else in If-None-Match is sent the blob."""
    content = unique()
    digest = repository.push_blob(content)
    answer = repository.call("GET", f"blobs/{digest}", {"If-None-Match": form})
    assert (answer.status, answer.body) == (200, content)


def test_if_none_match_of_what_is_unknown(repository: Repository) -> None:
    """end-2: a condition does not turn a blob that is not there into one that has not changed."""
    repository.push_blob(unique())
    digest = unknown_digest()
    for condition in (f'"{digest}"', "*"):
        answer = repository.call("GET", f"blobs/{digest}", {"If-None-Match": condition})
        assert answer.status == 404


def test_range_of_the_version_that_the_client_has(repository: Repository) -> None:
    """end-2: If-Range with the digest leaves the range; with anything else the whole is sent."""
    content = unique(SIZE)
    digest = repository.push_blob(content)
    for condition, status in ((f'"{digest}"', 206), ('"other"', 200), (f'W/"{digest}"', 200)):
        headers = {"Range": "bytes=0-9", "If-Range": condition}
        answer = repository.call("GET", f"blobs/{digest}", headers)
        assert answer.status == status, condition
        assert answer.body == (content[:10] if status == 206 else content)


@pytest.mark.parametrize("query", ["?ns=docker.io", "?ns=127.0.0.1:1&digest=x"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_mirrors_name_the_upstream(repository: Repository, method: str, query: str) -> None:
    """Proxying: ns and other query arguments change nothing about a pull."""
    digest = repository.push_blob(unique())
    assert repository.call(method, f"blobs/{digest}{query}").status == 200


def test_not_among_the_manifests(repository: Repository, algorithm: str) -> None:
    """end-3: a blob is no manifest: asked for as one it is 404 MANIFEST_UNKNOWN."""
    digest = repository.push_blob(unique(), algorithm)
    answer = repository.call("GET", f"manifests/{digest}")
    assert (answer.status, answer.codes()) == (404, ["MANIFEST_UNKNOWN"])
