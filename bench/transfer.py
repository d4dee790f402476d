"""
CPU seconds and wall seconds per GB, pushed and pulled, beside Debian's docker-registry.

    .venv/bin/python -m bench.transfer [--megabytes 1000] [--rounds 5] [--folder DIR]

Each round pushes a blob that is new to the registry, and pulls it; the registries take turns.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from contextlib import ExitStack
from functools import partial
from pathlib import Path

from bench.daemons import available, running
from bench.pushing import make_blob, pull, push


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    blob = folder / "blob"
    figures: dict[tuple[str, str, str], list[float]] = {}
    with ExitStack() as stack:
        stack.callback(folder.rmdir)
        stack.callback(blob.unlink)
        daemons = [stack.enter_context(running(name, folder)) for name in available()]
        for number in range(options.rounds):
            digest = make_blob(blob, options.megabytes * 1024 * 1024)
            gigabytes = blob.stat().st_size / 1e9
            for daemon in daemons:
                where = (daemon.port, f"bench/r{number}")
                for act, run in (
                    ("push", partial(push, *where, blob, digest)),
                    ("pull", partial(pull, *where, digest)),
                ):
                    cpu, wall = daemon.cpu_seconds(), time.monotonic()
                    run()
                    for kind, value in (
                        ("cpu", daemon.cpu_seconds() - cpu),
                        ("wall", time.monotonic() - wall),
                    ):
                        figures.setdefault((act, kind, daemon.name), []).append(value / gigabytes)
    print("seconds per GB                 min   median      max")
    for (act, kind, name), values in sorted(figures.items()):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{act} {kind:4} {name:16} {low:8.2f} {middle:8.2f} {high:8.2f}")


if __name__ == "__main__":
    main()
