"""
Blobs in SQL: which exist, and which repositories hold them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import BlobUnknown, BlobUploadUnknown, Overtaken
from ociregd.interfaces import IBlobRecords
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName
from ociregd.storage.rows import expect_repository, make_due, make_repository
from ociregd.storage.upload_records import end, start
from ociregd.transactions import ICursor, IDatabase
from ociregd.values import Blob, Lease, Standing


async def find(cursor: ICursor, name: RepositoryName, digest: Digest) -> Blob:
    found = await cursor.rows(
        "SELECT blob.size, blob.generation, repository_blob.lease_until FROM repository"
        " JOIN repository_blob ON repository_blob.repository = repository.id"
        " JOIN blob ON blob.digest = repository_blob.digest"
        " WHERE repository.name = ? AND repository_blob.digest = ? AND blob.state = 'live'",
        str(name),
        str(digest),
    )
    if not found:
        raise BlobUnknown(f"{name} does not hold {digest}")
    [(size, generation, lease_until)] = found
    return Blob(digest, size, generation, lease_until)


STANDING = "SELECT state, generation FROM blob WHERE digest = ?"


def standing_of(found: Sequence[tuple[Any, ...]]) -> Standing:
    """What the row of a blob says, if there is one."""
    if not found:
        return Standing(False, 1)
    [(state, generation)] = found
    return Standing(True, generation) if state == "live" else Standing(False, generation + 1)


async def standing(cursor: ICursor, digest: Digest) -> Standing:
    return standing_of(await cursor.rows(STANDING, str(digest)))


async def begin(
    cursor: ICursor, session_id: str, name: RepositoryName, digest: Digest, now: float
) -> Standing:
    await start(cursor, session_id, name, now)
    return standing_of(await cursor.answer(STANDING, str(digest)))


async def continue_(
    cursor: ICursor, session_id: str, name: RepositoryName, digest: Digest
) -> Standing:
    found = await cursor.rows(
        "SELECT blob.state, blob.generation FROM upload LEFT JOIN blob ON blob.digest = ?"
        " WHERE upload.session_id = ? AND upload.repository = ?",
        str(digest),
        session_id,
        str(name),
    )
    if not found:
        raise BlobUploadUnknown("begin a new upload")
    return standing_of([row for row in found if row[0] is not None])


async def link(cursor: ICursor, name: RepositoryName, digest: Digest, lease: Lease) -> None:
    """
    Let a repository hold a blob under a lease, and have the collector look at it afterwards.
    """
    await make_repository(cursor, name, lease.now)
    await cursor.later(
        "INSERT INTO repository_blob (repository, digest, lease_until)"
        " SELECT id, ?, ? FROM repository WHERE name = ?"
        " ON CONFLICT (repository, digest) DO UPDATE SET lease_until = excluded.lease_until",
        str(digest),
        lease.until,
        str(name),
    )
    await make_due(cursor, "blob", name, str(digest), lease.until, "leased")


async def commit(
    cursor: ICursor,
    session_id: str,
    name: RepositoryName,
    digest: Digest,
    size: int,
    standing: Standing,
    lease: Lease,
) -> None:
    await end(cursor, session_id, name)
    if not standing.stored:
        # Never an earlier generation in the place of a later one, whose files may be removed.
        await cursor.later(
            "INSERT INTO blob (digest, size, generation, state, created)"
            " VALUES (?, ?, ?, 'live', ?)"
            " ON CONFLICT (digest) DO UPDATE SET size = excluded.size,"
            " generation = excluded.generation, state = 'live', created = excluded.created"
            " WHERE blob.state = 'doomed' AND blob.generation < excluded.generation",
            str(digest),
            size,
            standing.generation,
            lease.now,
        )
        await throw_away(cursor, digest, size, standing.generation, lease)
    # From here to the commit the collector has to wait, and then it sees the lease.
    await cursor.expect(
        Overtaken(f"{digest} was collected"),
        "SELECT digest FROM blob WHERE digest = ? AND state = 'live' FOR SHARE",
        str(digest),
    )
    await link(cursor, name, digest, lease)


async def throw_away(
    cursor: ICursor, digest: Digest, size: int, generation: int, lease: Lease
) -> None:
    """
    Have the file of one generation removed, unless it is the one in use.
    """
    await cursor.later(
        "INSERT INTO trash (digest, generation, size, doomed, purge_after)"
        " SELECT digest, ?, ?, ?, ? FROM blob"
        " WHERE digest = ? AND (state = 'doomed' OR generation <> ?)"
        " ON CONFLICT (digest, generation) DO NOTHING",
        generation,
        size,
        lease.now,
        lease.until,
        str(digest),
        generation,
    )


async def mount(
    cursor: ICursor,
    target: RepositoryName,
    digest: Digest,
    source: RepositoryName | None,
    lease: Lease,
) -> None:
    held = (
        "SELECT blob.digest FROM blob"
        " JOIN repository_blob ON repository_blob.digest = blob.digest"
        " JOIN repository ON repository.id = repository_blob.repository"
        " WHERE blob.digest = ? AND blob.state = 'live'"
    )
    if source is not None:
        await cursor.expect(
            BlobUnknown(f"{source} does not hold {digest}"),
            f"{held} AND repository.name = ? FOR SHARE OF blob",
            str(digest),
            str(source),
        )
    else:
        await cursor.expect(
            BlobUnknown(f"no repository holds {digest}"),
            f"{held} LIMIT 1 FOR SHARE OF blob",
            str(digest),
        )
    await link(cursor, target, digest, lease)


async def discard(cursor: ICursor, digest: Digest, size: int, published: int, lease: Lease) -> None:
    # A doomed row of this generation makes whoever publishes the same meanwhile take the next one.
    await cursor.later(
        "INSERT INTO blob (digest, size, generation, state, created)"
        " VALUES (?, ?, ?, 'doomed', ?)"
        " ON CONFLICT (digest) DO UPDATE SET size = excluded.size,"
        " generation = excluded.generation, created = excluded.created"
        " WHERE blob.state = 'doomed' AND blob.generation < excluded.generation",
        str(digest),
        size,
        published,
        lease.now,
    )
    await throw_away(cursor, digest, size, published, lease)


async def renew(cursor: ICursor, name: RepositoryName, digest: Digest, lease: Lease) -> None:
    unknown = BlobUnknown(f"{name} does not hold {digest}")
    await cursor.expect(
        unknown,
        "SELECT digest FROM blob WHERE digest = ? AND state = 'live' FOR SHARE",
        str(digest),
    )
    await cursor.expect(
        unknown,
        "UPDATE repository_blob SET lease_until = ? WHERE digest = ?"
        " AND repository = (SELECT id FROM repository WHERE name = ?) RETURNING digest",
        lease.until,
        str(digest),
        str(name),
    )
    await make_due(cursor, "blob", name, str(digest), lease.until, "leased")


async def unlink(cursor: ICursor, name: RepositoryName, digest: Digest, lease: Lease) -> None:
    await expect_repository(cursor, name)
    await cursor.expect(
        BlobUnknown(f"{name} does not hold {digest}"),
        "DELETE FROM repository_blob WHERE digest = ?"
        " AND repository = (SELECT id FROM repository WHERE name = ?) RETURNING digest",
        str(digest),
        str(name),
    )
    await make_due(cursor, "blob", name, str(digest), lease.until, "deleted")


@implementer(IBlobRecords)
@frozen
class BlobRecords:
    """See L{IBlobRecords}."""

    _database: IDatabase

    async def find(self, name: RepositoryName, digest: Digest) -> Blob:
        return await self._database.read(find, name, digest)

    async def standing(self, digest: Digest) -> Standing:
        return await self._database.read(standing, digest)

    async def begin(
        self, session_id: str, name: RepositoryName, digest: Digest, now: float
    ) -> Standing:
        return await self._database.transact(begin, session_id, name, digest, now)

    async def continue_(self, session_id: str, name: RepositoryName, digest: Digest) -> Standing:
        return await self._database.read(continue_, session_id, name, digest)

    async def commit(
        self,
        session_id: str,
        name: RepositoryName,
        digest: Digest,
        size: int,
        standing: Standing,
        lease: Lease,
    ) -> None:
        await self._database.transact(commit, session_id, name, digest, size, standing, lease)

    async def mount(
        self, target: RepositoryName, digest: Digest, source: RepositoryName | None, lease: Lease
    ) -> None:
        await self._database.transact(mount, target, digest, source, lease)

    async def discard(self, digest: Digest, size: int, generation: int, lease: Lease) -> None:
        await self._database.transact(discard, digest, size, generation, lease)

    async def renew(self, name: RepositoryName, digest: Digest, lease: Lease) -> None:
        await self._database.transact(renew, name, digest, lease)

    async def unlink(self, name: RepositoryName, digest: Digest, lease: Lease) -> None:
        await self._database.transact(unlink, name, digest, lease)
