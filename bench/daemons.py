"""
The registries that are measured, each on a free port of the loopback and with its data in a fresh
folder.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import frozen

START_SECONDS = 20.0

PEER_CONFIG = """\
version: 0.1
log: {{level: error, accesslog: {{disabled: true}}}}
storage: {{filesystem: {{rootdirectory: {root}}}, delete: {{enabled: true}}}}
http: {{addr: "127.0.0.1:{port}"}}
health: {{storagedriver: {{enabled: false}}}}
"""


@frozen
class Daemon:
    """
    A registry that runs.
    """

    name: str
    port: int
    pid: int

    def cpu_seconds(self) -> float:
        """User and system time of all its threads so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def forget_peak(self) -> None:
        """Let L{peak_kib} begin anew."""
        Path(f"/proc/{self.pid}/clear_refs").write_text("5")

    def peak_kib(self) -> int:
        """The peak of resident memory since L{forget_peak}."""
        return self._status("VmHWM")

    def resident_kib(self) -> int:
        """Resident memory now."""
        return self._status("VmRSS")

    def _status(self, field: str) -> int:
        for line in Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith(f"{field}:"):
                return int(line.split()[1])
        raise LookupError(field)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


@contextmanager
def running(name: str, folder: Path, configuration: str = "") -> Iterator[Daemon]:
    """
    Start C{ociregd} or its peer, Debian's C{docker-registry}; stop it at the end.

    @param configuration: for ociregd, beside where its data is and where it listens.
    """
    root, port = Path(tempfile.mkdtemp(dir=folder)), free_port()
    if name == "ociregd":
        twistd = Path(sys.executable).with_name("twistd")
        where = f"tcp:{port}:interface=127.0.0.1"
        config = root / "ociregd.toml"
        config.write_text(configuration)
        command = [str(twistd), "--pidfile=", "-n", "ociregd", "--config", str(config)]
        command += ["--root", str(root / "data"), "--listen", where]
    else:
        config = root / "config.yml"
        config.write_text(PEER_CONFIG.format(root=root, port=port))
        command = ["docker-registry", "serve", str(config)]
    with (root / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until_it_answers(port)
        yield Daemon(name, port, process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        shutil.rmtree(root)


def wait_until_it_answers(port: int) -> None:
    """
    @raise TimeoutError: if nobody listens there in time.
    """
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return
    raise TimeoutError(f"nothing listens on port {port}")


def available() -> list[str]:
    """The registries that are installed here; the peer is C{apt install docker-registry}."""
    return ["ociregd"] + (["docker-registry"] if shutil.which("docker-registry") else [])
