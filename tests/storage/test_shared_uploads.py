"""
Sessions that several processes write to in turn: L{ociregd.storage.disk} and what each process
remembers of its requests.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import BlobUploadUnknown, RangeNotSatisfiable
from ociregd.oci.digest import Digest, digest_of
from ociregd.values import Blob

from ..contracts.files import BOTH, FIRST, OTHER_SESSION, SECOND, SESSION, Files, FilesCase, flush
from ..workers import AtOnce, OldestFirst
from .test_disk import OnDisk, Unsyncable

MIB = 1024 * 1024

#: What one process does to a session, and the bytes that it does it with.
Step = tuple[int, str, bytes]

STEPS = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.sampled_from(["add", "add", "refuse", "restart", "check"]),
        st.binary(min_size=1, max_size=4),
    ),
    max_size=30,
)


def bytes_read() -> int:
    """How many bytes this thread has read from files so far."""
    counters = Path("/proc/thread-self/io").read_text()
    [line] = [line for line in counters.splitlines() if line.startswith("rchar: ")]
    return int(line.partition(" ")[2])


class SharedCase(OnDisk, FilesCase):
    """
    Two processes on one storage.
    """

    def setUp(self: Any) -> None:
        super().setUp()
        self.processes = [self.files, self.other_process()]
        self.result_of(self.files.uploads.create(SESSION, "sha256"))

    def digest_seen_by(self: Any, files: Files) -> Digest:
        """The digest of a session as a process computes it."""
        upload = self.opened(files=files)
        digest: Digest = self.result_of(upload.digest("sha256"))
        self.result_of(upload.close())
        return digest

    def unsyncable(self: Any, files: Files, session_id: str = SESSION) -> Any:
        """An open session whose disk fails when it is synced."""
        upload = self.opened(session_id, files)
        publish = upload._publish
        upload._publish = lambda fd, *arguments: publish(Unsyncable(fd), *arguments)
        return upload


class SharedContract(SharedCase):
    """
    What holds whatever the threads.
    """

    def test_every_cut(self: Any) -> None:
        """Whichever process gets each chunk, the digest is that of what is in the file."""
        for number, (first, second) in enumerate(
            itertools.combinations_with_replacement(range(len(FIRST) + 1), 2)
        ):
            session_id, [one, other] = f"cut-{number}", self.processes
            self.result_of(one.uploads.create(session_id, "sha256"))
            self.add(FIRST[:first], session_id, one)
            self.add(FIRST[first:second], session_id, other)
            upload = self.opened(session_id, one)
            self.write(upload, FIRST[second:])
            assert self.result_of(upload.digest("sha256")) == digest_of(FIRST)
            self.result_of(upload.close())

    def test_who_comes_while_another_writes(self: Any) -> None:
        """It is refused, hears how far the session is, and does not harm it."""
        one, other = self.processes
        self.add(FIRST, files=one)
        upload = self.opened(files=other)
        self.write(upload, SECOND)
        refusal = self.failure_of(one.uploads.open(SESSION, None), RangeNotSatisfiable)
        assert refusal.offset == self.result_of(one.uploads.offset(SESSION)) == len(BOTH)
        upload.write(b"!")
        self.result_of(upload.close())
        assert self.digest_seen_by(one) == digest_of(BOTH + b"!")

    def test_a_failed_sync(self: Any) -> None:
        """
        Bytes that did not reach the disk are nobody's any more: no process goes on with them, nor
        accepts them, whatever it remembers.
        """
        one, other = self.processes
        self.add(FIRST, files=one)
        upload = self.unsyncable(other)
        self.write(upload, SECOND)
        self.failure_of(upload.publish(digest_of(BOTH), 1), OSError)
        for files in (one, other):
            self.failure_of(files.uploads.open(SESSION, None), BlobUploadUnknown)
            self.failure_of(files.uploads.offset(SESSION), BlobUploadUnknown)
        self.result_of(upload.close())
        self.failure_of(one.blobs.open(Blob(digest_of(BOTH), len(BOTH), 1)), FileNotFoundError)

    def test_a_failed_sync_of_what_others_published(self: Any) -> None:
        """A blob that is there already is not touched by a second session of the same bytes."""
        blob = self.stored(BOTH)
        self.add(BOTH)
        upload = self.unsyncable(self.processes[1])
        self.failure_of(upload.publish(blob.digest, 1), OSError)
        self.result_of(upload.close())
        assert self.bytes_of(blob) == BOTH

    def test_one_blob_published_by_both(self: Any) -> None:
        """Two processes that publish the same bytes leave one file, and sessions of their own."""
        blob = Blob(digest_of(BOTH), len(BOTH), 1)
        self.result_of(self.files.uploads.create(OTHER_SESSION, "sha256"))
        sessions = list(zip((SESSION, OTHER_SESSION), self.processes, strict=True))
        for session_id, files in sessions:
            self.add(BOTH, session_id, files)
        uploads = [self.opened(session_id, files) for session_id, files in sessions]
        publishing = [self.begin(upload.publish(blob.digest, 1)) for upload in uploads]
        self.perform_all()
        for published, upload in zip(publishing, uploads, strict=True):
            self.successResultOf(published)
            self.result_of(upload.close())
        for session_id, files in sessions:
            assert self.bytes_of(blob) == BOTH
            self.result_of(files.uploads.remove(session_id))
        assert self.bytes_of(blob) == BOTH
        assert list(self.tree.blob(blob.digest, 1).parent.iterdir()) == [
            self.tree.blob(blob.digest, 1)
        ]
        assert list((self.tree.root / "uploads").iterdir()) == []


class SharedTests(SharedContract, AtOnce, SynchronousTestCase):
    """Two processes, with threads that are done at once."""

    def test_each_reads_what_the_other_wrote(self) -> None:
        """
        Chunks that reach two processes in turn are read once by the one that did not get them, and
        not the whole file for each.
        """
        chunks = [bytes([number]) * MIB for number in range(8)]
        before = bytes_read()
        for number, chunk in enumerate(chunks):
            self.add(chunk, files=self.processes[number % 2])
        whole = digest_of(b"".join(chunks))
        assert [self.digest_seen_by(files) for files in self.processes] == [whole, whole]
        assert bytes_read() - before < len(chunks) * MIB + MIB

    @given(STEPS)
    def test_any_steps(self, steps: Sequence[Step]) -> None:
        """However two processes take turns, neither ever has the digest of other bytes."""
        processes, content = [self.other_process(), self.other_process()], b""
        self.result_of(self.files.uploads.remove(SESSION))
        self.result_of(processes[0].uploads.create(SESSION, "sha256"))
        for which, step, piece in [*steps, (0, "check", b""), (1, "check", b"")]:
            files = processes[which]
            if step == "restart":
                processes[which] = self.other_process()
            elif step == "check":
                assert self.digest_seen_by(files) == digest_of(content)
            elif step == "add":
                self.add(piece, files=files)
                content += piece
            else:
                upload = self.opened(files=files)
                self.write(upload, piece)
                self.result_of(upload.take_back())
                self.result_of(upload.close())


class SharedLaterTests(SharedContract, OldestFirst, SynchronousTestCase):
    """Two processes, with threads that take their time."""

    def test_publishing_at_any_moment_of_the_other(self) -> None:
        """In whichever order their threads come, the file of both has all bytes."""
        for number, turns in enumerate(itertools.product((0, -1), repeat=5)):
            content = b"%d" % number
            blob = Blob(digest_of(content), len(content), 1)
            publishing = []
            for which, files in enumerate(self.processes):
                session_id = f"{number}-{which}"
                self.result_of(files.uploads.create(session_id, "sha256"))
                publishing.append(self.begin(pushed(files, session_id, content)))
            self.later.perform_in_turns(turns)
            for published in publishing:
                self.successResultOf(published)
            assert self.bytes_of(blob) == content


async def pushed(files: Files, session_id: str, content: bytes) -> None:
    """All that a push does to files."""
    upload: Any = await files.uploads.open(session_id, None)
    upload.write(content)
    await flush(upload)
    await upload.publish(await upload.digest("sha256"), 1)
    await upload.close()
    await files.uploads.remove(session_id)
