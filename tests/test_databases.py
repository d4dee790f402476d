"""
Tests for L{ociregd.databases}.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path

import psycopg2
import pytest
from attrs import evolve

from ociregd.databases import DatabaseUnusable, Schema, reason, schema_for, sqlite_path
from ociregd.errors import StorageFull
from ociregd.settings import Settings, parse
from ociregd.storage.migrations import Migration, migrations
from ociregd.storage.postgres_schema import PostgresSchema
from ociregd.storage.sqlite_schema import SqliteSchema

from .postgres import PostgresServer

WRONG = Migration(1, ["SELECT missing\nFROM\n  nowhere"])


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Nothing but a root."""
    default = parse("")
    return evolve(default, storage=evolve(default.storage, root=str(tmp_path)))


def test_the_database_of_the_settings(settings: Settings) -> None:
    """What the settings say is what is looked at."""
    path = f"{settings.storage.root}/metadata.sqlite3"
    assert sqlite_path(settings) == path
    assert schema_for(settings) == Schema(SqliteSchema(path))
    url = "postgresql://registry:SECRET@db.example/registry"
    there = parse(f'[metadata]\ndatabase = "{url}"\nconnect_timeout = "7s"')
    schema = schema_for(there)
    assert schema == Schema(PostgresSchema(url, 7.0))
    assert str(schema) == "PostgreSQL database registry on db.example"
    assert "SECRET" not in repr(schema)


def test_a_schema(settings: Settings) -> None:
    """What the database has becomes what the program wants."""
    schema = schema_for(settings)
    assert schema.wanted == migrations()[-1].number
    assert schema.version() == 0
    assert schema.migrate() == schema.wanted
    assert schema.version() == schema.wanted


def test_a_database_that_cannot_be_used(postgres_server: PostgresServer, tmp_path: Path) -> None:
    """Whatever is wrong with a database is told as one thing, in one line with its name."""
    (tmp_path / "file").write_bytes(b"something else entirely" * 100)
    url = postgres_server.create_database("unusable")
    for database, told in (
        (SqliteSchema(f"{tmp_path}/file"), "SQLite database .*/file: file is not a database"),
        (SqliteSchema(f"{tmp_path}/no/file"), "SQLite .*/no: No such file or directory"),
        (PostgresSchema(url, 5.0), "PostgreSQL database unusable on .*: .*nowhere.* not exist"),
        (PostgresSchema(f"{url}&user=nobody", 5.0), 'role "nobody" does not exist'),
        (PostgresSchema("postgresql://127.0.0.1:1/a", 1.0), "a on 127.0.0.1: .* refused Is the"),
    ):
        with pytest.raises(DatabaseUnusable, match=told) as refusal:
            Schema(database, [WRONG]).migrate()
        assert "\n" not in str(refusal.value)
        assert "LINE" not in str(refusal.value)
    postgres_server.drop_database("unusable")


def test_reasons() -> None:
    """What is wrong is told in one line, whatever kind of error it is."""
    for problem, told in (
        (StorageFull("there is no room"), "there is no room"),
        (sqlite3.OperationalError("unable to open"), "unable to open"),
        (psycopg2.OperationalError("refused\n\tIs it running?\n"), "refused Is it running?"),
        (OSError(28, "No space left", "/var/file"), "/var/file: No space left"),
        (OSError(28, "No space left"), "[Errno 28] No space left"),
    ):
        assert reason(problem) == told
