"""
Many clients that push, move and delete the same few things at two daemons, as fast as they can:
what is left in the database and on the disk fits together.
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection
from functools import partial
from pathlib import Path

from attrs import Factory, define, field, frozen

from ociregd.oci.manifest import Manifest

from ..postgres import PostgresServer
from .content import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    encode,
    image,
    index,
    unique,
)
from .repository import Repository
from .several import Shared, at_once, several

SECONDS = 5.0

PUSHERS = 8

TAGS = ("v1", "v2", "v3")


@frozen
class Wares:
    """
    The few things that all clients have to do with.

    @ivar manifests: each by its bytes, with its media type.
    """

    blobs: list[bytes] = Factory(lambda: [unique(3_000) for _ in range(4)])
    manifests: dict[bytes, str] = field(init=False)

    @manifests.default
    def _manifests(self) -> dict[bytes, str]:
        config = descriptor(OCI_CONFIG, self.blobs[0])
        layers = [descriptor(OCI_LAYER, layer) for layer in self.blobs[1:]]
        images = [encode(image(config, layer)) for layer in layers]
        first, second, third = (descriptor(OCI_MANIFEST, one) for one in images)
        indexes = [encode(index(first, second)), encode(index(third, subject=first))]
        return {**dict.fromkeys(images, OCI_MANIFEST), **dict.fromkeys(indexes, OCI_INDEX)}


@define
class Pusher:
    """
    Does one thing after another, whatever comes to its mind, in one repository or the other and at
    one daemon or the other.
    """

    _repositories: list[Repository]
    _wares: Wares
    _chance: random.Random
    _here: Repository = field(init=False)

    def run(self, until: float) -> int:
        """Go on for so long; how much it did."""
        acts = [self.push, self.push_in_steps, self.mount, self.read, self.look, self.delete]
        done = 0
        while time.monotonic() < until:
            self._here = self._chance.choice(self._repositories)
            self._chance.choice([*acts, self.put, self.put, self.put, self.delete])()
            done += 1
        return done

    def push(self) -> None:
        """A blob, in one request."""
        self._here.push_blob(self._chance.choice(self._wares.blobs))

    def push_in_steps(self) -> None:
        """A blob, in several requests."""
        content = self._chance.choice(self._wares.blobs)
        location = self._here.begin()
        self._here.append(location, content[:1000])
        assert self._here.commit(location, digest_of(content), content[1000:]).status == 201

    def mount(self) -> None:
        """A blob of the other repository, or any; an upload that begins instead is cancelled."""
        digest = digest_of(self._chance.choice(self._wares.blobs))
        source = self._chance.choice([f"&from={self._chance.choice(self._repositories).name}", ""])
        answer = self._here.call("POST", f"blobs/uploads/?mount={digest}{source}")
        assert answer.status in (201, 202)
        if answer.status == 202:
            assert self._here.client.call("DELETE", answer.header("Location")).status == 204

    def put(self) -> None:
        """A manifest, with tags or without."""
        body = self._chance.choice(list(self._wares.manifests))
        tags = self._chance.sample(TAGS, self._chance.randrange(len(TAGS)))
        target = f"manifests/{digest_of(body)}?" + "&".join(f"tag={tag}" for tag in tags)
        answer = self._here.call("PUT", target, {"Content-Type": self._wares.manifests[body]}, body)
        assert answer.status == 201 or set(answer.codes()) == {"MANIFEST_BLOB_UNKNOWN"}, answer

    def read(self) -> None:
        """A manifest and a blob."""
        answer = self._here.call("GET", f"manifests/{self._reference()}")
        if answer.status != 404:
            assert answer.header("Content-Type") == self._wares.manifests[answer.body]
            assert answer.header("Docker-Content-Digest") == digest_of(answer.body)
        content = self._chance.choice(self._wares.blobs)
        pulled = self._here.call("GET", f"blobs/{digest_of(content)}")
        assert pulled.status == 404 or pulled.body == content

    def look(self) -> None:
        """What there is."""
        if (answer := self._here.call("GET", "tags/list")).status != 404:
            tags = answer.json()["tags"]
            assert tags == [tag for tag in TAGS if tag in tags]
        self._here.referrers(digest_of(self._chance.choice(list(self._wares.manifests))))

    def delete(self) -> None:
        """A manifest, a tag or a blob."""
        blob = digest_of(self._chance.choice(self._wares.blobs))
        path = self._chance.choice([f"manifests/{self._reference()}", f"blobs/{blob}"])
        assert self._here.call("DELETE", path).status in (202, 404)

    def _reference(self) -> str:
        body = self._chance.choice(list(self._wares.manifests))
        return self._chance.choice([*TAGS, digest_of(body), digest_of(body)])


def check_manifests(shared: Shared, wares: Wares) -> None:
    """What tags and references there are belongs to the manifests that there are."""
    named = "JOIN repository ON repository.id = repository"
    bodies = {digest_of(body): (body, kind) for body, kind in wares.manifests.items()}
    manifests, references = set(), set()
    for name, digest, body in shared.rows(f"SELECT name, digest, body FROM manifest {named}"):
        assert bytes(body) == bodies[digest][0]
        manifests.add((name, digest))
        for kind, other in Manifest.parse(*bodies[digest]).references():
            references.add((name, digest, kind, other))
    tags = shared.rows(f"SELECT repository.name, digest FROM tag {named}")
    assert set(tags) <= manifests
    found = shared.rows(f"SELECT name, manifest, kind, digest FROM reference {named}")
    assert_same(found, references)
    due = shared.rows(f"SELECT name, digest FROM due {named} WHERE kind = 'manifest'")
    assert set(due) >= manifests


def check_blobs(shared: Shared, wares: Wares) -> None:
    """There is one file of each blob, and nothing else; a repository holds only blobs."""
    live = [digest for (digest,) in shared.rows("SELECT digest FROM blob WHERE state = 'live'")]
    assert_same(live, {digest_of(content) for content in wares.blobs})
    files = (shared.root / "blobs").glob("*/*/*")
    assert_same([path.read_bytes() for path in files], set(wares.blobs))
    for content in wares.blobs:
        assert [path.read_bytes() for path in shared.files(digest_of(content))] == [content]
    held = shared.rows("SELECT digest, repository FROM repository_blob")
    assert {digest for digest, _ in held} <= set(live)
    due = shared.rows("SELECT digest, repository FROM due WHERE kind = 'blob'")
    assert set(due) >= set(held)
    assert shared.rows("SELECT * FROM trash") == []
    assert shared.rows("SELECT * FROM upload WHERE repository <> ''") == []
    assert shared.uploads() == []


def assert_same(found: Collection[object], expected: Collection[object]) -> None:
    """All of it is there, and once."""
    assert len(found) == len(set(found))
    assert set(found) == set(expected)


def test_storm(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Whatever many clients do at once, no request fails or is held up by another for long."""
    wares = Wares()
    with several(tmp_path, postgres_server, daemons=2) as shared:
        repositories = [one for name in ("one/app", "two/app") for one in shared.repositories(name)]
        for content in wares.blobs:
            repositories[0].push_blob(content)
        until = time.monotonic() + SECONDS
        pushers = [Pusher(repositories, wares, random.Random(seed)) for seed in range(PUSHERS)]
        done = sum(at_once([partial(pusher.run, until) for pusher in pushers]))
    assert done > PUSHERS
    check_manifests(shared, wares)
    check_blobs(shared, wares)
    # Each would have cost somebody a second, before the database saw it.
    assert shared.rows(
        "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    ) == [(0,)]
