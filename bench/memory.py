"""
Peak resident memory: while a large blob is pushed at full speed, pulled by a slow reader, and while
many slow clients each hold an upload open.

    .venv/bin/python -m bench.memory [--megabytes 2048] [--clients 200] [--folder DIR]
"""

from __future__ import annotations

import argparse
import socket
import tempfile
import time
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

from bench.daemons import Daemon, available, running
from bench.pushing import begin, make_blob, pull, push

#: How long the slow clients send, and how much each of them in a second.
SLOW_SECONDS = 15
SLOW_BYTES = 64 * 1024


def slow_uploads(daemon: Daemon, clients: int) -> None:
    """Have many uploads open at once, each sending a little."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(clients):
            connection = HTTPConnection("127.0.0.1", daemon.port)
            stack.callback(connection.close)
            location = begin(connection, "bench/slow")
            connection.putrequest("PATCH", location)
            connection.putheader("Content-Length", str(10**9))
            connection.putheader("Content-Type", "application/octet-stream")
            connection.endheaders()
            sockets.append(connection.sock)
        piece = bytes(SLOW_BYTES)
        for _ in range(SLOW_SECONDS):
            for sock in sockets:
                sock.sendall(piece)
            time.sleep(1)


def slow_pull(daemon: Daemon, name: str, digest: str) -> None:
    """Read a blob at about 10 MB/s for some seconds, and go."""
    with socket.create_connection(("127.0.0.1", daemon.port)) as sock:
        sock.sendall(f"GET /v2/{name}/blobs/{digest} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        for _ in range(100):
            sock.recv(1024 * 1024)
            time.sleep(0.05)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=2048)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    blob = folder / "blob"
    with ExitStack() as stack:
        stack.callback(folder.rmdir)
        stack.callback(blob.unlink)
        digest = make_blob(blob, options.megabytes * 1024 * 1024)
        print("peak resident memory, MiB       idle   in all    grown by")
        for name in available():
            with running(name, folder) as daemon:
                for what, run in (
                    (
                        f"push of {options.megabytes} MiB",
                        lambda d: push(d.port, "bench/a", blob, digest),
                    ),
                    (f"pull of {options.megabytes} MiB", lambda d: pull(d.port, "bench/a", digest)),
                    ("pull by a slow reader", lambda d: slow_pull(d, "bench/a", digest)),
                    (f"{options.clients} slow uploads", lambda d: slow_uploads(d, options.clients)),
                ):
                    before = daemon.resident_kib()
                    daemon.forget_peak()
                    run(daemon)
                    peak = daemon.peak_kib()
                    print(
                        f"{name:16} {what:22} {before / 1024:8.1f} {peak / 1024:8.1f}"
                        f" {(peak - before) / 1024:8.1f}"
                    )


if __name__ == "__main__":
    main()
