"""
Who has shown wrong passwords, by address: a guesser is slowed down.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from math import ceil

from attrs import define, field
from twisted.internet.interfaces import IReactorTime

#: So many wrong passwords within that time, and no more are looked at until it is over.
MOST_FAILURES = 10

#: So many, those that were not looked at included, and one that is known to be right is not either:
#: or it could be guessed from there as quickly as requests can be sent.
MOST_GUESSES = 100

WINDOW_SECONDS = 60.0

#: Addresses that are kept in mind; the one that failed longest ago is forgotten first.
MOST_ADDRESSES = 10_000


@lru_cache(maxsize=1024)
def neighbourhood(address: str) -> str:
    """
    What of an address counts: all of it, or of IPv6 the half that a site has been given.
    """
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(IPv6Network((parsed, 64), strict=False))
    return str(parsed)


@define
class _Failures:
    """How often, since when the window runs, and until when it does."""

    count: int
    until: float


@define(eq=False)
class Attempts:
    """
    The failures of the last minute.
    """

    _clock: IReactorTime
    _failures: OrderedDict[str, _Failures] = field(factory=OrderedDict, init=False)

    def seconds_to_wait(self, address: str | None, most: int = MOST_FAILURES) -> int:
        """
        In how many seconds an address may try again; 0 if it may at once.

        @param address: None is nobody in particular, and may always.
        @param most: how many failures are too many.
        """
        failures = self._of(address)
        if failures is None or failures.count < most:
            return 0
        return ceil(failures.until - self._clock.seconds())

    def failed(self, address: str | None) -> None:
        """A password from there was wrong, or was not looked at."""
        if address is None:
            return
        now, key = self._clock.seconds(), neighbourhood(address)
        failures = self._of(address)
        if failures is None:
            failures = self._failures[key] = _Failures(0, now + WINDOW_SECONDS)
        failures.count += 1
        if failures.count == MOST_FAILURES:
            failures.until = now + WINDOW_SECONDS
        self._failures.move_to_end(key)
        while len(self._failures) > MOST_ADDRESSES:
            self._failures.popitem(last=False)

    def _of(self, address: str | None) -> _Failures | None:
        if address is None or not self._failures:
            return None
        key = neighbourhood(address)
        failures = self._failures.get(key)
        if failures is not None and failures.until <= self._clock.seconds():
            del self._failures[key]
            return None
        return failures
