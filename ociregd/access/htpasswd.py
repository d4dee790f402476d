"""
The file of users and their passwords, as Apache's C{htpasswd -B} writes it: C{user:hash} in a line.

Only bcrypt is taken. Everything else that such files may hold can be guessed in no time by whoever
gets hold of the file, or is the password itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import bcrypt
from attrs import field, frozen

from ociregd.access.rules import ANONYMOUS, AUTHENTICATED

#: What bcrypt reads of a password: with more, two different ones would be the same.
PASSWORD_BYTES = 72

#: Twice the work for each step, for us and for who guesses: 10 are 50 ms of a processor.
LEAST_COST, COST, MOST_COST = 4, 10, 16

#: Names are in the log and on a terminal; none of them should need more.
LONGEST_USER = 255

# The 22nd character of the salt has two bits of it and no others, or bcrypt raises with each check.
_HASH = re.compile(r"\$2[aby]\$([0-9]{2})\$[./A-Za-z0-9]{21}[.Oeu][./A-Za-z0-9]{31}")


class HtpasswdInvalid(Exception):
    """
    The file cannot be used.

    @ivar line: where it is wrong, counted from 1; None if it cannot be read at all.
    @ivar missing: whether that is because it is not there.
    """

    def __init__(self, path: str, line: int | None, message: str, *, missing: bool = False) -> None:
        place = path if line is None else f"{path}: line {line}"
        super().__init__(f"{place}: {message}")
        self.line = line
        self.missing = missing


class UserInvalid(ValueError):
    """A name that no user can have."""


class PasswordInvalid(ValueError):
    """A password that no user can have."""


def check_user(name: str) -> None:
    """
    @raise UserInvalid: if no user can be called that: the name could not be sent, would mean
        something else in a rule, or would be something else to the reader of a log.
    """
    if not name or len(name) > LONGEST_USER:
        raise UserInvalid(f"a user name has 1 to {LONGEST_USER} characters")
    if ":" in name or " " in name or not name.isprintable():
        raise UserInvalid('a user name has no ":", no spaces and no control characters')
    if name in (ANONYMOUS, AUTHENTICATED) or name.startswith("#"):
        raise UserInvalid(f'no user can be called "{name}"')


def hashed(password: bytes) -> str:
    """
    What the file has of a password.

    @raise PasswordInvalid: if it could not be checked.
    """
    if not 0 < len(password) <= PASSWORD_BYTES:
        raise PasswordInvalid(f"a password has 1 to {PASSWORD_BYTES} bytes")
    if any(byte < 32 or byte == 127 for byte in password):
        raise PasswordInvalid("a password has no control characters")
    return bcrypt.hashpw(password, bcrypt.gensalt(COST)).decode("ascii")


def matches(password: bytes, hash_: str) -> bool:
    """
    Whether a hash is that of a password. This takes long, and as long if it cannot be.
    """
    # bcrypt raises on what is longer, at once; and an empty password is a mistake of somebody's. It
    # begins again behind the end, with a NUL in between: that repeats a password.
    possible = 0 < len(password) <= PASSWORD_BYTES and b"\0" not in password
    return bcrypt.checkpw(password[:PASSWORD_BYTES], hash_.encode("ascii")) and possible


@frozen
class Line:
    """
    One line of the file.

    @ivar text: the line, with its end.
    @ivar user: or None for a line that is empty or a comment.
    """

    text: str = field(repr=False)
    user: str | None = None
    hash_: str = field(default="", repr=False)


def parse_lines(text: str, path: str) -> Iterator[Line]:
    """
    Read the file line by line.

    @raise HtpasswdInvalid: if a line is wrong.
    """
    seen: dict[str, int] = {}
    # Not splitlines, which ends lines where no other program does.
    for number, line in enumerate(re.findall(r"[^\n]*\n|[^\n]+", text), start=1):
        content = line.rstrip("\r\n")
        if not content.strip() or content.startswith("#"):
            yield Line(line)
            continue
        user, colon, hash_ = content.partition(":")
        try:
            check_user(user)
        except UserInvalid as problem:
            raise HtpasswdInvalid(path, number, str(problem)) from None
        match = _HASH.fullmatch(hash_)
        # The line itself is not shown: it may hold a password.
        if not colon or match is None:
            raise HtpasswdInvalid(
                path, number, "this is not user:hash with bcrypt; write it with ociregctl user add"
            )
        if not LEAST_COST <= int(match[1]) <= MOST_COST:
            raise HtpasswdInvalid(
                path, number, f"the cost of bcrypt can be from {LEAST_COST} to {MOST_COST} here"
            )
        if user in seen:
            raise HtpasswdInvalid(path, number, f"{user} is in line {seen[user]} already")
        seen[user] = number
        yield Line(line, user, hash_)


def read_lines(path: str) -> list[Line]:
    """
    Read the file.

    @raise HtpasswdInvalid: if it cannot be read, or a line is wrong.
    """
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except FileNotFoundError as problem:
        raise HtpasswdInvalid(path, None, str(problem.strerror), missing=True) from None
    except OSError as problem:
        raise HtpasswdInvalid(path, None, str(problem.strerror)) from None
    except UnicodeDecodeError:
        raise HtpasswdInvalid(path, None, "this is not UTF-8") from None
    return list(parse_lines(text, path))


def read_users(path: str) -> Mapping[str, str]:
    """
    All users, and the hashes of their passwords.

    @raise HtpasswdInvalid: if the file cannot be used.
    """
    return {line.user: line.hash_ for line in read_lines(path) if line.user is not None}
