"""
A registry whose database is away: what clients hear, what the operator reads, and how it goes on.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ..postgres import PostgresServer, postgres
from .client import Answer, Wire, check_error_body, request
from .content import OCI_MANIFEST, encode, image, number, unknown_digest
from .daemon import Daemon, eventually
from .repository import Repository

IMPATIENT = """
[metadata]
database = "{url}"
queue_timeout = "1s"
connect_timeout = "1s"
statement_timeout = "1s"
"""

#: Requests that cannot be answered without the database.
NEEDY = [
    ("GET", "/v2/_catalog"),
    ("GET", "/v2/team/app/tags/list"),
    ("GET", "/v2/team/app/manifests/latest"),
    ("HEAD", f"/v2/team/app/manifests/{unknown_digest()}"),
    ("PUT", "/v2/team/app/manifests/latest"),
    ("DELETE", f"/v2/team/app/manifests/{unknown_digest()}"),
    ("GET", f"/v2/team/app/referrers/{unknown_digest()}"),
    ("GET", f"/v2/team/app/blobs/{unknown_digest()}"),
    ("HEAD", f"/v2/team/app/blobs/{unknown_digest()}"),
    ("DELETE", f"/v2/team/app/blobs/{unknown_digest()}"),
    ("POST", "/v2/team/app/blobs/uploads/"),
    ("POST", f"/v2/team/app/blobs/uploads/?digest={unknown_digest()}"),
    ("POST", f"/v2/team/app/blobs/uploads/?mount={unknown_digest()}&from=team/other"),
]


@pytest.fixture(scope="module")
def frail_server() -> Iterator[PostgresServer]:
    """A server that tests stop."""
    with postgres() as server:
        yield server


@pytest.fixture
def daemon(tmp_path: Path, frail_server: PostgresServer) -> Daemon:
    """A registry with a database there; it is not started yet."""
    url = frail_server.create_database(f"trouble{number()}")
    return Daemon(tmp_path, IMPATIENT.format(url=url))


@contextmanager
def away(server: PostgresServer) -> Iterator[None]:
    """Meanwhile there is no database."""
    server.stop()
    try:
        yield
    finally:
        server.start()


@contextmanager
def standing_still(server: PostgresServer) -> Iterator[None]:
    """Meanwhile the database says nothing."""
    server.pause()
    try:
        yield
    finally:
        server.resume()


def ask_all(daemon: Daemon) -> list[Answer]:
    """Make each request that needs the database, all at the same time; the answers."""
    wires = [Wire(daemon.port) for _ in NEEDY]
    for wire, (method, path) in zip(wires, NEEDY, strict=True):
        body = encode(image({})) if method == "PUT" else None
        wire.send(request(method, path, {"Content-Type": OCI_MANIFEST}, body))
    answers = []
    for wire, (method, _) in zip(wires, NEEDY, strict=True):
        with wire:
            answers.append(wire.answer(method))
    return answers


def check_unavailable(daemon: Daemon) -> None:
    """Assert that clients are told to come back, and that the registry is one nevertheless."""
    assert daemon.client.call("GET", "/v2/").status == 200
    for (method, path), answer in zip(NEEDY, ask_all(daemon), strict=True):
        if method == "PUT":
            # The manifest itself is looked at first.
            assert answer.status in (400, 503), answer
            continue
        assert answer.status == 503, f"{method} {path}: {answer}"
        assert answer.header("Retry-After") == "1"
        assert answer.header("Content-Type") == "application/json"
        if method != "HEAD":
            check_error_body(answer)
            assert answer.codes() == ["TOOMANYREQUESTS"]


def serves(daemon: Daemon) -> bool:
    """Whether what needs the database is answered."""
    with Wire(daemon.port) as wire:
        wire.send(request("GET", "/v2/_catalog"))
        return wire.answer().status == 200


def lines(daemon: Daemon, words: str) -> list[str]:
    """The lines of its log that have these words."""
    return [line for line in daemon.log().splitlines() if words in line]


def test_started_before_its_database(daemon: Daemon, frail_server: PostgresServer) -> None:
    """A registry that finds no database says so, and serves as soon as there is one."""
    with away(frail_server):
        daemon.start()
        check_unavailable(daemon)
        [line] = lines(daemon, "cannot use PostgreSQL database")
        assert "waiting for it" in line
    eventually(lambda: serves(daemon))
    Repository(daemon.client, "team/app").push_image("latest")
    assert len(lines(daemon, "the registry is available")) == 1
    daemon.stop()


def test_loses_its_database(daemon: Daemon, frail_server: PostgresServer) -> None:
    """
    A registry whose database goes says so, once, and serves again by itself when it is back, with
    all there was.
    """
    daemon.start()
    repository = Repository(daemon.client, "team/app")
    digest, body = repository.push_image("latest")
    with away(frail_server):
        check_unavailable(daemon)
        check_unavailable(daemon)
        assert len(lines(daemon, "cannot connect to the database")) == 1
    eventually(lambda: serves(daemon))
    assert len(lines(daemon, "the database answers again")) == 1
    assert repository.get(f"manifests/{digest}") == repository.get("manifests/latest") == body
    daemon.stop()


def test_restarted_database(tmp_path: Path, frail_server: PostgresServer) -> None:
    """Of a database that is only restarted a client hears nothing."""
    url = frail_server.create_database(f"trouble{number()}")
    daemon = Daemon(tmp_path, f'[metadata]\ndatabase = "{url}"\n')
    daemon.start()
    repository = Repository(daemon.client, "team/app")
    repository.push_image("latest")
    with away(frail_server):
        with Wire(daemon.port) as wire:
            wire.send(request("GET", "/v2/team/app/tags/list"))
            eventually(lambda: len(lines(daemon, "cannot connect to the database")) == 1)
            frail_server.start()
            assert wire.answer().json() == {"name": "team/app", "tags": ["latest"]}
        frail_server.stop()
    daemon.stop()


def test_database_that_stands_still(daemon: Daemon, frail_server: PostgresServer) -> None:
    """Nobody waits for ever for a database that says nothing, nor does a stop."""
    daemon.start()
    Repository(daemon.client, "team/app").push_image("latest")
    with standing_still(frail_server):
        check_unavailable(daemon)
    eventually(lambda: serves(daemon))
    with standing_still(frail_server), Wire(daemon.port) as wire:
        wire.send(request("GET", "/v2/_catalog"))
        daemon.stop()


def test_stopped_without_its_database(daemon: Daemon, frail_server: PostgresServer) -> None:
    """A registry that never found its database can be stopped."""
    with away(frail_server):
        daemon.start()
        assert not serves(daemon)
        daemon.stop()
