"""
The system calls of a push fail, one after the other: the daemon says so, lives, and goes on.
"""

from __future__ import annotations

import errno

import pytest
from attrs import frozen

from .daemon import Daemon
from .interception import Call, Decide, every_call, failing, short_write
from .lives import Lives
from .points import LANES, Disturbance, disturb, report
from .promises import Setback

WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2", "fallocate"})


@frozen
class Fault:
    """
    @ivar lasting: whether it stays until the client has heard of it.
    @ivar statuses: what the client may hear.
    """

    act: Decide
    kind: "frozenset[str] | None"
    lasting: bool
    statuses: frozenset[int]

    def counts(self, call: Call) -> bool:
        """Whether it happens to calls of this kind."""
        return not call.answers and (self.kind is None or call.name in self.kind)


FAULTS = {
    # A broken disk. Nothing in the protocol says so.
    "EIO": Fault(failing(errno.EIO), None, False, frozenset({500})),
    # A full one: what needs room fails until there is some.
    "ENOSPC": Fault(
        failing(errno.ENOSPC), WRITES | {"openat", "link", "linkat"}, True, frozenset({413})
    ),
    # One that the system has made read-only after an error.
    "EROFS": Fault(failing(errno.EROFS), None, True, frozenset({403, 500})),
    "short write": Fault(short_write, WRITES, False, frozenset()),
}


@pytest.mark.usefixtures("intercepted")
@pytest.mark.parametrize("name", FAULTS)
def test_an_error_of_any_system_call_is_told_and_passes(daemons: Lives, name: str) -> None:
    """
    Whichever system call of a push fails, the client hears of it, the daemon lives, nothing that
    was acknowledged is lost, and the same push ends well once the fault has gone.
    """
    fault = FAULTS[name]

    def recover(daemon: Daemon, setback: Setback) -> None:
        assert setback.answer is not None, f"no answer: {setback}\n{daemon.said()}"
        assert setback.answer.status in fault.statuses, f"{setback}\n{daemon.said()}"
        if setback.answer.status == 500:
            [error] = setback.answer.json()["errors"]
            assert f"incident {error['detail']}" in daemon.said()
        assert daemon.alive()
        assert daemon.interceptor is not None
        daemon.interceptor.decide = every_call

    lanes = [
        Disturbance(
            daemons.make(f"lane{lane}", intercepted=True),
            daemons.directory / f"journal{lane}",
            fault.act,
            fault.counts,
            recover,
            fault.lasting,
        )
        for lane in range(LANES)
    ]
    points = disturb(lanes)
    report(points)
    assert sum(points.values()) > 15, points
