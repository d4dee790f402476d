"""
Requests and answers as bytes, and what tests put into them.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Iterable
from typing import Any

from attrs import frozen

HOST = "registry.example"


Headers = Iterable[tuple[str, str]]


_numbers = itertools.count(1)


def new_name() -> str:
    """A repository that no other test uses."""
    return f"team{next(_numbers)}/app"


def new_content(size: int = 100) -> bytes:
    """Bytes that no other test uses; the same ones in the next run."""
    seed = b"%d" % next(_numbers)
    return hashlib.shake_128(seed).digest(size)


def digest_of(content: bytes) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def image_manifest(config: bytes, **more: Any) -> bytes:
    """A manifest of an image without layers, whose config has to be pushed."""
    config_type = "application/vnd.oci.image.config.v1+json"
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": config_type, "digest": digest_of(config), "size": len(config)},
        "layers": [],
        **more,
    }
    return json.dumps(document).encode()


def request(
    method: str,
    target: str,
    headers: Headers = (),
    body: bytes | None = None,
    chunks: Iterable[bytes] | None = None,
) -> bytes:
    """
    A request on the wire: with C{body} and its length, or with C{chunks} in the chunked coding.
    """
    lines = [f"{method} {target} HTTP/1.1", f"Host: {HOST}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunks is not None:
        lines.append("Transfer-Encoding: chunked")
        body = b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    elif body is not None:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + (body or b"")


@frozen
class Answer:
    """
    One response as it was on the wire.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes = b""

    def values(self, name: str) -> list[str]:
        """What all lines of a header say."""
        return [value for key, value in self.headers if key.lower() == name.lower()]

    def header(self, name: str) -> str:
        """What the only line of a header says."""
        [value] = self.values(name)
        return value

    @property
    def codes(self) -> list[str]:
        """The codes of a refusal."""
        assert self.header("Content-Type") == "application/json", self
        return [error["code"] for error in json.loads(self.body)["errors"]]


def read_answer(data: bytes, method: str = "GET") -> tuple[Answer, bytes]:
    """
    The first answer in some bytes, and what comes behind it.
    """
    head, found, rest = data.partition(b"\r\n\r\n")
    assert found, f"no whole answer: {data!r}"
    first, *lines = head.decode("latin-1").split("\r\n")
    status = re.fullmatch(r"HTTP/1\.[01] ([1-5][0-9]{2}) [ -~]*", first)
    assert status is not None, first
    pairs = []
    for line in lines:
        name, colon, value = line.partition(": ")
        assert colon, line
        assert re.fullmatch("[A-Za-z-]+", name), line
        pairs.append((name, value))
    answer = Answer(int(status[1]), tuple(pairs))
    if method == "HEAD" or answer.status < 200 or answer.status in (204, 304):
        return answer, rest
    assert answer.values("Transfer-Encoding") == [], answer
    length = int(answer.header("Content-Length"))
    assert len(rest) >= length, f"{length - len(rest)} bytes are missing"
    return Answer(answer.status, answer.headers, rest[:length]), rest[length:]
