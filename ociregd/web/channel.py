"""
One connection: what is refused before there is a request, and the patience with slow clients.

Twisted's timer is reset by every byte, so that a client could send one byte a minute for ever. Here
each phase of a connection has a deadline of its own: the wait for a request, its headers, and the
pace of its body. (The pace of those who read is kept in L{ociregd.web.sending}.)

Private names of twisted.web that are used here: C{_version}; C{_dataBuffer} and C{_buffer}, which
have what was pipelined; C{_optimisticEagerReadSize}, how much of it Twisted reads; and
C{_respondToBadRequestAndDisconnect}, which is what the channel calls when it cannot go on.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from attrs import frozen
from twisted.internet.abstract import FileDescriptor
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel

from ociregd.web.body import RequestBody
from ociregd.web.headers import HEADERS

#: The first byte of a TLS handshake.
TLS_HANDSHAKE = b"\x16"

#: The request line with all headers. Range headers of 20 kB and tokens of more than 16 kB are real.
HEADER_BYTES = 64 * 1024

#: The headers of a request; each costs more than its bytes.
HEADER_LINES = 500

#: What one read of a socket may bring while a body arrives. Twisted's 64 KiB are too little for the
#: handing over to a thread to pay: with them a push costs three times the CPU. Not for bodies in
#: chunks: those may be single bytes, and all that came is decoded in one step.
RECEIVE_BYTES = 1024 * 1024

#: The largest Content-Length that is believed.
BODY_BYTES = 2**63 - 1

#: How long a connection that was told to close may take for it.
CLOSE_SECONDS = 15.0


@frozen
class Patience:
    """
    How long the registry waits for its clients.

    @ivar idle_seconds: for the next request on an open connection.
    @ivar header_seconds: for all headers, from their first byte on.
    @ivar rate_seconds: over this time a body or a reader must have the rate.
    @ivar body_rate: bytes per second that a client has to send.
    @ivar reader_rate: bytes per second that a client has to read.
    """

    idle_seconds: float = 60.0
    header_seconds: float = 10.0
    rate_seconds: float = 30.0
    body_rate: int = 1024
    reader_rate: int = 1024


class RegistryChannel(HTTPChannel):
    """
    An HTTP/1.1 connection, that keeps its own deadlines.
    """

    totalHeadersSize = 2 * HEADER_BYTES  # neither is reached: our own limits come first
    maxHeaders = 2 * HEADER_LINES
    MAX_LENGTH = HEADER_BYTES
    timeOut = None
    transport: Any
    site: Any
    _log = Logger()

    def __init__(
        self, clock: IReactorTime, patience: Patience, closed: Callable[[Any], None]
    ) -> None:
        super().__init__()
        self.clock = clock
        self.patience = patience
        self.last_request = False
        self._closed = closed
        self._timer: IDelayedCall | None = None
        self._header_bytes = 0
        self._header_lines = 0
        self._client_behind = False
        self._turn: IDelayedCall | None = None
        self._any_bytes = False
        self._in_head = False

    @property
    def busy(self) -> bool:
        """Whether a request is under way."""
        return bool(self.requests)

    def connectionMade(self) -> None:
        super().connectionMade()
        self._wait(self.patience.idle_seconds, self._idle_too_long)

    def connectionLost(self, reason: Failure) -> None:  # type: ignore[override]
        self._wait(None)
        if self._turn is not None and self._turn.active():
            self._turn.cancel()
        super().connectionLost(reason)
        self._closed(self)

    def dataReceived(self, data: bytes) -> None:
        if self.transport.disconnecting:
            return
        if not self._any_bytes:
            self._any_bytes = True
            if data.startswith(TLS_HANDSHAKE):
                # Clients that were told "insecure" try TLS first, and wait for an answer in HTTP.
                self.refuse(400, "this port speaks plain HTTP")
                return
        if not self.requests and not self._in_head:
            self._in_head = True
            self._wait(self.patience.header_seconds, self._headers_too_late)
        super().dataReceived(data)

    def lineReceived(self, line: bytes) -> None:
        self._header_bytes += len(line) + 2
        self._header_lines += 1
        if self._header_bytes > HEADER_BYTES or self._header_lines > HEADER_LINES:
            self._refuse_size(len(self.requests) > 0)
            return
        super().lineReceived(line)

    def lineLengthExceeded(self, line: bytes) -> None:
        self._refuse_size(len(self.requests) > 0)

    def allHeadersReceived(self) -> None:
        self._header_bytes = self._header_lines = 0
        self._in_head = False
        self._wait(None)
        problem = self._ambiguity()
        if problem is None:
            super().allHeadersReceived()
        else:
            self.length = 1  # a request that is not to be rendered
            self.refuse(*problem)

    def _ambiguity(self) -> tuple[int, str] | None:
        """
        What Twisted lets pass although others may read it differently (RFC 9112 3.2, 6.1).
        """
        headers = self.requests[-1].requestHeaders
        hosts = headers.getRawHeaders(b"host", [])
        if len(hosts) > 1 or (not hosts and self._version == b"HTTP/1.1"):
            return 400, "a request has one Host header"
        if b"identity" in [
            value.lower() for value in headers.getRawHeaders(b"transfer-encoding", [])
        ]:
            return 400, "the transfer coding identity does not exist"
        if headers.hasHeader(b"content-encoding"):
            return 415, "send the body as it is, without a content coding"
        if self.length is not None and self.length > BODY_BYTES:
            return 413, "no body has that length"
        return None

    def pauseProducing(self) -> None:
        """
        From the transport: the client does not read its answers. It is not read from either, or
        what it sends meanwhile would be kept without end.
        """
        self._client_behind = True
        super().pauseProducing()
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """From the transport: the client has caught up. Go on with what it had sent meanwhile."""
        self._client_behind = False
        super().resumeProducing()
        if sum(map(len, self._dataBuffer)) <= self._optimisticEagerReadSize:
            self.transport.resumeProducing()
        self._next_request()

    def body_begins(self, body: RequestBody) -> None:
        """From the request: watch the pace of its body."""
        self._watch(body)
        if body.length is not None:
            self.transport.bufferSize = RECEIVE_BYTES

    def body_dropped(self) -> None:
        """From the request: a body follows that means nothing; it gets the time of headers."""
        self._wait(self.patience.header_seconds, self._headers_too_late)

    def body_ended(self) -> None:
        """From the request: nothing more is expected of the client."""
        self._wait(None)
        self.transport.bufferSize = FileDescriptor.bufferSize

    def requestDone(self, request: Any) -> None:
        self._wait(self.patience.idle_seconds, self._idle_too_long)
        if self.last_request:
            self.persistent = False
        if self.persistent and (self._client_behind or self._dataBuffer or self._buffer):
            # What was pipelined waits: for a client that does not read its answers, until it has,
            # or it would have us keep them all; and in any case for its turn, or thousands of
            # requests that are answered at once would be one step of the reactor.
            self.paused = True
            if not self._client_behind:
                self._turn = self.clock.callLater(0, self._next_request)
        super().requestDone(request)
        if self.paused:
            # Or more would come in with each turn than one request takes out.
            self.transport.pauseProducing()

    def _next_request(self) -> None:
        if self._turn is not None and self._turn.active():
            self._turn.cancel()
        self._turn = None
        if self.paused and not self._client_behind:
            self.paused = False
            self.transport.resumeProducing()
            super().dataReceived(b"")

    def finish_soon(self, seconds: float) -> None:
        """
        Take no request after the present one; one that is on its way may come within C{seconds}.
        """
        self.last_request = True
        if not self.busy:
            self._wait(seconds, self.loseConnection)

    def refuse(self, status: int, message: str) -> None:
        """Answer what is no request, and close."""
        reason = HTTPStatus(status).phrase
        error = {"code": "UNSUPPORTED", "message": message, "detail": reason}
        body = json.dumps({"errors": [error]}).encode()
        fields = {
            **HEADERS,
            "content-type": "application/json",
            "content-length": str(len(body)),
            "connection": "close",
        }
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        self.transport.write(f"HTTP/1.1 {status} {reason}\r\n{lines}\r\n".encode() + body)
        self.loseConnection()

    def _respondToBadRequestAndDisconnect(self) -> None:
        # Twisted's own name for it; its answer has no body.
        if self.requests and self.requests[0].startedWriting:
            self.loseConnection()  # a second answer would not be understood
        else:
            self.refuse(400, "this is not a request of HTTP/1.1")

    def loseConnection(self) -> None:
        # Whatever is not read within this time is not read at all.
        self._wait(CLOSE_SECONDS, self.transport.abortConnection)
        super().loseConnection()

    def _refuse_size(self, headers: bool) -> None:
        if headers:
            most = f"{HEADER_LINES} lines and {HEADER_BYTES} bytes"
            self.refuse(431, f"the headers of a request may have {most}")
        else:
            self.refuse(414, f"a request line may have {HEADER_BYTES} bytes")

    def _watch(self, body: RequestBody) -> None:
        """
        Look at the body again and again; cut the connection if too little came in the time in which
        it was the client's turn.
        """
        received, waited = body.received, body.clients_turn.seconds

        def look() -> None:
            came, seconds = body.received - received, body.clients_turn.seconds - waited
            if seconds < self.patience.rate_seconds:
                # We have held the body back in between: the rest of the time is the client's too.
                self._wait(max(1.0, self.patience.rate_seconds - seconds), look)
            elif came < self.patience.body_rate * seconds:
                self._log.info(
                    "cut {peer}: it sent {came} bytes in {seconds} s",
                    peer=self.transport.getPeer(),
                    came=came,
                    seconds=round(seconds),
                )
                self.transport.abortConnection()
            else:
                self._watch(body)

        self._wait(self.patience.rate_seconds, look)

    def _idle_too_long(self) -> None:
        self.loseConnection()

    def _headers_too_late(self) -> None:
        self.refuse(408, f"headers have to be sent within {self.patience.header_seconds:g} s")

    def _wait(self, seconds: float | None, then: Callable[[], object] | None = None) -> None:
        """Set the one timer of this connection, or stop it."""
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        if seconds is not None and then is not None:
            self._timer = self.clock.callLater(seconds, then)
