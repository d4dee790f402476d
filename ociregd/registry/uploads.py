"""
Upload sessions: begun, appended to, and committed as a blob, cancelled, or expired.

The offset of a session is the length of its file. A refused request leaves it where it was; bytes
that arrived before a client went away are kept, since it may resume behind them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from twisted.logger import Logger
from zope.interface import implementer

from ociregd.errors import (
    BlobUploadUnknown,
    DigestInvalid,
    Overtaken,
    RangeNotSatisfiable,
    RegistryError,
    SizeInvalid,
    StorageFull,
)
from ociregd.interfaces import IBody, IUpload
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName
from ociregd.threads import carried_through
from ociregd.values import Standing

if TYPE_CHECKING:
    from ociregd.registry.repository import Registry

SESSION_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@frozen
class Chunk:
    """
    Which bytes of the blob a request says that it carries: from C{start} to before C{stop}.
    """

    start: int
    stop: int


@implementer(IConsumer)
class Dropped:
    """
    Takes bytes that nobody needs, as fast as they come.
    """

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """It is never told to pause."""

    def unregisterProducer(self) -> None:
        """See L{registerProducer}."""

    def write(self, data: bytes) -> None:
        """They are there already."""


@frozen
class Uploads:
    """
    The upload sessions of a repository.
    """

    _registry: Registry
    _name: RepositoryName
    _log: ClassVar[Logger] = Logger()

    async def start(self, algorithm: str = "sha256") -> str:
        """
        Begin a session, and return its id.

        @param algorithm: what the digest will probably be of: it is computed as the bytes arrive.
        """
        session_id = str(uuid4())
        await self._registry.records.uploads.start(session_id, self._name, self._registry.now())
        await self._create(session_id, algorithm)
        return session_id

    async def start_for(self, digest: Digest) -> tuple[str, Standing]:
        """
        Begin a session for bytes that are all about to come, and return its id and what its
        L{commit} needs.
        """
        session_id, now = str(uuid4()), self._registry.now()
        standing = await self._registry.records.blobs.begin(session_id, self._name, digest, now)
        await self._create(session_id, digest.algorithm)
        return session_id, standing

    async def _create(self, session_id: str, algorithm: str) -> None:
        try:
            await self._registry.uploads.create(session_id, algorithm)
        except (RegistryError, OSError):
            # A refusal leaves nothing behind.
            await self._registry.records.uploads.end(session_id, self._name)
            raise

    async def offset(self, session_id: str) -> int:
        """
        How many bytes the session holds.

        @raise BlobUploadUnknown: if there is no such session.
        """
        await self._check(session_id)
        return await self._registry.uploads.offset(session_id)

    async def append(self, session_id: str, body: IBody, chunk: Chunk | None = None) -> int:
        """
        Add a body to the session, and return the offset after it.

        @param chunk: where the body belongs; behind what is there, if it does not say.
        @raise BlobUploadUnknown: if there is no such session.
        @raise RangeNotSatisfiable: if the chunk begins elsewhere, or another request is writing.
        @raise SizeInvalid: if the body has another length than the chunk.
        """
        upload = await self._open(session_id)
        try:
            offset = await receive(upload, body, chunk)
            try:
                # It may have been cancelled meanwhile.
                await self._check(session_id)
            except RegistryError:
                # So that the same request can be sent again, if it is the database that is away.
                await upload.take_back()
                raise
        finally:
            await carried_through(Deferred.fromCoroutine(upload.close()))
        return offset

    async def commit(
        self,
        session_id: str,
        digest: Digest,
        body: IBody,
        chunk: Chunk | None = None,
        standing: Standing | None = None,
    ) -> None:
        """
        Add a last body, perhaps an empty one, and make all bytes a blob of this repository,
        durably.

        A commit that failed in its last step, at the database, may be repeated as it was: the body
        is not added again.

        @param standing: what L{start_for} has told; it is asked for, if that was not used.
        @raise BlobUploadUnknown: if there is no such session.
        @raise RangeNotSatisfiable: if the chunk begins elsewhere, or another request is writing.
        @raise SizeInvalid: if the body has another length than the chunk.
        @raise DigestInvalid: if the bytes have another digest; the session is as it was before.
        """
        if standing is None:
            check_session_id(session_id)
            records = self._registry.records.blobs
            standing = await records.continue_(session_id, self._name, digest)
        upload = await self._registry.uploads.open(session_id, digest.algorithm)
        try:
            try:
                if upload.published:
                    await body.deliver_to(Dropped())
                else:
                    await receive(upload, body, chunk)
                actual = await upload.digest(digest.algorithm)
                if actual != digest:
                    raise DigestInvalid(f"the {upload.offset} bytes of the upload have {actual}")
            except (RegistryError, OSError):
                await upload.take_back()
                raise
        except BaseException:
            await carried_through(Deferred.fromCoroutine(upload.close()))
            raise
        # The client may go now, but half a commit helps nobody.
        publishing = self._publish(session_id, upload, digest, standing)
        await carried_through(Deferred.fromCoroutine(publishing))

    async def cancel(self, session_id: str) -> None:
        """
        End the session and forget its bytes.

        @raise BlobUploadUnknown: if there is no such session.
        """
        check_session_id(session_id)
        end = self._registry.records.uploads.end
        try:
            await end(session_id, self._name)
        except StorageFull:
            # The database needs room to note the end, and these bytes may be all there is.
            if not await self._emptied(session_id):
                raise
            await end(session_id, self._name)
        await self._forget(session_id)

    async def abandon(self, session_id: str) -> None:
        """
        End a session that nobody will go on with, at once rather than when it expires; but not if
        its commit is under way, which goes on without its client.
        """
        try:
            upload = await self._open(session_id)
        except (RangeNotSatisfiable, BlobUploadUnknown):
            return
        try:
            if gives_room(upload):
                await upload.drop()
            await self._registry.records.uploads.end(session_id, self._name)
        except BlobUploadUnknown:
            # Its commit came to its end since we looked.
            return
        finally:
            await carried_through(Deferred.fromCoroutine(upload.close()))
        await self._forget(session_id)

    async def _emptied(self, session_id: str) -> bool:
        """
        Drop the bytes of a session that is about to end; whether that made room.
        """
        try:
            upload = await self._open(session_id)
        except RangeNotSatisfiable:
            return False
        try:
            room = gives_room(upload)
            if room:
                await upload.drop()
            return room
        finally:
            await carried_through(Deferred.fromCoroutine(upload.close()))

    async def _publish(
        self, session_id: str, upload: IUpload, digest: Digest, standing: Standing
    ) -> None:
        """Make the bytes of an upload a blob, end the session, and let the upload go."""
        registry, records = self._registry, self._registry.records.blobs
        try:
            while True:
                if not standing.stored:
                    await upload.publish(digest, standing.generation)
                size, lease = upload.offset, registry.lease()
                try:
                    await records.commit(session_id, self._name, digest, size, standing, lease)
                    break
                except (Overtaken, BlobUploadUnknown) as problem:
                    # If our file has a blob's name by now, nobody but the collector would ever find
                    # it.
                    if not standing.stored:
                        await records.discard(digest, size, standing.generation, lease)
                    if isinstance(problem, BlobUploadUnknown):
                        raise
                # The blob that we met was collected, or files of our generation may be by now.
                standing = await records.standing(digest)
        finally:
            await upload.close()
        await self._forget(session_id)

    async def _forget(self, session_id: str) -> None:
        """
        Remove the file of a session that has ended.

        What was asked for is done and committed by now, so a disk that fails here is the operator's
        business: a refusal would tell the client that nothing has changed.
        """
        try:
            await self._registry.uploads.remove(session_id)
        except (RegistryError, OSError):
            self._log.failure("the file of upload {session_id} stays", session_id=session_id)

    async def _open(self, session_id: str) -> IUpload:
        await self._check(session_id)
        return await self._registry.uploads.open(session_id, None)

    async def _check(self, session_id: str) -> None:
        """
        @raise BlobUploadUnknown: if the repository has no such session.
        """
        check_session_id(session_id)
        await self._registry.records.uploads.check(session_id, self._name)


def check_session_id(session_id: str) -> None:
    """
    @raise BlobUploadUnknown: if it cannot be the id of a session.
    """
    if not SESSION_ID.fullmatch(session_id):
        raise BlobUploadUnknown("begin a new upload")


def check_chunk(chunk: Chunk, offset: int) -> None:
    """
    @raise RangeNotSatisfiable: if the chunk does not continue the session.
    """
    if chunk.start != offset or chunk.stop <= chunk.start:
        raise RangeNotSatisfiable(f"the next chunk has to begin at {offset}", offset)


def gives_room(upload: IUpload) -> bool:
    """Whether there would be more room without the bytes of an upload."""
    return upload.offset > 0 and not upload.published


async def receive(upload: IUpload, body: IBody, chunk: Chunk | None) -> int:
    """
    Write a body to an upload, and return the offset after it.

    @raise RangeNotSatisfiable: if the chunk does not continue the session.
    @raise SizeInvalid: if the body has another length than the chunk; it is taken back.
    """
    start = upload.offset
    if chunk is not None:
        check_chunk(chunk, start)
        expected = chunk.stop - chunk.start
        if body.length is not None and body.length != expected:
            raise SizeInvalid(
                f"Content-Range announces {expected} bytes, and Content-Length {body.length}"
            )
    await body.deliver_to(upload)
    offset = await upload.flushed()
    if chunk is not None and offset != chunk.stop:
        await upload.take_back()
        raise SizeInvalid(f"Content-Range announced {expected} bytes, but {offset - start} came")
    return offset
