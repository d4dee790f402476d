"""
Upload sessions in SQL.

A session that has ended keeps its row until its file is gone for certain, or a crash between the
two would leave the file for ever. It belongs to no repository then, so nobody finds it.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import BlobUploadUnknown
from ociregd.interfaces import IUploadRecords
from ociregd.oci.names import RepositoryName
from ociregd.transactions import ICursor, IDatabase
from ociregd.values import IdleUpload

#: When an ended session was last used: before all others.
ENDED = -1.0


async def start(cursor: ICursor, session_id: str, name: RepositoryName, now: float) -> None:
    await cursor.later(
        "INSERT INTO upload (session_id, repository, started, touched) VALUES (?, ?, ?, ?)",
        session_id,
        str(name),
        now,
        now,
    )


async def check(cursor: ICursor, session_id: str, name: RepositoryName) -> None:
    await cursor.expect(
        BlobUploadUnknown("begin a new upload"),
        "SELECT session_id FROM upload WHERE session_id = ? AND repository = ?",
        session_id,
        str(name),
    )


async def touch(cursor: ICursor, session_id: str, now: float) -> None:
    await cursor.later(
        "UPDATE upload SET touched = ? WHERE session_id = ? AND touched <> ?",
        now,
        session_id,
        ENDED,
    )


async def end(cursor: ICursor, session_id: str, name: RepositoryName) -> None:
    await cursor.expect(
        BlobUploadUnknown("the upload was committed, cancelled or expired; begin a new one"),
        "UPDATE upload SET repository = '', touched = ?"
        " WHERE session_id = ? AND repository = ? RETURNING session_id",
        ENDED,
        session_id,
        str(name),
    )


async def idle(cursor: ICursor, before: float, count: int) -> Sequence[IdleUpload]:
    found = await cursor.rows(
        "SELECT session_id, touched FROM upload WHERE touched < ? ORDER BY touched LIMIT ?",
        before,
        count,
    )
    return [IdleUpload(session_id, touched == ENDED) for session_id, touched in found]


async def expire(cursor: ICursor, session_id: str, before: float) -> bool:
    return bool(
        await cursor.answer(
            "UPDATE upload SET repository = '', touched = ?"
            " WHERE session_id = ? AND touched < ? AND touched <> ? RETURNING session_id",
            ENDED,
            session_id,
            before,
            ENDED,
        )
    )


async def forget(cursor: ICursor, session_ids: Sequence[str]) -> None:
    for session_id in sorted(session_ids):
        await cursor.later(
            "DELETE FROM upload WHERE session_id = ? AND touched = ?", session_id, ENDED
        )


@implementer(IUploadRecords)
@frozen
class UploadRecords:
    """See L{IUploadRecords}."""

    _database: IDatabase

    async def start(self, session_id: str, name: RepositoryName, now: float) -> None:
        await self._database.transact(start, session_id, name, now)

    async def check(self, session_id: str, name: RepositoryName) -> None:
        await self._database.read(check, session_id, name)

    async def touch(self, session_id: str, now: float) -> None:
        await self._database.transact(touch, session_id, now)

    async def end(self, session_id: str, name: RepositoryName) -> None:
        await self._database.transact(end, session_id, name)

    async def idle(self, before: float, count: int) -> Sequence[IdleUpload]:
        return await self._database.read(idle, before, count)

    async def expire(self, session_id: str, before: float) -> bool:
        return await self._database.transact(expire, session_id, before)

    async def forget(self, session_ids: Sequence[str]) -> None:
        await self._database.transact(forget, session_ids)
