"""
Tests for L{ociregd.storage.sqlite_schema}.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from ociregd.storage.migrations import Migration, SchemaTooNew
from ociregd.storage.sqlite_schema import SqliteSchema

FRUIT = Migration(1, ["CREATE TABLE fruit (name TEXT)", "INSERT INTO fruit VALUES ('apple')"])
MORE = Migration(2, ["INSERT INTO fruit VALUES ('pear')"])
WRONG = Migration(2, ["INSERT INTO fruit VALUES ('plum')", "INSERT INTO vegetable VALUES ('leek')"])

# A daemon that ends without a word.
CRASH = """
import os, signal, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("INSERT INTO schema_version (version) VALUES (3)")
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the database will be; other characters than usual are in its name."""
    directory = tmp_path / "a?b#c%41 d"
    directory.mkdir()
    return directory / "metadata.sqlite3"


def files(path: Path) -> dict[str, bytes]:
    """All there is beside the database, and that itself."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def fruit(path: Path) -> list[str]:
    """What the migrations of these tests have left."""
    with closing(sqlite3.connect(path)) as connection:
        return [name for (name,) in connection.execute("SELECT name FROM fruit")]


def test_each_is_applied_once(path: Path) -> None:
    """What the database lacks is applied, and nothing twice."""
    schema = SqliteSchema(str(path))
    for wanted, found in (
        ([FRUIT], ["apple"]),
        ([FRUIT, MORE], ["apple", "pear"]),
        ([FRUIT, MORE], ["apple", "pear"]),
    ):
        assert schema.migrate(wanted) == len(wanted)
        assert schema.version() == len(wanted)
        assert fruit(path) == found


def test_no_database(path: Path) -> None:
    """Where there is no database its schema has number 0, and none is made to find that out."""
    assert SqliteSchema(str(path)).version() == 0
    assert SqliteSchema(str(path.parent / "missing" / path.name)).version() == 0
    assert files(path) == {}


def test_an_empty_database(path: Path) -> None:
    """A database that has no tables has number 0."""
    path.touch()
    assert SqliteSchema(str(path)).version() == 0
    assert files(path) == {path.name: b""}


def test_looking_changes_nothing(path: Path) -> None:
    """Looking at a database that nobody uses leaves every file as it was, and no other."""
    schema = SqliteSchema(str(path))
    schema.migrate([FRUIT])
    before = files(path)
    assert schema.version() == 1
    assert files(path) == before
    assert list(before) == [path.name]


def test_looking_while_it_is_used(path: Path) -> None:
    """What a daemon has committed is seen, though it is in the log only, and stays there."""
    schema = SqliteSchema(str(path))
    schema.migrate([FRUIT])
    with closing(sqlite3.connect(path, isolation_level=None)) as daemon:
        daemon.execute("INSERT INTO schema_version (version) VALUES (2)")
        before = files(path)
        assert schema.version() == 2
        assert files(path).keys() == before.keys()
        assert files(path)[path.name] == before[path.name]


def test_looking_after_a_crash(path: Path) -> None:
    """The log of a daemon that was killed counts, and is left to the next one."""
    schema = SqliteSchema(str(path))
    schema.migrate([FRUIT])
    killed = subprocess.run([sys.executable, "-c", CRASH, path], check=False)
    assert killed.returncode == -signal.SIGKILL
    before = files(path)
    assert schema.version() == 3
    assert files(path)[path.name] == before[path.name]
    assert files(path)[f"{path.name}-wal"] == before[f"{path.name}-wal"]


def test_all_or_nothing(path: Path) -> None:
    """A migration that fails leaves the database as it was."""
    schema = SqliteSchema(str(path))
    schema.migrate([FRUIT])
    with pytest.raises(sqlite3.Error):
        schema.migrate([FRUIT, WRONG])
    assert (schema.version(), fruit(path)) == (1, ["apple"])


def test_a_newer_database(path: Path) -> None:
    """A database that a newer program has used is refused, and stays as it was."""
    schema = SqliteSchema(str(path))
    schema.migrate([FRUIT, MORE])
    with pytest.raises(SchemaTooNew):
        schema.migrate([FRUIT])
    assert (schema.version(), fruit(path)) == (2, ["apple", "pear"])


def test_no_directory(path: Path) -> None:
    """A database is not made without its directory, and that is said by name."""
    schema = SqliteSchema(str(path.parent / "missing" / path.name))
    with pytest.raises(FileNotFoundError) as refusal:
        schema.migrate([FRUIT])
    assert refusal.value.filename == os.path.dirname(path.parent / "missing" / path.name)


def test_what_is_no_database(path: Path) -> None:
    """A file that is something else is an error, and stays what it is."""
    path.write_bytes(b"something else entirely" * 100)
    before = files(path)
    schema = SqliteSchema(str(path))
    for attempt in (schema.version, lambda: schema.migrate([FRUIT])):
        with pytest.raises(sqlite3.DatabaseError):
            attempt()
    assert files(path) == before
    assert str(schema) == f"SQLite database {path}"
