"""
Blobs in SQL: which exist, and which repositories hold them.
"""

from __future__ import annotations

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import BlobUnknown
from ociregd.interfaces import IBlobRecords, ICursor, IDatabase
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName
from ociregd.storage.rows import known_repository, made_repository, make_due
from ociregd.storage.upload_records import end
from ociregd.values import Blob, Lease


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


async def generation(cursor: ICursor, digest: Digest) -> tuple[bool, int]:
    found = await cursor.rows("SELECT state, generation FROM blob WHERE digest = ?", str(digest))
    if not found:
        return False, 1
    [(state, present)] = found
    return (True, present) if state == "live" else (False, present + 1)


async def link(cursor: ICursor, repository: int, digest: Digest, lease: Lease) -> None:
    """
    Let a repository hold a blob under a lease, and have the collector look at it afterwards.
    """
    await cursor.change(
        "INSERT INTO repository_blob (repository, digest, lease_until) VALUES (?, ?, ?)"
        " ON CONFLICT (repository, digest) DO UPDATE SET lease_until = excluded.lease_until",
        repository,
        str(digest),
        lease.until,
    )
    await make_due(cursor, "blob", repository, [str(digest)], lease.until, "leased")


async def commit(
    cursor: ICursor,
    session_id: str,
    name: RepositoryName,
    digest: Digest,
    size: int,
    published: int,
    lease: Lease,
) -> int:
    stored, wanted = await generation(cursor, digest)
    if wanted > published:
        # Files of the published generation may be removed already, and somebody else may have
        # committed a newer one.
        return wanted
    if not stored:
        await cursor.change(
            "INSERT INTO blob (digest, size, generation, state, created)"
            " VALUES (?, ?, ?, 'live', ?)"
            " ON CONFLICT (digest) DO UPDATE SET size = excluded.size,"
            " generation = excluded.generation, state = 'live', created = excluded.created",
            str(digest),
            size,
            published,
            lease.now,
        )
    await end(cursor, session_id, name)
    await link(cursor, await made_repository(cursor, name, lease.now), digest, lease)
    return wanted


async def mount(
    cursor: ICursor,
    target: RepositoryName,
    digest: Digest,
    source: RepositoryName | None,
    lease: Lease,
) -> None:
    if source is not None:
        await find(cursor, source, digest)
    elif not await cursor.rows(
        "SELECT blob.digest FROM blob"
        " JOIN repository_blob ON repository_blob.digest = blob.digest"
        " WHERE blob.digest = ? AND blob.state = 'live' LIMIT 1",
        str(digest),
    ):
        raise BlobUnknown(f"no repository holds {digest}")
    await link(cursor, await made_repository(cursor, target, lease.now), digest, lease)


async def discard(cursor: ICursor, digest: Digest, size: int, published: int, lease: Lease) -> None:
    # A doomed row of this generation makes whoever publishes the same meanwhile take the next one.
    if await cursor.change(
        "INSERT INTO blob (digest, size, generation, state, created)"
        " VALUES (?, ?, ?, 'doomed', ?)"
        " ON CONFLICT (digest) DO UPDATE SET size = excluded.size,"
        " generation = excluded.generation, created = excluded.created"
        " WHERE blob.state = 'doomed' AND blob.generation < excluded.generation",
        str(digest),
        size,
        published,
        lease.now,
    ):
        await cursor.change(
            "INSERT INTO trash (digest, generation, size, doomed, purge_after)"
            " VALUES (?, ?, ?, ?, ?)",
            str(digest),
            published,
            size,
            lease.now,
            lease.until,
        )


async def renew(cursor: ICursor, name: RepositoryName, digest: Digest, lease: Lease) -> None:
    await find(cursor, name, digest)
    await link(cursor, await known_repository(cursor, name), digest, lease)


async def unlink(cursor: ICursor, name: RepositoryName, digest: Digest, lease: Lease) -> None:
    repository = await known_repository(cursor, name)
    if not await cursor.change(
        "DELETE FROM repository_blob WHERE repository = ? AND digest = ?", repository, str(digest)
    ):
        raise BlobUnknown(f"{name} does not hold {digest}")
    await make_due(cursor, "blob", repository, [str(digest)], lease.until, "deleted")


@implementer(IBlobRecords)
@frozen
class BlobRecords:
    """See L{IBlobRecords}."""

    _database: IDatabase

    async def find(self, name: RepositoryName, digest: Digest) -> Blob:
        return await self._database.read(find, name, digest)

    async def generation(self, digest: Digest) -> tuple[bool, int]:
        return await self._database.read(generation, digest)

    async def commit(
        self,
        session_id: str,
        name: RepositoryName,
        digest: Digest,
        size: int,
        generation: int,
        lease: Lease,
    ) -> int:
        return await self._database.transact(
            commit, session_id, name, digest, size, generation, lease
        )

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
