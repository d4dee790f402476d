"""
Requests that are dispatched when their headers are in, with the body still to come.

twisted.web reads a whole body before it renders. Here a request with a body is rendered from
C{gotLength}, and its body is a paused push producer. This module and L{ociregd.web.channel} are the
ones that know private names of twisted.web: here C{channel._command}, C{._path} and C{._version}
(the request line, which the channel hands over only at the end of the body), and how a channel
counts its requests: it goes on to the next one when C{finish} is called I{and} the body is over,
so that neither may come alone.

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

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.web.server import Request

from ociregd.access.rules import ANYBODY, Caller
from ociregd.interfaces import IBody
from ociregd.web.body import Drain, EmptyBody, RequestBody, Stopwatch

BODY_METHODS = frozenset({b"POST", b"PUT", b"PATCH"})

#: What is read and dropped of a body that nobody wants, before its request is answered.
DRAIN_BYTES = 64 * 1024 * 1024

#: How long the next piece of such a body may take. A client that waits for the answer sends none.
DRAIN_SECONDS = 0.5

#: How long the connection stays after the answer when the body was longer than that.
LINGER_SECONDS = 2.0


class StreamingRequest(Request):
    """
    A request whose C{body} is there to be read while it arrives, or None if it has none.

    @ivar caller: who sends it.
    """

    defaultContentType = None
    channel: Any
    transport: Any
    body: RequestBody | None = None
    caller: Caller = ANYBODY

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
        expectations = self.requestHeaders.getRawHeaders(b"expect", [])
        expecting = [value.lower() for value in expectations] == [b"100-continue"]
        # The channel would answer it as soon as we return.
        self.requestHeaders.removeHeader(b"expect")
        if length == 0:
            return
        if self.channel._command not in BODY_METHODS:
            self.channel.body_dropped()
            return
        channel = self.channel
        expecting = expecting and channel._version == b"HTTP/1.1"
        turn = Stopwatch(channel.clock)
        self.body = RequestBody(self.transport, turn, length, expecting)
        self.body.pauseProducing()
        channel.body_begins(self.body)
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
        waiting = self.body is not None and not self.body.complete and not self.startedWriting
        if waiting or self._held:
            self._held.append(data)
        else:
            super().write(data)

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
        for data in self._held:
            super().write(data)
        self._held = []
