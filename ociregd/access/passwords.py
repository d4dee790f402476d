"""
Whether a password is right. bcrypt takes long on purpose, and the reactor has other work.

Clients show their password with every request. One that was right is right for a minute more, and
one that was wrong is wrong; what is remembered is a MAC under a key that only this process knows,
never the password.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Mapping
from typing import ClassVar

from attrs import Factory, define, field
from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ociregd.access.attempts import MOST_GUESSES, Attempts, neighbourhood
from ociregd.access.htpasswd import matches
from ociregd.errors import TooManyRequests
from ociregd.interfaces import InThread

#: How many are checked at once; more would take processors from the requests that are served.
THREADS = 2

#: How many may wait for that: some seconds of work.
MOST_WAITING = 64

#: How long a password that was right is believed without checking, and one that was wrong not.
REMEMBERED_SECONDS = 60.0
MOST_REMEMBERED = 10_000

# What an unknown user is checked against if nobody is known: a hash of random bytes that are gone.
_NOBODYS = "$2b$10$Kf2QDGtYZ3ZA3ICd5D.Y8.RznqU3WjBS3Vs/vRWq5zX4/4.bT7KZu"


@define(eq=False)
class Passwords:
    """
    The users of a file, and who of them has shown the right password lately.
    """

    _users: Mapping[str, str] = field(repr=False)
    _in_thread: InThread
    _clock: IReactorTime
    _attempts: Attempts = Factory(lambda self: Attempts(self._clock), takes_self=True)
    _key: bytes = field(factory=lambda: secrets.token_bytes(32), init=False, repr=False)
    _hashes: list[str] = field(
        default=Factory(lambda self: list(self._users.values()), takes_self=True),
        init=False,
        repr=False,
    )
    _remembered: OrderedDict[bytes, float] = field(factory=OrderedDict, init=False, repr=False)
    _refused: OrderedDict[bytes, float] = field(factory=OrderedDict, init=False, repr=False)
    _under_way: dict[bytes, list[Deferred[bool]]] = field(factory=dict, init=False, repr=False)
    _turns: DeferredSemaphore = field(factory=lambda: DeferredSemaphore(THREADS), init=False)
    _log: ClassVar[Logger] = Logger()

    async def verify(self, user: str, password: bytes, address: str | None) -> bool:
        """
        Whether that is the user's password.

        @param address: where it comes from, if that says anything.
        @raise TooManyRequests: if too many wrong ones came from there, or too many wait.
        """
        stored = self._users.get(user)
        # Of the address too: or others could try quickly what has been right for somebody.
        mac = self._mac(user, password, stored or "", neighbourhood(address or ""))
        if self._remembered.get(mac, 0.0) > self._clock.seconds() and not (
            self._attempts.seconds_to_wait(address, MOST_GUESSES)
        ):
            return True
        if self._refused.get(mac, 0.0) > self._clock.seconds():
            # A robot whose password was changed tries it again and again. That is no guess, and
            # must not shut out all others at its address.
            return False
        self._check_attempts(address)
        # A client opens several connections and shows the same on each: that is one attempt.
        waiting: Deferred[bool] = Deferred()
        others = self._under_way.get(mac)
        if others is not None:
            others.append(waiting)
        elif len(self._under_way) >= MOST_WAITING:
            raise TooManyRequests("too many passwords are being checked at this moment; try again")
        else:
            others = self._under_way[mac] = [waiting]
            # Not of this request alone: it goes on if the client goes.
            checking = Deferred.fromCoroutine(self._check(user, password, stored, mac, address))
            checking.addBoth(self._checked, mac)
        return await waiting

    async def _check(
        self, user: str, password: bytes, stored: str | None, mac: bytes, address: str | None
    ) -> bool:
        await self._turns.acquire()
        try:
            # Others from there may have failed while this one waited.
            self._check_attempts(address)
            right = await self._in_thread(matches, password, stored or self._somebodys(user))
        finally:
            self._turns.release()
        if stored is not None and right:
            self._remember(self._remembered, mac)
            return True
        self._remember(self._refused, mac)
        self._attempts.failed(address)
        self._log.info("wrong user or password from {address}", address=address or "-")
        return False

    def _checked(self, outcome: bool | Failure, mac: bytes) -> None:
        for waiting in self._under_way.pop(mac):
            waiting.callback(outcome)

    def _check_attempts(self, address: str | None) -> None:
        seconds = self._attempts.seconds_to_wait(address)
        if seconds:
            self._attempts.failed(address)
            raise TooManyRequests("too many wrong passwords came from your address", seconds)

    def _somebodys(self, user: str) -> str:
        """
        What to check the password of an unknown user against, so that it takes as long as that of a
        known one: as that of the same one each time, since their costs may differ.
        """
        if not self._hashes:
            return _NOBODYS
        number = int.from_bytes(self._mac(user, b"", "", ""), "big")
        return self._hashes[number % len(self._hashes)]

    def _remember(self, outcomes: OrderedDict[bytes, float], mac: bytes) -> None:
        outcomes.pop(mac, None)
        outcomes[mac] = self._clock.seconds() + REMEMBERED_SECONDS
        while len(outcomes) > MOST_REMEMBERED:
            outcomes.popitem(last=False)

    def _mac(self, user: str, password: bytes, stored: str, address: str) -> bytes:
        # Whatever a client sends as a user, surrogates too. What it sends comes last, since it may
        # have a NUL in it; a user who is known has none.
        text = f"{stored}\0{address}\0{user}\0".encode("utf-8", "surrogateescape")
        return hmac.digest(self._key, text + password, "sha256")
