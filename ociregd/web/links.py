"""
Locations and links. All are relative: a registry behind a proxy does not know its own name, and a
client's Host header must not decide where another client is sent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote, urlencode

from attrs import frozen

from ociregd.errors import BadArgument
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName, Tag

#: Names on one page, if the client does not say, and at most.
PAGE = 1000

#: No page is that large; a number with more digits is none.
DIGITS = 18

Query = Mapping[bytes, Sequence[bytes]]


def upload_location(name: RepositoryName, session_id: str) -> str:
    """Where an upload goes on: stable for the life of the session."""
    return f"/v2/{name}/blobs/uploads/{session_id}"


def blob_location(name: RepositoryName, digest: Digest) -> str:
    """Where a blob can be pulled."""
    return f"/v2/{name}/blobs/{digest}"


def manifest_location(name: RepositoryName, reference: Tag | Digest) -> str:
    """Where a manifest can be pulled."""
    return f"/v2/{name}/manifests/{reference}"


def argument(query: Query, name: bytes) -> str | None:
    """One argument of a query, or None; bytes that are not UTF-8 become question marks."""
    values = query.get(name)
    return values[0].decode("utf-8", "replace") if values else None


@frozen
class Window:
    """
    What part of a listing a request asks for.

    @ivar count: how many names at most; 0 is a page without names and without a next one.
    @ivar last: the page begins behind this.
    """

    count: int
    last: str

    @classmethod
    def of(cls, query: Query) -> Window:
        """
        @raise BadArgument: if C{n} is not a number.
        """
        text, last = argument(query, b"n"), argument(query, b"last") or ""
        if text is None:
            return cls(PAGE, last)
        if not (text.isascii() and text.isdigit()):
            raise BadArgument("n has to be a whole number, 0 or more")
        return cls(min(PAGE, int(text.lstrip("0")[:DIGITS] or "0")), last)


def next_link(path: str, query: Query, window: Window, last: str) -> str:
    """
    The C{Link} header that leads to the page behind C{last}, with all other arguments kept.
    """
    kept = [
        (name, value)
        for name, values in query.items()
        for value in values
        if name not in (b"n", b"last")
    ]
    kept += [(b"last", last.encode()), (b"n", b"%d" % window.count)]
    return f'<{quote(path)}?{urlencode(kept)}>; rel="next"'
