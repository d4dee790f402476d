"""
The daemon is killed while it starts on an empty root, at its first blob, and while it stops.
"""

from __future__ import annotations

import itertools
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from .daemon import Daemon, Ended
from .interception import Call, Nth, every_call, killing
from .lives import Lives
from .points import LANES, Points, report, summary
from .promises import Account, Setback
from .pushing import Images, Pusher


def counts(call: Call) -> bool:
    """Any change, but only the first two of the hundreds of directories for blobs."""
    return not call.reads and (".new/" not in call.path or call.path.endswith(("/00", "/01")))


def live(daemon: Daemon, account: Account, nth: Nth) -> None:
    """
    Start, push, stop, and look at it again; wherever that is cut short, start once more.
    """

    def start_again() -> None:
        daemon.decide = every_call
        daemon.start()

    def recover(setback: Setback) -> None:
        assert setback.answer is None, setback
        daemon.wait_for_death()
        start_again()
        account.check()

    daemon.decide = nth
    try:
        daemon.start()
    except Ended:
        assert nth.hit, daemon.said()
        start_again()
    Pusher(account, recover).push_at_once("team/app", Images("first").layer())
    assert daemon.end() in (0, -signal.SIGTERM, -signal.SIGKILL)
    start_again()
    account.check()
    daemon.stop()


@pytest.mark.usefixtures("intercepted")
def test_a_kill_at_any_system_call_of_a_start_or_stop_is_harmless(daemons: Lives) -> None:
    """
    However little of its root the daemon had made, or had tidied up, it starts from there.
    """

    def share(first: int) -> Counter[str]:
        points: Counter[str] = Counter()
        for number in itertools.count(first, LANES):
            daemon = daemons.make(f"start{number}", intercepted=True)
            nth = Nth(number, killing, Points(counts))
            live(daemon, Account(daemon.port, daemons.directory / f"journal{number}"), nth)
            if not nth.hit:
                return points
            points[summary(nth.hit[0])] += 1
        raise AssertionError

    with ThreadPoolExecutor(LANES) as pool:
        points = sum(pool.map(share, range(1, LANES + 1)), Counter[str]())
    report(points)
    assert sum(points.values()) > 40, points
