"""
Tests for L{ociregd.registry.expiry}, and for the service that sweeps at intervals.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, cast

from attrs import evolve, field, frozen
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import BlobUploadUnknown, StorageFull, TooManyRequests
from ociregd.interfaces import IUpload, IUploads
from ociregd.oci.digest import digest_of
from ociregd.registry.expiry import BATCH, UploadExpiry
from ociregd.service import upload_expiry_service

from ..fakes import ArrivingBody, Memory, body
from ..workers import AtOnce, OldestFirst
from .cases import APP, FIRST, Instead, RegistryCase

LIFETIME = 3600.0


class Broken(Exception):
    """What a disk or a database may come up with."""


@frozen
class OnePoisoned:
    """
    Sessions of which one cannot be opened.
    """

    _uploads: IUploads
    _poisoned: str

    async def open(self, session_id: str, algorithm: str | None) -> IUpload:
        if session_id == self._poisoned:
            raise Broken(session_id)
        return await self._uploads.open(session_id, algorithm)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uploads, name)


@frozen
class OneStuck:
    """
    Sessions of which one cannot be removed.
    """

    _uploads: IUploads
    _stuck: str
    _problem: Exception = field(factory=OSError)

    async def remove(self, session_id: str) -> None:
        if session_id == self._stuck:
            raise self._problem
        await self._uploads.remove(session_id)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._uploads, name)


@frozen
class Failing:
    """
    Upload records that cannot be listed as long as something is wrong.
    """

    _records: Any
    _wrong: list[Exception]

    def idle(self, before: float, count: int) -> Awaitable[Any]:
        if self._wrong:
            raise self._wrong.pop()
        answer: Awaitable[Any] = self._records.idle(before, count)
        return answer

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


@frozen
class Noting:
    """
    Upload records that note how many they are asked for.
    """

    _records: Any
    counts: list[int] = field(factory=list, init=False)

    async def idle(self, before: float, count: int) -> Any:
        self.counts.append(count)
        return await self._records.idle(before, count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


@frozen
class Full:
    """
    Upload records in a database that has no room, as long as the memory has none.

    @ivar _then: what happens when it is found to be so.
    """

    _records: Any
    _memory: Memory
    _then: Callable[[], Awaitable[None]]

    async def expire(self, session_id: str, before: float) -> bool:
        await self._check()
        expired: bool = await self._records.expire(session_id, before)
        return expired

    async def touch(self, session_id: str, now: float) -> None:
        await self._check()
        await self._records.touch(session_id, now)

    async def forget(self, session_ids: Sequence[str]) -> None:
        await self._check()
        await self._records.forget(session_ids)

    async def _check(self) -> None:
        if not self._memory.room:
            await self._then()
            raise StorageFull("no room for rows")

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


async def nothing() -> None:
    """Nothing happens."""


@contextmanager
def warnings() -> Iterator[list[str]]:
    """What is said to the operator meanwhile that is worth a look, but no error."""
    said: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"] == LogLevel.warn:
            said.append(str(formatEvent(event)))

    observer = cast(ILogObserver, observe)
    globalLogPublisher.addObserver(observer)
    try:
        yield said
    finally:
        globalLogPublisher.removeObserver(observer)


class ExpiryContract(RegistryCase):
    """
    What a sweep does, whatever the threads.
    """

    def expiry(self: Any, uploads: Any = None, records: Any = None) -> UploadExpiry:
        """The expiry of this registry."""
        registry = self.registry
        return UploadExpiry(
            uploads or registry.uploads, records or registry.records, self.time, LIFETIME
        )

    def expire(self: Any) -> int:
        """Sweep once; how many have expired."""
        count: int = self.result_of(self.expiry().expire())
        return count

    def is_known(self: Any, session_id: str) -> bool:
        """Whether a session has not ended."""
        return session_id in self.memory.sessions

    def test_idle_sessions_end(self: Any) -> None:
        """A session that nobody has used for its lifetime is unknown, and its bytes are gone."""
        session_id = self.begun(FIRST)
        self.time.seconds += LIFETIME
        assert self.expire() == 0
        assert self.offset(session_id) == len(FIRST)
        self.time.seconds += 1
        assert self.expire() == 1
        self.failure_of(self.app.uploads.offset(session_id), BlobUploadUnknown)
        assert self.memory.sessions == {}
        assert self.expire() == 0

    def test_used_sessions_stay(self: Any) -> None:
        """A session that is used again and again never expires."""
        session_id = self.begun(FIRST)
        for _ in range(20):
            self.time.seconds += LIFETIME / 2
            self.result_of(self.app.uploads.append(session_id, body(b"?")))
            assert self.expire() == 0
        assert self.offset(session_id) == len(FIRST) + 20

    def test_a_session_has_its_whole_life_after_each_use(self: Any) -> None:
        """Though not each use is noted, none is overlooked."""
        session_id = self.begun(FIRST)
        self.time.seconds += LIFETIME / 8
        self.result_of(self.app.uploads.append(session_id, body(b"?")))
        self.time.seconds += LIFETIME
        assert self.expire() == 0
        assert self.is_known(session_id)
        self.time.seconds += 1
        assert self.expire() == 1

    def test_a_session_that_was_cut_off(self: Any) -> None:
        """A client that was cut off after a long while has the whole life to come back."""
        session_id, arriving = self.begun(), ArrivingBody()
        appending = self.append(session_id, arriving)
        self.perform_all()
        self.time.seconds += LIFETIME - 1
        arriving.arrive(FIRST)
        self.perform_all()
        appending.cancel()
        self.perform_all()
        self.failureResultOf(appending)
        self.time.seconds += LIFETIME
        assert self.expire() == 0
        assert self.offset(session_id) == len(FIRST)

    def test_a_session_that_is_written_to(self: Any) -> None:
        """However long a request takes, its session is not idle; it has a whole life after that."""
        session_id, arriving = self.begun(), ArrivingBody()
        appending = self.append(session_id, arriving)
        self.perform_all()
        self.time.seconds += 10 * LIFETIME
        assert self.expire() == 0
        arriving.arrive(FIRST)
        arriving.end()
        self.perform_all()
        assert self.successResultOf(appending) == len(FIRST)
        self.time.seconds += LIFETIME
        assert self.expire() == 0
        self.time.seconds += 1
        assert self.expire() == 1

    def test_many(self: Any) -> None:
        """One sweep ends all that are idle, however many, a batch at a time."""
        kept = 3
        for _ in range(BATCH + BATCH // 2):
            self.begun()
        self.time.seconds += LIFETIME + 1
        young = {self.begun() for _ in range(kept)}
        noting = Noting(self.registry.records.uploads)
        expiry = self.expiry(records=evolve(self.registry.records, uploads=noting))
        assert self.result_of(expiry.expire()) == BATCH + BATCH // 2
        assert set(self.memory.sessions) == young
        assert noting.counts == [BATCH] * 3

    def test_rows_without_bytes(self: Any) -> None:
        """A session whose file never came to be, for a crash, expires like the others."""
        session_id = self.begun()
        self.memory.sessions.clear()
        self.time.seconds += LIFETIME + 1
        assert self.expire() == 1
        checking = self.registry.records.uploads.check(session_id, APP)
        self.failure_of(checking, BlobUploadUnknown)

    def test_a_poisoned_session(self: Any) -> None:
        """A session that cannot be ended does not keep the others, nor the sweep from its end."""
        poisoned, *others = [self.begun() for _ in range(BATCH + 1)]
        self.time.seconds += LIFETIME + 1
        expiry = self.expiry(uploads=OnePoisoned(self.registry.uploads, poisoned))
        assert self.result_of(expiry.expire()) == len(others)
        assert set(self.memory.sessions) == {poisoned}
        assert len(self.flushLoggedErrors(Broken)) == 1
        assert self.result_of(expiry.expire()) == 0
        self.time.seconds += LIFETIME + 1
        assert self.expire() == 1

    def test_a_session_that_cannot_be_opened_for_now(self: Any) -> None:
        """What passes is no use of a session: it does not live longer for it."""
        self.begun(FIRST)
        self.time.seconds += LIFETIME + 1

        async def refuse(*_: Any) -> None:
            raise TooManyRequests("too many files are open")

        refusing = Instead(self.registry.uploads, {"open": refuse})
        assert self.result_of(self.expiry(uploads=refusing).expire()) == 0
        assert self.expire() == 1

    def test_a_sweep_never_fails(self: Any) -> None:
        """What goes wrong is logged, and the next sweep does what this one did not."""
        self.begun()
        self.time.seconds += LIFETIME + 1
        records = self.registry.records
        failing = evolve(records, uploads=Failing(records.uploads, [Broken("database")]))
        expiry = self.expiry(records=failing)
        self.result_of(expiry.sweep())
        assert len(self.flushLoggedErrors(Broken)) == 1
        assert len(self.memory.sessions) == 1
        self.result_of(expiry.sweep())
        assert self.memory.sessions == {}

    def test_a_full_disk_takes_nothing_from_those_in_use(self: Any) -> None:
        """A session that was written to lately keeps its bytes, even if that cannot be noted."""
        session_id = self.begun(FIRST)
        self.time.seconds += LIFETIME
        self.result_of(self.app.uploads.append(session_id, body(b"?")))
        self.time.seconds += 1

        async def refuse(*_: Any) -> None:
            raise StorageFull("no room for a note")

        records = self.registry.records
        others = {"touch": refuse, "expire": refuse}
        full = evolve(records, uploads=Instead(records.uploads, others))
        assert self.result_of(self.expiry(records=full).expire()) == 0
        assert self.offset(session_id) == len(FIRST) + 1

    def test_what_a_crash_left_behind(self: Any) -> None:
        """The file of a session that ended, but was not removed, goes with the next sweep."""
        session_id = self.begun(FIRST)
        self.result_of(self.registry.records.uploads.end(session_id, APP))
        assert self.is_known(session_id)
        assert self.expire() == 0
        assert self.memory.sessions == {}
        assert self.result_of(self.registry.records.uploads.idle(self.time.seconds, 10)) == []

    def test_a_file_that_stays(self: Any) -> None:
        """A file that cannot be removed is for a later sweep, and does not keep this one."""
        stuck, other = self.begun(FIRST), self.begun(FIRST)
        self.time.seconds += LIFETIME + 1
        expiry = self.expiry(uploads=OneStuck(self.registry.uploads, stuck))
        assert self.result_of(expiry.expire()) == 2
        assert set(self.memory.sessions) == {stuck}
        assert len(self.flushLoggedErrors(OSError)) == 1
        assert other not in self.memory.sessions
        assert self.expire() == 0
        assert self.memory.sessions == {}

    def full(self: Any, then: Callable[[], Awaitable[None]] = nothing) -> UploadExpiry:
        """The expiry of this registry, whose database has no room for now."""
        self.memory.room = 0
        records = self.registry.records
        full = Full(records.uploads, self.memory, then)
        return cast(UploadExpiry, self.expiry(records=evolve(records, uploads=full)))

    def test_a_full_disk(self: Any) -> None:
        """The bytes of the first session that has some make the room in which all others end."""
        for content in (b"", FIRST, b"", FIRST):
            self.begun(content)
        self.time.seconds += LIFETIME + 1
        expiry = self.full()
        with warnings() as said:
            self.result_of(expiry.sweep())
            assert len(self.memory.sessions) == 1
            self.result_of(expiry.sweep())
        assert self.memory.sessions == {}
        assert [line for line in said if "1 uploads stay" in line] == said
        assert len(said) == 1

    def test_nothing_to_give(self: Any) -> None:
        """
        Sessions that make no room stay on a full disk, and hide no other; the operator gets one
        line, and they end when there is room.
        """
        for _ in range(BATCH + 1):
            self.begun()
        self.time.seconds += 1
        last = self.begun(FIRST)
        self.time.seconds += LIFETIME + 1
        expiry = self.full()
        with warnings() as said:
            self.result_of(expiry.sweep())
        assert not self.is_known(last)
        assert len(self.memory.sessions) == BATCH + 1
        assert len(said) == 1
        self.result_of(expiry.sweep())
        assert self.memory.sessions == {}

    def test_published_bytes_on_a_full_disk(self: Any) -> None:
        """A session whose commit failed keeps its bytes, which are a blob's."""
        session_id = self.begun(FIRST)
        upload = self.result_of(self.registry.uploads.open(session_id, None))
        self.result_of(upload.publish(digest_of(FIRST), 1))
        self.result_of(upload.close())
        self.time.seconds += LIFETIME + 1
        self.result_of(self.full().sweep())
        assert self.offset(session_id) == len(FIRST)

    def test_a_session_in_use_on_a_full_disk(self: Any) -> None:
        """Neither a session that is written to, nor one that was in between, loses its bytes."""
        written, arriving = self.begun(FIRST), ArrivingBody()
        appending = self.append(written, arriving)
        self.perform_all()
        used = self.begun(FIRST)
        self.time.seconds += LIFETIME + 1

        async def use() -> None:
            await self.registry.records.uploads.touch(used, self.time.seconds)

        self.result_of(self.full(use).sweep())
        arriving.end()
        self.perform_all()
        assert self.successResultOf(appending) == self.offset(used) == len(FIRST)

    def test_forgetting_on_a_full_disk(self: Any) -> None:
        """What is left of ended sessions can wait for room, and keeps no sweep from its end."""
        session_id = self.begun()
        uploads = self.registry.records.uploads
        self.result_of(uploads.end(session_id, APP))
        expiry = self.full()
        with warnings() as said:
            self.result_of(expiry.sweep())
        assert len(said) == 1
        assert len(self.result_of(uploads.idle(self.time.seconds, 10))) == 1
        self.memory.room = None
        self.result_of(self.expiry().sweep())
        assert self.result_of(uploads.idle(self.time.seconds, 10)) == []

    def test_a_file_that_stays_on_a_full_disk(self: Any) -> None:
        """Where even removing a file takes room, that is a line too, and for the next sweep."""
        stuck, other = self.begun(FIRST), self.begun(FIRST)
        self.time.seconds += LIFETIME + 1
        full = OneStuck(self.registry.uploads, stuck, StorageFull("no room to remove it"))
        with warnings() as said:
            self.result_of(self.expiry(uploads=full).sweep())
        assert (self.is_known(stuck), self.is_known(other), len(said)) == (True, False, 1)
        assert self.expire() == 0
        assert self.memory.sessions == {}

    def test_a_refusal_is_no_fault(self: Any) -> None:
        """A database that is locked or read-only ends a sweep with a line, not with a traceback."""
        self.begun()
        self.time.seconds += LIFETIME + 1
        records = self.registry.records
        locked = [TooManyRequests("another process keeps it locked")]
        failing = evolve(records, uploads=Failing(records.uploads, locked))
        expiry = self.expiry(records=failing)
        with warnings() as said:
            self.result_of(expiry.sweep())
        assert said == ["upload expiry ended early: another process keeps it locked"]
        self.result_of(expiry.sweep())
        assert self.memory.sessions == {}

    def test_a_committed_blob_stays(self: Any) -> None:
        """What was committed does not expire with its session."""
        self.pushed(FIRST)
        self.time.seconds += 10 * LIFETIME
        assert self.expire() == 0
        assert self.pulled(digest_of(FIRST)) == FIRST


class ExpiryTests(AtOnce, ExpiryContract, SynchronousTestCase):
    """Sweeps, with threads that are done at once."""


class ExpiryLaterTests(OldestFirst, ExpiryContract, SynchronousTestCase):
    """Sweeps, with threads that take their time."""

    def test_a_session_that_comes_to_use_in_a_sweep(self) -> None:
        """A session that is noted to be in use while a sweep looks at it stays."""
        session_id = self.begun(FIRST)
        self.time.seconds += LIFETIME + 1
        expiring = self.begin(self.expiry().expire())
        touching = self.begin(self.registry.records.uploads.touch(session_id, self.time.seconds))
        # The idle ones are listed, and then the note comes before the end.
        self.perform_all()
        self.successResultOf(touching)
        assert self.successResultOf(expiring) == 0
        assert self.offset(session_id) == len(FIRST)

    def test_stopping_in_a_sweep(self) -> None:
        """
        A service that stops while it sweeps has stopped when the upload that it is at has ended;
        when it starts again, it goes on with the others.
        """
        for _ in range(5):
            self.begun(FIRST)
        self.time.seconds += LIFETIME + 1
        clock = Clock()
        service = upload_expiry_service(self.expiry(), clock, 300.0)
        service.startService()
        # The idle ones are known, and the first is being ended.
        self.later.perform()
        stopping = service.stopService()
        self.assertNoResult(stopping)
        self.perform_all()
        self.successResultOf(stopping)
        assert clock.getDelayedCalls() == []
        assert len(self.memory.sessions) == 4
        service.startService()
        self.perform_all()
        assert self.memory.sessions == {}
        self.successResultOf(service.stopService())

    def test_stopping_before_the_first(self) -> None:
        """A service that stops while the database is asked which are idle ends none."""
        self.begun(FIRST)
        self.time.seconds += LIFETIME + 1
        service = upload_expiry_service(self.expiry(), Clock(), 300.0)
        service.startService()
        stopping = service.stopService()
        self.perform_all()
        self.successResultOf(stopping)
        assert len(self.memory.sessions) == 1


class ServiceTests(AtOnce, RegistryCase, SynchronousTestCase):
    """The service beside the HTTP service."""

    interval = 300.0

    def setUp(self) -> None:
        super().setUp()
        self.clock = Clock()
        self.sweeps = 0
        self.do: Callable[[], None] = lambda: None

    def service(self) -> Any:
        """A service that counts its sweeps."""
        registry = self.registry
        uploads = evolve(registry.records, uploads=Counting(registry.records.uploads, self.swept))
        expiry = UploadExpiry(registry.uploads, uploads, self.time, LIFETIME)
        return upload_expiry_service(expiry, self.clock, self.interval)

    def swept(self) -> None:
        """Somebody looks for idle sessions."""
        self.sweeps += 1
        self.do()

    def test_sweeps_at_intervals(self) -> None:
        """There is a sweep at the start, and one after each interval; none after the stop."""
        service = self.service()
        service.startService()
        assert self.sweeps == 1
        self.clock.advance(self.interval - 1)
        assert self.sweeps == 1
        self.clock.advance(1)
        assert self.sweeps == 2
        self.successResultOf(service.stopService())
        assert self.clock.getDelayedCalls() == []
        self.clock.advance(10 * self.interval)
        assert self.sweeps == 2

    def test_expires(self) -> None:
        """Idle sessions end with the next sweep."""
        service = self.service()
        service.startService()
        self.begun(FIRST)
        self.time.seconds += LIFETIME + 1
        self.clock.advance(self.interval)
        assert self.memory.sessions == {}
        self.successResultOf(service.stopService())

    def test_goes_on_after_a_failure(self) -> None:
        """A sweep that fails is not the last one."""

        def fail() -> None:
            raise Broken

        self.do = fail
        service = self.service()
        service.startService()
        self.clock.advance(self.interval)
        assert len(self.flushLoggedErrors(Broken)) == self.sweeps == 2
        self.do = lambda: None
        self.clock.advance(self.interval)
        assert self.sweeps == 3
        self.successResultOf(service.stopService())


@frozen
class Counting:
    """
    Upload records that tell when they are asked for idle sessions.
    """

    _records: Any
    _asked: Callable[[], None]

    async def idle(self, before: float, count: int) -> Any:
        self._asked()
        return await self._records.idle(before, count)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)
