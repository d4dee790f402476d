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
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

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
    """

    directory: Path
    configuration: str | None = None
    port: int = field(factory=free_port)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    @property
    def root(self) -> Path:
        """Where the registry keeps its data."""
        return self.directory / "root"

    @property
    def client(self) -> Client:
        """A client of this registry."""
        return Client(self.port)

    @property
    def pid(self) -> int:
        """The process that serves."""
        assert self._process is not None, "not started"
        return self._process.pid

    def start(self) -> None:
        """
        Start, and return when the registry answers.
        """
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
        deadline = time.monotonic() + START_SECONDS
        while not self._answers():
            assert time.monotonic() < deadline, f"did not start:\n{self.log()}"
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            raise AssertionError(f"ended instead of starting:\n{self.log()}")

    def stop(self) -> None:
        """
        End it as a service manager would; it must go by itself, and have reported no fault.

        A daemon of twistd takes its leave in good order, and then ends by the signal it was sent.
        """
        status = self._end(signal.SIGTERM)
        assert status in (0, -signal.SIGTERM), f"exit status {status}:\n{self.log()}"
        assert "Server Shut Down." in self.log().splitlines()[-1], self.log()
        faults = re.findall("(?m)^.*(?:Traceback|Unhandled|incident).*$", self.log())
        assert faults == [], f"{self.log()}"

    def kill(self) -> None:
        """End it as a crash would."""
        self._end(signal.SIGKILL)

    def peak_memory(self, happens: Callable[[], object]) -> int:
        """How many bytes the memory of the process grew by at most while something happened."""
        proc = Path("/proc") / str(self.pid)
        (proc / "clear_refs").write_text("5")
        before = self._memory(proc)
        happens()
        return self._memory(proc) - before

    def log(self) -> str:
        """What it said since it was first started."""
        return (self.directory / "log").read_text("utf-8", "replace")

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

    def _memory(self, proc: Path) -> int:
        peak = re.search(r"VmHWM:\s+(\d+) kB", (proc / "status").read_text())
        assert peak is not None
        return int(peak[1]) * 1024

    def _answers(self) -> bool:
        try:
            return self.client.call("GET", "/v2/").status == 200
        except (ConnectionError, EOFError):
            return False
