"""
Large values in statements. To write one down takes as long as a hundred small requests, so a thread
does it, and gives way to others again and again.
"""

from __future__ import annotations

from binascii import hexlify
from typing import Any

from attrs import frozen

#: Bytes that are written down at a time. The interpreter serves nobody else meanwhile.
PIECE_BYTES = 64 * 1024


@frozen
class Quoted:
    """
    A value as it stands in a statement.
    """

    text: bytes

    def __conform__(self, protocol: Any) -> Quoted:
        """Say to the client library that nothing is left to do."""
        return self

    def getquoted(self) -> bytes:
        """What the client library asks for."""
        return self.text


def quoted(value: bytes) -> Quoted:
    """Write bytes down."""
    view = memoryview(value)
    pieces = [
        hexlify(view[start : start + PIECE_BYTES]) for start in range(0, len(view), PIECE_BYTES)
    ]
    # Read alike whatever a backslash means in the strings of this database.
    return Quoted(b"".join([b"E'\\\\x", *pieces, b"'::bytea"]))
