"""
Tests for L{ociregd.accessservice}: what the operator is told when the daemon starts.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, formatEvent, globalLogPublisher

from ociregd.accessservice import gate_for, reaches_beyond, warning_about
from ociregd.settings import parse

BEYOND = 'listen = ["unix:/run/x", "tcp:5000"]\n'
RULE = '[[access.rule]]\nrepositories = "**"\nwho = ["alice"]\nactions = ["pull"]\n'


@pytest.mark.parametrize(
    ("endpoint", "beyond"),
    [
        ("tcp:5000", True),
        ("tcp:5000:interface=0.0.0.0", True),
        ("tcp:5000:interface=192.0.2.1", True),
        (r"tcp:5000:interface=\:\:", True),
        (r"tcp:5000:interface=\:\:1", False),
        ("tcp:5000:interface=127.0.0.1", False),
        ("tcp:port=5000:backlog=5:interface=127.1.2.3", False),
        ("tcp:5000:interface=localhost", False),
        ("tcp:5000:interface=127.0.0.1.example.org", True),
        ("ssl:5000:privateKey=/interface=127.0.0.1", True),
        ("haproxy:tcp:5000", True),
        ("haproxy:tcp:5000:interface=127.0.0.1", False),
        ("unix:/run/ociregd.sock", False),
        ("haproxy:unix:/run/ociregd.sock", False),
        ("systemd:domain=INET:index=0", False),
    ],
)
def test_beyond_the_loopback(endpoint: str, beyond: bool) -> None:
    """An endpoint of TCP lets other machines in unless its interface is the loopback."""
    assert reaches_beyond(endpoint) is beyond


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("", ""),
        (BEYOND, "tcp:5000 is not on the loopback"),
        (BEYOND + "[access]", "nobody may do anything"),
        ("[access]", "nobody may do anything"),
        (BEYOND + RULE, ""),
    ],
)
def test_warnings(text: str, hint: str) -> None:
    """Who lets everybody in, or nobody, may not have meant it."""
    warning = warning_about(parse(text))
    assert hint in warning
    assert bool(hint) is bool(warning)


@pytest.fixture
def warnings() -> Iterator[list[str]]:
    """What is logged as a warning."""
    said: list[str] = []

    def observe(event: LogEvent) -> None:
        if event["log_level"] is LogLevel.warn:
            said.append(formatEvent(event))

    globalLogPublisher.addObserver(observe)
    yield said
    globalLogPublisher.removeObserver(observe)


@pytest.mark.parametrize(("text", "count"), [("", 0), (BEYOND, 1)])
def test_without_access_control(text: str, count: int, warnings: list[str]) -> None:
    """Nobody decides about requests where no rules are; a warning comes with the start."""
    gate, services = gate_for(parse(text), Clock())
    assert gate is None
    assert warnings == []
    for service in services:
        service.startService()
    assert len(warnings) == count


def test_a_file_that_cannot_be_used(tmp_path: Path) -> None:
    """A file of users that is wrong by now ends the daemon with a word about it."""
    path = tmp_path / "htpasswd"
    path.write_text("alice:secret\n")
    with pytest.raises(SystemExit, match=f"ociregd: {path}: line 1: "):
        gate_for(parse(f'[access]\nhtpasswd = "{path}"'), Clock())
