"""
A real daemon in a process of its own, with its own data and a port that was free.
"""

from __future__ import annotations

import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import cycle
from pathlib import Path

from attrs import Factory, define, field

from .client import Client

START_SECONDS = 30.0
STOP_SECONDS = 30.0


def eventually(happened: Callable[[], bool], seconds: float = 20.0) -> None:
    """
    Ask until the answer is yes; fail after the deadline. A select on nothing keeps the questions
    from taking the processor that the daemon needs to come to its answer.
    """
    deadline = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < deadline, f"did not happen within {seconds} seconds"
        select.select([], [], [], 0.01)


def free_port() -> int:
    """A port of the loopback address that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@define
class Daemon:
    """
    A registry that runs under C{directory}: data in C{root/}, everything it says in C{log}.

    The rest of the directory is not its business, and tests can look whether it kept out of it.

    @ivar root: where it keeps its data, if that is elsewhere.
    @ivar neighbours: daemons with the same data. They start and end with this one, and clients do
        not know one from another: each request goes to the next.
    """

    directory: Path
    configuration: str | None = None
    port: int = field(factory=free_port)
    root: Path = Factory(lambda self: self.directory / "root", takes_self=True)
    neighbours: Sequence[Daemon] = ()
    _turns: Iterator[int] = field(init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        self._turns = cycle([daemon.port for daemon in self._all])

    @property
    def client(self) -> Client:
        """A client of this registry."""
        return Client(self._turns)

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """
        Start, and return when the registry answers.
        """
        for daemon in self._all:
            daemon._launch()
        for daemon in self._all:
            daemon._await_answer()

    def stop(self) -> None:
        """
        End it as a service manager would; it must go by itself, and have reported no fault.

        A daemon of twistd takes its leave in good order, and then ends by the signal it was sent.
        """
        for daemon, status in [(daemon, daemon._end(signal.SIGTERM)) for daemon in self._all]:
            log = daemon.log()
            assert status in (0, -signal.SIGTERM), f"exit status {status}:\n{log}"
            assert "Server Shut Down." in log.splitlines()[-1], log
            faults = re.findall("(?m)^.*(?:Traceback|Unhandled|incident).*$", log)
            assert faults == [], log

    def kill(self) -> None:
        """End it as a crash would."""
        for daemon in self._all:
            daemon._end(signal.SIGKILL)

    def peak_memory(self, happens: Callable[[], object]) -> int:
        """How many bytes the memory of a process grew by at most while something happened."""
        before = []
        for daemon in self._all:
            (daemon._proc / "clear_refs").write_text("5")
            before.append(daemon._memory())
        happens()
        return max(daemon._memory() - was for daemon, was in zip(self._all, before, strict=True))

    def log(self) -> str:
        """What it said since it was first started."""
        return (self.directory / "log").read_text("utf-8", "replace")

    @property
    def _all(self) -> Sequence[Daemon]:
        return [self, *self.neighbours]

    @property
    def _proc(self) -> Path:
        return Path("/proc") / str(self.pid)

    def _launch(self) -> None:
        twistd = Path(sys.executable).with_name("twistd")
        command = [str(twistd), "--pidfile=", "-n", "ociregd", "--root", str(self.root)]
        command += ["--listen", f"tcp:{self.port}:interface=127.0.0.1"]
        if self.configuration is not None:
            file = self.directory / "ociregd.toml"
            file.write_text(self.configuration)
            command += ["--config", str(file)]
        with (self.directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )

    def _await_answer(self) -> None:
        assert self._process is not None
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, f"did not start:\n{self.log()}"
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"ended instead of starting:\n{self.log()}")

    def _end(self, number: signal.Signals) -> int:
        process, self._process = self._process, None
        assert process is not None, "not started"
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"did not stop:\n{self.log()}") from None

    def _memory(self) -> int:
        peak = re.search(r"VmHWM:\s+(\d+) kB", (self._proc / "status").read_text())
        assert peak is not None
        return int(peak[1]) * 1024

    def _answers(self) -> bool:
        try:
            # It may want to know first who asks.
            return Client(cycle([self.port])).call("GET", "/v2/").status in (200, 401)
        except (ConnectionError, EOFError):
            return False
