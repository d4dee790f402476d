"""
Tests for L{ociregd.access.patterns}.
"""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociregd.access.patterns import Pattern, PatternInvalid
from ociregd.oci.names import RepositoryName


def matches(pattern: str, name: str, user: str | None = None) -> bool:
    """Whether a name matches a pattern."""
    return Pattern.parse(pattern).matches(RepositoryName.parse(name), user)


@pytest.mark.parametrize(
    ("pattern", "those", "not_those"),
    [
        ("team/app", ["team/app"], ["team", "team/app/x", "team/apps", "x/team/app", "team/ap"]),
        ("a", ["a"], ["ab", "a/b", "b/a"]),
        ("a/*", ["a/b", "a/b-c"], ["a", "a/b/c", "ab/c", "b"]),
        ("*", ["a", "abc"], ["a/b"]),
        ("*/app", ["a/app", "b.c/app"], ["app", "a/b/app", "a/apps"]),
        ("a*", ["a", "ab"], ["ba", "ab/c"]),
        ("a*b*c", ["abc", "axbxc", "abbcc", "abcbc"], ["ab", "acb", "abcd", "ab/c"]),
        ("**", ["a", "a/b", "a/b/c"], []),
        ("a/**", ["a/b", "a/b/c"], ["a", "ab/c", "b/a/c"]),
        ("**/a", ["b/a", "c/b/a"], ["a", "a/b"]),
        ("a/**/b", ["a/x/b", "a/x/y/b", "a/b/b", "a/b/c/b"], ["a/b", "a/b/c", "b/x/b"]),
        ("**/a/**", ["x/a/y", "x/y/a/z", "a/a/a"], ["a", "x/a", "a/x", "a/a"]),
        ("**/**", ["a/b", "a/b/c"], ["a"]),
        ("**/v*/**", ["x/v1/y", "x/w/v/y/z"], ["v1/y", "x/v1"]),
    ],
)
def test_matches(pattern: str, those: list[str], not_those: list[str]) -> None:
    """A star stays within its component, two go across, and all else is itself."""
    for name in those + not_those:
        assert matches(pattern, name) is (name in those), name


@pytest.mark.parametrize("pattern", ["{user}/**", "home/{user}", "x-{user}.y/a", "**/{user}"])
def test_the_user_is_who_asks(pattern: str) -> None:
    """Each user has a place of the same name, and nobody has that of another."""
    name = pattern.replace("{user}", "al").replace("**", "some")
    assert matches(pattern, name, "al")
    for user in ("alice", "a", "bob", "AL", "al ", " al", "", None):
        assert not matches(pattern, name, user), user


@pytest.mark.parametrize(
    "user", ["*", "**", "a*", "al/ice", "al/**", "..", ".*", "[a-z]+", "{user}", "a\nb", "a|b", ""]
)
@pytest.mark.parametrize("pattern", ["{user}", "{user}/**", "{user}/app", "x{user}", "**/{user}"])
@pytest.mark.parametrize("name", ["al", "al/app", "al/ice", "al/ice/app", "xal", "x", "app/x/al"])
def test_no_name_of_a_user_widens_a_pattern(user: str, pattern: str, name: str) -> None:
    """What means something in a pattern, or in an expression, does not in the name of a user."""
    assert not matches(pattern, name, user)


def test_nobody_is_no_user() -> None:
    """A pattern with the user in it does not match for who has shown no credentials."""
    assert not matches("a{user}b", "ab", None)


@pytest.mark.parametrize(
    "text",
    [
        *("", "/", "a/", "/a", "a//b", "A", "a b", "a\n", "é", "a?", "[a]", "a,b", "..", "a/./b"),
        *("a**", "**a", "a/b**", "***", "{user}*", "*{user}", "{user}{user}", "{User}", "{group}"),
        *("{user", "user}", "-a", "a-", "a..b", "_a", "{}", "\0", "a" * 256),
    ],
)
def test_what_is_no_pattern(text: str) -> None:
    """What no name could match is refused, and what is not sure to mean what it seems to."""
    with pytest.raises(PatternInvalid):
        Pattern.parse(text)


def test_everything() -> None:
    """Only two stars are everything."""
    assert Pattern.parse("**").everything
    assert not any(Pattern.parse(text).everything for text in ("*", "**/*", "a/**", "**/**"))


@pytest.mark.parametrize(
    ("text", "prefix"),
    [("**", ""), ("a/**", "a/"), ("a/b-*", "a/b-"), ("a/{user}", "a/"), ("a/b", "a/b"), ("*", "")],
)
def test_the_prefix_is_what_is_fixed(text: str, prefix: str) -> None:
    """What all names that match begin with is known."""
    assert Pattern.parse(text).prefix == prefix


letters = st.sampled_from("ab")
components = st.text(letters, min_size=1, max_size=4)
stars = st.text(st.sampled_from("ab*"), min_size=1, max_size=4).filter(
    lambda text: "**" not in text
)


@given(
    st.lists(stars | st.just("**"), min_size=1, max_size=5),
    st.lists(components, min_size=1, max_size=6),
)
def test_patterns_are_what_the_plain_expression_is(pattern: list[str], name: list[str]) -> None:
    """The quick way comes to the same as the obvious one."""
    plain = "/".join(
        "[^/]+(?:/[^/]+)*" if part == "**" else part.replace("*", "[^/]*") for part in pattern
    )
    text = "/".join(name)
    assert matches("/".join(pattern), text) is (re.fullmatch(plain, text) is not None)


@pytest.mark.parametrize(
    ("pattern", "name"),
    [
        ("**/" * 40 + "b", "/".join(["a"] * 120)),
        ("*a" * 60 + "*b", "a" * 255),
        ("**/a*a*a*a*b/" * 10 + "**/c", "/".join(["aaaaaaaaaaaaaaaa"] * 15)),
    ],
)
def test_no_pattern_takes_long(pattern: str, name: str) -> None:
    """Where the obvious way would not come to an end, there is one."""
    before = time.process_time()
    assert not matches(pattern, name)
    assert time.process_time() - before < 0.5
