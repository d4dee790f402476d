"""
A registry with users: clients log in, do what they may, hear why they may not do more, and log out.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.access.users import PASSWORDS, USERS
from tests.e2e.conftest import Registry, running_registry
from tests.e2e.containers import containers_client
from tests.e2e.images import Layout
from tests.e2e.programs import Client, free_port
from tests.e2e.pulled import tagged_digest

ACCESS = """
[access]
htpasswd = "{htpasswd}"

[[access.rule]]
repositories = "*/public/**"
who = ["anonymous"]
actions = ["pull"]

[[access.rule]]
repositories = "*/*/**"
who = ["alice"]
actions = ["pull", "push"]

[[access.rule]]
repositories = "*/*/**"
who = ["bob"]
actions = ["pull"]
"""

PLAIN = "--tls-verify=false"
PLAIN_TARGET = "--dest-tls-verify=false"
PLAIN_SOURCE = "--src-tls-verify=false"


@pytest.fixture(scope="module")
def guarded(scratch: Path) -> Iterator[Registry]:
    """A registry with the rules above."""
    root = scratch / "guarded"
    root.mkdir()
    htpasswd = root / "htpasswd"
    htpasswd.write_text("".join(f"{user}:{hash_}\n" for user, hash_ in USERS.items()))
    port = free_port()
    configuration = ACCESS.format(htpasswd=htpasswd)
    endpoint = f"tcp:{port}:interface=127.0.0.1"
    with running_registry(root, endpoint, port, configuration) as registry:
        assert registry.daemon is not None
        registry.daemon.wait_until(registry.answers)
        yield registry
    said = registry.daemon.said()
    assert [password for password in PASSWORDS.values() if password in said] == []


def log_in(client: Client, registry: Registry, user: str) -> None:
    """Have a client remember a password."""
    client("login", PLAIN, "--username", user, "--password", PASSWORDS[user], str(registry))


def test_skopeo(
    skopeo: Client, guarded: Registry, small: Layout, workspace: Path, name: str
) -> None:
    """Skopeo pushes and pulls between login and logout, and not before or after."""
    local, remote = f"oci:{small.path}:image", f"docker://{guarded}/{name}:1"
    assert "401" in _said(skopeo, local, remote) or "required" in _said(skopeo, local, remote)
    wrong = skopeo.refused(
        "login", PLAIN, "--username", "alice", "--password", "wrong", str(guarded)
    )
    assert "invalid username/password" in wrong
    log_in(skopeo, guarded, "alice")
    skopeo("copy", PLAIN_TARGET, local, remote)
    skopeo("copy", PLAIN_SOURCE, remote, f"oci:{workspace}/out:it")
    assert tagged_digest(workspace / "out", "it") == small.digests["image"]
    skopeo("logout", str(guarded))
    assert skopeo.refused("inspect", PLAIN, remote)


def _said(client: Client, source: str, target: str) -> str:
    return client.refused("copy", PLAIN_TARGET, source, target)


def test_who_may_not_push_is_told_so(
    skopeo: Client, guarded: Registry, small: Layout, name: str
) -> None:
    """Who is logged in and may only pull hears that it is denied, and not that it is unknown."""
    log_in(skopeo, guarded, "bob")
    said = _said(skopeo, f"oci:{small.path}:image", f"docker://{guarded}/{name}:1")
    assert "denied" in said
    log_in(skopeo, guarded, "erin")
    said = skopeo.refused("inspect", PLAIN, f"docker://{guarded}/{name}:1")
    assert "manifest unknown" in said or "no such manifest" in said


def test_pull_without_logging_in(
    skopeo: Client, guarded: Registry, small: Layout, workspace: Path
) -> None:
    """What is public is pulled by a client that has no credentials."""
    remote = f"docker://{guarded}/e2e/public/app:1"
    log_in(skopeo, guarded, "alice")
    skopeo("copy", PLAIN_TARGET, f"oci:{small.path}:image", remote)
    skopeo("logout", str(guarded))
    skopeo("copy", PLAIN_SOURCE, remote, f"oci:{workspace}/out:it")
    assert tagged_digest(workspace / "out", "it") == small.digests["image"]


def test_podman(
    skopeo: Client, guarded: Registry, small: Layout, workspace: Path, name: str
) -> None:
    """Podman logs in, pulls, pushes and logs out; without its login it does neither."""
    podman = containers_client("podman", workspace / "podman")
    image = f"{guarded}/{name}:1"
    log_in(skopeo, guarded, "alice")
    skopeo("copy", PLAIN_TARGET, f"oci:{small.path}:image", f"docker://{image}")
    assert podman.refused("pull", PLAIN, image)
    log_in(podman, guarded, "alice")
    podman("pull", PLAIN, image)
    podman("push", PLAIN, image, f"docker://{guarded}/{name}/anew:1")
    podman("logout", str(guarded))
    assert podman.refused("pull", PLAIN, image)
    assert podman.refused("push", PLAIN, image, f"docker://{guarded}/{name}/again:1")
