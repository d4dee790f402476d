"""
Requests written by hand: what only other clients send than those that Debian has.
"""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterable
from email.message import Message
from typing import Any

from attrs import frozen

from tests.e2e.conftest import Registry

PATIENCE = 30.0
OCTETS = ("Content-Type", "application/octet-stream")


@frozen
class Answer:
    """
    An answer that was read to its end.
    """

    status: int
    headers: Message
    body: bytes

    def json(self) -> Any:
        """The body, which has to be JSON."""
        return json.loads(self.body)

    def codes(self) -> list[str]:
        """The error codes of a refusal."""
        assert self.headers.get_content_type() == "application/json"
        return [error["code"] for error in self.json()["errors"]]


def exchange(
    registry: Registry,
    method: str,
    path: str,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes | None = None,
) -> Answer:
    """
    Send one request on a connection of its own, and read the answer.

    Only these headers are sent, with Host and Content-Length.
    """
    connection = http.client.HTTPConnection(registry.host, registry.port, timeout=PATIENCE)
    try:
        connection.putrequest(method, path, skip_accept_encoding=True)
        for name, value in headers:
            connection.putheader(name, value)
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body)
        response = connection.getresponse()
        return Answer(response.status, response.headers, response.read())
    finally:
        connection.close()


def connect(registry: Registry) -> socket.socket:
    """A connection on which nothing has been said."""
    return socket.create_connection((registry.host, registry.port), PATIENCE)


def head_of(registry: Registry, method: str, path: str, *headers: str) -> bytes:
    """The bytes of a request up to its body."""
    lines = [f"{method} {path} HTTP/1.1", f"Host: {registry}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def read_answer(connection: socket.socket, method: str = "GET") -> Answer:
    """
    Read one answer from a connection, and leave the connection open.

    What the registry sends ahead of its answer to ask for the body (100 Continue) is passed over.
    """
    response = http.client.HTTPResponse(connection, method=method)
    response.begin()
    return Answer(response.status, response.headers, response.read())


def push_blob(registry: Registry, name: str, content: bytes, digest: str) -> None:
    """Put a blob into a repository with a POST and a PUT."""
    location = start_upload(registry, name)
    answer = exchange(registry, "PUT", closing(location, digest), [OCTETS], content)
    assert answer.status == 201, answer


def start_upload(registry: Registry, name: str) -> str:
    """Begin an upload session, and return its location without scheme and host."""
    answer = exchange(registry, "POST", f"/v2/{name}/blobs/uploads/", body=b"")
    assert answer.status == 202, answer
    return path_of(answer.headers["Location"])


def path_of(location: str) -> str:
    """A location's path and query, whether it came with a host or without."""
    return location if location.startswith("/") else "/" + location.split("/", 3)[3]


def closing(location: str, digest: str) -> str:
    """The location with which an upload ends."""
    return f"{location}{'&' if '?' in location else '?'}digest={digest}"


def push_manifest(
    registry: Registry, name: str, reference: str, media_type: str, content: bytes
) -> Answer:
    """Put a manifest into a repository, and return what the registry says about it."""
    return exchange(
        registry,
        "PUT",
        f"/v2/{name}/manifests/{reference}",
        [("Content-Type", media_type)],
        content,
    )
