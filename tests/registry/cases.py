"""
A registry for the tests of its rules: files in memory, metadata in SQLite, and a clock on the wall.
"""

from __future__ import annotations

import json
from typing import Any

from attrs import evolve, frozen

from ociregd.interfaces import IBody
from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.names import RepositoryName
from ociregd.registry.repository import Policy, Registry, Repository
from ociregd.storage.metadata import records_in
from ociregd.storage.migrations import migrations
from ociregd.storage.sqlite import SqliteDatabase

from ..fakes import Memory, MemoryBlobStore, MemoryUploads, TimeOfDay, body
from ..storage.places import temporary

APP = RepositoryName.parse("team/app")
OTHER = RepositoryName.parse("other/app")

FIRST = b"the first bytes"
SECOND = b", and the second"
BOTH = FIRST + SECOND


@frozen
class Instead:
    """
    Something of which some methods are others.
    """

    _real: Any
    _others: dict[str, Any]

    def __getattr__(self, name: str) -> Any:
        return self._others.get(name) or getattr(self._real, name)


class RegistryCase:
    """
    Mixed into a test case with threads (see L{tests.workers}): a registry that nobody has used yet.
    """

    policy = Policy()

    def setUp(self: Any) -> None:
        super().setUp()
        self.time = TimeOfDay()
        self.memory = Memory(now=self.time)
        self.database = SqliteDatabase(str(temporary(self) / "metadata.sqlite3"), self.in_thread)
        self.database.open(migrations())
        self.addCleanup(self.database.close)
        self.registry = Registry(
            blobs=MemoryBlobStore(self.memory),
            uploads=MemoryUploads(self.memory),
            records=records_in(self.database),
            now=self.time,
            in_thread=self.in_thread,
            policy=self.policy,
        )
        self.app: Repository = self.registry.repository(APP)
        self.other: Repository = self.registry.repository(OTHER)

    def with_policy(self: Any, **changes: Any) -> Repository:
        """The same repository under another policy."""
        policy = evolve(self.policy, **changes)
        return evolve(self.registry, policy=policy).repository(APP)

    def begun(self: Any, content: bytes = b"") -> str:
        """An upload session, and its first bytes."""
        session_id: str = self.result_of(self.app.uploads.start())
        if content:
            self.result_of(self.app.uploads.append(session_id, body(content)))
        return session_id

    def pushed(self: Any, content: bytes, repository: Repository | None = None) -> Digest:
        """A blob that the repository holds."""
        uploads = (repository or self.app).uploads
        session_id = self.result_of(uploads.start())
        digest = digest_of(content)
        self.result_of(uploads.commit(session_id, digest, body(content)))
        return digest

    def pulled(self: Any, digest: Digest, repository: Repository | None = None) -> bytes:
        """The bytes of a blob."""
        blob, reader = self.result_of((repository or self.app).blobs.open(digest))
        assert blob.digest == digest
        content: bytes = self.result_of(reader.read(0, blob.size + 1))
        reader.close()
        self.perform_all()
        return content

    def offset(self: Any, session_id: str) -> int:
        """How many bytes a session holds."""
        offset: int = self.result_of(self.app.uploads.offset(session_id))
        return offset

    def append(self: Any, session_id: str, arriving: IBody) -> Any:
        """A chunk under way."""
        return self.begin(self.app.uploads.append(session_id, arriving))


def tagged_image(config: bytes) -> bytes:
    """An image manifest without layers."""
    document = {
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {
            "mediaType": "application/vnd.oci.image.config.v1+json",
            "digest": str(digest_of(config)),
            "size": len(config),
        },
        "layers": [],
    }
    return json.dumps(document).encode()
