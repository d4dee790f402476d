"""
A process and its children, as one: each child may lead a session of its own, as those of PostgreSQL
do, so that no signal to a group would reach them all.

Run as a program it watches over a family. Its input says which, a process id a line (0: none at
present). When the input ends, since whoever wrote it has ended, however that happened, what is left
of the family ends too, and its directories go.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import ExitStack, suppress
from pathlib import Path

#: Who takes longer to end has failed to.
PATIENCE_SECONDS = 20.0


def children(pid: int) -> set[int]:
    """The processes that a process has started, and that are there."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        # A process may end while we look, and its name may have spaces and parentheses in it.
        with suppress(OSError):
            state, parent, *_ = stat.read_text("utf-8", "replace").rpartition(")")[2].split()
            if int(parent) == pid and state != "Z":
                found.add(int(stat.parent.name))
    return found


def signal_all(pids: Iterable[int], number: signal.Signals) -> None:
    """Send a signal to those that are still there."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def stop(pid: int) -> set[int]:
    """
    Let a process and its children stand still where they are: the parent first, so that it starts
    no more of them.

    @return: all of them.
    """
    family: set[int] = set()
    newcomers = {pid}
    while newcomers:
        signal_all(newcomers, signal.SIGSTOP)
        family |= newcomers
        newcomers = children(pid) - family
    return family


def go_on(pid: int) -> None:
    """Let them go on."""
    signal_all({pid} | children(pid), signal.SIGCONT)


def kill(pid: int) -> None:
    """End them all at the same moment, as a crash of their machine would."""
    family = stop(pid)
    with Ends(family) as ends:
        signal_all(family, signal.SIGKILL)
        ends.wait()


class Ends(ExitStack):
    """
    What shows that processes have ended, be they our own children or not.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        super().__init__()
        self._left: set[int] = set()
        self._poll = select.poll()
        for pid in pids:
            with suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                self.callback(os.close, descriptor)
                self._left.add(descriptor)
                self._poll.register(descriptor, select.POLLIN)

    def wait(self, seconds: float = PATIENCE_SECONDS) -> None:
        """
        Return when all have ended.

        @raise TimeoutError: if some have not by then.
        """
        deadline = time.monotonic() + seconds
        while self._left:
            ended = self._poll.poll(max(0, deadline - time.monotonic()) * 1000)
            if not ended:
                raise TimeoutError(f"{len(self._left)} processes have not ended")
            for descriptor, _ in ended:
                self._poll.unregister(descriptor)
                self._left.remove(descriptor)


def end(pid: int) -> None:
    """Let a server end at once but in good order, if it can, and then all that is left of it."""
    with Ends(children(pid) | {pid}) as ends:
        signal_all([pid], signal.SIGQUIT)
        go_on(pid)
        with suppress(TimeoutError):
            ends.wait()
            return
    kill(pid)


def watch(*directories: str) -> None:
    """What the program does."""
    pid = 0
    for line in sys.stdin:
        pid = int(line)
    if pid:
        end(pid)
    for directory in directories:
        shutil.rmtree(directory, ignore_errors=True)


if __name__ == "__main__":
    watch(*sys.argv[1:])
