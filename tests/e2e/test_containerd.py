"""
containerd, by its ctr command: pull, run, push, indexes, mirrors, a pull that breaks.

It keeps connections open, pushes each blob with one PUT, checks every digest it is given, and
hangs for ever when its request is cut off in the middle of an answer.
"""

from __future__ import annotations

import json
import subprocess
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
from tests.e2e.pulled import tagged_digest
from tests.e2e.relay import relay_to

PLAIN_TARGET = "--dest-tls-verify=false"
PLAIN_SOURCE = "--src-tls-verify=false"
PULL = ("images", "pull", "--plain-http", "--snapshotter=native")

SETTINGS = """\
version = 2
root = "{root}/root"
state = "{root}/state"
disabled_plugins = [
    "io.containerd.grpc.v1.cri",
    "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper",
    "io.containerd.snapshotter.v1.zfs",
    "io.containerd.snapshotter.v1.aufs",
]
[grpc]
address = "{root}/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
path = "{root}/opt"
"""


@pytest.fixture
def ctr(workspace: Path) -> Iterator[Client]:
    """The command of a containerd of its own, which has no content at all."""
    demand_root()
    root = workspace / "containerd"
    environment = clean_environment(root / "home")
    (root / "config.toml").write_text(SETTINGS.format(root=root))
    command = [program("ctr"), f"--address={root}/containerd.sock", "--namespace=e2e"]
    client = Client(command, environment)
    daemon = Daemon.start(
        [program("containerd"), f"--config={root}/config.toml"],
        environment,
        root / "containerd.log",
        root,
    )
    try:
        daemon.wait_until(lambda: client.attempt("version")[0] == 0)
        yield client
        daemon.stop()
    finally:
        daemon.kill()
        remove_tree(root)


def test_a_large_image_is_pulled_and_pushed(
    ctr: Client,
    skopeo: Client,
    registry: Registry,
    large: Layout,
    workspace: Path,
    name: str,
) -> None:
    """112 MB in zstd are pulled, and pushed again to what seems to be another registry."""
    source = f"{registry}/{name}:1"
    skopeo("copy", PLAIN_TARGET, f"oci:{large.path}:zstd", f"docker://{source}")

    ctr(*PULL, source)
    assert large.digests["zstd"] in ctr("images", "list", f"name=={source}")
    with relay_to(registry.host, registry.port) as relay:
        # By another host name, since containerd mounts whatever it knows to be on the same host.
        stranger = str(relay).replace("127.0.0.1", "localhost")
        ctr("images", "push", "--plain-http", f"{stranger}/{name}/fresh:1", source)
        assert relay.uploaded > 100 * MEGABYTE

    fresh = f"docker://{registry}/{name}/fresh:1"
    skopeo("copy", PLAIN_SOURCE, fresh, f"oci:{workspace}/out:it")
    assert tagged_digest(workspace / "out", "it") == large.digests["zstd"]


def test_a_pulled_image_runs(
    ctr: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """A container sees the files that were pushed, byte for byte."""
    push(f"{name}:1")
    image = f"{registry}/{name}:1"

    ctr(*PULL, image)
    said = ctr(
        "run",
        "--rm",
        "--snapshotter=native",
        image,
        "it",
        "sha256sum",
        f"/data/{MEGABYTE}.bin",
    )

    expected = digest_of(noise(f"{name}/{MEGABYTE}", MEGABYTE)).removeprefix("sha256:")
    assert said.split()[0] == expected


def test_a_push_to_another_repository_mounts_the_layers(
    ctr: Client,
    skopeo: Client,
    registry: Registry,
    workspace: Path,
    name: str,
    push: Callable[[str], str],
) -> None:
    """What was pulled from one repository is mounted into the next, with its config."""
    digest = push(f"{name}/from:1")

    with relay_to(registry.host, registry.port) as relay:
        ctr(*PULL, f"{relay}/{name}/from:1")
        before = relay.uploaded
        ctr("images", "push", "--plain-http", f"{relay}/{name}/to:1", f"{relay}/{name}/from:1")
        mounts = [line for line in relay.lines("POST") if "mount=" in line]
        moved = relay.uploaded - before

    target = f"docker://{registry}/{name}/to:1"
    skopeo("copy", PLAIN_SOURCE, target, f"oci:{workspace}/out:it")
    assert tagged_digest(workspace / "out", "it") == digest
    assert len(mounts) == 4
    assert moved < 20_000


def test_an_imported_index_is_pushed_with_both_platforms(
    ctr: Client,
    skopeo: Client,
    registry: Registry,
    small: Layout,
    workspace: Path,
    name: str,
) -> None:
    """An index that never came from a registry is pushed with its images, and pulled unchanged."""
    archive = workspace / "layout.tar"
    subprocess.run(["tar", "-C", small.path, "-cf", archive, "."], check=True)

    ctr("images", "import", "--all-platforms", "--no-unpack", "--base-name=local", archive)
    ctr("images", "push", "--plain-http", f"{registry}/{name}:1", "local:index")

    remote = f"docker://{registry}/{name}:1"
    skopeo("copy", "--all", PLAIN_SOURCE, remote, f"oci:{workspace}/out:it")
    assert tagged_digest(workspace / "out", "it") == small.digests["index"]


def test_an_official_image_comes_from_the_mirror(
    ctr: Client,
    skopeo: Client,
    registry: Registry,
    small: Layout,
    workspace: Path,
    name: str,
) -> None:
    """As a mirror the registry serves requests that name another registry in C{ns}."""
    short = name.replace("/", "-")
    target = f"docker://{registry}/library/{short}:1"
    skopeo("copy", "--all", PLAIN_TARGET, f"oci:{small.path}:index", target)

    with relay_to(registry.host, registry.port) as relay:
        hosts = workspace / "certs.d" / "docker.io"
        hosts.mkdir(parents=True)
        # Nobody listens on the upstream's port: what comes can only come from the mirror.
        (hosts / "hosts.toml").write_text(
            'server = "http://127.0.0.1:1"\n'
            f'[host."http://{relay}"]\ncapabilities = ["pull", "resolve"]\n'
        )
        ctr(
            "images",
            "pull",
            f"--hosts-dir={hosts.parent}",
            "--snapshotter=native",
            f"docker.io/library/{short}:1",
        )
        asked = relay.lines("GET") + relay.lines("HEAD")

    assert asked
    assert all("ns=docker.io" in line for line in asked)
    assert small.digests["index"] in ctr("images", "list")


def test_a_pull_that_breaks_is_resumed(
    ctr: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """After a cut in a layer containerd asks for the rest, and ends with the whole image."""
    digest = push(f"{name}:1")

    with relay_to(registry.host, registry.port, cut_after=300_000) as relay:
        ctr(*PULL, f"{relay}/{name}:1")
        resumed = [head for head in relay.heads if "Range: bytes=" in head]

    assert relay.cut_after is None
    assert resumed
    assert digest in ctr("images", "check", f"name=={relay}/{name}:1")
    assert "complete (4/4)" in ctr("images", "check", f"name=={relay}/{name}:1")


def test_an_unknown_image_is_reported_as_unknown(
    ctr: Client, registry: Registry, name: str
) -> None:
    """A pull of what is not there ends at once."""
    assert "not found" in ctr.refused(*PULL, f"{registry}/{name}:1")


def test_the_second_push_sends_nothing(
    ctr: Client, registry: Registry, name: str, push: Callable[[str], str]
) -> None:
    """What is there already is asked for with HEAD, and not sent again."""
    push(f"{name}:1")

    with relay_to(registry.host, registry.port) as relay:
        image = f"{relay}/{name}:1"
        ctr(*PULL, image)
        ctr("images", "push", "--plain-http", image)
        sent = relay.lines("POST") + relay.lines("PUT")

    assert sent == []


def test_an_index_is_pulled_for_all_platforms(
    ctr: Client, registry: Registry, small: Layout, name: str, push: Callable[..., str]
) -> None:
    """Every image of an index is fetched, and complete."""
    digest = push(f"{name}:1", "index")

    ctr("images", "pull", "--plain-http", "--all-platforms", f"{registry}/{name}:1")

    content = set(ctr("content", "list", "--quiet").split())
    children = small.read(digest)["manifests"]
    assert {digest, *(child["digest"] for child in children)} <= content
    blobs = json.loads(ctr("content", "get", children[1]["digest"]))["layers"]
    assert {blob["digest"] for blob in blobs} <= content
