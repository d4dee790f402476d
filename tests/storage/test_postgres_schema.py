"""
Tests for L{ociregd.storage.postgres_schema}.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import count
from typing import Any

import psycopg2
import pytest
from attrs import frozen
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from zope.interface import provider

from ociregd.storage.blocking import run_to_end
from ociregd.storage.migrations import Migration, SchemaTooNew, migrate, migrations
from ociregd.storage.postgres_schema import (
    MIGRATING,
    BlockingCursor,
    DatabaseUnsuitable,
    PostgresSchema,
    check_suitable,
    translated,
)

from ..functional.daemon import eventually
from ..postgres import PASSWORD, ROLE, PostgresServer

FRUIT = Migration(1, ["CREATE TABLE fruit (name TEXT)", "INSERT INTO fruit VALUES ('apple')"])
MORE = Migration(2, ["INSERT INTO fruit VALUES ('pear')"])
WRONG = Migration(2, ["INSERT INTO fruit VALUES ('plum')", "INSERT INTO vegetable VALUES ('leek')"])
SLOW = Migration(1, ["CREATE TABLE fruit (name TEXT)", "SELECT pg_sleep(60)"])

#: A test that waits this long has failed.
PATIENCE_SECONDS = 20.0

NAMES = (f"schema{number}" for number in count())


@frozen
class Database:
    """A database of one test, and what there is to see of it."""

    server: PostgresServer
    name: str
    url: str

    @property
    def schema(self) -> PostgresSchema:
        """What is tested."""
        return PostgresSchema(self.url, 5.0)

    def ask(self, sql: str) -> list[Any]:
        """What the database says to whoever may see and do anything."""
        return self.server.execute(sql, self.name)

    def tables(self) -> list[str]:
        """All tables that somebody has made."""
        return [name for (name,) in self.ask("SELECT relname FROM pg_stat_user_tables")]

    def fruit(self) -> list[str]:
        """What the migrations of these tests have left."""
        return [name for (name,) in self.ask("SELECT name FROM fruit")]

    def has(self, activity: str) -> bool:
        """Whether a session of the role does something."""
        [(found,)] = self.ask(
            "SELECT count(*) FROM pg_stat_activity"
            f" WHERE datname = '{self.name}' AND usename = '{ROLE}' AND {activity}"
        )
        return bool(found)

    def end_sessions(self) -> None:
        """End what the role does there, as a restart of the server would."""
        self.ask(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            f" WHERE datname = '{self.name}' AND usename = '{ROLE}'"
        )


@pytest.fixture
def database(postgres_server: PostgresServer) -> Iterator[Database]:
    """A database without anything in it."""
    name = next(NAMES)
    yield Database(postgres_server, name, postgres_server.create_database(name))
    postgres_server.drop_database(name)


@contextmanager
def told(level: Any) -> Iterator[list[str]]:
    """What is logged meanwhile."""
    said: list[str] = []

    @provider(ILogObserver)
    def observe(event: LogEvent) -> None:
        if event["log_level"] == level:
            said.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    try:
        yield said
    finally:
        globalLogPublisher.removeObserver(observe)


@contextmanager
def migrated_by_another(database: Database) -> Iterator[None]:
    """Somebody else migrates meanwhile, and takes long over it."""
    with closing(psycopg2.connect(database.url)) as other, other.cursor() as statements:
        statements.execute("SELECT pg_advisory_xact_lock(%s)", (MIGRATING,))
        yield
        run_to_end(migrate, BlockingCursor(statements), ([FRUIT],))
        other.commit()


def test_each_is_applied_once(database: Database) -> None:
    """What the database lacks is applied, and nothing twice."""
    for wanted, fruit in (
        ([FRUIT], ["apple"]),
        ([FRUIT], ["apple"]),
        ([FRUIT, MORE], ["apple", "pear"]),
        ([FRUIT, MORE], ["apple", "pear"]),
    ):
        assert database.schema.migrate(wanted) == len(wanted)
        assert database.schema.version() == len(wanted)
        assert database.fruit() == fruit


def test_the_schema_of_the_program(database: Database) -> None:
    """Who owns the database, and may do nothing else, can bring it to the program's schema."""
    assert database.schema.migrate(migrations()) == migrations()[-1].number
    assert {"blob", "manifest", "repository", "tag", "upload"} <= set(database.tables())


def test_texts_sort_bytewise(database: Database) -> None:
    """All texts of the schema sort as in SQLite, though the database sorts as people do."""
    database.schema.migrate(migrations())
    texts = database.ask(
        "SELECT collname FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid"
        " JOIN pg_collation ON pg_collation.oid = attcollation"
        " WHERE relnamespace = 'public'::regnamespace"
    )
    assert len(texts) > 20
    assert set(texts) == {("C",)}
    database.ask("INSERT INTO tag VALUES (1, 'b', '', 0), (1, 'B', '', 0), (1, 'a', '', 0)")
    assert database.ask("SELECT name FROM tag ORDER BY name") == [("B",), ("a",), ("b",)]


def test_ids_are_given(database: Database) -> None:
    """A row without an id gets one, and ids may be beyond 32 bits."""
    database.schema.migrate(migrations())
    database.ask("INSERT INTO repository (name, created) VALUES ('a', 0), ('b', 0)")
    database.ask(f"INSERT INTO repository (id, name, created) VALUES ({2**40}, 'c', 0)")
    assert database.ask("SELECT id FROM repository ORDER BY id") == [(1,), (2,), (2**40,)]


def test_looking_changes_nothing(database: Database) -> None:
    """A database that has no schema has number 0; nothing is made to find that out."""
    assert database.schema.version() == 0
    assert database.tables() == []


def test_all_or_nothing(database: Database) -> None:
    """A migration that fails leaves the database as it was, and others can be done then."""
    with pytest.raises(psycopg2.errors.UndefinedTable):
        database.schema.migrate([FRUIT, WRONG])
    assert (database.schema.version(), database.tables()) == (0, [])
    database.schema.migrate([FRUIT])
    with pytest.raises(psycopg2.errors.UndefinedTable):
        database.schema.migrate([FRUIT, WRONG])
    assert (database.schema.version(), database.fruit()) == (1, ["apple"])
    assert database.schema.migrate([FRUIT, MORE]) == 2


def test_a_lost_connection(database: Database) -> None:
    """If the server goes away in the middle, that is told, and nothing was done."""
    with ThreadPoolExecutor(1) as threads:
        migrating = threads.submit(database.schema.migrate, [SLOW])
        eventually(lambda: database.has("wait_event = 'PgSleep'"))
        database.end_sessions()
        assert isinstance(migrating.exception(PATIENCE_SECONDS), psycopg2.OperationalError)
    assert database.tables() == []


def test_a_newer_database(database: Database) -> None:
    """A database that a newer program has used is refused, and stays as it was."""
    database.schema.migrate([FRUIT, MORE])
    with pytest.raises(SchemaTooNew, match="has schema 2"):
        database.schema.migrate([FRUIT])
    assert (database.schema.version(), database.fruit()) == (2, ["apple", "pear"])


def test_ten_at_once(database: Database) -> None:
    """Of those that begin at the same moment one does the work, and all are content."""
    ready = threading.Barrier(10)

    def with_the_others() -> int:
        ready.wait(PATIENCE_SECONDS)
        return database.schema.migrate([FRUIT, MORE])

    with ThreadPoolExecutor(10) as threads:
        migrating = [threads.submit(with_the_others) for _ in range(10)]
        assert [one.result(PATIENCE_SECONDS) for one in migrating] == [2] * 10
    assert database.fruit() == ["apple", "pear"]
    assert database.ask("SELECT version FROM schema_version ORDER BY version") == [(1,), (2,)]


def test_waits_for_another(database: Database) -> None:
    """Who comes while somebody migrates says so, waits, and finds the work done."""
    with told(LogLevel.info) as said, ThreadPoolExecutor(2) as threads:
        with migrated_by_another(database):
            migrating = [threads.submit(database.schema.migrate, [FRUIT]) for _ in range(2)]
            waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
            eventually(lambda: database.ask(waiting) == [(2,)])
        assert [one.result(PATIENCE_SECONDS) for one in migrating] == [1, 1]
    assert database.fruit() == ["apple"]
    assert said == ["another process is changing the schema of the database; waiting for it"] * 2


def test_waits_not_for_ever(database: Database) -> None:
    """Who has waited long enough is told why, and may try again; nothing has happened."""
    schema = PostgresSchema(database.url, 5.0, lock_seconds=0.1)
    another = pytest.raises(psycopg2.OperationalError, match="another process is changing")
    with migrated_by_another(database), another:
        schema.migrate([FRUIT, MORE])
    assert database.fruit() == ["apple"]
    assert schema.migrate([FRUIT, MORE]) == 2
    assert database.fruit() == ["apple", "pear"]


#: What somebody may have set for other transactions of the role.
IMPATIENT = {
    "statement_timeout": "'100 ms'",
    "lock_timeout": "'100 ms'",
    "idle_in_transaction_session_timeout": "'100 ms'",
    "transaction_timeout": "'100 ms'",
    "default_transaction_isolation": "serializable",
    "default_transaction_read_only": "on",
}


def test_whatever_the_role_is_set_to(database: Database) -> None:
    """What is meant for other transactions keeps nobody from waiting, nor from the work then."""
    with ThreadPoolExecutor(1) as threads, migrated_by_another(database):
        # An older server does not know all of them.
        for (known,) in database.ask("SELECT name FROM pg_settings"):
            if known in IMPATIENT:
                value = IMPATIENT[known]
                database.ask(f"ALTER ROLE {ROLE} IN DATABASE {database.name} SET {known} = {value}")
        migrating = threads.submit(database.schema.migrate, [FRUIT])
        waits = "wait_event_type = 'Lock' AND clock_timestamp() - query_start > '300 ms'"
        eventually(lambda: migrating.done() or database.has(waits))
        assert not migrating.done(), migrating.exception()
    assert migrating.result(PATIENCE_SECONDS) == 1
    assert database.fruit() == ["apple"]


def test_whoever_may_only_use_it(database: Database) -> None:
    """Who may not create tables can use a database that is up to date, and no other."""
    database.schema.migrate([FRUIT])
    reader = f"{database.name}_reader"
    database.ask(f"CREATE ROLE {reader} LOGIN")
    try:
        database.ask("REVOKE CREATE ON SCHEMA public FROM public")
        database.ask(f"GRANT SELECT ON schema_version TO {reader}")
        schema = PostgresSchema(database.url.replace(f"{ROLE}@", f"{reader}@"), 5.0)
        assert (schema.migrate([FRUIT]), schema.version()) == (1, 1)
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            schema.migrate([FRUIT, MORE])
        assert database.fruit() == ["apple"]
    finally:
        database.ask(f"DROP OWNED BY {reader}")
        database.ask(f"DROP ROLE {reader}")


@pytest.mark.parametrize("encoding", ["SQL_ASCII", "LATIN1"])
def test_a_database_that_takes_not_every_text(
    postgres_server: PostgresServer, encoding: str
) -> None:
    """A database that is not in UTF-8 is refused, with what would be right."""
    name = next(NAMES)
    url = postgres_server.create_database(name, encoding=encoding)
    database = Database(postgres_server, name, url)
    for attempt in (database.schema.version, lambda: database.schema.migrate([FRUIT])):
        with pytest.raises(DatabaseUnsuitable, match=f"encoding {encoding}: .*ENCODING 'UTF8'"):
            attempt()
    assert database.tables() == []
    postgres_server.drop_database(name)


def test_suitable_servers() -> None:
    """A server that is older than the oldest that will do is refused."""
    for version in (130000, 180004):
        check_suitable(version, "UTF8")
    for version in (129999, 120022, 90624):
        with pytest.raises(DatabaseUnsuitable, match=f"{version // 10000}.* is too old: use 13"):
            check_suitable(version, "UTF8")


def test_a_server_that_promises_nothing(database: Database) -> None:
    """The operator is warned of a server that may lose what it has committed."""
    with told(LogLevel.warn) as said:
        database.schema.migrate([FRUIT])
        database.schema.migrate([FRUIT])
    # The other setting is as it should be.
    assert [line.split()[0] for line in said] == ["fsync", "fsync"]
    assert "acknowledged pushes can be lost" in said[0]


def test_no_server() -> None:
    """If nobody answers, that is an error of the client library."""
    schema = PostgresSchema("postgresql://127.0.0.1:1/registry", 1.0)
    for attempt in (schema.version, lambda: schema.migrate([FRUIT])):
        with pytest.raises(psycopg2.OperationalError, match="refused"):
            attempt()


def test_a_wrong_password(database: Database) -> None:
    """A password is neither printed with what it is for, nor told if it is wrong."""
    url = database.server.tcp_url(database.name)
    schema = PostgresSchema(url, 5.0)
    assert schema.version() == 0
    assert PASSWORD not in f"{schema} {schema!r}"
    assert str(schema) == f"PostgreSQL database {database.name} on 127.0.0.1"
    with pytest.raises(psycopg2.OperationalError) as refusal:
        PostgresSchema(url.replace(PASSWORD, "WRONG"), 5.0).version()
    assert "WRONG" not in str(refusal.value)


@pytest.mark.parametrize(
    ("statement", "meant"),
    [
        (
            "CREATE TABLE a (id INTEGER PRIMARY KEY, b TEXT NOT NULL, c TEXT)",
            "CREATE TABLE a (id BIGINT GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,"
            ' b TEXT COLLATE "C" NOT NULL, c TEXT COLLATE "C")',
        ),
        ("ALTER TABLE a ADD COLUMN d TEXT", 'ALTER TABLE a ADD COLUMN d TEXT COLLATE "C"'),
        *[
            (same, same)
            for same in (
                "CREATE TABLE text (CONTEXT BIGINT, TEXTS BIGINT, A_TEXT BIGINT, b BYTEA)",
                "CREATE INDEX b ON a (b)",
                "UPDATE a SET b = CAST(id AS TEXT) WHERE b LIKE '%TEXT%'",
                "INSERT INTO schema_version (version) VALUES (?)",
            )
        ],
    ],
)
def test_the_words_of_postgresql(statement: str, meant: str) -> None:
    """Types of columns are written so that they mean the same as in SQLite; nothing else is."""
    assert translated(statement) == meant
