"""
In which order a push changes files: what an answer promises is on the disk before the answer is
sent.

A power cut shows only what one file system happens to lose: often it keeps more than it was told
to.
"""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from .interception import Call
from .lives import Lives
from .promises import Account
from .pushing import Images, Pusher, push_everything

LOG = "metadata.sqlite3-wal"
WRITES = ("write", "pwrite64", "writev", "pwritev", "pwritev2", "ftruncate")
NAMES = ("link", "linkat", "rename", "renameat", "renameat2")


def breaches(calls: Sequence[Call]) -> list[str]:
    """
    What came too early: each name that is given to bytes that may be lost, each commit that refers
    to such a name, each answer before its commit is on the disk.
    """
    found = []
    unsynced: set[str] = set()
    for position, call in enumerate(calls):
        if call.reads:
            continue
        directory = call.path.rpartition("/")[0]
        if call.name in WRITES:
            unsynced.add(call.path)
        elif call.name in ("fsync", "fdatasync") or call.name == "unlink":
            unsynced.discard(call.path)
        # Nothing but the bytes of one upload is under way when it gets its name.
        early: set[str] = set()
        if call.name in NAMES:
            early = {path for path in unsynced if path.startswith("uploads/")}
            # The name means nothing until the database refers to it.
            unsynced |= {directory, LOG}
        elif call.path == LOG:
            early = {path for path in unsynced if path.startswith("blobs/")}
        elif call.answers:
            early = {path for path in unsynced if not path.startswith("uploads/")}
        found += [f"{position}: {call} before {path} is synced" for path in sorted(early)]
    return found


@pytest.mark.usefixtures("intercepted")
def test_nothing_is_promised_before_it_is_on_the_disk(daemons: Lives) -> None:
    """
    The file is synced, then named, then its directory is synced, then the database commits, and the
    client hears of it last.
    """
    daemon = daemons.make("daemon", intercepted=True)
    daemon.start()
    assert daemon.interceptor is not None
    calls = daemon.interceptor.seen
    started = len(calls)

    def recover(setback: Exception) -> None:
        raise AssertionError(setback)

    account = Account(daemon.port, daemons.directory / "journal")
    push_everything(Pusher(account, recover), "team/app", Images("order"))
    push = calls[started:]
    assert breaches(push) == [], "\n".join(map(str, push))
    # Two blobs were given a name, and at least that many directories synced.
    assert sum(call.name in NAMES for call in push) == 2
    assert sum(call.answers for call in push) == account.acknowledged
    daemon.stop()
