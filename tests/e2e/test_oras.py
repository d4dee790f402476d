"""
oras-py: artifacts of single files, in one piece, in chunks with a Content-Range, with a subject.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.images import MANIFEST, MEGABYTE, digest_of, noise
from tests.e2e.programs import Client, clean_environment
from tests.e2e.relay import relay_to
from tests.e2e.wire import exchange

DRIVER = Path(__file__).with_name("oras_client.py")


@pytest.fixture
def python(python_client: Callable[[str], str], workspace: Path) -> Client:
    """oras-py on its command line."""
    command = [python_client("python"), str(DRIVER)]
    return Client(command, clean_environment(workspace / "oras"))


@pytest.fixture
def file(workspace: Path, name: str) -> Path:
    """A file of 5 MB that no other test has."""
    path = workspace / "file.bin"
    path.write_bytes(noise(name, 5 * MEGABYTE))
    return path


def test_an_artifact_comes_back_as_it_went(
    python: Client, registry: Registry, workspace: Path, file: Path, name: str
) -> None:
    """A file is pushed as an artifact, and pulled unchanged."""
    target = f"{registry}/{name}:1"

    python(str(registry), "push", target, file)
    python(str(registry), "pull", target, workspace / "out")

    assert (workspace / "out" / "file.bin").read_bytes() == file.read_bytes()


def test_an_artifact_in_chunks_comes_back_as_it_went(
    python: Client, registry: Registry, workspace: Path, file: Path, name: str
) -> None:
    """Chunks with a Content-Range make up the same blob as one request does."""
    with relay_to(registry.host, registry.port) as relay:
        target = f"{relay}/{name}:1"
        python(str(relay), "push", target, file, "--chunk-size=1000000")
        chunks = [head for head in relay.heads if "Content-Range: " in head]
        python(str(relay), "pull", target, workspace / "out")

    assert (workspace / "out" / "file.bin").read_bytes() == file.read_bytes()
    assert len(chunks) >= 5


def test_an_artifact_is_listed_at_its_subject(
    python: Client, registry: Registry, file: Path, name: str, push: Callable[[str], str]
) -> None:
    """What was pushed with a subject is among the referrers of the subject, with its type."""
    digest = push(f"{name}:1")
    manifest = exchange(registry, "GET", f"/v2/{name}/manifests/{digest}")
    subject = {"mediaType": MANIFEST, "digest": digest, "size": len(manifest.body)}

    target = f"{registry}/{name}:bill"
    pushed = json.loads(
        python(str(registry), "push", target, file, "--subject", json.dumps(subject))
    )

    referrers = exchange(registry, "GET", f"/v2/{name}/referrers/{digest}").json()
    (referrer,) = referrers["manifests"]
    stored = exchange(registry, "GET", f"/v2/{name}/manifests/bill").body
    assert referrer["digest"] == pushed == digest_of(stored)
    assert referrer["size"] == len(stored)
    # The client knows no artifactType; then the type of the config is the artifact's.
    assert referrer["artifactType"] == json.loads(stored)["config"]["mediaType"]


def test_tags_are_listed_and_deleted(
    python: Client, registry: Registry, file: Path, name: str
) -> None:
    """A deleted artifact is no longer among the tags."""
    for tag in ("keep", "drop"):
        file.write_bytes(file.read_bytes() + tag.encode())
        python(str(registry), "push", f"{registry}/{name}:{tag}", file)

    deleted = json.loads(python(str(registry), "delete", f"{registry}/{name}:drop"))

    assert deleted == ["drop"]
    assert json.loads(python(str(registry), "tags", f"{registry}/{name}")) == ["keep"]
