"""
A client that costs as little as possible, so that the daemon is what is measured.
"""

from __future__ import annotations

import hashlib
import os
import socket
from http.client import HTTPConnection
from pathlib import Path

PIECE = 1024 * 1024


def make_blob(path: Path, size: int) -> str:
    """Write a blob that nobody has seen, and return its digest."""
    piece, digest = os.urandom(PIECE), hashlib.sha256()
    with path.open("wb") as file:
        for number in range(size // PIECE):
            part = number.to_bytes(8, "big") + piece[8:]
            file.write(part)
            digest.update(part)
    return f"sha256:{digest.hexdigest()}"


def begin(connection: HTTPConnection, name: str) -> str:
    """Begin an upload, and return the path of its location."""
    connection.request("POST", f"/v2/{name}/blobs/uploads/")
    answer = connection.getresponse()
    answer.read()
    location = answer.headers["Location"]
    return location[location.index("/v2/") :]


def push(port: int, name: str, path: Path, digest: str) -> None:
    """Push a blob the way containerd does: POST, and PUT with the whole body."""
    connection = HTTPConnection("127.0.0.1", port)
    location = begin(connection, name)
    mark = "&" if "?" in location else "?"
    connection.putrequest("PUT", f"{location}{mark}digest={digest}")
    connection.putheader("Content-Length", str(path.stat().st_size))
    connection.putheader("Content-Type", "application/octet-stream")
    connection.endheaders()
    with path.open("rb") as file:
        connection.sock.sendfile(file)
    status = connection.getresponse().status
    if status != 201:
        raise RuntimeError(f"the push was answered {status}")
    connection.close()


def pull(port: int, name: str, digest: str) -> int:
    """Pull a blob, and return how many bytes came."""
    buffer, total = bytearray(PIECE), 0
    with socket.create_connection(("127.0.0.1", port)) as sock:
        head = f"GET /v2/{name}/blobs/{digest} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        sock.sendall(head.encode())
        while count := sock.recv_into(buffer):
            total += count
    return total
