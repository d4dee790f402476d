"""
Tests for L{ociregd.threads}.
"""

from __future__ import annotations

import threading
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from ociregd.threads import Lane, WorkerService, carried_through

from .workers import PATIENCE_SECONDS, AtOnce, Later, NewestFirst, OldestFirst, RealThreads, now


class Mistake(Exception):
    """What a job may raise."""


def fail_with(problem: Exception) -> None:
    """A job that fails."""
    raise problem


class WorkersTests(SynchronousTestCase):
    """The threads of these tests do what threads do."""

    def test_now(self) -> None:
        """A job is done at once, and what it raises is the failure of its result."""
        assert self.successResultOf(now(divmod, 7, 2)) == (3, 1)
        self.failureResultOf(now(fail_with, Mistake()), Mistake)

    def test_later(self) -> None:
        """A job is done when that is said, and any of those that wait."""
        later, done = Later(), list[int]()
        results = [later(done.append, number) for number in range(3)]
        assert (later.waiting, done) == (3, [])
        later.perform(-1)
        later.perform()
        assert done == [2, 0]
        self.assertNoResult(results[1])
        later.perform_all()
        assert (later.waiting, done) == (0, [2, 0, 1])
        for result in results:
            self.successResultOf(result)

    def test_later_fails(self) -> None:
        """What a job raises is the failure of its result."""
        later = Later()
        result = later(fail_with, Mistake())
        later.perform_all()
        self.failureResultOf(result, Mistake)

    def test_later_goes_on_without_its_client(self) -> None:
        """A job whose result was cancelled is done all the same."""
        later, done = Later(), list[int]()
        result = later(done.append, 1)
        result.cancel()
        self.failureResultOf(result, CancelledError)
        later.perform_all()
        assert done == [1]


class WorkerServiceTests(SynchronousTestCase):
    """Real threads."""

    def setUp(self) -> None:
        self.reactor = RealThreads()
        self.service = WorkerService(self.reactor, "test", 4)
        self.service.startService()
        self.stopped: list[object] = []
        self.addCleanup(self.stop)

    def stop(self) -> None:
        """Stop, and wait for it."""
        if self.service.running:
            self.begin_stop()
        self.reactor.turn_until(lambda: self.stopped)

    def begin_stop(self) -> None:
        """Stop, and go on."""
        self.service.stopService().addBoth(self.stopped.append)

    def ended(self, result: Deferred[Any]) -> Deferred[Any]:
        """Wait until there is a result."""
        self.reactor.turn_until(lambda: result.called)
        return result

    def test_runs_elsewhere(self) -> None:
        """A job runs in another thread, and its result arrives in this one."""
        result = self.service.in_thread(threading.get_ident)
        assert self.successResultOf(self.ended(result)) != threading.get_ident()

    def test_several_at_once(self) -> None:
        """Jobs do not wait for each other."""
        meeting = threading.Barrier(3)
        results = [self.service.in_thread(meeting.wait, PATIENCE_SECONDS) for _ in range(3)]
        assert sorted(self.successResultOf(self.ended(result)) for result in results) == [0, 1, 2]

    def test_failures(self) -> None:
        """What a job raises is the failure of its result."""
        self.failureResultOf(self.ended(self.service.in_thread(fail_with, Mistake())), Mistake)

    def test_cancelled(self) -> None:
        """Cancelling a result lets the job end, and the stop waits for that."""
        go, done = threading.Event(), list[object]()
        result = self.service.in_thread(lambda: done.append(go.wait(PATIENCE_SECONDS)))
        result.cancel()
        self.failureResultOf(result, CancelledError)
        self.begin_stop()
        assert (self.stopped, done) == ([], [])
        go.set()
        self.stop()
        assert done == [True]

    def test_stopping_without_work(self) -> None:
        """A service with nothing to do stops at once."""
        self.begin_stop()
        assert self.stopped == [None]

    def test_stopping_waits_for_what_jobs_set_off(self) -> None:
        """Jobs that come of the results of others while the service stops are done too."""
        done: list[int] = []

        async def work() -> None:
            for number in range(5):
                await self.service.in_thread(done.append, number)

        working = Deferred.fromCoroutine(work())
        self.begin_stop()
        self.stop()
        self.successResultOf(working)
        assert done == [0, 1, 2, 3, 4]

    def test_no_thread_is_left(self) -> None:
        """After the stop the threads are gone."""
        self.ended(self.service.in_thread(int))
        self.stop()
        assert not [thread for thread in threading.enumerate() if "test" in thread.name]

    def test_starting_again(self) -> None:
        """A service that was stopped before it started, or has nothing to do, stops cleanly."""
        service = WorkerService(self.reactor, "unused", 1)
        service.startService()
        self.successResultOf(service.stopService())


class LaneContract:
    """
    What a lane does, whatever the threads.
    """

    def setUp(self: Any) -> None:
        super().setUp()
        self.lane = Lane(self.in_thread)
        self.done: list[object] = []

    def test_results(self: Any) -> None:
        """A job's result is its own, be it a failure, and what comes after is not harmed."""
        results = [
            self.lane.run(divmod, 7, 2),
            self.lane.run(fail_with, Mistake()),
            self.lane.run(divmod, 9, 2),
        ]
        self.perform_all()
        assert self.successResultOf(results[0]) == (3, 1)
        self.failureResultOf(results[1], Mistake)
        assert self.successResultOf(results[2]) == (4, 1)

    def test_order(self: Any) -> None:
        """Jobs are done in the order in which they came, also when more come in between."""
        for number in range(5):
            self.lane.run(self.done.append, number)
        self.perform_all()
        for number in range(5, 10):
            self.lane.run(self.done.append, number)
        self.perform_all()
        assert self.done == list(range(10))

    def test_order_of_what_results_set_off(self: Any) -> None:
        """A job that comes of a result is done after those that came before it."""

        def more(_: None) -> None:
            self.lane.run(self.done.append, "more")

        self.lane.run(self.done.append, "first").addCallback(more)
        self.lane.run(self.done.append, "second")
        self.perform_all()
        assert sorted(self.done, key=str) == ["first", "more", "second"]
        assert self.done[0] == "first"

    def test_one_job_sets_off_the_next(self: Any) -> None:
        """A chain of jobs, each of which comes of the one before, does not stall."""

        async def chain() -> int:
            for number in range(50):
                await self.lane.run(self.done.append, number)
            return len(self.done)

        assert self.result_of(chain()) == 50

    def test_a_long_queue(self: Any) -> None:
        """However many jobs wait, they do not pile up on the stack."""
        for number in range(5000):
            self.lane.run(self.done.append, number)
        self.perform_all()
        assert self.done == list(range(5000))


class LaneTests(AtOnce, LaneContract, SynchronousTestCase):
    """A lane whose jobs are done at once."""


class LaneLaterTests(OldestFirst, LaneContract, SynchronousTestCase):
    """A lane whose jobs take their time."""

    def test_one_at_a_time(self) -> None:
        """The next job begins when the one before has ended, not earlier."""
        for number in range(3):
            self.lane.run(self.done.append, number)
        for number in range(3):
            assert (self.later.waiting, len(self.done)) == (1, number)
            self.later.perform()

    def test_cancelling(self) -> None:
        """Who waits may be cancelled: the job is done in its turn, and the next one after it."""
        results = [self.lane.run(self.done.append, number) for number in range(3)]
        for result in results[:2]:
            result.cancel()
            self.failureResultOf(result, CancelledError)
        assert self.later.waiting == 1
        self.perform_all()
        assert self.done == [0, 1, 2]
        self.successResultOf(results[2])

    def test_cancelling_keeps_the_order(self) -> None:
        """A job that comes after a cancelled one does not overtake the thread that still works."""
        self.lane.run(self.done.append, "cancelled").addErrback(lambda _: None).cancel()
        self.lane.run(self.done.append, "next")
        assert self.later.waiting == 1
        self.perform_all()
        assert self.done == ["cancelled", "next"]

    def test_lanes_are_independent(self) -> None:
        """Two lanes do not wait for each other."""
        other = Lane(self.in_thread)
        self.lane.run(self.done.append, "one")
        other.run(self.done.append, "other")
        assert self.later.waiting == 2
        self.later.perform(-1)
        assert self.done == ["other"]
        self.perform_all()


class LaneOvertakenTests(NewestFirst, LaneContract, SynchronousTestCase):
    """A lane among threads that overtake each other."""


class CarriedThroughTests(SynchronousTestCase):
    """Work that goes on when nobody waits for it any more."""

    def test_results(self) -> None:
        """Who waits gets the result, or the failure."""
        assert self.successResultOf(carried_through(succeed(1), self.fail)) == 1
        self.failureResultOf(carried_through(fail(Mistake())), Mistake)
        work: Deferred[int] = Deferred()
        waiting = carried_through(work, self.fail)
        self.assertNoResult(waiting)
        work.callback(2)
        assert self.successResultOf(waiting) == 2

    def test_goes_on(self) -> None:
        """Cancelling who waits does not cancel the work."""
        cancelled: list[object] = []
        work: Deferred[int] = Deferred(cancelled.append)
        waiting = carried_through(work)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        assert (cancelled, work.called) == ([], False)
        work.callback(1)

    def test_undone(self) -> None:
        """A result that comes when nobody waits any more is undone."""
        undone: list[int] = []
        work: Deferred[int] = Deferred()
        waiting = carried_through(work, undone.append)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        work.callback(7)
        assert undone == [7]

    def test_fails_unseen(self) -> None:
        """A failure that comes when nobody waits any more is logged, and nothing is undone."""
        work: Deferred[int] = Deferred()
        waiting = carried_through(work, self.fail)
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        work.errback(Mistake())
        assert len(self.flushLoggedErrors(Mistake)) == 1

    def test_expected_to_fail(self) -> None:
        """A failure that is expected is not logged when nobody waits; who waits gets it."""
        work: Deferred[int] = Deferred()
        waiting = carried_through(work, expected=[Mistake])
        waiting.cancel()
        self.failureResultOf(waiting, CancelledError)
        work.errback(Mistake())
        assert self.flushLoggedErrors() == []
        self.failureResultOf(carried_through(fail(Mistake()), expected=[Mistake]), Mistake)
