"""
The tree of files below the storage root, and nothing else knows it:

    blobs/<algorithm>/<first two>/<encoded>.<generation>    immutable; shared by all repositories
    blobs/.lock                                             held by who makes the directories
    uploads/<session id>                                    append-only; on the same file system

Nothing here lists a directory: the database says what exists.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred
from zope.interface import implementer

from ociregd.errors import BlobUploadUnknown
from ociregd.interfaces import IBlobReader, IBlobStore, InThread, IUpload, IUploads
from ociregd.oci.digest import ALGORITHMS, Digest, Hasher
from ociregd.storage.refusals import refusing
from ociregd.storage.writing import DiskUpload, HashState, is_published, lock_file
from ociregd.threads import Lane, carried_through
from ociregd.values import Blob

#: How many running hashes are remembered between the requests of their sessions. A forgotten one is
#: had again by reading the file.
REMEMBERED_HASHES = 1024

NEW_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def sync_directory(path: Path) -> None:
    """Make the names in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def alone_in(directory: Path) -> Iterator[None]:
    """
    Keep other processes that do the same out of a directory; blocks until they are done.

    With a file of its own, since a network file system locks only what can be written to.
    """
    fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        yield
    finally:
        os.close(fd)


def publish_file(path: Path, fd: int, name: Path) -> None:
    """
    Give the open file of a session its final name as well, durably; blocks.

    In this order and no other: the bytes are on disk, then they have their name, then the directory
    says so. Only after that may the database. A crash between any two leaves a file that nobody
    refers to, and a session that can be committed again.

    @raise BlobUploadUnknown: if the session was cancelled meanwhile.
    """
    with refusing():
        try:
            os.fsync(fd)
        except OSError:
            # The system reports a failed write once and then forgets it: another fsync would
            # succeed over bytes that never reached the disk. So they have to come again, to another
            # session, unless they are a blob's by now: those were synced before, and others rely on
            # them.
            if not is_published(fd, path):
                path.unlink(missing_ok=True)
            raise
        try:
            give_name(path, name)
        except FileNotFoundError:
            raise BlobUploadUnknown("begin a new upload") from None
        sync_directory(name.parent)


def give_name(path: Path, name: Path) -> None:
    """
    Let C{name} be a name of the file C{path} too, whatever had it before.

    Something has it if a crash came before the database knew, or if another commit of the same
    bytes is as far as we are. What a crash has left may have rotted since; ours was read just now.
    """
    try:
        os.link(path, name)
    except FileExistsError:
        spare = spare_name(path)
        spare.unlink(missing_ok=True)
        os.link(path, spare)
        os.replace(spare, name)
        # If both are names of the same file already, replacing does nothing at all.
        spare.unlink(missing_ok=True)


def spare_name(path: Path) -> Path:
    """A second name for the file of a session, on its way to a blob's."""
    return path.with_name(path.name + ".spare")


@define
class Tree:
    """
    Where each file is.
    """

    root: Path

    def blob(self, digest: Digest, generation: int) -> Path:
        encoded = digest.encoded
        return self.root / "blobs" / digest.algorithm / encoded[:2] / f"{encoded}.{generation}"

    def upload(self, session_id: str) -> Path:
        return self.root / "uploads" / session_id

    def prepare(self) -> None:
        """
        Make every directory, durably; blocks, and is done once.

        A directory made in passing would have to be synced in its parent before the first blob in
        it is promised to anybody, by everyone who comes upon it.
        """
        blobs = self.root / "blobs"
        with refusing():
            if not self.root.exists():
                self.root.mkdir(mode=0o750, parents=True, exist_ok=True)
                # Only then: it may be nobody's but its owner's to read.
                sync_directory(self.root.parent)
            for directory in (blobs, self.root / "uploads"):
                directory.mkdir(mode=0o750, exist_ok=True)
        with refusing():
            if not all((blobs / algorithm).exists() for algorithm in ALGORITHMS):
                with alone_in(blobs):
                    self._grow(blobs)
            # Also what others have made, who may not have come so far yet.
            for directory in (blobs, self.root):
                sync_directory(directory)

    def _grow(self, blobs: Path) -> None:
        for algorithm in ALGORITHMS:
            if not (blobs / algorithm).exists():
                growing = blobs / f"{algorithm}.new"
                for first in range(256):
                    (growing / f"{first:02x}").mkdir(mode=0o750, parents=True, exist_ok=True)
                sync_directory(growing)
                growing.rename(blobs / algorithm)

    def check(self) -> None:
        """
        Look whether the tree is there; blocks. One that takes no writes at present is there.

        @raise OSError: if it is not.
        """
        for directory in ("blobs", "uploads"):
            with os.scandir(self.root / directory):
                pass


@implementer(IUploads)
@define
class DiskUploads:
    """
    The files of upload sessions.

    @ivar _hashes: the running hashes of sessions that nobody here has open. Why they stay right
        although other processes write to the sessions is said at L{HashState}.
    """

    _tree: Tree
    _in_thread: InThread
    _hashes: OrderedDict[str, HashState] = field(factory=OrderedDict, init=False)

    async def create(self, session_id: str, algorithm: str) -> None:
        def make() -> None:
            with refusing():
                os.close(os.open(self._tree.upload(session_id), NEW_FILE, 0o640))

        await self._in_thread(make)
        self._remember(session_id, HashState(Hasher(algorithm)))

    async def open(self, session_id: str, algorithm: str | None) -> IUpload:
        path = self._tree.upload(session_id)
        fd, offset = await carried_through(
            self._in_thread(lock_file, str(path)), undo=lambda opened: os.close(opened[0])
        )
        state = self._hashes.pop(session_id, None)
        wanted = algorithm or (state.hasher.algorithm if state is not None else "sha256")
        # A hash of more than the file holds is of bytes that somebody has taken back.
        if state is None or state.hasher.algorithm != wanted or state.offset > offset:
            state = HashState(Hasher(wanted))

        def publish(fd: int, digest: Digest, generation: int) -> None:
            publish_file(path, fd, self._tree.blob(digest, generation))

        def closed(final: HashState) -> None:
            self._remember(session_id, final)

        return DiskUpload(fd, path, offset, state, Lane(self._in_thread), publish, closed)

    async def offset(self, session_id: str) -> int:
        def length() -> int:
            try:
                return self._tree.upload(session_id).stat().st_size
            except FileNotFoundError:
                raise BlobUploadUnknown("begin a new upload") from None

        return int(await self._in_thread(length))

    def _remember(self, session_id: str, state: HashState) -> None:
        self._hashes[session_id] = state
        if len(self._hashes) > REMEMBERED_HASHES:
            self._hashes.popitem(last=False)

    async def remove(self, session_id: str) -> None:
        self._hashes.pop(session_id, None)

        def unlink() -> None:
            with refusing():
                path = self._tree.upload(session_id)
                path.unlink(missing_ok=True)
                # After it, since whoever is publishing can make it only as long as there is a path.
                spare_name(path).unlink(missing_ok=True)

        await self._in_thread(unlink)


@implementer(IBlobReader)
@define
class DiskBlobReader:
    """
    One open file.
    """

    _fd: int
    _lane: Lane
    _open: bool = field(default=True, init=False)

    async def read(self, start: int, count: int) -> bytes:
        data: bytes = await self._lane.run(os.pread, self._fd, count, start)
        return data

    async def send(self, out: int, start: int, count: int) -> int:
        sent: int = await self._lane.run(os.sendfile, out, self._fd, start, count)
        return sent

    def duplicate(self, out: int) -> int:
        with refusing():
            return os.dup(out)

    def release(self, out: int) -> Deferred[None]:
        return self._lane.run(os.close, out)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._lane.run(os.close, self._fd)


@implementer(IBlobStore)
@define
class DiskBlobStore:
    """
    The files of blobs.
    """

    _tree: Tree
    _in_thread: InThread

    async def open(self, blob: Blob) -> IBlobReader:
        path = self._tree.blob(blob.digest, blob.generation)

        def open_whole() -> int:
            with refusing():
                fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
            if (size := os.fstat(fd).st_size) != blob.size:
                os.close(fd)
                raise OSError(errno.EIO, f"has {size} bytes instead of {blob.size}", str(path))
            return fd

        fd = await carried_through(self._in_thread(open_whole), undo=os.close)
        return DiskBlobReader(fd, Lane(self._in_thread))

    async def remove(self, digest: Digest, generation: int) -> None:
        path = self._tree.blob(digest, generation)
        await self._in_thread(lambda: path.unlink(missing_ok=True))
