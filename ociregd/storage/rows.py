"""
The rows that every subject touches: repositories, and what the collector shall look at.

Repositories are named in each statement, rather than asked for their ids first: that would be a
round trip to the database.

Every transaction comes to its rows in one order, so that none waits for one that waits for it:
uploads, blobs, repositories, the blobs that they hold, manifests, tags, and last what is due; of
each kind in the order of their keys.
"""

from __future__ import annotations

from ociregd.errors import NameUnknown
from ociregd.oci.names import RepositoryName
from ociregd.transactions import ICursor


async def expect_repository(cursor: ICursor, name: RepositoryName) -> None:
    """
    @raise NameUnknown: if nothing was ever pushed there.
    """
    await cursor.expect(
        NameUnknown(f"there is no repository {name}"),
        "SELECT id FROM repository WHERE name = ?",
        str(name),
    )


async def make_repository(cursor: ICursor, name: RepositoryName, now: float) -> None:
    """
    Let the repository exist from now on.
    """
    await cursor.later(
        "INSERT INTO repository (name, created) VALUES (?, ?) ON CONFLICT (name) DO NOTHING",
        str(name),
        now,
    )


async def make_due(
    cursor: ICursor, kind: str, name: RepositoryName, digest: str, due_at: float, reason: str
) -> None:
    """
    Have the collector look at a blob (kind C{blob}) or manifest (C{manifest}) of a repository.
    """
    await make_all_due(
        cursor,
        "SELECT ?, id, ?, ?, 0, ? FROM repository WHERE name = ?",
        kind,
        digest,
        due_at,
        reason,
        str(name),
    )


async def make_all_due(cursor: ICursor, selected: str, *parameters: object) -> None:
    """
    Have the collector look at whatever a query finds, as rows of C{due}.

    What is queued already is moved, never left as it is: the collector may be about to take it off
    the queue for the earlier reason.
    """
    await cursor.later(
        f"INSERT INTO due (kind, repository, digest, due_at, tries, reason) {selected}"
        " ON CONFLICT (kind, repository, digest) DO UPDATE"
        " SET due_at = excluded.due_at, tries = 0, reason = excluded.reason",
        *parameters,
    )


def storable(text: str) -> str:
    """
    Where a page begins, without what no text in a database can have: no stored text sorts between
    the two.
    """
    return text.partition("\0")[0]
