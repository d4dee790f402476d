"""
Several daemons that are asked for the same at the same moment: each answer is one that a single
daemon could have given, in some order.
"""

from __future__ import annotations

from functools import partial
from itertools import cycle, islice
from threading import Event

import pytest

from .content import OCI_CONFIG, OCI_MANIFEST, descriptor, digest_of, encode, image, unique
from .repository import Repository
from .several import Shared, at_once

#: Requests at the same moment.
WIDTH = 6

ROUNDS = 15


@pytest.fixture
def crowd(shared: Shared) -> list[Repository]:
    """A repository that nothing was pushed to, for each of many clients of either daemon."""
    return list(islice(cycle(shared.repositories()), WIDTH))


def pushed(repository: Repository, content: bytes) -> int:
    """The status of a push in one request."""
    target = f"blobs/uploads/?digest={digest_of(content)}"
    return repository.call("POST", target, body=content).status


def committed(repository: Repository, location: str, content: bytes) -> int:
    """The status of the last request of a push in steps."""
    return repository.commit(location, digest_of(content), content).status


def put(repository: Repository, reference: str, body: bytes) -> int:
    """The status of a push of a manifest."""
    headers = {"Content-Type": OCI_MANIFEST}
    return repository.call("PUT", f"manifests/{reference}", headers, body).status


@pytest.mark.parametrize("in_steps", [True, False])
def test_one_blob(shared: Shared, in_steps: bool) -> None:
    """A blob that is pushed by many at once, and to repositories that are new, is stored once."""
    for _ in range(ROUNDS):
        content = unique(50_000)
        digest = digest_of(content)
        crowd = list(islice(cycle(shared.repositories()), WIDTH - 2)) + shared.repositories()
        if in_steps:
            acts = [partial(committed, one, one.begin(), content) for one in crowd]
        else:
            acts = [partial(pushed, one, content) for one in crowd]
        assert at_once(acts) == [201] * WIDTH
        assert [path.read_bytes() for path in shared.files(digest)] == [content]
        assert shared.rows(f"SELECT state FROM blob WHERE digest = '{digest}'") == [("live",)]
        for repository in crowd:
            assert repository.get(f"blobs/{digest}") == content
    assert shared.uploads() == []
    assert shared.rows("SELECT * FROM trash") == []


def test_one_session(crowd: list[Repository], shared: Shared) -> None:
    """Of many that commit one session at once one does, and the others find it in use or gone."""
    for _ in range(ROUNDS):
        content = unique()
        location = crowd[0].begin()
        crowd[0].append(location, content)
        commits = [partial(repository.commit, location, digest_of(content)) for repository in crowd]
        statuses = [answer.status for answer in at_once(commits)]
        assert statuses.count(201) == 1, statuses
        assert set(statuses) <= {201, 404, 416}, statuses
        assert len(shared.files(digest_of(content))) == 1
        assert crowd[0].get(f"blobs/{digest_of(content)}") == content


def test_chunks_do_not_interleave(crowd: list[Repository]) -> None:
    """Of many that write to one session each chunk is taken whole, in its place, or refused."""
    location = crowd[0].begin()

    def write(repository: Repository, numbered: bool) -> dict[int, bytes]:
        """Send chunks, and return those that were taken, by their end."""
        taken = {}
        offset = 0
        for _ in range(30):
            content = unique(3_000 + offset % 7_000)
            headers = {"Content-Range": f"{offset}-{offset + len(content) - 1}"}
            answer = repository.client.call("PATCH", location, headers if numbered else {}, content)
            assert answer.status in (202, 416), answer
            offset = int(answer.header("Range").removeprefix("0-")) + 1
            if answer.status == 202:
                taken[offset] = content
        return taken

    acts = [partial(write, one, turn % 2 == 0) for turn, one in enumerate(crowd)]
    taken = [(end, chunk) for chunks in at_once(acts) for end, chunk in chunks.items()]
    content = b""
    for end, chunk in sorted(taken):
        content += chunk
        assert len(content) == end
    assert crowd[1].received(location) == f"0-{len(content) - 1}"
    assert crowd[1].commit(location, digest_of(content)).status == 201
    assert crowd[0].get(f"blobs/{digest_of(content)}") == content


def test_one_manifest(shared: Shared) -> None:
    """A manifest that is pushed by many at once is stored once, whoever was the first."""
    for _ in range(ROUNDS):
        crowd = list(islice(cycle(shared.repositories()), WIDTH))
        body = encode(crowd[0].image())
        digest = digest_of(body)
        references = islice(cycle([digest, "v1", "v2", f"{digest}?tag=v2&tag=v1"]), WIDTH)
        acts = [partial(put, one, to, body) for one, to in zip(crowd, references, strict=True)]
        assert at_once(acts) == [201] * WIDTH
        where = f"FROM manifest WHERE digest = '{digest}'"
        assert shared.rows(f"SELECT count(*) {where}") == [(1,)]
        for repository in crowd[:2]:
            assert repository.get(f"manifests/{digest}") == repository.get("manifests/v1") == body
            assert repository.tags() == ["v1", "v2"]


def test_new_repositories(shared: Shared) -> None:
    """Many repositories begin to exist at once, some of them by several pushes."""
    content = unique()
    for _ in range(ROUNDS):
        new = [one for _ in range(WIDTH // 2) for one in shared.repositories()]
        assert at_once([partial(pushed, one, content) for one in new]) == [201] * len(new)
        for repository in new:
            assert repository.tags() == []
            name = f"FROM repository WHERE name = '{repository.name}'"
            assert shared.rows(f"SELECT count(*) {name}") == [(1,)]


def test_tag_moves(crowd: list[Repository]) -> None:
    """Whoever reads a tag that others move finds one of the manifests that it named, and whole."""
    config = unique()
    crowd[0].push_blob(config)
    blob = descriptor(OCI_CONFIG, config)
    bodies = [encode(image(blob, annotations={"n": "x" * turn * 500})) for turn in range(24)]
    put(crowd[0], "moving", bodies[0])
    done = Event()

    def write(repository: Repository, mine: list[bytes]) -> int:
        """Move the tag, again and again."""
        statuses = {put(repository, "moving", body) for _ in range(4) for body in mine}
        assert statuses == {201}
        return len(mine)

    def read(repository: Repository) -> int:
        """Look what it names, until it is not moved any more."""
        looks = 0
        while not done.is_set():
            answer = repository.call("GET", "manifests/moving")
            assert answer.status == 200
            assert answer.body in bodies
            assert answer.header("Docker-Content-Digest") == digest_of(answer.body)
            assert repository.tags() == ["moving"]
            looks += 1
        return looks

    def write_all() -> int:
        """Some at each daemon."""
        try:
            writers = crowd[:4]
            return sum(
                at_once([partial(write, one, bodies[n::4]) for n, one in enumerate(writers)])
            )
        finally:
            done.set()

    readers = [partial(read, repository) for repository in crowd[4:]]
    assert all(at_once([write_all, *readers]))
    assert len({repository.get("manifests/moving") for repository in crowd}) == 1
