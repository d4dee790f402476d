"""
The file of one upload session while it is written: batches go to a thread that writes and hashes.

Both release the interpreter's lock, so the reactor goes on meanwhile. The offset is the length of
the file and nothing else; the hash of its bytes is a convenience that can be had again by reading
them.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from attrs import Factory, define, field
from twisted.internet.defer import Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IConsumer, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from ociregd.errors import (
    BlobUploadInvalid,
    BlobUploadUnknown,
    RangeNotSatisfiable,
    StorageFull,
)
from ociregd.interfaces import IUpload
from ociregd.oci.digest import Digest, Hasher
from ociregd.storage.refusals import refusing
from ociregd.threads import Lane

#: Pause the producer when this much waits for the thread. With what one read of a socket brings on
#: top, it is what an upload costs in memory, whatever its size.
HIGH_WATER_BYTES = 1024 * 1024

#: Chunks smaller than this are joined, so that a body cut into single bytes costs no more memory.
SMALL_BYTES = 4096

READ_BYTES = 1024 * 1024

#: What is hashed again in one job, at some GB per second.
CATCH_UP_BYTES = 64 * 1024 * 1024

#: Room on the file system that uploads do not take. To end an upload, or to delete anything, the
#: database needs some: without it a full disk would stay full for good. Threads that write at the
#: same moment may take a batch each out of it.
RESERVE_BYTES = 64 * 1024 * 1024

#: On a small file system, a smaller part is left.
RESERVE_PERCENT = 5


def lock_file(path: str) -> tuple[int, int]:
    """
    Open and lock the file of a session; runs in a thread.

    The lock is the system's: it ends with the process, and other processes on this storage heed it.

    @return: the file descriptor and the length of the file.
    @raise RangeNotSatisfiable: if somebody holds the lock.
    @raise BlobUploadUnknown: if there is no such file.
    """
    try:
        with refusing():
            fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        raise BlobUploadUnknown("begin a new upload") from None
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        # Whoever held the lock before may have ended the session since we opened the file.
        os.stat(path)
    except BlockingIOError:
        offset = os.fstat(fd).st_size
        os.close(fd)
        raise RangeNotSatisfiable(
            "another request is writing to this upload; wait for it to end", offset
        ) from None
    except FileNotFoundError:
        os.close(fd)
        raise BlobUploadUnknown("begin a new upload") from None
    return fd, os.fstat(fd).st_size


def check_room(system: os.statvfs_result, count: int) -> None:
    """
    @raise StorageFull: if less than the reserve remained on a file system with C{count} more bytes.
    """
    # Some network file systems do not say how large they are; they refuse by themselves.
    if system.f_blocks:
        reserve = min(RESERVE_BYTES, system.f_blocks * system.f_frsize * RESERVE_PERCENT // 100)
        if system.f_bavail * system.f_frsize - count < reserve:
            raise StorageFull("the registry's storage is full (the rest is kept in reserve)")


def is_published(fd: int, path: Path) -> bool:
    """
    Whether the locked file of the session at C{path} is a blob's too, whose bytes never change.

    Only who holds the lock gives a file another name, but the session's own may go at any moment:
    its commit has come to its end since we opened the file, and the one that is left is the blob's;
    or the session was cancelled, and none is left.
    """
    # In this order: a path is never made again, so if it is there now, it was one of those links.
    # If it is not, it may have gone only after they were counted.
    links = os.fstat(fd).st_nlink
    return links > 1 or (links == 1 and not path.exists() and os.fstat(fd).st_nlink == 1)


def check_unpublished(fd: int, path: Path) -> None:
    """
    @raise BlobUploadInvalid: if the bytes are a blob's by now, which never change.
    """
    if is_published(fd, path):
        raise BlobUploadInvalid("these bytes wait to be committed; do that, or begin a new upload")


@define
class HashState:
    """
    The hash of the first C{offset} bytes of a session.

    It is remembered from request to request, and other processes write to the session in between.
    It stays right since those bytes never change: a session loses bytes only from its end, and only
    those of the very request that takes them back; or it loses its file, which is never made again.
    """

    hasher: Hasher
    offset: int = 0

    def catch_up(self, fd: int) -> bool:
        """
        Read what the file has beyond, up to a limit; runs in a thread.

        @return: whether there may be more.
        """
        stop = self.offset + CATCH_UP_BYTES
        while self.offset < stop:
            data = os.pread(fd, READ_BYTES, self.offset)
            if not data:
                return False
            self.hasher.update(data)
            self.offset += len(data)
        return True


@implementer(IUpload, IConsumer)
@define(eq=False)
class DiskUpload:
    """
    An open, locked upload session. See L{IUpload} for what each method promises.

    @ivar _start: how many bytes there were before; they are not ours to take back.
    @ivar _state: the running hash; behind the file when another process wrote to it.
    @ivar _queued: chunks that wait for the thread; C{_queued_bytes} also counts what it holds.
    """

    _fd: int
    _path: Path
    offset: int
    _state: HashState
    _lane: Lane
    _publish: Callable[[int, Digest, int], None]
    _closed: Callable[[HashState], None]
    _start: int = field(default=Factory(lambda self: self.offset, takes_self=True), init=False)
    _queued: list[bytes | bytearray] = field(factory=list, init=False)
    _queued_bytes: int = field(default=0, init=False)
    _writing: bool = field(default=False, init=False)
    _failure: Failure | None = field(default=None, init=False)
    _producer: IPushProducer | None = field(default=None, init=False)
    _paused: bool = field(default=False, init=False)
    _flushed: Deferred[int] | None = field(default=None, init=False)
    _open: bool = field(default=True, init=False)

    @property
    def modified(self) -> float:
        return os.fstat(self._fd).st_mtime

    @property
    def published(self) -> bool:
        # Not in a thread: the system has what belongs to an open file at hand (measured: 4 us).
        return is_published(self._fd, self._path)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        if not streaming:
            raise RuntimeError("only push producers can be paused")
        self._producer, self._paused = producer, False

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        if self._failure is not None or not self._open:
            return
        if self._queued and len(data) < SMALL_BYTES:
            last = self._queued[-1]
            if len(last) >= SMALL_BYTES or not isinstance(last, bytearray):
                self._queued.append(last := bytearray())
            last += data
        else:
            self._queued.append(data)
        self._queued_bytes += len(data)
        if not self._writing:
            self._next_batch()
        if self._queued_bytes >= HIGH_WATER_BYTES and not self._paused and self._producer:
            self._paused = True
            self._producer.pauseProducing()

    def flushed(self) -> Deferred[int]:
        if self._failure is not None:
            return fail(self._failure)
        if not self._writing:
            return succeed(self.offset)
        self._flushed = Deferred()
        return self._flushed

    async def digest(self, algorithm: str) -> Digest:
        if algorithm != self._state.hasher.algorithm:
            self._state = HashState(Hasher(algorithm))
        # Step by step: others need the threads too, and a client that goes ends it in between.
        while await self._lane.run(self._state.catch_up, self._fd):
            pass
        return self._state.hasher.digest()

    async def take_back(self) -> None:
        if self.offset != self._start:
            await self._lane.run(self._cut)

    async def drop(self) -> None:
        await self._lane.run(self._unlink)
        # Only then the system gives the room to others.
        await self.close()

    async def publish(self, digest: Digest, generation: int) -> None:
        await self._lane.run(self._publish, self._fd, digest, generation)

    async def close(self) -> None:
        if self._open:
            self._open = False
            # What came before the client went away is kept: it may resume behind that.
            await DeferredList([self.flushed()], consumeErrors=True)
            # In the thread, since closing the last descriptor of a large removed file takes its
            # time.
            await self._lane.run(os.close, self._fd)
            self._closed(self._state)

    def _next_batch(self) -> None:
        batch, self._queued = self._queued, []
        self._writing = True
        self._lane.run(self._append, batch).addCallbacks(self._appended, self._failed)

    def _cut(self) -> None:
        """In the thread, where it happens even if nobody waits for it any more."""
        check_unpublished(self._fd, self._path)
        with refusing():
            os.ftruncate(self._fd, self._start)
        self._state = HashState(Hasher(self._state.hasher.algorithm))
        self.offset = self._start

    def _unlink(self) -> None:
        """In the thread. Not by cutting: other processes have hashes of these bytes."""
        check_unpublished(self._fd, self._path)
        with refusing():
            self._path.unlink(missing_ok=True)

    def _append(self, batch: list[bytes | bytearray]) -> int:
        """In the thread: write and hash; returns how many bytes there were."""
        check_unpublished(self._fd, self._path)
        # The batch as a whole: a client that goes on later does not mind where it was cut.
        check_room(os.fstatvfs(self._fd), sum(map(len, batch)))
        start, state = self.offset, self._state
        while state.offset < start:
            state.catch_up(self._fd)
        for chunk in batch:
            rest = memoryview(chunk)
            while rest:
                with refusing():
                    written = os.pwrite(self._fd, rest, self.offset)
                state.hasher.update(rest[:written])
                self.offset += written
                state.offset = self.offset
                rest = rest[written:]
        return self.offset - start

    def _appended(self, count: int) -> None:
        self._queued_bytes -= count
        if self._queued:
            self._next_batch()
        else:
            self._writing = False
            if self._flushed is not None:
                flushed, self._flushed = self._flushed, None
                flushed.callback(self.offset)
        if self._paused and self._queued_bytes < HIGH_WATER_BYTES and self._producer:
            self._paused = False
            self._producer.resumeProducing()

    def _failed(self, failure: Failure) -> None:
        # The first error is the one that counts: nothing more is written after it.
        self._failure, self._writing = failure, False
        self._queued, self._queued_bytes = [], 0
        if self._producer is not None:
            self._producer.stopProducing()
        if self._flushed is not None:
            flushed, self._flushed = self._flushed, None
            flushed.errback(failure)
