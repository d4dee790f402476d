"""
A real PostgreSQL that nobody has to set up: tests make one, may break it, and throw it away.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from queue import SimpleQueue
from shutil import disk_usage
from threading import Thread
from typing import Any

import psycopg2
from attrs import define, field

from . import collation, families
from .postgres_programs import Account, account, programs

#: Ports that the system gives to no client: nobody takes ours while the server is down.
PORTS = range(20000, 32000)

START_SECONDS = 60.0
STOP_SECONDS = 60.0

#: Who owns the databases, and what it says where PostgreSQL asks for a password: over TCP.
ROLE, PASSWORD = "registry", "secret"

STOPS = {"fast": signal.SIGINT, "immediate": signal.SIGQUIT}

#: Where files are in memory, and how much room there has to be: some machines have next to none.
MEMORY, MEMORY_BYTES = Path("/dev/shm"), 1 << 30

#: Tests have many connections, and little data.
SETTINGS = {
    "max_connections": "300",
    "max_wal_size": "128MB",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # with its files: nothing is left when it was killed
    "listen_addresses": "127.0.0.1",
    "log_min_messages": "log",
}

READY = "database system is ready to accept connections"


def free_port() -> int:
    """A port that nobody listens on."""
    for port in random.sample(PORTS, 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError("no port is free")


def options(values: Mapping[str, object]) -> list[str]:
    """Values as options of a command."""
    return [f"--{name}={value}" for name, value in values.items()]


@define(eq=False)
class PostgresServer:
    """
    A server that is in nobody's way.

    @ivar directory: where its socket is.
    @ivar data: where its files are.
    @ivar fsync: whether what it has committed survives a power cut; that takes its time.
    @ivar log: what it has said since it was made.
    """

    directory: Path
    data: Path
    programs: Path
    account: Account
    fsync: bool
    locale: str | None
    _watcher: subprocess.Popen[str]
    port: int = field(factory=free_port)
    log: list[str] = field(factory=list, init=False)
    _process: subprocess.Popen[str] | None = field(default=None, init=False)
    _listener: Thread | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The process whose children are all others."""
        assert self._process is not None, "not started"
        return self._process.pid

    def make(self) -> None:
        """Make its files, and all that a server has before anybody has used it."""
        locale = self.locale or "C"
        how = {
            "pgdata": self.data,
            "username": "postgres",
            "auth-local": "trust",
            "auth-host": "scram-sha-256",
            "encoding": "UTF8",
            "locale": "C",
            "lc-collate": locale,
            "lc-ctype": locale,
        }
        made = subprocess.run(
            [self.programs / "initdb", "--no-sync", *options(how)],
            capture_output=True,
            text=True,
            **self._environment,
        )
        assert made.returncode == 0, f"initdb:\n{made.stdout}{made.stderr}"

    def start(self) -> None:
        """Start, and return when connections are accepted."""
        assert self._process is None, "started already"
        settings = SETTINGS | {
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "fsync": "on" if self.fsync else "off",
        }
        process = subprocess.Popen(
            [self.programs / "postgres", "-D", self.data, *options(settings)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # an interrupt is for the tests: they stop it
            **self._environment,
        )
        self._process = process
        self._watch(process.pid)
        ready: SimpleQueue[bool] = SimpleQueue()
        self._listener = Thread(target=self._listen, args=(process, ready), daemon=True)
        self._listener.start()
        if not ready.get(timeout=START_SECONDS):
            self.kill()
            raise AssertionError("PostgreSQL did not start:\n" + "".join(self.log))

    def stop(self, mode: str = "fast") -> None:
        """
        End it. C{fast} ends all sessions and writes everything down; C{immediate} leaves that to
        the next start, as a crash does, but in good order.
        """
        os.kill(self.pid, STOPS[mode])
        self._ended()

    def kill(self) -> None:
        """End all its processes at the same moment, as a crash of their machine does."""
        families.kill(self.pid)
        self._ended()
        # A machine that crashes keeps no shared memory; which that is stands in the seventh line.
        with suppress(FileNotFoundError):
            for line in (self.data / "postmaster.pid").read_text().splitlines()[6:7]:
                ctypes.CDLL(None).shmctl(int(line.split()[1]), 0, None)

    def pause(self) -> None:
        """Let all its processes stand still; who asks them something gets no answer."""
        families.stop(self.pid)

    def resume(self) -> None:
        """Let them go on."""
        families.go_on(self.pid)

    def close(self) -> None:
        """End it if it runs, whatever state it is in."""
        if self._process is not None:
            families.end(self.pid)
            self._ended()

    def create_database(self, name: str, *, encoding: str = "UTF8") -> str:
        """
        Make a database that has nothing in it, and belongs to a role that may do nothing else.

        It sorts as people do, where nothing else is said.

        @return: its URL, over the socket.
        """
        # The locale is for UTF-8 only.
        characters = f"ENCODING '{encoding}'" + ("" if encoding == "UTF8" else " LOCALE 'C'")
        self.execute(f'CREATE DATABASE "{name}" OWNER {ROLE} TEMPLATE template0 {characters}')
        return self.url(name)

    def copy_database(self, name: str, original: str) -> str:
        """Make a database that is as another is, which nobody may be connected to; its URL."""
        # As files it is done sooner; older servers know no other way.
        [(version,)] = self.execute("SELECT current_setting('server_version_num')::int / 10000")
        strategy = "STRATEGY file_copy" if version >= 15 else ""
        self.execute(f'CREATE DATABASE "{name}" OWNER {ROLE} TEMPLATE "{original}" {strategy}')
        return self.url(name)

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is connected to it."""
        self.execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    def url(self, name: str) -> str:
        """Where a database is, over the socket."""
        return f"postgresql://{ROLE}@/{name}?host={self.directory}&port={self.port}"

    def tcp_url(self, name: str) -> str:
        """Where a database is, over TCP and with a password."""
        return f"postgresql://{ROLE}:{PASSWORD}@127.0.0.1:{self.port}/{name}"

    def execute(self, sql: str, database: str = "postgres") -> list[tuple[Any, ...]]:
        """Do something as who may do anything; what it found, if it looks for something."""
        where = {"host": str(self.directory), "port": self.port, "dbname": database}
        with closing(psycopg2.connect(user="postgres", **where)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql)
                return cursor.fetchall() if cursor.description else []

    @property
    def _environment(self) -> dict[str, Any]:
        variables = {
            "PATH": os.defpath,
            "LOCPATH": f"{self.directory}:/usr/lib/locale",
            "TZ": "UTC",
        }
        return {"cwd": self.directory, "env": variables, **self.account.as_whom}

    def _listen(self, process: subprocess.Popen[str], ready: SimpleQueue[bool]) -> None:
        """In a thread, so that the server never waits for somebody who hears it."""
        assert process.stderr is not None
        with process.stderr:
            for line in process.stderr:
                self.log.append(line)
                if READY in line:
                    ready.put(True)
        ready.put(False)

    def _ended(self) -> None:
        process, listener = self._process, self._listener
        assert process is not None
        assert listener is not None
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            families.kill(process.pid)
            process.wait()
            raise AssertionError("PostgreSQL did not stop:\n" + "".join(self.log)) from None
        finally:
            self._process = self._listener = None
            self._watch(0)
        listener.join(STOP_SECONDS)

    def _watch(self, pid: int) -> None:
        print(pid, file=self._watcher.stdin, flush=True)


def has_room(directory: Path) -> bool:
    """Whether a database may be there."""
    return os.access(directory, os.W_OK) and disk_usage(directory).free >= MEMORY_BYTES


@contextmanager
def postgres(*, fsync: bool = False) -> Iterator[PostgresServer]:
    """
    A server that runs, and is gone afterwards, also if these tests do not live to see it.
    """
    # The path of a socket is short, and everybody may enter here.
    directory = Path(tempfile.mkdtemp(prefix="ociregd-postgres-", dir="/tmp"))
    in_memory = not fsync and has_room(MEMORY)
    data = MEMORY / directory.name if in_memory else directory / "data"
    watcher = subprocess.Popen(
        [sys.executable, "-I", families.__file__, str(directory), str(data)],
        stdin=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    whose = account()
    with watcher:
        data.mkdir(mode=0o700)
        locale = collation.make_locale(directory)
        whose.give(directory)
        whose.give(data)
        server = PostgresServer(
            directory, data, programs().usable(whose, directory), whose, fsync, locale, watcher
        )
        try:
            server.make()
            server.start()
            server.execute(f"CREATE ROLE {ROLE} LOGIN PASSWORD '{PASSWORD}'")
            yield server
        finally:
            server.close()
