"""
L{ociregd.web.sending.Gate}: shut while a client is behind, and not for ever.
"""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPushProducer
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from ociregd.web.sending import Gate

SECONDS = 30.0


@define
class Cuts:
    """Counts how often a client was cut."""

    count: int = field(default=0)

    def __call__(self) -> None:
        self.count += 1


class GateTests(SynchronousTestCase):
    """
    One gate and a clock.
    """

    def setUp(self) -> None:
        self.clock, self.cuts = Clock(), Cuts()
        self.gate = Gate(self.clock, SECONDS, self.cuts)

    def opened(self) -> Deferred[None]:
        """Wait for the client."""
        return Deferred.fromCoroutine(self.gate.opened())

    def test_provides_the_interface(self) -> None:
        """A transport can have it as its producer."""
        verifyObject(IPushProducer, self.gate)

    def test_begins_open(self) -> None:
        """Nobody waits for a client that was not behind yet."""
        self.successResultOf(self.opened())

    def test_waits_for_the_client(self) -> None:
        """While it is shut, whoever wants to write waits."""
        self.gate.pauseProducing()
        waiting = self.opened()
        self.assertNoResult(waiting)
        self.gate.resumeProducing()
        self.successResultOf(waiting)
        self.successResultOf(self.opened())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_shut_twice(self) -> None:
        """Shutting what is shut neither loses who waits nor gives the client more time."""
        self.gate.pauseProducing()
        waiting = self.opened()
        self.clock.advance(SECONDS - 1)
        self.gate.pauseProducing()
        self.assertEqual(self.cuts.count, 0)
        self.clock.advance(1)
        self.assertEqual(self.cuts.count, 1)
        self.gate.resumeProducing()
        self.successResultOf(waiting)

    def test_opened_twice(self) -> None:
        """Opening what is open changes nothing."""
        self.gate.resumeProducing()
        self.gate.resumeProducing()
        self.successResultOf(self.opened())

    def test_the_client_is_cut(self) -> None:
        """A client that keeps it shut is cut, and each time it has all the time again."""
        for _ in range(3):
            self.gate.pauseProducing()
            self.clock.advance(SECONDS - 1)
            self.gate.resumeProducing()
        self.assertEqual(self.cuts.count, 0)
        self.gate.pauseProducing()
        self.clock.advance(SECONDS)
        self.assertEqual(self.cuts.count, 1)

    def test_nothing_left_behind(self) -> None:
        """When the client has gone, or has everything, no timer is left."""
        self.gate.pauseProducing()
        self.gate.stopProducing()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.gate.resumeProducing()
        self.clock.advance(2 * SECONDS)
        self.assertEqual(self.cuts.count, 0)
