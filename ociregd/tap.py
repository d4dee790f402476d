"""
C{twistd ociregd}: words into values, and the one place that meets the reactor.
"""

from __future__ import annotations

import resource
import time
from typing import Any

from attrs import evolve
from twisted.application.service import IService
from twisted.internet.endpoints import serverFromString
from twisted.python import usage

from ociregd.access.htpasswd import HtpasswdInvalid, read_users
from ociregd.configuration import DEFAULT_CONFIG, ConfigurationError, load
from ociregd.service import registry_service
from ociregd.settings import Settings


class Options(usage.Options):
    """What the command line says."""

    synopsis = "[--config FILE] [--root DIR] [--listen ENDPOINT]"
    longdesc = (
        "An OCI registry: container runtimes push images to it and pull them from it. Without any "
        f"option the configuration is {DEFAULT_CONFIG}; with --root none is needed, and everything "
        "else has its default. Options win over the configuration. Stop it with SIGTERM: requests "
        "under way finish first."
    )
    optParameters = [
        ["config", "c", None, f"The configuration file. [default: {DEFAULT_CONFIG}]"],
        ["root", "r", None, "The directory for blobs and metadata."],
    ]

    def __init__(self) -> None:
        super().__init__()
        self["listen"] = []

    def opt_listen(self, endpoint: str) -> None:
        """
        Where to listen, a Twisted endpoint string; may be repeated.
        """
        self["listen"].append(endpoint)

    opt_l = opt_listen

    def postOptions(self) -> None:
        try:
            self.settings = self._settings()
        except ConfigurationError as problem:
            raise usage.UsageError(str(problem)) from None

    def _settings(self) -> Settings:
        configuration = load(self["config"], self["root"])
        settings = configuration.settings
        if self["listen"]:
            settings = evolve(settings, listen=tuple(self["listen"]))
        for endpoint in settings.listen:
            if problem := problem_with(endpoint):
                if self["listen"]:
                    raise usage.UsageError(f"--listen {endpoint}: {problem}")
                raise configuration.error(f"{endpoint}: {problem}", "listen")
        for endpoint in settings.operations.listen:
            if problem := problem_with(endpoint):
                raise configuration.error(f"{endpoint}: {problem}", "operations", "listen")
        if settings.access is not None and settings.access.htpasswd is not None:
            try:
                read_users(settings.access.htpasswd)
            except HtpasswdInvalid as problem:
                raise configuration.error(str(problem), "access", "htpasswd") from None
        return settings


def problem_with(endpoint: str) -> str:
    """
    Why an endpoint string does not mean anything, or nothing if it does.
    """
    try:
        serverFromString(None, endpoint)
    except OSError as problem:
        # The files of an ssl: endpoint are read here.
        return f"{problem.filename}: {problem.strerror}"
    except Exception as problem:
        # Each kind of endpoint has its own parser, and they raise what they will.
        return f"this is not a Twisted endpoint: {problem}"
    return ""


def makeService(options: Options) -> IService:
    """
    Called by twistd.
    """
    from twisted.internet import reactor

    # Twisted's timers follow the time of day: if that is set back, none fires until it has caught
    # up. The reactor asks this attribute for the time, and nothing that is stored comes from it.
    reactor_clock: Any = reactor
    reactor_clock.seconds = time.monotonic
    use_all_descriptors()
    return registry_service(options.settings, reactor)


def use_all_descriptors() -> None:
    """
    Let this process have as many open files as it may: a connection is one, and a pull three.

    The usual soft limit of 1024 is for programs that use select(2).
    """
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
