"""
What is no request, or could be taken for two different ones: refused, and the connection ends, so
that nothing behind it is taken for a request either.
"""

from __future__ import annotations

import json

import pytest

from ociregd.web.channel import HEADER_BYTES

from ..harness import InMemoryRegistry, Wire
from ..messages import Answer, new_name, read_answer, request

CANARY = "canary"


def only_answer(wire: Wire) -> Answer:
    """The one answer on a connection that the server has ended."""
    assert wire.closed
    answer, rest = read_answer(wire.received())
    assert rest == b""
    assert answer.header("Connection") == "close"
    assert answer.header("Content-Type") == "application/json"
    for error in json.loads(answer.body)["errors"]:
        assert {type(error[key]) for key in ("code", "message", "detail")} == {str}
    return answer


def refusal(registry: InMemoryRegistry, data: bytes, size: int | None = None) -> int:
    """
    The status that some bytes get on a connection that ends with it; a request that stands behind
    them is not done.
    """
    canary = f"{CANARY}/{new_name()}"
    target = f"/v2/{canary}/blobs/uploads/?digest=sha256:{'e3b0c44298fc1c149afbf4c8996fb924'}"
    target += "27ae41e4649b934ca495991b7852b855"
    wire = registry.connect()
    wire.send(data + request("POST", target, body=b""), size)
    status = only_answer(wire).status
    assert registry.call("GET", f"/v2/{canary}/tags/list").status == 404
    return status


def post(*lines: str, body: bytes = b"") -> bytes:
    """A request with a body and these header lines."""
    head = ["POST /v2/a/blobs/uploads/ HTTP/1.1", "Host: registry.example", *lines, "", ""]
    return "\r\n".join(head).encode("latin-1") + body


def get(*lines: str, first: str = "GET /v2/ HTTP/1.1") -> bytes:
    """A request without a body, of this request line and these header lines."""
    return "\r\n".join([first, *lines, "", ""]).encode("latin-1")


HOST = "Host: registry.example"

MALFORMED = {
    "no host": get(),
    "two hosts": get(HOST, "Host: other.example"),
    "the same host twice": get(HOST, HOST),
    "two lengths": post("Content-Length: 5", "Content-Length: 6", body=b"hello"),
    "the same length twice": post("Content-Length: 5", "Content-Length: 5", body=b"hello"),
    "a list of lengths": post("Content-Length: 5, 5", body=b"hello"),
    "length and coding": post("Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
    "coding and length": post("Transfer-Encoding: chunked", "Content-Length: 5", body=b"0\r\n\r\n"),
    "signed length": post("Content-Length: +5", body=b"hello"),
    "negative length": post("Content-Length: -5", body=b"hello"),
    "hexadecimal length": post("Content-Length: 0x5", body=b"hello"),
    "underscore in length": post("Content-Length: 1_0", body=b"hellohello"),
    "no length": post("Content-Length:", body=b"hello"),
    "identity": post("Transfer-Encoding: identity", body=b"hello"),
    "identity and length": post("Transfer-Encoding: identity", "Content-Length: 5", body=b"hello"),
    "gzip, chunked": post("Transfer-Encoding: gzip, chunked", body=b"0\r\n\r\n"),
    "chunked, identity": post("Transfer-Encoding: chunked, identity", body=b"0\r\n\r\n"),
    "chunked twice": post(*["Transfer-Encoding: chunked"] * 2, body=b"0\r\n\r\n"),
    "unknown coding": post("Transfer-Encoding: xchunked", body=b"0\r\n\r\n"),
    "chunked by vertical tab": post("Transfer-Encoding: \x0bchunked", body=b"0\r\n\r\n"),
    "space before the colon": get(HOST, "X : y"),
    "space before the name": get(" Host: registry.example"),
    "no colon": get(HOST, "Nonsense"),
    "no name": get(HOST, ": value"),
    "name with a space": get(HOST, "Two words: value"),
    "zero byte in a value": get(HOST, "X: a\x00b"),
    "carriage return in a value": get(HOST, "X: a\rTransfer-Encoding: chunked"),
    "bare line feed in a value": get(HOST, "X: a\nTransfer-Encoding: chunked"),
    "no version": get(HOST, first="GET /v2/"),
    "old version": get(HOST, first="GET /v2/ HTTP/0.9"),
    "new version": get(HOST, first="GET /v2/ HTTP/2.0"),
    "unheard-of version": get(HOST, first="GET /v2/ HTTP/1.9"),
    "version in lower case": get(HOST, first="GET /v2/ http/1.1"),
    "too many words": get(HOST, first="GET /v2/ /v3/ HTTP/1.1"),
    "no target": get(HOST, first="GET  HTTP/1.1"),
    "method with a slash": get(HOST, first="GE/T /v2/ HTTP/1.1"),
    "target with 8 bits": get(HOST, first="GET /v2/\xff HTTP/1.1"),
    "preface of HTTP/2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "empty lines": b"\r\n\r\n\r\n",
    "nonsense": bytes(range(128, 256)) + b"\r\n",
}


@pytest.mark.parametrize("data", MALFORMED.values(), ids=MALFORMED.keys())
def test_refused(registry: InMemoryRegistry, data: bytes) -> None:
    """However the bytes come, there is one refusal, and nothing else is done."""
    expected = {400, 505} if b"GET /v2/ HTTP/" in data or data.startswith(b"PRI") else {400}
    for size in (None, 1, 7):
        assert refusal(registry, data, size) in expected


def test_a_length_that_no_file_has(registry: InMemoryRegistry) -> None:
    """A length of 23 digits is a number, but no length."""
    assert refusal(registry, post("Content-Length: 99999999999999999999999")) == 413


def test_content_codings(registry: InMemoryRegistry) -> None:
    """A compressed body would not have the digest that its content has."""
    data = post("Content-Encoding: gzip", "Content-Length: 5", body=b"hello")
    assert refusal(registry, data) == 415


CHUNKS = {
    "no number": b"x\r\nhello\r\n0\r\n\r\n",
    "signed": b"+5\r\nhello\r\n0\r\n\r\n",
    "negative": b"-5\r\nhello\r\n0\r\n\r\n",
    "prefixed": b"0x5\r\nhello\r\n0\r\n\r\n",
    "underscore": b"0_5\r\nhello\r\n0\r\n\r\n",
    "space": b" 5\r\nhello\r\n0\r\n\r\n",
    "empty": b"\r\nhello\r\n0\r\n\r\n",
    "longer than it says": b"4\r\nhello\r\n0\r\n\r\n",
    "line feed in an extension": b"5;a\nb\r\nhello\r\n0\r\n\r\n",
    "extension without end": b"5;" + b"a" * 2000,
    "line feed alone": b"5\nhello\n0\n\n" + b"x" * 2000,
    "trailers without end": b"5\r\nhello\r\n0\r\n" + b"X: y\r\n" * 20_000,
}


@pytest.mark.parametrize("size", [None, 13])
@pytest.mark.parametrize("chunks", CHUNKS.values(), ids=CHUNKS.keys())
def test_bad_chunks(either_registry: InMemoryRegistry, chunks: bytes, size: int | None) -> None:
    """
    A body whose chunks make no sense is refused; the session that it was for is kept.
    """
    registry = either_registry
    location = registry.begin(new_name())
    wire = registry.connect()
    wire.send(request("PATCH", location, [("Transfer-Encoding", "chunked")]) + chunks, size)
    assert only_answer(wire).status == 400
    assert registry.offset(location) in (0, 4, 5)


def test_good_chunks(registry: InMemoryRegistry) -> None:
    """Extensions and trailers mean nothing, and are no fault."""
    location = registry.begin(new_name())
    wire = registry.connect()
    head = request("PATCH", location, [("Transfer-Encoding", "Chunked")])
    wire.send(head + b'0005;a=b;c="d"\r\nhello\r\n000;e\r\nDigest: x\r\nHost: y\r\n\r\n')
    assert wire.answer().header("Range") == "0-4"


@pytest.mark.parametrize("size", [None, 1000])
def test_headers_too_large(registry: InMemoryRegistry, size: int | None) -> None:
    """One header or many: there is a limit, and an answer that says so."""
    lines = [f"X-{number}: {'y' * 500}" for number in range(HEADER_BYTES // 500)]
    assert refusal(registry, get(HOST, "X: " + "y" * HEADER_BYTES), size) == 431
    assert refusal(registry, get(HOST, *lines), size) == 431
    assert refusal(registry, get(HOST, "X: y\r\n" + " y" * HEADER_BYTES), size) == 431


@pytest.mark.parametrize("size", [None, 1000])
def test_request_line_too_long(registry: InMemoryRegistry, size: int | None) -> None:
    """So is a request line, even one that does not end."""
    first = f"GET /v2/_catalog?last={'y' * HEADER_BYTES} HTTP/1.1"
    assert refusal(registry, get(HOST, first=first), size) == 414
    assert refusal(registry, b"y" * 2 * HEADER_BYTES, size) == 414


def test_large_headers(registry: InMemoryRegistry) -> None:
    """Tokens and lists of ranges of many kilobytes are real, and welcome."""
    headers = [("Authorization", "Bearer " + "y" * 30_000), ("Range", "bytes=" + "1-2," * 5000)]
    assert registry.call("GET", "/v2/", headers).status == 200
    assert registry.call("GET", f"/v2/_catalog?last={'y' * 30_000}").status == 200


def test_the_limit_is_for_each_request(registry: InMemoryRegistry) -> None:
    """On one connection the headers of all requests together may be larger."""
    wire = registry.connect()
    for _ in range(5):
        wire.send(request("GET", "/v2/", [("X", "y" * (HEADER_BYTES // 2))]))
        assert wire.answer().status == 200


def test_too_many_headers(registry: InMemoryRegistry) -> None:
    """The number of headers has a limit as well."""
    assert refusal(registry, get(HOST, *["X: y"] * 2000)) in (400, 431)


CLIENT_HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(190)


@pytest.mark.parametrize("size", [None, 1])
def test_tls(registry: InMemoryRegistry, size: int | None) -> None:
    """
    Clients try TLS first when told that a registry is insecure, and go on at once if the answer is
    one of HTTP.
    """
    wire = registry.connect()
    wire.send(CLIENT_HELLO, size)
    assert wire.transport.value().startswith(b"HTTP/1.1 400 ")
    only_answer(wire)


def test_tls_on_a_used_connection(registry: InMemoryRegistry) -> None:
    """In the middle of a connection it is nonsense like any other."""
    wire = registry.connect()
    wire.send(request("GET", "/v2/"))
    assert wire.answer().status == 200
    wire.send(CLIENT_HELLO + b"\r\n")
    assert only_answer(wire).status == 400


@pytest.mark.parametrize(
    "host", ["", "a..b", "x" * 200, "a b", "[::1]:5000", "h:99999999", "\xff", "-", "*", "_x_"]
)
def test_strange_hosts(registry: InMemoryRegistry, host: str) -> None:
    """
    Which host the client believes to talk to does not matter; nothing that it says leads to a
    fault.
    """
    wire = registry.connect()
    wire.send(get(f"Host: {host}") + get(f"Host: {host}", first="GET /v2/x HTTP/1.1"))
    if wire.closed:
        assert only_answer(wire).status == 400
    else:
        ping, unknown = wire.answers("GET", "GET")
        assert (ping.status, unknown.codes) == (200, ["UNSUPPORTED"])


def test_folded_header(registry: InMemoryRegistry) -> None:
    """A header that goes on in the next line is one value, or refused (RFC 9112 5.2)."""
    wire = registry.connect()
    wire.send(get(HOST, "X: a", " Content-Length: 5"))
    assert wire.answer().status in (200, 400)
