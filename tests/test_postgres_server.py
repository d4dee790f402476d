"""
Tests for L{tests.postgres}: a server that is to be broken has to break as it is told, and to come
back; and nothing of it may stay behind.
"""

from __future__ import annotations

import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest

from . import families
from .postgres import PostgresServer, postgres
from .postgres_programs import ENVIRONMENT, NoPostgres, programs, which

PROJECT = Path(__file__).parent.parent

#: The first that a client may say: whether there is TLS. The server answers with one byte.
SSL_REQUEST = bytes.fromhex("00000008 04d2162f")

#: A program that starts a server, says which processes there are besides itself, and waits.
STARTER = """
from tests.postgres import postgres
with postgres() as server:
    if {paused}:
        server.pause()
    print(server.pid, server._watcher.pid, server.directory, server.data, flush=True)
    input()
"""

RECOVERY = "automatic recovery in progress"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """A server that may be broken."""
    with postgres() as server:
        yield server


@pytest.fixture
def url(server: PostgresServer) -> Iterator[str]:
    """A database with an apple in it."""
    url = server.create_database("kept")
    with closing(psycopg2.connect(url)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE fruit AS SELECT 'apple' AS name")
    yield url
    server.drop_database("kept")


def test_a_database_belongs_to_a_plain_role(server: PostgresServer, url: str) -> None:
    """Whoever comes with the URL may do anything in this database, and nothing to the server."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE more (name TEXT)")
        cursor.execute("SHOW server_encoding")
        assert cursor.fetchone() == ("UTF8",)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            cursor.execute("CREATE ROLE other")


def test_over_tcp(server: PostgresServer, url: str) -> None:
    """The database is to be had over TCP too, with the password."""
    over_tcp = server.tcp_url("kept")
    psycopg2.connect(over_tcp).close()
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(over_tcp, password="wrong")


def test_another_encoding(server: PostgresServer) -> None:
    """A database may have an encoding that is not wanted."""
    server.create_database("latin", encoding="LATIN1")
    assert server.execute("SHOW server_encoding", "latin") == [("LATIN1",)]
    server.drop_database("latin")


def test_sorting(server: PostgresServer, url: str) -> None:
    """Databases sort as people do where that can be had, and bytewise where they are told to."""
    [(people, bytewise)] = server.execute("SELECT 'a' < 'B', 'a' < 'B' COLLATE \"C\"", "kept")
    assert (people, bytewise) == (server.locale is not None, False)


def test_a_copy(server: PostgresServer, url: str) -> None:
    """A copy of a database has what is in that, and is not the same."""
    server.copy_database("copy", "kept")
    server.execute("DELETE FROM fruit", "copy")
    assert server.execute("SELECT name FROM fruit", "kept") == [("apple",)]
    server.drop_database("copy")


def test_a_kill(server: PostgresServer, url: str) -> None:
    """A kill ends every process; what was committed is there after the next start."""
    with closing(psycopg2.connect(url)) as connection:
        family = {server.pid} | families.children(server.pid)
        assert connection.get_backend_pid() in family
        with families.Ends(family) as ends:
            server.kill()
            ends.wait(0)
        with connection.cursor() as cursor, pytest.raises(psycopg2.OperationalError):
            cursor.execute("SELECT 1")
    server.start()
    assert server.execute("SELECT name FROM fruit", "kept") == [("apple",)]
    assert any(RECOVERY in line for line in server.log)


@pytest.mark.parametrize(("mode", "recovers"), [("fast", False), ("immediate", True)])
def test_a_stop(server: PostgresServer, url: str, mode: str, recovers: bool) -> None:
    """A server that was stopped is there again after a start, whether it has tidied up or not."""
    server.stop(mode)
    with pytest.raises(psycopg2.OperationalError):
        psycopg2.connect(url)
    server.log.clear()
    server.start()
    assert server.execute("SELECT name FROM fruit", "kept") == [("apple",)]
    assert any(RECOVERY in line for line in server.log) == recovers


def test_a_pause(server: PostgresServer, url: str) -> None:
    """While it stands still, a server accepts connections and says nothing."""
    with (
        closing(psycopg2.connect(url)) as connection,
        connection.cursor() as cursor,
        socket.socket(socket.AF_UNIX) as other,
    ):
        server.pause()
        other.connect(f"{server.directory}/.s.PGSQL.{server.port}")
        other.sendall(SSL_REQUEST)
        assert select.select([other], [], [], 0.1) == ([], [], [])
        server.resume()
        assert other.recv(1) == b"N"
        cursor.execute("SELECT name FROM fruit")
        assert cursor.fetchall() == [("apple",)]


def test_a_paused_server_can_be_killed(server: PostgresServer, url: str) -> None:
    """Who stands still ends all the same."""
    server.pause()
    server.kill()
    server.start()
    assert server.execute("SELECT name FROM fruit", "kept") == [("apple",)]


@pytest.mark.parametrize("paused", [False, True])
def test_nothing_stays_behind(paused: bool) -> None:
    """Who started a server may die suddenly: server and files go too, whatever state it is in."""
    with subprocess.Popen(
        [sys.executable, "-c", STARTER.format(paused=paused)],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as starter:
        assert starter.stdout is not None
        pid, watcher, *directories = starter.stdout.readline().split()
        assert all(Path(directory).exists() for directory in directories)
        family = {int(pid), int(watcher)} | families.children(int(pid))
        with families.Ends(family) as ends:
            starter.send_signal(signal.SIGKILL)
            ends.wait()
    assert not any(Path(directory).exists() for directory in directories)


def test_no_programs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without PostgreSQL one is told what is missing where."""
    monkeypatch.setenv(ENVIRONMENT, str(tmp_path))
    with pytest.raises(NoPostgres, match=str(tmp_path)):
        programs()
    assert which().startswith("no PostgreSQL: ")
