"""
A push that is disturbed at one system call after the other, until there is none left to disturb.
"""

from __future__ import annotations

import itertools
import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from attrs import define, field

from .daemon import Daemon
from .interception import Call, Decide, Nth, every_call
from .promises import Account, Setback
from .pushing import Images, Pusher, push_everything

#: Of equal calls in a row, like the pages of one transaction, how many are points of their own.
RUN = int(os.environ.get("OCIREGD_FAULT_RUN", "2"))

#: Daemons that are disturbed at the same time.
LANES = 2


@define
class Points:
    """
    Whether a call is a point of its own, and one of the kind in question.

    @ivar kind: which calls are.
    """

    kind: Callable[[Call], bool]
    _last: tuple[str, str] = ("", "")
    _run: int = 0

    def __call__(self, call: Call) -> bool:
        if call.reads:
            return False
        this = (call.name, call.path)
        self._run = self._run + 1 if this == self._last else 1
        self._last = this
        return self.kind(call) and self._run <= RUN


def any_change(call: Call) -> bool:
    """A change of a file, or an answer about one."""
    return not call.reads


@define(eq=False)
class Disturbance:
    """
    Every n-th system call of a push, on one daemon.

    @ivar recover: called with the daemon and a setback before the client goes on.
    @ivar lasting: whether all calls after the n-th are disturbed as well.
    @ivar stride: 1 if every call is a point, 2 if every other one is, and so on.
    @ivar forgets: whether unfinished uploads may be lost.
    @ivar points: at what it was done, and how the client heard of it.
    """

    daemon: Daemon
    journal: Path
    act: Decide
    kind: Callable[[Call], bool]
    recover: Callable[[Daemon, Setback], None]
    lasting: bool = False
    stride: int = 1
    forgets: bool = False
    points: Counter[str] = field(factory=Counter)

    def run(self, first: int, step: int) -> None:
        """
        Push again and again, and disturb the first push at call C{first}, the next C{step} further.
        """
        self.daemon.start()
        accounts: list[Account] = []
        for number in itertools.count(first, step):
            account = Account(self.daemon.port, self.journal)
            accounts.append(account)
            if not self._push(account, number):
                break
        for account in accounts:
            account.check()
        self.daemon.stop()

    def _push(self, account: Account, number: int) -> bool:
        """Whether there was still something to disturb."""
        heard: list[str] = []

        def recover(setback: Setback) -> None:
            heard.append(str(setback.answer.status) if setback.answer is not None else "cut")
            self.recover(self.daemon, setback)
            account.check()

        nth = Nth(number, self.act, Points(self.kind), self.lasting)
        assert self.daemon.interceptor is not None
        self.daemon.interceptor.decide = nth
        pusher = Pusher(account, recover, self.forgets)
        push_everything(pusher, f"team/app{number}", Images(str(number)))
        assert self.daemon.interceptor is not None
        self.daemon.interceptor.decide = every_call
        account.check()
        if nth.hit:
            self.points[f"{summary(nth.hit[0])}: {' '.join(heard) or 'not heard'}"] += 1
        return bool(nth.hit)


def summary(call: Call) -> str:
    """A call without what differs from push to push."""
    return f"{call.name} {call.path.partition('/')[0]}"


def disturb(disturbances: list[Disturbance]) -> Counter[str]:
    """
    Run disturbances side by side, each with its share of the points.
    """
    with ThreadPoolExecutor(len(disturbances)) as pool:
        futures = [
            pool.submit(lane.run, 1 + number * lane.stride, len(disturbances) * lane.stride)
            for number, lane in enumerate(disturbances)
        ]
        for future in futures:
            future.result()
    total: Counter[str] = Counter()
    for disturbance in disturbances:
        total += disturbance.points
    return total


def report(points: Counter[str]) -> None:
    """Say what was done, for C{pytest -s}."""
    for point, count in sorted(points.items()):
        print(f"{count:5} {point}")
