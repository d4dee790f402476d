"""
The registries that the functional tests talk to. Each test has repositories of its own in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from ..postgres import PostgresServer
from .client import Client
from .content import ALGORITHMS, number
from .daemon import Daemon
from .repository import Repository
from .several import Shared, several

DELETES_OFF = """
[registry]
deletes = false
"""

# A second is the least that still leaves a slow machine the time to send a request.
IMPATIENT = """
[uploads]
lifetime = "1s"
sweep_interval = "1s"

[limits]
header_time = "1s"
idle_time = "1s"
rate_time = "1s"
"""

NewDaemon = Callable[..., Daemon]

ENGINES = ("sqlite", "postgresql")

#: Whose requests go to the next daemon each, of two that share their data.
TWO_DAEMONS = "two daemons on postgresql"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run what talks to a registry at its defaults once more, with two daemons."""
    if "engine" in metafunc.fixturenames:
        engines = [*ENGINES, TWO_DAEMONS] if "daemon" in metafunc.fixturenames else ENGINES
        metafunc.parametrize("engine", engines, indirect=True, scope="session")


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """Each engine in turn, for the metadata of all registries."""
    return str(request.param)


@pytest.fixture(scope="session")
def new_daemon(
    tmp_path_factory: pytest.TempPathFactory, engine: str, postgres_server: PostgresServer
) -> NewDaemon:
    """Make a daemon, not started yet, for a configuration."""

    def make(configuration: str = "") -> Daemon:
        directory = tmp_path_factory.mktemp("daemon")
        if engine == "sqlite":
            return Daemon(directory, configuration or None)
        url = postgres_server.create_database(f"daemon{number()}")
        configuration += f'\n[metadata]\ndatabase = "{url}"\n'
        if engine != TWO_DAEMONS:
            return Daemon(directory, configuration)
        root = directory / "root"
        neighbour = Daemon(tmp_path_factory.mktemp("neighbour"), configuration, root=root)
        return Daemon(directory, configuration, neighbours=[neighbour])

    return make


def _running(daemon: Daemon) -> Iterator[Daemon]:
    daemon.start()
    yield daemon
    daemon.stop()


@pytest.fixture(scope="session")
def daemon(new_daemon: NewDaemon) -> Iterator[Daemon]:
    """A registry at its defaults."""
    yield from _running(new_daemon())


@pytest.fixture(scope="session")
def daemon_without_deletes(new_daemon: NewDaemon) -> Iterator[Daemon]:
    """A registry that refuses deletes."""
    yield from _running(new_daemon(DELETES_OFF))


@pytest.fixture(scope="module")
def impatient_daemon(new_daemon: NewDaemon) -> Iterator[Daemon]:
    """A registry that gives clients a second for everything."""
    yield from _running(new_daemon(IMPATIENT))


@pytest.fixture(scope="module")
def shared(
    tmp_path_factory: pytest.TempPathFactory, postgres_server: PostgresServer
) -> Iterator[Shared]:
    """A registry of two daemons."""
    with several(tmp_path_factory.mktemp("shared"), postgres_server, daemons=2) as shared:
        yield shared


@pytest.fixture
def client(daemon: Daemon) -> Client:
    """A client of the registry."""
    return daemon.client


@pytest.fixture
def repository(client: Client) -> Repository:
    """A repository that nothing was pushed to."""
    return Repository(client, f"team{number()}/app")


@pytest.fixture
def other(client: Client) -> Repository:
    """Another repository that nothing was pushed to."""
    return Repository(client, f"others{number()}/app")


@pytest.fixture(params=ALGORITHMS)
def algorithm(request: pytest.FixtureRequest) -> str:
    """Each digest algorithm in turn."""
    return str(request.param)
