"""
Users for tests. Their passwords are hashed as cheaply as bcrypt can.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping

import bcrypt

#: By name; each password is that of nobody else.
PASSWORDS = {name: f"the secret of {name}" for name in ("alice", "bob", "carol", "dave", "erin")}


def hash_of(password: str | bytes, prefix: bytes = b"2b") -> str:
    """The hash of a password."""
    encoded = password.encode() if isinstance(password, str) else password
    return bcrypt.hashpw(encoded, bcrypt.gensalt(4, b"2b")).replace(b"2b", prefix, 1).decode()


#: What the daemon knows of them.
USERS: Mapping[str, str] = {name: hash_of(password) for name, password in PASSWORDS.items()}


def basic(user: str | bytes, password: str | bytes) -> str:
    """The value of the header that shows a password."""
    parts = [part.encode() if isinstance(part, str) else part for part in (user, password)]
    return f"Basic {b64encode(b':'.join(parts)).decode()}"


def as_user(name: str | None) -> tuple[tuple[str, str], ...]:
    """The headers with which a user comes; nobody has none."""
    return () if name is None else (("Authorization", basic(name, PASSWORDS[name])),)
