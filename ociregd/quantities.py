"""
Numbers, durations and sizes, as an operator writes them: whole numbers, the latter two with a unit,
such as C{"5m"}.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

SECONDS = {"s": 1, "m": 60, "h": 60 * 60, "d": 24 * 60 * 60}
BYTES = {"B": 1, "KiB": 1024, "MiB": 1024**2, "GiB": 1024**3}

LONGEST_SECONDS = 100 * 365 * SECONDS["d"]
LONGEST_TIMEOUT_SECONDS = SECONDS["d"]  # PostgreSQL takes 24 days, and nobody waits that long
LEAST_MANIFEST_BYTES = 4 * BYTES["MiB"]  # what the distribution specification wants accepted
MOST_MANIFEST_BYTES = 64 * BYTES["MiB"]  # a manifest is in memory as a whole

# How much of a wrong value is repeated.
_LONGEST_SHOWN = 60


class Wrong(Exception):
    """
    A value cannot be used. The text says why, and what would be right.
    """


def shown(value: object) -> str:
    """
    Write a value about as it stood in the file.
    """
    try:
        text = json.dumps(value, ensure_ascii=False, default=str)
    except ValueError:
        # Python does not print numbers of thousands of digits, though it reads hexadecimal ones.
        return "this number"
    # A URL that was written behind the wrong key may hold a password.
    text = re.sub("://.*", "://...", text)
    return text if len(text) <= _LONGEST_SHOWN else text[:_LONGEST_SHOWN] + "..."


def duration_or_zero(value: object) -> float:
    """
    Read a duration, in seconds.

    @raise Wrong: if it is not one, or longer than a hundred years.
    """
    seconds = _measured(value, SECONDS)
    if seconds is None:
        raise Wrong(f'{shown(value)} is not a duration; write it like "30s", "5m", "1h" or "7d"')
    if seconds > LONGEST_SECONDS:
        raise Wrong(f"{shown(value)} is too long; 100 years are the most")
    return float(seconds)


def duration(value: object) -> float:
    """
    Read a duration of a second at least, in seconds.

    @raise Wrong: if it is not one, or longer than a hundred years.
    """
    seconds = duration_or_zero(value)
    if seconds == 0:
        raise Wrong(f'{shown(value)} is too short; write "1s" or more')
    return seconds


def timeout(value: object) -> float:
    """
    Read how long the database may take, in seconds.

    @raise Wrong: if it is not a duration, or one that is of no use.
    """
    seconds = duration(value)
    if seconds > LONGEST_TIMEOUT_SECONDS:
        raise Wrong(f'{shown(value)} is too long; write "1d" or less')
    return seconds


def size(value: object) -> int:
    """
    Read a size, in bytes.

    @raise Wrong: if it is not one.
    """
    count = _measured(value, BYTES)
    if count is None:
        raise Wrong(
            f'{shown(value)} is not a size; write it like "100B", "512KiB", "4MiB" or "10GiB"'
        )
    return count


def manifest_size(value: object) -> int:
    """
    Read a limit for manifests, in bytes.

    @raise Wrong: if it is not a size, or one that the registry cannot keep to.
    """
    count = size(value)
    if not LEAST_MANIFEST_BYTES <= count <= MOST_MANIFEST_BYTES:
        raise Wrong(f'{shown(value)} is out of bounds; write a size from "4MiB" to "64MiB"')
    return count


def rate(value: object) -> int:
    """
    Read a rate, in bytes per second, that is written as the size.

    @raise Wrong: if it is not a size, or one that no client falls short of, or every one.
    """
    count = size(value)
    if not 0 < count <= BYTES["GiB"]:
        raise Wrong(f'{shown(value)} is out of bounds; write a size from "1B" to "1GiB"')
    return count


def number(least: int, most: int) -> Callable[[object], int]:
    """
    Make a reader of whole numbers from C{least} to C{most}.
    """

    def read(value: object) -> int:
        # The type, since true and false are numbers to Python.
        if type(value) is not int or not least <= value <= most:
            raise Wrong(f"{shown(value)} is not possible; write a number from {least} to {most}")
        return value

    return read


def _measured(value: object, units: Mapping[str, int]) -> int | None:
    """
    Read a whole number with one of some units behind it, or nothing.
    """
    match = re.fullmatch("([0-9]{1,15})([A-Za-z]+)", value) if isinstance(value, str) else None
    if match is None or match[2] not in units:
        return None
    return int(match[1]) * units[match[2]]
