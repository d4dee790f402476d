"""
Where the tests of the storage keep their files.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import Any

#: Nothing here asks what survives a power cut, so files may be in memory.
FAST = next((path for path in ("/dev/shm",) if os.access(path, os.W_OK)), None)


def temporary(case: Any) -> Path:
    """A directory that is removed when the test is over."""
    directory = tempfile.mkdtemp(prefix="ociregd-test-", dir=FAST)
    case.addCleanup(shutil.rmtree, directory)
    return Path(directory)
