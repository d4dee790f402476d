"""
The catalogue: the repositories that the caller may pull from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

from ociregd.access.rules import Action, Caller
from ociregd.errors import Denied
from ociregd.oci.names import RepositoryName
from ociregd.registry.repository import Registry
from ociregd.values import Page

#: How many names are read at once.
BATCH = 1000

#: How many names a request looks through that the caller may not see. Only behind what comes before
#: the first star of a rule there are any to look through.
MOST_HIDDEN = 50_000


async def catalogue(registry: Registry, caller: Caller, last: str, count: int) -> Page:
    """
    Up to C{count} names behind C{last} that the caller may pull from.

    C{last} is a place in the order and need not be the name of anything; whether it is shows in no
    answer. And the pages are as if there was nothing else.

    @raise Denied: if too many others are in between.
    """
    if caller.may_everywhere(Action.PULL):
        return await registry.repositories(last, count)
    found: list[str] = []
    hidden = 0
    # One more than is asked for: whether there is more may not depend on what is hidden.
    async for name in candidates(registry, caller, last, min(BATCH, count + 1)):
        if caller.may(Action.PULL, RepositoryName(name)):
            found.append(name)
            if len(found) > count:
                break
        else:
            hidden += 1
            if hidden > MOST_HIDDEN:
                raise Denied("there are too many repositories to look for yours among them")
    return Page(found[:count], more=len(found) > count)


async def candidates(
    registry: Registry, caller: Caller, last: str, batch: int
) -> AsyncIterator[str]:
    """
    The names behind C{last}, in order, that begin as those do that the caller may pull from.
    """
    for prefix in caller.prefixes(Action.PULL):
        after, more = max(last, before(prefix)), True
        while more:
            page = await registry.repositories(after, batch)
            for name in page.names:
                if not name.startswith(prefix):
                    break
                yield name
            more = page.more and page.names[-1].startswith(prefix)
            after = page.names[-1] if page.names else after
            # Who asks for few names may have to be looked for among many.
            batch = min(BATCH, 2 * batch)


def before(prefix: str) -> str:
    """
    A text behind which all names are that begin with a prefix, and no other one in between.

    Names end before the tilde: nothing but this is as late behind the last letter before.
    """
    return prefix[:-1] + chr(ord(prefix[-1]) - 1) + "~" if prefix else ""
