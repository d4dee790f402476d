"""
How often a request waits for PostgreSQL is what the documentation says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ..postgres import PASSWORD, ROLE, PostgresServer
from .content import (
    OCI_INDEX,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    encode,
    index,
    number,
    unique,
    unknown_digest,
)
from .daemon import Daemon
from .repository import Repository
from .round_trips import CountingRelay, counted

DOCUMENTATION = Path(__file__).parents[2] / "docs" / "database.rst"

ROW = re.compile(r"^   \* - (.+)\n     - ([0-9]+)\n", re.MULTILINE)

#: What may be documented without anybody looking twice.
MOST = 2

CONFIGURATION = """
[metadata]
database = "postgresql://{role}:{password}@127.0.0.1:{port}/{name}?sslmode=disable"
pool_size = 1
"""

Act = Callable[[], None]


def documented() -> dict[str, int]:
    """The queries of each request, by the first table in the documentation."""
    table, _, _ = DOCUMENTATION.read_text().partition("\nMeasured\n")
    return {request: int(count) for request, count in ROW.findall(table)}


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[tuple[Daemon, CountingRelay]]:
    """
    A registry with one connection to PostgreSQL, on a wire where round trips are counted.
    """
    name = f"counted{number()}"
    postgres_server.create_database(name)
    with counted("127.0.0.1", postgres_server.port) as relay:
        configuration = CONFIGURATION.format(
            role=ROLE, password=PASSWORD, port=relay.port, name=name
        )
        daemon = Daemon(tmp_path_factory.mktemp("daemon"), configuration)
        daemon.start()
        # On the one connection, and so after the sweep for expired uploads with which it starts.
        daemon.client.call("GET", "/v2/_catalog")
        yield daemon, relay
        daemon.stop()


class Requests:
    """
    Each documented request. A method prepares what the request needs, and returns what sends it.
    """

    def __init__(self, repository: Repository, other: Repository) -> None:
        self.repository = repository
        self.other = other

    def sending(
        self, method: str, rest: str, status: int, body: bytes | None = None, kind: str = ""
    ) -> Act:
        """Something that sends a request in the repository, which must be answered so."""

        def send() -> None:
            headers = {"Content-Type": kind} if kind else {}
            answer = self.repository.call(method, rest, headers, body)
            assert answer.status == status, answer

        return send

    def session(self) -> str:
        """An upload session that has some bytes, relative to the repository."""
        location = self.repository.begin()
        self.repository.append(location, b"first")
        return location.removeprefix(f"/v2/{self.repository.name}/")

    def ping(self) -> Act:
        """Whether this is a registry."""

        def send() -> None:
            assert self.repository.client.call("GET", "/v2/").status == 200

        return send

    def head_blob(self) -> Act:
        """Whether a blob is there."""
        return self.sending("HEAD", f"blobs/{self.repository.push_blob(unique())}", 200)

    def get_blob(self) -> Act:
        """The bytes of a blob."""
        return self.sending("GET", f"blobs/{self.repository.push_blob(unique(100_000))}", 200)

    def start_upload(self) -> Act:
        """A new session."""
        return self.sending("POST", "blobs/uploads/", 202)

    def push_at_once(self) -> Act:
        """A blob in one request."""
        content = unique()
        return self.sending("POST", f"blobs/uploads/?digest={digest_of(content)}", 201, content)

    def mount(self) -> Act:
        """A blob of another repository."""
        digest = self.other.push_blob(unique())
        asked = f"blobs/uploads/?mount={digest}&from={self.other.name}"
        return self.sending("POST", asked, 201)

    def mount_in_vain(self) -> Act:
        """A blob that the other repository does not hold: a session instead."""
        asked = f"blobs/uploads/?mount={unknown_digest()}&from={self.other.name}"
        return self.sending("POST", asked, 202)

    def append(self) -> Act:
        """More bytes for a session."""
        return self.sending("PATCH", self.session(), 202, b"second")

    def commit(self) -> Act:
        """The end of a session, and a new blob."""
        session, rest = self.session(), unique()
        digest = digest_of(b"first" + rest)
        return self.sending("PUT", f"{session}?digest={digest}", 201, rest)

    def stat_upload(self) -> Act:
        """How far a session has come."""
        return self.sending("GET", self.session(), 204)

    def cancel(self) -> Act:
        """No more of a session."""
        return self.sending("DELETE", self.session(), 204)

    def put_image(self) -> Act:
        """A new image, in the place of another one."""
        self.repository.push_image("v1")
        body = encode(self.repository.image())
        return self.sending("PUT", "manifests/v1", 201, body, OCI_MANIFEST)

    def put_index(self) -> Act:
        """A new index."""
        _, child = self.repository.push_image()
        body = encode(index(descriptor(OCI_MANIFEST, child)))
        return self.sending("PUT", "manifests/all", 201, body, OCI_INDEX)

    def head_manifest(self) -> Act:
        """Whether a manifest is there."""
        self.repository.push_image("v1")
        return self.sending("HEAD", "manifests/v1", 200)

    def get_manifest(self) -> Act:
        """A manifest as they are."""
        self.repository.push_image("v1")
        return self.sending("GET", "manifests/v1", 200)

    def get_large_manifest(self) -> Act:
        """A manifest that does not come along with what is said of it."""
        digest, body = self.repository.push_image(annotations={"long": "x" * 100_000})
        assert len(body) > 65536
        return self.sending("GET", f"manifests/{digest}", 200)

    def delete_tag(self) -> Act:
        """A tag untied."""
        self.repository.push_image("v1")
        return self.sending("DELETE", "manifests/v1", 202)

    def delete_manifest(self) -> Act:
        """A manifest with a tag."""
        digest, _ = self.repository.push_image("v1")
        return self.sending("DELETE", f"manifests/{digest}", 202)

    def delete_blob(self) -> Act:
        """A blob that is held no longer."""
        return self.sending("DELETE", f"blobs/{self.repository.push_blob(unique())}", 202)

    def list_tags(self) -> Act:
        """The tags, when there are some."""
        self.repository.push_image("v1")
        return self.sending("GET", "tags/list?n=1", 200)

    def list_referrers(self) -> Act:
        """The referrers of one artifact type, when there is one."""
        subject, body = self.repository.push_image()
        refers = descriptor(OCI_MANIFEST, body)
        self.repository.push_image(subject=refers, artifactType="a/b", annotations={"a": "b"})
        return self.sending("GET", f"referrers/{subject}?artifactType=a/b", 200)

    def list_repositories(self) -> Act:
        """The names of all repositories."""
        self.repository.push_blob(unique())

        def send() -> None:
            assert self.repository.client.call("GET", "/v2/_catalog?n=1").status == 200

        return send


PREPARING = {
    "``GET /v2/``": Requests.ping,
    "``HEAD`` blob": Requests.head_blob,
    "``GET`` blob": Requests.get_blob,
    "``POST`` upload": Requests.start_upload,
    "``POST`` upload with ``digest=``": Requests.push_at_once,
    "``POST`` upload with ``mount=``": Requests.mount,
    "``POST`` upload with ``mount=``, nothing to mount": Requests.mount_in_vain,
    "``PATCH`` upload": Requests.append,
    "``PUT`` upload": Requests.commit,
    "``GET`` upload": Requests.stat_upload,
    "``DELETE`` upload": Requests.cancel,
    "``PUT`` image manifest": Requests.put_image,
    "``PUT`` image index": Requests.put_index,
    "``HEAD`` manifest": Requests.head_manifest,
    "``GET`` manifest, up to 64 KiB": Requests.get_manifest,
    "``GET`` manifest, larger": Requests.get_large_manifest,
    "``DELETE`` tag": Requests.delete_tag,
    "``DELETE`` manifest": Requests.delete_manifest,
    "``DELETE`` blob": Requests.delete_blob,
    "``GET`` tags": Requests.list_tags,
    "``GET`` referrers": Requests.list_referrers,
    "``GET /v2/_catalog``": Requests.list_repositories,
}


def test_every_request_is_documented() -> None:
    """The table has the requests that are counted here, and none needs many queries."""
    assert set(documented()) == set(PREPARING)
    assert max(documented().values()) <= MOST


@pytest.mark.parametrize("request_name", PREPARING)
def test_round_trips(watched: tuple[Daemon, CountingRelay], request_name: str) -> None:
    """A request waits for the database as often as is documented, also the second time."""
    daemon, relay = watched
    for _ in range(2):
        here, elsewhere = (Repository(daemon.client, f"team{number()}/app") for _ in range(2))
        send = PREPARING[request_name](Requests(here, elsewhere))
        relay.asked()
        send()
        asked = relay.asked()
        assert len(asked) == documented()[request_name], "\n".join(asked)
