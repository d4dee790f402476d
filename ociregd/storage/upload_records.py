"""
Upload sessions in SQL.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import BlobUploadUnknown
from ociregd.interfaces import ICursor, IDatabase, IUploadRecords
from ociregd.oci.names import RepositoryName


async def start(cursor: ICursor, session_id: str, name: RepositoryName, now: float) -> None:
    await cursor.change(
        "INSERT INTO upload (session_id, repository, started, touched) VALUES (?, ?, ?, ?)",
        session_id,
        str(name),
        now,
        now,
    )


async def touched(cursor: ICursor, session_id: str, name: RepositoryName) -> float:
    found = await cursor.rows(
        "SELECT touched FROM upload WHERE session_id = ? AND repository = ?", session_id, str(name)
    )
    if not found:
        raise BlobUploadUnknown("begin a new upload")
    return float(found[0][0])


async def touch(cursor: ICursor, session_id: str, now: float) -> None:
    await cursor.change("UPDATE upload SET touched = ? WHERE session_id = ?", now, session_id)


async def end(cursor: ICursor, session_id: str, name: RepositoryName) -> None:
    if not await cursor.change(
        "DELETE FROM upload WHERE session_id = ? AND repository = ?", session_id, str(name)
    ):
        raise BlobUploadUnknown("there is nothing to cancel")


async def idle(cursor: ICursor, before: float, count: int) -> Sequence[str]:
    found = await cursor.rows(
        "SELECT session_id FROM upload WHERE touched < ? ORDER BY touched LIMIT ?", before, count
    )
    return [session_id for (session_id,) in found]


async def expire(cursor: ICursor, session_id: str, before: float) -> bool:
    return bool(
        await cursor.change(
            "DELETE FROM upload WHERE session_id = ? AND touched < ?", session_id, before
        )
    )


@implementer(IUploadRecords)
@frozen
class UploadRecords:
    """See L{IUploadRecords}."""

    _database: IDatabase

    async def start(self, session_id: str, name: RepositoryName, now: float) -> None:
        await self._database.transact(start, session_id, name, now)

    async def touched(self, session_id: str, name: RepositoryName) -> float:
        return await self._database.read(touched, session_id, name)

    async def touch(self, session_id: str, now: float) -> None:
        await self._database.transact(touch, session_id, now)

    async def end(self, session_id: str, name: RepositoryName) -> None:
        await self._database.transact(end, session_id, name)

    async def idle(self, before: float, count: int) -> Sequence[str]:
        return await self._database.read(idle, before, count)

    async def expire(self, session_id: str, before: float) -> bool:
        return await self._database.transact(expire, session_id, before)
