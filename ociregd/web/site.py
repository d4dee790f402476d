"""
The site: makes a channel for each connection, and ends in good order.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import (
    IAddress,
    IListeningPort,
    IReactorTime,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.resource import IResource
from twisted.web.server import Site

from ociregd.errors import Unavailable
from ociregd.web.channel import Patience, RegistryChannel
from ociregd.web.streaming import StreamingRequest

#: At a stop, a request may be on its way on a connection that is open and idle.
LAST_REQUEST_SECONDS = 0.5


#: What the log has of a URL; no honest one is as long.
LOGGED_BYTES = 1024


class RegistrySite(Site):
    """
    A site whose requests stream, and whose connections can be drained.
    """

    requestFactory = StreamingRequest
    displayTracebacks = False
    _log = Logger()

    def __init__(self, resource: IResource, clock: IReactorTime, patience: Patience) -> None:
        super().__init__(resource, reactor=clock, parsePOSTFormSubmission=False)
        self._clock = clock
        self._patience = patience
        self._channels: set[RegistryChannel] = set()
        self._drained: Deferred[None] | None = None

    def buildProtocol(self, addr: IAddress | None) -> Any:
        # Not Twisted's generic channel, which would switch to HTTP/2.
        channel = RegistryChannel(self._clock, self._patience, self._closed)
        channel.factory = self
        channel.site = self
        channel.requestFactory = self.requestFactory
        self._channels.add(channel)
        return channel

    def acceptableProtocols(self) -> list[bytes]:
        """For ALPN: HTTP/1.1 only. No container runtime needs more."""
        return [b"http/1.1"]

    def startFactory(self) -> None:
        """There is no access log file: requests are logged like everything else."""

    def stopFactory(self) -> None:
        """See L{startFactory}."""

    def log(self, request: Any) -> None:
        self._log.info(
            "{peer} {user} {method} {uri} {status} {size}",
            peer=getattr(request.client, "host", "-"),
            user=request.caller.name or "-",
            method=request.method.decode("ascii", "replace"),
            uri=request.uri[:LOGGED_BYTES].decode("ascii", "replace"),
            status=request.code,
            size=request.sentLength,
        )

    async def drain(self, grace_seconds: float) -> None:
        """
        Let requests under way finish for that long, then cut the rest. No connection is left after.
        """
        for channel in list(self._channels):
            channel.finish_soon(min(LAST_REQUEST_SECONDS, grace_seconds))
        if self._channels:
            self._drained = Deferred()
            timer = self._clock.callLater(grace_seconds, self._cut)
            await self._drained
            if timer.active():
                timer.cancel()

    def _cut(self) -> None:
        self._log.info("cut {count} connections at the end of the grace", count=len(self._channels))
        for channel in list(self._channels):
            channel.transport.abortConnection()

    def _closed(self, channel: RegistryChannel) -> None:
        self._channels.discard(channel)
        if not self._channels and self._drained is not None:
            drained, self._drained = self._drained, None
            drained.callback(None)


class QuietSite(RegistrySite):
    """
    A site that is asked the same every few seconds, and whose requests are not worth a line each.
    """

    def log(self, request: Any) -> None:
        """Nothing is written."""


class SiteService(Service):
    """
    Listens on endpoints as long as it runs; stopping lets requests finish.
    """

    def __init__(
        self,
        site: RegistrySite,
        endpoints: Mapping[str, IStreamServerEndpoint],
        grace_seconds: float,
    ) -> None:
        """
        @param endpoints: by the text that the configuration has for them.
        @param grace_seconds: how long requests have to finish at a stop.
        """
        self._site = site
        self._endpoints = endpoints
        self._grace_seconds = grace_seconds
        self._ports: list[IListeningPort] = []

    def privilegedStartService(self) -> None:
        super().privilegedStartService()
        for text, endpoint in self._endpoints.items():
            listening = endpoint.listen(self._site)
            problems: list[Failure] = []
            listening.addCallbacks(self._ports.append, problems.append)
            # Binding never waits, so the outcome is known here.
            for problem in problems:
                raise SystemExit(f"ociregd: cannot listen on {text}: {problem.getErrorMessage()}")

    async def check(self) -> None:
        """
        @raise Unavailable: if requests are not served, since the daemon is about to stop.
        """
        if not self.running:
            raise Unavailable("the registry is about to stop")

    def startService(self) -> None:
        if not self._ports:
            self.privilegedStartService()
        super().startService()

    def stopService(self) -> Deferred[None]:
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        ports, self._ports = self._ports, []
        # Even a port that cannot be closed must not keep the requests from their grace.
        await DeferredList([maybeDeferred(port.stopListening) for port in ports])
        await self._site.drain(self._grace_seconds)
