"""
What access control costs: CPU milliseconds of the daemon for small requests, without rules and with
Basic credentials.

    .venv/bin/python -m bench.access [--count 4000] [--rounds 3] [--rules 20] [--folder DIR]
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from base64 import b64encode
from functools import partial
from http.client import HTTPConnection
from pathlib import Path

from bench.daemons import running
from bench.requests import MANIFEST, measure, push_image
from ociregd.access.htpasswd import hashed

USER, PASSWORD = "bench", "the password of the bench"

RULE = """
[[access.rule]]
repositories = "{repositories}"
who = ["{who}"]
actions = ["pull", "push"]
"""


class Authorized(HTTPConnection):
    """
    A connection whose requests all have the same credentials.
    """

    authorization = "Basic " + b64encode(f"{USER}:{PASSWORD}".encode()).decode()

    def putrequest(self, *arguments: object, **more: object) -> None:
        super().putrequest(*arguments, **more)  # type: ignore[arg-type]
        self.putheader("Authorization", self.authorization)


def access(htpasswd: Path, rules: int) -> str:
    """A configuration whose last rule is the one that counts."""
    htpasswd.write_text(f"{USER}:{hashed(PASSWORD.encode())}\n")
    others = "".join(RULE.format(repositories=f"team{n}/**", who=USER) for n in range(rules - 1))
    last = RULE.format(repositories="{user}/**", who="authenticated")
    return f'[access]\nhtpasswd = "{htpasswd}"\n{others}{last}'


def get(path: str, connection: HTTPConnection, number: int) -> None:
    """Get something that has to be there."""
    connection.request("GET", path, None, {"Accept": MANIFEST})
    answer = connection.getresponse()
    answer.read()
    if answer.status != 200:
        raise RuntimeError(f"GET {path} was answered {answer.status}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=4000)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--rules", type=int, default=20)
    parser.add_argument("--folder", default=tempfile.gettempdir())
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(dir=options.folder))
    configurations = {"open": "", "basic": access(folder / "htpasswd", options.rules)}
    print("request          access     CPU ms    per second")
    for _ in range(options.rounds):
        for name, configuration in configurations.items():
            kind = HTTPConnection if name == "open" else Authorized
            with running("ociregd", folder, configuration) as daemon:
                connection = kind("127.0.0.1", daemon.port)
                layer = push_image(connection, f"{USER}/a", "v1")
                connection.close()
                for what, path in {
                    "GET manifest": f"/v2/{USER}/a/manifests/v1",
                    "GET small blob": f"/v2/{USER}/a/blobs/{layer}",
                }.items():
                    act = partial(get, path)
                    cost, rate = measure(daemon, options.clients, options.count, act, kind)
                    print(f"{what:16} {name:8} {cost:8.3f} {rate:13.0f}")
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
