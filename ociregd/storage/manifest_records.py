"""
Manifests in SQL, with what they name.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import TypeVar

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import ManifestBlobUnknown, ManifestInvalid, ManifestUnknown
from ociregd.interfaces import IManifestRecords
from ociregd.oci.digest import Digest
from ociregd.oci.manifest import Manifest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.storage.referrer_records import referrers
from ociregd.storage.rows import (
    expect_repository,
    make_all_due,
    make_repository,
)
from ociregd.transactions import ICursor, IDatabase
from ociregd.values import INLINE_BYTES, Lease, ReferrersPage, StoredManifest

T = TypeVar("T")

#: What one statement names at most. Engines keep the last few hundred texts of statements, and each
#: number of values is another text. The blobs of an image fit in, which has 127 layers at most.
STATEMENT_VALUES = 200


def pieces(values: Sequence[T]) -> Iterator[Sequence[T]]:
    """What one statement after the other may name."""
    for start in range(0, len(values), STATEMENT_VALUES):
        yield values[start : start + STATEMENT_VALUES]


async def check_blobs(cursor: ICursor, name: RepositoryName, manifest: Manifest) -> None:
    """
    Keep the collector from the blobs that a manifest needs.

    @raise ManifestBlobUnknown: naming every blob that the manifest needs and the repository lacks.
    @raise ManifestInvalid: if a descriptor has another size than its blob.
    """
    needed = manifest.required_blobs()
    if not needed:
        return
    digests = sorted({descriptor.digest for descriptor in needed})
    # First they are locked, in one order, so that two manifests never wait for each other. Only
    # then is looked: whom this had to wait for may have left something else than was there before.
    for some in pieces(digests):
        await cursor.later(
            f"SELECT digest FROM blob WHERE digest IN ({', '.join('?' * len(some))})"
            " ORDER BY digest FOR SHARE",
            *some,
        )
    held: dict[str, int] = {}
    for some in pieces(digests):
        held.update(
            await cursor.rows(
                "SELECT blob.digest, blob.size FROM repository"
                " JOIN repository_blob ON repository_blob.repository = repository.id"
                " JOIN blob ON blob.digest = repository_blob.digest"
                " WHERE repository.name = ? AND blob.state = 'live'"
                f" AND repository_blob.digest IN ({', '.join('?' * len(some))})",
                str(name),
                *some,
            )
        )
    missing = [descriptor.digest for descriptor in needed if descriptor.digest not in held]
    if missing:
        raise ManifestBlobUnknown(missing)
    for descriptor in needed:
        if held[descriptor.digest] != descriptor.size:
            raise ManifestInvalid(
                f"the manifest says that {descriptor.digest} has {descriptor.size} bytes,"
                f" but it has {held[descriptor.digest]}"
            )


async def put(
    cursor: ICursor,
    name: RepositoryName,
    digest: Digest,
    manifest: Manifest,
    tags: Sequence[Tag],
    lease: Lease,
) -> None:
    await check_blobs(cursor, name, manifest)
    await make_repository(cursor, name, lease.now)
    await insert(cursor, name, digest, manifest, lease)
    await insert_references(cursor, name, digest, manifest)
    await set_tags(cursor, name, sorted(map(str, tags)), digest, lease)


async def insert(
    cursor: ICursor, name: RepositoryName, digest: Digest, manifest: Manifest, lease: Lease
) -> None:
    """
    Write the manifest.

    One that is there already may have come as another type, and then means something else.
    """
    subject = manifest.subject.digest if manifest.subject is not None else None
    listed = subject is not None and manifest.annotations
    await cursor.later(
        "INSERT INTO manifest (repository, digest, media_type, artifact_type, subject,"
        " annotations, size, body, pushed, lease_until)"
        " SELECT id, ?, ?, ?, ?, ?, ?, ?, ?, ? FROM repository WHERE name = ?"
        " ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type,"
        " artifact_type = excluded.artifact_type, subject = excluded.subject,"
        " annotations = excluded.annotations, lease_until = excluded.lease_until",
        str(digest),
        manifest.media_type,
        manifest.artifact_type,
        subject,
        json.dumps(dict(manifest.annotations)) if listed else None,
        len(manifest.body),
        manifest.body,
        lease.now,
        lease.until,
        str(name),
    )


async def insert_references(
    cursor: ICursor, name: RepositoryName, digest: Digest, manifest: Manifest
) -> None:
    """Write what the manifest names: thousands, for some, so not in a statement each."""
    for some in pieces(manifest.references()):
        await cursor.later(
            "INSERT INTO reference (repository, manifest, kind, digest)"
            " SELECT repository.id, ?, named.column1, named.column2"
            f" FROM repository, (VALUES {', '.join(['(?, ?)'] * len(some))}) AS named"
            " WHERE repository.name = ?"
            " ON CONFLICT (repository, manifest, kind, digest) DO NOTHING",
            str(digest),
            *(value for pair in some for value in pair),
            str(name),
        )


async def set_tags(
    cursor: ICursor, name: RepositoryName, tags: Sequence[str], digest: Digest, lease: Lease
) -> None:
    """
    Let tags name a manifest, and have the collector look at it, and at what they named before.

    If somebody makes the same tag in between, then what they let it name is not noted here; it was
    noted when they put it.
    """
    due = "SELECT 'manifest', id, ?, ?, 0, 'leased' FROM repository WHERE name = ?"
    leased = (str(digest), lease.until, str(name))
    if not tags:
        await make_all_due(cursor, due, *leased)
        return
    moving = (
        " FROM repository JOIN tag ON tag.repository = repository.id"
        f" WHERE repository.name = ? AND tag.name IN ({', '.join('?' * len(tags))})"
    )
    which = (str(name), *tags)
    # Tags first, then what is due, and each in one order: whoever touches both does it so.
    await cursor.later(f"SELECT tag.name{moving} ORDER BY tag.name FOR UPDATE OF tag", *which)
    await make_all_due(
        cursor,
        f"{due} UNION SELECT 'manifest', tag.repository, tag.digest, ?, 0, 'tag moved'{moving}"
        " AND tag.digest <> ? ORDER BY 3",
        *leased,
        lease.until,
        *which,
        str(digest),
    )
    for tag in tags:
        await cursor.later(
            "INSERT INTO tag (repository, name, digest, updated)"
            " SELECT id, ?, ?, ? FROM repository WHERE name = ?"
            " ON CONFLICT (repository, name) DO UPDATE"
            " SET digest = excluded.digest, updated = excluded.updated",
            tag,
            str(digest),
            lease.now,
            str(name),
        )


async def get(
    cursor: ICursor, name: RepositoryName, reference: Tag | Digest, inline: int
) -> StoredManifest:
    wanted = (
        "SELECT manifest.digest, manifest.media_type, manifest.size,"
        " CASE WHEN manifest.size <= ? THEN manifest.body END FROM repository"
    )
    if isinstance(reference, Digest):
        found = await cursor.rows(
            f"{wanted} JOIN manifest ON manifest.repository = repository.id"
            " WHERE repository.name = ? AND manifest.digest = ?",
            inline,
            str(name),
            str(reference),
        )
    else:
        found = await cursor.rows(
            f"{wanted} JOIN tag ON tag.repository = repository.id"
            " JOIN manifest ON manifest.repository = tag.repository"
            " AND manifest.digest = tag.digest"
            " WHERE repository.name = ? AND tag.name = ?",
            inline,
            str(name),
            str(reference),
        )
    if not found:
        raise ManifestUnknown(f"{name} has no manifest {reference}")
    [(digest, media_type, size, body)] = found
    return StoredManifest(
        Digest.parse(digest), media_type, size, bytes(body) if body is not None else None
    )


async def body_slice(
    cursor: ICursor, name: RepositoryName, digest: Digest, start: int, count: int
) -> bytes:
    found = await cursor.rows(
        "SELECT substr(manifest.body, ?, ?) FROM repository"
        " JOIN manifest ON manifest.repository = repository.id"
        " WHERE repository.name = ? AND manifest.digest = ?",
        start + 1,
        count,
        str(name),
        str(digest),
    )
    if not found:
        raise ManifestUnknown(f"{name} has no manifest {digest}")
    return bytes(found[0][0])


async def delete(cursor: ICursor, name: RepositoryName, digest: Digest, lease: Lease) -> None:
    await expect_repository(cursor, name)
    here = "repository = (SELECT id FROM repository WHERE name = ?)"
    where = (str(name), str(digest))
    # First of all: whoever puts the same manifest meanwhile waits for us, or we for them.
    await cursor.expect(
        ManifestUnknown(f"{name} has no manifest {digest}"),
        f"DELETE FROM manifest WHERE {here} AND digest = ? RETURNING digest",
        *where,
    )
    tags = f"FROM tag WHERE {here} AND digest = ?"
    await cursor.later(f"SELECT name {tags} ORDER BY name FOR UPDATE", *where)
    await cursor.later(f"DELETE {tags}", *where)
    # A child may be a manifest or a blob.
    await make_all_due(
        cursor,
        "SELECT DISTINCT CASE WHEN kind = 'child' THEN 'manifest' ELSE 'blob' END, repository,"
        f" digest, ?, 0, 'manifest deleted' FROM reference WHERE {here} AND manifest = ?"
        " ORDER BY 1, 3",
        lease.until,
        *where,
    )
    await cursor.later(f"DELETE FROM reference WHERE {here} AND manifest = ?", *where)


@implementer(IManifestRecords)
@frozen
class ManifestRecords:
    """See L{IManifestRecords}."""

    _database: IDatabase

    async def put(
        self,
        name: RepositoryName,
        digest: Digest,
        manifest: Manifest,
        tags: Sequence[Tag],
        lease: Lease,
    ) -> None:
        await self._database.transact(put, name, digest, manifest, tags, lease)

    async def get(
        self, name: RepositoryName, reference: Tag | Digest, inline: int = INLINE_BYTES
    ) -> StoredManifest:
        return await self._database.read(get, name, reference, inline)

    async def slice(self, name: RepositoryName, digest: Digest, start: int, count: int) -> bytes:
        return await self._database.read(body_slice, name, digest, start, count)

    async def delete(self, name: RepositoryName, digest: Digest, lease: Lease) -> None:
        await self._database.transact(delete, name, digest, lease)

    async def referrers(
        self,
        name: RepositoryName,
        subject: Digest,
        artifact_type: str | None,
        last: str,
        count: int,
    ) -> ReferrersPage:
        return await self._database.read(referrers, name, subject, artifact_type, last, count)
