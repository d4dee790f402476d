"""
The tags of a repository.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from ociregd.oci.names import RepositoryName, Tag
from ociregd.values import Page

if TYPE_CHECKING:
    from ociregd.registry.repository import Registry


@frozen
class Tags:
    """
    Names for manifests, that can be moved.
    """

    _registry: Registry
    _name: RepositoryName

    async def page(self, last: str, count: int) -> Page:
        """
        Up to C{count} tags behind C{last}, in bytewise order.

        @raise NameUnknown: if there is no such repository.
        """
        page: Page = await self._registry.records.tags.page(self._name, last, count)
        return page

    async def remove(self, tag: Tag) -> None:
        """
        Untie a tag. The manifest that it named stays.

        @raise Unsupported: if deleting is switched off.
        @raise NameUnknown: if there is no such repository.
        @raise ManifestUnknown: if it has no such tag.
        """
        self._registry.check_deletes()
        await self._registry.records.tags.remove(self._name, tag, self._registry.lease())
