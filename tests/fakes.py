"""
Stand-ins in memory for what is slow or far away. What they stand for is in L{tests.contracts}, and
they are tested by it like the real ones.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Any

from attrs import Factory, define, field
from twisted.internet.defer import Deferred, execute, fail, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer
from zope.interface import implementer

from ociregd.errors import (
    BlobUploadInvalid,
    BlobUploadUnknown,
    ManifestTooLarge,
    RangeNotSatisfiable,
    RegistryError,
    StorageFull,
    TooManyRequests,
)
from ociregd.interfaces import IBlobReader, IBlobStore, IBody, IUpload, IUploads
from ociregd.oci.digest import Digest, digest_of
from ociregd.values import Blob


@define
class TimeOfDay:
    """
    A clock on a wall that somebody else winds.
    """

    seconds: float = 1_000_000_000.0

    def __call__(self) -> float:
        return self.seconds


@define(eq=False)
class Session:
    """
    The bytes of an upload session.

    @ivar published: the bytes of the blob that was made of it, if there was one.
    @ivar ended: whether it was removed under its writer.
    """

    content: bytearray = field(factory=bytearray)
    published: bytes | None = None
    modified: float = 0.0
    busy: bool = False
    ended: bool = False


@define
class Memory:
    """
    A storage, as long as the test runs.

    @ivar room: how many more bytes there is room for; if it is not said, for all.
    """

    sessions: dict[str, Session] = field(factory=dict)
    blobs: dict[tuple[Digest, int], bytes] = field(factory=dict)
    room: int | None = None
    now: Callable[[], float] = float

    def take(self, data: bytes) -> bytes:
        """As much of C{data} as there is room for, which is less from now on."""
        if self.room is None:
            return data
        fitting = data[: self.room]
        self.room -= len(fitting)
        return fitting


@implementer(IUpload, IConsumer)
@define(eq=False)
class MemoryUpload:
    """
    See L{IUpload}. It stores at once, and therefore never pauses its producer.
    """

    _memory: Memory
    _session: Session
    _start: int = field(default=Factory(lambda self: self.offset, takes_self=True), init=False)
    _failure: RegistryError | None = field(default=None, init=False)
    _producer: Any = field(default=None, init=False)
    _open: bool = field(default=True, init=False)

    @property
    def offset(self) -> int:
        return len(self._session.content)

    @property
    def modified(self) -> float:
        return self._session.modified

    @property
    def published(self) -> bool:
        return any(content is self._session.published for content in self._memory.blobs.values())

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if not streaming:
            raise RuntimeError("only push producers can be paused")
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        if self._failure is not None or not self._open:
            return
        if self.published:
            self._failure = BlobUploadInvalid("these bytes wait to be committed")
        else:
            fitting = self._memory.take(data)
            self._session.modified = self._memory.now()
            self._session.content += fitting
            if len(fitting) < len(data):
                self._failure = StorageFull("the memory of this test is full")
        if self._failure is not None and self._producer is not None:
            self._producer.stopProducing()

    def flushed(self) -> Deferred[int]:
        return fail(self._failure) if self._failure is not None else succeed(self.offset)

    async def digest(self, algorithm: str) -> Digest:
        return digest_of(self._session.content, algorithm)

    async def take_back(self) -> None:
        if self.offset > self._start:
            self._cut(self._start)

    async def drop(self) -> None:
        self._cut(0)
        self._session.ended = True
        sessions = self._memory.sessions
        for session_id in [known for known, one in sessions.items() if one is self._session]:
            del sessions[session_id]
        await self.close()

    def _cut(self, offset: int) -> None:
        if self.published:
            raise BlobUploadInvalid("these bytes wait to be committed")
        if self._memory.room is not None:
            self._memory.room += self.offset - offset
        del self._session.content[offset:]

    async def publish(self, digest: Digest, generation: int) -> None:
        if self._session.ended:
            raise BlobUploadUnknown("begin a new upload")
        if not self.published:
            self._session.published = bytes(self._session.content)
        self._memory.blobs[digest, generation] = self._session.published

    async def close(self) -> None:
        if self._open:
            self._open = self._session.busy = False


@implementer(IUploads)
@define
class MemoryUploads:
    """See L{IUploads}."""

    _memory: Memory

    async def create(self, session_id: str, algorithm: str) -> None:
        self._memory.sessions[session_id] = Session()

    async def open(self, session_id: str, algorithm: str | None) -> IUpload:
        session = self._session(session_id)
        if session.busy:
            raise RangeNotSatisfiable("wait for the other request", len(session.content))
        session.busy = True
        return MemoryUpload(self._memory, session)

    async def offset(self, session_id: str) -> int:
        return len(self._session(session_id).content)

    async def remove(self, session_id: str) -> None:
        session = self._memory.sessions.pop(session_id, None)
        if session is not None:
            session.ended = True

    def _session(self, session_id: str) -> Session:
        try:
            return self._memory.sessions[session_id]
        except KeyError:
            raise BlobUploadUnknown("begin a new upload") from None


@implementer(IBlobReader)
@define(eq=False)
class MemoryBlobReader:
    """See L{IBlobReader}."""

    _content: bytes

    async def read(self, start: int, count: int) -> bytes:
        return self._content[start : start + count]

    def duplicate(self, out: int) -> int:
        return os.dup(out)

    async def send(self, out: int, start: int, count: int) -> int:
        return os.write(out, self._content[start : start + count])

    def release(self, out: int) -> Deferred[None]:
        return execute(os.close, out)

    def close(self) -> None:
        """There is nothing to let go."""


@implementer(IBlobStore)
@define
class MemoryBlobStore:
    """See L{IBlobStore}."""

    _memory: Memory

    async def open(self, blob: Blob) -> IBlobReader:
        content = self._memory.blobs.get((blob.digest, blob.generation))
        if content is None or len(content) != blob.size:
            raise OSError(f"there is no {blob}")
        return MemoryBlobReader(content)

    async def remove(self, digest: Digest, generation: int) -> None:
        self._memory.blobs.pop((digest, generation), None)


@implementer(IBody, IPushProducer)
@define(eq=False)
class ArrivingBody:
    """
    The body of a request whose pieces arrive when the test says so.

    @ivar length: what the request announced.
    """

    length: int | None = None
    paused: bool = field(default=False, init=False)
    stopped: bool = field(default=False, init=False)
    delivered: int = field(default=0, init=False)
    _consumer: Any = field(default=None, init=False)
    _over: Deferred[None] = field(factory=Deferred, init=False)

    async def deliver_to(self, consumer: Any) -> int:
        self._consumer = consumer
        consumer.registerProducer(self, True)
        try:
            await self._over
        finally:
            self._consumer = None
            consumer.unregisterProducer()
        return self.delivered

    async def read(self, limit: int, take: Callable[[int], bool]) -> bytes:
        raise NotImplementedError("tests read a body that is there")

    def arrive(self, data: bytes) -> None:
        """The next piece comes."""
        self.delivered += len(data)
        self._consumer.write(data)

    def end(self) -> None:
        """That was all."""
        self._over.callback(None)

    def pauseProducing(self) -> None:
        self.paused = True

    def resumeProducing(self) -> None:
        self.paused = False

    def stopProducing(self) -> None:
        self.stopped = True
        self.end()


@implementer(IBody, IPushProducer)
@define(eq=False)
class WholeBody:
    """
    The body of a request that is there as a whole, in pieces.

    @ivar length: what the request announced; the truth, unless the test says otherwise.
    """

    _pieces: Sequence[bytes]
    length: int | None = Factory(lambda self: sum(map(len, self._pieces)), takes_self=True)
    stopped: bool = field(default=False, init=False)

    async def deliver_to(self, consumer: Any) -> int:
        delivered = 0
        consumer.registerProducer(self, True)
        for piece in self._pieces:
            if not self.stopped:
                delivered += len(piece)
                consumer.write(piece)
        consumer.unregisterProducer()
        return delivered

    async def read(self, limit: int, take: Callable[[int], bool]) -> bytes:
        content = b"".join(self._pieces)
        if len(content) > limit:
            raise ManifestTooLarge(f"{len(content)} bytes")
        if not take(len(content)):
            raise TooManyRequests("the test says so")
        return content

    def pauseProducing(self) -> None:
        """What is small is not worth a pause."""

    def resumeProducing(self) -> None:
        """See L{pauseProducing}."""

    def stopProducing(self) -> None:
        self.stopped = True


def body(*pieces: bytes, announced: int | None = None) -> WholeBody:
    """A body whose length is announced truthfully, unless C{announced} says another."""
    whole = WholeBody(pieces)
    if announced is not None:
        whole.length = announced
    return whole


def chunked(*pieces: bytes) -> WholeBody:
    """A body whose length is not announced."""
    return WholeBody(pieces, None)
