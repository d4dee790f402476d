"""
Debian's Docker engine: pull, run, push, mount, build, mirror, a pull that breaks.

The engine asks with HEAD before it asks with GET, sends PATCH bodies in chunks without a
Content-Type, and gives up where a registry forgets Docker-Content-Digest, Range or Content-Length.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.images import MEGABYTE, Layout, digest_of, noise
from tests.e2e.programs import (
    Client,
    Daemon,
    clean_environment,
    demand_root,
    program,
    remove_tree,
)
from tests.e2e.pulled import directory_digest
from tests.e2e.relay import relay_to

PLAIN_TARGET = "--dest-tls-verify=false"
PLAIN_SOURCE = "--src-tls-verify=false"


@pytest.fixture(scope="module")
def docker(scratch: Path, registry: Registry) -> Iterator[Client]:
    """The docker command of an engine of our own, which has the registry as its mirror."""
    demand_root()
    root = scratch / "docker"
    environment = clean_environment(root / "home")
    (root / "daemon.json").write_text("{}")
    address = f"unix://{root}/docker.sock"
    client = Client([program("docker"), "--host", address], environment)
    command = [
        program("dockerd"),
        f"--config-file={root}/daemon.json",
        f"--data-root={root}/data",
        f"--exec-root={root}/exec",
        f"--pidfile={root}/docker.pid",
        f"--host={address}",
        f"--registry-mirror=http://{registry}",
        "--bridge=none",
        "--iptables=false",
        "--ip6tables=false",
        "--ip-forward=false",
        "--ip-masq=false",
        "--storage-driver=vfs",
    ]
    engine = Daemon.start(command, environment, root / "engine.log", root, patience=30)
    try:
        engine.wait_until(lambda: client.attempt("version")[0] == 0)
        yield client
        engine.stop()
    finally:
        engine.kill()
        remove_tree(root)


def test_a_large_image_is_pulled_and_pushed_fresh(
    docker: Client,
    skopeo: Client,
    registry: Registry,
    large: Layout,
    workspace: Path,
    name: str,
) -> None:
    """112 MB are pulled, and pushed again to what seems to be another registry."""
    source = f"{registry}/{name}:1"
    skopeo("copy", PLAIN_TARGET, f"oci:{large.path}:gzip", f"docker://{source}")

    docker("pull", source)
    assert large.digests["gzip"] in docker("image", "inspect", source)
    with relay_to(registry.host, registry.port) as relay:
        target = f"{relay}/{name}/fresh:1"
        docker("tag", source, target)
        docker("push", target)
        assert relay.uploaded > 100 * MEGABYTE

    remote = f"docker://{registry}/{name}/fresh:1"
    skopeo("copy", PLAIN_SOURCE, remote, f"dir:{workspace}/out")
    assert directory_digest(workspace / "out") in docker("image", "inspect", target)
    assert _diff_ids(skopeo, remote) == _layers(docker, source)


def test_a_pulled_image_runs(
    docker: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """A container sees the files that were pushed, byte for byte."""
    push(f"{name}:1")

    docker("pull", f"{registry}/{name}:1")
    said = docker(
        "run",
        "--rm",
        "--network=none",
        f"{registry}/{name}:1",
        "sha256sum",
        f"/data/{MEGABYTE}.bin",
    )

    expected = digest_of(noise(f"{name}/{MEGABYTE}", MEGABYTE)).removeprefix("sha256:")
    assert said.split()[0] == expected


def test_a_push_to_another_repository_mounts_the_layers(
    docker: Client, skopeo: Client, registry: Registry, workspace: Path, name: str, small: Layout
) -> None:
    """Layers that the engine pulled from one repository are mounted into the next."""
    source = f"docker://{registry}/{name}/from:1"
    skopeo("copy", "--format=v2s2", PLAIN_TARGET, f"oci:{small.path}:image", source)
    docker("pull", f"{registry}/{name}/from:1")
    docker("tag", f"{registry}/{name}/from:1", f"{registry}/{name}/to:1")

    said = docker("push", f"{registry}/{name}/to:1")

    # The engine mounts what it knows the origin of; it may find the shared layer elsewhere.
    assert said.count("Mounted from") == 3
    skopeo("copy", PLAIN_SOURCE, f"docker://{registry}/{name}/to:1", f"dir:{workspace}/out")
    directory_digest(workspace / "out")


def test_the_second_push_moves_nothing(
    docker: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """What is there already is not sent again."""
    push(f"{name}:1")
    docker("pull", f"{registry}/{name}:1")
    docker("tag", f"{registry}/{name}:1", f"{registry}/{name}:2")

    said = docker("push", f"{registry}/{name}:2")

    assert said.count("Layer already exists") == 3


@pytest.mark.parametrize("builder", ["0", "1"], ids=["classic", "buildkit"])
def test_an_image_is_built_on_one_from_the_registry(
    docker: Client,
    skopeo: Client,
    registry: Registry,
    small: Layout,
    workspace: Path,
    name: str,
    builder: str,
) -> None:
    """Both builders pull a recipe's base from the registry, and their result is pushed."""
    base = f"{registry}/{name}/base:1"
    skopeo("copy", PLAIN_TARGET, f"oci:{small.path}:image", f"docker://{base}")
    context = workspace / "context"
    context.mkdir()
    (context / "hello").write_text(f"hello from {name}\n")
    (context / "Dockerfile").write_text(f"FROM {base}\nCOPY hello /hello\n")
    image = f"{registry}/{name}:1"
    with_builder = Client(docker.command, {**docker.environment, "DOCKER_BUILDKIT": builder})

    with_builder("build", "--tag", image, context)
    docker("push", image)

    skopeo("copy", PLAIN_SOURCE, f"docker://{image}", f"dir:{workspace}/out")
    directory_digest(workspace / "out")
    below = _diff_ids(skopeo, f"oci:{small.path}:image")
    assert _diff_ids(skopeo, f"docker://{image}")[:-1] == below


def test_an_official_image_comes_from_the_mirror(
    docker: Client, skopeo: Client, registry: Registry, small: Layout, name: str
) -> None:
    """As a mirror of Docker Hub the registry serves short names from its library/ repositories."""
    short = name.replace("/", "-")
    target = f"docker://{registry}/library/{short}:1"
    skopeo("copy", "--all", PLAIN_TARGET, f"oci:{small.path}:index", target)

    said = docker("pull", f"{short}:1")

    assert small.digests["index"] in said


def test_a_pull_that_breaks_is_resumed(
    docker: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """After a cut in a layer the engine asks for the rest, and ends with the whole image."""
    push(f"{name}:1")

    with relay_to(registry.host, registry.port, cut_after=300_000) as relay:
        docker("pull", f"{relay}/{name}:1")
        resumed = [head for head in relay.heads if "Range: bytes=" in head]

    assert relay.cut_after is None
    assert len(resumed) == 1
    said = docker("run", "--rm", "--network=none", f"{relay}/{name}:1", "ls", "/data")
    assert said.split() == [f"{MEGABYTE}.bin", "30000.bin"]


def test_an_unknown_image_is_reported_as_unknown(
    docker: Client, registry: Registry, name: str
) -> None:
    """The registry's own words reach the user when there is no such image."""
    said = docker.refused("pull", f"{registry}/{name}:1")

    assert "manifest unknown" in said


def _layers(docker: Client, image: str) -> list[str]:
    (details,) = json.loads(docker("image", "inspect", image))
    layers: list[str] = details["RootFS"]["Layers"]
    return layers


def _diff_ids(skopeo: Client, image: str) -> list[str]:
    plain = ["--tls-verify=false"] if image.startswith("docker:") else []
    config = json.loads(skopeo("inspect", *plain, "--config", image))
    diff_ids: list[str] = config["rootfs"]["diff_ids"]
    return diff_ids
