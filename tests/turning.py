"""
A reactor that nobody runs: a test turns it for as long as it waits for something.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from twisted.internet.epollreactor import EPollReactor

#: A test that waits this long has failed.
PATIENCE_SECONDS = 20.0


class TurnedReactor(EPollReactor):
    """
    A reactor with real sockets and real time, for code that needs those and a test that does not
    leave its own function. It is not installed, and has no threads.
    """

    def turn_until(self, happened: Callable[[], object], seconds: float = PATIENCE_SECONDS) -> None:
        """
        Let happen what happens, until C{happened} is true.

        @raise TimeoutError: if it does not become so.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.runUntilCurrent()
            if happened():
                return
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"it did not happen within {seconds} seconds")
            next_call = self.timeout()
            self.doIteration(left if next_call is None else min(left, next_call))

    def left_behind(self) -> list[object]:
        """Whatever still waits for something."""
        readers = [reader for reader in self.getReaders() if reader not in self._internalReaders]
        return [*readers, *self.getWriters(), *self.getDelayedCalls()]

    def close(self) -> None:
        """Give back to the system what it has of it."""
        for reader in self._internalReaders:
            reader.connectionLost(None)
        self._poller.close()
