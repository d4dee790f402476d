"""
Where the tests keep their data, and what this machine must be able to do.
"""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NoReturn

import pytest

from ..postgres import PostgresServer, postgres
from .disks import Disk, unshare_mounts
from .lives import Lives
from .under_filter import MACHINE

MakeDisk = Callable[[Callable[[Path], AbstractContextManager[Disk]]], Disk]


def lacking(reason: str) -> NoReturn:
    """Skip a test; where everything has to be tested, fail."""
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture
def ends() -> Iterator[ExitStack]:
    """What is undone when a test is over, the last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def daemons(tmp_path: Path, ends: ExitStack) -> Lives:
    """Makes daemons, each with a directory of its own, and ends them."""
    return Lives(tmp_path, ends)


@pytest.fixture
def durable_server() -> Iterator[PostgresServer]:
    """A server that keeps what it has promised."""
    with postgres(fsync=True) as server:
        yield server


@pytest.fixture
def intercepted() -> None:
    """What interception needs: a machine whose system calls we know by number."""
    if platform.machine() != MACHINE:
        lacking(f"system calls are known by their numbers on {MACHINE} only")


@pytest.fixture(scope="session")
def own_mounts() -> None:
    """Mounts that nobody else sees."""
    if os.geteuid() != 0:
        lacking("only root can mount disks")
    for tool in ("mount", "umount", "mkfs.ext4"):
        if shutil.which(tool) is None:
            lacking(f"there is no {tool}; tests/faults/install-tools installs it")
    try:
        unshare_mounts()
    except OSError as problem:
        lacking(f"no mounts of our own here: {problem}")


@pytest.fixture
def make_disk(own_mounts: None, tmp_path: Path, ends: ExitStack) -> MakeDisk:
    """Makes disks of a kind, and unmounts them after the daemons on them are dead."""

    def make(kind: Callable[[Path], AbstractContextManager[Disk]]) -> Disk:
        directory = tmp_path / f"disk{len(list(tmp_path.glob('disk*')))}"
        directory.mkdir()
        try:
            return ends.enter_context(kind(directory))
        except OSError as problem:
            lacking(f"no such disk here: {problem}")

    return make
