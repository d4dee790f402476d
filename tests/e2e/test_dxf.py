"""
python-dxf: blobs by themselves, with aliases that are manifests of Docker's format.

A pull of it that is cut short ends content with half of the bytes, so only the bytes count here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.images import MEGABYTE, digest_of, noise
from tests.e2e.programs import Client, clean_environment
from tests.e2e.wire import exchange


@pytest.fixture
def dxf(python_client: Callable[[str], str], registry: Registry, workspace: Path) -> Client:
    """The dxf command, speaking plain HTTP."""
    settings = {"DXF_INSECURE": "1", "DXF_HOST": str(registry)}
    return Client([python_client("dxf")], clean_environment(workspace / "dxf", settings))


@pytest.fixture
def file(workspace: Path, name: str) -> Path:
    """A file of 1 MB that no other test has."""
    path = workspace / "file.bin"
    path.write_bytes(noise(name, MEGABYTE))
    return path


def test_a_large_blob_comes_back_as_it_went(
    dxf: Client, registry: Registry, workspace: Path, name: str
) -> None:
    """A blob of 100 MB is pushed, and the registry has every byte of it."""
    content = noise(name, 100 * MEGABYTE)
    file = workspace / "large.bin"
    file.write_bytes(content)

    pushed = dxf("push-blob", name, file).strip()
    blob = exchange(registry, "GET", f"/v2/{name}/blobs/{pushed}")

    assert pushed == digest_of(content) == digest_of(blob.body)


def test_a_blob_is_found_by_its_alias(
    dxf: Client, registry: Registry, workspace: Path, file: Path, name: str
) -> None:
    """A blob pushed with an alias is pulled by the alias, byte for byte."""
    pushed = dxf("push-blob", name, file, "@newest").strip()
    dxf("push-blob", name, file, "@older")

    pulled = workspace / "pulled.bin"
    with_output = Client(
        ["/bin/sh", "-c", '"$0" pull-blob "$1" @newest >"$2"', *dxf.command], dxf.environment
    )
    with_output(name, pulled)

    assert pulled.read_bytes() == file.read_bytes()
    assert dxf("get-alias", name, "newest").split() == [pushed]
    assert dxf("list-aliases", name).split() == ["newest", "older"]
    assert name in dxf("list-repos").split()


def test_a_deleted_alias_and_blob_are_gone(
    dxf: Client, registry: Registry, file: Path, name: str
) -> None:
    """After their deletes neither the alias nor the blob can be had."""
    pushed = dxf("push-blob", name, file, "@it").strip()

    dxf("del-alias", name, "it")
    assert exchange(registry, "HEAD", f"/v2/{name}/manifests/it").status == 404
    dxf("del-blob", name, pushed)
    assert exchange(registry, "HEAD", f"/v2/{name}/blobs/{pushed}").status == 404


def test_a_blob_is_mounted_from_another_repository(
    dxf: Client, registry: Registry, file: Path, name: str
) -> None:
    """A mount makes a blob part of a second repository."""
    pushed = dxf("push-blob", f"{name}/from", file).strip()

    dxf("mount-blob", f"{name}/to", f"{name}/from", pushed)

    blob = exchange(registry, "GET", f"/v2/{name}/to/blobs/{pushed}")
    assert digest_of(blob.body) == pushed
