"""
Access control as a part of the daemon: what the settings make of it, and what the operator is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from twisted.application.service import IService, Service
from twisted.logger import Logger

from ociregd.access.gate import Gate
from ociregd.access.htpasswd import HtpasswdInvalid, read_users
from ociregd.access.passwords import THREADS, Passwords
from ociregd.settings import Settings
from ociregd.threads import WorkerService

LOOPBACK = re.compile(r"127\.[0-9.]+|localhost|(?:0{0,4}:){2,7}0{0,3}1")


def gate_for(settings: Settings, reactor: Any) -> tuple[Gate | None, Sequence[IService]]:
    """
    Who decides about requests, and what has to run for it; nobody if everybody may do everything.

    @raise SystemExit: if the file of the users cannot be used.
    """
    access = settings.access
    warning = AccessWarning(warning_about(settings))
    if access is None:
        return None, [warning]
    try:
        users = read_users(access.htpasswd) if access.htpasswd is not None else {}
    except HtpasswdInvalid as problem:
        raise SystemExit(f"ociregd: {problem}") from None
    threads = WorkerService(reactor, "passwords", THREADS)
    return Gate(access.rules, Passwords(users, threads.in_thread, reactor)), [warning, threads]


def warning_about(settings: Settings) -> str:
    """What the operator should know about who may do what; nothing if all seems well."""
    if settings.access is None:
        exposed = [endpoint for endpoint in settings.listen if reaches_beyond(endpoint)]
        if exposed:
            return (
                f"{exposed[0]} is not on the loopback, and without [access] in the configuration "
                "everybody who reaches it may push and delete"
            )
    elif not settings.access.rules.rules:
        return "[access] has no [[access.rule]]: nobody may do anything"
    return ""


def reaches_beyond(endpoint: str) -> bool:
    """
    Whether an endpoint string lets other machines in, as far as it says so.
    """
    kind, *arguments = _arguments(endpoint.removeprefix("haproxy:"))
    if kind not in ("tcp", "ssl"):
        return False
    interfaces = [text.partition("=")[2] for text in arguments if text.startswith("interface=")]
    return not interfaces or LOOPBACK.fullmatch(interfaces[-1]) is None


def _arguments(endpoint: str) -> Iterable[str]:
    # As Twisted reads them: a colon ends one, unless there is a backslash before it.
    return [re.sub(r"\\(.)", r"\1", text) for text in re.findall(r"(?:\\.|[^:\\])+", endpoint)]


class AccessWarning(Service):
    """
    Tells the operator something when the daemon starts.
    """

    _log = Logger()

    def __init__(self, text: str) -> None:
        self._text = text

    def startService(self) -> None:
        super().startService()
        if self._text:
            self._log.warn("{text}", text=self._text)
