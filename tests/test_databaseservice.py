"""
Tests for L{ociregd.databaseservice}: how a database begins and ends with the daemon.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any, cast

import psycopg2
from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ociregd.databases import Schema
from ociregd.databaseservice import LAST_DELAY, PostgresService, SqliteService, database_for
from ociregd.errors import Unavailable
from ociregd.settings import parse
from ociregd.storage.migrations import Migration, SchemaTooNew
from ociregd.storage.pool import ConnectionPool, PoolLimits
from ociregd.storage.postgres import PostgresDatabase
from ociregd.storage.sqlite import SqliteDatabase

from .contracts.database import count_fruit
from .storage.places import temporary
from .workers import Later, now

LIMITS = PoolLimits(
    size=3, queue_size=4, queue_seconds=5.0, connect_seconds=6.0, statement_seconds=7.0
)


@define(eq=False)
class Server:
    """
    A server that has one answer after the other for whoever wants to bring its tables up to date.
    """

    answers: list[Exception | int] = field(factory=list)

    def version(self) -> int:
        """Nobody asks for it."""
        raise NotImplementedError

    def migrate(self, wanted: Sequence[Migration]) -> int:
        """The next answer."""
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    def __str__(self) -> str:
        return "PostgreSQL database metadata"


def away(text: str = "connection refused") -> Exception:
    """What is heard of a server that is not there."""
    return psycopg2.OperationalError(text)


class SqliteServiceTests(SynchronousTestCase):
    """A database in a file."""

    def setUp(self) -> None:
        self.path = temporary(self) / "metadata.sqlite3"

    def service(self) -> SqliteService:
        """The service of the file."""
        return SqliteService(SqliteDatabase(str(self.path), now), str(self.path))

    def test_starts_and_stops(self) -> None:
        """The file is made, and can be used again after a stop."""
        for _ in range(2):
            service = self.service()
            service.startService()
            assert self.path.is_file()
            service.stopService()

    def test_a_newer_version(self) -> None:
        """A database that a newer version has written ends the daemon, and stays as it is."""
        service = self.service()
        service.startService()
        service.stopService()
        newer = sqlite3.connect(self.path)
        with newer:
            newer.execute("INSERT INTO schema_version (version) VALUES (999)")
        before = list(newer.iterdump())
        newer.close()
        told = self.assertRaises(SystemExit, self.service().startService)
        assert "999" in str(told)
        found = sqlite3.connect(self.path)
        assert list(found.iterdump()) == before
        found.close()

    def test_what_is_no_database(self) -> None:
        """A file that is no database ends it too."""
        self.path.write_bytes(b"something else entirely" * 100)
        told = self.assertRaises(SystemExit, self.service().startService)
        assert str(self.path) in str(told)


class PostgresServiceTests(SynchronousTestCase):
    """A database on a server."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.threads = Later()
        self.server = Server()
        pool = ConnectionPool("postgresql://nobody@/none", LIMITS, self.clock, now)
        self.database = PostgresDatabase(pool)
        schema = Schema(cast(Any, self.server))
        self.service = PostgresService(self.database, schema, self.threads, self.clock)
        self.said: list[str] = []
        observer = cast(ILogObserver, self._observe)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)

    def _observe(self, event: LogEvent) -> None:
        if event["log_level"] > LogLevel.debug:
            self.said.append(f"{event['log_level'].name}: {formatEvent(event)}")

    def start(self, *answers: Exception | int) -> None:
        """Start with a server that answers so."""
        self.server.answers = list(answers)
        self.service.startService()

    def attempt(self) -> None:
        """Let the time pass to the next attempt, and let that come to its end."""
        self.clock.advance(LAST_DELAY)
        self.threads.perform()

    def can_be_used(self) -> bool:
        """Whether requests reach the database."""
        asking = Deferred.fromCoroutine(self.database.read(count_fruit))
        if not asking.called:
            asking.addErrback(lambda _: None)
            asking.cancel()
            return True
        told = self.failureResultOf(asking, Unavailable).value
        assert "not answered yet" in str(told)
        return False

    def stop(self) -> None:
        """Stop, and see that nothing is left."""
        self.successResultOf(self.service.stopService())
        assert self.clock.getDelayedCalls() == []

    def test_a_server_that_is_there(self) -> None:
        """The database can be used when the daemon has started."""
        assert not self.can_be_used()
        self.start(1)
        assert self.can_be_used()
        assert not any("waiting" in line for line in self.said)
        self.stop()

    def test_a_server_that_is_away(self) -> None:
        """A server that is away is waited for, and the operator is told why, once for a reason."""
        answers = [away(), away(), away(), away("starting up"), away("starting up"), 1]
        self.start(*answers)
        for _ in answers[1:]:
            assert not self.can_be_used()
            self.attempt()
        assert self.can_be_used()
        assert self.said[:3] == [
            "warn: cannot use PostgreSQL database metadata: connection refused; waiting for it",
            "warn: cannot use PostgreSQL database metadata: starting up; waiting for it",
            "info: the database answers: the registry is available",
        ]
        self.stop()

    def test_waits_longer_each_time(self) -> None:
        """The first attempts come soon, the later ones are no burden."""
        self.start(*[away() for _ in range(9)])
        waits = []
        for _ in range(6):
            [call] = self.clock.getDelayedCalls()
            waits.append(call.getTime() - self.clock.seconds())
            self.clock.advance(waits[-1])
            self.threads.perform()
        assert waits == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]
        self.stop()

    def test_a_database_that_is_not_for_us(self) -> None:
        """A database that a newer version has used ends the daemon, with a word about it."""
        told = self.assertRaises(SystemExit, self.start, SchemaTooNew("schema 999"))
        assert str(told) == "ociregd: cannot use PostgreSQL database metadata: schema 999"
        assert self.clock.getDelayedCalls() == []

    def test_a_database_that_turns_out_not_to_be_for_us(self) -> None:
        """If it is seen only later, nobody is let in, and the operator is told."""
        self.start(away(), SchemaTooNew("schema 999"), 1)
        self.attempt()
        assert not self.can_be_used()
        assert "schema 999" in self.said[-1]
        self.attempt()
        assert self.can_be_used()
        self.stop()

    def test_stops_while_it_waits(self) -> None:
        """A daemon whose database never came can be stopped."""
        self.start(away())
        self.stop()
        assert self.flushLoggedErrors() == []

    def test_stops_during_an_attempt(self) -> None:
        """So can one that was just about to find it, and then nobody is let in any more."""
        self.start(away(), 1)
        self.clock.advance(LAST_DELAY)
        self.stop()
        self.threads.perform()
        assert not self.can_be_used()
        assert self.flushLoggedErrors() == []

    def test_a_mistake_of_ours(self) -> None:
        """What nobody has thought of is logged, and the next attempt is made."""
        self.start(away(), ZeroDivisionError(), 1)
        self.attempt()
        assert len(self.flushLoggedErrors(ZeroDivisionError)) == 1
        self.attempt()
        assert self.can_be_used()
        self.stop()


class DatabaseForTests(SynchronousTestCase):
    """From the settings to a database."""

    def test_limits(self) -> None:
        """What the settings say about connections reaches the pool."""
        settings = parse(
            '[metadata]\ndatabase = "postgresql://registry@db.example/metadata"\n'
            "pool_size = 3\nqueue_size = 4\nqueue_timeout = '5s'\nconnect_timeout = '6s'\n"
            "statement_timeout = '7s'\n"
        )
        database, services = database_for(settings, Clock())
        assert isinstance(database, PostgresDatabase)
        assert database._pool.limits == LIMITS
        assert isinstance(services[-1], PostgresService)
