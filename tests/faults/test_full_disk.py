"""
A disk that is full, or read-only: pushes are refused for the time being, and pulls go on.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from .conftest import MakeDisk
from .disks import DISK_BYTES, Disk, ext4_disk, memory_disk
from .lives import Lives
from .promises import Account, Setback
from .pushing import BINARY, Images, Pusher, push_everything

CHUNK = 1024 * 1024

IMAGE = "team/app"


def refused(account: Account, name: str, status: int) -> int:
    """
    Try every kind of change, and assert that each succeeds or is refused with this status.

    @return: how many were refused.
    """
    count = 0

    def give_up(setback: Setback) -> None:
        nonlocal count
        assert setback.answer is not None, setback
        assert setback.answer.status == status, setback
        count += 1
        raise setback

    images = Images("too much", CHUNK)
    pusher = Pusher(account, give_up)
    attempts: list[Callable[[], None]] = [
        lambda: pusher.push_in_chunks(name, images.layer(), CHUNK // 2),
        lambda: pusher.push_at_once(name, images.layer()),
        lambda: pusher.push_manifest(IMAGE, "other", Images(IMAGE).manifest(1)),
        lambda: pusher.mount(name, IMAGE, Images(IMAGE).layer()),
        lambda: pusher.delete(f"/v2/{IMAGE}/manifests/latest"),
    ]
    for attempt in attempts:
        try:
            attempt()
        except Setback:
            continue
    return count


@pytest.mark.parametrize("kind", [memory_disk, ext4_disk])
def test_a_full_disk_refuses_pushes_until_there_is_room(
    daemons: Lives,
    make_disk: MakeDisk,
    kind: Callable[[Path], AbstractContextManager[Disk]],
) -> None:
    """
    On a full disk a chunk is refused with 413 and a time to come back, pulls go on, even after a
    restart, and other changes succeed or are refused alike; with room again the upload goes on.
    """
    disk = make_disk(kind)
    daemon = daemons.make("daemon", root=disk.path / "root")
    daemon.start()
    journal = daemons.directory / "journal"
    account = Account(daemon.port, journal)
    push_everything(Pusher(account, fail), IMAGE, Images(IMAGE))
    account.interrupted_after = account.acknowledged + 2
    filled = False

    def recover(setback: Setback) -> None:
        nonlocal filled
        if not filled:
            filled = True
            disk.fill()
            return
        assert setback.answer is not None, daemon.said()
        assert setback.answer.status == 413, setback
        assert refused(account, "team/other", 413) >= 2
        account.check()
        daemon.kill()
        daemon.start()
        account.check()
        disk.make_room()

    pusher = Pusher(account, recover)
    images = Images("large", 4 * CHUNK)
    begun = journal.read_text().count("POST /v2/team/large/blobs/uploads/ 0: 202")
    pusher.push_in_chunks("team/large", images.layer(), CHUNK)
    assert pusher.setbacks == 2
    assert journal.read_text().count("POST /v2/team/large/blobs/uploads/ 0: 202") == begun + 1
    push_everything(Pusher(account, fail), "team/after", Images("after"))
    account.check()
    daemon.stop()


@pytest.mark.parametrize("kind", [memory_disk, ext4_disk])
def test_a_push_leaves_room_for_its_end(
    daemons: Lives,
    make_disk: MakeDisk,
    kind: Callable[[Path], AbstractContextManager[Disk]],
) -> None:
    """
    A push that is larger than the disk is refused before the database lacks room: small changes
    succeed still, and when it is cancelled there is room for others.
    """
    daemon = daemons.make("daemon", root=make_disk(kind).path / "root")
    daemon.start()
    account = Account(daemon.port, daemons.directory / "journal")
    pusher = Pusher(account, fail)
    push_everything(pusher, IMAGE, Images(IMAGE))
    location = account.call("POST", "/v2/team/large/blobs/uploads/", {202}).header("Location")
    with pytest.raises(Setback) as caught:
        account.call("PATCH", location, {202}, headers=BINARY, body=bytes(DISK_BYTES))
    assert caught.value.answer is not None
    assert caught.value.answer.status == 413
    images = Images(IMAGE)
    pusher.push_manifest(IMAGE, "while-full", images.manifest(3))
    pusher.mount("team/while-full", IMAGE, images.layer())
    pusher.delete(f"/v2/{IMAGE}/manifests/while-full")
    account.call("DELETE", location, {204})
    pusher.push_at_once("team/after", Images("after", DISK_BYTES // 2).layer())
    account.check()
    daemon.stop()


@pytest.mark.parametrize("kind", [memory_disk, ext4_disk])
def test_an_upload_can_be_cancelled_on_a_full_disk(
    daemons: Lives,
    make_disk: MakeDisk,
    kind: Callable[[Path], AbstractContextManager[Disk]],
) -> None:
    """Where something else took the last byte, the bytes of an upload make room for its end."""
    disk = make_disk(kind)
    daemon = daemons.make("daemon", root=disk.path / "root")
    daemon.start()
    account = Account(daemon.port, daemons.directory / "journal")
    location = account.call("POST", "/v2/team/large/blobs/uploads/", {202}).header("Location")
    account.call("PATCH", location, {202}, headers=BINARY, body=bytes(8 * CHUNK))
    disk.fill()
    account.call("DELETE", location, {204})
    push_everything(Pusher(account, fail), "team/after", Images("after"))
    account.check()
    daemon.stop()


def test_a_read_only_disk_refuses_pushes_and_serves_pulls(
    daemons: Lives, make_disk: MakeDisk
) -> None:
    """
    When the system makes a damaged disk read-only, changes are refused with 403 and pulls go on; on
    the repaired disk everything is there, and the push ends.
    """
    disk = make_disk(ext4_disk)
    daemon = daemons.make("daemon", root=disk.path / "root")
    daemon.start()
    account = Account(daemon.port, daemons.directory / "journal")
    push_everything(Pusher(account, fail), IMAGE, Images(IMAGE))
    location = account.call("POST", "/v2/team/other/blobs/uploads/", {202}).header("Location")
    disk.break_down()
    with pytest.raises(Setback) as caught:
        account.call("PATCH", location, {202}, headers=BINARY, body=b"more")
    assert caught.value.answer is not None
    assert caught.value.answer.status == 403
    assert refused(account, "team/other", 403) == 5
    account.check()
    daemon.stop()
    disk.mount_again()
    daemon.start()
    account.check()
    push_everything(Pusher(account, fail), "team/after", Images("after"))
    account.check()
    daemon.stop()


def fail(setback: Setback) -> None:
    """There is no reason to be set back."""
    raise AssertionError(setback)
