"""
Tests for L{ociregd.registry.uploads}.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import evolve, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IConsumer
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from ociregd.errors import (
    BlobUnknown,
    BlobUploadInvalid,
    BlobUploadUnknown,
    DigestInvalid,
    NameUnknown,
    RangeNotSatisfiable,
    SizeInvalid,
    StorageFull,
    Unavailable,
)
from ociregd.interfaces import IUpload, IUploads
from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.names import RepositoryName
from ociregd.registry.uploads import Chunk, Dropped, Uploads
from ociregd.values import Standing

from ..fakes import ArrivingBody, Memory, body, chunked
from ..workers import AtOnce, NewestFirst, OldestFirst
from .cases import APP, BOTH, FIRST, OTHER, SECOND, Instead, RegistryCase

Then = Callable[[], Awaitable[Any]]


@frozen
class Meanwhile:
    """
    Blob records to which something happens once, right after somebody has asked for a blob.
    """

    _records: Any
    _happenings: list[Then]

    async def continue_(self, session_id: str, name: RepositoryName, digest: Digest) -> Standing:
        answer: Standing = await self._records.continue_(session_id, name, digest)
        if self._happenings:
            await self._happenings.pop()()
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


@frozen
class Without:
    """
    Blob records that cannot be committed.
    """

    _records: Any
    commit: Callable[..., Awaitable[Any]]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


async def rows(cursor: Any, sql: str) -> Any:
    """Whatever the tables say."""
    return await cursor.rows(sql)


@frozen
class Stuck:
    """
    Sessions whose files cannot be removed.
    """

    _uploads: IUploads

    async def remove(self, session_id: str) -> None:
        raise OSError(f"{session_id} stays")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uploads, name)


@frozen
class Overtaken:
    """
    Sessions to which something happens while they are opened.
    """

    _uploads: IUploads
    _happening: Then

    async def open(self, session_id: str, algorithm: str | None) -> IUpload:
        upload = await self._uploads.open(session_id, algorithm)
        await self._happening()
        return upload

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uploads, name)


@frozen
class Full:
    """
    Upload records in a database that has no room for an end, as long as there is none.
    """

    _records: Any
    _memory: Memory

    async def end(self, session_id: str, name: RepositoryName) -> None:
        if not self._memory.room:
            raise StorageFull("no room for rows")
        await self._records.end(session_id, name)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


class UploadsContract(RegistryCase):
    """
    What uploads do, whatever the threads.
    """

    def commit(self: Any, session_id: str, digest: Digest, *arguments: Any) -> Any:
        """The end of a session that goes well."""
        return self.result_of(self.app.uploads.commit(session_id, digest, *arguments))

    def refused(self: Any, work: Any, expected: type[Exception], session_id: str) -> Any:
        """A refusal, which leaves the session as it was and free for the next request."""
        before = self.offset(session_id)
        refusal = self.failure_of(work, expected)
        assert self.offset(session_id) == before
        self.result_of(self.app.uploads.append(session_id, body()))
        return refusal

    def test_a_new_session(self: Any) -> None:
        """A session begins empty, and makes no repository."""
        session_id = self.begun()
        assert self.offset(session_id) == 0
        self.failure_of(self.app.tags.page("", 10), NameUnknown)

    def test_sessions_have_ids_of_their_own(self: Any) -> None:
        """No two sessions have the same id."""
        assert len({self.begun() for _ in range(20)}) == 20

    def test_appending(self: Any) -> None:
        """Bytes are added behind those that are there, with or without saying where."""
        session_id = self.begun()
        uploads = self.app.uploads
        assert self.result_of(uploads.append(session_id, body(FIRST[:4], FIRST[4:]))) == len(FIRST)
        chunk = Chunk(len(FIRST), len(BOTH))
        assert self.result_of(uploads.append(session_id, body(SECOND), chunk)) == len(BOTH)
        assert self.result_of(uploads.append(session_id, chunked(b"!"))) == len(BOTH) + 1
        assert self.offset(session_id) == len(BOTH) + 1

    def test_a_chunk_out_of_order(self: Any) -> None:
        """
        A chunk that begins elsewhere, or is backwards, is refused with the offset that was
        right.
        """
        session_id = self.begun(FIRST)
        offset = len(FIRST)
        for chunk in (
            Chunk(0, offset),
            Chunk(offset - 1, offset),
            Chunk(offset + 1, offset + 5),
            Chunk(offset, offset),
            Chunk(offset, offset - 1),
        ):
            appending = self.app.uploads.append(session_id, body(b"?"), chunk)
            assert self.refused(appending, RangeNotSatisfiable, session_id).offset == offset
            committing = self.app.uploads.commit(session_id, digest_of(FIRST), body(b"?"), chunk)
            assert self.refused(committing, RangeNotSatisfiable, session_id).offset == offset

    def test_a_chunk_of_another_length(self: Any) -> None:
        """A body that is not as long as its chunk is refused, and taken back if it came."""
        session_id = self.begun(FIRST)
        chunk = Chunk(len(FIRST), len(BOTH))
        for wrong in (
            body(SECOND + b"?"),
            body(SECOND[1:]),
            body(),
            chunked(SECOND, b"?"),
            chunked(SECOND[1:]),
            chunked(),
            body(SECOND[:3], announced=len(SECOND)),
        ):
            appending = self.app.uploads.append(session_id, wrong, chunk)
            self.refused(appending, SizeInvalid, session_id)
            committing = self.app.uploads.commit(session_id, digest_of(FIRST), wrong, chunk)
            self.refused(committing, SizeInvalid, session_id)
        assert self.result_of(self.app.uploads.append(session_id, body(SECOND), chunk)) == len(BOTH)
        self.commit(session_id, digest_of(BOTH), body())

    def test_committing_what_was_appended(self: Any) -> None:
        """What came in chunks becomes a blob, and the session ends."""
        session_id = self.begun(FIRST)
        self.result_of(self.app.uploads.append(session_id, body(SECOND)))
        self.commit(session_id, digest_of(BOTH), body())
        assert self.pulled(digest_of(BOTH)) == BOTH
        self.failure_of(self.app.uploads.offset(session_id), BlobUploadUnknown)
        assert self.memory.sessions == {}

    def test_committing_with_the_last_bytes(self: Any) -> None:
        """The last bytes may come with the commit, as a chunk or not."""
        for last, chunk in (
            (body(SECOND), None),
            (chunked(SECOND), Chunk(len(FIRST), len(BOTH))),
        ):
            session_id = self.begun(FIRST)
            self.commit(session_id, digest_of(BOTH), last, chunk)
            assert self.pulled(digest_of(BOTH)) == BOTH

    def test_committing_nothing(self: Any) -> None:
        """An empty blob is a blob."""
        self.commit(self.begun(), digest_of(b""), body())
        assert self.pulled(digest_of(b"")) == b""

    def test_committing_under_another_algorithm(self: Any) -> None:
        """The digest may be of another algorithm than the session began with."""
        session_id = self.begun(FIRST)
        digest = digest_of(BOTH, "sha512")
        self.commit(session_id, digest, body(SECOND))
        assert self.pulled(digest) == BOTH
        self.failure_of(self.app.blobs.stat(digest_of(BOTH)), BlobUnknown)

    def test_committing_what_is_there(self: Any) -> None:
        """A blob that is pushed again, here or elsewhere, is there."""
        digest = self.pushed(BOTH)
        self.pushed(BOTH)
        self.pushed(BOTH, self.other)
        assert self.pulled(digest) == self.pulled(digest, self.other) == BOTH
        assert list(self.memory.blobs) == [(digest, 1)]

    def test_a_wrong_digest(self: Any) -> None:
        """
        Bytes that have another digest are no blob; the session is as before, and can be
        committed.
        """
        session_id = self.begun(FIRST)
        for wrong in (digest_of(b"?"), digest_of(b"?", "sha512")):
            committing = self.app.uploads.commit(session_id, wrong, body(SECOND))
            self.refused(committing, DigestInvalid, session_id)
        self.failure_of(self.app.blobs.stat(digest_of(b"?")), BlobUnknown)
        self.failure_of(self.app.tags.page("", 10), NameUnknown)
        self.commit(session_id, digest_of(BOTH), body(SECOND))
        assert self.pulled(digest_of(BOTH)) == BOTH

    def test_other_sessions(self: Any) -> None:
        """A session is unknown to another repository, and what is no id is unknown everywhere."""
        session_id = self.begun(FIRST)
        for uploads, unknown in (
            (self.other.uploads, session_id),
            (self.app.uploads, "00000000-0000-0000-0000-000000000000"),
            (self.app.uploads, session_id.upper()),
            (self.app.uploads, session_id + "\n"),
            (self.app.uploads, "../../../etc/passwd"),
            (self.app.uploads, ""),
        ):
            for work in (
                uploads.offset(unknown),
                uploads.append(unknown, body(b"?")),
                uploads.commit(unknown, digest_of(FIRST), body()),
                uploads.cancel(unknown),
            ):
                self.failure_of(work, BlobUploadUnknown)
        assert self.offset(session_id) == len(FIRST)

    def test_cancelling(self: Any) -> None:
        """A cancelled session is unknown, and its bytes are gone."""
        session_id = self.begun(FIRST)
        self.result_of(self.app.uploads.cancel(session_id))
        assert self.memory.sessions == {}
        for work in (
            self.app.uploads.offset(session_id),
            self.app.uploads.append(session_id, body(SECOND)),
            self.app.uploads.commit(session_id, digest_of(FIRST), body()),
            self.app.uploads.cancel(session_id),
        ):
            self.failure_of(work, BlobUploadUnknown)

    def test_two_writers(self: Any) -> None:
        """
        While one request writes to a session, others are refused and harm neither it nor the
        session.
        """
        session_id, arriving = self.begun(FIRST), ArrivingBody()
        appending = self.append(session_id, arriving)
        self.perform_all()
        arriving.arrive(SECOND)
        self.perform_all()
        for work in (
            self.app.uploads.append(session_id, body(b"?")),
            self.app.uploads.commit(session_id, digest_of(FIRST), body()),
        ):
            self.failure_of(work, RangeNotSatisfiable)
        arriving.end()
        self.perform_all()
        assert self.successResultOf(appending) == len(BOTH)
        self.commit(session_id, digest_of(BOTH), body())

    def test_a_client_goes_in_a_chunk(self: Any) -> None:
        """What came before the client went is kept, and the session is free to go on."""
        session_id, arriving = self.begun(FIRST), ArrivingBody()
        appending = self.append(session_id, arriving)
        self.perform_all()
        arriving.arrive(SECOND)
        self.perform_all()
        appending.cancel()
        self.perform_all()
        self.failureResultOf(appending, CancelledError)
        assert self.offset(session_id) == len(BOTH)
        self.commit(session_id, digest_of(BOTH), body())

    def test_a_client_goes_in_the_last_chunk(self: Any) -> None:
        """That holds for a commit too: it is not made, and can be resumed."""
        session_id, arriving = self.begun(FIRST), ArrivingBody()
        committing = self.begin(self.app.uploads.commit(session_id, digest_of(BOTH), arriving))
        self.perform_all()
        arriving.arrive(SECOND[:3])
        self.perform_all()
        committing.cancel()
        self.perform_all()
        self.failureResultOf(committing, CancelledError)
        assert self.offset(session_id) == len(FIRST) + 3
        self.failure_of(self.app.blobs.stat(digest_of(BOTH)), BlobUnknown)
        self.commit(session_id, digest_of(BOTH), body(SECOND[3:]))

    def test_a_full_storage(self: Any) -> None:
        """
        When there is no room, the producer is stopped; what fitted is kept, and the session
        goes on.
        """
        session_id = self.begun(FIRST)
        self.memory.room = 4
        full = body(SECOND[:2], SECOND[2:], b"never taken")
        self.failure_of(self.app.uploads.append(session_id, full), StorageFull)
        assert full.stopped
        assert self.offset(session_id) == len(FIRST) + 4
        self.memory.room = None
        self.commit(session_id, digest_of(BOTH), body(SECOND[4:]))

    def test_a_full_storage_at_the_end(self: Any) -> None:
        """A commit for which there is no room leaves the session as it was before."""
        session_id = self.begun(FIRST)
        self.memory.room = 4
        committing = self.app.uploads.commit(session_id, digest_of(BOTH), body(SECOND))
        self.failure_of(committing, StorageFull)
        assert self.offset(session_id) == len(FIRST)
        self.memory.room = None
        self.commit(session_id, digest_of(BOTH), body(SECOND))

    def test_a_database_that_is_away_at_the_end(self: Any) -> None:
        """
        A chunk of which nobody can say at its end whether its session is still there is taken back:
        its client may send the same request again, wherever it says that the chunk belongs.
        """
        checked = []
        check = self.registry.records.uploads.check

        async def check_once(session_id: str, name: RepositoryName) -> None:
            checked.append(session_id)
            if len(checked) == 2:
                raise Unavailable("the database does not answer")
            await check(session_id, name)

        failing = Instead(self.registry.records.uploads, {"check": check_once})
        records = evolve(self.registry.records, uploads=failing)
        uploads = evolve(self.registry, records=records).repository(APP).uploads
        for chunk in (None, Chunk(len(FIRST), len(BOTH))):
            session_id = self.begun(FIRST)
            checked.clear()
            self.refused(uploads.append(session_id, body(SECOND), chunk), Unavailable, session_id)
            assert len(checked) == 2
            self.result_of(uploads.append(session_id, body(SECOND), chunk))
            self.commit(session_id, digest_of(BOTH), body())

    def test_a_session_that_could_not_be_made(self: Any) -> None:
        """A refused beginning leaves nothing that could be found, or has to expire."""

        async def refuse(session_id: str, algorithm: str) -> None:
            raise StorageFull("no room for a name")

        uploads = Instead(self.registry.uploads, {"create": refuse})
        refusing = evolve(self.registry, uploads=uploads).repository(APP).uploads
        self.failure_of(refusing.start(), StorageFull)
        [left] = self.result_of(self.registry.records.uploads.idle(self.time.seconds + 1, 10))
        assert left.ended

    def test_cancelled_at_the_last_moment(self: Any) -> None:
        """
        The file of a commit that was overtaken by a cancel is left to the collector, and who pushes
        the same later gets another.
        """
        session_id = self.begun(BOTH)
        digest = digest_of(BOTH)

        async def cancel() -> None:
            await self.registry.records.uploads.end(session_id, APP)

        committing = self.meanwhile(cancel).commit(session_id, digest, body())
        self.failure_of(committing, BlobUploadUnknown)
        assert (digest, 1) in self.memory.blobs
        found = self.result_of(self.database.read(rows, "SELECT generation, size FROM trash"))
        assert found == [(1, len(BOTH))]
        self.failure_of(self.app.blobs.stat(digest), BlobUnknown)
        self.pushed(BOTH)
        assert self.result_of(self.app.blobs.stat(digest)).generation == 2

    def meanwhile(self: Any, *happenings: Then) -> Uploads:
        """Uploads to whose commits something happens between two looks at the database."""
        records = self.registry.records
        met = evolve(records, blobs=Meanwhile(records.blobs, [*happenings]))
        uploads: Uploads = evolve(self.registry, records=met).repository(APP).uploads
        return uploads

    async def collect(self: Any) -> None:
        """The collector decides about the blob, and removes its file."""

        async def doom(cursor: Any) -> None:
            await cursor.change("UPDATE blob SET state = 'doomed'")

        await self.database.transact(doom)
        digest = digest_of(BOTH)
        for generation in [generation for _, generation in self.memory.blobs]:
            await self.registry.blobs.remove(digest, generation)

    async def push_elsewhere(self: Any) -> None:
        """Somebody else pushes the same bytes."""
        uploads = self.other.uploads
        await uploads.commit(await uploads.start(), digest_of(BOTH), body(BOTH))

    async def push_elsewhere_and_collect(self: Any) -> None:
        """Somebody else does, and deletes it; the collector is quick."""
        await self.push_elsewhere()
        await self.collect()

    async def collect_and_push_elsewhere(self: Any) -> None:
        """The blob is collected, and comes back."""
        await self.collect()
        await self.push_elsewhere()

    async def push_collect_and_push_elsewhere(self: Any) -> None:
        """All of that happens while one client commits."""
        await self.push_elsewhere_and_collect()
        await self.push_elsewhere()

    def test_a_blob_is_collected_while_it_is_committed(self: Any) -> None:
        """
        Whatever others do to the same bytes in the meantime, a commit ends with a blob that is
        there.
        """
        for there_before, happening in (
            (True, self.collect),
            (True, self.collect_and_push_elsewhere),
            (False, self.push_elsewhere),
            (False, self.push_elsewhere_and_collect),
            (False, self.push_collect_and_push_elsewhere),
        ):
            if there_before:
                self.pushed(BOTH, self.other)
            session_id = self.begun(BOTH)
            committing = self.meanwhile(happening).commit(session_id, digest_of(BOTH), body())
            self.result_of(committing)
            assert self.pulled(digest_of(BOTH)) == BOTH, happening
            self.failure_of(self.app.uploads.offset(session_id), BlobUploadUnknown)
            assert self.memory.sessions == {}
            self.result_of(self.collect())

    def test_a_session_is_cancelled_while_it_is_committed(self: Any) -> None:
        """Whoever cancels first wins: the commit is refused, and there is no blob."""
        session_id = self.begun(BOTH)

        async def cancel() -> None:
            await self.app.uploads.cancel(session_id)

        committing = self.meanwhile(cancel).commit(session_id, digest_of(BOTH), body())
        self.failure_of(committing, BlobUploadUnknown)
        self.failure_of(self.app.blobs.stat(digest_of(BOTH)), BlobUnknown)

    def test_a_commit_that_fails_can_be_tried_again(self: Any) -> None:
        """If the database takes no commit, the session is there still, with all its bytes."""
        self.commit(self.failed_commit(), digest_of(BOTH), body())

    def without_commit(self: Any, commit: Callable[..., Awaitable[Any]]) -> Uploads:
        """Uploads whose database does not do what it is asked for at the end."""
        records = self.registry.records
        failing = evolve(records, blobs=Without(records.blobs, commit))
        uploads: Uploads = evolve(self.registry, records=failing).repository(APP).uploads
        return uploads

    def failed_commit(self: Any) -> str:
        """A session whose last request sent its last bytes, and failed at the database."""
        session_id: str = self.begun(FIRST)

        async def no_room(*_: object) -> None:
            raise StorageFull("no room for rows")

        uploads = self.without_commit(no_room)
        self.failure_of(uploads.commit(session_id, digest_of(BOTH), body(SECOND)), StorageFull)
        assert self.offset(session_id) == len(BOTH)
        return session_id

    def test_a_commit_that_is_repeated_as_it_was(self: Any) -> None:
        """
        A client may send the request again that failed at the database, with all its bytes: they
        are there already, and wherever they belonged they are not added once more.
        """
        for again, chunk in (
            (body(SECOND), None),
            (chunked(SECOND[:3], SECOND[3:]), None),
            (body(SECOND), Chunk(len(FIRST), len(BOTH))),
            (body(), None),
        ):
            session_id = self.failed_commit()
            self.commit(session_id, digest_of(BOTH), again, chunk)
            assert self.pulled(digest_of(BOTH)) == BOTH
            assert self.memory.sessions == {}
            self.result_of(self.collect())

    def test_what_else_may_come_after_a_failed_commit(self: Any) -> None:
        """Nothing changes the bytes of a session whose commit failed, nor their digest."""
        session_id = self.failed_commit()
        for wrong in (digest_of(b"?"), digest_of(FIRST), digest_of(BOTH + SECOND)):
            committing = self.app.uploads.commit(session_id, wrong, body(SECOND))
            self.failure_of(committing, DigestInvalid)
        appending = self.app.uploads.append(session_id, body(SECOND))
        self.failure_of(appending, BlobUploadInvalid)
        assert self.offset(session_id) == len(BOTH)
        self.commit(session_id, digest_of(BOTH), body(SECOND))

    def full(self: Any) -> Uploads:
        """Uploads of a registry whose database has no room, since the uploads take it all."""
        self.memory.room = 0
        records = self.registry.records
        full = evolve(records, uploads=Full(records.uploads, self.memory))
        uploads: Uploads = evolve(self.registry, records=full).repository(APP).uploads
        return uploads

    def test_cancelling_on_a_full_disk(self: Any) -> None:
        """The bytes of a session that is cancelled make the room that the database needs."""
        session_id = self.begun(FIRST)
        self.result_of(self.full().cancel(session_id))
        assert self.memory.room == len(FIRST)
        assert self.memory.sessions == {}
        self.failure_of(self.app.uploads.offset(session_id), BlobUploadUnknown)

    def test_cancelling_in_vain(self: Any) -> None:
        """Nothing is taken from a session that cannot be cancelled yet."""
        empty, theirs, published = self.begun(), self.begun(FIRST), self.failed_commit()
        busy, arriving = self.begun(FIRST), ArrivingBody()
        appending = self.append(busy, arriving)
        self.perform_all()
        uploads = self.full()
        for session_id in (empty, published, busy):
            self.failure_of(uploads.cancel(session_id), StorageFull)
        records = evolve(self.registry.records, uploads=uploads._registry.records.uploads)
        other = evolve(self.registry, records=records).repository(OTHER)
        self.failure_of(other.uploads.cancel(theirs), BlobUploadUnknown)
        arriving.end()
        self.perform_all()
        self.successResultOf(appending)
        offsets = [self.offset(session_id) for session_id in (empty, theirs, published, busy)]
        assert offsets == [0, len(FIRST), len(BOTH), len(FIRST)]
        self.commit(published, digest_of(BOTH), body())

    def test_abandoning(self: Any) -> None:
        """
        A session that nobody will go on with ends, be the disk full or not; what has ended before
        is no error.
        """
        for uploads in (self.app.uploads, self.full()):
            self.memory.room = None
            session_id = self.begun(FIRST)
            self.memory.room = 0
            for _ in range(2):
                self.result_of(uploads.abandon(session_id))
                assert self.memory.sessions == {}
            self.failure_of(self.app.uploads.offset(session_id), BlobUploadUnknown)

    def test_abandoning_what_somebody_holds(self: Any) -> None:
        """A session that is written to, or committed, is not ended under whoever does that."""
        session_id, arriving = self.begun(FIRST), ArrivingBody()
        appending = self.append(session_id, arriving)
        self.perform_all()
        self.result_of(self.app.uploads.abandon(session_id))
        arriving.arrive(SECOND)
        arriving.end()
        self.perform_all()
        assert self.successResultOf(appending) == len(BOTH)
        assert self.offset(session_id) == len(BOTH)

    def test_abandoning_what_ends_meanwhile(self: Any) -> None:
        """A session that ends by itself between two looks is left to whoever ended it."""
        for content in (b"", FIRST):
            session_id = self.begun(content)

            async def end(session_id: str = session_id) -> None:
                await self.registry.records.uploads.end(session_id, APP)

            overtaken = evolve(self.registry, uploads=Overtaken(self.registry.uploads, end))
            self.result_of(overtaken.repository(APP).uploads.abandon(session_id))
            assert not any(session.busy for session in self.memory.sessions.values())

    def test_abandoning_after_a_failed_commit(self: Any) -> None:
        """A session whose bytes have a blob's name ends too, and the blob keeps them."""
        session_id = self.failed_commit()
        self.result_of(self.app.uploads.abandon(session_id))
        assert self.memory.sessions == {}
        assert [*self.memory.blobs.values()] == [BOTH]

    def test_a_file_that_stays(self: Any) -> None:
        """
        A disk that does not let go of a file spoils no commit and no cancellation: those are
        done.
        """
        uploads = (
            evolve(self.registry, uploads=Stuck(self.registry.uploads)).repository(APP).uploads
        )
        self.result_of(uploads.commit(self.begun(BOTH), digest_of(BOTH), body()))
        assert self.pulled(digest_of(BOTH)) == BOTH
        session_id = self.begun(FIRST)
        self.result_of(uploads.cancel(session_id))
        self.failure_of(self.app.uploads.offset(session_id), BlobUploadUnknown)
        assert len(self.flushLoggedErrors(OSError)) == 2


class UploadsTests(AtOnce, UploadsContract, SynchronousTestCase):
    """Uploads, with threads that are done at once."""


class UploadsOvertakenTests(NewestFirst, UploadsContract, SynchronousTestCase):
    """Uploads, with threads that overtake each other."""


class UploadsLaterTests(OldestFirst, UploadsContract, SynchronousTestCase):
    """Uploads, with threads that take their time."""

    def steps_of(self, work: Deferred[Any], steps: int) -> None:
        """Let threads do only so much."""
        for _ in range(steps):
            if self.later.waiting:
                self.later.perform()

    def test_a_client_goes_at_any_moment_of_a_commit(self) -> None:
        """
        When a client goes, a commit is made or is not; never half, and the session is never
        stuck.
        """
        outcomes = set()
        for steps in range(8):
            content = b"%d" % steps
            session_id, digest = self.begun(content), digest_of(content)
            committing = self.begin(self.app.uploads.commit(session_id, digest, body()))
            self.steps_of(committing, steps)
            committing.addErrback(lambda failure: failure.trap(CancelledError))
            committing.cancel()
            self.perform_all()
            committed = session_id not in self.memory.sessions
            if not committed:
                self.commit(session_id, digest, body())
            assert self.pulled(digest) == content
            outcomes.add(committed)
        assert outcomes == {False, True}

    def test_a_commit_is_carried_through(self) -> None:
        """Once all bytes are there, a commit is made though the client has gone."""
        session_id = self.begun(BOTH)
        committing = self.begin(self.app.uploads.commit(session_id, digest_of(BOTH), body()))
        # The session was looked up; the next job asks for the generation.
        self.later.perform()
        assert self.later.waiting == 1
        committing.cancel()
        self.failureResultOf(committing, CancelledError)
        self.perform_all()
        assert self.pulled(digest_of(BOTH)) == BOTH
        assert self.memory.sessions == {}

    def test_a_commit_that_fails_unseen(self) -> None:
        """A commit that breaks when its client has gone is logged, and the session is free."""
        session_id = self.begun(BOTH)

        answer: Deferred[None] = Deferred()

        async def broken(*_: object) -> None:
            await answer
            raise OSError("the disk")

        uploads = self.without_commit(broken)
        committing = self.begin(uploads.commit(session_id, digest_of(BOTH), body()))
        self.perform_all()
        committing.cancel()
        self.failureResultOf(committing, CancelledError)
        answer.callback(None)
        self.perform_all()
        assert len(self.flushLoggedErrors(OSError)) == 1
        self.commit(session_id, digest_of(BOTH), body())

    def test_abandoning_at_any_moment_of_a_commit(self) -> None:
        """
        When a client goes and its session is abandoned, the commit that is under way comes to its
        end, or is not made and nothing is left.
        """
        outcomes = set()
        for steps in range(8):
            content = b"%d" % steps
            session_id, digest = self.begun(content), digest_of(content)
            committing = self.begin(self.app.uploads.commit(session_id, digest, body()))
            self.steps_of(committing, steps)
            committing.addErrback(lambda failure: failure.trap(CancelledError))
            committing.cancel()
            abandoning = self.begin(self.app.uploads.abandon(session_id))
            self.perform_all()
            self.successResultOf(abandoning)
            committed = any(known == digest for known, _ in self.memory.blobs)
            if committed:
                assert self.pulled(digest) == content
            assert self.memory.sessions == {}
            self.failure_of(self.app.uploads.offset(session_id), BlobUploadUnknown)
            outcomes.add(committed)
        assert outcomes == {False, True}


def test_dropping_is_consuming() -> None:
    """What drops the bytes of a repeated request provides what bodies are delivered to."""
    assert verifyObject(IConsumer, Dropped())
