"""
Tests for C{ociregctl}, and what it does about the schema.
"""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from attrs import frozen
from click.testing import CliRunner, Result

from ociregd.ctl.main import ociregctl
from ociregd.storage.migrations import migrations
from ociregd.storage.postgres_schema import MIGRATING

from ..functional.daemon import eventually
from ..postgres import PostgresServer

WANTED = migrations()[-1].number

SCRIPT = Path(sys.executable).with_name("ociregctl")

NAMES = (f"ctl{number}" for number in count())


def run(*words: object) -> Result:
    """What comes of a command line."""
    result = CliRunner().invoke(ociregctl, [str(word) for word in words])
    # Anything else would be a traceback.
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def refused(*words: object, status: int = 1) -> str:
    """The one line that is said of a command that could not be done."""
    result = run(*words)
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.startswith("Error: ")
    assert result.stderr.count("\n") == 1
    return result.stderr


@frozen
class Place:
    """A registry that was never started: its configuration, and a way to its database."""

    config: Path
    connect: Any

    def ctl(self, *words: str) -> Result:
        """What comes of a command that is about this registry."""
        return run("--config", self.config, *words)

    def tell(self, sql: str) -> None:
        """Change its database."""
        with closing(self.connect()) as connection, connection:
            connection.cursor().execute(sql)


def sqlite_place(directory: Path) -> Place:
    """A registry with SQLite."""
    config = directory / "ociregd.toml"
    config.write_text(f'[storage]\nroot = "{directory}"\n')
    return Place(config, lambda: sqlite3.connect(directory / "metadata.sqlite3"))


def postgres_place(directory: Path, url: str) -> Place:
    """A registry with PostgreSQL."""
    config = directory / "ociregd.toml"
    config.write_text(f'[metadata]\ndatabase = "{url}"\n')
    return Place(config, lambda: psycopg2.connect(url))


@pytest.fixture(params=["sqlite", "postgresql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    """A registry with either database, which has nothing in it."""
    if request.param == "sqlite":
        yield sqlite_place(tmp_path)
    else:
        server: PostgresServer = request.getfixturevalue("postgres_server")
        name = next(NAMES)
        yield postgres_place(tmp_path, server.create_database(name))
        server.drop_database(name)


def test_from_nothing(place: Place) -> None:
    """A new database is brought to the schema of the program, and a second time nothing is done."""
    done = place.ctl("migrate")
    assert (done.exit_code, done.stdout) == (
        0,
        f"the database had no schema; now it has schema {WANTED}\n",
    )
    again = place.ctl("migrate")
    assert (again.exit_code, again.stdout) == (0, f"the database has schema {WANTED} already\n")


def test_check(place: Place) -> None:
    """A check says what there is and what is wanted, and its status is whether that is the same."""
    for _ in range(2):
        missing = place.ctl("migrate", "--check")
        assert missing.exit_code == 1
        assert missing.stdout == f"the database has no schema; this program wants schema {WANTED}\n"
        assert missing.stderr.endswith(" is not up to date: run ociregctl migrate\n")
        assert missing.stderr.count("\n") == 1
    place.ctl("migrate")
    there = place.ctl("migrate", "--check")
    assert (there.exit_code, there.stderr) == (0, "")
    assert there.stdout == f"the database has schema {WANTED}; this program wants schema {WANTED}\n"


def test_json(place: Place) -> None:
    """For programs there is one object, whatever the status, and nothing else beside it."""
    for words, status, schema in (
        (["migrate", "--check", "--json"], 1, 0),
        (["migrate", "--json"], 0, WANTED),
        (["migrate", "--json"], 0, WANTED),
        (["migrate", "--json", "--check"], 0, WANTED),
    ):
        result = place.ctl(*words)
        assert result.exit_code == status
        assert json.loads(result.stdout) == {
            "schema": schema,
            "wanted": WANTED,
            "current": schema == WANTED,
        }


def test_a_newer_database(place: Place) -> None:
    """A database of a newer program is neither right nor changed."""
    place.ctl("migrate")
    place.tell("INSERT INTO schema_version (version) VALUES (999)")
    checked = place.ctl("migrate", "--check")
    assert (checked.exit_code, "schema 999" in checked.stdout) == (1, True)
    assert "is newer than this program: install a newer ociregd" in checked.stderr
    told = json.loads(place.ctl("migrate", "--check", "--json").stdout)
    assert told == {"schema": 999, "wanted": WANTED, "current": False}
    migrated = place.ctl("migrate")
    assert (migrated.exit_code, migrated.stdout) == (1, "")
    assert "has schema 999" in migrated.stderr.splitlines()[-1]
    assert json.loads(place.ctl("migrate", "--check", "--json").stdout) == told


def test_a_check_makes_nothing(tmp_path: Path) -> None:
    """Where there is no database yet, a check leaves it so."""
    place = sqlite_place(tmp_path)
    place.ctl("migrate", "--check")
    assert list(tmp_path.iterdir()) == [place.config]


def test_a_root_is_enough(tmp_path: Path) -> None:
    """With a root no file is needed, and it wins over the one that a file has."""
    assert run("--root", tmp_path, "migrate").exit_code == 0
    assert (tmp_path / "metadata.sqlite3").exists()
    (tmp_path / "other").mkdir()
    place = sqlite_place(tmp_path)
    assert place.ctl("-r", str(tmp_path / "other"), "migrate", "--check").exit_code == 1
    assert run("-r", tmp_path, "migrate", "--check").exit_code == 0


@pytest.mark.parametrize("words", [["migrate"], ["migrate", "--check"], ["migrate", "--json"]])
def test_nobody_answers(tmp_path: Path, words: list[str]) -> None:
    """If the database cannot be reached, that is one line, without the password."""
    place = postgres_place(tmp_path, "postgresql://u:SECRET@127.0.0.1:1/registry")
    told = refused("--config", place.config, *words)
    assert "PostgreSQL database registry on 127.0.0.1: connection to server" in told
    assert "SECRET" not in told


def test_a_root_that_is_not_there(tmp_path: Path) -> None:
    """A directory is not made for a database, and is named."""
    told = refused("--root", tmp_path / "missing", "migrate")
    assert f"{tmp_path}/missing: No such file or directory" in told


def test_a_wrong_configuration(tmp_path: Path) -> None:
    """What is wrong with a file is said with its name, line and key; the status is its own."""
    place = postgres_place(tmp_path, "postgresql://u:SECRET/@db.example/registry")
    told = refused("--config", place.config, "migrate", status=2)
    assert f"{place.config}: line 2: metadata.database: " in told
    assert "SECRET" not in told
    told = refused("--config", tmp_path / "missing.toml", "migrate", status=2)
    assert f"{tmp_path}/missing.toml: No such file or directory" in told


def test_a_warning(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """What the operator should know beside the result is said, where it is in no program's way."""
    name = next(NAMES)
    place = postgres_place(tmp_path, postgres_server.create_database(name))
    assert place.ctl("migrate").stderr.startswith("fsync is off in the PostgreSQL server: ")
    postgres_server.drop_database(name)


def test_a_wrong_command_line() -> None:
    """A command or an option that does not exist is refused; the status is its own."""
    for words in (["migrat"], ["migrate", "--chek"], ["--prot", "migrate"], ["migrate", "now"]):
        assert run(*words).exit_code == 2


def test_help_needs_no_configuration() -> None:
    """Whoever asks for help gets it on every machine."""
    for words in (
        ["--help"],
        ["-h"],
        ["migrate", "--help"],
        ["--config", "missing", "migrate", "-h"],
    ):
        result = run(*words)
        assert (result.exit_code, result.stderr) == (0, "")
        assert "migrate" in result.stdout
    assert "/etc/ociregd/ociregd.toml" in run("--help").stdout


def test_the_script(tmp_path: Path) -> None:
    """The command is installed beside the others, and does as it is told."""
    done = subprocess.run(
        [SCRIPT, "--root", tmp_path, "migrate", "--json"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == {"schema": WANTED, "wanted": WANTED, "current": True}
    assert done.stderr == ""
    failed = subprocess.run(
        [SCRIPT, "--root", tmp_path / "missing", "migrate"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (failed.returncode, failed.stdout, failed.stderr.count("\n")) == (1, "", 1)


def test_an_interrupted_wait(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Whoever waits for another migration is told so, and can end it with Ctrl-C."""
    name = next(NAMES)
    url = postgres_server.create_database(name)
    place = postgres_place(tmp_path, url)
    with closing(psycopg2.connect(url)) as other, other.cursor() as statements:
        statements.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
        command = [SCRIPT, "--config", place.config, "migrate"]
        with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as waiting:
            try:
                locks = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                eventually(lambda: postgres_server.execute(locks, name))
                waiting.send_signal(signal.SIGINT)
                _, said = waiting.communicate(timeout=20)
            finally:
                waiting.kill()
    assert waiting.returncode == -signal.SIGINT
    assert "another process is changing the schema of the database; waiting for it\n" in said
    assert "Traceback" not in said
    postgres_server.drop_database(name)


def test_no_reactor() -> None:
    """The command does its work without the reactor of the daemon."""
    asked = "import ociregd.ctl.main, sys; sys.exit('twisted.internet.reactor' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0
