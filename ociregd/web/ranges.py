"""
Ranges on the wire: C{Range} of downloads (RFC 9110, 14.1) and C{Content-Range} of upload chunks
(OCI distribution specification, "Pushing a blob in chunks"). Ends are inclusive on the wire and
exclusive inside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from attrs import frozen

from ociregd.errors import BlobUploadInvalid
from ociregd.registry.uploads import Chunk

#: More ranges than this are answered with the whole blob, as RFC 9110 14.2 allows.
MOST_RANGES = 1024

#: No file has a length with more digits.
DIGITS = 18

BYTE_RANGES = re.compile(r"bytes=(.*)", re.IGNORECASE | re.ASCII)
ONE_RANGE = re.compile(r"([0-9]*)-([0-9]*)")
CONTENT_RANGE = re.compile(r"([0-9]+)-([0-9]+)")


@frozen
class Slice:
    """
    Bytes from C{start} to before C{stop}.
    """

    start: int
    stop: int

    def __len__(self) -> int:
        return self.stop - self.start

    def content_range(self, size: int) -> str:
        """As the header field of an answer."""
        return f"bytes {self.start}-{self.stop - 1}/{size}"


def parse_range(text: str, size: int) -> Sequence[Slice] | None:
    """
    What a C{Range} header asks for of C{size} bytes, in the order in which it asks.

    @return: None if the header is to be ignored (malformed, of another unit, too many ranges);
        an empty sequence if nothing that it asks for is there.
    """
    match = BYTE_RANGES.fullmatch(text.strip(" \t"))
    if match is None:
        return None
    found, parts = [], [part.strip(" \t") for part in match[1].split(",")]
    for part in filter(None, parts):
        one = ONE_RANGE.fullmatch(part)
        if one is None or not any(one.groups()):
            return None
        first, last = one.groups()
        if not first:
            start, stop = max(0, size - number(last)), size
        else:
            start, stop = number(first), min(size, number(last) + 1) if last else size
            if last and number(last) < start:
                return None
        if start < stop:
            found.append(Slice(start, stop))
    if not any(parts) or len(found) > MOST_RANGES:
        return None
    # Overlapping ranges would make a small blob into a large answer (RFC 9110, 14.2).
    if sum(map(len, found)) > size:
        return None
    return found


def parse_content_range(text: str) -> Chunk:
    """
    Which bytes of the blob a chunk is.

    @raise BlobUploadInvalid: if the header is not C{<first>-<last>}.
    """
    match = CONTENT_RANGE.fullmatch(text)
    if match is None:
        raise BlobUploadInvalid('Content-Range has to be "<first>-<last>", without unit and total')
    return Chunk(number(match[1]), number(match[2]) + 1)


def number(digits: str) -> int:
    """
    A number that may be as long as a header: what no file reaches is as good as any such.
    """
    significant = digits.lstrip("0")
    return int(significant or "0") if len(significant) <= DIGITS else 10**DIGITS
