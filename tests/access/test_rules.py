"""
Tests for L{ociregd.access.rules}: what several rules come to.
"""

from __future__ import annotations

import pytest

from ociregd.access.patterns import Pattern
from ociregd.access.rules import ANYBODY, Action, Rule, Rules
from ociregd.oci.names import RepositoryName

PULL, PUSH, DELETE = Action.PULL, Action.PUSH, Action.DELETE
APP = RepositoryName("team/app")
OTHER = RepositoryName("other/app")


def rule(repositories: str, who: list[str], *actions: Action) -> Rule:
    """A rule."""
    return Rule(Pattern.parse(repositories), frozenset(who), frozenset(actions))


def rules(*some: Rule, **groups: list[str]) -> Rules:
    """Rules over groups."""
    return Rules(some, {name: frozenset(users) for name, users in groups.items()})


def test_without_rules_nothing_is_allowed() -> None:
    """What no rule allows is not allowed, to nobody."""
    for user in (None, "alice"):
        caller = Rules().caller(user)
        assert not any(caller.may(action, APP) for action in Action)
        assert not any(caller.may_everywhere(action) for action in Action)


@pytest.mark.parametrize("action", Action)
def test_no_action_includes_another(action: Action) -> None:
    """Who may push may neither pull nor delete by that, and so on."""
    caller = rules(rule("**", ["alice"], action)).caller("alice")
    assert [other for other in Action if caller.may(other, APP)] == [action]


@pytest.mark.parametrize(
    ("who", "those"),
    [
        (["anonymous"], [None, "alice", "bob"]),
        (["authenticated"], ["alice", "bob"]),
        (["alice"], ["alice"]),
        (["group:ops"], ["bob"]),
        (["group:ops", "alice"], ["alice", "bob"]),
        (["ops"], []),
    ],
)
def test_who(who: list[str], those: list[str | None]) -> None:
    """A stranger's rights are everybody's; users have their own, and those of their groups."""
    made = rules(rule("team/**", who, PULL), ops=["bob"])
    assert [user for user in (None, "alice", "bob") if made.caller(user).may(PULL, APP)] == those
    assert not any(made.caller(user).may(PULL, OTHER) for user in (None, "alice", "bob"))


def test_rules_add_up() -> None:
    """Something is allowed if one rule allows it, whichever; the first that does is the reason."""
    first, second = rule("team/**", ["group:a"], PULL), rule("**", ["alice"], PULL, PUSH)
    caller = rules(first, second, a=["alice"], b=["alice"]).caller("alice")
    assert caller.rule_for(PULL, APP) is first
    assert caller.rule_for(PULL, OTHER) is second
    assert caller.rule_for(PUSH, APP) is second
    assert caller.rule_for(DELETE, APP) is None


def test_everywhere_is_not_somewhere() -> None:
    """Who may do something with some repositories may not do it everywhere."""
    caller = rules(rule("a/**", ["alice"], PULL), rule("**", ["alice"], PUSH)).caller("alice")
    assert caller.may_everywhere(PUSH)
    assert not caller.may_everywhere(PULL)


def test_prefixes() -> None:
    """Where to look for what is allowed: in order, and nowhere twice."""
    patterns = ["team/b/*", "team/**", "a-*", "a-b", "z/{user}"]
    caller = rules(*(rule(text, ["alice"], PULL) for text in patterns)).caller("alice")
    assert caller.prefixes(PULL) == ["a-", "team/", "z/alice"]
    assert caller.prefixes(PUSH) == []


@pytest.mark.parametrize("user", [None, "Alice", "a*", "a/b", "{user}", "*", "ünïcode"])
def test_prefixes_of_who_is_no_component(user: str | None) -> None:
    """Where no name of a repository can have the user in it there is nothing to look for."""
    caller = rules(rule("home/{user}/**", ["anonymous"], PULL)).caller(user)
    assert caller.prefixes(PULL) == []


def test_anybody_may_do_everything() -> None:
    """Where there is no access control, nothing is refused."""
    assert all(ANYBODY.may(action, APP) and ANYBODY.may_everywhere(action) for action in Action)
