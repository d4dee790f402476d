"""
What the contracts of records have in common.

Some of what they test shows only in the tables: what the collector shall look at, and when.
"""

from __future__ import annotations

from typing import Any

from attrs import define
from zope.interface import implementer

from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.manifest import Manifest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.storage.metadata import records_in
from ociregd.transactions import ICursor, IDatabase
from ociregd.values import Lease, Standing

from ..oci.samples import written
from .files import SESSION

APP = RepositoryName.parse("team/app")
OTHER = RepositoryName.parse("other/app")
NOWHERE = RepositoryName.parse("no/where")

CONTENT = b"the content"
BLOB = digest_of(CONTENT)

EARLY = Lease(1000.0, 1100.0)
LATE = Lease(2000.0, 2100.0)


async def query(cursor: ICursor, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Whatever the tables say."""
    return await cursor.rows(sql, *parameters)


async def change(cursor: ICursor, sql: str, *parameters: object) -> int:
    """What the collector, or a crash, may do to the tables."""
    return await cursor.change(sql, *parameters)


@implementer(ICursor)
@define
class WeighingCursor:
    """
    A cursor that knows the weight of all rows that came out of it, and how long the longest
    statement was.
    """

    _cursor: ICursor
    weight: int = 0
    longest: int = 0

    async def rows(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        self._measure(sql)
        found: list[tuple[Any, ...]] = await self._cursor.rows(sql, *parameters)
        values = [value for row in found for value in row]
        self.weight += sum(len(value) for value in values if isinstance(value, str | bytes))
        return found

    async def change(self, sql: str, *parameters: object) -> int:
        self._measure(sql)
        changed: int = await self._cursor.change(sql, *parameters)
        return changed

    async def later(self, sql: str, *parameters: object) -> None:
        self._measure(sql)
        await self._cursor.later(sql, *parameters)

    async def expect(self, refusal: Exception, sql: str, *parameters: object) -> None:
        self._measure(sql)
        await self._cursor.expect(refusal, sql, *parameters)

    async def answer(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return await self.rows(sql, *parameters)

    def _measure(self, sql: str) -> None:
        self.longest = max(self.longest, len(sql))


@implementer(IDatabase)
@define
class Weighing:
    """
    A database that knows how much was read in one query, and how long its statements were.

    @ivar most: how many bytes and characters that were at most.
    @ivar longest: how many characters the longest statement had.
    """

    _database: IDatabase
    most: int = 0
    longest: int = 0

    async def transact(self, interaction: Any, *args: object) -> Any:
        async def measured(cursor: ICursor) -> Any:
            weighing = WeighingCursor(cursor)
            try:
                return await interaction(weighing, *args)
            finally:
                self.longest = max(self.longest, weighing.longest)

        return await self._database.transact(measured)

    async def read(self, interaction: Any, *args: object) -> Any:
        async def weighed(cursor: ICursor) -> Any:
            weighing = WeighingCursor(cursor)
            result = await interaction(weighing, *args)
            self.most = max(self.most, weighing.weight)
            return result

        return await self._database.read(weighed)


class RecordsCase:
    """
    What the contracts of records do all the time.
    """

    def setUp(self: Any) -> None:
        super().setUp()
        self.database = self.make_database()
        self.weighing = Weighing(self.database)
        records = records_in(self.weighing)
        self.blobs, self.manifests = records.blobs, records.manifests
        self.tags, self.uploads = records.tags, records.uploads

    def rows(self: Any, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the tables say."""
        found: list[tuple[Any, ...]] = self.result_of(self.database.read(query, sql, *parameters))
        return found

    def due(self: Any) -> dict[tuple[str, str], tuple[float, str]]:
        """What the collector shall look at: kind and digest, when, and why."""
        found = self.rows("SELECT kind, digest, due_at, reason FROM due")
        return {(kind, digest): (due_at, reason) for kind, digest, due_at, reason in found}

    def doom(self: Any, digest: Digest) -> None:
        """What the collector does to a blob that nobody needs."""
        self.result_of(
            self.database.transact(
                change, "UPDATE blob SET state = 'doomed' WHERE digest = ?", str(digest)
            )
        )

    def commit(
        self: Any,
        content: bytes = CONTENT,
        name: RepositoryName = APP,
        generation: int = 1,
        lease: Lease = EARLY,
        algorithm: str = "sha256",
    ) -> Any:
        """Begin a session and commit it, as one that has published its bytes."""
        self.result_of(self.uploads.forget([SESSION]))
        self.result_of(self.uploads.start(SESSION, name, lease.now))
        return self.result_of(self.committing(content, name, generation, lease, algorithm))

    def committing(
        self: Any,
        content: bytes = CONTENT,
        name: RepositoryName = APP,
        generation: int = 1,
        lease: Lease = EARLY,
        algorithm: str = "sha256",
    ) -> Any:
        """Commit the session that has been begun."""
        digest, standing = digest_of(content, algorithm), Standing(False, generation)
        return self.blobs.commit(SESSION, name, digest, len(content), standing, lease)

    def touched(self: Any) -> list[float]:
        """When the sessions that have not ended were last used."""
        return [when for (when,) in self.rows("SELECT touched FROM upload WHERE repository <> ''")]

    def put(
        self: Any,
        document: Any,
        *tags: str,
        name: RepositoryName = APP,
        lease: Lease = EARLY,
        media_type: str | None = None,
    ) -> Digest:
        """Push a manifest, and what it needs before that."""
        manifest = Manifest.parse(written(document), media_type)
        for content in CONTENTS:
            self.commit(content, name)
        digest = digest_of(manifest.body)
        named = [Tag.parse(tag) for tag in tags]
        self.result_of(self.manifests.put(name, digest, manifest, named, lease))
        return digest

    def nothing_exists(self: Any) -> None:
        """Check that no repository came into being, and nothing in it."""
        for table in (
            "repository",
            "blob",
            "repository_blob",
            "manifest",
            "reference",
            "tag",
            "due",
        ):
            assert self.rows(f"SELECT * FROM {table}") == [], table


#: What the sample images are made of.
CONTENTS = (b"the config", b"the first layer", b"another layer")
