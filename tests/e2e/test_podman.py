"""
Podman: pull, run, push what it compresses anew, partial pulls, manifest lists, search.

Its pushes are PATCH requests in chunks of unknown number, since it compresses as it sends.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.containers import containers_client
from tests.e2e.images import MEGABYTE, Layout, digest_of, noise, tar_of
from tests.e2e.programs import Client
from tests.e2e.pulled import tagged_digest
from tests.e2e.relay import relay_to

PLAIN = "--tls-verify=false"
PLAIN_SOURCE = "--src-tls-verify=false"


@pytest.fixture
def podman(workspace: Path) -> Client:
    """Podman with an empty image store."""
    return containers_client("podman", workspace / "podman")


def test_a_large_image_is_pulled_and_pushed_again(
    podman: Client,
    skopeo: Client,
    registry: Registry,
    large: Layout,
    workspace: Path,
    name: str,
) -> None:
    """112 MB are pulled, compressed anew and streamed to another repository without a length."""
    skopeo(
        "copy",
        "--dest-tls-verify=false",
        f"oci:{large.path}:gzip",
        f"docker://{registry}/{name}:1",
    )

    podman("pull", PLAIN, f"{registry}/{name}:1")
    assert _inspect(podman, f"{registry}/{name}:1", "Digest") == large.digests["gzip"]

    # The other name keeps podman from mounting the very blobs that it has pulled.
    with relay_to(registry.host, registry.port) as relay:
        podman("push", PLAIN, f"{registry}/{name}:1", f"docker://{relay}/{name}/anew:1")
        assert relay.uploaded > 100 * MEGABYTE
        assert any("Transfer-Encoding: chunked" in head for head in relay.heads)
    skopeo(
        "copy",
        PLAIN_SOURCE,
        f"docker://{registry}/{name}/anew:1",
        f"oci:{workspace}/out:it",
    )
    tagged_digest(workspace / "out", "it")
    layers = _inspect(podman, f"{registry}/{name}:1", "RootFS")["Layers"]
    config = json.loads(skopeo("inspect", "--config", f"oci:{workspace}/out:it"))
    assert config["rootfs"]["diff_ids"] == layers


def test_a_pulled_image_runs(
    podman: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """A container sees the files that were pushed, byte for byte."""
    push(f"{name}:1")

    podman("pull", PLAIN, f"{registry}/{name}:1")
    said = podman(
        "run",
        "--rm",
        f"{registry}/{name}:1",
        "sha256sum",
        f"/data/{MEGABYTE}.bin",
    )

    expected = digest_of(noise(f"{name}/{MEGABYTE}", MEGABYTE)).removeprefix("sha256:")
    assert said.split()[0] == expected


def test_zstd_layers_are_pushed_and_pulled(
    podman: Client, registry: Registry, workspace: Path, name: str, push: Callable[[str], str]
) -> None:
    """Layers that podman compresses with zstd arrive as that, and can be pulled by another."""
    push(f"{name}:1")
    podman("pull", PLAIN, f"{registry}/{name}:1")
    layers = _inspect(podman, f"{registry}/{name}:1", "RootFS")["Layers"]

    with relay_to(registry.host, registry.port) as relay:
        podman(
            "push",
            PLAIN,
            "--compression-format=zstd",
            f"{registry}/{name}:1",
            f"docker://{relay}/{name}/zstd:1",
        )
    another = containers_client("podman", workspace / "another")
    another("pull", PLAIN, f"{registry}/{name}/zstd:1")

    assert _inspect(another, f"{registry}/{name}/zstd:1", "RootFS")["Layers"] == layers


def test_a_partial_pull_fetches_only_what_changed(
    registry: Registry, workspace: Path, name: str
) -> None:
    """Of a zstd:chunked layer with two new files only those are fetched, by one request."""
    files = {f"data/{number}.bin": noise(f"{name}/{number}", 400_000) for number in range(10)}
    layout = Layout(workspace / "layout")
    layout.tag("1", layout.image([tar_of(files)], "gzip"))
    files |= {f"data/{number}.bin": noise(f"{name}/new/{number}", 400_000) for number in (2, 7)}
    layout.tag("2", layout.image([tar_of(files)], "gzip"))
    pusher = containers_client("podman", workspace / "pusher")
    for tag in ("1", "2"):
        image = pusher("pull", "--quiet", f"oci:{layout.path}:{tag}").strip()
        target = f"docker://{registry}/{name}:{tag}"
        pusher("push", PLAIN, "--compression-format=zstd:chunked", image, target)
    partial = containers_client("podman", workspace / "partial", "overlay", partial=True)

    with relay_to(registry.host, registry.port) as relay:
        partial("pull", PLAIN, f"{relay}/{name}:1")
        whole = relay.downloaded
        relay.heads.clear()
        partial("pull", PLAIN, f"{relay}/{name}:2")
        ranges = [head for head in relay.heads if re.search(r"Range: bytes=\d+-\d+,\d", head)]

    assert whole > 10 * 400_000
    assert relay.downloaded - whole < 3 * 400_000
    assert len(ranges) == 1
    assert _inspect(partial, f"{relay}/{name}:2", "RootFS")["Layers"] == [digest_of(tar_of(files))]


def test_a_manifest_list_is_pushed_whole(
    podman: Client, skopeo: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """A list that podman makes of a pushed image points to that image in its new repository."""
    digest = push(f"{name}:1")

    podman("manifest", "create", "list")
    podman("manifest", "add", PLAIN, "list", f"docker://{registry}/{name}:1")
    podman("manifest", "push", PLAIN, "--all", "list", f"docker://{registry}/{name}/list:1")

    raw = skopeo("inspect", PLAIN, "--raw", f"docker://{registry}/{name}/list:1")
    assert [child["digest"] for child in json.loads(raw)["manifests"]] == [digest]


def test_a_search_walks_the_catalogue(
    podman: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """A search finds repositories by way of the catalogue, where the old search API is unknown."""
    push(f"{name}:1")

    found = podman("search", PLAIN, "--limit=100", "--format={{.Name}}", f"{registry}/{name}")

    assert found.split() == [f"{registry}/{name}"]


def _inspect(podman: Client, image: str, key: str) -> Any:
    (details,) = json.loads(podman("image", "inspect", image))
    return details[key]
