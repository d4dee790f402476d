"""
What small requests cost: CPU milliseconds of the daemon for each, and how many come in a second,
beside Debian's docker-registry.

    .venv/bin/python -m bench.requests [--count 2000] [--clients 4] [--folder DIR]

A push is that of a small image: two blobs by POST and PUT, and a manifest.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench.daemons import Daemon, available, running
from bench.pushing import begin

MANIFEST = "application/vnd.oci.image.manifest.v1+json"


def push_bytes(connection: HTTPConnection, name: str, content: bytes) -> dict[str, object]:
    """Push a small blob, and return its descriptor."""
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    location = begin(connection, name)
    mark = "&" if "?" in location else "?"
    send(connection, "PUT", f"{location}{mark}digest={digest}", content)
    return {"mediaType": "application/octet-stream", "digest": digest, "size": len(content)}


def send(
    connection: HTTPConnection, method: str, path: str, body: bytes | None = None, kind: str = ""
) -> None:
    """Send a request that has to succeed."""
    connection.request(method, path, body, {"Content-Type": kind, "Accept": MANIFEST})
    answer = connection.getresponse()
    answer.read()
    if answer.status >= 300:
        raise RuntimeError(f"{method} {path} was answered {answer.status}")


def push_image(connection: HTTPConnection, name: str, tag: str) -> str:
    """Push a small image that nobody has seen, and return the digest of its layer."""
    config, layer = (push_bytes(connection, name, os.urandom(size)) for size in (500, 5000))
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer]}
    body = json.dumps(manifest).encode()
    send(connection, "PUT", f"/v2/{name}/manifests/{tag}", body, MANIFEST)
    return str(layer["digest"])


def measure(
    daemon: Daemon,
    clients: int,
    count: int,
    act: Callable[[HTTPConnection, int], object],
    connect: Callable[[str, int], HTTPConnection] = HTTPConnection,
) -> tuple[float, float]:
    """CPU milliseconds for each act, and acts in a second."""

    def client(first: int) -> None:
        connection = connect("127.0.0.1", daemon.port)
        for number in range(first, count, clients):
            act(connection, number)
        connection.close()

    cpu, wall = daemon.cpu_seconds(), time.monotonic()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(client, range(clients)))
    wall = time.monotonic() - wall
    return (daemon.cpu_seconds() - cpu) * 1000 / count, count / wall


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=2000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    print("request          registry           CPU ms    per second")
    for name in available():
        with running(name, folder) as daemon:
            connection = HTTPConnection("127.0.0.1", daemon.port)
            layer = push_image(connection, "bench/a", "v1")
            connection.close()
            acts = {
                "GET manifest": ("GET", "/v2/bench/a/manifests/v1"),
                "HEAD blob": ("HEAD", f"/v2/bench/a/blobs/{layer}"),
                "GET small blob": ("GET", f"/v2/bench/a/blobs/{layer}"),
            }
            run = partial(measure, daemon, options.clients)
            for what, (method, path) in acts.items():
                cost, rate = run(options.count, lambda c, _, m=method, p=path: send(c, m, p))
                print(f"{what:16} {name:16} {cost:8.2f} {rate:13.0f}")
            cost, rate = run(
                options.count // 10,
                lambda c, number: push_image(c, f"bench/r{number % 7}", f"v{number}"),
            )
            print(f"{'push':16} {name:16} {cost:8.2f} {rate:13.0f}")
    folder.rmdir()


if __name__ == "__main__":
    main()
