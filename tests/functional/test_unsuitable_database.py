"""
A database that is not for this registry ends its start, rather than to be waited for.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ..postgres import PostgresServer
from .content import number
from .daemon import Daemon


def assert_refused(daemon: Daemon, reason: str) -> None:
    """A daemon ends by itself instead of starting, and tells why."""
    try:
        with pytest.raises(AssertionError, match="ended instead of starting"):
            daemon.start()
    except BaseException:
        daemon.kill()
        raise
    assert reason in daemon.log().splitlines()[-1]


def configuration(url: str) -> str:
    """One that names a database."""
    return f'[metadata]\ndatabase = "{url}"\n'


def test_other_encoding(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """A database that cannot keep all names is refused, with the way to make a better one."""
    url = postgres_server.create_database(f"latin{number()}", encoding="LATIN1")
    assert_refused(Daemon(tmp_path, configuration(url)), "ENCODING 'UTF8'")


def test_newer_schema(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """A database that a newer ociregd has written is refused."""
    name = f"newer{number()}"
    url = postgres_server.create_database(name)
    daemon = Daemon(tmp_path, configuration(url))
    daemon.start()
    daemon.stop()
    postgres_server.execute("INSERT INTO schema_version VALUES (999)", name)
    assert_refused(daemon, "install the ociregd that wrote it, or a newer one")
