"""
Tests for L{ociregd.storage.refusals}.
"""

from __future__ import annotations

import errno
import os

import pytest

from ociregd.errors import RegistryError, StorageFull, StorageReadOnly, TooManyRequests
from ociregd.storage.refusals import refusing


@pytest.mark.parametrize(
    ("number", "refusal"),
    [
        (errno.ENOSPC, StorageFull),
        (errno.EDQUOT, StorageFull),
        (errno.EFBIG, StorageFull),
        (errno.EROFS, StorageReadOnly),
        (errno.EMFILE, TooManyRequests),
        (errno.ENFILE, TooManyRequests),
    ],
)
def test_errors_that_pass_become_refusals(number: int, refusal: type[RegistryError]) -> None:
    """A client hears of a storage that takes no bytes at present."""
    with pytest.raises(refusal) as told, refusing():
        raise OSError(number, os.strerror(number))
    assert isinstance(told.value.__cause__, OSError)


@pytest.mark.parametrize("number", [errno.EIO, errno.EACCES, errno.ENOENT])
def test_other_errors_stay(number: int) -> None:
    """What is broken is for the operator, and stays what it is."""
    with pytest.raises(OSError, match=os.strerror(number)) as told, refusing():
        raise OSError(number, os.strerror(number))
    assert told.value.errno == number


def test_refusals_stay() -> None:
    """What is a refusal already goes through."""
    with pytest.raises(StorageFull, match="as it was"), refusing():
        raise StorageFull("as it was")
