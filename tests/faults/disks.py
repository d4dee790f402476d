"""
Small disks that can be filled, broken, and lose their power; as root, in mounts that only we see.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import struct
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from attrs import define

DISK_BYTES = 48 * 1024 * 1024

CLONE_NEWNS = 0x20000

#: C{EXT4_IOC_SHUTDOWN}, and its argument: nothing is written any more, not even the journal.
SHUTDOWN, NO_FLUSH = 0x8004587D, 2


def run(*command: str) -> None:
    """Run a program of the system, which must succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise OSError(errno.EIO, f"{' '.join(command)}: {done.stderr.strip()}")


def unshare_mounts() -> None:
    """
    Let nobody else see what this process mounts; it all goes away with us, whatever happens.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS):
        number = ctypes.get_errno()
        raise OSError(number, f"unshare: {os.strerror(number)}")
    run("mount", "--make-rprivate", "/")


@define
class Disk:
    """
    A mounted file system.

    @ivar path: where it is mounted; the root of a registry goes below.
    """

    path: Path
    _mount: Callable[[], None]

    @property
    def filler(self) -> Path:
        """A file that takes all the room."""
        return self.path / "filler"

    def fill(self) -> None:
        """Leave no room, not for a byte."""
        with self.filler.open("ab", buffering=0) as filler:
            for size in (1 << 20, 1 << 12, 1):
                with suppress(OSError):
                    while filler.write(b"f" * size):
                        pass
            # Delayed allocation has promised room that may not be there.
            os.fsync(filler.fileno())

    def make_room(self) -> None:
        """Take the filler away."""
        self.filler.unlink()

    def break_down(self) -> None:
        """Let the file system find itself damaged: from now on it is read-only, for everybody."""
        device = self.path.stat().st_dev
        name = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}").resolve().name
        Path(f"/sys/fs/ext4/{name}/trigger_fs_error").write_text("1")

    def cut_power(self) -> None:
        """Lose what the system was not told to keep. The disk is of no use until mounted again."""
        descriptor = os.open(self.path, os.O_RDONLY)
        try:
            fcntl.ioctl(descriptor, SHUTDOWN, struct.pack("I", NO_FLUSH))
        finally:
            os.close(descriptor)

    def mount_again(self) -> None:
        """As after a restart of the machine. Nobody may have a file open."""
        run("umount", str(self.path))
        self._mount()


@contextmanager
def mounted(path: Path, mount: Callable[[], None]) -> Iterator[Disk]:
    """A disk that is mounted, and unmounted in the end."""
    mount()
    try:
        yield Disk(path, mount)
    finally:
        # Lazily, if a daemon that a failed test has left behind still holds it.
        run("umount", "--lazy", str(path))


@contextmanager
def ext4_disk(directory: Path) -> Iterator[Disk]:
    """A disk with a journal."""
    image, path = directory / "image", directory / "disk"
    path.mkdir()
    with image.open("wb") as file:
        file.truncate(DISK_BYTES)
    run("mkfs.ext4", "-q", "-F", "-m", "0", "-b", "4096", str(image))
    options = "loop,errors=remount-ro"
    with mounted(path, lambda: run("mount", "-o", options, str(image), str(path))) as disk:
        yield disk


@contextmanager
def memory_disk(directory: Path) -> Iterator[Disk]:
    """A disk in memory."""
    path = directory / "disk"
    path.mkdir()
    options = f"size={DISK_BYTES}"
    with mounted(
        path, lambda: run("mount", "-t", "tmpfs", "-o", options, "none", str(path))
    ) as disk:
        yield disk
