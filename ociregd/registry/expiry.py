"""
The expiry of idle upload sessions, swept at intervals beside the HTTP service.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from attrs import define, field
from twisted.logger import Logger

from ociregd.errors import BlobUploadUnknown, RegistryError, StorageFull
from ociregd.interfaces import IUpload, IUploads, Records, WallClock
from ociregd.registry.uploads import gives_room
from ociregd.values import IdleUpload

#: Sessions that one query brings.
BATCH = 100


@define
class UploadExpiry:
    """
    Ends sessions that nobody has used for C{lifetime_seconds}.

    @ivar _stayed: the sessions that the present sweep has looked at and that are still there.
    @ivar _full: how many of them stayed because the storage is full.
    """

    _uploads: IUploads
    _records: Records
    _now: WallClock
    _lifetime_seconds: float
    _stopping: bool = field(default=False, init=False)
    _stayed: set[str] = field(factory=set, init=False)
    _full: int = field(default=0, init=False)
    _log: ClassVar[Logger] = Logger()

    async def sweep(self) -> None:
        """
        Expire every idle session.

        Never fails: a looping call that fails once never runs again.
        """
        self._stopping = False
        try:
            count = await self.expire()
        except RegistryError as problem:
            self._log.warn("upload expiry ended early: {problem}", problem=problem)
        except Exception:
            self._log.failure("upload expiry failed; it will be tried again at the next sweep")
        else:
            if count:
                self._log.info("expired {count} idle uploads", count=count)
            if self._full:
                self._log.warn(
                    "the storage is full: {count} uploads stay until the next sweep",
                    count=self._full,
                )

    def stop(self) -> None:
        """Let the sweep that is under way end after the session that it is at."""
        self._stopping = True

    async def expire(self) -> int:
        """
        Expire every idle session, and return how many there were. What is left of those that ended
        in another way goes too.
        """
        now, count = self._now(), 0
        self._stayed, self._full = set(), 0
        while not self._stopping and (batch := await self._next_batch(now)):
            gone = []
            for upload in batch:
                if self._stopping:
                    break
                self._stayed.add(upload.session_id)
                if upload.ended or await self._ended(upload.session_id, now):
                    count += not upload.ended
                    if await self._removed(upload.session_id):
                        gone.append(upload.session_id)
            await self._forget(gone)
        return count

    async def _next_batch(self, now: float) -> Sequence[IdleUpload]:
        """Sessions that this sweep has not looked at."""
        found = await self._idle(now - self._lifetime_seconds)
        return [upload for upload in found if upload.session_id not in self._stayed]

    async def _idle(self, before: float) -> Sequence[IdleUpload]:
        # Those that stayed are the first to be found again, and must not hide the others.
        return await self._records.uploads.idle(before, BATCH + len(self._stayed))

    async def _ended(self, session_id: str, now: float) -> bool:
        """
        End a session, unless a request is writing to it: however long that takes, it is not idle.
        """
        try:
            return await self._end(session_id, now)
        except StorageFull:
            self._full += 1
            return False

    async def _end(self, session_id: str, now: float) -> bool:
        before, records = now - self._lifetime_seconds, self._records.uploads
        try:
            upload = await self._uploads.open(session_id, None)
        except BlobUploadUnknown:
            # A crash came between the row and its file.
            return await records.expire(session_id, before)
        except RegistryError:
            # It passes: somebody writes to it, which its file will tell, or the sweep of another
            # process looks at it. To touch it here could keep it for ever, as if that were a use.
            return False
        except Exception:
            # A broken file must not keep the others; it gets its turn a lifetime later.
            self._log.failure("upload {session_id} does not expire", session_id=session_id)
            await records.touch(session_id, now)
            return False
        try:
            if upload.modified >= before:
                # That is not noted with every request, but seen here, however the last one ended.
                await records.touch(session_id, upload.modified)
                return False
            return await self._expired(session_id, upload, before)
        finally:
            await upload.close()

    async def _expired(self, session_id: str, upload: IUpload, before: float) -> bool:
        """End a session that we hold open, even if there is no room to note it."""
        records = self._records.uploads
        try:
            return await records.expire(session_id, before)
        except StorageFull:
            # The database needs room to note the end, and these bytes may be all there is. Nobody
            # writes while we hold them, but somebody may have done so since they were found.
            if not (gives_room(upload) and await self._is_idle(session_id, before)):
                raise
            await upload.drop()
            return await records.expire(session_id, before)

    async def _is_idle(self, session_id: str, before: float) -> bool:
        return any(upload.session_id == session_id for upload in await self._idle(before))

    async def _forget(self, gone: Sequence[str]) -> None:
        """Drop the rows of sessions whose files are gone, now or in the next sweep."""
        try:
            await self._records.uploads.forget(gone)
        except StorageFull:
            self._full += len(gone)
        else:
            self._stayed.difference_update(gone)

    async def _removed(self, session_id: str) -> bool:
        """Remove the file of an ended session; one that stays is for the next sweep."""
        try:
            await self._uploads.remove(session_id)
        except StorageFull:
            # Where a file system writes anew what it changes, even removing takes room.
            self._full += 1
            return False
        except (RegistryError, OSError):
            self._log.failure("the file of upload {session_id} stays", session_id=session_id)
            return False
        return True
