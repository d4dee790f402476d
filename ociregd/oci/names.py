"""
The names of repositories and of what is in them: tags, and references (a tag or a digest).

Each is checked once, here, against the grammar of the distribution specification; what holds one of
these values need not ask again whether it is safe in a path, a query or a header.
"""

from __future__ import annotations

import re
from typing import ClassVar

from attrs import frozen

from ociregd.errors import ManifestInvalid, ManifestUnknown, NameInvalid
from ociregd.oci.digest import Digest
from ociregd.oci.quoting import quoted


@frozen(order=True)
class RepositoryName:
    """
    The name of a repository: components of lower-case letters and digits, joined by slashes.

    Repository names sort bytewise.
    """

    # Clients allow 255 characters for the host, a slash and the name.
    LONGEST: ClassVar[int] = 255

    # A separator never begins with a letter or a digit, so a text matches in one way only and the
    # time to refuse one grows with its length.
    _COMPONENT: ClassVar[str] = r"[a-z0-9]+(?:(?:\.|__?|-+)[a-z0-9]+)*"
    GRAMMAR: ClassVar[re.Pattern[str]] = re.compile(rf"{_COMPONENT}(?:/{_COMPONENT})*")

    text: str

    @classmethod
    def parse(cls, text: str) -> RepositoryName:
        """
        Check the name of a repository.

        @raise NameInvalid: if it breaks the grammar, or is too long.
        """
        if len(text) > cls.LONGEST:
            raise NameInvalid(f"a repository name has {cls.LONGEST} characters at most")
        if cls.GRAMMAR.fullmatch(text) is None:
            raise NameInvalid(
                f"{quoted(text)} is not a repository name: write lower-case letters and digits, "
                "with single '.', '_' or '/', '__' or any number of '-' between them"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.text


@frozen(order=True)
class Tag:
    """
    The name that a repository gives to a manifest.

    Tags sort bytewise.
    """

    GRAMMAR: ClassVar[re.Pattern[str]] = re.compile(r"[a-zA-Z0-9_][a-zA-Z0-9._-]{0,127}")

    text: str

    @classmethod
    def parse(cls, text: str) -> Tag:
        """
        Check a tag.

        @raise ManifestInvalid: if it breaks the grammar.
        """
        if cls.GRAMMAR.fullmatch(text) is None:
            raise ManifestInvalid(
                f"{quoted(text)} is not a tag: write 1 to 128 letters, digits, '_', '.' or '-', "
                "beginning with neither '.' nor '-'"
            )
        return cls(text)

    def __str__(self) -> str:
        return self.text


def parse_reference(text: str) -> Tag | Digest:
    """
    Read what stands for a manifest in a URL. A tag has no colon and a digest has one.

    @raise DigestInvalid: if it has a colon and is not a digest.
    @raise ManifestUnknown: if it is not a tag either: nothing can be stored under it.
    """
    if ":" in text:
        return Digest.parse(text)
    try:
        return Tag.parse(text)
    except ManifestInvalid as problem:
        raise ManifestUnknown(str(problem)) from None
