"""
L{ociregd.web.links}: where clients are sent.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociregd.errors import BadArgument
from ociregd.web.links import PAGE, Window, argument, next_link


@pytest.mark.parametrize(
    ("text", "count"),
    [
        (b"1", 1),
        (b"0", 0),
        (b"007", 7),
        (b"1000", PAGE),
        (b"1001", PAGE),
        (b"9" * 5000, PAGE),
        (b"0" * 30 + b"5", 5),
    ],
)
def test_count(text: bytes, count: int) -> None:
    """A number is a number, and no page is larger than the largest."""
    assert Window.of({b"n": [text]}).count == count


@pytest.mark.parametrize("text", [b"", b"-1", b"+5", b" 5", b"5 ", b"1_0", b"0x5", b"1e3", b"abc"])
def test_no_count(text: bytes) -> None:
    """What is no number is refused."""
    with pytest.raises(BadArgument):
        Window.of({b"n": [text]})


@pytest.mark.parametrize("text", ["٣", "²", "५"])
def test_foreign_digits(text: str) -> None:
    """Only ASCII digits make a number."""
    with pytest.raises(BadArgument):
        Window.of({b"n": [text.encode()]})


def test_without_arguments() -> None:
    """A client that asks for nothing gets the first page."""
    assert Window.of({}) == Window(PAGE, "")


def test_an_argument_that_is_no_text() -> None:
    """Bytes that are not UTF-8 are no reason to fail."""
    assert argument({b"last": [b"a\xff"]}, b"last") == "a�"


NAMES = st.sampled_from([b"n", b"last", b"artifactType", b"ns", b"x"])
VALUES = st.lists(st.binary(max_size=10), min_size=1, max_size=2)


@settings(max_examples=50)
@given(st.dictionaries(NAMES, VALUES), st.text(max_size=20).filter(bool), st.integers(1, PAGE))
def test_next_link(query: dict[bytes, list[bytes]], last: str, count: int) -> None:
    """The link says where the next page begins, and repeats everything else that was asked."""
    last = last.encode("utf-8", "replace").decode()
    link = next_link("/v2/a/tags/list", query, Window(count, ""), last)
    target, relation = link.split("; ")
    assert relation == 'rel="next"'
    assert target[0] + target[-1] == "<>"
    assert all(" " < character < "\x7f" and character not in '<>"' for character in target[1:-1])
    parts = urlsplit(target[1:-1])
    assert (parts.scheme, parts.netloc, parts.path) == ("", "", "/v2/a/tags/list")
    said = parse_qs(parts.query, keep_blank_values=True, encoding="latin-1")
    kept = {name: values for name, values in query.items() if name not in (b"n", b"last")}
    expected = {**kept, b"last": [last.encode()], b"n": [b"%d" % count]}
    assert said == {
        name.decode(): [value.decode("latin-1") for value in values]
        for name, values in expected.items()
    }
