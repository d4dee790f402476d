"""
Threads for tests: some run a job at once, some wait to be told, and some are real.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from queue import SimpleQueue
from typing import Any, ClassVar

from attrs import define, field, frozen
from twisted.internet.defer import Deferred, execute
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.testing import MemoryReactorClock
from zope.interface import implementer

from ociregd.interfaces import InThread

#: A test that waits this long for a thread has failed.
PATIENCE_SECONDS = 10.0


def now(f: Callable[..., Any], *args: object) -> Deferred[Any]:
    """
    Run C{f(*args)} at once, as if a thread had already done it.
    """
    return execute(f, *args)


@frozen
class Job:
    """Something that a thread would do."""

    f: Callable[..., Any]
    args: tuple[object, ...]
    done: Deferred[Any] = field(factory=Deferred)


@define
class Later:
    """
    Runs nothing until it is told to: what is under way may be looked at, cancelled or overtaken.

    Whoever wants order among its jobs has to see to that: jobs may be performed in any.
    """

    _waiting: list[Job] = field(factory=list, init=False)

    def __call__(self, f: Callable[..., Any], *args: object) -> Deferred[Any]:
        job = Job(f, args)
        self._waiting.append(job)
        return job.done

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._waiting)

    def perform(self, which: int = 0) -> None:
        """Run one job: the oldest, unless C{which} says another."""
        job = self._waiting.pop(which)
        execute(job.f, *job.args).chainDeferred(job.done)

    def perform_all(self, which: int = 0) -> None:
        """Run jobs, those too that others bring, until none waits."""
        while self._waiting:
            self.perform(which)

    def perform_in_turns(self, turns: Iterable[int]) -> None:
        """Run jobs until none waits: first those that C{turns} say, and then the oldest each."""
        for which in turns:
            if self._waiting:
                self.perform(which)
        self.perform_all()


class AtOnce:
    """
    Mixed into a test case: asynchronous work whose threads run each job at once.
    """

    in_thread: InThread = staticmethod(now)

    def perform_all(self) -> None:
        """Nothing waits."""

    def begin(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        """Go as far as is possible without a thread."""
        return Deferred.fromCoroutine(work)

    def result_of(self: Any, work: Coroutine[Any, Any, Any]) -> Any:
        """Go to the end, and return what came of it."""
        ending = self.begin(work)
        self.perform_all()
        return self.successResultOf(ending)

    def failure_of(
        self: Any, work: Coroutine[Any, Any, Any], *expected: type[BaseException]
    ) -> Any:
        """Go to the end, which has to be one of the expected exceptions, and return that."""
        ending = self.begin(work)
        self.perform_all()
        return self.failureResultOf(ending, *expected).value


class OldestFirst(AtOnce):
    """
    Mixed into a test case: asynchronous work whose threads take their time.
    """

    which: ClassVar[int] = 0

    def setUp(self) -> None:
        self.later = self.in_thread = Later()
        super().setUp()  # type: ignore[misc]

    def perform_all(self) -> None:
        """Let the threads do all that there is to do."""
        self.later.perform_all(self.which)


class NewestFirst(OldestFirst):
    """
    Mixed into a test case: asynchronous work whose threads overtake each other.
    """

    which = -1


@implementer(IReactorFromThreads)
class RealThreads(MemoryReactorClock):
    """
    A reactor without a network whose threads are real: a test turns it until something has
    happened.
    """

    def __init__(self) -> None:
        super().__init__()
        self._from_threads: SimpleQueue[Callable[[], object]] = SimpleQueue()

    def callFromThread(self, f: Callable[..., object], *args: object, **named: object) -> None:
        self._from_threads.put(lambda: f(*args, **named))

    def turn_until(self, happened: Callable[[], object]) -> None:
        """
        Run what threads want to be run, until C{happened} is true.

        @raise queue.Empty: if no thread wants anything any more.
        """
        while not happened():
            self._from_threads.get(timeout=PATIENCE_SECONDS)()
