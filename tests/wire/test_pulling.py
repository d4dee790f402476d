"""
Blobs on the wire: whole, in ranges, and what happens when the disk does not keep its word.
"""

from __future__ import annotations

from email import message_from_bytes

import pytest

from ociregd.web.ranges import MOST_RANGES
from ociregd.web.sending import CHUNK_BYTES

from ..harness import InMemoryRegistry
from ..messages import Answer, digest_of, new_content, new_name, request
from ..transports import TRANSPORT_BYTES
from .conftest import Faults, NewRegistry

CONTENT = new_content(2 * CHUNK_BYTES + 1000)


def parts_of(answer: Answer) -> list[tuple[str, bytes]]:
    """
    The parts of a multipart answer, taken apart by hand: what each says it is, and its bytes.
    """
    kind, _, boundary = answer.header("Content-Type").partition("; boundary=")
    assert kind == "multipart/byteranges"
    preamble, *parts, end = (b"\r\n" + answer.body.removeprefix(b"\r\n")).split(
        b"\r\n--" + boundary.encode()
    )
    assert (preamble, end) == (b"", b"--\r\n")
    found = []
    for part in parts:
        head, _, body = part.partition(b"\r\n\r\n")
        blank, *lines = head.decode().split("\r\n")
        assert blank == ""
        headers = dict(line.split(": ") for line in lines)
        assert headers["Content-Type"] == "application/octet-stream"
        found.append((headers["Content-Range"], body))
    return found


def test_whole(either_registry: InMemoryRegistry) -> None:
    """A blob comes as it was pushed, with its length, and no coding whatever the client offers."""
    path = either_registry.push(new_name(), CONTENT)
    headers = [("Accept-Encoding", "gzip, zstd, br"), ("TE", "gzip, chunked"), ("Accept", "text/x")]
    answer = either_registry.call("GET", path, headers)
    assert answer.body == CONTENT
    assert answer.values("Content-Encoding") == answer.values("Transfer-Encoding") == []


def test_empty(either_registry: InMemoryRegistry) -> None:
    """A blob without bytes is one, and no range of it can be had."""
    path = either_registry.push(new_name(), b"")
    answer = either_registry.call("GET", path)
    assert (answer.status, answer.body) == (200, b"")
    answer = either_registry.call("GET", path, [("Range", "bytes=0-")])
    assert (answer.status, answer.header("Content-Range")) == (416, "bytes */0")


@pytest.mark.parametrize(
    ("text", "start", "stop"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=10-99", 10, 100),
        (f"bytes={CHUNK_BYTES - 1}-{CHUNK_BYTES}", CHUNK_BYTES - 1, CHUNK_BYTES + 1),
        ("bytes=1000-", 1000, len(CONTENT)),
        ("bytes=-1", len(CONTENT) - 1, len(CONTENT)),
        (f"bytes=5-{10**30}", 5, len(CONTENT)),
        (f"bytes=-{10**30}", 0, len(CONTENT)),
    ],
)
def test_one_range(either_registry: InMemoryRegistry, text: str, start: int, stop: int) -> None:
    """One range comes as it is, and the answer says which it is."""
    path = either_registry.push(new_name(), CONTENT)
    answer = either_registry.call("GET", path, [("Range", text)])
    assert (answer.status, answer.body) == (206, CONTENT[start:stop])
    assert answer.header("Content-Range") == f"bytes {start}-{stop - 1}/{len(CONTENT)}"
    assert answer.header("Content-Type") == "application/octet-stream"


def test_several_ranges(either_registry: InMemoryRegistry) -> None:
    """Several ranges come as parts, in the order of the client, each with its place."""
    path = either_registry.push(new_name(), CONTENT)
    text = f"bytes=0-9,-5, 100-{CHUNK_BYTES + 100}, 50-50,{10**9}-"
    answer = either_registry.call("GET", path, [("Range", text)])
    assert answer.status == 206
    assert answer.values("Content-Range") == []
    size = len(CONTENT)
    assert parts_of(answer) == [
        (f"bytes 0-9/{size}", CONTENT[:10]),
        (f"bytes {size - 5}-{size - 1}/{size}", CONTENT[-5:]),
        (f"bytes 100-{CHUNK_BYTES + 100}/{size}", CONTENT[100 : CHUNK_BYTES + 101]),
        (f"bytes 50-50/{size}", CONTENT[50:51]),
    ]


def test_several_ranges_are_mime(registry: InMemoryRegistry) -> None:
    """A parser of MIME messages finds the same parts."""
    text = b"".join(b"line %d\r\n" % number for number in range(100))
    path = registry.push(new_name(), text)
    answer = registry.call("GET", path, [("Range", "bytes=0-9,500-520")])
    message = message_from_bytes(
        b"Content-Type: " + answer.header("Content-Type").encode() + b"\r\n\r\n" + answer.body
    )
    payloads = [part.get_payload(decode=True) for part in message.get_payload()]  # type: ignore[union-attr]
    assert payloads == [text[:10], text[500:521]]


def test_many_ranges(registry: InMemoryRegistry) -> None:
    """As many as clients ask for in practice, and more of them get the whole blob."""
    path = registry.push(new_name(), CONTENT)
    ranges = [f"{100 * at}-{100 * at + 1}" for at in range(MOST_RANGES + 1)]
    some = registry.call("GET", path, [("Range", "bytes=" + ",".join(ranges[:MOST_RANGES]))])
    assert some.status == 206
    expected = [CONTENT[100 * at : 100 * at + 2] for at in range(MOST_RANGES)]
    assert [body for _, body in parts_of(some)] == expected
    all_of_it = registry.call("GET", path, [("Range", "bytes=" + ",".join(ranges))])
    assert (all_of_it.status, all_of_it.body) == (200, CONTENT)


@pytest.mark.parametrize(
    "text", ["bytes=5-3", "bytes=", "bytes=a-b", "items=0-1", "0-1", "bytes=-"]
)
def test_ignored_ranges(registry: InMemoryRegistry, text: str) -> None:
    """A range that means nothing is as good as none."""
    path = registry.push(new_name(), CONTENT)
    answer = registry.call("GET", path, [("Range", text)])
    assert (answer.status, answer.body) == (200, CONTENT)


def test_nothing_there(registry: InMemoryRegistry) -> None:
    """A range behind the end is refused, with the size; the connection stays usable."""
    path = registry.push(new_name(), b"content")
    wire = registry.connect()
    wire.send(request("GET", path, [("Range", "bytes=7-")]) + request("GET", path))
    refused, whole = wire.answers("GET", "GET")
    assert (refused.status, refused.header("Content-Range")) == (416, "bytes */7")
    assert refused.codes == ["UNSUPPORTED"]
    assert whole.body == b"content"


def test_if_range(registry: InMemoryRegistry) -> None:
    """A range of something else than what the client has begun to read is not wanted."""
    path = registry.push(new_name(), CONTENT)
    etag = registry.call("HEAD", path).header("ETag")
    assert etag == f'"{digest_of(CONTENT)}"'
    for value, status in ((etag, 206), ('"other"', 200), (f"W/{etag}", 200)):
        headers = [("Range", "bytes=0-1"), ("If-Range", value)]
        assert registry.call("GET", path, headers).status == status


def test_head(registry: InMemoryRegistry) -> None:
    """A question about a blob is answered with its size, whatever range it asks for."""
    path = registry.push(new_name(), CONTENT)
    answer = registry.call("HEAD", path, [("Range", "bytes=0-1")])
    assert (answer.status, answer.header("Content-Length")) == (200, str(len(CONTENT)))


@pytest.mark.parametrize(
    "name", ["Range", "If-Range", "If-None-Match", "Content-Type", "Content-Range", "Accept", "X"]
)
@pytest.mark.parametrize("value", ["bytes=\xff", "\xe2\x28\xa1", "\x01\x7f"])
def test_headers_that_are_no_text(registry: InMemoryRegistry, name: str, value: str) -> None:
    """Whatever bytes a header has, the answer is one that the specification knows."""
    repository = new_name()
    path, location = registry.push(repository, b"content"), registry.begin(repository)
    field = f"{name}: {value}\r\n".encode("latin-1")
    wire = registry.connect()
    for data in (
        request("GET", path),
        request("PATCH", location, body=b"x"),
        request("PUT", f"/v2/{repository}/manifests/t", body=b"{}"),
    ):
        wire.send(data.replace(b"\r\n", b"\r\n" + field, 1))
        assert wire.answer().status < 500


def test_a_file_that_shrinks(registry: InMemoryRegistry, faults: Faults) -> None:
    """
    When fewer bytes are there than were promised, the connection breaks off: the client must not
    take what it has for the blob.
    """
    content = new_content(4 * CHUNK_BYTES)
    path = registry.push(new_name(), content)
    wire = registry.connect()
    wire.transport.client_reads = False
    wire.send(request("GET", path))
    [file] = (registry.directory / "blobs").rglob(f"{digest_of(content)[7:]}.*")
    with file.open("r+b") as opened:
        opened.truncate(2 * CHUNK_BYTES)
    for _ in range(len(content) // CHUNK_BYTES):
        wire.take(CHUNK_BYTES + TRANSPORT_BYTES)
    assert wire.aborted
    received = wire.received()
    assert f"Content-Length: {len(content)}".encode() in received
    assert len(received) < len(content)
    [event] = faults.take()
    assert "incident" in event["log_format"]


def test_a_file_of_another_size(registry: InMemoryRegistry, faults: Faults) -> None:
    """A file that is not what the database says is not sent at all."""
    content = new_content(1000)
    path = registry.push(new_name(), content)
    [file] = (registry.directory / "blobs").rglob(f"{digest_of(content)[7:]}.*")
    file.write_bytes(content[:-1])
    answer = registry.call("GET", path)
    assert (answer.status, answer.codes) == (500, ["UNKNOWN"])
    assert answer.values("ETag") == answer.values("Cache-Control") == []
    [event] = faults.take()
    assert event["incident_id"] in answer.body.decode()


def test_a_missing_file(new_registry: NewRegistry, faults: Faults) -> None:
    """Nor is one that is not there; the connection stays usable."""
    registry = new_registry()
    content = new_content(1000)
    path = registry.push(new_name(), content)
    [file] = (registry.directory / "blobs").rglob(f"{digest_of(content)[7:]}.*")
    file.unlink()
    wire = registry.connect()
    wire.send(request("GET", path) + request("GET", "/v2/"))
    broken, ping = wire.answers("GET", "GET")
    assert (broken.status, ping.status) == (500, 200)
    assert len(faults.take()) == 1
