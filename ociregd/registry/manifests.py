"""
The manifests of a repository.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from ociregd.errors import DigestInvalid
from ociregd.interfaces import InThread
from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.manifest import Manifest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.values import INLINE_BYTES, StoredManifest

if TYPE_CHECKING:
    from ociregd.registry.repository import Registry


@frozen
class Pushed:
    """
    An accepted manifest.

    @ivar subject: the digest of its subject, if it has one.
    """

    digest: Digest
    subject: str | None


def read_manifest(
    body: bytes, content_type: str | None, expected: Digest | None
) -> tuple[Digest, Manifest]:
    """
    Parse and hash a manifest; for a large one this takes tens of milliseconds.

    @raise ManifestInvalid: if it breaks the image specification.
    @raise DigestInvalid: if it is not what is expected.
    """
    digest = digest_of(body, expected.algorithm if expected is not None else "sha256")
    if expected is not None and digest != expected:
        raise DigestInvalid(f"the manifest has {digest}")
    return digest, Manifest.parse(body, content_type)


@frozen
class Manifests:
    """
    Stored and given back byte for byte.
    """

    _registry: Registry
    _name: RepositoryName

    async def put(
        self,
        reference: Tag | Digest,
        tags: Sequence[Tag],
        body: bytes,
        content_type: str | None,
    ) -> Pushed:
        """
        Store a manifest under its digest; C{reference}, if it is a tag, and C{tags} name it from
        now.

        @raise ManifestInvalid: if it breaks the image specification.
        @raise ManifestBlobUnknown: if it names blobs that this repository does not hold.
        @raise DigestInvalid: if it has not the digest that C{reference} is.
        """
        expected = reference if isinstance(reference, Digest) else None
        # In a thread: parsing 4 MiB of JSON takes 40 ms.
        in_thread: InThread = self._registry.in_thread
        digest, manifest = await in_thread(read_manifest, body, content_type, expected)
        named = tags if isinstance(reference, Digest) else [reference]
        await self._registry.records.manifests.put(
            self._name, digest, manifest, named, self._registry.lease()
        )
        return Pushed(digest, manifest.subject.digest if manifest.subject is not None else None)

    async def get(self, reference: Tag | Digest, inline: int = INLINE_BYTES) -> StoredManifest:
        """
        @param inline: the size up to which the body comes along.
        @raise ManifestUnknown: if there is none.
        """
        records = self._registry.records.manifests
        manifest: StoredManifest = await records.get(self._name, reference, inline)
        return manifest

    async def slice(self, digest: Digest, start: int, count: int) -> bytes:
        """
        Up to C{count} bytes of a manifest from C{start}.

        @raise ManifestUnknown: if there is none (any more).
        """
        records = self._registry.records.manifests
        part: bytes = await records.slice(self._name, digest, start, count)
        return part

    async def delete(self, digest: Digest) -> None:
        """
        Delete a manifest and every tag that names it.

        @raise Unsupported: if deleting is switched off.
        @raise NameUnknown: if there is no such repository.
        @raise ManifestUnknown: if it has no such manifest.
        """
        self._registry.check_deletes()
        await self._registry.records.manifests.delete(self._name, digest, self._registry.lease())
