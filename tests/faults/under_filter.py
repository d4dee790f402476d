"""
Run a command whose changes to files wait for somebody's decision: C{under_filter.py SOCKET
COMMAND...}

A program of its own, that needs nothing but the interpreter: it puts a seccomp filter on itself,
sends the descriptor on which the kernel asks over the socket with that number, and becomes the
command.
"""

from __future__ import annotations

import array
import ctypes
import os
import socket
import struct
import sys

#: By number on x86-64, the only machine that this knows.
MACHINE = "x86_64"
AUDIT_ARCH = 0xC000003E
SECCOMP = 317

#: What changes files, or reads what is stored; and C{sendto}: an answer on its way. Not C{read},
#: which would be every module of the interpreter, nor C{sendmsg}: we use it ourselves.
CALLS = {
    1: "write",
    17: "pread64",
    18: "pwrite64",
    20: "writev",
    40: "sendfile",
    44: "sendto",
    74: "fsync",
    75: "fdatasync",
    76: "truncate",
    77: "ftruncate",
    82: "rename",
    83: "mkdir",
    84: "rmdir",
    86: "link",
    87: "unlink",
    88: "symlink",
    258: "mkdirat",
    263: "unlinkat",
    264: "renameat",
    265: "linkat",
    285: "fallocate",
    296: "pwritev",
    316: "renameat2",
    328: "pwritev2",
}

#: Only when it may create a file: an interpreter opens hundreds of others.
OPENAT = 257

SECCOMP_SET_MODE_FILTER = 1
SECCOMP_FILTER_FLAG_NEW_LISTENER = 8
PR_SET_NO_NEW_PRIVS = 38

LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, ASK = 0x7FFF0000, 0x7FC00000

#: Where C{struct seccomp_data} has the number of the call, the machine, and the third argument.
NUMBER, ARCHITECTURE, FLAGS = 0, 4, 32


class Program(ctypes.Structure):
    """The kernel's C{struct sock_fprog}."""

    _fields_ = [("length", ctypes.c_ushort), ("filter", ctypes.c_char_p)]


def program() -> bytes:
    """
    The filter: whether a call is one of ours, and if not, let it pass.
    """
    numbers = sorted(CALLS)
    # A jump counts the instructions that it leaves out; the last two are ALLOW and ASK.
    steps: list[tuple[int, int, int, int]] = [
        (LOAD, 0, 0, ARCHITECTURE),
        (EQUAL, 0, len(numbers) + 4, AUDIT_ARCH),
        (LOAD, 0, 0, NUMBER),
    ]
    for position, number in enumerate(numbers):
        steps.append((EQUAL, len(numbers) - position + 3, 0, number))
    steps += [
        (EQUAL, 0, 2, OPENAT),
        (LOAD, 0, 0, FLAGS),
        (ANY_BIT, 1, 0, os.O_CREAT),
        (RETURN, 0, 0, ALLOW),
        (RETURN, 0, 0, ASK),
    ]
    return b"".join(struct.pack("=HBBI", *step) for step in steps)


def filtered() -> int:
    """
    Put the filter on this process and all that it becomes.

    @return: the descriptor on which the kernel asks.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    steps = program()
    filter_program = Program(len(steps) // 8, steps)
    listener: int = libc.syscall(
        SECCOMP,
        SECCOMP_SET_MODE_FILTER,
        SECCOMP_FILTER_FLAG_NEW_LISTENER,
        ctypes.byref(filter_program),
    )
    if listener < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"seccomp: {os.strerror(number)}")
    return listener


def main(number: str, *command: str) -> None:
    """Never returns."""
    with socket.socket(fileno=int(number)) as out:
        rights = array.array("i", [filtered()])
        out.sendmsg([b"!"], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, rights)])
    os.execv(command[0], command)


if __name__ == "__main__":
    main(*sys.argv[1:])
