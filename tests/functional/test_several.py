"""
Several daemons on one database and one storage root are one registry: what one has acknowledged the
others know, and what one has begun another can go on with.
"""

from __future__ import annotations

import re
from contextlib import ExitStack
from itertools import product
from pathlib import Path

import pytest

from ..postgres import PostgresServer
from .client import Answer, Wire, request
from .content import OCI_MANIFEST, descriptor, digest_of, encode, index, unique
from .daemon import eventually
from .repository import Repository
from .several import Shared, several

# A second is the least that still leaves a slow machine the time to send a request.
EXPIRING = """
[uploads]
lifetime = "1s"
sweep_interval = "1s"
"""

Both = list[Repository]


@pytest.fixture
def both(shared: Shared) -> Both:
    """A repository that nothing was pushed to, at each of two daemons."""
    return shared.repositories()


def write(wire: Wire, location: str, content: bytes, written: int) -> None:
    """Begin to append to an upload, and stop after some bytes."""
    headers = {"Content-Length": str(len(content)), "Expect": "100-continue"}
    wire.send(request("PATCH", location, headers))
    # That it asks for the body shows that this request has the session now.
    assert wire.answer("PATCH").status == 100
    wire.send(content[:written])


def patch(repository: Repository, location: str, content: bytes, start: int) -> Answer:
    """Send a numbered chunk."""
    headers = {"Content-Range": f"{start}-{start + len(content) - 1}"}
    return repository.client.call("PATCH", location, headers, content)


@pytest.mark.parametrize("numbered", [True, False])
def test_every_split_of_an_upload(both: Both, numbered: bool) -> None:
    """Each request of a chunked push may reach another daemon, as may the pull after it."""
    for begin, first, second, last, pull in product(both, repeat=5):
        content = unique(90_000)
        location = begin.begin()
        for repository, start in ((first, 0), (second, 30_000)):
            piece = content[start : start + 30_000]
            if numbered:
                answer = patch(repository, location, piece, start)
            else:
                answer = repository.client.call("PATCH", location, chunks=[piece[:9], piece[9:]])
            assert (answer.status, answer.header("Range")) == (202, f"0-{start + 29_999}")
        digest = digest_of(content)
        assert last.commit(location, digest, content[60_000:]).status == 201
        assert pull.get(f"blobs/{digest}") == content
        assert pull.client.call("GET", location).status == 404


def test_the_other_connection_stays_open(shared: Shared, both: Both) -> None:
    """An upload goes on elsewhere while the connection that it came by so far is kept."""
    content = unique(20)
    location = both[0].begin()
    with Wire(shared.daemons[0].port) as kept:
        kept.send(request("PATCH", location, body=content[:10]))
        assert kept.answer().status == 202
        assert patch(both[1], location, content[10:], 10).status == 202
        kept.send(request("GET", location))
        assert kept.answer().header("Range") == "0-19"
    assert both[1].commit(location, digest_of(content)).status == 201


@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_client_that_stalls(shared: Shared, both: Both, method: str) -> None:
    """
    While a request writes at one daemon the other refuses with 416 and says how far it is; once its
    connection is cut the other takes what follows.
    """
    here, there = both
    content = unique(2_000_000)
    digest = digest_of(content)
    location = here.begin()
    target = location if method == "PATCH" else f"{location}?digest={digest}"
    with Wire(shared.daemons[0].port) as stalled:
        write(stalled, location, content, 1_500_000)
        eventually(lambda: there.received(location) == "0-1499999")
        for headers in ({}, {"Content-Range": "1500000-1999999"}):
            answer = there.client.call(method, target, headers, content[1_500_000:])
            assert (answer.status, answer.codes()) == (416, ["BLOB_UPLOAD_INVALID"])
            assert answer.header("Range") == "0-1499999"
            assert answer.header("Location") == location

    def goes_on() -> bool:
        headers = {"Content-Range": "1500000-1999999"}
        answer = there.client.call(method, target, headers, content[1_500_000:])
        assert answer.status in (201, 202, 416), answer
        return answer.status != 416

    eventually(goes_on)
    if method == "PATCH":
        assert here.commit(location, digest).status == 201
    assert here.get(f"blobs/{digest}") == content


def test_killed_while_it_writes(shared: Shared, both: Both) -> None:
    """The upload that a daemon was writing when it was killed goes on at another one at once."""
    killed = shared.daemon()
    killed.start()
    there, _ = both
    content = unique(2_000_000)
    location = Repository(killed.client, there.name).begin()
    there.append(location, content[:400_000])
    with Wire(killed.port) as wire:
        write(wire, location, content[400_000:], 1_000_000)
        eventually(lambda: there.received(location) == "0-1399999")
        killed.kill()
    assert patch(there, location, content[1_400_000:], 1_400_000).status == 202
    assert there.commit(location, digest_of(content)).status == 201
    assert there.get(f"blobs/{digest_of(content)}") == content


def test_cancelled_elsewhere(shared: Shared, both: Both) -> None:
    """An upload that is cancelled is gone everywhere, also for who is writing to it."""
    here, there = both
    location = here.begin()
    with Wire(shared.daemons[0].port) as wire:
        write(wire, location, b"x" * 20, 10)
        assert there.client.call("DELETE", location).status == 204
        wire.send(b"x" * 10)
        answer = wire.answer()
    assert (answer.status, answer.codes()) == (404, ["BLOB_UPLOAD_UNKNOWN"])
    for repository in both:
        assert repository.client.call("GET", location).status == 404


def test_the_next_request_knows(both: Both) -> None:
    """What was pushed, moved or deleted at one daemon is so at the other with the next request."""
    for here, there in (both, both[::-1]) * 5:
        digest, body = here.push_image("v1")
        assert there.get("manifests/v1") == there.get(f"manifests/{digest}") == body
        child = index(descriptor(OCI_MANIFEST, body), subject=descriptor(OCI_MANIFEST, body))
        referrer = here.push_manifest(encode(child), media_type=child["mediaType"])
        assert [found["digest"] for found in there.referrers(digest)] == [referrer]
        moved, _ = here.push_image("v1")
        assert there.call("HEAD", "manifests/v1").header("Docker-Content-Digest") == moved
        blob = there.push_blob(unique())
        location = there.begin()
        for path in ("manifests/v1", f"manifests/{digest}", f"blobs/{blob}"):
            assert here.status(path) == 200
            assert here.call("DELETE", path).status == 202
            assert there.status(path) == 404
        assert there.tags() == []
        assert here.client.call("DELETE", location).status == 204
        assert there.client.call("GET", location).status == 404


def test_mounts(shared: Shared, both: Both) -> None:
    """A blob can be mounted at once where the other daemon has taken it in."""
    for here, there in (both, both[::-1]):
        digest = here.push_blob(unique())
        name = shared.repositories()[0].name
        target = f"/v2/{name}/blobs/uploads/?mount={digest}&from={here.name}"
        assert there.client.call("POST", target).status == 201
        assert Repository(here.client, name).status(f"blobs/{digest}") == 200


def test_expiry(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Of several daemons that sweep, one ends each idle upload; none that is in use ends."""
    with several(tmp_path, postgres_server, 2, EXPIRING) as shared, ExitStack() as wires:
        both = shared.repositories()
        in_use = []
        for daemon, repository in zip(shared.daemons, both, strict=True):
            wire, location = wires.enter_context(Wire(daemon.port)), repository.begin()
            write(wire, location, b"x" * 20, 10)
            in_use.append((wire, location))
        for repository in both * 30:
            repository.append(repository.begin(), b"x")

        def expired() -> int:
            logs = "".join(daemon.log() for daemon in shared.daemons)
            return sum(map(int, re.findall("expired ([0-9]+) idle uploads", logs)))

        eventually(lambda: len(shared.uploads()) == len(in_use))
        eventually(lambda: expired() == 60)
        eventually(lambda: shared.rows("SELECT count(*) FROM upload") == [(len(in_use),)])
        for wire, location in in_use:
            assert both[0].received(location) == both[1].received(location) == "0-9"
            wire.send(b"x" * 10)
            assert wire.answer().header("Range") == "0-19"
        assert expired() == 60


def test_started_at_once(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Daemons that start together on nothing all serve, and one of them has made the tables."""
    with several(tmp_path, postgres_server, 0) as shared:
        daemons = [shared.daemon() for _ in range(4)]
        together = shared.daemon(daemons)
        together.start()
        digest, body = Repository(together.client, "first/app").push_image("v1")
        for daemon in daemons:
            assert Repository(daemon.client, "first/app").get(f"manifests/{digest}") == body
        together.stop()
        versions = [version for (version,) in shared.rows("SELECT version FROM schema_version")]
        assert versions == list(range(1, len(versions) + 1))
        assert list((shared.root / "blobs").glob("*.new")) == []
