"""
Changing the file of users: as a whole, by one at a time, and without a moment in which it is not
there.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import NamedTemporaryFile

from ociregd.access.htpasswd import Line, parse_lines, read_lines

#: A new file can be read by the group of its directory, which the daemon should be in.
NEW_MODE = 0o640


def change(path: str, edit: Callable[[Sequence[Line]], Sequence[Line]]) -> None:
    """
    Replace the file by an edited one that has the same mode and owner. Lines that are left as they
    are stay so to the byte.

    @raise HtpasswdInvalid: if the file is wrong; it is not made worse.
    @raise OSError: if it cannot be read or written.
    """
    # What a link leads to is replaced, and the link stays.
    file = Path(os.path.realpath(path))
    with locked(file.parent):
        lines = read_lines(str(file)) if os.path.lexists(file) else []
        text = "".join(_ended(line.text) for line in edit(lines))
        list(parse_lines(text, path))
        _replace(file, text)


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Keep others who do so from the files of a directory."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        # Not of the file, which is another one afterwards.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _ended(text: str) -> str:
    return text if text.endswith("\n") else text + "\n"


def _replace(file: Path, text: str) -> None:
    with NamedTemporaryFile(dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        try:
            _take_over(file, new.fileno())
            new.write(text.encode("utf-8"))
            new.flush()
            os.fsync(new.fileno())
            os.rename(new.name, file)
        except BaseException:
            with suppress(OSError):
                os.unlink(new.name)
            raise
    directory = os.open(file.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def _take_over(file: Path, descriptor: int) -> None:
    """Give a new file the owner and the mode of the old one."""
    if file.exists():
        was = file.stat()
        os.fchown(descriptor, was.st_uid, was.st_gid)
        os.fchmod(descriptor, was.st_mode & 0o777)
    else:
        with suppress(PermissionError):
            os.fchown(descriptor, -1, file.parent.stat().st_gid)
        os.fchmod(descriptor, NEW_MODE)
