"""
Skopeo: every form of image there and back, copies, listings, deletes.

It opens a connection for each request, tries TLS first, and sends its Accept header as several
lines.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.images import Layout
from tests.e2e.programs import Client
from tests.e2e.pulled import directory_digest, tagged_digest
from tests.e2e.relay import relay_to

PLAIN_TARGET = "--dest-tls-verify=false"
PLAIN_SOURCE = "--src-tls-verify=false"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"


@pytest.mark.parametrize("form", ["gzip", "zstd", "plain"])
def test_a_large_image_comes_back_as_it_went(
    skopeo: Client, registry: Registry, large: Layout, workspace: Path, name: str, form: str
) -> None:
    """An image with layers of 1, 10 and 100 MB is pushed, pushed again, and pulled unchanged."""
    remote = f"docker://{registry}/{name}:{form}"
    local = f"oci:{large.path}:{form}"
    # Left alone, skopeo compresses plain layers on their way.
    keep = "--preserve-digests"

    skopeo("copy", keep, PLAIN_TARGET, local, remote)
    skopeo("copy", keep, PLAIN_TARGET, local, remote)
    skopeo("copy", keep, PLAIN_SOURCE, remote, f"oci:{workspace}/out:it")

    assert tagged_digest(workspace / "out", "it") == large.digests[form]


def test_plain_layers_are_compressed_on_their_way(
    skopeo: Client, registry: Registry, small: Layout, workspace: Path, name: str
) -> None:
    """A push that compresses as it goes, of unknown length, arrives whole."""
    skopeo("copy", f"oci:{small.path}:image", f"oci:{workspace}/plain:it", "--dest-decompress")
    remote = f"docker://{registry}/{name}:1"

    skopeo("copy", PLAIN_TARGET, f"oci:{workspace}/plain:it", remote)
    skopeo("copy", PLAIN_SOURCE, remote, f"oci:{workspace}/out:it")

    tagged_digest(workspace / "out", "it")
    assert _diff_ids(skopeo, f"oci:{workspace}/out:it") == _diff_ids(
        skopeo, f"oci:{small.path}:image"
    )


def test_a_docker_image_comes_back_as_it_went(
    skopeo: Client, registry: Registry, large: Layout, workspace: Path, name: str
) -> None:
    """An image in Docker's format, layers up to 100 MB, is pushed and pulled unchanged."""
    remote = f"docker://{registry}/{name}:1"

    skopeo("copy", "--format=v2s2", PLAIN_TARGET, f"oci:{large.path}:gzip", remote)
    skopeo("copy", PLAIN_SOURCE, remote, f"dir:{workspace}/out")

    digest = directory_digest(workspace / "out")
    assert digest == _digest(skopeo, remote)
    manifest = json.loads((workspace / "out" / "manifest.json").read_bytes())
    assert manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json"


def test_an_index_comes_back_with_both_platforms(
    skopeo: Client, registry: Registry, large: Layout, workspace: Path, name: str
) -> None:
    """An index and its two images are pushed and pulled unchanged."""
    remote = f"docker://{registry}/{name}:1"

    skopeo("copy", "--all", PLAIN_TARGET, f"oci:{large.path}:index", remote)
    skopeo("copy", "--all", PLAIN_SOURCE, remote, f"oci:{workspace}/out:it")

    assert tagged_digest(workspace / "out", "it") == large.digests["index"]


def test_one_platform_is_chosen_from_an_index(
    skopeo: Client, registry: Registry, small: Layout, workspace: Path, name: str
) -> None:
    """A pull for one platform follows the index to the manifest of that platform."""
    remote = f"docker://{registry}/{name}:1"

    skopeo("copy", "--all", PLAIN_TARGET, f"oci:{small.path}:index", remote)
    skopeo("--override-arch=arm64", "copy", PLAIN_SOURCE, remote, f"oci:{workspace}/out:it")

    children = small.read(small.digests["index"])["manifests"]
    (expected,) = [
        child["digest"] for child in children if child["platform"]["architecture"] == "arm64"
    ]
    assert tagged_digest(workspace / "out", "it") == expected


def test_a_docker_manifest_list_comes_back_with_both_platforms(
    skopeo: Client, registry: Registry, large: Layout, workspace: Path, name: str
) -> None:
    """A manifest list in Docker's format and its images are pushed and pulled unchanged."""
    remote = f"docker://{registry}/{name}:1"

    skopeo("copy", "--all", "--format=v2s2", PLAIN_TARGET, f"oci:{large.path}:index", remote)
    skopeo("copy", "--all", PLAIN_SOURCE, remote, f"dir:{workspace}/out")

    assert directory_digest(workspace / "out") == _digest(skopeo, remote)
    manifest = json.loads((workspace / "out" / "manifest.json").read_bytes())
    assert manifest["mediaType"] == DOCKER_LIST
    assert len(manifest["manifests"]) == 2


def test_an_artifact_with_a_subject_comes_back_as_it_went(
    skopeo: Client, registry: Registry, large: Layout, workspace: Path, name: str
) -> None:
    """An artifact that names a subject is pushed before its subject, and pulled unchanged."""
    remote = f"docker://{registry}/{name}"

    skopeo("copy", PLAIN_TARGET, f"oci:{large.path}:artifact", f"{remote}:bill")
    skopeo("copy", PLAIN_TARGET, f"oci:{large.path}:subject", f"{remote}:1")
    skopeo("copy", PLAIN_SOURCE, f"{remote}:bill", f"oci:{workspace}/out:it")

    assert tagged_digest(workspace / "out", "it") == large.digests["artifact"]


def test_a_copy_between_repositories_moves_no_layer(
    skopeo: Client, registry: Registry, small: Layout, workspace: Path, name: str
) -> None:
    """From one repository to another the layers are mounted, and the image is complete there."""
    with relay_to(registry.host, registry.port) as relay:
        source, target = (f"docker://{relay}/{name}/{end}:1" for end in ("from", "to"))
        # The push tells skopeo where the layers are, per registry and port.
        skopeo("copy", PLAIN_TARGET, f"oci:{small.path}:image", source)
        pushed = relay.uploaded
        skopeo("copy", PLAIN_SOURCE, PLAIN_TARGET, source, target)
        mounts = [line for line in relay.lines("POST") if "mount=" in line]
        moved = relay.uploaded - pushed

    there = f"docker://{registry}/{name}/to:1"
    skopeo("copy", PLAIN_SOURCE, there, f"oci:{workspace}/out:it")
    assert tagged_digest(workspace / "out", "it") == small.digests["image"]
    assert len(mounts) == 3
    assert moved < 20_000


def test_a_deleted_image_is_gone(
    skopeo: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """After a delete the manifest is unknown under its tag and under its digest."""
    digest = push(f"{name}:1")
    skopeo("delete", "--tls-verify=false", f"docker://{registry}/{name}:1")

    for reference in (":1", f"@{digest}"):
        remote = f"docker://{registry}/{name}{reference}"
        assert "manifest unknown" in skopeo.refused("inspect", "--tls-verify=false", remote)


def test_all_tags_of_a_repository_are_listed(
    skopeo: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """The tags that were pushed are listed, in order."""
    for tag in ("b", "a", "C", "1.0"):
        push(f"{name}:{tag}")

    listing = json.loads(skopeo("list-tags", "--tls-verify=false", f"docker://{registry}/{name}"))

    assert listing["Tags"] == ["1.0", "C", "a", "b"]


def test_a_repository_is_synchronised_to_a_directory(
    skopeo: Client, registry: Registry, workspace: Path, name: str, push: Callable[[str], str]
) -> None:
    """Skopeo's sync brings every tag of a repository."""
    digest = push(f"{name}:one")
    push(f"{name}:two")

    skopeo(
        "sync",
        "--src=docker",
        "--dest=dir",
        PLAIN_SOURCE,
        f"{registry}/{name}",
        workspace / "out",
    )

    basename = name.rpartition("/")[2]
    for tag in ("one", "two"):
        assert directory_digest(workspace / "out" / f"{basename}:{tag}") == digest


def test_an_unknown_image_is_reported_as_unknown(
    skopeo: Client, registry: Registry, name: str
) -> None:
    """The registry's own words reach the user when there is no such image."""
    said = skopeo.refused("inspect", "--tls-verify=false", f"docker://{registry}/{name}:1")

    assert "manifest unknown" in said or "name unknown" in said


def _digest(skopeo: Client, remote: str) -> str:
    template = "{{.Digest}}"
    return skopeo("inspect", "--tls-verify=false", "--format", template, remote).strip()


def _diff_ids(skopeo: Client, image: str) -> list[str]:
    config = json.loads(skopeo("inspect", "--config", image))
    diff_ids: list[str] = config["rootfs"]["diff_ids"]
    return diff_ids
