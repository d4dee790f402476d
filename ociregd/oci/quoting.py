"""
What a client sent, as a refusal may repeat it: short, and harmless in a log or in JSON.
"""

from __future__ import annotations

from reprlib import Repr

_shortened = Repr()

# A sha512 digest is 135 characters long and shall fit whole; a header or a manifest of a megabyte
# shall not come back in the refusal.
_shortened.maxstring = 160


def quoted(text: str) -> str:
    """
    Put a text between quotes: unprintable characters escaped, the middle left out if it is long.
    """
    return _shortened.repr(text)
