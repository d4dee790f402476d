"""
Tags and repositories in SQL: what is listed, page by page, from an index.
"""

from __future__ import annotations

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import ManifestUnknown
from ociregd.interfaces import ICursor, IDatabase, ITagRecords
from ociregd.oci.names import RepositoryName, Tag
from ociregd.storage.rows import known_repository, make_due
from ociregd.values import Lease, Page


async def page(cursor: ICursor, name: RepositoryName, last: str, count: int) -> Page:
    repository = await known_repository(cursor, name)
    found = await cursor.rows(
        "SELECT name FROM tag WHERE repository = ? AND name > ? ORDER BY name LIMIT ?",
        repository,
        last,
        count + 1,
    )
    return Page([tag for (tag,) in found[:count]], more=len(found) > count)


async def remove(cursor: ICursor, name: RepositoryName, tag: Tag, lease: Lease) -> None:
    repository = await known_repository(cursor, name)
    where = (repository, str(tag))
    found = await cursor.rows("SELECT digest FROM tag WHERE repository = ? AND name = ?", *where)
    if not found:
        raise ManifestUnknown(f"{name} has no tag {tag}")
    await cursor.change("DELETE FROM tag WHERE repository = ? AND name = ?", *where)
    await make_due(cursor, "manifest", repository, [found[0][0]], lease.until, "tag removed")


async def repositories(cursor: ICursor, last: str, count: int) -> Page:
    found = await cursor.rows(
        "SELECT name FROM repository WHERE name > ? ORDER BY name LIMIT ?", last, count + 1
    )
    return Page([name for (name,) in found[:count]], more=len(found) > count)


@implementer(ITagRecords)
@frozen
class TagRecords:
    """See L{ITagRecords}."""

    _database: IDatabase

    async def page(self, name: RepositoryName, last: str, count: int) -> Page:
        return await self._database.read(page, name, last, count)

    async def remove(self, name: RepositoryName, tag: Tag, lease: Lease) -> None:
        await self._database.transact(remove, name, tag, lease)

    async def repositories(self, last: str, count: int) -> Page:
        return await self._database.read(repositories, last, count)
