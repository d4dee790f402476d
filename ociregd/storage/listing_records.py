"""
Tags and repositories in SQL: what is listed, page by page, from an index.
"""

from __future__ import annotations

from attrs import frozen
from zope.interface import implementer

from ociregd.errors import ManifestUnknown, NameUnknown
from ociregd.interfaces import ITagRecords
from ociregd.oci.names import RepositoryName, Tag
from ociregd.storage.rows import expect_repository, make_all_due, storable
from ociregd.transactions import ICursor, IDatabase
from ociregd.values import Lease, Page


async def page(cursor: ICursor, name: RepositoryName, last: str, count: int) -> Page:
    # A repository without tags is a row without a tag.
    found = await cursor.rows(
        "SELECT tag.name FROM repository"
        " LEFT JOIN tag ON tag.repository = repository.id AND tag.name > ?"
        " WHERE repository.name = ? ORDER BY tag.name LIMIT ?",
        storable(last),
        str(name),
        count + 1,
    )
    if not found:
        raise NameUnknown(f"there is no repository {name}")
    tags = [tag for (tag,) in found if tag is not None]
    return Page(tags[:count], more=len(tags) > count)


async def remove(cursor: ICursor, name: RepositoryName, tag: Tag, lease: Lease) -> None:
    await expect_repository(cursor, name)
    here = " WHERE repository = (SELECT id FROM repository WHERE name = ?) AND name = ?"
    where = (str(name), str(tag))
    await cursor.expect(
        ManifestUnknown(f"{name} has no tag {tag}"),
        f"SELECT name FROM tag{here} FOR UPDATE",
        *where,
    )
    await make_all_due(
        cursor,
        f"SELECT 'manifest', repository, digest, ?, 0, 'tag removed' FROM tag{here}",
        lease.until,
        *where,
    )
    await cursor.later(f"DELETE FROM tag{here}", *where)


async def repositories(cursor: ICursor, last: str, count: int) -> Page:
    found = await cursor.rows(
        "SELECT name FROM repository WHERE name > ? ORDER BY name LIMIT ?",
        storable(last),
        count + 1,
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
