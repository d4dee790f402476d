"""
Patterns that repository names match: C{*} stays within one component, C{**} goes across, and
C{{user}} is the name of whoever asks.

C{**} is a whole component of the pattern and stands for one component or more; C{{user}} shares its
component with fixed text only. So whatever a user is called, C{{user}} matches what is spelt
exactly so and in one component, and never what it matches for somebody else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from enum import Enum, auto

from attrs import field, frozen

from ociregd.errors import NameInvalid
from ociregd.oci.names import RepositoryName

USER = "{user}"

_STRANGE = re.compile(r"[^a-z0-9._/*-]")

# What a component of a repository name has at most; others are sorted elsewhere.
_COMPONENT = re.compile(r"[a-z0-9._-]+")

# Stands for what is not fixed where a pattern is tried as a name.
_SAMPLE = "a"


class PatternInvalid(ValueError):
    """A pattern that no name can match, or that does not say what it seems to."""


class _Across(Enum):
    """What a pattern has beside components that match one component each."""

    ANY = auto()


# A text, perhaps with the user in it; or an expression where it has a star.
_Part = str | re.Pattern[str] | _Across


@frozen
class Pattern:
    """
    A pattern, checked and ready to be matched.

    @ivar text: as the operator wrote it.
    @ivar prefix: what every name that matches begins with, as far as that is fixed.
    """

    text: str
    prefix: str = field(init=False, eq=False, repr=False)
    _parts: Sequence[_Part] = field(init=False, eq=False, repr=False)

    def __attrs_post_init__(self) -> None:
        # Once, and not with every match.
        object.__setattr__(self, "prefix", re.split(r"[*{]", self.text, maxsplit=1)[0])
        parts = [part for component in self.text.split("/") for part in _parts(component)]
        object.__setattr__(self, "_parts", parts)

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """
        Check a pattern.

        @raise PatternInvalid: if no repository name could match it, or if it has C{**} or C{{user}}
            where they mean nothing certain.
        """
        for component in text.split("/"):
            if "**" in component and component != "**":
                raise PatternInvalid("** has to stand alone between slashes")
            if USER in component and ("*" in component or component.count(USER) > 1):
                raise PatternInvalid("between two slashes, {user} stands once and without *")
        strange = _STRANGE.search(text.replace(USER, _SAMPLE))
        if strange is not None:
            raise PatternInvalid(f"{strange[0]} is in no repository name")
        try:
            RepositoryName.parse(
                text.replace("**", "*").replace("*", _SAMPLE).replace(USER, _SAMPLE)
            )
        except NameInvalid:
            raise PatternInvalid("no repository name can match it") from None
        return cls(text)

    @property
    def everything(self) -> bool:
        """Whether every name matches."""
        return self.text == "**"

    def matches(self, name: RepositoryName, user: str | None) -> bool:
        """
        Whether a name does.

        @param user: what C{{user}} stands for; None, and what has it matches nothing.
        """
        text = str(name)
        return text.startswith(self.prefix) and _match(self._parts, text.split("/"), user)

    def beginning(self, user: str | None) -> str | None:
        """
        What every name begins with that matches for a user; None if none does.
        """
        if USER not in self.text:
            return self.prefix
        if user is None or _COMPONENT.fullmatch(user) is None:
            return None
        return self.text.replace(USER, user).partition("*")[0]

    def __str__(self) -> str:
        return self.text


def _parts(component: str) -> Sequence[_Part]:
    if component == "**":
        return [re.compile(".+"), _Across.ANY]
    if "*" not in component:
        return [component]
    # Every star but the last takes as little as it can, and never gives that back: what comes
    # behind has all the more room. So no pattern takes long.
    first, *middle, last = (re.escape(text) for text in component.split("*"))
    return [re.compile(first + "".join(f"(?>.*?{text})" for text in middle) + f".*{last}")]


def _match(parts: Sequence[_Part], components: Sequence[str], user: str | None) -> bool:
    """
    Whether all components match all parts.

    Where that fails, only the last C{ANY} takes one more component: what the earlier ones left was
    enough for what stands between them.
    """
    part = component = 0
    back: tuple[int, int] | None = None
    while component < len(components):
        if part < len(parts) and parts[part] is _Across.ANY:
            back = (part, component)
            part += 1
        elif part < len(parts) and _takes(parts[part], components[component], user):
            part, component = part + 1, component + 1
        elif back is not None:
            back = (back[0], back[1] + 1)
            part, component = back[0] + 1, back[1]
        else:
            return False
    return all(rest is _Across.ANY for rest in parts[part:])


def _takes(part: _Part, component: str, user: str | None) -> bool:
    if isinstance(part, re.Pattern):
        return part.fullmatch(component) is not None
    if part is _Across.ANY:
        return False
    if USER in part:
        # No user is called nothing; that would leave the rest of the component.
        return bool(user) and part.replace(USER, str(user)) == component
    return part == component
