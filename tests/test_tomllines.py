"""
Tests for L{ociregd.tomllines}.
"""

from __future__ import annotations

import json
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociregd.tomllines import line_of, lines

DOCUMENT = '''\
# a comment = 1
first = "a # no comment"   # and one = 2

second = [ # three = 3
  "[table]",
  { inner = 1 }, ["four = 4"],
]
dotted . "key" = 1
text = """
[fake]
also_fake = 1 \\""" still
"""" # "[
raw = \'\'\'
fake = 1\'\'\'\' # '[
'quoted key' = { a = 1, b = { c = "}" } }

[table]
key = 'C:\\'
[ table.inner ]
key = 3.14
[[many]]
one = 1
[[many]]
one = 2
two.three = 1979-05-27T07:32:00Z
'''


def test_the_document_is_toml() -> None:
    """What the places below are found in is well-formed."""
    assert tomllib.loads(DOCUMENT)["raw"] == "fake = 1'"


def test_every_key_has_its_line() -> None:
    """Keys and tables are found, and nothing that only looks like one."""
    assert dict(lines(DOCUMENT)) == {
        ("first",): 2,
        ("second",): 4,
        ("dotted",): 8,
        ("dotted", "key"): 8,
        ("text",): 9,
        ("raw",): 13,
        ("quoted key",): 15,
        ("table",): 17,
        ("table", "key"): 18,
        ("table", "inner"): 19,
        ("table", "inner", "key"): 20,
        ("many",): 21,
        ("many", "one"): 22,
        ("many", "two"): 25,
        ("many", "two", "three"): 25,
    }


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("table", "inner", "key"), 20),
        (("quoted key", "b", "c"), 15),
        (("second", "inner"), 4),
        (("nothing",), None),
        ((), None),
    ],
)
def test_a_key_inside_of_a_value_is_where_the_value_is(
    path: tuple[str, ...], line: int | None
) -> None:
    """A key of an inline table has the line of the key that holds it; an unknown one has none."""
    assert line_of(DOCUMENT, path) == line


def test_line_ends_of_windows_are_line_ends() -> None:
    """Lines are counted alike, whatever ends them."""
    assert lines(DOCUMENT.replace("\n", "\r\n")) == lines(DOCUMENT)


values = st.sampled_from(
    ["1", "true", '"a"', "'#'", '["a",\n\n"]"]', '"""\n\n[x]\n"""', "{ a = 1 }", "[]", "1.5 # x"]
)


@given(st.lists(st.tuples(st.text(st.characters(codec="utf-8")), values), max_size=8))
def test_keys_are_found_between_any_values(pairs: list[tuple[str, str]]) -> None:
    """However long the values in between are, every key has the line that it was written on."""
    text, expected = "", {}
    for key, value in dict(pairs).items():
        # TOML writes these as JSON does, but for one character.
        written = json.dumps(key, ensure_ascii=False).replace("\x7f", "\\u007f")
        expected[(key,)] = text.count("\n") + 1
        text += f"{written} = {value}\n"
    assert list(tomllib.loads(text)) == [key for (key,) in expected]
    assert lines(text) == expected
