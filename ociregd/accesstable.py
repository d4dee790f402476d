"""
The table C{[access]} of the configuration: users, groups, and who may do what.

It has a reader of its own, since what it says hangs together: rules name groups.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from attrs import field, frozen

from ociregd.access.htpasswd import UserInvalid, check_user
from ociregd.access.patterns import Pattern, PatternInvalid
from ociregd.access.rules import ANONYMOUS, AUTHENTICATED, GROUP, Action, Rule, Rules
from ociregd.quantities import Wrong, shown
from ociregd.tomllines import Path, line_of, line_of_element

KEYS = ("htpasswd", "scheme", "groups", "rule")
RULE_KEYS = ("repositories", "who", "actions")


class WrongAccess(Wrong):
    """
    Something in the table cannot be used.

    @ivar path: what, as keys.
    @ivar line: where, if that is known.
    """

    def __init__(self, message: str, path: Path, line: int | None) -> None:
        super().__init__(message)
        self.path = path
        self.line = line


@frozen
class Access:
    """
    Who may do what.

    @ivar htpasswd: the file of the users, if there are any.
    @ivar scheme: what credentials are asked for.
    """

    htpasswd: str | None = None
    scheme: str = "basic"
    rules: Rules = field(factory=Rules)


def read_access(text: str, table: Mapping[str, object]) -> Access:
    """
    Read the table.

    @param text: the document that it is in.
    @raise WrongAccess: for the first thing that is wrong with it.
    """
    for key in table:
        _known(text, key, KEYS, ("access", key), line_of(text, ("access", key)))
    groups = {
        name: _read(text, ("access", "groups", name), _members, users)
        for name, users in _read(
            text, ("access", "groups"), _table, table.get("groups", {})
        ).items()
    }
    written = _read(text, ("access", "rule"), _list_of_tables, table.get("rule", []))
    return Access(
        htpasswd=_read(text, ("access", "htpasswd"), _file, table.get("htpasswd")),
        scheme=_read(text, ("access", "scheme"), _scheme, table.get("scheme", "basic")),
        rules=Rules(
            [_rule(text, number, rule, groups) for number, rule in enumerate(written)], groups
        ),
    )


def _read(text: str, path: Path, read: Any, value: object) -> Any:
    try:
        return read(value)
    except Wrong as problem:
        raise WrongAccess(str(problem), path, line_of(text, path)) from None


def _known(text: str, key: str, keys: Iterable[str], path: Path, line: int | None) -> None:
    if key not in keys:
        near = difflib.get_close_matches(key, keys, n=1)
        hint = f"did you mean {near[0]}?" if near else f"there are {', '.join(keys)}"
        raise WrongAccess(f"there is no such key; {hint}", path, line)


def _rule(
    text: str, number: int, rule: Mapping[str, object], groups: Mapping[str, frozenset[str]]
) -> Rule:
    where = ("access", "rule")

    def line(*key: str) -> int | None:
        return line_of_element(text, where, number, *key)

    for key in rule:
        _known(text, key, RULE_KEYS, (*where, key), line(key))

    def read(key: str, reader: Any) -> Any:
        if key not in rule:
            raise WrongAccess(f"a rule needs {key}", where, line())
        try:
            return reader(rule[key])
        except Wrong as problem:
            raise WrongAccess(str(problem), (*where, key), line(key)) from None

    return Rule(
        read("repositories", _pattern),
        read("who", lambda value: _who(value, groups)),
        read("actions", _actions),
        line(),
    )


def _table(value: object) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Wrong("this is a table; write [access.groups] and its keys below")
    return value


def _list_of_tables(value: object) -> list[Mapping[str, object]]:
    if not isinstance(value, list) or not all(isinstance(rule, dict) for rule in value):
        raise Wrong("write [[access.rule]], with two brackets, before the keys of each rule")
    return value


def _file(value: object) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise Wrong(
            f'{shown(value)} is not an absolute path; write it like "/etc/ociregd/htpasswd"'
        )
    return value


def _scheme(value: object) -> str:
    if value == "bearer":
        raise Wrong('"bearer" comes with a later version; write "basic"')
    if value != "basic":
        raise Wrong(f'{shown(value)} is not a scheme; write "basic"')
    return "basic"


def _texts(value: object, example: str) -> list[str]:
    if not isinstance(value, list) or not value or not all(isinstance(one, str) for one in value):
        raise Wrong(f"{shown(value)} is not a list of them; write it like {example}")
    return value


def _user(name: str) -> str:
    try:
        check_user(name)
    except UserInvalid as problem:
        raise Wrong(f"{shown(name)}: {problem}") from None
    return name


def _members(value: object) -> frozenset[str]:
    return frozenset(_user(name) for name in _texts(value, '["alice", "bob"]'))


def _pattern(value: object) -> Pattern:
    if not isinstance(value, str):
        raise Wrong(f'{shown(value)} is not a pattern; write it like "team/**"')
    try:
        return Pattern.parse(value)
    except PatternInvalid as problem:
        raise Wrong(f"{shown(value)}: {problem}") from None


def _who(value: object, groups: Mapping[str, frozenset[str]]) -> frozenset[str]:
    names = _texts(value, f'["{ANONYMOUS}"], ["{AUTHENTICATED}"], ["alice"] or ["{GROUP}ops"]')
    for name in names:
        if name.startswith(GROUP):
            group = name.removeprefix(GROUP)
            if group not in groups:
                raise Wrong(f"there is no group {shown(group)}; name its users in [access.groups]")
        elif name not in (ANONYMOUS, AUTHENTICATED):
            _user(name)
    return frozenset(names)


def _actions(value: object) -> frozenset[Action]:
    known = {action.value: action for action in Action}
    names = _texts(value, '["pull", "push"]')
    for name in names:
        if name not in known:
            raise Wrong(f"{shown(name)} is not an action; there are {', '.join(known)}")
    return frozenset(known[name] for name in names)
