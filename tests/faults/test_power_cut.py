"""
The power of a disk is cut: what was not told to the disk is lost, what was acknowledged is not.
"""

from __future__ import annotations

import itertools
import os

import pytest

from .conftest import MakeDisk
from .daemon import Daemon
from .disks import Disk, ext4_disk
from .interception import Call, Outcome, killing
from .lives import Lives
from .points import LANES, Disturbance, any_change, disturb, report
from .promises import Account, Setback
from .pushing import Images, Pusher, push_everything


def restart_machine(daemon: Daemon, disk: Disk) -> None:
    """Nothing survives but what is on the disk."""
    daemon.kill()
    disk.mount_again()
    daemon.start()


def test_what_was_acknowledged_survives_a_power_cut(daemons: Lives, make_disk: MakeDisk) -> None:
    """
    If the power is cut right after any answer of a push, what was acknowledged until then is there
    after a restart, and the push can be brought to its end.
    """
    disk = make_disk(ext4_disk)
    daemon = daemons.make("daemon", root=disk.path / "root")
    daemon.start()
    accounts: list[Account] = []

    def cut(setback: Setback) -> None:
        assert setback.answer is None, setback
        disk.cut_power()
        restart_machine(daemon, disk)
        for account in accounts:
            account.check()

    for number in itertools.count(1):
        account = Account(daemon.port, daemons.directory / "journal", number)
        accounts.append(account)
        pusher = Pusher(account, cut, forgets=True)
        push_everything(pusher, f"team/app{number}", Images(str(number)))
        if not pusher.setbacks:
            break
    print(f"{len(accounts) - 1} power cuts")
    assert len(accounts) > 15
    daemon.stop()


#: Every so many-th system call of a push is a point for a power cut; 1 takes all of them.
STRIDE = int(os.environ.get("OCIREGD_FAULT_CUT_STRIDE", "4"))


@pytest.mark.usefixtures("intercepted")
def test_a_power_cut_at_any_system_call_loses_nothing(daemons: Lives, make_disk: MakeDisk) -> None:
    """
    Wherever in a push the power is cut, what was acknowledged is there after a restart.
    """
    lanes = []
    for lane in range(LANES):
        disk = make_disk(ext4_disk)

        def cut(call: Call, disk: Disk = disk) -> Outcome:
            disk.cut_power()
            return killing(call)

        def recover(daemon: Daemon, setback: Setback, disk: Disk = disk) -> None:
            assert setback.answer is None, setback
            daemon.wait_for_death()
            restart_machine(daemon, disk)

        daemon = daemons.make(f"lane{lane}", root=disk.path / "root", intercepted=True)
        journal = daemons.directory / f"journal{lane}"
        lanes.append(
            Disturbance(daemon, journal, cut, any_change, recover, stride=STRIDE, forgets=True)
        )
    points = disturb(lanes)
    report(points)
    assert sum(points.values()) * STRIDE > 60, points
