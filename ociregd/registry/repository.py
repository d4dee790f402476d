"""
The registry as its users know it: repositories, and in each its blobs, uploads, manifests and tags.
"""

from __future__ import annotations

from functools import cached_property

from attrs import define, frozen

from ociregd.errors import Unsupported
from ociregd.interfaces import IBlobStore, InThread, IUploads, Records, WallClock
from ociregd.oci.names import RepositoryName
from ociregd.registry.blobs import Blobs
from ociregd.registry.manifests import Manifests
from ociregd.registry.referrers import Referrers
from ociregd.registry.tags import Tags
from ociregd.registry.uploads import Uploads
from ociregd.values import Lease, Page


@frozen
class Policy:
    """
    What the operator decided.

    @ivar deletes: whether tags, manifests and blobs may be deleted.
    @ivar manifest_bytes: the size of the largest manifest that is taken.
    @ivar lease_seconds: how long an acknowledged write is kept while nothing refers to it.
    """

    deletes: bool = True
    manifest_bytes: int = 4 * 1024 * 1024
    lease_seconds: float = 24 * 3600.0


@frozen
class Registry:
    """
    Everything below the HTTP service.
    """

    blobs: IBlobStore
    uploads: IUploads
    records: Records
    now: WallClock
    in_thread: InThread
    policy: Policy

    def repository(self, name: RepositoryName) -> Repository:
        """The repository of that name, whether it exists (yet) or not."""
        return Repository(self, name)

    async def repositories(self, last: str, count: int) -> Page:
        """Up to C{count} names behind C{last}, in bytewise order."""
        page: Page = await self.records.tags.repositories(last, count)
        return page

    def lease(self) -> Lease:
        """The lease that a write gets now."""
        now = self.now()
        return Lease(now, now + self.policy.lease_seconds)

    def check_deletes(self) -> None:
        """
        @raise Unsupported: if the operator switched deleting off.
        """
        if not self.policy.deletes:
            raise Unsupported("deleting is switched off on this registry")


@define(slots=False)
class Repository:
    """
    One repository: a name, and what is below it.
    """

    registry: Registry
    name: RepositoryName

    @cached_property
    def blobs(self) -> Blobs:
        return Blobs(self.registry, self.name)

    @cached_property
    def uploads(self) -> Uploads:
        return Uploads(self.registry, self.name)

    @cached_property
    def manifests(self) -> Manifests:
        return Manifests(self.registry, self.name)

    @cached_property
    def referrers(self) -> Referrers:
        return Referrers(self.registry, self.name)

    @cached_property
    def tags(self) -> Tags:
        return Tags(self.registry, self.name)
