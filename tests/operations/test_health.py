"""
Tests for L{ociregd.operations.health}.
"""

from __future__ import annotations

import gc
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import Unavailable
from ociregd.operations.health import CHECK_SECONDS, Readiness


class Part:
    """
    A part of a registry: it is in order, or not, or does not answer until it is told to.
    """

    def __init__(self) -> None:
        self.problem: Exception | None = None
        self.stuck: Deferred[None] | None = None
        self.asked = 0

    async def check(self) -> None:
        """What the registry asks it."""
        self.asked += 1
        if self.stuck is not None:
            await self.stuck
        if self.problem is not None:
            raise self.problem


class ReadinessTests(SynchronousTestCase):
    """Whether a registry can do its work."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.database, self.storage = Part(), Part()
        checks = {"database": self.database.check, "storage": self.storage.check}
        self.readiness = Readiness(checks, self.clock)

    def begin(self) -> Deferred[Any]:
        """Ask, without waiting for the answer."""
        return Deferred.fromCoroutine(self.readiness.problems())

    def problems(self) -> Any:
        """The answer, which has to be there at once."""
        return self.successResultOf(self.begin())

    def test_ready(self) -> None:
        """If all parts are in order, the registry is ready, and each has been asked."""
        assert self.problems() == {}
        assert (self.database.asked, self.storage.asked) == (1, 1)
        assert self.clock.getDelayedCalls() == []

    def test_not_ready(self) -> None:
        """What is wrong is told by part, until it is mended."""
        self.database.problem = Unavailable("the database does not answer")
        self.storage.problem = OSError("no such directory")
        expected = {
            "database": "the database does not answer",
            "storage": "no such directory",
        }
        assert self.problems() == self.problems() == expected
        self.database.problem = None
        assert self.problems() == {"storage": "no such directory"}
        self.storage.problem = ValueError()
        assert self.problems() == {"storage": "does not work"}
        self.storage.problem = None
        assert self.problems() == {}

    def test_a_part_that_does_not_answer(self) -> None:
        """
        Who asks is told in time, and a part that is stuck is not asked again by everybody; once it
        answers it is in order.
        """
        self.storage.stuck = Deferred()
        for _ in range(3):
            asking = self.begin()
            self.clock.advance(CHECK_SECONDS - 0.1)
            self.assertNoResult(asking)
            self.clock.advance(0.1)
            assert self.successResultOf(asking) == {"storage": "does not answer"}
        assert self.storage.asked == 1
        stuck, self.storage.stuck = self.storage.stuck, None
        asking = self.begin()
        stuck.callback(None)
        assert self.successResultOf(asking) == {}
        assert self.problems() == {}
        assert self.storage.asked == 2
        assert self.clock.getDelayedCalls() == []

    def test_many_ask_at_once(self) -> None:
        """All who ask while a check is under way hear its outcome."""
        self.database.stuck, self.database.problem = Deferred(), OSError("broken")
        asking = [self.begin() for _ in range(3)]
        self.database.stuck.callback(None)
        answers = [self.successResultOf(one) for one in asking]
        assert answers == [{"database": "broken"}] * 3
        assert self.database.asked == 1

    def test_who_asks_goes(self) -> None:
        """One who does not wait for the answer takes nothing from the others."""
        self.database.stuck = Deferred()
        gone, asking = self.begin(), self.begin()
        gone.addErrback(lambda _: None)
        gone.cancel()
        self.database.stuck.callback(None)
        assert self.successResultOf(asking) == {}

    def test_who_asks_goes_while_all_are_stuck(self) -> None:
        """Nobody is left to hear what is wrong then, and it is no error that nobody does."""
        self.database.stuck, self.storage.stuck = Deferred(), Deferred()
        gone = self.begin()
        gone.cancel()
        self.failureResultOf(gone, CancelledError)
        self.clock.advance(CHECK_SECONDS)
        assert self.clock.getDelayedCalls() == []
        self.storage.stuck.errback(OSError("broken"))
        self.database.stuck.callback(None)
        gc.collect()
        assert self.flushLoggedErrors() == []
