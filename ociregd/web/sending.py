"""
Answers at the pace of the client: blobs from a file, large manifests from the database, lists from
memory.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from ociregd.web.streaming import StreamingRequest

#: What is read at a time. It is also what a slow reader costs in memory.
CHUNK_BYTES = 256 * 1024

#: Small enough to be written at once, whatever the client does.
SMALL_BYTES = 64 * 1024

#: Bytes from C{start}, at most C{count} of them, and none only at the end.
Read = Callable[[int, int], Awaitable[bytes]]


class Truncated(Exception):
    """There are fewer bytes than were promised to the client."""


@implementer(IPushProducer)
@define(eq=False)
class Gate:
    """
    Shut while the client is behind.

    A client that keeps it shut for too long, and so does not even take a chunk in that time, is
    cut.
    """

    _clock: IReactorTime
    _patience_seconds: float
    _cut: Callable[[], object]
    _shut: Deferred[None] | None = field(default=None, init=False)
    _timer: IDelayedCall | None = field(default=None, init=False)

    def pauseProducing(self) -> None:
        if self._shut is None:
            self._shut = Deferred()
            self._timer = self._clock.callLater(self._patience_seconds, self._cut)

    def resumeProducing(self) -> None:
        self._stop_timer()
        shut, self._shut = self._shut, None
        if shut is not None:
            shut.callback(None)

    def stopProducing(self) -> None:
        """Forget the client. If it has gone, Klein cancels the handler."""
        self._stop_timer()

    async def opened(self) -> None:
        """Wait until the client has caught up."""
        if self._shut is not None:
            await self._shut

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


async def send(request: StreamingRequest, read: Read, start: int, stop: int) -> None:
    """
    Write the bytes from C{start} to before C{stop} as (a part of) the body of the answer.

    @raise Truncated: if there are not as many.
    """
    # The channel is one of ours: L{ociregd.web.channel.RegistryChannel}.
    clock, cut = request.channel.clock, request.transport.abortConnection
    gate = Gate(clock, patience_seconds(request), cut)
    request.registerProducer(gate, True)
    try:
        while start < stop:
            chunk = await read(start, min(CHUNK_BYTES, stop - start))
            if not chunk:
                raise Truncated(f"{stop - start} bytes are missing")
            request.write(chunk)
            start += len(chunk)
            await gate.opened()
    finally:
        gate.stopProducing()
        # After a hang-up there is no channel to be unregistered from.
        if request.channel is not None:
            request.unregisterProducer()


def patience_seconds(request: StreamingRequest) -> float:
    """How long a client may take nothing at all."""
    patience = request.channel.patience
    return float(max(patience.rate_seconds, CHUNK_BYTES / patience.reader_rate))


async def send_bytes(request: StreamingRequest, body: bytes) -> None:
    """
    Write the body of an answer that is in memory.
    """
    if len(body) <= SMALL_BYTES:
        request.write(body)
        return

    async def read(start: int, count: int) -> bytes:
        return body[start : start + count]

    await send(request, read, 0, len(body))
