"""
What bodies may take of the memory, over all connections.

Blobs pass through; a manifest that is pushed has to be there as a whole before it can be read, and
so has a list of referrers before it is sent. Clients may be slow, and any number of them at the
same time.
"""

from __future__ import annotations

from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

T = TypeVar("T")

#: What all of them may have together: sixteen of the largest that are taken unless configured, and
#: one of the largest that can be configured.
BUDGET_BYTES = 64 * 1024 * 1024

#: A body up to this size costs what its connection does. Nearly all manifests are smaller, and
#: are taken whatever others do.
FREE_BYTES = 64 * 1024


@define(eq=False)
class Budget:
    """
    Bytes that may be claimed.

    @ivar left: how many are not.
    """

    left: int = BUDGET_BYTES

    def claim(self) -> Claim:
        """A claim to nothing so far."""
        return Claim(self)


@define(eq=False)
class Claim:
    """
    What one body has of the budget, for as long as a C{with} statement.
    """

    _budget: Budget
    _size: int = field(default=0, init=False)
    _claimed: int = field(default=0, init=False)
    _kept: bool = field(default=False, init=False)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *problem: object) -> None:
        if not self._kept:
            self._give_back()

    def take(self, count: int) -> bool:
        """Claim so many bytes more; whether there were as many left."""
        self._size += count
        missing = self._size - self._claimed if self._size > FREE_BYTES else 0
        if missing > self._budget.left:
            return False
        self._budget.left -= missing
        self._claimed += missing
        return True

    def until(self, work: Deferred[T]) -> Deferred[T]:
        """
        Keep what is claimed until the work is over, even if the C{with} statement ends before: a
        thread goes on with the body of a client that has gone.
        """

        def over(result: T) -> T:
            self._give_back()
            return result

        self._kept = True
        return work.addBoth(over)

    def _give_back(self) -> None:
        self._budget.left += self._claimed
        self._claimed = 0
