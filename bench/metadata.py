"""
What small requests cost with the metadata in PostgreSQL, beside SQLite: CPU milliseconds of the
daemon for each, and how many come in a second.

    .venv/bin/python -m bench.metadata [--count 1000] [--rounds 5] [--clients 1 16] [--folder DIR]

The engines take turns in each round, and the medians of the rounds are printed. PostgreSQL is one
that is made for this, on the same machine and syncing what it commits; it has its own CPU time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from http.client import HTTPConnection
from itertools import count, product
from pathlib import Path

from attrs import define, field

from bench.daemons import Daemon, running
from bench.requests import MANIFEST, measure, push_bytes, push_image, send
from tests.postgres import postgres

ENGINES = ("sqlite", "postgresql")

#: Pushes cost more than the other requests by this factor, about; there are fewer of them.
FEWER = 8

NAME = "bench/a"

Act = Callable[[HTTPConnection, int], object]


@define
class Acts:
    """
    What is measured, each a request of its own or a few.
    """

    layer: str
    _blobs: list[dict[str, object]]
    _numbers: count[int] = field(factory=count, init=False)

    def get_manifest(self, connection: HTTPConnection, _: int) -> None:
        """A pull of a small manifest by its tag."""
        send(connection, "GET", f"/v2/{NAME}/manifests/v1")

    def head_blob(self, connection: HTTPConnection, _: int) -> None:
        """Whether a blob is there."""
        send(connection, "HEAD", f"/v2/{NAME}/blobs/{self.layer}")

    def put_manifest(self, connection: HTTPConnection, _: int) -> None:
        """A push of a new manifest, whose blobs are there, to one of a few tags."""
        number = next(self._numbers)
        config, *layers = self._blobs
        manifest = {"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers}
        body = json.dumps({**manifest, "annotations": {"number": str(number)}}).encode()
        send(connection, "PUT", f"/v2/{NAME}/manifests/w{number % 7}", body, MANIFEST)

    def push(self, connection: HTTPConnection, _: int) -> None:
        """A push of a small image: two blobs by POST and PUT, and a manifest."""
        number = next(self._numbers)
        push_image(connection, f"bench/r{number % 7}", f"v{number}")


def prepared(daemon: Daemon) -> dict[str, tuple[Act, bool]]:
    """What is measured at a daemon, and whether that is much work."""
    connection = HTTPConnection("127.0.0.1", daemon.port)
    layer = push_image(connection, NAME, "v1")
    blobs = [push_bytes(connection, NAME, bytes([number]) * 1000) for number in range(3)]
    connection.close()
    acts = Acts(layer, blobs)
    return {
        "GET manifest": (acts.get_manifest, False),
        "HEAD blob": (acts.head_blob, False),
        "PUT manifest": (acts.put_manifest, True),
        "push": (acts.push, True),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--folder", default=tempfile.gettempdir())
    options = parser.parse_args()
    figures: dict[tuple[str, int, str], list[tuple[float, float]]] = {}
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=options.folder)))
        server = stack.enter_context(postgres(fsync=True))
        databases = dict(zip(ENGINES, ("sqlite", server.create_database("bench")), strict=True))
        acts = {}
        for engine, database in databases.items():
            configuration = f'[metadata]\ndatabase = "{database}"\n'
            daemon = stack.enter_context(running("ociregd", folder, configuration))
            acts[engine] = daemon, prepared(daemon)
        for _, clients, engine in product(range(options.rounds), options.clients, ENGINES):
            daemon, measured = acts[engine]
            for what, (act, much) in measured.items():
                many = options.count // FEWER if much else options.count
                figures.setdefault((what, clients, engine), []).append(
                    measure(daemon, clients, many, act)
                )
    print("request        clients  metadata       CPU ms    per second")
    for (what, clients, engine), found in sorted(figures.items()):
        cost, rate = map(statistics.median, zip(*found, strict=True))
        print(f"{what:14} {clients:7}  {engine:12} {cost:8.2f} {rate:13.0f}")


if __name__ == "__main__":
    main()
