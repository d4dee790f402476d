"""
The system calls of a push fail, one after the other: the daemon says so, lives, and goes on.
"""

from __future__ import annotations

import errno
import itertools
from collections import Counter

import pytest
from attrs import frozen

from tests.functional.content import digest_of

from .daemon import Daemon
from .interception import Call, Decide, Nth, every_call, failing, short_write
from .lives import Lives
from .points import LANES, Disturbance, disturb, report, summary
from .promises import Account, Setback
from .pushing import BINARY, Images, Pusher, push_everything

WRITES = frozenset({"write", "pwrite64", "writev", "pwritev", "pwritev2", "fallocate"})


@frozen
class Fault:
    """
    @ivar kind: the calls that fail; None for all that change something.
    @ivar lasting: whether it stays until the client has heard of it.
    @ivar statuses: what the client may hear.
    """

    act: Decide
    kind: frozenset[str] | None
    lasting: bool
    statuses: frozenset[int]

    def counts(self, call: Call) -> bool:
        """Whether it happens to calls of this kind."""
        return not (call.answers or call.reads) and (self.kind is None or call.name in self.kind)


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


@pytest.mark.usefixtures("intercepted")
def test_bytes_that_were_not_synced_have_to_come_again(daemons: Lives) -> None:
    """
    A failed fsync ends the session, for all daemons on the storage, whatever they have of it in
    memory: the system reports lost bytes only once.
    """
    daemon = daemons.make("daemon", intercepted=True)
    other = daemons.make("other", root=daemon.root)
    daemon.start()
    other.start()
    account = Account(daemon.port, daemons.directory / "journal")
    elsewhere = Account(other.port, daemons.directory / "journal-elsewhere")
    content = Images("sync").layer()
    half = len(content) // 2
    location = account.call("POST", "/v2/team/app/blobs/uploads/", {202}).header("Location")
    elsewhere.call("PATCH", location, {202}, headers=BINARY, body=content[:half])
    assert daemon.interceptor is not None
    daemon.interceptor.decide = Nth(1, failing(errno.EIO), lambda call: call.name == "fsync")
    path = f"{location}?digest={digest_of(content)}"
    with pytest.raises(Setback) as caught:
        account.call("PUT", path, {201}, headers=BINARY, body=content[half:])
    assert caught.value.answer is not None
    assert caught.value.answer.status == 500
    for one in (account, elsewhere):
        one.call("GET", location, {404})
        one.call("PUT", path, {404}, headers=BINARY, body=content[half:])
        one.call("HEAD", f"/v2/team/app/blobs/{digest_of(content)}", {404})
        pusher = Pusher(one, fail)
        pusher.push_in_chunks("team/app", content, half)
        one.check()
        pusher.delete(f"/v2/team/app/blobs/{digest_of(content)}")
    daemon.stop()
    other.stop()


@pytest.mark.usefixtures("intercepted")
def test_an_error_of_any_read_is_told_or_cuts_the_answer(daemons: Lives) -> None:
    """
    Whichever read of a pull fails, the client hears of an incident or sees its connection end: what
    exists is never unknown to it, and no byte is ever wrong.
    """
    daemon = daemons.make("daemon", intercepted=True)
    daemon.start()
    account = Account(daemon.port, daemons.directory / "journal")
    push_everything(Pusher(account, fail), "team/app", Images("read", 1024 * 1024))
    failed: Counter[str] = Counter()
    for number in itertools.count(1):
        # A new process, whose database has nothing in its cache.
        daemon.kill()
        daemon.start()
        assert daemon.interceptor is not None
        nth = Nth(number, failing(errno.EIO), lambda call: call.reads)
        daemon.interceptor.decide = nth
        heard = account.pull()
        daemon.interceptor.decide = every_call
        if not nth.hit:
            break
        failed[f"{summary(nth.hit[0])}: {' '.join(heard) or 'not heard'}"] += 1
        account.check()
    report(failed)
    assert sum(failed.values()) > 5, failed
    daemon.stop()


def fail(setback: Setback) -> None:
    """There is no reason to be set back."""
    raise AssertionError(setback)
