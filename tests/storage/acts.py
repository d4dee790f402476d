"""
Transactions that have to do with each other: what may happen to a repository, and what a collector
will do.
"""

from __future__ import annotations

from typing import Any

from ociregd.oci.digest import digest_of
from ociregd.oci.manifest import Manifest
from ociregd.oci.names import Tag
from ociregd.storage import blob_records, listing_records, manifest_records, upload_records
from ociregd.transactions import ICursor
from ociregd.values import Lease, Standing

from ..contracts.records import APP, EARLY, LATE, OTHER
from ..mediatypes import OCI_CONFIG
from ..oci.samples import descriptor, image, index, written
from .interleaving import Act

#: When the leases of what was there at the beginning have run out, and those of new ones have not.
NOW = 1500.0

CONFIG, LAYER, LEFT, NEW = b"the config", b"the layer", b"the blob that nobody needs", b"new"


def manifest(document: Any) -> Manifest:
    """A document as the registry has read it."""
    return Manifest.parse(written(document), None)


CONFIG_DESCRIPTOR = descriptor(CONFIG, OCI_CONFIG)
FIRST = manifest(image(config=CONFIG_DESCRIPTOR, layers=[descriptor(LAYER)]))
SECOND = manifest(image(config=CONFIG_DESCRIPTOR, layers=[]))
THIRD = manifest(image(config=CONFIG_DESCRIPTOR, layers=[descriptor(LEFT), descriptor(LAYER)]))
PARENT = manifest(index(manifests=[descriptor(FIRST.body), descriptor(SECOND.body)]))

TITLES = {FIRST: "first", SECOND: "second", THIRD: "third", PARENT: "parent"}

BEGINNING = {"v1": FIRST, "v2": SECOND, "v3": PARENT}


def put(document: Manifest, *tags: str, lease: Lease = LATE) -> Act:
    """Somebody pushes a manifest."""
    named = [Tag.parse(tag) for tag in tags]
    arguments = (APP, digest_of(document.body), document, named, lease)
    return Act(f"put {TITLES[document]} {tags}", manifest_records.put, arguments)


def delete(document: Manifest) -> Act:
    """Somebody deletes a manifest."""
    arguments = (APP, digest_of(document.body), LATE)
    return Act(f"delete {TITLES[document]}", manifest_records.delete, arguments)


def untag(tag: str) -> Act:
    """Somebody deletes a tag."""
    return Act(f"untag {tag}", listing_records.remove, (APP, Tag.parse(tag), LATE))


def commit(
    content: bytes, session_id: str, *, stored: bool, generation: int = 1, lease: Lease = LATE
) -> Act:
    """Somebody commits an upload."""
    standing = Standing(stored, generation)
    arguments = (session_id, APP, digest_of(content), len(content), standing, lease)
    return Act(f"commit {content!r} by {session_id[0]}", blob_records.commit, arguments)


def mount(content: bytes) -> Act:
    """Somebody mounts a blob into another repository."""
    arguments = (OTHER, digest_of(content), APP, LATE)
    return Act(f"mount {content!r}", blob_records.mount, arguments)


def unlink(content: bytes) -> Act:
    """Somebody deletes a blob."""
    return Act(f"unlink {content!r}", blob_records.unlink, (APP, digest_of(content), LATE))


def renew(content: bytes) -> Act:
    """Somebody is told that a blob is there, and may rely on it."""
    return Act(f"renew {content!r}", blob_records.renew, (APP, digest_of(content), LATE))


def discard(content: bytes) -> Act:
    """Somebody has published a file in vain."""
    arguments = (digest_of(content), len(content), 1, LATE)
    return Act(f"discard {content!r}", blob_records.discard, arguments)


NEEDED = (
    "SELECT name FROM repository_blob JOIN repository ON repository.id = repository_blob.repository"
    " WHERE repository_blob.digest = ? AND (lease_until > ? OR EXISTS (SELECT * FROM reference"
    " WHERE reference.repository = repository_blob.repository"
    " AND reference.digest = repository_blob.digest))"
)

LOCKED = "SELECT * FROM blob WHERE digest = ? AND state = 'live' FOR UPDATE"


async def collect(cursor: ICursor, digest: str) -> None:
    """Doom a blob that nobody needs; as a collector has to, which looks after it has locked."""
    if await cursor.rows(LOCKED, digest) and not await cursor.rows(NEEDED, digest, NOW):
        await cursor.later("DELETE FROM repository_blob WHERE digest = ?", digest)
        await cursor.later("UPDATE blob SET state = 'doomed' WHERE digest = ?", digest)
        await cursor.later(
            "INSERT INTO trash (digest, generation, size, doomed, purge_after)"
            " SELECT digest, generation, size, 0, 0 FROM blob WHERE digest = ?"
            " ON CONFLICT (digest, generation) DO NOTHING",
            digest,
        )


async def let_go(cursor: ICursor, digest: str) -> None:
    """Let a repository that does not need a blob hold it no longer, though others may."""
    await cursor.rows(LOCKED, digest)
    if (str(APP),) not in await cursor.rows(NEEDED, digest, NOW):
        await cursor.later(
            "DELETE FROM repository_blob WHERE digest = ?"
            " AND repository = (SELECT id FROM repository WHERE name = ?)",
            digest,
            str(APP),
        )


def collecting(content: bytes) -> list[Act]:
    """What a collector does about a blob."""
    digest = str(digest_of(content))
    return [
        Act(f"collect {content!r}", collect, (digest,)),
        Act(f"let go {content!r}", let_go, (digest,)),
    ]


def start(session_id: str) -> Act:
    """Somebody begins an upload."""
    return Act("start", upload_records.start, (session_id, APP, EARLY.now))


def cancel(session_id: str) -> Act:
    """Somebody ends an upload."""
    return Act("cancel", upload_records.end, (session_id, APP))


def expire(session_id: str) -> Act:
    """A sweep ends an upload."""
    return Act("expire", upload_records.expire, (session_id, NOW))
