"""
Uploads of clients whose requests reach several daemons on one storage and one database: whoever
gets which, a blob has the bytes of its digest.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    DigestInvalid,
    RangeNotSatisfiable,
    RegistryError,
    SizeInvalid,
)
from ociregd.interfaces import IUpload, IUploads
from ociregd.oci.digest import Digest, digest_of
from ociregd.registry.expiry import UploadExpiry
from ociregd.registry.repository import Registry
from ociregd.registry.uploads import Chunk
from ociregd.storage.disk import DiskBlobStore, DiskUploads, Tree
from ociregd.storage.metadata import records_in
from ociregd.storage.migrations import migrations
from ociregd.storage.sqlite import SqliteDatabase

from ..fakes import ArrivingBody, body
from ..storage.places import temporary
from ..storage.test_disk import Unsyncable
from ..workers import AtOnce, OldestFirst
from .cases import APP, BOTH, FIRST, OTHER, SECOND, RegistryCase

LIFETIME = 3600.0

#: Of two requests, one gets to some point, waits until the other has come to some point, and goes
#: on.
ORDERS = [[-1] * one + [0] + [-1] * other for one in range(4) for other in range(10)]


@frozen
class Unsynced:
    """
    Sessions on a disk that fails when it is synced.
    """

    _uploads: IUploads

    async def open(self, session_id: str, algorithm: str | None) -> IUpload:
        upload: Any = await self._uploads.open(session_id, algorithm)
        publish = upload._publish
        upload._publish = lambda fd, *arguments: publish(Unsyncable(fd), *arguments)
        return upload  # type: ignore[no-any-return]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uploads, name)


class SharedCase(RegistryCase):
    """
    Two daemons, each with a memory of its own.
    """

    def setUp(self: Any) -> None:
        super().setUp()
        self.tree = Tree(temporary(self) / "root")
        self.tree.prepare()
        self.database_file = str(temporary(self) / "metadata.sqlite3")
        self.daemons = [self.daemon(), self.daemon()]
        self.registry: Registry = self.daemons[0]
        self.app, self.other = map(self.registry.repository, (APP, OTHER))
        self.mine, self.theirs = [daemon.repository(APP).uploads for daemon in self.daemons]

    def daemon(self: Any) -> Registry:
        """A daemon that was just started."""
        database = SqliteDatabase(self.database_file, self.in_thread)
        database.open(migrations())
        self.addCleanup(database.close)
        return cast(
            Registry,
            evolve(
                self.registry,
                uploads=DiskUploads(self.tree, self.in_thread),
                blobs=DiskBlobStore(self.tree, self.in_thread),
                records=records_in(database),
            ),
        )

    def expiry(self: Any, daemon: Registry) -> UploadExpiry:
        """What a daemon sweeps with."""
        return UploadExpiry(daemon.uploads, daemon.records, self.time, LIFETIME)

    def ended(self: Any, session_id: str) -> bool:
        """Whether a session is unknown to both daemons."""
        outcomes = []
        for uploads in (self.mine, self.theirs):
            asking = self.begin(uploads.offset(session_id))
            self.perform_all()
            asking.addErrback(lambda failure: failure.trap(BlobUploadUnknown))
            outcomes.append(self.successResultOf(asking) is BlobUploadUnknown)
        [outcome] = set(outcomes)
        return bool(outcome)

    def files(self: Any, digest: Digest) -> list[bytes]:
        """What is stored of a blob."""
        first = self.tree.blob(digest, 1)
        return [path.read_bytes() for path in first.parent.glob(f"{digest.encoded}*")]


class InTurnTests(AtOnce, SharedCase, SynchronousTestCase):
    """One request at a time, each at a daemon of its own."""

    def test_every_cut(self) -> None:
        """A blob may come in chunks to one daemon and the other, cut anywhere."""
        for cut in range(len(FIRST) + 1):
            content = b"%d " % cut + FIRST
            session_id = self.begun(content[:cut])
            for start, uploads in (
                (cut, self.theirs),
                (cut + 1, self.mine),
                (cut + 2, self.theirs),
            ):
                chunk = Chunk(start, start + 1) if start < len(content) else None
                self.result_of(uploads.append(session_id, body(content[start : start + 1]), chunk))
            self.result_of(
                self.mine.commit(session_id, digest_of(content), body(content[cut + 3 :]))
            )
            assert self.pulled(digest_of(content)) == content

    def test_refusals_in_between(self) -> None:
        """What another daemon has refused is in no blob, whatever had come of it."""
        other, append, commit = SECOND.upper(), self.theirs.append, self.theirs.commit
        chunk, elsewhere = Chunk(len(FIRST), len(BOTH)), Chunk(0, len(other))
        refusals: list[tuple[Callable[[str], Any], type[Exception]]] = [
            (lambda of: commit(of, digest_of(BOTH), body(other)), DigestInvalid),
            (lambda of: commit(of, digest_of(BOTH, "sha512"), body(other)), DigestInvalid),
            (lambda of: append(of, body(other), elsewhere), RangeNotSatisfiable),
            (lambda of: append(of, longer(other), chunk), SizeInvalid),
        ]
        for refused, expected in refusals:
            session_id = self.begun(FIRST)
            for _ in range(2):
                self.failure_of(refused(session_id), expected)
            assert self.offset(session_id) == len(FIRST)
            self.failure_of(
                self.mine.commit(session_id, digest_of(FIRST + other), body(SECOND)), DigestInvalid
            )
            self.result_of(self.mine.commit(session_id, digest_of(BOTH), body(SECOND)))
            assert self.pulled(digest_of(BOTH)) == BOTH

    def test_a_client_goes_and_comes_back_elsewhere(self) -> None:
        """The bytes that came before are there for the other daemon, and count."""
        session_id, arriving = self.begun(FIRST), ArrivingBody()
        appending = self.begin(self.theirs.append(session_id, arriving))
        arriving.arrive(SECOND[:5])
        appending.cancel()
        self.failureResultOf(appending, CancelledError)
        assert self.offset(session_id) == len(FIRST) + 5
        self.result_of(self.mine.append(session_id, body(SECOND[5:])))
        self.result_of(self.theirs.commit(session_id, digest_of(BOTH), body()))
        assert self.pulled(digest_of(BOTH)) == BOTH

    def test_who_comes_while_another_daemon_is_written_to(self) -> None:
        """It is refused, hears how far the upload is, and takes nothing from it."""
        session_id, arriving = self.begun(FIRST), ArrivingBody()
        appending = self.begin(self.theirs.append(session_id, arriving))
        arriving.arrive(SECOND)
        for work in (
            self.mine.append(session_id, body(b"?")),
            self.mine.commit(session_id, digest_of(BOTH), body()),
        ):
            assert self.failure_of(work, RangeNotSatisfiable).offset == len(BOTH)
        arriving.end()
        assert self.successResultOf(appending) == len(BOTH)
        self.result_of(self.mine.commit(session_id, digest_of(BOTH), body()))

    def test_a_failed_sync(self) -> None:
        """
        A daemon whose disk fails at the end of an upload ends it for all: none of them accepts the
        bytes, nor others in their place. Its row expires.
        """
        session_id = self.begun(FIRST)
        self.result_of(self.theirs.append(session_id, body(SECOND)))
        broken = evolve(self.daemons[1], uploads=Unsynced(self.daemons[1].uploads))
        self.failure_of(
            broken.repository(APP).uploads.commit(session_id, digest_of(BOTH), body()), OSError
        )
        assert self.ended(session_id)
        for uploads in (self.mine, self.theirs):
            for work in (
                uploads.append(session_id, body(FIRST)),
                uploads.commit(session_id, digest_of(FIRST), body()),
                uploads.commit(session_id, digest_of(BOTH), body(BOTH)),
            ):
                self.failure_of(work, BlobUploadUnknown)
        self.failure_of(self.app.blobs.stat(digest_of(BOTH)), BlobUnknown)
        assert self.files(digest_of(BOTH)) == []
        self.time.seconds += LIFETIME + 1
        assert self.result_of(self.expiry(self.registry).expire()) == 1
        assert self.pulled(self.pushed(BOTH)) == BOTH


def longer(content: bytes) -> Any:
    """A body that turns out to be longer than it should be."""
    return body(content, b"?", announced=len(content))


class SameTimeTests(OldestFirst, SharedCase, SynchronousTestCase):
    """Two requests at the same time, at two daemons whose threads overtake each other."""

    def open_files(self) -> list[str]:
        """What is open of the storage."""
        descriptors = Path("/proc/self/fd").iterdir()
        # One of them is the listing itself, and gone.
        found = [os.readlink(path) for path in descriptors if path.is_symlink()]
        return [path for path in found if path.startswith(str(self.tree.root))]

    def in_order(self, order: Any, *works: Any) -> list[object]:
        """Do some work at once, in one order; what came of each."""
        beginning = [self.begin(work) for work in works]
        self.later.perform_in_turns(order)
        outcomes: list[object] = []
        for ending in beginning:
            ending.addErrback(lambda failure: failure.value)
            outcomes.append(self.successResultOf(ending))
        return outcomes

    def idle(self, content: bytes) -> str:
        """An upload that nobody has used for its lifetime."""
        session_id = self.begun(content)
        os.utime(self.tree.upload(session_id), (self.time.seconds, self.time.seconds))
        self.time.seconds += LIFETIME + 1
        return session_id

    def test_the_same_blob(self) -> None:
        """Two clients that push the same bytes both succeed, and there is one file."""
        for number, order in enumerate(ORDERS):
            content = b"%d" % number
            digest = digest_of(content)
            sessions = [self.begun(content) for _ in self.daemons]
            pushes = zip((self.mine, self.theirs), sessions, strict=True)
            assert self.in_order(
                order, *(uploads.commit(of, digest, body()) for uploads, of in pushes)
            ) == [None, None]
            assert self.files(digest) == [content]
            assert self.pulled(digest) == content
        assert list((self.tree.root / "uploads").iterdir()) == []
        assert self.open_files() == []

    def test_one_upload(self) -> None:
        """
        Whatever else happens to an upload while it is committed: if there is a blob, it has all
        bytes and keeps them, and if not, the upload is free for the next request.
        """
        others: list[Callable[[str, Digest], Any]] = [
            lambda of, digest: self.theirs.commit(of, digest, body()),
            lambda of, digest: self.theirs.commit(of, digest, body(b"?")),
            lambda of, digest: self.theirs.append(of, body(b"?")),
            lambda of, digest: self.theirs.cancel(of),
            lambda of, digest: self.theirs.abandon(of),
            lambda of, digest: self.expiry(self.daemons[1]).expire(),
        ]
        cases = itertools.product(others, (False, True), ORDERS)
        for number, (other, stored, order) in enumerate(cases):
            content = b"%d" % number
            digest = digest_of(content)
            if stored:
                self.pushed(content, self.other)
            session_id = self.idle(content)
            committed, second = self.in_order(
                order, self.mine.commit(session_id, digest, body()), other(session_id, digest)
            )
            for outcome in (committed, second):
                assert outcome is None or isinstance(outcome, (RegistryError, int)), outcome
            if committed is None:
                assert self.pulled(digest) == content
            if not self.ended(session_id):
                self.result_of(self.mine.cancel(session_id))
                assert committed is not None
            for found in self.files(digest):
                assert found == content
        assert self.open_files() == []

    def test_sweeps(self) -> None:
        """
        Daemons that look at the same idle uploads at the same time end each once, and do not take
        each other for somebody who uses them.
        """
        for order in ORDERS:
            for content in (b"", FIRST, b"", FIRST):
                self.idle(content)
            sweeps = [self.expiry(daemon).expire() for daemon in self.daemons]
            assert sum(cast("list[int]", self.in_order(order, *sweeps))) == 4
            assert list((self.tree.root / "uploads").iterdir()) == []
            idle = self.registry.records.uploads.idle(self.time.seconds, 10)
            assert self.result_of(idle) == []
        assert self.open_files() == []
