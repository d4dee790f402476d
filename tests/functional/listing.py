"""
Following the pages of a listing.
"""

from __future__ import annotations

import re

from .client import Answer, Client


def next_page(answer: Answer) -> str | None:
    """
    Where the next page is, if the answer says that there is one.

    The Link has to be a path of the registry: a host in it would be one the client named.
    """
    links = answer.lines("Link")
    if not links:
        return None
    assert len(links) == 1, links
    parsed = re.fullmatch(r'<(/v2/[!-;=?-~]+)>; rel="next"', links[0])
    assert parsed is not None, links[0]
    return parsed[1]


def pages(client: Client, target: str, key: str) -> list[list[str]]:
    """All pages of a listing, the first one at C{target}; what is listed is under C{key}."""
    found = []
    following: str | None = target
    while following is not None:
        answer = client.call("GET", following)
        assert answer.status == 200, answer
        assert answer.header("Content-Type") == "application/json"
        found.append(list(answer.json()[key]))
        following = next_page(answer)
        assert len(found) < 1000, "pages without end"
    return found


def joined(found: list[list[str]]) -> list[str]:
    """What all pages hold, in their order."""
    return [item for page in found for item in page]
