"""
Tests for L{ociregd.web.catalogue}: pages of what a caller may see, and no trace of the rest.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Coroutine
from typing import Any, TypeVar

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from ociregd.access.patterns import Pattern
from ociregd.access.rules import ANYBODY, Action, Caller, Rule, Rules
from ociregd.errors import Denied
from ociregd.oci.names import RepositoryName
from ociregd.values import Page
from ociregd.web.catalogue import BATCH, MOST_HIDDEN, before, catalogue

T = TypeVar("T")


@define
class Names:
    """
    A registry that has names only, and counts what is read of them.
    """

    names: list[str]
    read: int = 0
    asked: int = 0

    async def repositories(self, last: str, count: int) -> Page:
        """As the real one."""
        first = bisect_right(self.names, last)
        found = self.names[first : first + count]
        self.read += len(found)
        self.asked += 1
        return Page(found, more=first + count < len(self.names))


def result_of(work: Coroutine[Any, Any, T]) -> T:
    """What comes of something that waits for nothing."""
    results: list[Any] = []
    Deferred.fromCoroutine(work).addBoth(results.append)
    [result] = results
    if hasattr(result, "raiseException"):
        result.raiseException()
    found: T = result
    return found


def caller(*patterns: str) -> Caller:
    """Somebody who may pull what matches."""
    return Rules(
        [
            Rule(Pattern.parse(pattern), frozenset(["alice"]), frozenset([Action.PULL]))
            for pattern in patterns
        ]
    ).caller("alice")


def page(registry: Names, who: Caller, last: str = "", count: int = 1000) -> Page:
    """A page for somebody."""
    return result_of(catalogue(registry, who, last, count))


def pages(registry: Names, who: Caller, count: int) -> list[str]:
    """All pages, each found by the last name of the one before."""
    found: list[str] = []
    more = True
    while more:
        one = page(registry, who, found[-1] if found else "", count)
        assert len(one.names) == count or not one.more
        found += one.names
        more = one.more
    return found


word = st.text(st.sampled_from("ab0z-_"), min_size=1, max_size=3).filter(
    lambda text: RepositoryName.GRAMMAR.fullmatch(text) is not None
)
name = st.lists(word, min_size=1, max_size=3).map("/".join)
pattern = st.lists(word | st.sampled_from(["*", "**", "a*", "{user}"]), min_size=1, max_size=3)


@given(
    st.lists(name, max_size=30, unique=True),
    st.lists(pattern.map("/".join), max_size=4),
    st.integers(1, 5),
    name,
)
def test_pages_are_those_of_a_registry_without_the_rest(
    names: list[str], patterns: list[str], count: int, last: str
) -> None:
    """What a caller sees does not depend on what the caller may not see."""
    who = caller(*patterns)
    visible = [one for one in sorted(names) if who.may(Action.PULL, RepositoryName(one))]
    whole = Names(sorted(names))
    assert pages(whole, who, count) == visible
    for start in (last, *visible):
        for size in (0, count):
            assert page(whole, who, start, size) == page(Names(visible), ANYBODY, start, size)


def test_looks_only_where_rules_point() -> None:
    """What is fixed at the beginning of a rule keeps the others' names from being read."""
    names = sorted(f"{team}/app{number}" for team in "abcdefgh" for number in range(2000))
    registry = Names(names)
    assert len(page(registry, caller("c/*", "f/app1999"), count=3000).names) == 2001
    assert registry.read < 2000 + 4 * BATCH


def test_the_places_of_others_are_not_read() -> None:
    """Where every user has a place, each is shown their own, however many there are."""
    others = [f"home/a{number:06}/app" for number in range(MOST_HIDDEN + 1)]
    registry = Names([*others, "home/alice/app"])
    assert page(registry, caller("home/{user}/**")).names == ["home/alice/app"]
    assert registry.read == 1


def test_few_among_many() -> None:
    """Who asks for one name at a time has it sought in few questions, and not for ever."""
    hidden = [f"a/app{number:06}" for number in range(MOST_HIDDEN)]
    registry = Names([*hidden, "b/mine"])
    assert page(registry, caller("*/mine"), count=1).names == ["b/mine"]
    assert registry.asked < 100
    with pytest.raises(Denied):
        page(Names([*hidden, "a/one-more", "b/mine"]), caller("*/mine"), count=1)


@given(name, name)
def test_before(prefix: str, other: str) -> None:
    """Names are behind it if they begin with the prefix or come later, and only then."""
    assert (other > before(prefix)) is (other >= prefix)
    assert (prefix + "/" + other) > before(prefix)


def test_before_everything() -> None:
    """All names begin with nothing."""
    assert before("") == ""
