"""
The daemon is killed before each system call of a push, and started again.
"""

from __future__ import annotations

import pytest

from .daemon import Daemon
from .interception import killing
from .lives import Lives
from .points import LANES, Disturbance, any_change, disturb, report
from .promises import Setback


def start_again(daemon: Daemon, setback: Setback) -> None:
    """Nothing but its death keeps the daemon from answering; and it starts without help."""
    assert setback.answer is None, setback
    daemon.wait_for_death()
    daemon.start()


@pytest.mark.usefixtures("intercepted")
def test_a_kill_at_any_system_call_loses_nothing(daemons: Lives) -> None:
    """
    Wherever in a push the daemon is killed, what was acknowledged is there after a start, and the
    client goes on where it was.
    """
    lanes = [
        Disturbance(
            daemons.make(f"lane{lane}", intercepted=True),
            daemons.directory / f"journal{lane}",
            killing,
            any_change,
            start_again,
        )
        for lane in range(LANES)
    ]
    points = disturb(lanes)
    report(points)
    # Fewer would mean that the calls are not seen any more.
    assert sum(points.values()) > 60, points
    for name in ("fsync", "link", "pwrite64", "fdatasync", "unlink", "openat", "sendto"):
        assert any(point.startswith(name) for point in points), f"{name} is not in {points}"
