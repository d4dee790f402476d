"""
The rules of the operator: what is not allowed by one of them is not allowed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum

from attrs import field, frozen

from ociregd.access.patterns import Pattern
from ociregd.oci.names import RepositoryName

#: Everybody, with credentials or without: what is allowed to a stranger is allowed to users too.
ANONYMOUS = "anonymous"

#: Everybody whose credentials are valid.
AUTHENTICATED = "authenticated"

#: What comes before the name of a group where a rule says who it is about.
GROUP = "group:"


class Action(Enum):
    """What may be done with a repository. None of them includes another."""

    PULL = "pull"
    PUSH = "push"
    DELETE = "delete"


@frozen
class Rule:
    """
    Lets some do something with some repositories.

    @ivar who: L{ANONYMOUS}, L{AUTHENTICATED}, names of users, and names of groups behind L{GROUP}.
    @ivar line: where it stands in the configuration.
    """

    repositories: Pattern
    who: frozenset[str]
    actions: frozenset[Action]
    line: int | None = field(default=None, eq=False)


@frozen
class Caller:
    """
    Who asks, and what that may do.

    @ivar name: the user, or None without credentials.
    """

    name: str | None
    _rules: Mapping[Action, Sequence[Rule]]

    def rule_for(self, action: Action, name: RepositoryName) -> Rule | None:
        """The first rule that allows something, if there is one."""
        for rule in self._rules.get(action, ()):
            if rule.repositories.matches(name, self.name):
                return rule
        return None

    def may(self, action: Action, name: RepositoryName) -> bool:
        """Whether a rule allows something."""
        return self.rule_for(action, name) is not None

    def may_everywhere(self, action: Action) -> bool:
        """Whether a rule allows something with all repositories, whatever they are called."""
        return any(rule.repositories.everything for rule in self._rules.get(action, ()))

    def prefixes(self, action: Action) -> Sequence[str]:
        """
        What the names begin with with which something may be done: in order, and none of them
        begins with another. (There may be others that begin so.)
        """
        found: list[str] = []
        rules = self._rules.get(action, ())
        beginnings = [rule.repositories.beginning(self.name) for rule in rules]
        for prefix in sorted({text for text in beginnings if text is not None}):
            if not found or not prefix.startswith(found[-1]):
                found.append(prefix)
        return found


#: Who asks where the operator has set up no access control: everybody may do everything.
ANYBODY = Caller(
    None,
    {
        action: [Rule(Pattern("**"), frozenset({ANONYMOUS}), frozenset({action}))]
        for action in Action
    },
)


@frozen
class Rules:
    """
    All rules, and the groups that they name.
    """

    rules: Sequence[Rule] = ()
    groups: Mapping[str, frozenset[str]] = field(factory=dict)

    def caller(self, user: str | None) -> Caller:
        """What somebody may do: a user, or None for who shows no credentials."""
        called = {ANONYMOUS}
        if user is not None:
            called |= {AUTHENTICATED, user}
            called |= {GROUP + group for group, users in self.groups.items() if user in users}
        mine = [rule for rule in self.rules if not rule.who.isdisjoint(called)]
        return Caller(
            user,
            {action: [rule for rule in mine if action in rule.actions] for action in Action},
        )
