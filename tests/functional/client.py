"""
An HTTP client that hides nothing: what is sent is written out here, what comes back is read byte
by byte, and every answer is held to what must be true of all of them.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Any

from attrs import define, frozen

TIMEOUT_SECONDS = 20.0

CODES = frozenset(
    {
        "BLOB_UNKNOWN",
        "BLOB_UPLOAD_INVALID",
        "BLOB_UPLOAD_UNKNOWN",
        "DIGEST_INVALID",
        "MANIFEST_BLOB_UNKNOWN",
        "MANIFEST_INVALID",
        "MANIFEST_UNKNOWN",
        "NAME_INVALID",
        "NAME_UNKNOWN",
        "SIZE_INVALID",
        "UNAUTHORIZED",
        "DENIED",
        "UNSUPPORTED",
        "TOOMANYREQUESTS",
    }
)

Headers = Mapping[str, str] | Sequence[tuple[str, str]]


@frozen
class Answer:
    """
    One response: the status, the header lines in their order, and the whole body.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes

    def lines(self, name: str) -> list[str]:
        """All values of a header, a line each."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """The value of a header that must be there exactly once."""
        values = self.lines(name)
        assert len(values) == 1, f"{name}: {values} in {self}"
        return values[0]

    def json(self) -> Any:
        """The body, read as JSON."""
        return json.loads(self.body)

    def codes(self) -> list[str]:
        """The codes of an error body, in its order."""
        return [error["code"] for error in self.json()["errors"]]


class Wire:
    """
    One connection: bytes out, answers in. A context manager that closes it.
    """

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), TIMEOUT_SECONDS)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._unread = b""

    def __enter__(self) -> Wire:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._socket.close()

    def send(self, data: bytes) -> None:
        """
        Send bytes. A peer that has closed already may have answered first, so that is no failure
        here: whether there is an answer shows when it is read.
        """
        with suppress(BrokenPipeError, ConnectionResetError):
            self._socket.sendall(data)

    def rest(self) -> bytes:
        """Everything up to the end of the connection."""
        with suppress(ConnectionResetError):
            while received := self._socket.recv(65536):
                self._unread += received
        data, self._unread = self._unread, b""
        return data

    def answer(self, method: str = "GET") -> Answer:
        """
        Read one response, an interim one too, by the framing that it declares.
        """
        head = self._until(b"\r\n\r\n")
        first, *lines = head[:-4].decode("latin-1").split("\r\n")
        parsed = re.fullmatch(r"HTTP/1\.[01] ([1-5][0-9]{2}) [ -~]*", first)
        assert parsed is not None, f"not a status line: {first!r}"
        headers = []
        for line in lines:
            pair = re.fullmatch(r"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\x00\r\n]*?)[ \t]*", line)
            assert pair is not None, f"not a header line: {line!r}"
            headers.append((pair[1], pair[2]))
        answer = Answer(int(parsed[1]), tuple(headers), b"")
        if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
            return answer
        return Answer(answer.status, answer.headers, self._body(answer))

    def _body(self, answer: Answer) -> bytes:
        if answer.lines("Transfer-Encoding"):
            body = b""
            while size := int(self._until(b"\r\n"), 16):
                body += self._exactly(size)
                assert self._exactly(2) == b"\r\n"
            assert self._exactly(2) == b"\r\n"
            return body
        if answer.lines("Content-Length"):
            return self._exactly(int(answer.header("Content-Length")))
        return self.rest()

    def _until(self, mark: bytes) -> bytes:
        while mark not in self._unread:
            self._receive()
        end = self._unread.index(mark) + len(mark)
        return self._take(end)

    def _exactly(self, count: int) -> bytes:
        parts = [self._take(min(count, len(self._unread)))]
        count -= len(parts[0])
        while count:
            self._receive()
            parts.append(self._take(min(count, len(self._unread))))
            count -= len(parts[-1])
        return b"".join(parts)

    def _take(self, count: int) -> bytes:
        data, self._unread = self._unread[:count], self._unread[count:]
        return data

    def _receive(self) -> None:
        received = self._socket.recv(1 << 20)
        if not received:
            raise EOFError(f"the connection ended after {self._unread[:200]!r}")
        self._unread += received


def request(
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
) -> bytes:
    """
    A request as bytes. Content-Length is that of the body unless the headers say another; with
    C{chunks} the body goes in the chunked coding.
    """
    pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
    named = {key.lower() for key, _ in pairs}
    if "host" not in named:
        pairs.insert(0, ("Host", "registry.example"))
    if chunks is not None:
        pairs.append(("Transfer-Encoding", "chunked"))
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    elif (body is not None or method in ("POST", "PUT", "PATCH")) and "content-length" not in named:
        pairs.append(("Content-Length", str(len(body or b""))))
    lines = [f"{method} {target} HTTP/1.1", *(f"{key}: {value}" for key, value in pairs), "", ""]
    return "\r\n".join(lines).encode("utf-8") + (body or b"")


@define
class Client:
    """
    One request, one connection, one answer.

    Like the clients written in Go it always offers gzip, which a registry must not take up.

    @ivar _turns: the port that each connection goes to: of one daemon, or of several that are one
        registry.
    """

    _turns: Iterator[int]

    def connect(self) -> Wire:
        """A connection on which requests can be written as bytes."""
        return Wire(next(self._turns))

    def call(
        self,
        method: str,
        target: str,
        headers: Headers = (),
        body: bytes | None = None,
        chunks: Iterable[bytes] | None = None,
    ) -> Answer:
        """
        Send a request and read the answer up to the end of the connection, after which there must
        be nothing left: a body behind a HEAD, or one longer than declared, does not pass.
        """
        pairs = list(headers.items() if isinstance(headers, Mapping) else headers)
        pairs += [("Accept-Encoding", "gzip"), ("Connection", "close")]
        with self.connect() as wire:
            wire.send(request(method, target, pairs, body, chunks))
            answer = wire.answer(method)
            assert wire.rest() == b"", f"more than one answer to {method} {target}"
        check_every_answer(method, answer)
        return answer


def check_every_answer(method: str, answer: Answer) -> None:
    """
    Assert what holds for each answer of the registry, refusals included.
    """
    assert answer.status < 500, f"{method}: {answer}"
    assert answer.header("Docker-Distribution-API-Version") == "registry/2.0"
    assert answer.header("X-Content-Type-Options") == "nosniff"
    assert answer.header("Server") == "ociregd"
    assert answer.lines("Content-Encoding") == []
    for location in answer.lines("Location"):
        assert location.startswith("/v2/"), location
    if answer.status >= 400:
        assert answer.header("Content-Type") == "application/json"
        assert int(answer.header("Content-Length")) > 0
        if method != "HEAD":
            check_error_body(answer)


def check_error_body(answer: Answer) -> None:
    """
    Assert that a refusal has the form of the specification: known codes, and texts beside them.
    """
    document = answer.json()
    assert list(document) == ["errors"], document
    assert document["errors"], document
    for error in document["errors"]:
        assert error["code"] in CODES, document
        assert isinstance(error["message"], str), document
        assert error["message"], document
        assert isinstance(error["detail"], str), document
