"""
HTTP itself: what is no request is refused and ends the connection, what is one is answered in turn.
"""

from __future__ import annotations

import pytest

from .client import Client, check_every_answer, request
from .content import OCI_MANIFEST, digest_of, encode, number, unique, unknown_digest
from .daemon import Daemon
from .repository import Repository

BEGIN = b"POST /v2/smuggled/blobs/uploads/ HTTP/1.1\r\n"
HOST = b"Host: registry.example\r\n"
LENGTH = b"Content-Length: 0\r\n"
CODED = HOST + b"Transfer-Encoding: chunked\r\n\r\n"

# What follows the request line, up to the request that must not be found in it.
NO_REQUEST = {
    "two lengths": HOST + b"Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "the same length twice": HOST + b"Content-Length: 0\r\nContent-Length: 0\r\n\r\n",
    "two lengths in one": HOST + b"Content-Length: 0, 0\r\n\r\n",
    "signed length": HOST + b"Content-Length: +0\r\n\r\n",
    "negative length": HOST + b"Content-Length: -1\r\n\r\n",
    "hexadecimal length": HOST + b"Content-Length: 0x0\r\n\r\n",
    "underscore in the length": HOST + b"Content-Length: 0_0\r\n\r\n",
    "exponent in the length": HOST + b"Content-Length: 0e0\r\n\r\n",
    "length of other digits": HOST + "Content-Length: \u0660\r\n\r\n".encode(),
    "space in the length": HOST + b"Content-Length: 0 0\r\n\r\n",
    "no length": HOST + b"Content-Length: \r\n\r\n",
    "length and coding": HOST + LENGTH + b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "coding and length": HOST + b"Transfer-Encoding: chunked\r\n" + LENGTH + b"\r\n0\r\n\r\n",
    "two codings": HOST + b"Transfer-Encoding: chunked\r\n" * 2 + b"\r\n0\r\n\r\n",
    "chunked twice": HOST + b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    "compressed coding": HOST + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked is not the last": HOST + b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "unknown coding": HOST + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "no coding": HOST + b"Transfer-Encoding: identity\r\n\r\n",
    "coding with a control character": HOST + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n",
    "space before the colon": HOST + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "space before the colon of the length": HOST + b"Content-Length : 0\r\n\r\n",
    "folded first header": b" X-Folded: a\r\n" + HOST + LENGTH + b"\r\n",
    "no colon": HOST + b"Nothing\r\n" + LENGTH + b"\r\n",
    "no name": HOST + b": value\r\n" + LENGTH + b"\r\n",
    "space in the name": HOST + b"X Y: value\r\n" + LENGTH + b"\r\n",
    "bare CR in a value": HOST + b"X: a\rContent-Length: 5\r\n" + LENGTH + b"\r\n",
    "NUL in a value": HOST + b"X: a\x00b\r\n" + LENGTH + b"\r\n",
    "NUL in a name": HOST + b"X\x00Y: a\r\n" + LENGTH + b"\r\n",
    "no host": LENGTH + b"\r\n",
    "two hosts": HOST + b"Host: other.example\r\n" + LENGTH + b"\r\n",
    "the same host twice": HOST + HOST + LENGTH + b"\r\n",
    "chunk size with a prefix": CODED + b"0x0\r\n\r\n",
    "signed chunk size": CODED + b"+0\r\n\r\n",
    "negative chunk size": CODED + b"-1\r\n\r\n",
    "no chunk size": CODED + b"\r\n\r\n",
    "chunk size is no number": CODED + b"zz\r\n\r\n",
    "chunk size with a space in it": CODED + b"0 0\r\n\r\n",
    "chunk longer than its size": CODED + b"1\r\nxxx\r\n0\r\n\r\n",
    "line feed in a chunk extension": CODED + b"1;a\nb\r\nx\r\n0\r\n\r\n",
    "line feed ends a chunk size": CODED + b"1\nx\r\n0\r\n\r\n",
}

NO_REQUEST_LINE = {
    "no version": b"POST /v2/smuggled/blobs/uploads/\r\n",
    "unknown version": b"POST /v2/smuggled/blobs/uploads/ HTTP/9.9\r\n",
    "version without a name": b"POST /v2/smuggled/blobs/uploads/ 1.1\r\n",
    "lower-case version": b"POST /v2/smuggled/blobs/uploads/ http/1.1\r\n",
    "version with a tail": b"POST /v2/smuggled/blobs/uploads/ HTTP/1.1x\r\n",
    "space in the target": b"POST /v2/smug gled/blobs/uploads/ HTTP/1.1\r\n",
    "nothing but words": b"hello registry\r\n",
    "bytes": b"\x00\x01\x02\x03\xff\r\n",
}


def assert_not_executed(
    client: Client, raw: bytes, statuses: tuple[int, ...] = (400, 501, 505)
) -> None:
    """
    The bytes are answered with a refusal, the connection ends, and a request that follows in them
    is not taken for one.
    """
    canary = Repository(client, f"canary{number()}")
    content = unique()
    target = f"/v2/{canary.name}/blobs/uploads/?digest={digest_of(content)}"
    with client.connect() as wire:
        wire.send(raw + request("POST", target, body=content))
        answer = wire.answer("POST")
        assert answer.status in statuses, answer
        rest = wire.rest()
    assert b"201" not in rest.split(b"\r\n")[0], rest
    missing = canary.call("GET", "tags/list")
    assert (missing.status, missing.codes()) == (404, ["NAME_UNKNOWN"])


@pytest.mark.parametrize("fault", NO_REQUEST)
def test_ambiguous_framing(client: Client, fault: str) -> None:
    """A request whose end two readers could see in two places is refused, and nothing after it."""
    assert_not_executed(client, BEGIN + NO_REQUEST[fault])


@pytest.mark.parametrize("fault", NO_REQUEST_LINE)
def test_no_request_line(client: Client, fault: str) -> None:
    """A first line that is none is refused, and nothing after it is read."""
    assert_not_executed(client, NO_REQUEST_LINE[fault] + HOST + LENGTH + b"\r\n")


def test_chunk_without_end(client: Client) -> None:
    """What follows in a chunk of an absurd size is part of it, whether refused or not read."""
    assert_not_executed(client, BEGIN + CODED + b"f" * 30 + b"\r\n", (202, 400))


@pytest.mark.parametrize(
    "folded",
    [
        b"X-Folded: a\r\n b\r\n" + LENGTH + b"\r\n",
        b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
        b"Content-Length:\r\n\t0\r\n\r\n",
    ],
)
def test_folded_header(client: Client, folded: bytes) -> None:
    """A header over two lines is refused, or read as one line: then the request ends as it says."""
    with client.connect() as wire:
        wire.send(BEGIN + HOST + folded + request("GET", "/v2/", {"Connection": "close"}))
        if wire.answer("POST").status == 202:
            assert wire.answer("GET").status == 200
        assert wire.rest() == b""


def test_the_corpus_would_find_out(client: Client) -> None:
    """The request that must not be executed in the refused ones is, after one in good form."""
    canary = Repository(client, f"canary{number()}")
    content = unique()
    target = f"/v2/{canary.name}/blobs/uploads/?digest={digest_of(content)}"
    with client.connect() as wire:
        wire.send(BEGIN + HOST + LENGTH + b"\r\n" + request("POST", target, body=content))
        assert wire.answer("POST").status == 202
        assert wire.answer("POST").status == 201
    assert canary.tags() == []


def test_pipelined_requests(repository: Repository) -> None:
    """Requests sent at once are answered each for itself, in their order, refusals among them."""
    large, small = unique(2_000_000), unique(10)
    first, second = repository.push_blob(large), repository.push_blob(small)
    paths = [
        ("GET", f"/v2/{repository.name}/blobs/{first}", 200, large),
        ("HEAD", f"/v2/{repository.name}/blobs/{first}", 200, b""),
        ("GET", f"/v2/{repository.name}/blobs/{second}", 200, small),
        ("GET", f"/v2/{repository.name}/blobs/{unknown_digest()}", 404, None),
        ("GET", f"/v2/{repository.name}/blobs/{second}", 200, small),
        ("GET", "/nowhere", 404, None),
        ("POST", f"/v2/{repository.name}/blobs/uploads/", 202, b""),
        ("GET", f"/v2/{repository.name}/blobs/{first}", 200, large),
    ]
    with repository.client.connect() as wire:
        wire.send(b"".join(request(method, path) for method, path, _, _ in paths))
        for method, path, status, body in paths:
            answer = wire.answer(method)
            assert answer.status == status, path
            assert body is None or answer.body == body, path


def test_uploads_on_one_connection(repository: Repository) -> None:
    """A client may push blob after blob on one connection, with bodies of either framing."""
    with repository.client.connect() as wire:
        for size in (0, 1, 100_000):
            content = unique(size)
            wire.send(request("POST", f"/v2/{repository.name}/blobs/uploads/"))
            location = wire.answer("POST").header("Location")
            wire.send(request("PATCH", location, chunks=[content] if content else []))
            assert wire.answer("PATCH").status == 202
            wire.send(request("PUT", f"{location}?digest={digest_of(content)}"))
            assert wire.answer("PUT").status == 201


@pytest.mark.parametrize("size", [100, 100_000, 5_000_000])
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
@pytest.mark.parametrize("coded", [True, False])
def test_refused_with_a_body(repository: Repository, method: str, size: int, coded: bool) -> None:
    """A client that sends its whole body before it reads gets to read why it was refused."""
    target = f"/v2/{repository.name}/blobs/uploads/0?digest={unknown_digest()}"
    body = unique(size)
    answer = (
        repository.client.call(method, target, chunks=[body])
        if coded
        else repository.client.call(method, target, body=body)
    )
    assert (answer.status, answer.codes()) == (404, ["BLOB_UPLOAD_UNKNOWN"])


def test_a_refused_body_is_no_request(repository: Repository) -> None:
    """The body of a refused request is not taken for the next request."""
    content = unique()
    target = f"/v2/{repository.name}/blobs/uploads/?digest={digest_of(content)}"
    hidden = request("POST", target, body=content)
    with repository.client.connect() as wire:
        wire.send(request("PATCH", f"/v2/{repository.name}/blobs/uploads/0", body=hidden * 50))
        assert wire.answer("PATCH").status == 404
        wire.send(request("GET", "/v2/", {"Connection": "close"}))
        rest = wire.rest()
    assert rest == b"" or rest.startswith(b"HTTP/1.1 200 "), rest
    assert b"201 Created" not in rest
    assert repository.call("GET", "tags/list").status == 404


@pytest.mark.parametrize("expectation", ["100-continue", "100-Continue"])
def test_continue(repository: Repository, expectation: str) -> None:
    """A client that waits to be asked for its body is asked when the request can succeed."""
    content = unique()
    location = repository.begin()
    headers = {"Content-Length": "100", "Expect": expectation}
    with repository.client.connect() as wire:
        wire.send(request("PATCH", location, headers))
        assert wire.answer("PATCH").status == 100
        wire.send(content)
        assert wire.answer("PATCH").status == 202
    assert repository.commit(location, digest_of(content)).status == 201


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("PATCH", "blobs/uploads/0", {}, 404),
        ("PUT", "blobs/uploads/0?digest=sha256:" + "a" * 64, {}, 404),
        ("PUT", "{session}?digest=sha256:zz", {}, 400),
        ("PATCH", "{session}", {"Content-Range": "5-104"}, 416),
        ("PATCH", "{session}", {"Content-Range": "0-4"}, 400),
        ("PUT", "manifests/.INVALID", {}, 400),
        ("PUT", "tags/list", {}, 405),
    ],
)
def test_no_continue(
    repository: Repository, method: str, path: str, headers: dict[str, str], status: int
) -> None:
    """A client that waits to be asked for its body is not asked if it is refused anyway."""
    session = repository.begin().removeprefix(f"/v2/{repository.name}/")
    target = f"/v2/{repository.name}/{path.format(session=session)}"
    headers = {**headers, "Content-Length": "100", "Expect": "100-continue"}
    with repository.client.connect() as wire:
        wire.send(request(method, target, headers))
        assert wire.answer(method).status == status


def test_a_manifest_too_large_is_not_asked_for(repository: Repository) -> None:
    """A client that waits to be asked for a manifest over the limit is refused by its length."""
    headers = {"Content-Length": str(5 << 20), "Expect": "100-continue"}
    with repository.client.connect() as wire:
        wire.send(request("PUT", f"/v2/{repository.name}/manifests/v1", headers))
        assert wire.answer("PUT").status == 413


@pytest.mark.parametrize("host", ["registry.example", "evil.example", "evil.example:1234"])
def test_absolute_form(repository: Repository, host: str) -> None:
    """A target with scheme and host is served, and the host in it goes nowhere."""
    repository.push_image("v1")
    url = f"http://{host}/v2/{repository.name}"
    listed = repository.client.call("GET", f"{url}/tags/list?n=1&last=a")
    assert (listed.status, listed.json()["tags"]) == (200, ["v1"])
    started = repository.client.call("POST", f"{url}/blobs/uploads/")
    assert started.header("Location").startswith(f"/v2/{repository.name}/blobs/uploads/")


def test_http_1_0(client: Client) -> None:
    """HTTP/1.0, which has no Host, is answered, and the connection ends."""
    with client.connect() as wire:
        wire.send(b"GET /v2/ HTTP/1.0\r\n\r\n")
        assert wire.answer("GET").status == 200
        assert wire.rest() == b""


@pytest.mark.parametrize("target", ["*", "registry.example:443", "//evil.example/v2/", "?"])
@pytest.mark.parametrize("method", ["OPTIONS", "CONNECT", "GET"])
def test_targets_that_are_no_paths(client: Client, method: str, target: str) -> None:
    """Targets of other forms are refused, as a client's mistake."""
    with client.connect() as wire:
        wire.send(request(method, target, {"Connection": "close"}))
        answer = wire.answer(method)
    assert 400 <= answer.status < 500
    assert answer.lines("Location") == []


def test_long_target(client: Client) -> None:
    """A target beyond the limit is 414, at once, and ends the connection."""
    with client.connect() as wire:
        wire.send(request("GET", "/v2/?x=" + "y" * 200_000))
        assert wire.answer("GET").status == 414
        wire.rest()


@pytest.mark.parametrize("name", ["X-Long", "Authorization", "Range"])
def test_long_header(client: Client, name: str) -> None:
    """A header beyond the limit is 431, at once, and ends the connection."""
    with client.connect() as wire:
        wire.send(request("GET", "/v2/", {name: "y" * 200_000}))
        assert wire.answer("GET").status == 431
        wire.rest()


def test_very_many_headers(client: Client) -> None:
    """Header lines beyond the limit are 431, though each of them is short."""
    with client.connect() as wire:
        wire.send(request("GET", "/v2/", [(f"X-{count}", "y") for count in range(50_000)]))
        assert wire.answer("GET").status == 431
        wire.rest()


def test_headers_up_to_the_limit(client: Client) -> None:
    """A header of 60 kB, which tokens and ranges can come to, is read."""
    assert client.call("GET", "/v2/", {"Authorization": "Bearer " + "x" * 60_000}).status == 200


def test_tls_on_the_plain_port(client: Client) -> None:
    """A client that tries TLS first is told at once, in HTTP, that this is not the place."""
    hello = bytes.fromhex("1603010200010001fc0303") + unique(500)
    for size in (1, 5, len(hello)):
        with client.connect() as wire:
            wire.send(hello[:size])
            assert wire.rest().startswith(b"HTTP/1.1 400 ")


def test_refusals_of_http_are_in_json(client: Client) -> None:
    """Where HTTP itself is refused, headers and body are those of every other refusal."""
    for raw in (
        BEGIN + LENGTH + b"\r\n",
        request("GET", "/v2/?x=" + "y" * 200_000),
        request("GET", "/v2/", {"X": "y" * 200_000}),
    ):
        with client.connect() as wire:
            wire.send(raw)
            check_every_answer("GET", wire.answer())


@pytest.mark.parametrize("coding", ["gzip", "zstd", "deflate, gzip", "unheard-of"])
@pytest.mark.parametrize("kind", ["blob", "manifest"])
def test_content_codings(repository: Repository, kind: str, coding: str) -> None:
    """A body in a content coding is 415: its digest is not that of what would be stored."""
    body = encode(repository.image())
    digest = digest_of(body)
    headers = {"Content-Encoding": coding, "Content-Type": OCI_MANIFEST}
    answer = (
        repository.call("POST", f"blobs/uploads/?digest={digest}", headers, body)
        if kind == "blob"
        else repository.call("PUT", f"manifests/{digest}", headers, body)
    )
    assert (answer.status, answer.codes()) == (415, ["UNSUPPORTED"])
    assert repository.status(f"blobs/{digest}") == 404
    assert repository.status(f"manifests/{digest}") == 404


def test_forms_take_no_memory(daemon: Daemon, repository: Repository) -> None:
    """A body declared to be a form is streamed like any other: it is not parsed in memory."""
    content = b"a=b&" * 5_000_000
    target = f"blobs/uploads/?digest={digest_of(content)}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    peak = daemon.peak_memory(lambda: repository.call("POST", target, headers, content))
    assert repository.status(f"blobs/{digest_of(content)}") == 200
    assert peak < 16 << 20
