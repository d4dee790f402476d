"""
What every L{ICursor} does, and the one of an interaction that only reads.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ociregd.transactions import ICursor, IDatabase

from .database import Spoilt, add_fruit, begin_fruit, count_fruit

#: A statement, and its parameters.
Statement = tuple[Any, ...]

INSERT = "INSERT INTO fruit (name, count) VALUES (?, ?)"
UPSERT = INSERT + " ON CONFLICT (name) DO NOTHING RETURNING name"
UPDATE = "UPDATE fruit SET count = count + 1 WHERE name = ? RETURNING name"
DELETE = "DELETE FROM fruit WHERE name = ? RETURNING name"
SELECT = "SELECT name FROM fruit WHERE name = ?"
COUNT = "SELECT count FROM fruit WHERE name = ?"

#: Texts that mean something in SQL, or to somebody on the way there.
AWKWARD = [
    "100%",
    "%s",
    "%(name)s",
    "%%",
    "?",
    "??",
    "\\",
    "\\'",
    "'",
    "''; DROP TABLE fruit; --",
    '"',
    "$1 $$ $tag$",
    "E'\\x00'",
    "{sql} {number} {0}",
    "a; b",
    "/* ",
    "\n\r\t",
    "\x01\x7f",
    "é\U0001f511",
    "unmet-0-0",
]


class Missing(Exception):
    """What the interactions of these tests expect is not there."""


async def put_off(cursor: ICursor, *names: str) -> None:
    """Add rows without waiting for any of them."""
    for name in names:
        await cursor.later(INSERT, name, 1)


async def all_fruit(cursor: ICursor) -> list[tuple[Any, ...]]:
    """What there is."""
    return await cursor.rows("SELECT name, count FROM fruit ORDER BY name")


async def expect_all(cursor: ICursor, statements: Sequence[Statement]) -> int:
    """
    Put a row off, expect something of each statement, and add another row.

    What is missing is named by the number of the statement.
    """
    await cursor.later(INSERT, "early", 1)
    for number, statement in enumerate(statements):
        await cursor.expect(Missing(number), *statement)
    return await add_fruit(cursor, "late")


async def only_expect(cursor: ICursor, *statement: Any) -> None:
    """Expect something, and that is all."""
    await cursor.expect(Missing("alone"), *statement)


async def expect_and_answer(cursor: ICursor, expected: Statement, asked: Statement) -> Any:
    """Put a row off, expect something, and ask."""
    await cursor.later(INSERT, "early", 1)
    await cursor.expect(Missing("answer"), *expected)
    return await cursor.answer(*asked)


class CursorContract:
    """
    What every L{ICursor} does. Subclasses say how to make a database.
    """

    def make_database(self) -> IDatabase:
        """A database that is open, and has no table C{fruit}."""
        raise NotImplementedError

    def setUp(self: Any) -> None:
        super().setUp()
        self.database = self.make_database()
        self.result_of(self.database.transact(begin_fruit))
        self.result_of(self.database.transact(add_fruit, "apple"))

    def transact(self: Any, interaction: Any, *args: object) -> Any:
        """What comes of a transaction."""
        return self.result_of(self.database.transact(interaction, *args))

    def names(self: Any) -> list[str]:
        """The names of all fruit that everybody sees."""
        return [name for name, _ in self.result_of(self.database.read(all_fruit))]

    def test_later(self: Any) -> None:
        """What was put off is done when the interaction has ended."""
        self.transact(put_off, "pear", "plum")
        assert self.names() == ["apple", "pear", "plum"]

    def test_later_is_seen_afterwards(self: Any) -> None:
        """A statement sees what was put off before it, and tells what itself has changed."""

        async def put_off_and_look(cursor: ICursor) -> list[int]:
            await put_off(cursor, "pear", "plum")
            seen = [await count_fruit(cursor)]
            await put_off(cursor, "grape")
            return [*seen, await cursor.change("DELETE FROM fruit WHERE name <> ?", "grape")]

        assert self.transact(put_off_and_look) == [3, 3]
        assert self.names() == ["grape"]

    def test_later_is_rolled_back(self: Any) -> None:
        """What was put off is not done if the interaction fails."""

        async def put_off_and_fail(cursor: ICursor) -> None:
            await put_off(cursor, "pear")
            raise Spoilt

        self.failure_of(self.database.transact(put_off_and_fail), Spoilt)
        self.transact(put_off, "plum")
        assert self.names() == ["apple", "plum"]

    def test_later_is_refused(self: Any) -> None:
        """If the database refuses what was put off, all of the transaction fails."""
        self.failure_of(self.database.transact(put_off, "pear", "apple", "plum"), Exception)
        assert self.names() == ["apple"]

    def test_later_may_find_something(self: Any) -> None:
        """A statement whose outcome nobody needs may be a query; the next one has its own rows."""

        async def look_without_seeing(cursor: ICursor) -> Any:
            await cursor.later(SELECT + " FOR UPDATE", "apple")
            await cursor.later(UPDATE, "apple")
            return await cursor.rows(COUNT, "apple")

        assert self.transact(look_without_seeing) == [(2,)]

    def test_expect_what_is_there(self: Any) -> None:
        """Whatever statement is expected to find something: if it does, all goes on."""
        expected = [
            (SELECT, "apple"),
            (SELECT + " FOR SHARE", "apple"),
            (SELECT + " FOR UPDATE OF fruit", "apple"),
            (UPDATE, "apple"),
            (INSERT + " RETURNING count", "pear", 7),
            (UPSERT, "plum", 7),
            (SELECT, "plum"),
            (DELETE, "pear"),
        ]
        assert self.transact(expect_all, expected) == 1
        found = [("apple", 2), ("early", 1), ("late", 1), ("plum", 7)]
        assert self.result_of(self.database.read(all_fruit)) == found

    def test_expect_what_is_missing(self: Any) -> None:
        """Whatever statement finds nothing: what was to be raised is, and nothing was done."""
        for statement in (
            (SELECT, "pear"),
            (SELECT + " FOR SHARE OF fruit", "pear"),
            (UPDATE, "pear"),
            (DELETE, "pear"),
            (UPSERT, "apple", 7),
        ):
            told = self.failure_of(self.database.transact(expect_all, [statement]), Missing)
            assert told.args == (0,)
            told = self.failure_of(self.database.transact(only_expect, *statement), Missing)
            assert told.args == ("alone",)
            assert self.result_of(self.database.read(all_fruit)) == [("apple", 1)]

    def test_expect_nothing_that_is_null(self: Any) -> None:
        """A row is a row, whatever is in it."""
        self.transact(only_expect, "SELECT NULL FROM fruit")
        self.transact(only_expect, "SELECT false FROM fruit")
        self.transact(only_expect, "SELECT name, count FROM fruit")

    def test_expect_several(self: Any) -> None:
        """The first that finds nothing says what is raised, wherever it is among others."""
        for missing in range(12):
            statements = [(SELECT, "apple" if number < missing else "pear") for number in range(12)]
            told = self.failure_of(self.database.transact(expect_all, statements), Missing)
            assert told.args == (missing,)
        assert self.names() == ["apple"]

    def test_expect_in_between(self: Any) -> None:
        """What is expected may be so because of what was done before, and the other way round."""

        async def expect_again(cursor: ICursor) -> None:
            await cursor.expect(Missing("before"), DELETE, "apple")
            assert await count_fruit(cursor) == 0
            await add_fruit(cursor, "pear")
            await cursor.expect(Missing("pear"), SELECT, "pear")
            assert await count_fruit(cursor) == 1
            await cursor.expect(Missing("apple"), SELECT, "apple")
            await cursor.expect(Missing("plum"), SELECT, "plum")

        told = self.failure_of(self.database.transact(expect_again), Missing)
        assert told.args == ("apple",)
        assert self.names() == ["apple"]

    def test_expect_and_then_a_violation(self: Any) -> None:
        """The first that goes wrong says what is raised: the expectation, or the database."""
        violating = (INSERT + " RETURNING name", "apple", 1)
        for statements in (
            [(SELECT, "apple"), violating],
            [(SELECT, "apple"), violating, (SELECT, "pear")],
        ):
            told = self.failure_of(self.database.transact(expect_all, statements), Exception)
            assert not isinstance(told, Missing)
        told = self.failure_of(
            self.database.transact(expect_all, [(SELECT, "pear"), violating]), Missing
        )
        assert told.args == (0,)
        assert self.names() == ["apple"]

    def test_expect_and_then_a_failure(self: Any) -> None:
        """An interaction that fails by itself has done nothing, whatever it expected."""

        async def expect_and_fail(cursor: ICursor) -> None:
            await cursor.expect(Missing(), DELETE, "apple")
            raise Spoilt

        self.failure_of(self.database.transact(expect_and_fail), Spoilt)
        assert self.names() == ["apple"]

    def test_answer(self: Any) -> None:
        """The last query finds what was done before it, and that is committed."""
        found = self.transact(
            expect_and_answer, (DELETE, "apple"), ("SELECT name, count FROM fruit",)
        )
        assert found == [("early", 1)]
        assert self.names() == ["early"]

    def test_answer_of_a_change(self: Any) -> None:
        """The last query may be a change that tells something."""
        assert self.transact(expect_and_answer, (SELECT, "apple"), (DELETE, "apple")) == [
            ("apple",)
        ]
        assert self.names() == ["early"]

    def test_answer_of_nothing(self: Any) -> None:
        """The last query may find nothing; what was before it is committed all the same."""
        assert self.transact(expect_and_answer, (SELECT, "apple"), (SELECT, "pear")) == []
        assert self.names() == ["apple", "early"]

    def test_answer_alone(self: Any) -> None:
        """The last query may be the only one, or come after others that were waited for."""

        async def ask(cursor: ICursor) -> Any:
            return await cursor.answer(SELECT, "apple")

        async def look_and_ask(cursor: ICursor) -> Any:
            await add_fruit(cursor, "pear")
            assert await count_fruit(cursor) == 2
            return await cursor.answer(SELECT, "pear")

        assert self.transact(ask) == [("apple",)]
        assert self.transact(look_and_ask) == [("pear",)]
        assert self.names() == ["apple", "pear"]

    def test_answer_without_what_was_expected(self: Any) -> None:
        """There is no answer if what was expected before it is missing, and nothing was done."""
        told = self.failure_of(
            self.database.transact(expect_and_answer, (SELECT, "pear"), (DELETE, "apple")), Missing
        )
        assert told.args == ("answer",)
        assert self.names() == ["apple"]

    def test_answer_that_is_refused(self: Any) -> None:
        """If the database refuses the last query, nothing was done."""
        self.failure_of(
            self.database.transact(
                expect_and_answer, (DELETE, "apple"), ("SELECT name FROM vegetable",)
            ),
            Exception,
        )
        assert self.names() == ["apple"]

    def test_awkward_texts(self: Any) -> None:
        """Whatever is in a text, it comes back as it went, by every kind of statement."""

        async def keep(cursor: ICursor, text: str) -> list[Any]:
            await cursor.later(INSERT, text, 1)
            await cursor.expect(Missing(text), UPDATE, text)
            await cursor.change("UPDATE fruit SET count = ? WHERE name = ?", 3, text)
            [(found,)] = await cursor.rows(SELECT, text)
            [(more,)] = await cursor.answer(SELECT, text)
            return [found, more]

        for text in AWKWARD:
            assert self.transact(keep, text) == [text, text]
        assert sorted(self.names()) == sorted(["apple", *AWKWARD])

    def test_signs_in_a_statement(self: Any) -> None:
        """Signs that mean something elsewhere mean in a statement what they mean in SQL."""

        async def look(cursor: ICursor) -> Any:
            await cursor.expect(Missing("like"), "SELECT name FROM fruit WHERE name LIKE 'a%'")
            await cursor.later(INSERT, "100%", 1)
            return await cursor.answer(
                "SELECT name FROM fruit WHERE name LIKE '%\\%' ESCAPE '\\' AND count % 2 = ?", 1
            )

        assert self.transact(look) == [("100%",)]

    def test_read_asks_once(self: Any) -> None:
        """
        An interaction that only reads and asks a second time is a mistake: it might see two states
        of the database.
        """

        async def expect_then_ask(cursor: ICursor) -> None:
            await cursor.expect(Missing(), SELECT, "apple")
            await cursor.answer(SELECT, "apple")

        async def ask_twice(cursor: ICursor) -> None:
            await count_fruit(cursor)
            await count_fruit(cursor)

        for interaction in (ask_twice, expect_then_ask):
            self.failure_of(self.database.read(interaction), RuntimeError)
        assert self.names() == ["apple"]

    def test_read_expects(self: Any) -> None:
        """An interaction that only reads may expect something, if that is all it asks."""
        self.result_of(self.database.read(only_expect, SELECT, "apple"))
        told = self.failure_of(self.database.read(only_expect, SELECT, "pear"), Missing)
        assert told.args == ("alone",)

    def test_read_puts_nothing_off(self: Any) -> None:
        """An interaction that only reads changes nothing, by whatever kind of statement."""

        async def ask(cursor: ICursor, statement: str, *parameters: object) -> None:
            await cursor.answer(statement, *parameters)

        for work in (
            self.database.read(put_off, "pear"),
            self.database.read(only_expect, DELETE, "apple"),
            self.database.read(ask, DELETE, "apple"),
        ):
            self.failure_of(work, Exception)
        assert self.names() == ["apple"]
