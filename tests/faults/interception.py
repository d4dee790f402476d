"""
Every change that a process makes to its files, one after the other, with a say in what becomes of
it.

The kernel stops a thread at each call that the filter of L{under_filter} names and asks here. The
calls of all threads are numbered together, so that "the 17th" is a point in the life of the
daemon.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import struct
import threading
from collections.abc import Callable
from contextlib import suppress

from attrs import define, field, frozen

from .under_filter import CALLS, OPENAT

#: C{SECCOMP_IOCTL_NOTIF_RECV} and C{_SEND}, and C{SECCOMP_USER_NOTIF_FLAG_CONTINUE}.
RECEIVE, SEND = 0xC0502100, 0xC0182101
CONTINUE = 1
QUESTION, ANSWER = struct.Struct("=QIIiIQ6Q"), struct.Struct("=QqiI")

PIDFD_OPEN, PIDFD_GETFD = 434, 438

#: Which argument of a call is the path of what changes; for all others the first is a descriptor.
PATHS = {
    "truncate": 0,
    "mkdir": 0,
    "rmdir": 0,
    "unlink": 0,
    "rename": 1,
    "link": 1,
    "symlink": 1,
    "openat": 1,
    "mkdirat": 1,
    "unlinkat": 1,
    "renameat": 3,
    "renameat2": 3,
    "linkat": 3,
}


#: Which argument is the descriptor of the file, where it is not the first.
DESCRIPTORS = {"sendfile": 1}

READS = frozenset({"pread64", "sendfile"})


@frozen
class Call:
    """
    One system call that is about to happen.

    @ivar path: relative to the storage root; C{socket} if it is an answer to a client.
    """

    name: str
    path: str
    thread: int
    arguments: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.path}"

    @property
    def answers(self) -> bool:
        """Whether this is an answer to a client."""
        return self.path == "socket"

    @property
    def reads(self) -> bool:
        """Whether this changes nothing."""
        return self.name in READS


@frozen
class Outcome:
    """
    What the process is told: an error, or a result in place of the call; or the call goes on.
    """

    error: int = 0
    result: int | None = None


GO_ON = Outcome()

Decide = Callable[[Call], Outcome]


def every_call(call: Call) -> Outcome:
    """Let everything happen."""
    return GO_ON


def short_write(call: Call) -> Outcome:
    """
    Write half of what was to be written, in the name of the process.
    """
    descriptor, address, count, offset = call.arguments[:4]
    if count < 2:
        return GO_ON
    libc = ctypes.CDLL(None, use_errno=True)
    process = libc.syscall(PIDFD_OPEN, thread_group(call.thread), 0)
    copy = libc.syscall(PIDFD_GETFD, process, descriptor, 0)
    try:
        data = read_memory(call.thread, address, count // 2)
        return Outcome(result=os.pwrite(copy, data, offset))
    finally:
        os.close(copy)
        os.close(process)


def thread_group(thread: int) -> int:
    """The process that a thread belongs to."""
    with open(f"/proc/{thread}/status") as status:
        [number] = [line.split()[1] for line in status if line.startswith("Tgid:")]
    return int(number)


def read_memory(thread: int, address: int, count: int) -> bytes:
    """Up to that many bytes of another process."""
    with open(f"/proc/{thread}/mem", "rb", buffering=0) as memory:
        return os.pread(memory.fileno(), count, address)


@define(eq=False)
class Interceptor:
    """
    Decides about the calls of one process until it ends. A context manager, in a thread of its own.

    @ivar decide: called for each call below the root, and for each answer to a client.
    @ivar seen: all those calls, in order.
    """

    _listener: int
    _root: str
    decide: Decide = every_call
    seen: list[Call] = field(factory=list)
    failure: BaseException | None = None
    _thread: threading.Thread | None = None

    def start(self) -> None:
        """Begin to decide."""
        self._thread = threading.Thread(target=self._run, name="interceptor", daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait until the process, which must be about to end, has ended; tell what went wrong."""
        assert self._thread is not None, "not started"
        self._thread.join()
        if self.failure is not None:
            raise self.failure

    def _run(self) -> None:
        poll = select.poll()
        poll.register(self._listener, select.POLLIN)
        try:
            while all(event & select.POLLIN for _, event in poll.poll()):
                # Who asked was killed meanwhile.
                with suppress(FileNotFoundError, ProcessLookupError):
                    self._answer_one()
        except BaseException as problem:
            self.failure = problem
        finally:
            # Whoever waits for an answer now gets ENOSYS.
            os.close(self._listener)

    def _answer_one(self) -> None:
        question = bytearray(QUESTION.size)
        fcntl.ioctl(self._listener, RECEIVE, question)
        identity, thread, _, number, _, _, *arguments = QUESTION.unpack(question)
        outcome = GO_ON
        call = self._call(thread, number, tuple(arguments))
        if call is not None:
            self.seen.append(call)
            outcome = self.decide(call)
        goes_on = not outcome.error and outcome.result is None
        answer = ANSWER.pack(
            identity, outcome.result or 0, -outcome.error, CONTINUE if goes_on else 0
        )
        fcntl.ioctl(self._listener, SEND, answer)

    def _call(self, thread: int, number: int, arguments: tuple[int, ...]) -> Call | None:
        name = "openat" if number == OPENAT else CALLS[number]
        if name in PATHS:
            text = read_memory(thread, arguments[PATHS[name]], 4096).partition(b"\0")[0]
            path = os.path.join(os.readlink(f"/proc/{thread}/cwd"), os.fsdecode(text))
        else:
            try:
                descriptor = arguments[DESCRIPTORS.get(name, 0)]
                path = os.readlink(f"/proc/{thread}/fd/{descriptor}")
            except FileNotFoundError:
                return None
            if name == "sendto" and path.startswith("socket:"):
                return Call(name, "socket", thread, arguments)
        if path != self._root and not path.startswith(f"{self._root}/"):
            return None
        return Call(name, os.path.relpath(path, self._root), thread, arguments)


@define(eq=False)
class Nth:
    """
    Do something at the n-th of the calls that count, or from that one on, and let all others
    happen.

    @ivar hit: the calls that it was done at.
    """

    number: int
    act: Decide
    counts: Callable[[Call], bool]
    lasting: bool = False
    hit: list[Call] = field(factory=list)
    _count: int = 0

    def __call__(self, call: Call) -> Outcome:
        if not self.counts(call):
            return GO_ON
        self._count += 1
        if self._count < self.number or (self._count > self.number and not self.lasting):
            return GO_ON
        self.hit.append(call)
        return self.act(call)


def failing(error: int) -> Decide:
    """Fail a call."""
    return lambda call: Outcome(error=error)


def killing(call: Call) -> Outcome:
    """Kill the process before the call happens."""
    os.kill(thread_group(call.thread), signal.SIGKILL)
    return Outcome(error=1)
