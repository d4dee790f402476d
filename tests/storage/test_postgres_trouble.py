"""
Tests for L{ociregd.storage.postgres} with a server that is in trouble, and others in the way.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import BlobUnknown, StorageFull, StorageReadOnly, Unavailable
from ociregd.storage.migrations import migrations
from ociregd.storage.pool import LARGE_AT_ONCE
from ociregd.storage.postgres import ATTEMPTS, LARGE_BYTES
from ociregd.storage.postgres_schema import PostgresSchema
from ociregd.transactions import ICursor

from ..contracts.database import Spoilt, add_fruit, add_two, count_fruit
from ..postgres import PostgresServer, postgres
from ..workers import Later
from .trouble import TroubleCase, backend

INSERT = "INSERT INTO fruit (name, count) VALUES (?, 1)"


def raising(code: str) -> str:
    """A statement that fails with an error code of the server."""
    return f"DO $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{code}'; END $$"


@pytest.fixture(scope="module")
def postgres_server() -> Iterator[PostgresServer]:
    """A server for these tests alone, who stop it."""
    with postgres() as server:
        yield server


@pytest.fixture(scope="module")
def postgres_template(postgres_server: PostgresServer) -> str:
    """A database there, to be copied."""
    name = "original"
    PostgresSchema(postgres_server.create_database(name), 5.0).migrate(migrations())
    return name


class Case(TroubleCase):
    """
    A database that may be maltreated, and how often it was tried.

    @ivar attempts: how often an interaction of a test was begun.
    """

    def setUp(self: Any) -> None:
        super().setUp()
        self.database, self.pool = self.make()
        self.attempts = 0

    def names(self: Any) -> list[str]:
        """What everybody sees."""
        return [name for (name,) in self.execute("SELECT name FROM fruit ORDER BY name")]


class LostConnectionTests(Case, SynchronousTestCase):
    """Connections that end from the other side."""

    def test_between_transactions(self) -> None:
        """Nobody hears of connections that ended while nobody used them."""

        async def once(cursor: ICursor, number: int) -> None:
            await cursor.later(INSERT, str(number))

        for number in range(5):
            self.result_of(self.database.transact(once, number))
            assert self.result_of(self.database.read(count_fruit)) == number + 1
            self.terminate()
        assert self.said == []

    def test_within_a_transaction(self) -> None:
        """An interaction whose connection ends is run again, from the beginning."""

        async def interrupted(cursor: ICursor) -> int:
            self.attempts += 1
            await add_fruit(cursor, f"attempt {self.attempts}")
            if self.attempts < 3:
                self.terminate()
            await cursor.later(INSERT, "later")
            return await count_fruit(cursor)

        assert self.result_of(self.database.transact(interrupted)) == 2
        assert self.names() == ["attempt 3", "later"]
        assert self.said == []
        self.assert_whole(self.pool)

    def test_before_the_first_statement(self) -> None:
        """So is one that was about to put its first statement off."""

        async def interrupted(cursor: ICursor) -> None:
            self.attempts += 1
            if self.attempts == 1:
                connection = cursor._connection  # type: ignore[attr-defined]
                self.terminate()
                self.reactor.turn_until(lambda: connection.closed)
            await cursor.later(INSERT, "apple")

        self.result_of(self.database.transact(interrupted))
        assert self.names() == ["apple"]
        assert self.attempts == 2

    def test_within_a_statement(self) -> None:
        """So is one that waited for a statement."""

        async def interrupted(cursor: ICursor) -> None:
            self.attempts += 1
            await add_fruit(cursor, "apple")
            await cursor.rows(f"SELECT pg_sleep({0 if self.attempts > 1 else 30})")

        outcome = self.begin(self.database.transact(interrupted))
        self.until_it_sleeps()
        self.terminate()
        self.perform_all()
        self.successResultOf(outcome)
        assert self.attempts == 2
        assert self.names() == ["apple"]

    def test_within_the_end(self) -> None:
        """
        Where the end of a transaction was sent and nothing came back, it is not run again: it may
        have been done.
        """

        async def at_once(cursor: ICursor) -> None:
            self.attempts += 1
            await cursor.later(INSERT, "apple")
            await cursor.later("SELECT pg_sleep(30)")

        async def with_an_answer(cursor: ICursor) -> None:
            await at_once(cursor)
            await cursor.answer("SELECT 1")

        async def after_others(cursor: ICursor) -> None:
            await add_fruit(cursor, "pear")
            await at_once(cursor)

        for interaction in (at_once, with_an_answer, after_others):
            self.attempts = 0
            outcome = self.begin(self.database.transact(interaction))
            self.until_it_sleeps()
            self.terminate()
            self.perform_all()
            told = self.failureResultOf(outcome, Unavailable).value
            assert "may have been done, or not" in str(told)
            assert self.attempts == 1
        assert self.names() == []
        self.assert_whole(self.pool)

    def test_within_a_reading(self) -> None:
        """What only reads is run again in any case."""

        async def look(cursor: ICursor) -> Any:
            self.attempts += 1
            return await cursor.answer(f"SELECT 1 FROM pg_sleep({0 if self.attempts > 1 else 30})")

        outcome = self.begin(self.database.read(look))
        self.until_it_sleeps()
        self.terminate()
        self.perform_all()
        assert self.successResultOf(outcome) == [(1,)]
        assert self.attempts == 2

    def test_whose_connection_always_ends(self) -> None:
        """What never comes to its end is given up."""

        async def interrupted(cursor: ICursor) -> None:
            self.attempts += 1
            await add_fruit(cursor, "apple")
            self.terminate()
            await add_fruit(cursor, "pear")

        self.failure_of(self.database.transact(interrupted), Unavailable)
        assert self.attempts == ATTEMPTS
        assert self.names() == []

    def test_its_own_exception_comes_first(self) -> None:
        """An interaction that fails for reasons of its own says those, whatever else has ended."""

        async def spoilt(cursor: ICursor) -> None:
            await add_fruit(cursor, "apple")
            self.terminate()
            raise Spoilt("anyway")

        assert str(self.failure_of(self.database.transact(spoilt), Spoilt)) == "anyway"
        self.assert_whole(self.pool)


class AwayTests(Case, SynchronousTestCase):
    """A server that is stopped, or stands still."""

    def setUp(self) -> None:
        super().setUp()
        self.result_of(self.database.transact(add_fruit, "apple"))
        self.addCleanup(self.up)

    def up(self) -> None:
        """Let it run, if it does not."""
        if self.server._process is None:
            self.server.start()

    def test_comes_back_in_time(self) -> None:
        """Who asks while the server is restarted waits, and the operator hears of it once."""
        server = self.server
        stops = (server.stop, lambda: server.stop("immediate"), server.kill)
        for number, stop in enumerate(stops):
            stop()
            reading = [self.begin(self.database.read(count_fruit)) for _ in range(5)]
            writing = self.begin(self.database.transact(add_fruit, f"pear {number}"))
            self.reactor.turn_until(lambda: self.said)
            self.server.start()
            self.perform_all()
            for outcome in (*reading, writing):
                self.successResultOf(outcome)
            [away, back] = self.said
            assert away.startswith("warn: cannot connect to the database: ")
            assert back == "info: the database answers again"
            self.said.clear()

    def test_killed_within_a_transaction(self) -> None:
        """
        An interaction whose server dies without a word is run again; if it was about to end, it may
        have been done. Whoever is given the same socket next is not harmed.
        """

        async def interrupted(cursor: ICursor, goes_on: bool) -> None:
            self.attempts += 1
            await add_fruit(cursor, f"pear {goes_on}")
            if self.attempts == 1:
                self.server.kill()
                self.server.start()
            if goes_on:
                # So long that the client library sends while it still writes it down.
                await cursor.rows("SELECT length(?)", "x" * 100_000)

        self.result_of(self.database.transact(interrupted, True))
        assert self.attempts == 2
        self.attempts = 0
        self.failure_of(self.database.transact(interrupted, False), Unavailable)
        assert self.attempts == 1
        self.assert_whole(self.pool)
        assert self.names() == ["apple", "pear True"]
        assert self.said == []

    def test_stays_away(self) -> None:
        """Who waited too long is told; when the server is back, it is used by itself."""
        database, pool = self.make(queue_seconds=0.3)
        self.result_of(database.read(count_fruit))
        self.server.stop()
        for _ in range(2):
            told = self.failure_of(database.transact(add_fruit, "pear"), Unavailable)
            assert "does not answer" in str(told)
        assert len(self.said) == 1
        self.server.start()
        waiting = self.begin(database.transact(add_fruit, "plum"))
        self.reactor.turn_until(lambda: self.ended(waiting))
        assert self.outcome(waiting) == 1
        self.assert_whole(pool)
        assert self.names() == ["apple", "plum"]
        assert [line.partition(":")[0] for line in self.said] == ["warn", "info"]

    def test_stands_still(self) -> None:
        """
        A server that says nothing is waited for a little longer than a statement may take, and what
        hung is not used again.
        """
        self.result_of(self.database.close())
        database, pool = self.make(statement_seconds=0.2, connect_seconds=0.2, queue_seconds=0.5)
        self.assert_whole(pool)
        before = set(self.backends())
        self.server.pause()
        try:
            for work in (
                database.transact(add_two, "pear"),
                database.read(count_fruit),
                database.read(count_fruit),
            ):
                told = self.failure_of(work, Unavailable)
                assert "does not answer" in str(told)
        finally:
            self.server.resume()
        assert self.result_of(database.read(count_fruit)) == 1
        self.assert_whole(pool)
        self.reactor.turn_until(lambda: not before & set(self.backends()))
        assert self.names() == ["apple"]

    def test_closed_while_it_stands_still(self) -> None:
        """A registry can be stopped while its database hangs."""
        self.result_of(self.database.close())
        database, pool = self.make(connect_seconds=0.2)
        connection = self.take(pool)
        pool.give_back(connection)
        self.server.pause()
        try:
            outcomes = [self.begin(database.read(count_fruit)) for _ in range(3)]
            self.result_of(database.close())
        finally:
            self.server.resume()
        for outcome in outcomes:
            self.failureResultOf(outcome, Unavailable)
        assert self.reactor.left_behind() == []


class RefusalTests(Case, SynchronousTestCase):
    """What the server says no to."""

    def process(self) -> int:
        """The process of the server that the only connection talks to."""
        return int(self.result_of(self.database.read(backend)))

    def test_takes_too_long(self) -> None:
        """A statement that takes too long is ended; who asked is told, and the next one goes on."""
        self.database, self.pool = self.make(size=1, statement_seconds=0.2)
        process = self.process()

        async def sleep(cursor: ICursor) -> None:
            await add_fruit(cursor, "apple")
            await cursor.rows("SELECT pg_sleep(30)")

        async def put_sleep_off(cursor: ICursor) -> None:
            await cursor.later(INSERT, "apple")
            await cursor.later("SELECT pg_sleep(30)")

        for work in (
            self.database.transact(sleep),
            self.database.transact(put_sleep_off),
            self.database.read(lambda cursor: cursor.rows("SELECT pg_sleep(30)")),
        ):
            assert "too long" in str(self.failure_of(work, Unavailable))
            assert self.process() == process
        assert self.names() == []

    def test_violations(self) -> None:
        """A mistake of ours stays what it is, and nothing of the transaction remains."""
        self.database, self.pool = self.make(size=1)
        self.result_of(self.database.transact(add_fruit, "apple"))
        process = self.process()

        async def put_off(cursor: ICursor) -> None:
            for name in ("pear", "apple", "plum"):
                await cursor.later(INSERT, name)

        async def after_others(cursor: ICursor) -> None:
            await add_fruit(cursor, "grape")
            await put_off(cursor)

        for interaction in (put_off, after_others):
            self.failure_of(self.database.transact(interaction), psycopg2.IntegrityError)
            assert self.process() == process
        assert self.names() == ["apple"]

    def test_what_passes(self) -> None:
        """What is the operator's to change, or passes by itself, is told to the client as such."""
        for code, refusal in (
            ("53100", StorageFull),
            ("25006", StorageReadOnly),
            ("53200", Unavailable),
            ("55P03", Unavailable),
            ("57P03", Unavailable),
            ("08006", Unavailable),
        ):

            async def refused(cursor: ICursor, code: str = code) -> None:
                await cursor.later(INSERT, "apple")
                await cursor.later(raising(code))

            self.failure_of(self.database.transact(refused), refusal)
            self.assert_whole(self.pool)
        assert self.names() == []

    def test_read_only(self) -> None:
        """A database that takes no writes can be read."""
        self.result_of(self.database.transact(add_fruit, "apple"))
        self.execute(f'ALTER DATABASE "{self.name}" SET default_transaction_read_only = on')
        self.database, self.pool = self.make()
        self.failure_of(self.database.transact(add_fruit, "pear"), StorageReadOnly)
        assert self.result_of(self.database.read(count_fruit)) == 1

    def test_large_bytes(self) -> None:
        """Bytes come back as they went, however large they are; the large ones take a thread."""
        self.in_thread = Later()
        self.database, self.pool = self.make()
        self.execute("CREATE TABLE kept (content BYTEA)")
        self.execute("GRANT ALL ON kept TO PUBLIC")

        async def keep(cursor: ICursor, content: bytes) -> Any:
            await cursor.later("DELETE FROM kept")
            return await cursor.answer("INSERT INTO kept VALUES (?) RETURNING content", content)

        for size, jobs in ((0, 0), (LARGE_BYTES, 0), (LARGE_BYTES + 1, 1), (1_000_003, 1)):
            content = (bytes(range(256)) * (size // 256 + 1))[:size]
            keeping = self.begin(self.database.transact(keep, content))
            self.reactor.turn_until(lambda: keeping.called or self.in_thread.waiting)  # noqa: B023
            assert self.in_thread.waiting == jobs
            self.in_thread.perform_all()
            self.perform_all()
            [(found,)] = self.successResultOf(keeping)
            assert bytes(found) == content
        self.assert_whole(self.pool)

    def test_old_strings(self) -> None:
        """Where a backslash means something in a string, values come back as they went too."""
        self.execute("CREATE TABLE kept (text TEXT, content BYTEA)")
        self.execute("GRANT ALL ON kept TO PUBLIC")
        self.execute(f'ALTER DATABASE "{self.name}" SET standard_conforming_strings = off')
        self.database, self.pool = self.make()

        async def keep(cursor: ICursor, text: str, content: bytes) -> Any:
            statement = "INSERT INTO kept VALUES (?, ?) RETURNING text, content"
            return await cursor.answer(statement, text, content)

        for text in ("\\", "\\\\x41", "a\\', NULL); DROP TABLE kept; --", "''\\''"):
            for content in (bytes(range(256)), bytes(range(256)) * (LARGE_BYTES // 256 + 1)):
                keeping = self.database.transact(keep, text, content)
                [(kept, found)] = self.result_of(keeping)
                assert (kept, bytes(found)) == (text, content)

    def test_many_large_values(self) -> None:
        """Only few large values are on their way at a time; the others wait, and are done too."""
        self.in_thread = Later()
        self.database, self.pool = self.make(size=5)
        self.execute("CREATE TABLE kept (content BYTEA)")
        self.execute("GRANT ALL ON kept TO PUBLIC")

        async def keep(cursor: ICursor, content: bytes) -> None:
            # Several in one transaction count as one.
            for _ in range(2):
                await cursor.later("INSERT INTO kept VALUES (?)", content)

        keeping = [
            self.begin(self.database.transact(keep, bytes(LARGE_BYTES + 1))) for _ in range(5)
        ]
        self.reactor.turn_until(lambda: len(self.backends()) == 5)
        self.reactor.turn_until(lambda: self.in_thread.waiting == LARGE_AT_ONCE)
        while not all(one.called for one in keeping):
            self.reactor.turn_until(
                lambda: self.in_thread.waiting or all(one.called for one in keeping)
            )
            assert self.in_thread.waiting <= LARGE_AT_ONCE
            if self.in_thread.waiting:
                self.in_thread.perform()
        assert self.execute("SELECT count(*) FROM kept") == [(10,)]
        self.assert_whole(self.pool)

    def test_large_values(self) -> None:
        """A connection that has sent a large value is closed, since it keeps much of it."""

        async def keep(cursor: ICursor, size: int) -> None:
            await cursor.later(INSERT, "x" * size)

        self.database, self.pool = self.make(size=1)
        self.execute("ALTER TABLE fruit DROP CONSTRAINT fruit_pkey")
        process = self.process()
        self.result_of(self.database.transact(keep, 100_000))
        assert self.process() == process
        self.result_of(self.database.transact(keep, 5_000_000))
        assert self.process() != process
        assert sorted(map(len, self.names())) == [100_000, 5_000_000]


class CollisionTests(Case, SynchronousTestCase):
    """Transactions that are in each other's way."""

    def test_deadlock(self) -> None:
        """Of two that wait for each other one is run again, and both are done."""
        self.execute(f"ALTER DATABASE \"{self.name}\" SET deadlock_timeout = '50ms'")
        self.database, self.pool = self.make()
        for name in ("apple", "pear"):
            self.result_of(self.database.transact(add_fruit, name))
        both: Deferred[None] = Deferred()

        async def count_up(cursor: ICursor, *names: str) -> None:
            self.attempts += 1
            attempt = self.attempts
            for name in names:
                await cursor.change("UPDATE fruit SET count = count + 1 WHERE name = ?", name)
                if attempt == 2 and not both.called:
                    both.callback(None)
                elif attempt == 1:
                    await both

        outcomes = [
            self.begin(self.database.transact(count_up, *names))
            for names in (("apple", "pear"), ("pear", "apple"))
        ]
        self.perform_all()
        for outcome in outcomes:
            self.successResultOf(outcome)
        assert self.attempts == 3
        assert self.execute("SELECT name, count FROM fruit ORDER BY name") == [
            ("apple", 3),
            ("pear", 3),
        ]
        assert self.said == []

    def test_undone_by_the_server(self) -> None:
        """A transaction that the server has undone for the sake of others is run again."""
        for code in ("40001", "40P01"):
            self.attempts = 0

            async def collide(cursor: ICursor, code: str = code) -> None:
                self.attempts += 1
                await cursor.later(INSERT, f"{code} {self.attempts}")
                if self.attempts < 4:
                    await cursor.later(raising(code))

            self.result_of(self.database.transact(collide))
            assert self.attempts == 4
        assert self.names() == ["40001 4", "40P01 4"]

    def test_always(self) -> None:
        """Who is always in the way of others is told so in the end, and has held up nobody."""

        async def collide(cursor: ICursor) -> None:
            self.attempts += 1
            await add_fruit(cursor, "apple")
            await cursor.change(raising("40P01"))

        self.database, self.pool = self.make(size=1)
        outcome = self.begin(self.database.transact(collide))
        others = [self.begin(self.database.transact(add_fruit, str(n))) for n in range(3)]
        self.perform_all()
        assert "try again" in str(self.failureResultOf(outcome, Unavailable).value)
        for other in others:
            self.successResultOf(other)
        assert self.attempts == ATTEMPTS
        assert self.names() == ["0", "1", "2"]


class CancelTests(Case, SynchronousTestCase):
    """Clients that go while their transaction is under way."""

    def test_at_any_moment(self) -> None:
        """Whenever a client goes, all or nothing is done, and no connection is lost or spoilt."""

        async def several(cursor: ICursor) -> None:
            await cursor.later("DELETE FROM fruit")
            await add_two(cursor, "apple")
            await cursor.later(INSERT, "later")

        async def at_once(cursor: ICursor) -> Any:
            await cursor.later("DELETE FROM fruit")
            for name in ("apple", "more apple", "later"):
                await cursor.later(INSERT, name)
            return await cursor.answer("SELECT 1")

        async def refused(cursor: ICursor) -> None:
            await several(cursor)
            raise BlobUnknown

        works = [
            (self.database.transact, several),
            (self.database.transact, at_once),
            (self.database.transact, refused),
            (self.database.read, count_fruit),
        ]
        for ask, interaction in works:
            self.result_of(self.database.transact(at_once))
            for turns in range(25):
                outcome = self.begin(ask(interaction))
                for _ in range(turns):
                    self.reactor.runUntilCurrent()
                    self.reactor.doIteration(0.002)
                outcome.addErrback(lambda _: None)
                outcome.cancel()
                self.assert_whole(self.pool)
                assert self.names() == ["apple", "later", "more apple"]
        assert self.said == []

    def test_before_it_is_run_again(self) -> None:
        """Who goes while others are given way is not run again."""

        async def collide(cursor: ICursor) -> None:
            self.attempts += 1
            await add_fruit(cursor, "apple")
            await cursor.change(raising("40001"))

        outcome = self.begin(self.database.transact(collide))
        self.reactor.turn_until(lambda: self.attempts == 6)
        outcome.addErrback(lambda _: None)
        outcome.cancel()
        self.assert_whole(self.pool)
        assert self.attempts == 6
        assert self.said == []
