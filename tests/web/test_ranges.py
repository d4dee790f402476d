"""
L{ociregd.web.ranges} against a second, slow reading of the same paragraphs of RFC 9110.
"""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ociregd.errors import BlobUploadInvalid
from ociregd.registry.uploads import Chunk
from ociregd.web.ranges import MOST_RANGES, Slice, parse_content_range, parse_range

DIGITS = "0123456789"


class Malformed(Exception):
    """The text does not follow the grammar."""


class Reader:
    """
    Reads a text from left to right, one character at a time.
    """

    def __init__(self, text: str) -> None:
        self._rest = list(text)

    def skip(self, characters: str) -> str:
        """Take characters as long as they are among these."""
        taken = ""
        while self._rest and self._rest[0] in characters:
            taken += self._rest.pop(0)
        return taken

    def take(self, expected: str) -> None:
        """Take exactly this."""
        for character in expected:
            if not self._rest or self._rest.pop(0) != character:
                raise Malformed

    def at_end(self) -> bool:
        """Whether everything was taken."""
        return not self._rest


def read_slowly(text: str, size: int) -> list[list[int]] | None:
    """
    The positions of the bytes that a Range header asks for (RFC 9110, 14.1.1, 14.1.2 and 5.6.1), a
    list for each range that can be satisfied; None if the header does not follow the grammar.
    """
    reader = Reader(text)
    try:
        reader.skip(" \t")
        for letter in "bytes":
            if reader.skip(letter + letter.upper()) not in (letter, letter.upper()):
                raise Malformed
        reader.take("=")
        found, any_range = [], False
        while not reader.at_end():
            reader.skip(" \t")
            if not reader.at_end() and not reader.skip(","):
                found.append(read_one(reader, size))
                any_range = True
                reader.skip(" \t")
                if not reader.at_end():
                    reader.take(",")
        if not any_range:
            raise Malformed
    except Malformed:
        return None
    return [positions for positions in found if positions]


def value(digits: str) -> int:
    """A number, up to one that no size of a file reaches."""
    total = 0
    for digit in digits:
        total = min(10 * total + DIGITS.index(digit), 10**18)
    return total


def read_one(reader: Reader, size: int) -> list[int]:
    """One range: the positions that it asks for and that are there."""
    first = reader.skip(DIGITS)
    reader.take("-")
    last = reader.skip(DIGITS)
    if first and last and value(first) > value(last):
        raise Malformed
    if first:
        return [at for at in range(size) if value(first) <= at and (not last or at <= value(last))]
    if last:
        return [at for at in range(size) if at >= size - value(last)]
    raise Malformed


SMALL = st.integers(0, 40).map(str)
NUMBERS = st.one_of(SMALL, st.integers(0, 10**30).map(str), SMALL.map("000".__add__), st.just(""))
SPACES = st.sampled_from(["", "", "", " ", "\t", " \t "])
ONE = st.tuples(SPACES, NUMBERS, st.just("-"), NUMBERS, SPACES).map("".join)
RANGES = st.tuples(
    st.sampled_from(["bytes=", "bytes=", "Bytes=", "BYTES=", "byte=", "bytes =", "items=", ""]),
    st.lists(st.one_of(ONE, ONE, ONE, SPACES), max_size=5).map(",".join),
).map("".join)
SCRIBBLE = st.text("bytes=0123456789-, \t\x0b\x85\xa0\u017f\u0663\u00b2x;", max_size=20)


@given(st.one_of(RANGES, SCRIBBLE, SCRIBBLE.map("bytes=".__add__)), st.integers(0, 40))
@example("bytes=0-0,-1", 10)
@example("bytes=5-", 5)
@example("bytes=-0", 5)
@example("bytes=0-1\x0b", 5)
@example("byte\u017f=0-1", 5)
@example(f"bytes=0-{'9' * 5000}", 5)
@example(f"bytes=-{'9' * 5000}", 5)
@example(f"bytes=0-{'0' * 30}1", 5)
@example(f"bytes={'0' * 30}3-4", 5)
def test_reads_like_the_specification(text: str, size: int) -> None:
    """Whatever the header says, both readings agree on the bytes."""
    expected, actual = read_slowly(text, size), parse_range(text, size)
    if expected is None or sum(map(len, expected)) > size:
        assert actual is None
    else:
        assert actual is not None
        assert [list(range(one.start, one.stop)) for one in actual] == expected


def test_the_order_is_the_clients() -> None:
    """Ranges come in the order in which they were asked for, adjoining ones apart."""
    assert parse_range("bytes=5-6, 0-1,2-3", 10) == [Slice(5, 7), Slice(0, 2), Slice(2, 4)]


def test_too_many_ranges() -> None:
    """From some number on the whole is the better answer."""
    many = [f"{at}-{at}" for at in range(0, 2 * MOST_RANGES + 2, 2)]
    size = 10 * MOST_RANGES
    found = parse_range("bytes=" + ",".join(many[:MOST_RANGES]), size)
    assert found is not None
    assert len(found) == MOST_RANGES
    assert parse_range("bytes=" + ",".join(many), size) is None


def test_overlapping_ranges() -> None:
    """Nobody gets more bytes than there are."""
    assert parse_range("bytes=0-,0-", 10) is None
    assert parse_range("bytes=0-4,0-4", 10) == [Slice(0, 5), Slice(0, 5)]


def test_a_range_on_the_wire() -> None:
    """Ends are inclusive there."""
    assert Slice(2, 5).content_range(10) == "bytes 2-4/10"


CONTENT_RANGES = st.one_of(
    st.tuples(NUMBERS, st.sampled_from(["-", "-", "-", "--", " - ", ""]), NUMBERS).map("".join),
    st.text("0123456789-bytes /*\n\x0b\u0663\u00b2", max_size=12),
)


@given(CONTENT_RANGES)
@example("0-9\n")
@example("\u0663-\u0663")
@example("bytes 0-9/10")
def test_content_range(text: str) -> None:
    """Two numbers with a hyphen between them, and nothing else, are the place of a chunk."""
    reader = Reader(text)
    try:
        first = reader.skip(DIGITS)
        reader.take("-")
        last = reader.skip(DIGITS)
        if not (first and last and reader.at_end()):
            raise Malformed
    except Malformed:
        with pytest.raises(BlobUploadInvalid):
            parse_content_range(text)
    else:
        assert parse_content_range(text) == Chunk(value(first), value(last) + 1)
