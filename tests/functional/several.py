"""
One registry of several daemons: they share a database and a storage root, and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from threading import Barrier
from typing import Any, TypeVar

from attrs import field, frozen

from ..postgres import PostgresServer
from .content import number
from .daemon import Daemon
from .repository import Repository

T = TypeVar("T")

#: A start of several daemons at once takes its time on a small machine.
AT_ONCE_SECONDS = 60.0


@frozen
class Shared:
    """
    What the daemons of a registry share, and they themselves.

    @ivar daemons: those that run as long as the registry does.
    """

    directory: Path
    configuration: str
    _server: PostgresServer
    _database: str
    daemons: list[Daemon] = field(factory=list, init=False)
    _numbers: count[int] = field(factory=count, init=False)

    @property
    def root(self) -> Path:
        """Where the registry keeps its data."""
        return self.directory / "root"

    def daemon(self, neighbours: Sequence[Daemon] = ()) -> Daemon:
        """One more daemon, not started yet."""
        directory = self.directory / f"daemon{next(self._numbers)}"
        directory.mkdir()
        return Daemon(directory, self.configuration, root=self.root, neighbours=neighbours)

    def repositories(self, name: str | None = None) -> list[Repository]:
        """One repository, a new one if no name is given, at each of the daemons."""
        name = name or f"team{number()}/app"
        return [Repository(daemon.client, name) for daemon in self.daemons]

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """What the database has."""
        return self._server.execute(sql, self._database)

    def files(self, digest: str) -> list[Path]:
        """The files of a blob."""
        algorithm, encoded = digest.split(":")
        return list((self.root / "blobs" / algorithm / encoded[:2]).glob(f"{encoded}.*"))

    def uploads(self) -> list[Path]:
        """The files of upload sessions."""
        return list((self.root / "uploads").iterdir())


@contextmanager
def several(
    directory: Path, server: PostgresServer, daemons: int, configuration: str = ""
) -> Iterator[Shared]:
    """A registry of so many daemons, which report no fault while it is used."""
    database = f"shared{number()}"
    configuration += f'\n[metadata]\ndatabase = "{server.create_database(database)}"\n'
    shared = Shared(directory, configuration, server, database)
    shared.daemons.extend(shared.daemon() for _ in range(daemons))
    for daemon in shared.daemons:
        daemon.start()
    yield shared
    for daemon in shared.daemons:
        daemon.stop()


def at_once(acts: Sequence[Callable[[], T]]) -> list[T]:
    """Do all of it at the same moment, as nearly as threads can; what came of each."""
    barrier = Barrier(len(acts))

    def act(one: Callable[[], T]) -> T:
        barrier.wait(AT_ONCE_SECONDS)
        return one()

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(act, acts))
