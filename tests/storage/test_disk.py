"""
Tests for L{ociregd.storage.disk}, and for the files in memory that stand in for it.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import BlobUploadUnknown
from ociregd.oci.digest import digest_of
from ociregd.storage.disk import DiskBlobStore, DiskUploads, Tree, publish_file
from ociregd.values import Blob

from ..contracts.blobs import BlobStoreContract
from ..contracts.files import BOTH, FIRST, SESSION, Files
from ..contracts.uploads import UploadsContract
from ..fakes import Memory, MemoryBlobStore, MemoryUploads
from ..workers import AtOnce, Later, NewestFirst, OldestFirst
from .places import temporary


class OnDisk:
    """
    Mixed into a test case: files in a directory that is removed afterwards.
    """

    def make_files(self: Any) -> Files:
        self.tree = Tree(temporary(self) / "root")
        self.tree.prepare()
        return self.other_process()

    def other_process(self: Any) -> Files:
        tree, in_thread = self.tree, self.in_thread
        return Files(DiskUploads(tree, in_thread), DiskBlobStore(tree, in_thread))


class InMemory:
    """
    Mixed into a test case: files that never were.
    """

    def make_files(self: Any) -> Files:
        self.memory = Memory()
        return self.other_process()

    def other_process(self: Any) -> Files:
        return Files(MemoryUploads(self.memory), MemoryBlobStore(self.memory))


class DiskUploadsTests(OnDisk, AtOnce, UploadsContract, SynchronousTestCase):
    """Sessions on disk."""


class DiskUploadsLaterTests(OnDisk, OldestFirst, UploadsContract, SynchronousTestCase):
    """Sessions on disk, with slow threads."""


class DiskUploadsOvertakenTests(OnDisk, NewestFirst, UploadsContract, SynchronousTestCase):
    """Sessions on disk, with threads that overtake each other."""


class MemoryUploadsTests(InMemory, AtOnce, UploadsContract, SynchronousTestCase):
    """Sessions in memory."""


class DiskBlobStoreTests(OnDisk, AtOnce, BlobStoreContract, SynchronousTestCase):
    """Blobs on disk."""


class DiskBlobStoreLaterTests(OnDisk, OldestFirst, BlobStoreContract, SynchronousTestCase):
    """Blobs on disk, with slow threads."""


class DiskBlobStoreOvertakenTests(OnDisk, NewestFirst, BlobStoreContract, SynchronousTestCase):
    """Blobs on disk, with threads that overtake each other."""


class MemoryBlobStoreTests(InMemory, AtOnce, BlobStoreContract, SynchronousTestCase):
    """Blobs in memory."""


def open_files() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))


class TreeTests(SynchronousTestCase):
    """Where the files are."""

    def setUp(self) -> None:
        self.root = temporary(self) / "deep" / "root"

    def test_layout(self) -> None:
        """Blobs and sessions are where scripts and other versions look for them."""
        tree = Tree(self.root)
        digest = digest_of(b"")
        encoded = digest.encoded
        assert tree.blob(digest, 7) == self.root / "blobs" / "sha256" / "e3" / f"{encoded}.7"
        assert tree.upload(SESSION) == self.root / "uploads" / SESSION

    def test_prepares_every_directory(self) -> None:
        """After it, a blob of any digest has its directory; doing it again changes nothing."""
        tree = Tree(self.root)
        for _ in range(2):
            tree.prepare()
            for algorithm in ("sha256", "sha512"):
                names = {path.name for path in (self.root / "blobs" / algorithm).iterdir()}
                assert names == {f"{first:02x}" for first in range(256)}
            names = {path.name for path in (self.root / "blobs").iterdir()}
            assert names == {"sha256", "sha512", ".lock"}
            assert (self.root / "uploads").is_dir()

    def test_goes_on_after_a_crash(self) -> None:
        """Directories of which a crash left only some are completed."""
        (self.root / "blobs" / "sha256.new" / "00").mkdir(parents=True)
        Tree(self.root).prepare()
        assert len(list((self.root / "blobs" / "sha256").iterdir())) == 256

    def test_many_at_once(self) -> None:
        """Daemons that start at the same time on an empty root do not get in each other's way."""
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda _: Tree(self.root).prepare(), range(8)))
        names = {path.name for path in (self.root / "blobs").iterdir()}
        assert names == {"sha256", "sha512", ".lock"}

    def test_is_nobody_elses(self) -> None:
        """Others on the machine cannot read what is stored."""
        Tree(self.root).prepare()
        assert (self.root / "blobs").stat().st_mode & 0o007 == 0


class DiskFilesTests(OnDisk, OldestFirst, SynchronousTestCase):
    """What only files on a disk can do wrong."""

    def setUp(self) -> None:
        super().setUp()
        self.files = self.make_files()
        self.before = open_files()
        self.result_of(self.files.uploads.create(SESSION, "sha256"))

    def test_a_client_goes_while_its_session_is_opened(self) -> None:
        """A session that nobody waits for when it is open is let go, and free for the next one."""
        opening = self.begin(self.files.uploads.open(SESSION, None))
        opening.addErrback(lambda _: None)
        opening.cancel()
        self.perform_all()
        assert open_files() == self.before
        assert self.result_of(self.files.uploads.open(SESSION, None)).offset == 0

    def test_a_client_goes_while_its_blob_is_opened(self) -> None:
        """A blob that nobody waits for when it is open is let go."""
        opening = self.begin(self.files.blobs.open(self.published(BOTH)))
        opening.addErrback(lambda _: None)
        opening.cancel()
        self.perform_all()
        assert open_files() == self.before

    def test_nothing_stays_open(self) -> None:
        """Neither a refused session, nor a damaged blob, nor what was closed keeps a file open."""
        blob = self.published(BOTH)
        reader = self.result_of(self.files.blobs.open(blob))
        self.failure_of(self.files.blobs.open(Blob(blob.digest, 1, 1)), OSError)
        reader.close()
        self.perform_all()
        assert open_files() == self.before

    def test_a_reader_is_closed_after_its_read(self) -> None:
        """
        A file is not closed under a thread that reads it, even if nobody waits for that any
        more.
        """
        reader = self.result_of(self.files.blobs.open(self.published(BOTH)))
        reading = self.begin(reader.read(0, 10))
        reading.addErrback(lambda _: None)
        reading.cancel()
        reader.close()
        assert self.later.waiting == 1
        self.later.perform()
        assert open_files() == self.before + 1
        self.later.perform()
        assert open_files() == self.before

    def test_dropping_makes_room(self) -> None:
        """Nothing holds the bytes of a dropped session any more, so their room is free."""
        upload: Any = self.result_of(self.files.uploads.open(SESSION, None))
        upload.write(FIRST)
        self.perform_all()
        self.result_of(upload.drop())
        assert open_files() == self.before
        assert list((self.tree.root / "uploads").iterdir()) == []

    def test_a_file_that_has_lost_its_end(self) -> None:
        """What a file has lost that was hashed before is in no digest, however that came about."""
        upload: Any = self.result_of(self.files.uploads.open(SESSION, None))
        upload.write(BOTH)
        self.result_of(upload.close())
        os.truncate(self.tree.upload(SESSION), len(FIRST))
        again: Any = self.result_of(self.files.uploads.open(SESSION, None))
        assert self.result_of(again.digest("sha256")) == digest_of(FIRST)
        self.result_of(again.close())

    def test_when_a_session_was_written(self) -> None:
        """An upload tells when its bytes changed last, whoever changed them."""
        upload: Any = self.result_of(self.files.uploads.open(SESSION, None))
        os.utime(self.tree.upload(SESSION), (5, 5))
        assert upload.modified == 5
        upload.write(FIRST)
        self.perform_all()
        assert upload.modified > 5
        self.result_of(upload.close())

    def test_a_file_of_a_crash_is_replaced(self) -> None:
        """What a crash has left under the name may have rotted; what came now has not."""
        blob = self.published(BOTH)
        self.tree.blob(blob.digest, 1).write_bytes(b"?" * len(BOTH))
        self.result_of(self.files.uploads.create(SESSION, "sha256"))
        assert self.published(BOTH) == blob
        assert self.tree.blob(blob.digest, 1).read_bytes() == BOTH
        assert list((self.tree.root / "uploads").iterdir()) == []

    def test_a_second_name_of_a_crash(self) -> None:
        """A crash in the middle of replacing a file does not keep the next commit from it."""
        self.tree.blob(digest_of(BOTH), 1).write_bytes(b"?")
        self.tree.upload(f"{SESSION}.spare").write_bytes(b"?")
        self.published(BOTH)
        assert self.tree.blob(digest_of(BOTH), 1).read_bytes() == BOTH
        assert list((self.tree.root / "uploads").iterdir()) == []

    def test_a_second_name_goes_with_its_session(self) -> None:
        """
        What a crash in the middle of a commit has left is removed with the session, and after it:
        as long as there is a session, somebody may make it anew.
        """
        session, spare = self.tree.upload(SESSION), self.tree.upload(f"{SESSION}.spare")
        os.link(session, spare)
        self.result_of(self.files.uploads.remove(SESSION))
        assert list((self.tree.root / "uploads").iterdir()) == []
        session.touch()
        # This cannot be removed as a file is.
        spare.mkdir()
        self.failure_of(self.files.uploads.remove(SESSION), OSError)
        assert not session.exists()

    def test_the_session_of_no_file(self) -> None:
        """The name of a session never leads anywhere else, even if somebody made it a link."""
        elsewhere = self.tree.root / "elsewhere"
        elsewhere.write_bytes(FIRST)
        self.tree.upload("link").symlink_to(elsewhere)
        self.failure_of(self.files.uploads.open("link", None), OSError)

    def published(self, content: bytes) -> Blob:
        """Put some bytes in the session, publish and end it."""
        upload: Any = self.result_of(self.files.uploads.open(SESSION, None))
        upload.write(content)
        digest = digest_of(content)
        self.result_of(upload.publish(digest, 1))
        self.result_of(upload.close())
        self.result_of(self.files.uploads.remove(SESSION))
        return Blob(digest, len(content), 1)


class Unsyncable:
    """
    A file whose sync fails, and nothing else: only C{fsync} asks an object for its descriptor.
    """

    def __init__(self, fd: int) -> None:
        self._real = fd

    def __index__(self) -> int:
        return self._real

    def fileno(self) -> int:
        # A device like this cannot be synced: EINVAL.
        return DEVICE


DEVICE = os.open(os.devnull, os.O_RDONLY)


@pytest.fixture
def session(tmp_path: Path) -> Any:
    """The open file of a session that holds some bytes."""
    (tmp_path / "session").write_bytes(BOTH)
    with open(tmp_path / "session", "rb+", buffering=0) as file:
        yield file


def test_a_failed_sync_ends_the_session(tmp_path: Path, session: Any) -> None:
    """Bytes whose sync failed are not trusted again: they have to come once more."""
    with pytest.raises(OSError, match="Invalid argument"):
        publish_file(tmp_path / "session", Unsyncable(session.fileno()), tmp_path / "blob")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    # Who has a hash of these bytes must not find others in their place.
    assert os.pread(session.fileno(), 100, 0) == BOTH


def test_a_failed_sync_leaves_alone_what_was_published(tmp_path: Path, session: Any) -> None:
    """If the bytes are a blob's already, they were synced before, and others rely on them."""
    publish_file(tmp_path / "session", session.fileno(), tmp_path / "blob")
    with pytest.raises(OSError, match="Invalid argument"):
        publish_file(tmp_path / "session", Unsyncable(session.fileno()), tmp_path / "blob")  # type: ignore[arg-type]
    assert (tmp_path / "blob").samefile(tmp_path / "session")
    assert (tmp_path / "blob").read_bytes() == BOTH


def test_a_failed_sync_after_the_end_of_the_session(tmp_path: Path, session: Any) -> None:
    """That holds when the blob's name is the only one that is left, too."""
    publish_file(tmp_path / "session", session.fileno(), tmp_path / "blob")
    (tmp_path / "session").unlink()
    with pytest.raises(OSError, match="Invalid argument"):
        publish_file(tmp_path / "session", Unsyncable(session.fileno()), tmp_path / "blob")  # type: ignore[arg-type]
    assert (tmp_path / "blob").read_bytes() == BOTH


def test_many_publish_the_same_at_once(tmp_path: Path) -> None:
    """Of sessions with the same bytes that end at the same time, one is the blob, at any moment."""
    name = tmp_path / "blob"

    def publish(path: Path) -> bytes:
        path.write_bytes(BOTH)
        with open(path, "rb+", buffering=0) as file:
            publish_file(path, file.fileno(), name)
        return name.read_bytes()

    with ThreadPoolExecutor(8) as pool:
        seen = set(pool.map(publish, [tmp_path / f"session{number}" for number in range(100)]))
    assert seen == {BOTH}
    assert list(tmp_path.glob("*.spare")) == []


def test_publishing_what_was_cancelled(tmp_path: Path, session: Any) -> None:
    """A session that has been removed meanwhile cannot be published."""
    (tmp_path / "session").unlink()
    with pytest.raises(BlobUploadUnknown):
        publish_file(tmp_path / "session", session.fileno(), tmp_path / "blob")


def test_remembering_hashes_has_an_end() -> None:
    """However many sessions are begun, what is remembered of them is bounded."""
    later = Later()
    uploads = DiskUploads(Tree(Path("/nowhere")), lambda f, *args: later(lambda: None))
    for number in range(3000):
        Deferred.fromCoroutine(uploads.create(str(number), "sha256"))
    later.perform_all()
    assert len(uploads._hashes) < 2000
