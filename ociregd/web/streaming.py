"""
Requests that are dispatched when their headers are in, with the body still to come.

twisted.web reads a whole body before it renders. Here a request with a body is rendered from
C{gotLength}, and its body is a paused push producer. This is the one module that knows private
attributes of twisted.web: C{channel._command}, C{._path} and C{._version} (the request line, which
the channel hands over only at the end of the body), and how a channel counts its requests: it goes
on to the next one when C{finish} is called I{and} the body is over, so that neither may come alone.

What makes it right:

  - a request without a body takes the usual path; so does a body that means nothing (of a GET,
    say): it is read and dropped before the request is rendered;
  - the transport stays paused until a handler reads;
  - C{Expect: 100-continue} is answered by the first read, never after a refusal;
  - an answer that comes before the end of the body waits until the rest is read and dropped, within
    bounds, since clients hang or retry for minutes when the connection closes on them; beyond those
    bounds it says C{Connection: close}, and the client gets a moment to read it;
  - a client that goes away cancels the handler (that is Klein's part).
"""

from __future__ import annotations

from io import BytesIO
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer, IReactorTime
from twisted.python.failure import Failure
from twisted.web.server import Request
from zope.interface import implementer

from ociregd.errors import ManifestTooLarge
from ociregd.interfaces import IBody

BODY_METHODS = frozenset({b"POST", b"PUT", b"PATCH"})

#: What is read and dropped of a body that nobody wants, before its request is answered.
DRAIN_BYTES = 64 * 1024 * 1024

#: How long the next piece of such a body may take. A client that waits for the answer sends none.
DRAIN_SECONDS = 0.5

#: How long the connection stays after the answer when the body was longer than that.
LINGER_SECONDS = 2.0


@implementer(IConsumer)
@define(eq=False)
class Collected:
    """
    A consumer that keeps everything, up to a limit.
    """

    _limit: int
    _producer: Any = field(default=None, init=False)
    _parts: list[bytes] = field(factory=list, init=False)
    size: int = field(default=0, init=False)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        self.size += len(data)
        if self.size <= self._limit:
            self._parts.append(data)
        else:
            self._parts.clear()
            self._producer.stopProducing()

    def value(self) -> bytes:
        return b"".join(self._parts)


@implementer(IBody)
class EmptyBody:
    """
    The body of a request that has none.
    """

    length = 0

    async def deliver_to(self, consumer: Any) -> int:
        return 0

    async def read(self, limit: int) -> bytes:
        return b""


@implementer(IBody, IPushProducer)
@define(eq=False)
class RequestBody:
    """
    The body of one request.

    @ivar received: how many bytes came in so far.
    @ivar waiting_for_client: whether it is the client's turn: nobody here holds the body back.
    """

    _request: StreamingRequest
    length: int | None
    _expecting: bool
    received: int = field(default=0, init=False)
    delivered: int = field(default=0, init=False)
    complete: bool = field(default=False, init=False)
    waiting_for_client: bool = field(default=False, init=False)
    _early: list[bytes] = field(factory=list, init=False)
    _consumer: Any = field(default=None, init=False)
    _over: Deferred[None] | None = field(default=None, init=False)

    def refuse_unseen(self) -> bool:
        """
        Whether the client waits for a 100; from now on it will not get one.
        """
        expecting, self._expecting = self._expecting, False
        return expecting

    async def deliver_to(self, consumer: Any) -> int:
        before = self.delivered
        self._consumer, over = consumer, Deferred[None]()
        self._over = over
        consumer.registerProducer(self, True)
        try:
            self._say_continue()
            self.resumeProducing()
            await over
        finally:
            self._consumer = self._over = None
            consumer.unregisterProducer()
        return self.delivered - before

    async def read(self, limit: int) -> bytes:
        if self.length is not None and self.length > limit:
            raise ManifestTooLarge(f"{self.length} bytes; this registry takes {limit} at most")
        collected = Collected(limit)
        await self.deliver_to(collected)
        if collected.size > limit:
            raise ManifestTooLarge(f"this registry takes {limit} bytes at most")
        return collected.value()

    def resumeProducing(self) -> None:
        # The consumer may pause or stop us again with each piece that was early.
        self.waiting_for_client = True
        while self._early and self.waiting_for_client and self._consumer is not None:
            self._deliver(self._early.pop(0))
        if self._consumer is None or not self.waiting_for_client:
            return
        if self.complete:
            self._finish()
        else:
            self._request.transport.resumeProducing()

    def pauseProducing(self) -> None:
        self.waiting_for_client = False
        if not self.complete:
            self._request.transport.pauseProducing()

    def stopProducing(self) -> None:
        """The consumer wants no more: whoever delivers goes on without the rest."""
        self.pauseProducing()
        self._finish()

    def data_received(self, data: bytes) -> None:
        """From the channel: the next piece."""
        self.received += len(data)
        if self._consumer is not None and self.waiting_for_client:
            self._deliver(data)
        else:
            # Came with the headers, or was on its way when we paused.
            self._early.append(data)
            self.pauseProducing()

    def ended(self) -> None:
        """From the channel: that was all."""
        self.complete = True
        if self._consumer is not None and self.waiting_for_client:
            self._finish()

    def _deliver(self, data: bytes) -> None:
        self.delivered += len(data)
        self._consumer.write(data)

    def _finish(self) -> None:
        self.waiting_for_client = False
        over, self._over = self._over, None
        if over is not None:
            over.callback(None)

    def _say_continue(self) -> None:
        if self._expecting:
            self._expecting = False
            if not self.received:
                self._request.transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


@implementer(IConsumer)
@define(eq=False)
class Drain:
    """
    Drops a body: until it ends, until C{limit} bytes, or until none came for C{seconds}.
    """

    _clock: IReactorTime
    _limit: int
    _seconds: float
    _timer: IDelayedCall | None = field(default=None, init=False)
    _producer: Any = field(default=None, init=False)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer
        self._timer = self._clock.callLater(self._seconds, self._too_slow)

    def unregisterProducer(self) -> None:
        self._producer = None
        if self._timer is not None and self._timer.active():
            self._timer.cancel()

    def write(self, data: bytes) -> None:
        self._limit -= len(data)
        if self._limit <= 0:
            self._producer.stopProducing()
        elif self._timer is not None and self._timer.active():
            self._timer.reset(self._seconds)

    def _too_slow(self) -> None:
        self._producer.stopProducing()


class StreamingRequest(Request):
    """
    A request whose C{body} is there to be read while it arrives, or None if it has none.
    """

    defaultContentType = None
    channel: Any
    transport: Any
    body: RequestBody | None = None

    def __init__(self, channel: Any, *args: Any, **kwargs: Any) -> None:
        super().__init__(channel, *args, parsePOSTFormSubmission=False, **kwargs)
        self._held: list[bytes] = []
        self._settling: Deferred[None] | None = None

    @property
    def incoming(self) -> IBody:
        """The body, be it empty."""
        return self.body if self.body is not None else EmptyBody()

    def gotLength(self, length: int | None) -> None:
        self.content = BytesIO()  # nothing will be kept there
        if length == 0:
            return
        if self.channel._command not in BODY_METHODS:
            self.channel.body_dropped()
            return
        expectations = self.requestHeaders.getRawHeaders(b"expect", [])
        expecting = [value.lower() for value in expectations] == [b"100-continue"]
        # The channel would answer it as soon as we return.
        self.requestHeaders.removeHeader(b"expect")
        channel = self.channel
        self.body = RequestBody(self, length, expecting and channel._version == b"HTTP/1.1")
        self.body.pauseProducing()
        self.channel.body_begins(self.body)
        super().requestReceived(channel._command, channel._path, channel._version)

    def handleContentChunk(self, data: bytes) -> None:
        if self.body is not None:
            self.body.data_received(data)

    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.channel.body_ended()
        if self.body is None:
            super().requestReceived(command, path, version)
        else:
            self.body.ended()

    def getHeader(self, key: Any) -> Any:
        """The last value of a header, as text if C{key} is, whatever bytes a client puts there."""
        if isinstance(key, bytes):
            return super().getHeader(key)
        value = super().getHeader(key.encode("ascii"))
        return value.decode("latin-1") if value is not None else None

    def getRequestHostname(self) -> bytes:
        # Klein binds its routes to it. Nothing here depends on what the client believes to talk to.
        return b"registry"

    def process(self) -> None:
        if not self.path.startswith(b"/"):
            # The absolute form (RFC 9112, 3.2.2), or an asterisk, for which Twisted has an answer
            # of its own.
            _, absolute, rest = self.path.partition(b"://")
            self.path = b"/" + (rest.partition(b"/")[2] if absolute else self.path)
        super().process()

    def write(self, data: bytes) -> None:
        if self.body is None or self.body.complete or self.startedWriting:
            super().write(data)
        else:
            self._held.append(data)

    def finish(self) -> None:
        if self.body is None or self.body.complete:
            self._release()
            super().finish()
        else:
            self._settling = Deferred.fromCoroutine(self._settle(self.body))
            self._settling.addErrback(self._unsettled)

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        if self._settling is not None:
            self._settling.cancel()

    def _unsettled(self, failure: Failure) -> None:
        if not self._disconnected:
            self._log.failure("could not end a request", failure=failure)
            self.transport.abortConnection()

    async def _settle(self, body: RequestBody) -> None:
        """
        Answer a request whose body is not over: drop the rest first, or close the connection.
        """
        clock = self.channel.clock
        if not body.refuse_unseen():
            await body.deliver_to(Drain(clock, DRAIN_BYTES, DRAIN_SECONDS))
        cut = not body.complete
        if cut:
            self.channel.persistent = False
            self.setHeader(b"connection", b"close")
        self._release()
        if cut:
            # Closing on a client that is still sending may cost it the answer.
            await body.deliver_to(Drain(clock, DRAIN_BYTES, LINGER_SECONDS))
        super().finish()

    def _release(self) -> None:
        """Write what was held back until the body was over."""
        held, self._held = self._held, []
        for data in held:
            super().write(data)
