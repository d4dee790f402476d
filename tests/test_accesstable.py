"""
Tests for L{ociregd.accesstable}: what the table [access] may say, and where it is wrong.
"""

from __future__ import annotations

import pytest

from ociregd.accesstable import Access
from ociregd.settings import SettingsError, parse

RULE = '[[access.rule]]\nrepositories = "a"\nwho = ["alice"]\nactions = ["pull"]\n'


def access_of(text: str) -> Access:
    """What a configuration says."""
    access = parse(text).access
    assert access is not None
    return access


def test_an_empty_table() -> None:
    """The table alone means that nobody may do anything."""
    access = access_of("[access]")
    assert (access.htpasswd, access.scheme) == (None, "basic")
    assert not access.rules.rules
    assert parse("").access is None


def test_rules_know_their_lines() -> None:
    """Each rule knows where it stands; one that is written inline, where all of them do."""
    text = f"[access]\n{RULE}\n\n# another\n{RULE}[storage]\n{RULE}"
    assert [rule.line for rule in access_of(text).rules.rules] == [2, 9, 14]
    inline = 'access.rule = [\n{ repositories = "a", who = ["b"], actions = ["pull"] }]'
    assert [rule.line for rule in access_of(inline).rules.rules] == [1]


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        ("[access]\nhtpaswd = 'x'", 2, "access.htpaswd", "did you mean htpasswd?"),
        ("[access]\ntokens = 1", 2, "access.tokens", "there are htpasswd, scheme, groups, rule"),
        ("[access]\nhtpasswd = 'x'", 2, "access.htpasswd", "is not an absolute path"),
        ("[access]\nhtpasswd = 5", 2, "access.htpasswd", "is not an absolute path"),
        ("[access]\nscheme = 'bearer'", 2, "access.scheme", "comes with a later version"),
        ("[access]\nscheme = 'digest'", 2, "access.scheme", 'write "basic"'),
        ("[access]\ngroups = 5", 2, "access.groups", "write [access.groups]"),
        ("[access.groups]\nops = []", 2, "access.groups.ops", "write it like"),
        ("[access.groups]\nops = 'alice'", 2, "access.groups.ops", "write it like"),
        ("[access.groups]\n\nops = ['alice', 5]", 3, "access.groups.ops", "write it like"),
        ("[access.groups]\nops = ['anonymous']", 2, "access.groups.ops", "can be called"),
        ("[access.groups]\nops = ['group:dev']", 2, "access.groups.ops", 'no ":"'),
        ("[access.groups]\nops = ['']", 2, "access.groups.ops", "1 to 255"),
        ("[access]\nrule = 5", 2, "access.rule", "with two brackets"),
        ("[access.rule]\nwho = ['a']", 1, "access.rule", "with two brackets"),
        ("[[access.rule]]\n", 1, "access.rule", "a rule needs repositories"),
        (f"{RULE}\n[[access.rule]]\nwho = ['b']", 6, "access.rule", "a rule needs repositories"),
        (f"{RULE}action = []", 5, "access.rule.action", "did you mean actions?"),
        (RULE.replace('"a"', "5"), 2, "access.rule.repositories", "is not a pattern"),
        (RULE.replace('"a"', '"A"'), 2, "access.rule.repositories", "in no repository name"),
        (RULE.replace('"a"', '"a**"'), 2, "access.rule.repositories", "stand alone"),
        (RULE.replace('["alice"]', "[]"), 3, "access.rule.who", "write it like"),
        (RULE.replace('["alice"]', '"alice"'), 3, "access.rule.who", "write it like"),
        (RULE.replace("alice", "group:ops"), 3, "access.rule.who", 'there is no group "ops"'),
        (RULE.replace("alice", "group:"), 3, "access.rule.who", 'there is no group ""'),
        (RULE.replace("alice", "a b"), 3, "access.rule.who", "no spaces"),
        (RULE.replace('["pull"]', "[]"), 4, "access.rule.actions", "write it like"),
        (RULE.replace("pull", "read"), 4, "access.rule.actions", "there are pull, push, delete"),
        (RULE.replace("pull", "*"), 4, "access.rule.actions", "there are pull, push, delete"),
        (RULE + RULE.replace("pull", "read"), 8, "access.rule.actions", "is not an action"),
        (RULE + "[storage]\n" + RULE.replace("pull", "x"), 9, "access.rule.actions", "no"),
    ],
)
def test_what_is_wrong_is_refused(text: str, line: int, key: str, hint: str) -> None:
    """What cannot be meant is refused with its line, its key, and what would be right."""
    with pytest.raises(SettingsError) as refusal:
        parse(text)
    problem = refusal.value
    assert (problem.line, problem.key) == (line, key)
    assert hint in str(problem)
