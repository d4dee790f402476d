"""
What supervisors and load balancers are told, on an endpoint of their own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from http.client import HTTPConnection
from pathlib import Path

import pytest
from attrs import frozen

from ..postgres import PostgresServer, postgres
from .conftest import NewDaemon
from .daemon import Daemon, eventually, free_port

OPERATIONS = """
[operations]
listen = ["tcp:{port}:interface=127.0.0.1"]
"""


@frozen
class Watched:
    """A registry, and where its operators ask."""

    daemon: Daemon
    port: int

    def ask(self, path: str, method: str = "GET") -> tuple[int, bytes]:
        """Status and body."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request(method, path)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def readiness(self) -> tuple[int, dict[str, str]]:
        """The status, and what is wrong."""
        status, body = self.ask("/ready")
        said = json.loads(body)
        assert said["ready"] is (status == 200)
        return status, said["problems"]


@pytest.fixture
def watched(new_daemon: NewDaemon) -> Iterator[Watched]:
    """A registry that answers its operators."""
    port = free_port()
    daemon = new_daemon(OPERATIONS.format(port=port))
    daemon.start()
    yield Watched(daemon, port)
    daemon.stop()


def test_healthy(watched: Watched) -> None:
    """A process that lives says so."""
    assert watched.ask("/healthy") == (200, b'{"healthy":true}')
    assert watched.ask("/ready", "HEAD") == (200, b"")
    assert watched.ask("/v2/")[0] == 404
    assert watched.daemon.client.call("GET", "/ready").status == 404


def test_ready(watched: Watched) -> None:
    """A registry whose parts are in order is ready; one that lost its files is not."""
    assert watched.readiness() == (200, {})
    blobs = watched.daemon.root / "blobs"
    away = blobs.rename(blobs.with_name("away"))
    status, problems = watched.readiness()
    assert status == 503
    assert list(problems) == ["storage"]
    away.rename(blobs)
    assert watched.readiness() == (200, {})


@pytest.fixture(scope="module")
def fragile_server() -> Iterator[PostgresServer]:
    """A server that a test may stop."""
    with postgres() as server:
        yield server


def test_without_the_database(tmp_path: Path, fragile_server: PostgresServer) -> None:
    """
    A registry that starts before its database is not ready until that answers, and again not when
    it stops to; and says in which part it lacks.
    """
    url = fragile_server.create_database("late")
    fragile_server.stop()
    port = free_port()
    configuration = OPERATIONS.format(port=port) + f'[metadata]\ndatabase = "{url}"\n'
    watched = Watched(Daemon(tmp_path, configuration), port)
    watched.daemon.start()
    try:
        status, problems = watched.readiness()
        assert (status, list(problems)) == (503, ["database"])
        for stop in ("fast", "immediate"):
            fragile_server.start()
            eventually(lambda: watched.readiness() == (200, {}))
            fragile_server.stop(stop)
            eventually(lambda: watched.readiness()[0] == 503)
        fragile_server.start()
        eventually(lambda: watched.readiness() == (200, {}))
        fragile_server.execute("ALTER TABLE schema_version RENAME TO mislaid", "late")
        status, problems = watched.readiness()
        assert (status, list(problems)) == (503, ["database"])
        fragile_server.execute("ALTER TABLE mislaid RENAME TO schema_version", "late")
        assert watched.readiness() == (200, {})
    finally:
        watched.daemon.stop()
    assert "ready again" in watched.daemon.log()
