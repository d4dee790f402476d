"""
Blobs from file to socket inside the kernel, for connections without TLS: half the CPU of reading
them into this process and writing them out again (C{bench/transfer.py}).

The transport stays in charge of the connection: it says when what it had to send is gone, and when
the socket takes more; in between a thread calls sendfile(2), which may have to wait for the disk.
"""

from __future__ import annotations

from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IPullProducer, IReadWriteDescriptor, ISSLTransport
from zope.interface import implementer

from ociregd.interfaces import IBlobReader
from ociregd.threads import carried_through
from ociregd.web.sending import Truncated, patience_seconds, send
from ociregd.web.streaming import StreamingRequest

#: What one call may send, so that a fast reader leaves the thread to others now and then.
CALL_BYTES = 4 * 1024 * 1024

#: Below this the usual way is as quick.
SMALL_BYTES = 64 * 1024


@implementer(IPullProducer)
@define(eq=False)
class Writable:
    """
    Tells when a transport has nothing left to send, and its socket takes more.
    """

    _transport: Any
    _waiting: Deferred[None] | None = field(default=None, init=False)

    def resumeProducing(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def stopProducing(self) -> None:
        """Klein cancels the handler when the client has gone."""

    def wait(self) -> Deferred[None]:
        """Fires once that is so."""
        self._waiting = Deferred()
        self._transport.startWriting()
        return self._waiting


async def send_slice(request: StreamingRequest, reader: IBlobReader, start: int, stop: int) -> None:
    """
    Write the bytes of a blob from C{start} to before C{stop} as (a part of) the body of the answer.

    @raise Truncated: if there are not as many.
    """
    transport = request.transport
    plain = IReadWriteDescriptor.providedBy(transport) and not ISSLTransport.providedBy(transport)
    if not plain or stop - start <= SMALL_BYTES:
        await send(request, reader.read, start, stop)
        return
    out = reader.duplicate(transport.getHandle().fileno())
    request.write(b"")  # the headers, if they are not out yet
    writable = Writable(transport)
    # The channel is this transport's producer at other times, and it is a push producer: it would
    # not be told about an empty buffer.
    transport.unregisterProducer()
    transport.registerProducer(writable, False)
    try:
        await pump(request, writable, reader, out, start, stop)
    finally:
        await carried_through(reader.release(out))
        transport.unregisterProducer()
        if request.channel is not None:
            transport.registerProducer(request.channel, True)
            # It was not told when its own answers had left the buffer.
            request.channel.resumeProducing()
    request.sentLength += stop - start


async def caught_up(request: StreamingRequest, writable: Writable) -> None:
    """
    Wait until the client has taken what there was. One that does not for too long is cut.
    """
    cut, seconds = request.transport.abortConnection, patience_seconds(request)
    timer = request.channel.clock.callLater(seconds, cut)
    try:
        await writable.wait()
    finally:
        if timer.active():
            timer.cancel()


async def pump(
    request: StreamingRequest,
    writable: Writable,
    reader: IBlobReader,
    out: int,
    start: int,
    stop: int,
) -> None:
    """
    Send until it is done. A client that does not take anything for too long is cut.
    """
    await caught_up(request, writable)
    while start < stop:
        try:
            count = await reader.send(out, start, min(CALL_BYTES, stop - start))
        except BlockingIOError:
            await caught_up(request, writable)
        except (ConnectionError, TimeoutError):
            # The transport will notice, and Klein will cancel us.
            request.transport.abortConnection()
            await Deferred()
        else:
            if not count:
                raise Truncated(f"{stop - start} bytes are missing")
            start += count
