"""
Daemons that tests make, and that do not outlive them.
"""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

from attrs import define

from .daemon import Daemon


@define
class Lives:
    """
    Makes daemons below a directory; what runs when the test is over is killed.
    """

    directory: Path
    _ends: ExitStack

    def make(
        self,
        name: str,
        *,
        root: Path | None = None,
        intercepted: bool = False,
        configuration: str = "",
    ) -> Daemon:
        """A daemon that is not started yet."""
        directory = self.directory / name
        directory.mkdir()
        daemon = Daemon(root or directory / "root", directory / "log", intercepted, configuration)
        self._ends.callback(daemon.kill)
        return daemon
