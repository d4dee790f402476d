"""
The rows that every subject touches: repositories, and what the collector shall look at.
"""

from __future__ import annotations

from collections.abc import Iterable

from ociregd.errors import NameUnknown
from ociregd.interfaces import ICursor
from ociregd.oci.names import RepositoryName


async def known_repository(cursor: ICursor, name: RepositoryName) -> int:
    """
    @raise NameUnknown: if nothing was ever pushed there.
    @return: the id of the repository.
    """
    found = await cursor.rows("SELECT id FROM repository WHERE name = ?", str(name))
    if not found:
        raise NameUnknown(f"there is no repository {name}")
    return int(found[0][0])


async def made_repository(cursor: ICursor, name: RepositoryName, now: float) -> int:
    """
    The id of the repository, which exists from now on.
    """
    await cursor.change(
        "INSERT INTO repository (id, name, created)"
        " SELECT coalesce(max(id), 0) + 1, ?, ? FROM repository WHERE true"
        " ON CONFLICT (name) DO NOTHING",
        str(name),
        now,
    )
    return await known_repository(cursor, name)


async def make_due(
    cursor: ICursor, kind: str, repository: int, digests: Iterable[str], due_at: float, reason: str
) -> None:
    """
    Have the collector look at blobs (kind C{blob}) or manifests (C{manifest}) of a repository.

    What is queued already is moved, never left as it is: the collector may be about to take it off
    the queue for the earlier reason.
    """
    # Always in one order, so that two transactions never wait for each other.
    for digest in sorted(digests):
        await cursor.change(
            "INSERT INTO due (kind, repository, digest, due_at, tries, reason)"
            " VALUES (?, ?, ?, ?, 0, ?)"
            " ON CONFLICT (kind, repository, digest) DO UPDATE"
            " SET due_at = excluded.due_at, tries = 0, reason = excluded.reason",
            kind,
            repository,
            digest,
            due_at,
            reason,
        )
