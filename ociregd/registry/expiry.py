"""
The expiry of idle upload sessions, swept at intervals beside the HTTP service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import define
from twisted.logger import Logger

from ociregd.errors import BlobUploadUnknown, RangeNotSatisfiable, RegistryError
from ociregd.interfaces import IUploads, Records, WallClock
from ociregd.values import IdleUpload

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
        """
        Expire every idle session, and return how many there were. What is left of those that ended
        in another way goes too.
        """
        now, count = self._now(), 0
        seen: set[str] = set()
        while batch := await self._unseen(now - self._lifetime_seconds, seen):
            gone = []
            for upload in batch:
                if upload.ended or await self._ended(upload.session_id, now):
                    count += not upload.ended
                    if await self._removed(upload.session_id):
                        gone.append(upload.session_id)
            await self._records.uploads.forget(gone)
        return count

    async def _unseen(self, before: float, seen: set[str]) -> Sequence[IdleUpload]:
        """The next batch; what could not be dealt with in this sweep is not in it again."""
        found = await self._records.uploads.idle(before, BATCH)
        batch = [upload for upload in found if upload.session_id not in seen]
        seen.update(upload.session_id for upload in batch)
        return batch

    async def _ended(self, session_id: str, now: float) -> bool:
        """
        End a session, unless a request is writing to it: however long that takes, it is not idle.
        """
        before = now - self._lifetime_seconds
        try:
            upload = await self._uploads.open(session_id, None)
        except BlobUploadUnknown:
            # A crash came between the row and its file.
            return await self._records.uploads.expire(session_id, before)
        except Exception as problem:
            if not isinstance(problem, RangeNotSatisfiable):
                # A broken file must not keep the others; it gets its turn a lifetime later.
                self._log.failure("upload {session_id} does not expire", session_id=session_id)
            await self._records.uploads.touch(session_id, now)
            return False
        try:
            return await self._records.uploads.expire(session_id, before)
        finally:
            await upload.close()

    async def _removed(self, session_id: str) -> bool:
        """Remove the file of an ended session; one that stays is for the next sweep."""
        try:
            await self._uploads.remove(session_id)
        except (RegistryError, OSError):
            self._log.failure("the file of upload {session_id} stays", session_id=session_id)
            return False
        return True
