"""
The blobs of a repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from attrs import frozen
from twisted.logger import Logger

from ociregd.errors import BlobUnknown, StorageFull, StorageReadOnly
from ociregd.interfaces import IBlobReader
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName
from ociregd.values import Blob

if TYPE_CHECKING:
    from ociregd.registry.repository import Registry


@frozen
class Blobs:
    """
    What a repository holds.
    """

    _registry: Registry
    _name: RepositoryName
    _log: ClassVar[Logger] = Logger()

    async def stat(self, digest: Digest) -> Blob:
        """
        @raise BlobUnknown: if the repository does not hold it.
        """
        blob: Blob = await self._registry.records.blobs.find(self._name, digest)
        return blob

    async def promise(self, digest: Digest) -> Blob:
        """
        Like L{stat}, for somebody who may push and will rely on the answer: the blob is kept for a
        while even if nothing refers to it.

        The lease is prolonged only when half of it has gone by, so that the rows of popular base
        layers are not written again with every push.

        @raise BlobUnknown: if the repository does not hold it.
        """
        blob = await self.stat(digest)
        lease = self._registry.lease()
        if blob.lease_until - lease.now < self._registry.policy.lease_seconds / 2:
            try:
                await self._registry.records.blobs.renew(self._name, digest, lease)
            except (StorageFull, StorageReadOnly):
                # Nothing can be pushed or collected at present, so the promise is none that
                # matters.
                self._log.warn("a lease could not be prolonged: the storage takes no writes")
        return blob

    async def open(self, digest: Digest) -> tuple[Blob, IBlobReader]:
        """
        @raise BlobUnknown: if the repository does not hold it.
        """
        blob = await self.stat(digest)
        return blob, await self._registry.blobs.open(blob)

    async def mount(self, digest: Digest, source: RepositoryName | None) -> bool:
        """
        Hold what another repository (any at all, if none is named) holds; whether that was
        possible.
        """
        try:
            await self._registry.records.blobs.mount(
                self._name, digest, source, self._registry.lease()
            )
        except BlobUnknown:
            return False
        return True

    async def delete(self, digest: Digest) -> None:
        """
        Hold the blob no longer. Other repositories do, and its file is the collector's.

        @raise Unsupported: if deleting is switched off.
        @raise NameUnknown: if there is no such repository.
        @raise BlobUnknown: if the repository does not hold it.
        """
        self._registry.check_deletes()
        await self._registry.records.blobs.unlink(self._name, digest, self._registry.lease())
