"""
The referrers of a manifest: the manifests that name it as their subject.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName
from ociregd.values import ReferrersPage

if TYPE_CHECKING:
    from ociregd.registry.repository import Registry


@frozen
class Referrers:
    """
    Whether the subject, or even the repository, exists does not matter: without referrers the list
    is empty (distribution specification, "Listing Referrers").
    """

    _registry: Registry
    _name: RepositoryName

    async def page(
        self, subject: Digest, artifact_type: str | None, last: str, count: int
    ) -> ReferrersPage:
        """Up to C{count} referrers behind the digest C{last}, all or those of one artifact type."""
        page: ReferrersPage = await self._registry.records.manifests.referrers(
            self._name, subject, artifact_type, last, count
        )
        return page
