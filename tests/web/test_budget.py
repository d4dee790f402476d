"""
Tests for L{ociregd.web.budget}: what several have together is never more than there is.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ociregd.web.budget import FREE_BYTES, Budget

ENOUGH = 4 * FREE_BYTES


class Mistake(Exception):
    """What the tests make."""


class BudgetTests(SynchronousTestCase):
    """
    One budget, and claims to it.
    """

    def setUp(self) -> None:
        self.budget = Budget(ENOUGH)

    def test_small_claims_are_free(self) -> None:
        """What is small is granted though nothing is left, and costs nothing."""
        self.budget.left = 0
        with self.budget.claim() as claim:
            for _ in range(4):
                assert claim.take(FREE_BYTES // 4)
            assert not claim.take(1)
        assert self.budget.left == 0

    def test_large_claims_count_from_the_first_byte(self) -> None:
        """What becomes large costs all that it is."""
        with self.budget.claim() as claim:
            assert claim.take(FREE_BYTES)
            assert self.budget.left == ENOUGH
            assert claim.take(1)
            assert self.budget.left == ENOUGH - FREE_BYTES - 1
            assert claim.take(10)
            assert self.budget.left == ENOUGH - FREE_BYTES - 11

    def test_several_claims(self) -> None:
        """Claims have all that there is and no more; what one gives back another may have."""
        with self.budget.claim() as one:
            assert one.take(ENOUGH - FREE_BYTES - 1)
            with self.budget.claim() as other:
                assert not other.take(FREE_BYTES + 2)
            with self.budget.claim() as other:
                assert other.take(FREE_BYTES + 1)
                assert self.budget.left == 0
                assert not one.take(1)
        assert self.budget.left == ENOUGH
        with self.budget.claim() as other:
            assert other.take(ENOUGH)

    def test_given_back_after_a_mistake(self) -> None:
        """A claim ends with its statement, however that ends."""
        with self.assertRaises(Mistake), self.budget.claim() as claim:
            claim.take(ENOUGH)
            raise Mistake
        assert self.budget.left == ENOUGH

    def test_kept_until_work_is_over(self) -> None:
        """A claim can outlive its statement, until some work has a result or has failed."""
        for result in ("result", Mistake()):
            work: Deferred[object] = Deferred()
            with self.budget.claim() as claim:
                claim.take(ENOUGH)
                over = claim.until(work)
            assert self.budget.left == 0
            if isinstance(result, Mistake):
                work.errback(result)
                self.failureResultOf(over, Mistake)
            else:
                work.callback(result)
                assert self.successResultOf(over) == "result"
            assert self.budget.left == ENOUGH
