"""
Tests for L{ociregd.storage.writing}: the flow of bytes, and what stops it.

What an upload does as every upload is in L{tests.contracts}.
"""

from __future__ import annotations

import os
import resource
import signal
import sys
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import Any

import pytest
from twisted.internet.interfaces import IPushProducer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer
from zope.interface.verify import verifyObject

from ociregd.errors import (
    BlobUploadInvalid,
    BlobUploadUnknown,
    RangeNotSatisfiable,
    StorageFull,
)
from ociregd.oci.digest import Digest, Hasher, digest_of
from ociregd.storage.writing import (
    HIGH_WATER_BYTES,
    DiskUpload,
    HashState,
    check_room,
    is_published,
    lock_file,
)
from ociregd.threads import Lane

from ..contracts.files import BOTH, FIRST, flush
from ..workers import AtOnce, OldestFirst
from .places import temporary

CHUNK = bytes(HIGH_WATER_BYTES // 4)


@implementer(IPushProducer)
class Producer:
    """
    A producer that notes what it is told.
    """

    def __init__(self) -> None:
        self.told: list[str] = []

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """Let the system refuse what is written behind C{size}, as it does on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    heard = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, heard)


class UploadCase:
    """
    An upload to a file of its own, with a producer.
    """

    in_thread: Any

    def setUp(self: Any) -> None:
        super().setUp()
        self.path: Path = temporary(self) / "session"
        self.path.touch()
        self.producer = Producer()
        self.upload = self.opened()
        self.upload.registerProducer(self.producer, True)

    def opened(self: Any, path: str | None = None, publish: Any = None) -> Any:
        """An upload that appends to a file."""
        fd, offset = lock_file(path or str(self.path))
        self.final: list[HashState] = []
        state = HashState(Hasher("sha256"))
        lane, name = Lane(self.in_thread), Path(path or self.path)
        upload = DiskUpload(fd, name, offset, state, lane, publish, self.final.append)
        self.addCleanup(self.closed, upload)
        return upload

    def closed(self: Any, upload: Any) -> None:
        """Close an upload."""
        self.result_of(upload.close())


class FlowTests(UploadCase, OldestFirst, SynchronousTestCase):
    """A thread that is slower than the network."""

    def test_the_producer_of_these_tests(self) -> None:
        """The producer is one."""
        assert verifyObject(IPushProducer, self.producer)

    def test_only_who_can_be_paused(self) -> None:
        """A producer that waits to be asked for each piece is refused."""
        self.assertRaises(RuntimeError, self.upload.registerProducer, self.producer, False)

    def test_pauses_at_the_mark(self) -> None:
        """The producer is paused once when as much waits as is allowed, and not before."""
        for _ in range(3):
            self.upload.write(CHUNK)
        assert self.producer.told == []
        self.upload.write(CHUNK)
        self.upload.write(CHUNK)
        assert self.producer.told == ["pause"]

    def test_resumes_below_the_mark(self) -> None:
        """The producer goes on when enough is stored."""
        for _ in range(5):
            self.upload.write(CHUNK)
        # The first chunk went to the thread alone, the others wait together.
        self.later.perform()
        assert self.producer.told == ["pause"]
        self.later.perform()
        assert self.producer.told == ["pause", "resume"]
        assert self.path.stat().st_size == 5 * len(CHUNK)

    def test_pauses_again(self) -> None:
        """
        Each time that too much waits there is a pause, and a resumption each time that it does
        not.
        """
        for _ in range(3):
            self.upload.write(CHUNK * 4)
            self.later.perform_all()
        assert self.producer.told == ["pause", "resume"] * 3

    def test_one_batch_at_a_time(self) -> None:
        """However much waits, one thread writes."""
        for _ in range(10):
            self.upload.write(CHUNK)
            assert self.later.waiting == 1

    def test_small_pieces_are_joined(self) -> None:
        """A body that is cut into tiny pieces costs little more memory than its bytes."""
        pieces = [b"%05d" % number for number in range(100_000)]
        self.upload.write(b"the thread is busy with this")
        tracemalloc.start()
        try:
            for piece in pieces:
                # The network brings each as an object of its own.
                self.upload.write(bytes(bytearray(piece)))
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 2 * 500_000
        self.later.perform_all()
        assert self.path.read_bytes().endswith(b"".join(pieces))

    def test_small_and_large_pieces_keep_their_order(self) -> None:
        """Joining small pieces does not change what is stored."""
        pieces = [bytes([number % 251]) * (number * number % 9000) for number in range(300)]
        for piece in pieces:
            self.upload.write(piece)
        assert self.result_of(flush(self.upload)) == self.path.stat().st_size
        assert self.path.read_bytes() == b"".join(pieces)
        assert self.result_of(self.upload.digest("sha256")) == digest_of(b"".join(pieces))

    def test_flushed_comes_after_the_bytes(self) -> None:
        """Nobody is told that bytes are stored before they are."""
        self.upload.write(FIRST)
        self.upload.write(BOTH)
        flushed = self.upload.flushed()
        self.later.perform()
        self.assertNoResult(flushed)
        self.later.perform()
        assert self.successResultOf(flushed) == len(FIRST + BOTH)

    def test_nobody_waits_for_the_flush(self) -> None:
        """Who waited for the flush may be cancelled; the bytes are stored."""
        self.upload.write(FIRST)
        flushed = self.upload.flushed()
        flushed.addErrback(lambda _: None)
        flushed.cancel()
        self.later.perform_all()
        assert self.path.read_bytes() == FIRST

    def test_nobody_is_paused_any_more(self) -> None:
        """Without a producer there is nobody to pause or resume."""
        self.upload.write(CHUNK * 4)
        self.upload.unregisterProducer()
        self.upload.write(CHUNK * 4)
        self.later.perform_all()
        assert self.producer.told == ["pause"]

    def test_a_new_producer_is_not_paused(self) -> None:
        """Who comes after a producer that was paused begins afresh."""
        self.upload.write(CHUNK * 4)
        another = Producer()
        self.upload.registerProducer(another, True)
        self.later.perform_all()
        assert another.told == []
        self.upload.write(CHUNK * 4)
        assert another.told == ["pause"]

    def test_the_file_is_closed_after_the_last_batch(self) -> None:
        """A descriptor is not closed under a thread that writes to it."""
        self.upload.write(FIRST)
        closing = self.begin(self.upload.close())
        assert self.later.waiting == 1
        self.later.perform()
        self.assertNoResult(closing)
        self.later.perform()
        self.successResultOf(closing)
        assert self.path.read_bytes() == FIRST
        assert self.final[0].offset == len(FIRST)


class ClosedTests(UploadCase, AtOnce, SynchronousTestCase):
    """An upload that was let go."""

    def test_the_descriptor_may_be_another_files(self) -> None:
        """Bytes that come late are not written to the file that has the descriptor by then."""
        descriptors = set(os.listdir("/proc/self/fd"))
        self.closed(self.upload)
        other = self.path.with_name("other")
        with open(other, "wb") as file:
            assert str(file.fileno()) in descriptors
            self.upload.write(FIRST)
        assert other.read_bytes() == b""


class FaultCase(UploadCase):
    """
    What a disk that takes no more does to an upload.
    """

    def test_a_full_disk(self: Any) -> None:
        """A full disk stops the producer, the client hears of it, and what fitted is kept."""
        room = len(CHUNK) + 10
        with files_no_larger_than(room):
            self.upload.write(CHUNK)
            self.upload.write(CHUNK)
            self.upload.write(CHUNK)
            self.failure_of(flush(self.upload), StorageFull)
        assert self.producer.told == ["stop"]
        assert self.upload.offset == self.path.stat().st_size == room
        self.upload.write(CHUNK)
        self.failure_of(flush(self.upload), StorageFull)
        assert self.path.stat().st_size == room

    def test_the_session_of_a_full_disk_goes_on(self: Any) -> None:
        """
        When there is room again, the session goes on behind what fitted, and its digest is
        right.
        """
        content = bytes(range(256)) * 1000
        with files_no_larger_than(1000):
            self.upload.write(content)
            self.failure_of(flush(self.upload), StorageFull)
        self.closed(self.upload)
        assert self.final[0].offset == 1000
        again = self.opened()
        again.write(content[again.offset :])
        assert self.result_of(flush(again)) == len(content)
        assert self.result_of(again.digest("sha256")) == digest_of(content)

    def test_a_full_device(self: Any) -> None:
        """A device without any room is full too."""
        upload = self.opened("/dev/full")
        upload.registerProducer(self.producer, True)
        upload.write(FIRST)
        self.failure_of(flush(upload), StorageFull)
        assert (self.producer.told, upload.offset) == (["stop"], 0)

    def test_a_broken_disk(self: Any) -> None:
        """Any other error of the system is raised as it is."""
        fd = os.open(self.path, os.O_RDONLY)
        state = HashState(Hasher("sha256"))
        upload: Any = DiskUpload(
            fd, self.path, 0, state, Lane(self.in_thread), lambda *_: None, self.final.append
        )
        self.addCleanup(self.closed, upload)
        upload.registerProducer(self.producer, True)
        upload.write(FIRST)
        problem = self.failure_of(flush(upload), OSError)
        assert not isinstance(problem, StorageFull)
        assert self.producer.told == ["stop"]

    def test_a_failure_that_somebody_waits_for(self: Any) -> None:
        """Who waits for the flush when it fails hears of it."""
        with files_no_larger_than(1):
            self.upload.write(FIRST)
            self.failure_of(flush(self.upload), StorageFull)

    def test_the_bytes_of_a_failed_upload_can_be_taken_back(self: Any) -> None:
        """What fitted can be taken back: a refused commit leaves the session as it was."""
        with files_no_larger_than(5):
            self.upload.write(FIRST)
            self.failure_of(flush(self.upload), StorageFull)
        self.result_of(self.upload.take_back())
        assert self.path.stat().st_size == self.upload.offset == 0

    def test_a_publication_that_fails(self: Any) -> None:
        """What publishing raises is raised, and the upload can be closed nevertheless."""

        def publish(fd: int, digest: Digest, generation: int) -> None:
            raise StorageFull("no room for a name")

        self.closed(self.upload)
        upload = self.opened(publish=publish)
        self.failure_of(upload.publish(digest_of(b""), 1), StorageFull)
        self.closed(upload)
        assert len(self.final) == 1

    def test_bytes_of_a_blob(self: Any) -> None:
        """A session whose bytes are a blob's by now takes no more: they never change."""
        self.upload.write(FIRST)
        self.result_of(flush(self.upload))
        os.link(self.path, self.path.with_name("blob"))
        self.failure_of(self.upload.take_back(), BlobUploadInvalid)
        self.upload.write(FIRST)
        self.failure_of(flush(self.upload), BlobUploadInvalid)
        assert self.path.read_bytes() == FIRST

    def test_the_reserve(self: Any) -> None:
        """
        Bytes that would take the last room of the file system are refused as they came, and what
        came before them is kept.
        """
        self.upload.write(FIRST)
        self.result_of(flush(self.upload))
        self.upload.write(Endless(BOTH))
        self.failure_of(flush(self.upload), StorageFull)
        assert self.producer.told[-1] == "stop"
        assert self.path.read_bytes() == FIRST
        assert self.upload.offset == len(FIRST)


class Endless(bytes):
    """
    Bytes of which there are more than any file system has room for.
    """

    def __len__(self) -> int:
        return 1 << 62


class FaultTests(FaultCase, AtOnce, SynchronousTestCase):
    """Faults that show at once."""


class FaultLaterTests(FaultCase, OldestFirst, SynchronousTestCase):
    """Faults that show when more bytes wait."""


class Vanishing:
    """
    The path of a file that is removed after it was opened.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._asked = 0

    def __fspath__(self) -> str:
        self._asked += 1
        if self._asked == 2:
            self._path.unlink()
        return str(self._path)


#: What another process does with a session, until it hears no more of us.
HOLD = """
import sys
from ociregd.storage.writing import lock_file
lock_file(sys.argv[1])
print("locked", flush=True)
sys.stdin.read()
"""


class LockTests(SynchronousTestCase):
    """The lock of a session."""

    def test_a_session_that_ends_while_it_is_opened(self) -> None:
        """Who gets the lock of a session that its last writer has ended finds it ended."""
        path = temporary(self) / "session"
        path.touch()
        vanishing: Any = Vanishing(path)
        before = len(os.listdir("/proc/self/fd"))
        self.assertRaises(BlobUploadUnknown, lock_file, vanishing)
        assert len(os.listdir("/proc/self/fd")) == before

    def test_a_session_of_another_process(self) -> None:
        """The lock keeps other processes out, until it is let go or its process ends in any way."""
        path = temporary(self) / "session"
        path.write_bytes(FIRST)
        with Popen([sys.executable, "-c", HOLD, str(path)], stdin=PIPE, stdout=PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"locked\n"
            refusal: Any = self.assertRaises(RangeNotSatisfiable, lock_file, str(path))
            assert refusal.offset == len(FIRST)
            holder.kill()
        fd, offset = lock_file(str(path))
        assert offset == len(FIRST)
        os.close(fd)


class HashTests(UploadCase, OldestFirst, SynchronousTestCase):
    """The running hash."""

    def test_bytes_that_were_there_are_read(self) -> None:
        """The hash of bytes that came before is had from the file."""
        self.closed(self.upload)
        content = bytes(range(256)) * 10_000
        self.path.write_bytes(content)
        upload = self.opened()
        upload.write(FIRST)
        assert self.result_of(flush(upload)) == len(content) + len(FIRST)
        assert self.result_of(upload.digest("sha256")) == digest_of(content + FIRST)


MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "free", "count", "fits"),
    [
        # Of a large file system, 64 MiB stay free,
        (100_000 * MIB, 65 * MIB, MIB, True),
        (100_000 * MIB, 65 * MIB, MIB + 1, False),
        (100_000 * MIB, 0, 0, False),
        # of a small one a twentieth,
        (100 * MIB, 6 * MIB, MIB, True),
        (100 * MIB, 6 * MIB, MIB + 1, False),
        # and what does not say how large it is has to refuse by itself.
        (0, 0, MIB, True),
    ],
)
def test_what_uploads_leave_free(size: int, free: int, count: int, fits: bool) -> None:
    """There is room as long as the reserve stays free: for others than the superuser."""
    block = 512
    system = os.statvfs_result(
        (4096, block, size // block, free // block + 1000, free // block, 0, 0, 0, 0, 255)
    )
    if fits:
        check_room(system, count)
    else:
        with pytest.raises(StorageFull):
            check_room(system, count)


class Cancelled(type(Path())):
    """
    The path of a session that another process cancels while somebody looks for it.
    """

    def exists(self, **_: Any) -> bool:
        self.unlink()
        return False


def test_cancelled_while_somebody_looks(tmp_path: Path) -> None:
    """A session that is cancelled just then is gone, and not taken for a blob."""
    path = Cancelled(tmp_path / "session")
    with path.open("wb") as session:
        assert not is_published(session.fileno(), path)


def test_committed_while_somebody_looks(tmp_path: Path) -> None:
    """The bytes of a session whose commit ends just then are a blob's."""
    path = Cancelled(tmp_path / "session")
    with path.open("wb") as session:
        os.link(path, tmp_path / "blob")
        assert is_published(session.fileno(), path)
        path.unlink()
        assert is_published(session.fileno(), tmp_path / "session")
