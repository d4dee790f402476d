"""
The seam between what is asked of a database and the engines that answer.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from zope.interface import Interface

T = TypeVar("T")


class ICursor(Interface):
    """
    What an interaction talks to. Parameters are written C{?}.

    Each wait for the database is a round trip, so what need not be waited for is said: L{later} and
    L{expect} may go out with the statement after them, and L{answer} with the commit. A statement
    may end in a locking clause (C{FOR SHARE OF blob}); where there is one writer at a time it is
    left out.
    """

    async def rows(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """Run a query, and return all that it found."""

    async def change(sql: str, *parameters: object) -> int:
        """Run a statement, and return how many rows it changed."""

    async def later(sql: str, *parameters: object) -> None:
        """Run a statement of which nobody needs to know what it did."""

    async def expect(refusal: Exception, sql: str, *parameters: object) -> None:
        """
        Run a query, or a change that is C{RETURNING} something. If it finds nothing, C{refusal} is
        raised: here, by a later statement, or at the end of the interaction.
        """

    async def answer(sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """
        Run the last query of an interaction, and return all that it found; after it there is only
        the commit.
        """


#: A coroutine function over a cursor. It awaits nothing but its cursor, and may be run again.
Interaction = Callable[..., Awaitable[T]]


class IDatabase(Interface):
    """Transactions, whatever the engine."""

    async def transact(interaction: Interaction[T], *args: object) -> T:
        """
        Run C{interaction(cursor, *args)} in a transaction that is durable once this returns.

        Each statement sees what was committed before it began. Whatever the interaction raises
        rolls it back, and is raised.

        @raise StorageFull: if there is no room for it.
        @raise StorageReadOnly: if the database takes no writes.
        @raise Unavailable: if the database does not answer. If it stopped to answer at the very
            end, the transaction may have been done.
        """

    async def read(interaction: Interaction[T], *args: object) -> T:
        """
        Run C{interaction(cursor, *args)}, which makes one query and may not write.

        @raise Unavailable: if the database does not answer.
        """
