"""
What is known of repositories that do not exist: to be asked on behalf of those who may not know
which do.
"""

from __future__ import annotations

from typing import Any, cast

from attrs import evolve

from ociregd.errors import BlobUnknown, ManifestUnknown, NameUnknown
from ociregd.interfaces import Records
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.registry.repository import Registry
from ociregd.values import Blob, Lease, Page, ReferrersPage, StoredManifest

# Their words are those of the database about a name that it does not know; a test compares them.


class NoBlobs:
    """Of L{IBlobRecords}, what reads and what deletes."""

    async def find(self, name: RepositoryName, digest: Digest) -> Blob:
        raise BlobUnknown(f"{name} does not hold {digest}")

    async def unlink(self, name: RepositoryName, digest: Digest, lease: Lease) -> None:
        raise no_repository(name)


class NoManifests:
    """Of L{IManifestRecords}, what reads and what deletes."""

    async def get(
        self, name: RepositoryName, reference: Tag | Digest, inline: int
    ) -> StoredManifest:
        raise ManifestUnknown(f"{name} has no manifest {reference}")

    async def delete(self, name: RepositoryName, digest: Digest, lease: Lease) -> None:
        raise no_repository(name)

    async def referrers(self, *question: object) -> ReferrersPage:
        return ReferrersPage([], more=False)


class NoTags:
    """Of L{ITagRecords}, what is about one repository."""

    async def page(self, name: RepositoryName, last: str, count: int) -> Page:
        raise no_repository(name)

    async def remove(self, name: RepositoryName, tag: Tag, lease: Lease) -> None:
        raise no_repository(name)


def no_repository(name: RepositoryName) -> NameUnknown:
    """What to raise."""
    return NameUnknown(f"there is no repository {name}")


def with_nothing(registry: Registry) -> Registry:
    """
    The same registry before anything was pushed to it. It cannot be pushed to.
    """
    nothing: Any = None
    records = Records(
        blobs=cast(Any, NoBlobs()),
        manifests=cast(Any, NoManifests()),
        tags=cast(Any, NoTags()),
        uploads=nothing,
    )
    return evolve(registry, records=records, uploads=nothing, blobs=nothing)
