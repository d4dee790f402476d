"""
A real daemon that may die at any moment and is started again on what it left.
"""

from __future__ import annotations

import random
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from tests.functional.client import Wire, request

from . import under_filter
from .interception import Decide, Interceptor, every_call

START_SECONDS = 30.0
STOP_SECONDS = 30.0


def lasting_port() -> int:
    """
    A port of the loopback address that nobody listens on, and that no client is given while the
    daemon is down: below those that the system gives out.
    """
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    while True:
        port = random.SystemRandom().randrange(10_000, first)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port


class Ended(Exception):
    """The daemon has ended instead of starting; its log says why."""


@define(eq=False)
class Daemon:
    """
    A registry with its data in C{root}. What it says is in C{log}, which is not on the same disk.

    @ivar configuration: what it is told beside where it is, in the words of its file.
    @ivar interceptor: decides about its system calls, if it is C{intercepted}.
    @ivar decide: what it decides from the start on.
    """

    root: Path
    log: Path
    intercepted: bool = False
    configuration: str = ""
    decide: Decide = every_call
    port: int = field(factory=lasting_port)
    interceptor: Interceptor | None = field(default=None, init=False)
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        """
        Start, and return when the registry answers; it has to by itself, whatever happened.

        @raise Ended: if it does not.
        """
        twistd = Path(sys.executable).with_name("twistd")
        # Whatever becomes of the tests, no daemon outlives the thread that started it.
        command = ["/usr/bin/setpriv", "--pdeathsig", "KILL"]
        command += [str(twistd), "--pidfile=", "-n", "ociregd", "--root", str(self.root)]
        command += ["--listen", f"tcp:{self.port}:interface=127.0.0.1"]
        if self.configuration:
            file = self.log.with_name("ociregd.toml")
            file.write_text(self.configuration)
            command += ["--config", str(file)]
        if self.intercepted:
            self._run_intercepted(command)
        else:
            self._run(command)
        deadline = time.monotonic() + START_SECONDS
        while not self.answers():
            assert time.monotonic() < deadline, f"did not start:\n{self.said()}"
            assert self._process is not None
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            self.kill()
            raise Ended(self.said())

    def kill(self) -> None:
        """End it as a crash would, if it has not ended yet."""
        self._end(signal.SIGKILL)

    def end(self) -> int | None:
        """End it as a service manager would, and return its exit status."""
        return self._end(signal.SIGTERM)

    def stop(self) -> None:
        """End it as a service manager would; nothing may have gone wrong."""
        status = self.end()
        # twistd ends by the signal that it was sent, after everything is shut down.
        assert status in (0, -signal.SIGTERM), f"exit status {status}:\n{self.said()}"

    def alive(self) -> bool:
        """Whether the process runs."""
        return self._process is not None and self._process.poll() is None

    def live(self, seconds: float) -> None:
        """Let it run for a while; it must not end by itself."""
        assert self._process is not None
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            return
        raise AssertionError(f"ended by itself:\n{self.said()}")

    def wait_for_death(self) -> None:
        """Wait until the process, which is being killed, has ended."""
        assert self._process is not None
        self._process.wait(STOP_SECONDS)
        self.kill()

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text("utf-8", "replace")[-6000:]

    def answers(self) -> bool:
        """Whether somebody serves the registry."""
        try:
            with Wire(self.port) as wire:
                wire.send(request("GET", "/v2/", {"Connection": "close"}))
                return wire.answer().status == 200
        except (ConnectionError, EOFError):
            return False

    def _run(self, command: list[str], *inherited: int) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                command,
                cwd=self.log.parent,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                pass_fds=inherited,
            )

    def _run_intercepted(self, command: list[str]) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            filtered = [sys.executable, "-I", under_filter.__file__, str(theirs.fileno())]
            self._run([*filtered, *command], theirs.fileno())
            theirs.close()
            _, [listener], _, _ = socket.recv_fds(ours, 1, 1)
        self.interceptor = Interceptor(listener, str(self.root), self.decide)
        self.interceptor.start()

    def _end(self, number: signal.Signals) -> int | None:
        process, self._process = self._process, None
        interceptor, self.interceptor = self.interceptor, None
        if process is None:
            return None
        process.send_signal(number)
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"did not stop:\n{self.said()}") from None
        finally:
            if interceptor is not None:
                interceptor.join()
