"""
The expiry of idle upload sessions, swept at intervals beside the HTTP service.
"""

from __future__ import annotations

from typing import ClassVar

from attrs import define
from twisted.logger import Logger

from ociregd.errors import BlobUploadUnknown, RangeNotSatisfiable
from ociregd.interfaces import IUploads, Records, WallClock

#: Sessions that one query brings.
BATCH = 100


@define
class UploadExpiry:
    """
    Ends sessions that nobody has used for C{lifetime_seconds}.
    """

    _uploads: IUploads
    _records: Records
    _now: WallClock
    _lifetime_seconds: float
    _log: ClassVar[Logger] = Logger()

    async def sweep(self) -> None:
        """
        Expire every idle session.

        Never fails: a looping call that fails once never runs again.
        """
        try:
            count = await self.expire()
        except Exception:
            self._log.failure("upload expiry failed; it will be tried again at the next sweep")
        else:
            if count:
                self._log.info("expired {count} idle uploads", count=count)

    async def expire(self) -> int:
        """Expire every idle session, and return how many there were."""
        now = self._now()
        before, count = now - self._lifetime_seconds, 0
        while batch := await self._records.uploads.idle(before, BATCH):
            for session_id in batch:
                try:
                    count += await self._expire(session_id, before, now)
                except Exception:
                    # One broken file must not keep the others; it gets its turn a lifetime later.
                    self._log.failure("upload {session_id} does not expire", session_id=session_id)
                    await self._records.uploads.touch(session_id, now)
        return count

    async def _expire(self, session_id: str, before: float, now: float) -> bool:
        """
        Expire one session, unless a request is writing to it: however long that takes, it is not
        idle.
        """
        try:
            upload = await self._uploads.open(session_id, None)
        except RangeNotSatisfiable:
            await self._records.uploads.touch(session_id, now)
            return False
        except BlobUploadUnknown:
            # A crash came between the row and its file.
            return bool(await self._records.uploads.expire(session_id, before))
        try:
            expired = await self._records.uploads.expire(session_id, before)
        finally:
            await upload.close()
        if expired:
            await self._uploads.remove(session_id)
        return expired
