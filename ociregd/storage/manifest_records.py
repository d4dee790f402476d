"""
Manifests in SQL, with what they name.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import ManifestBlobUnknown, ManifestInvalid, ManifestUnknown
from ociregd.interfaces import ICursor, IDatabase, IManifestRecords
from ociregd.oci.descriptor import Descriptor
from ociregd.oci.digest import Digest
from ociregd.oci.manifest import Manifest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.storage.rows import known_repository, made_repository, make_due
from ociregd.values import INLINE_BYTES, Lease, ReferrersPage, StoredManifest

#: Bound parameters in one statement; SQLite takes 32,766, older ones 999.
PARAMETERS = 500

#: A page of referrers ends when its descriptors have this many bytes of annotations.
ANNOTATION_BYTES = 1024 * 1024


def due_kind(reference_kind: str) -> str:
    """What a reference of that kind leads to: a child may be a manifest or a blob."""
    return "manifest" if reference_kind == "child" else "blob"


async def check_blobs(cursor: ICursor, repository: int, manifest: Manifest) -> None:
    """
    @raise ManifestBlobUnknown: naming every blob that the manifest needs and the repository lacks.
    @raise ManifestInvalid: if a descriptor has another size than its blob.
    """
    needed = manifest.required_blobs()
    held: dict[str, int] = {}
    digests = sorted(descriptor.digest for descriptor in needed)
    for start in range(0, len(digests), PARAMETERS):
        some = digests[start : start + PARAMETERS]
        held.update(
            await cursor.rows(
                "SELECT blob.digest, blob.size FROM repository_blob"
                " JOIN blob ON blob.digest = repository_blob.digest"
                " WHERE repository_blob.repository = ? AND blob.state = 'live'"
                f" AND repository_blob.digest IN ({', '.join('?' * len(some))})",
                repository,
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
    repository = await made_repository(cursor, name, lease.now)
    await check_blobs(cursor, repository, manifest)
    await insert(cursor, repository, digest, manifest, lease)
    for tag in sorted(tags, key=str):
        await set_tag(cursor, repository, tag, digest, lease)


async def insert(
    cursor: ICursor, repository: int, digest: Digest, manifest: Manifest, lease: Lease
) -> None:
    """
    Write the manifest and what it names.

    One that is there already may have come as another type, and then means something else.
    """
    subject = manifest.subject.digest if manifest.subject is not None else None
    listed = subject is not None and manifest.annotations
    await cursor.change(
        "INSERT INTO manifest (repository, digest, media_type, artifact_type, subject,"
        " annotations, size, body, pushed, lease_until) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (repository, digest) DO UPDATE SET media_type = excluded.media_type,"
        " artifact_type = excluded.artifact_type, subject = excluded.subject,"
        " annotations = excluded.annotations, lease_until = excluded.lease_until",
        repository,
        str(digest),
        manifest.media_type,
        manifest.artifact_type,
        subject,
        json.dumps(dict(manifest.annotations)) if listed else None,
        len(manifest.body),
        manifest.body,
        lease.now,
        lease.until,
    )
    for kind, referred in manifest.references():
        await cursor.change(
            "INSERT INTO reference (repository, manifest, kind, digest) VALUES (?, ?, ?, ?)"
            " ON CONFLICT (repository, manifest, kind, digest) DO NOTHING",
            repository,
            str(digest),
            kind,
            referred,
        )
    await make_due(cursor, "manifest", repository, [str(digest)], lease.until, "leased")


async def set_tag(cursor: ICursor, repository: int, tag: Tag, digest: Digest, lease: Lease) -> None:
    """Let a tag name a manifest; what it named before is the collector's to look at."""
    before = await cursor.rows(
        "SELECT digest FROM tag WHERE repository = ? AND name = ?", repository, str(tag)
    )
    await cursor.change(
        "INSERT INTO tag (repository, name, digest, updated) VALUES (?, ?, ?, ?)"
        " ON CONFLICT (repository, name) DO UPDATE"
        " SET digest = excluded.digest, updated = excluded.updated",
        repository,
        str(tag),
        str(digest),
        lease.now,
    )
    moved = [was for (was,) in before if was != str(digest)]
    await make_due(cursor, "manifest", repository, moved, lease.until, "tag moved")


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
    repository = await known_repository(cursor, name)
    where = (repository, str(digest))
    if not await cursor.change("DELETE FROM manifest WHERE repository = ? AND digest = ?", *where):
        raise ManifestUnknown(f"{name} has no manifest {digest}")
    await cursor.change("DELETE FROM tag WHERE repository = ? AND digest = ?", *where)
    referred = await cursor.rows(
        "SELECT kind, digest FROM reference WHERE repository = ? AND manifest = ?", *where
    )
    await cursor.change("DELETE FROM reference WHERE repository = ? AND manifest = ?", *where)
    for kind in ("blob", "manifest"):
        digests = {other for reference_kind, other in referred if due_kind(reference_kind) == kind}
        await make_due(cursor, kind, repository, digests, lease.until, "manifest deleted")


async def referrers(
    cursor: ICursor,
    name: RepositoryName,
    subject: Digest,
    artifact_type: str | None,
    last: str,
    count: int,
) -> ReferrersPage:
    wanted: tuple[object, ...] = (str(name), str(subject), last)
    clause = ""
    if artifact_type is not None:
        clause = " AND manifest.artifact_type = ?"
        wanted += (artifact_type,)
    listed = (
        " FROM repository JOIN manifest ON manifest.repository = repository.id"
        " WHERE repository.name = ? AND manifest.subject = ? AND manifest.digest > ?"
        f"{clause} ORDER BY manifest.digest LIMIT ?"
    )
    # First only how much it would be: a thousand of them may have gigabytes of annotations.
    sizes = await cursor.rows(
        f"SELECT coalesce(length(manifest.annotations), 0){listed}", *wanted, count + 1
    )
    fitting = fit([size for (size,) in sizes[:count]])
    found = await cursor.rows(
        "SELECT manifest.media_type, manifest.digest, manifest.size, manifest.artifact_type,"
        f" manifest.annotations{listed}",
        *wanted,
        fitting,
    )
    return ReferrersPage([described(*row) for row in found], more=fitting < len(sizes))


def fit(sizes: Sequence[int]) -> int:
    """How many annotations of these sizes a page has: one at least, if there are any."""
    total = 0
    for position, size in enumerate(sizes):
        total += size
        if position and total > ANNOTATION_BYTES:
            return position
    return len(sizes)


def described(
    media_type: str, digest: str, size: int, artifact_type: str | None, annotations: str | None
) -> Descriptor:
    """A row as a referrers list shows it."""
    parsed: Any = json.loads(annotations) if annotations else None
    return Descriptor(media_type, digest, size, artifact_type, parsed)


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
