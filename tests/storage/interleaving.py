"""
Two transactions at the same time: one stops before each of its statements in turn, while the other
goes as far as it can.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from zope.interface import implementer

from ociregd.transactions import ICursor, IDatabase, Interaction

#: What is kept of each table, with names instead of numbers, and without times: those are of the
#: transaction that came last, which may be either.
TABLES = {
    "repository": "SELECT name FROM repository",
    "blob": "SELECT digest, size, generation, state FROM blob",
    "repository_blob": "SELECT name, digest FROM repository_blob {named}",
    "manifest": "SELECT name, digest, media_type FROM manifest {named}",
    "reference": "SELECT name, manifest, kind, digest FROM reference {named}",
    "tag": "SELECT repository.name, tag.name, digest FROM tag {named}",
    "upload": "SELECT session_id, repository FROM upload",
    "due": "SELECT name, kind, digest FROM due {named}",
    "trash": "SELECT digest, generation FROM trash",
}

NAMED = "JOIN repository ON repository.id = repository"

State = dict[str, list[tuple[Any, ...]]]


@frozen
class Act:
    """
    A transaction, as something that can be done again and again.
    """

    title: str
    interaction: Interaction[Any]
    arguments: tuple[Any, ...]


@define
class Stop:
    """
    Where a transaction stops once, before one of its statements.

    @ivar left: the statements before it.
    @ivar reached: whether it has come so far.
    """

    left: int
    reached: bool = False
    _going_on: Deferred[None] = field(factory=Deferred, init=False)

    async def passed(self) -> None:
        """Before each statement."""
        self.left -= 1
        if self.left < 0 and not self.reached:
            self.reached = True
            await self._going_on

    def go_on(self) -> None:
        """Let it go on, without another stop."""
        self.reached = True
        self._going_on.callback(None)


@implementer(ICursor)
@frozen
class SteppingCursor:
    """
    Statements that are sent one by one, with time in between.
    """

    _cursor: ICursor
    _passed: Callable[[], Awaitable[None]]

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        await self._passed()
        found: list[tuple[Any, ...]] = await self._cursor.rows(sql, *parameters)
        return found

    async def change(self, sql: str, *parameters: object) -> int:
        await self._passed()
        changed: int = await self._cursor.change(sql, *parameters)
        return changed

    async def later(self, sql: str, *parameters: object) -> None:
        await self.change(sql, *parameters)

    async def expect(self, refusal: Exception, sql: str, *parameters: object) -> None:
        await self._passed()
        await self._cursor.expect(refusal, sql, *parameters)
        # Whatever the next statement would have been sent together with is decided here.
        await self._cursor.rows("SELECT 1")

    async def answer(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.rows(sql, *parameters)


async def stepping(cursor: ICursor, stop: Stop, act: Act) -> None:
    """What an act does, statement by statement."""
    await act.interaction(SteppingCursor(cursor, stop.passed), *act.arguments)
    # Before the commit too.
    await stop.passed()


async def outcome(database: IDatabase, attempts: list[Act], act: Act, stop: Stop | None) -> str:
    """Do it; how it ends, in one word."""

    async def attempted(cursor: ICursor) -> None:
        attempts.append(act)
        if stop is None:
            await act.interaction(cursor, *act.arguments)
        else:
            await stepping(cursor, stop, act)

    try:
        await database.transact(attempted)
    except Exception as refusal:
        return type(refusal).__name__
    return "done"
