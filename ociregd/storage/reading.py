"""
What an interaction that only reads talks to.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from zope.interface import implementer

from ociregd.transactions import ICursor


@implementer(ICursor)
@define(eq=False)
class ReadingCursor:
    """
    One query. It sees one state of the database by itself, and needs no transaction around it.
    """

    _cursor: ICursor
    _asked: bool = field(default=False, init=False)

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        if self._asked or not sql.startswith(("SELECT ", "WITH ")):
            raise RuntimeError("one query is all that may be read at a time")
        self._asked = True
        found: list[tuple[Any, ...]] = await self._cursor.answer(sql, *parameters)
        return found

    async def change(self, sql: str, *parameters: object) -> int:
        raise RuntimeError("whoever reads may not write")

    async def later(self, sql: str, *parameters: object) -> None:
        await self.change(sql)

    async def expect(self, refusal: Exception, sql: str, *parameters: object) -> None:
        if not await self.rows(sql, *parameters):
            raise refusal

    async def answer(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.rows(sql, *parameters)
