"""
Programs of other people: found, run with a deadline, started and stopped.

Everything runs in a process group of its own, so that what a client leaves behind goes with it,
and with an environment made from nothing, so that a developer's proxies, credentials and settings
play no part.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from attrs import define, frozen

CLIENT_DEADLINE = 120.0
SYSTEM_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"


class ClientFailed(AssertionError):
    """A client ended with another status than zero, or not in time."""


def absent(what: str) -> None:
    """
    End the test because the machine lacks something: a skip, or a failure where CI promises
    everything.
    """
    reason = f"{what} is not here; as root, 'make e2e' brings all that is needed"
    if os.environ.get("CI") == "true":
        pytest.fail(reason)
    pytest.skip(reason)


def program(name: str) -> str:
    """
    The path of a program that Debian installed, or the end of the test.

    Only the system's directories count: a newer client in /usr/local is another client.
    """
    path = shutil.which(name, path=SYSTEM_PATH)
    if path is None:
        absent(name)
        raise AssertionError("absent() does not return")
    return path


def demand_root() -> None:
    """End the test unless it may mount and make namespaces."""
    if os.geteuid() != 0:
        absent("the right to mount (root)")


def clean_environment(home: Path, extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of a client that starts out fresh in C{home}."""
    home.mkdir(parents=True, exist_ok=True)
    scratch = home / "tmp"
    scratch.mkdir(exist_ok=True)
    return {
        "PATH": SYSTEM_PATH,
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "TMPDIR": str(scratch),
        "XDG_RUNTIME_DIR": str(scratch),
        **(extra or {}),
    }


def end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill a process and whatever it started, and collect it."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


@frozen
class Client:
    """
    A command line: what always stands at its beginning, and the surroundings it runs in.
    """

    command: Sequence[str]
    environment: Mapping[str, str]

    def __call__(self, *arguments: str | Path, seconds: float = CLIENT_DEADLINE) -> str:
        """
        Run the client to its end.

        @raise ClientFailed: with all that the client said, if it was not content.
        @return: its standard output.
        """
        status, output, complaints = self.attempt(*arguments, seconds=seconds)
        if status != 0:
            raise ClientFailed(
                f"{self._shown(arguments)}\nended with {status}\n{output}\n{complaints}"
            )
        return output

    def refused(self, *arguments: str | Path) -> str:
        """
        Run the client, which has to fail by itself, and return all that it said.
        """
        status, output, complaints = self.attempt(*arguments)
        if status == 0:
            raise ClientFailed(f"{self._shown(arguments)}\nought to have failed\n{output}")
        return output + complaints

    def attempt(
        self, *arguments: str | Path, seconds: float = CLIENT_DEADLINE
    ) -> tuple[int, str, str]:
        """
        Run the client and return its exit status, its output and its complaints.

        @raise ClientFailed: if it does not end in time; some clients hang on a lost answer.
        """
        process = subprocess.Popen(
            [*self.command, *map(str, arguments)],
            env=dict(self.environment),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
        try:
            output, complaints = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            end_group(process)
            raise ClientFailed(f"{self._shown(arguments)}\nhung for {seconds} s") from None
        return process.returncode, output.decode(), complaints.decode(errors="replace")

    def _shown(self, arguments: Sequence[str | Path]) -> str:
        return " ".join([*self.command, *map(str, arguments)])


@define
class Daemon:
    """
    A program that runs until it is told to stop, with its output in a file.
    """

    process: subprocess.Popen[bytes]
    log: Path
    patience: float

    @classmethod
    def start(
        cls,
        command: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        cwd: Path,
        patience: float = 15.0,
    ) -> Daemon:
        """Start a program without waiting for it to be ready."""
        with log.open("wb") as output:
            process = subprocess.Popen(
                command,
                env=dict(environment),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return cls(process, log, patience)

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """
        Ask again and again until the daemon is ready; fail with its log if it dies or dawdles.
        """
        if not settles(lambda: self.process.poll() is not None or ready(), self.patience):
            self.kill()
        if self.process.poll() is not None:
            pytest.fail(f"{self.process.args!r} did not get ready:\n{self.said()}")

    def stop(self) -> int:
        """
        Ask the daemon to stop, and return its exit status; fail if it does not end by itself.
        """
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(self.patience)
        except subprocess.TimeoutExpired:
            pytest.fail(f"{self.process.args!r} ignored SIGTERM:\n{self.said()}")
        finally:
            self.kill()

    def kill(self) -> None:
        """End the daemon and what it started, whatever state they are in."""
        end_group(self.process)

    def said(self) -> str:
        """All that the daemon has logged so far."""
        return self.log.read_text(errors="replace")


def settles(holds: Callable[[], bool], patience: float = 10.0) -> bool:
    """
    Whether something comes true within a time; for what another process does in its own time.
    """
    deadline = time.monotonic() + patience
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def remove_tree(path: Path) -> None:
    """
    Remove a client's root, after whatever it left mounted below.

    Container engines bind-mount their storage onto itself and do not always undo it.
    """
    for mounted in reversed(list(_mounts_below(path))):
        subprocess.run(["umount", "--lazy", mounted], check=False)
    shutil.rmtree(path, ignore_errors=True)


def _mounts_below(path: Path) -> Iterator[str]:
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        mounted = line.split()[4]
        if Path(mounted).is_relative_to(path):
            yield mounted
