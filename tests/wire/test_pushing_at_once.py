"""
A blob that is pushed with one request, and does not get to its end: nothing stays of it.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from attrs import evolve, frozen

from ociregd.errors import StorageFull
from ociregd.oci.names import RepositoryName
from ociregd.web.api import RegistryAPI
from ociregd.web.routing import RegistryResource
from ociregd.web.site import RegistrySite

from ..harness import InMemoryRegistry
from ..messages import digest_of, request
from ..workers import Later, now
from .conftest import Faults

NAME = "team/app"

CONTENT = b"content that is pushed at once" * 100

PATH = f"/v2/{NAME}/blobs/uploads/?digest={digest_of(CONTENT)}"


@frozen
class Endless:
    """
    Upload records in which nothing ends.
    """

    _records: Any
    _problem: Exception

    async def end(self, session_id: str, name: RepositoryName) -> None:
        raise self._problem

    def __getattr__(self, name: str) -> Any:
        return getattr(self._records, name)


def sessions(directory: Path) -> list[Path]:
    """The files of upload sessions."""
    return list((directory / "uploads").iterdir())


@pytest.mark.parametrize("worker", [now, Later()])
def test_a_client_goes_in_the_middle(tmp_path: Path, worker: Any) -> None:
    """The bytes of a client that went are removed at once: it cannot go on with them."""
    registry = InMemoryRegistry(tmp_path, worker)
    for sent in (0, 1, len(CONTENT) - 1):
        wire = registry.connect()
        head = request("POST", PATH, body=CONTENT)
        wire.send(head[: len(head) - len(CONTENT) + sent])
        assert len(sessions(tmp_path)) == 1
        wire.hang_up()
        assert sessions(tmp_path) == []
    assert registry.call("GET", f"/v2/{NAME}/blobs/{digest_of(CONTENT)}").status == 404
    registry.close()


@pytest.mark.parametrize("jobs", range(12))
def test_a_client_goes_at_any_moment(tmp_path: Path, jobs: int) -> None:
    """Whatever the worker was at, the blob is there or no bytes are, and it can be pushed again."""
    registry = InMemoryRegistry(tmp_path, worker := Later())
    registry.at_work = False
    wire = registry.connect()
    wire.send(request("POST", PATH, body=CONTENT))
    for _ in range(jobs):
        if worker.waiting:
            worker.perform()
            registry.settle()
    wire.hang_up()
    registry.at_work = True
    registry.settle()
    pulled = registry.call("GET", f"/v2/{NAME}/blobs/{digest_of(CONTENT)}")
    assert (pulled.status, pulled.body == CONTENT) in ((200, True), (404, False))
    # A session that was only just begun may be left to expire; it holds nothing.
    assert [path.stat().st_size for path in sessions(tmp_path)] in ([], [0])
    assert registry.call("POST", PATH, body=CONTENT).status == 201
    registry.close()


@pytest.mark.parametrize("problem", [StorageFull("no room for rows"), OSError("broken")])
def test_the_first_error_is_told(tmp_path: Path, faults: Faults, problem: Exception) -> None:
    """When a refused push cannot be cleared away either, the client hears of the refusal."""
    registry = InMemoryRegistry(tmp_path)
    inner = registry.registry
    records = evolve(inner.records, uploads=Endless(inner.records.uploads, problem))
    api = RegistryAPI(evolve(inner, records=records))
    registry.site = RegistrySite(
        RegistryResource(api.app.resource()), registry.clock, registry.patience
    )
    answer = registry.call("POST", PATH, body=CONTENT[1:])
    assert answer.status == 400
    assert json.loads(answer.body)["errors"][0]["code"] == "DIGEST_INVALID"
    assert len(faults.take()) == isinstance(problem, OSError)
    registry.close()
