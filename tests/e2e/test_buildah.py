"""
Buildah: images made from nothing and from a recipe, pushed.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.containers import containers_client
from tests.e2e.images import Layout
from tests.e2e.programs import Client
from tests.e2e.pulled import tagged_digest

PLAIN = "--tls-verify=false"


@pytest.fixture
def buildah(workspace: Path) -> Client:
    """Buildah with an empty image store."""
    return containers_client("buildah", workspace / "buildah")


def test_an_image_made_from_nothing_is_pushed(
    buildah: Client, skopeo: Client, registry: Registry, workspace: Path, name: str
) -> None:
    """A file copied into an empty container is in the image that others pull."""
    (workspace / "hello").write_text(f"hello from {name}\n")
    image = f"{registry}/{name}:1"

    container = buildah("from", "scratch").strip()
    buildah("copy", container, workspace / "hello", "/hello")
    buildah("config", "--cmd", "/hello", container)
    buildah("commit", container, image)
    buildah("push", PLAIN, image)
    skopeo("copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{workspace}/out:it")

    tagged_digest(workspace / "out", "it")
    config = json.loads(skopeo("inspect", "--config", f"oci:{workspace}/out:it"))
    assert config["config"]["Cmd"] == ["/hello"]


def test_an_image_is_built_on_one_from_the_registry(
    buildah: Client,
    skopeo: Client,
    registry: Registry,
    small: Layout,
    workspace: Path,
    name: str,
) -> None:
    """A recipe's base is pulled, its RUN runs, and the result has the layers of the base below."""
    base = f"{registry}/{name}/base:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{small.path}:image", f"docker://{base}")
    context = workspace / "context"
    context.mkdir()
    (context / "Containerfile").write_text(f"FROM {base}\nRUN touch /made-by-run\n")
    image = f"{registry}/{name}:1"

    buildah("build", "--isolation=chroot", PLAIN, "--tag", image, context)
    buildah("push", PLAIN, image)
    skopeo("copy", "--src-tls-verify=false", f"docker://{image}", f"oci:{workspace}/out:it")

    tagged_digest(workspace / "out", "it")
    below = json.loads(skopeo("inspect", "--config", f"oci:{small.path}:image"))
    above = json.loads(skopeo("inspect", "--config", f"oci:{workspace}/out:it"))
    assert above["rootfs"]["diff_ids"][:-1] == below["rootfs"]["diff_ids"]
