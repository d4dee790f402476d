"""
Work off the reactor thread, and how it meets cancellation.

A handler is cancelled when its client goes, but a thread cannot be: whoever gave it a file
descriptor must not close that before the thread is done. L{Lane} knows when that is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, field
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from ociregd.interfaces import InThread


class WorkerService(Service):
    """
    A pool of threads that lives as long as the service, and ends when its work is done.
    """

    def __init__(self, reactor: IReactorFromThreads, name: str, threads: int) -> None:
        self._reactor = reactor
        # None before there is work: one that waits for its first job would keep the process from
        # ending if another part of the daemon does not start.
        self._pool = ThreadPool(0, threads, name)
        self._under_way = 0
        self._idle: Deferred[None] | None = None

    def startService(self) -> None:
        super().startService()
        self._pool.start()

    async def _stop(self) -> None:
        # What a finished job sets off may bring the next one: look again each time.
        while self._under_way:
            self._idle = Deferred()
            await self._idle
        self._pool.stop()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    def in_thread(self, f: Callable[..., Any], *args: object) -> Deferred[Any]:
        """
        Run C{f(*args)} in a thread. Cancelling the result does not stop it.
        """
        self._under_way += 1
        done: Deferred[Any] = Deferred()

        def finished(result: object) -> None:
            self._under_way -= 1
            done.callback(result)
            if not self._under_way and self._idle is not None:
                idle, self._idle = self._idle, None
                idle.callback(None)

        deferToThreadPool(self._reactor, self._pool, f, *args).addBoth(finished)
        return done


@define
class Lane:
    """
    Jobs in threads, one at a time and in order: a Deferred used as a queue.
    """

    _in_thread: InThread
    _tail: Deferred[None] | None = field(default=None, init=False)

    def run(self, f: Callable[..., Any], *args: object) -> Deferred[Any]:
        """
        Run C{f(*args)} when all jobs before it are done. Cancelling the result does not stop it.
        """
        result: Deferred[Any] = Deferred()
        before, mine = self._tail, Deferred[None]()
        self._tail = mine

        def finished(outcome: object) -> None:
            if self._tail is mine:
                self._tail = None
            result.callback(outcome)
            mine.callback(None)

        def start(_: None) -> None:
            self._in_thread(f, *args).addBoth(finished)

        if before is None:
            start(None)
        else:
            before.addCallback(start)
        return result


def carried_through(
    work: Deferred[Any],
    undo: Callable[[Any], object] | None = None,
    expected: Sequence[type[Exception]] = (),
) -> Deferred[Any]:
    """
    Let work go on to its end even if whoever waits for it is cancelled.

    @param undo: called with the result that nobody waits for any more.
    @param expected: what is not worth a line in the log then: nobody is there to hear it.
    """
    waiting: Deferred[Any] = Deferred()

    def finished(result: object) -> None:
        if not waiting.called:
            waiting.callback(result)
        elif isinstance(result, Failure):
            if result.check(*expected) is None:
                Logger().failure("failed after its client had gone", failure=result)
        elif undo is not None:
            undo(result)

    work.addBoth(finished)
    return waiting
