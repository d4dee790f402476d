"""
Which errors of the operating system and of SQLite a client may be told about.

A full or read-only storage is nobody's fault and passes, and so does the lack of descriptors: the
refusal says so. Everything else stays what it was, and becomes an incident.
"""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from ociregd.errors import StorageFull, StorageReadOnly, TooManyRequests

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})

NO_DESCRIPTOR = frozenset({errno.EMFILE, errno.ENFILE})


@contextmanager
def refusing() -> Iterator[None]:
    """
    Turn the errors of a full and of a read-only file system, and of a process that has no
    descriptor left, into refusals.
    """
    try:
        yield
    except OSError as problem:
        if problem.errno in NO_ROOM:
            raise StorageFull(f"the registry's storage is full ({problem.strerror})") from problem
        if problem.errno == errno.EROFS:
            raise StorageReadOnly("the registry's storage is read-only at present") from problem
        if problem.errno in NO_DESCRIPTOR:
            raise TooManyRequests("the registry has too many files open") from problem
        raise
