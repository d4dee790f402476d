"""
The surroundings of every end-to-end test: the daemon, the images, fresh places for the clients.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import tempfile
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attrs import frozen

from tests.e2e.images import Layout, large_layout, small_layout
from tests.e2e.programs import (
    Client,
    Daemon,
    absent,
    clean_environment,
    free_port,
    program,
    remove_tree,
)

PROJECT = Path(__file__).parents[2]
PYPI_CLIENTS = PROJECT / ".venv-e2e" / "bin"
# A registry that outlives the tests still has what an earlier run has pushed.
SESSION = f"e2e-{secrets.token_hex(3)}"
# Shared by skopeo and buildah, whatever their storage: it makes them mount what they ought to push.
BLOB_INFO_CACHE = Path("/var/lib/containers/cache")


@frozen
class Registry:
    """
    A registry that is up: where it listens, and its process when it is ours.
    """

    host: str
    port: int
    daemon: Daemon | None = None

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"

    def answers(self) -> bool:
        """Whether the API is there, over plain HTTP."""
        try:
            with urllib.request.urlopen(f"http://{self}/v2/", timeout=5) as answer:
                return bool(answer.status == 200)
        except urllib.error.HTTPError as answer:
            # It wants to know who asks.
            return answer.code == 401
        except (urllib.error.URLError, ConnectionError, TimeoutError):
            return False

    def process_id(self) -> int:
        """The daemon's process, for a look at its resources; skip if it is not ours."""
        if self.daemon is None:
            pytest.skip("this registry was started by somebody else")
        return self.daemon.process.pid


@contextmanager
def running_registry(
    root: Path, endpoint: str, port: int, configuration: str = ""
) -> Iterator[Registry]:
    """
    The daemon on an endpoint with its data below C{root}: started, and in the end stopped by
    SIGTERM.

    It has to end by itself, and may not have logged a failure in all its life.
    """
    twistd = PROJECT / ".venv" / "bin" / "twistd"
    command = [str(twistd), "--pidfile=", "-n", "ociregd", "--root", str(root / "data")]
    if configuration:
        file = root / "ociregd.toml"
        file.write_text(configuration)
        command += ["--config", str(file)]
    daemon = Daemon.start(
        [*command, "--listen", endpoint],
        clean_environment(root / "home"),
        root / "registry.log",
        root,
    )
    try:
        yield Registry("127.0.0.1", port, daemon)
        status = daemon.stop()
    finally:
        daemon.kill()
    said = daemon.said()
    # In the end twistd dies of the very signal that it has been stopped with.
    assert status in (0, -signal.SIGTERM), said[-4000:]
    assert "Server Shut Down" in said, said[-4000:]
    for word in ("Traceback", "Unhandled"):
        before, found, after = said.partition(word)
        assert not found, before[-1000:] + found + after[:4000]


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A directory for the whole session, which leaves nothing behind."""
    # Not by mkdtemp(): podman takes paths for image names, and its names may not end with "_".
    path = Path(tempfile.gettempdir()) / f"ociregd-{SESSION}"
    path.mkdir(mode=0o700)
    yield path
    remove_tree(path)


@pytest.fixture(scope="session")
def registry(scratch: Path) -> Iterator[Registry]:
    """The registry that all clients share, over plain HTTP."""
    elsewhere = os.environ.get("OCIREGD_E2E_URL")
    if elsewhere:
        host, _, digits = elsewhere.partition(":")
        yield Registry(host, int(digits))
        return
    root = scratch / "registry"
    root.mkdir()
    port = free_port()
    with running_registry(root, f"tcp:{port}:interface=127.0.0.1", port) as registry:
        assert registry.daemon is not None
        registry.daemon.wait_until(registry.answers)
        yield registry


@pytest.fixture
def workspace(scratch: Path) -> Iterator[Path]:
    """An empty directory for one test; clients may mount what they like in it."""
    path = scratch / "workspace"
    path.mkdir()
    yield path
    remove_tree(path)


@pytest.fixture(scope="session")
def large(scratch: Path) -> Layout:
    """The images of every kind, up to 112 MB each; see L{large_layout}."""
    return large_layout(scratch / "large")


@pytest.fixture
def small(workspace: Path, name: str) -> Layout:
    """A small image and a small index with content that only this test has."""
    return small_layout(workspace / "small", name)


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A repository named after the test, which no other test uses, nor an earlier run elsewhere."""
    words = [request.node.path.stem, request.node.name]
    module, test = (re.sub("[^a-z0-9]+", "-", word.removeprefix("test_")) for word in words)
    return f"{SESSION}/{module}/{test.strip('-')}"


@pytest.fixture(autouse=True)
def forgetful_clients() -> None:
    """Make the clients forget which blobs they have met where."""
    for file in BLOB_INFO_CACHE.glob("blob-info-cache-v1.*"):
        file.unlink(missing_ok=True)


@pytest.fixture
def skopeo(workspace: Path) -> Client:
    """Skopeo, with nothing remembered."""
    return Client([program("skopeo")], clean_environment(workspace / "skopeo"))


@pytest.fixture
def push(skopeo: Client, registry: Registry, small: Layout) -> Callable[[str], str]:
    """
    A function that puts the test's small image, or its C{index}, into the registry.

    It takes C{repository:tag} and returns the manifest's digest.
    """

    def push_small(target: str, kind: str = "image") -> str:
        destination = f"docker://{registry}/{target}"
        source = f"oci:{small.path}:{kind}"
        skopeo("copy", "--all", "--dest-tls-verify=false", source, destination)
        return small.digests[kind]

    return push_small


@pytest.fixture
def python_client() -> Callable[[str], str]:
    """The path of a program in the environment of the clients from PyPI."""

    def path_of(name: str) -> str:
        path = PYPI_CLIENTS / name
        if not path.exists():
            absent(str(path))
        return str(path)

    return path_of
