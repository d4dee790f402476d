"""
Tests for L{ociregd.access.passwords}, L{ociregd.access.attempts} and L{ociregd.access.gate}.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from ociregd.access.attempts import (
    MOST_ADDRESSES,
    MOST_FAILURES,
    MOST_GUESSES,
    Attempts,
    neighbourhood,
)
from ociregd.access.gate import Gate, basic_credentials
from ociregd.access.passwords import (
    MOST_REMEMBERED,
    MOST_WAITING,
    REMEMBERED_SECONDS,
    THREADS,
    Passwords,
)
from ociregd.access.rules import Rules
from ociregd.errors import TooManyRequests, Unauthorized

from ..workers import Later
from .users import PASSWORDS, USERS, basic, hash_of

ALICES = PASSWORDS["alice"].encode()
HERE = "192.0.2.1"


class Hashing:
    """
    Threads that count what they are asked to hash, and with which hash.
    """

    def __init__(self) -> None:
        self.later = Later()
        self.asked: list[str] = []

    def __call__(self, f: Callable[..., Any], *args: Any) -> Deferred[Any]:
        self.asked.append(args[1])
        return self.later(f, *args)


class PasswordsTests(SynchronousTestCase):
    """Passwords of users, with threads that take their time."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.hashing = Hashing()
        self.passwords = Passwords(USERS, self.hashing, self.clock)

    def begin(self, user: str, password: bytes, address: str | None = HERE) -> Deferred[bool]:
        """A check under way."""
        return Deferred.fromCoroutine(self.passwords.verify(user, password, address))

    def check(self, user: str, password: bytes, address: str | None = HERE) -> bool:
        """A check, to its end."""
        checking = self.begin(user, password, address)
        self.hashing.later.perform_all()
        return self.successResultOf(checking)

    def test_right_and_wrong(self) -> None:
        """The password of a user is right, and no other is; nor is that of somebody else."""
        assert self.check("alice", ALICES)
        assert not self.check("alice", b"wrong")
        assert not self.check("bob", ALICES)
        assert not self.check("nobody", ALICES)
        assert not self.check("alice", b"")

    def test_every_refusal_costs_one_hash(self) -> None:
        """Who guesses cannot tell by the time whether there is a user of that name."""
        for user, password in [
            ("alice", b"wrong"),
            ("nobody", b"wrong"),
            ("alice", b""),
            ("alice", b"x" * 73),
            ("nobody", b"x" * 1000),
            ("alice", b"\0"),
            ("al\0ice", b"x"),
            ("\udcff", b"\xff"),
        ]:
            self.hashing.asked.clear()
            assert not self.check(user, password, None)
            assert len(self.hashing.asked) == 1, user

    def test_an_unknown_user_costs_what_a_known_one_does(self) -> None:
        """A name that nobody has is as expensive as that of somebody, and always as that one."""
        for name in ("nobody", "somebody"):
            self.hashing.asked.clear()
            for password in (b"a", b"b"):
                self.check(name, password, None)
            assert len(set(self.hashing.asked)) == 1
            assert self.hashing.asked[0] in USERS.values()

    def test_the_password_of_whoever_was_the_yardstick(self) -> None:
        """A user who does not exist is not let in by the password of the one in whose place."""
        users = {"alice": hash_of("x")}
        self.passwords = Passwords(users, self.hashing, self.clock)
        assert not self.check("nobody", b"x")

    def test_without_users(self) -> None:
        """Where nobody is known a guess costs as much as it would."""
        self.passwords = Passwords({}, self.hashing, self.clock)
        assert not self.check("alice", ALICES)
        assert len(self.hashing.asked) == 1
        assert self.hashing.asked[0].startswith("$2b$10$")

    def test_remembers_for_a_while(self) -> None:
        """What was right is right without a hash for a while, and no longer."""
        assert self.check("alice", ALICES)
        self.clock.advance(REMEMBERED_SECONDS - 1)
        assert self.check("alice", ALICES)
        assert len(self.hashing.asked) == 1
        self.clock.advance(1)
        assert self.check("alice", ALICES)
        assert len(self.hashing.asked) == 2

    def test_remembers_by_address(self) -> None:
        """What was right for one address has to be shown to be right by another."""
        assert self.check("alice", ALICES)
        assert self.check("alice", ALICES, "192.0.2.2")
        assert len(self.hashing.asked) == 2

    def test_what_is_remembered_cannot_be_guessed_quickly(self) -> None:
        """
        Who is known goes on while others at the same address guess, unless these guess so quickly
        that they might come upon what is remembered.
        """
        assert self.check("alice", ALICES)
        for number in range(MOST_GUESSES):
            assert self.check("alice", ALICES)
            guess = self.begin("alice", b"%d" % number)
            self.hashing.later.perform_all()
            guess.addErrback(lambda failure: failure.trap(TooManyRequests))
        self.failureResultOf(self.begin("alice", ALICES), TooManyRequests)
        assert len(self.hashing.asked) == 1 + MOST_FAILURES
        self.clock.advance(60)
        assert self.check("alice", ALICES)

    def test_remembers_what_was_wrong(self) -> None:
        """What was wrong is so for a minute without a check, and nothing else is with it."""
        for _ in range(2):
            assert not self.check("alice", b"wrong")
        assert len(self.hashing.asked) == 1
        assert not self.check("alice", b"wrong", "192.0.2.2")
        assert not self.check("bob", b"wrong")
        assert len(self.hashing.asked) == 3
        self.clock.advance(REMEMBERED_SECONDS)
        assert not self.check("alice", b"wrong")
        assert len(self.hashing.asked) == 4

    def test_an_outdated_password(self) -> None:
        """Who tries the same wrong password again and again shuts nobody out."""
        for _ in range(2 * MOST_GUESSES):
            assert not self.check("robot", b"outdated")
        assert self.check("alice", ALICES)
        assert self.check("bob", PASSWORDS["bob"].encode())
        assert not self.check("robot", b"outdated")

    def test_what_is_nearly_right(self) -> None:
        """What is remembered is not right for who knows nearly as much."""
        assert self.check("alice", ALICES)
        assert not self.check("alice", ALICES + b" ", None)
        assert not self.check("alic", b"e" + ALICES, None)

    def test_another_file_has_other_passwords(self) -> None:
        """What is remembered belongs to a hash: with another one the old password is wrong."""
        assert self.check("alice", ALICES)
        changed = Passwords({"alice": hash_of("new")}, self.hashing, self.clock)
        changed._key, changed._remembered = self.passwords._key, self.passwords._remembered
        self.passwords = changed
        assert not self.check("alice", ALICES)

    def test_the_memory_is_bounded(self) -> None:
        """The one that was right longest ago is forgotten first."""
        for number in range(MOST_REMEMBERED + 5):
            self.passwords._remember(self.passwords._remembered, b"%d" % number)
        assert len(self.passwords._remembered) == MOST_REMEMBERED
        assert b"4" not in self.passwords._remembered

    def test_no_password_is_kept(self) -> None:
        """Nothing that is remembered or printed has a password in it."""
        self.check("alice", ALICES)
        assert ALICES not in b"".join(self.passwords._remembered)
        assert PASSWORDS["alice"] not in repr(self.passwords)
        assert USERS["alice"] not in repr(self.passwords)

    def test_one_check_for_all_who_show_the_same(self) -> None:
        """Connections that show the same password at the same time wait for one hash."""
        waiting = [self.begin("alice", ALICES) for _ in range(5)]
        self.hashing.later.perform_all()
        assert [self.successResultOf(one) for one in waiting] == [True] * 5
        assert len(self.hashing.asked) == 1

    def test_who_goes_does_not_end_it_for_others(self) -> None:
        """A check goes on though the one that it was begun for has gone."""
        first, second = self.begin("alice", ALICES), self.begin("alice", ALICES)
        first.cancel()
        self.hashing.later.perform_all()
        assert self.successResultOf(second)
        self.failureResultOf(first)

    def test_few_at_once(self) -> None:
        """Only so many are hashed at once, and only so many wait; the rest shall come back."""
        waiting = [self.begin("alice", b"%d" % number, None) for number in range(MOST_WAITING)]
        assert len(self.hashing.asked) == THREADS
        self.failureResultOf(self.begin("alice", b"one more", None), TooManyRequests)
        self.hashing.later.perform_all()
        assert [self.successResultOf(one) for one in waiting] == [False] * MOST_WAITING

    def test_guesses_at_the_same_time(self) -> None:
        """Who sends many guesses at once has no more of them looked at than one by one."""
        waiting = [self.begin("alice", b"%d" % number) for number in range(MOST_WAITING)]
        self.hashing.later.perform_all()
        assert len(self.hashing.asked) <= MOST_FAILURES + THREADS
        for one in waiting[MOST_FAILURES + THREADS :]:
            self.failureResultOf(one, TooManyRequests)
        for one in waiting[:MOST_FAILURES]:
            assert not self.successResultOf(one)
        for one in waiting[MOST_FAILURES : MOST_FAILURES + THREADS]:
            one.addErrback(lambda failure: failure.trap(TooManyRequests))

    def test_a_thread_that_fails(self) -> None:
        """What goes wrong with a hash is told to who waits, and the next one is checked again."""

        def broken(f: Callable[..., Any], *args: object) -> Deferred[Any]:
            raise OSError("no threads")

        self.passwords = Passwords(USERS, broken, self.clock)
        for _ in range(THREADS + 1):
            self.failureResultOf(self.begin("alice", ALICES), OSError)


class AttemptsTests(SynchronousTestCase):
    """Failures, by address and by the clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.attempts = Attempts(self.clock)

    def fail_from(self, address: str | None, times: int = MOST_FAILURES) -> None:
        """Let so many attempts fail."""
        for _ in range(times):
            self.attempts.failed(address)

    def test_ten_in_a_minute(self) -> None:
        """Nine failures mean nothing, the tenth a minute's wait from then on."""
        self.fail_from(HERE, MOST_FAILURES - 1)
        self.clock.advance(30)
        assert self.attempts.seconds_to_wait(HERE) == 0
        self.fail_from(HERE, 1)
        assert self.attempts.seconds_to_wait(HERE) == 60
        self.clock.advance(59.5)
        assert self.attempts.seconds_to_wait(HERE) == 1
        self.clock.advance(0.5)
        assert self.attempts.seconds_to_wait(HERE) == 0
        self.fail_from(HERE, MOST_FAILURES - 1)
        assert self.attempts.seconds_to_wait(HERE) == 0

    def test_slow_failures(self) -> None:
        """Who mistypes once in a while is not slowed down."""
        for _ in range(5 * MOST_FAILURES):
            self.attempts.failed(HERE)
            self.clock.advance(10)
            assert self.attempts.seconds_to_wait(HERE) == 0

    def test_addresses(self) -> None:
        """Other addresses are not concerned; of IPv6 a whole site is one."""
        for address, same, other in [
            (HERE, "::ffff:192.0.2.1", "192.0.2.2"),
            ("2001:db8::1", "2001:db8::ffff:1", "2001:db8:0:1::1"),
            ("fe80::1%eth0", "fe80::2%eth1", "fe90::1"),
        ]:
            self.fail_from(address)
            assert self.attempts.seconds_to_wait(same) > 0
            assert self.attempts.seconds_to_wait(other) == 0
        assert neighbourhood("no address") == "no address"

    def test_no_address(self) -> None:
        """Nobody in particular is never slowed down."""
        self.fail_from(None)
        assert self.attempts.seconds_to_wait(None) == 0

    def test_the_table_is_bounded(self) -> None:
        """However many addresses fail, only so many are kept in mind."""
        for number in range(MOST_ADDRESSES + 10):
            self.attempts.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}")
        assert len(self.attempts._failures) == MOST_ADDRESSES


class GateTests(SynchronousTestCase):
    """From headers to callers."""

    def setUp(self) -> None:
        self.later = Later()
        self.gate = Gate(Rules(), Passwords(USERS, self.later, Clock()))

    def authenticate(self, *values: str) -> Deferred[Any]:
        """Who sends these headers."""
        encoded = [value.encode() for value in values]
        found = Deferred.fromCoroutine(self.gate.authenticate(encoded, HERE))
        self.later.perform_all()
        return found

    def test_callers(self) -> None:
        """A user, or nobody; the same one each time, since its rules need not be sought again."""
        alice = basic("alice", PASSWORDS["alice"])
        first = self.successResultOf(self.authenticate(alice))
        assert first.name == "alice"
        assert self.successResultOf(self.authenticate(alice)) is first
        for values in ((), ("Basic Og==",)):
            assert self.successResultOf(self.authenticate(*values)).name is None

    def test_refusals(self) -> None:
        """What is wrong is refused in words that do not repeat it."""
        for value in (basic("alice", "hunter2"), "Bearer hunter2", "hunter2", "Basic hunter2"):
            problem = self.failureResultOf(self.authenticate(value), Unauthorized)
            assert "hunter2" not in str(problem.value)

    def test_the_first_colon_ends_the_user(self) -> None:
        """Passwords may have colons."""
        assert basic_credentials(basic("alice", "a:b:").encode()) == ("alice", b"a:b:")
