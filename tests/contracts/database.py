"""
What every L{IDatabase} does.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from ociregd.transactions import ICursor, IDatabase


class Spoilt(Exception):
    """What an interaction of these tests may raise."""


async def begin_fruit(cursor: ICursor) -> None:
    """A table for these tests."""
    await cursor.change("CREATE TABLE fruit (name TEXT PRIMARY KEY, count BIGINT)")


async def add_fruit(cursor: ICursor, name: str, count: int = 1) -> int:
    """One more row."""
    return await cursor.change("INSERT INTO fruit (name, count) VALUES (?, ?)", name, count)


async def count_fruit(cursor: ICursor) -> int:
    """How many rows there are."""
    [(count,)] = await cursor.rows("SELECT count(*) FROM fruit")
    return int(count)


async def spoil_fruit(cursor: ICursor, name: str) -> None:
    """Add a row, and then fail."""
    await add_fruit(cursor, name)
    raise Spoilt(name)


async def add_two(cursor: ICursor, name: str) -> None:
    """Add one row, and another."""
    await add_fruit(cursor, name)
    await add_fruit(cursor, f"more {name}")


async def mistaken(cursor: ICursor, name: str) -> None:
    """Add a row, and then say something that is no SQL."""
    await add_fruit(cursor, name)
    await cursor.change("INSERT INTO vegetable (name) VALUES (?)", name)


class DatabaseContract:
    """
    What every L{IDatabase} does. Subclasses say how to make one.
    """

    def make_database(self) -> IDatabase:
        """A database that is open, and has no table C{fruit}."""
        raise NotImplementedError

    def make_reopened(self) -> IDatabase:
        """The same database, closed and opened again."""
        raise NotImplementedError

    def setUp(self: Any) -> None:
        super().setUp()
        self.database = self.make_database()
        self.result_of(self.database.transact(begin_fruit))

    def count(self: Any) -> int:
        """How many fruit everybody sees."""
        return int(self.result_of(self.database.read(count_fruit)))

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{IDatabase}."""
        assert verifyObject(IDatabase, self.database)

    def test_provides_a_cursor(self: Any) -> None:
        """What an interaction talks to provides L{ICursor}."""

        async def check(cursor: ICursor) -> bool:
            return bool(verifyObject(ICursor, cursor))

        assert self.result_of(self.database.transact(check))
        assert self.result_of(self.database.read(check))

    def test_results(self: Any) -> None:
        """What an interaction returns comes back: of changes the number, of queries the rows."""
        assert self.result_of(self.database.transact(add_fruit, "apple", 3)) == 1

        async def rename(cursor: ICursor, before: str, after: str) -> int:
            return await cursor.change("UPDATE fruit SET name = ? WHERE name = ?", after, before)

        assert self.result_of(self.database.transact(rename, "pear", "plum")) == 0
        assert self.result_of(self.database.transact(rename, "apple", "plum")) == 1

        async def all_fruit(cursor: ICursor) -> list[tuple[Any, ...]]:
            return await cursor.rows("SELECT name, count FROM fruit")

        assert self.result_of(self.database.read(all_fruit)) == [("plum", 3)]
        assert self.result_of(self.database.transact(all_fruit)) == [("plum", 3)]

    def test_values_come_back_as_they_went(self: Any) -> None:
        """Text, bytes, large numbers and nothing survive, whatever they are made of."""
        values = ("'; DROP TABLE fruit; -- ? é \U0001f511", bytes(range(256)), 2**62, 0.1, None)

        async def keep(cursor: ICursor) -> list[tuple[Any, ...]]:
            await cursor.change(
                "CREATE TABLE kept (a TEXT, b BYTEA, c BIGINT, d DOUBLE PRECISION, e TEXT)"
            )
            await cursor.change("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", *values)
            return await cursor.rows("SELECT a, b, c, d, e FROM kept")

        [row] = self.result_of(self.database.transact(keep))
        assert (row[0], bytes(row[1]), *row[2:]) == values

    def test_commits(self: Any) -> None:
        """What was done is seen by others, and is there when the database is opened again."""
        self.result_of(self.database.transact(add_fruit, "apple"))
        assert self.count() == 1
        self.database = self.make_reopened()
        assert self.count() == 1

    def test_rolls_back(self: Any) -> None:
        """What an interaction raises is raised, and nothing of it remains."""
        assert str(self.failure_of(self.database.transact(spoil_fruit, "apple"), Spoilt)) == "apple"
        assert self.count() == 0
        self.result_of(self.database.transact(add_fruit, "apple"))
        assert self.count() == 1

    def test_rolls_back_after_a_violation(self: Any) -> None:
        """A statement that the database refuses rolls back what was before it."""
        self.result_of(self.database.transact(add_fruit, "more apple"))
        self.failure_of(self.database.transact(add_two, "apple"), Exception)
        assert self.count() == 1

    def test_read_may_not_write(self: Any) -> None:
        """An interaction that only reads cannot change anything."""
        self.failure_of(self.database.read(add_fruit, "apple"), Exception)
        assert self.count() == 0

    def test_read_raises(self: Any) -> None:
        """What an interaction raises that only reads is raised, and the next one is not harmed."""

        async def fail(cursor: ICursor) -> None:
            await count_fruit(cursor)
            raise Spoilt

        self.failure_of(self.database.read(fail), Spoilt)
        assert self.count() == 0

    def test_many_at_once(self: Any) -> None:
        """Of many transactions at once each has its own outcome."""
        asked = [
            self.begin(
                self.database.transact(spoil_fruit if number % 3 else add_fruit, str(number))
            )
            for number in range(300)
        ]
        self.perform_all()
        for number, outcome in enumerate(asked):
            if number % 3:
                assert str(self.failureResultOf(outcome, Spoilt).value) == str(number)
            else:
                assert self.successResultOf(outcome) == 1
        assert self.count() == 100

    def test_one_that_fails_does_not_harm_the_others(self: Any) -> None:
        """Whatever is wrong with one of many transactions at once, the others are done."""
        self.result_of(self.database.transact(add_fruit, "apple"))
        asked = [self.begin(self.database.transact(add_fruit, "grape"))]
        wrong = [
            self.begin(work)
            for work in (
                self.database.transact(spoil_fruit, "pear"),
                self.database.transact(add_fruit, "apple"),
                self.database.transact(mistaken, "plum"),
            )
        ]
        asked += [self.begin(self.database.transact(add_fruit, name)) for name in ("pear", "plum")]
        self.perform_all()
        assert [self.successResultOf(outcome) for outcome in asked] == [1, 1, 1]
        for outcome in wrong:
            self.failureResultOf(outcome)
        assert self.count() == 4

    def test_who_asked_is_cancelled(self: Any) -> None:
        """
        A transaction that nobody waits for any more is done or not, but not by halves; the others
        are done.
        """
        asked = [self.begin(self.database.transact(add_two, str(number))) for number in range(3)]
        asked[1].addErrback(lambda _: "cancelled")
        asked[1].cancel()
        self.perform_all()
        self.successResultOf(asked[0])
        self.successResultOf(asked[2])
        assert self.count() in (4, 6)
