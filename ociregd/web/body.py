"""
The body of a request, as it arrives: a push producer, and the consumers that are none of storage's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer, IDelayedCall, IPushProducer, IReactorTime
from zope.interface import implementer

from ociregd.errors import ManifestTooLarge, TooManyRequests
from ociregd.interfaces import IBody


@implementer(IConsumer)
@define(eq=False)
class Collected:
    """
    A consumer that keeps everything, up to a limit and as long as there is room.

    @ivar refused: why nothing is kept any more.
    """

    _limit: int
    _take: Callable[[int], bool]
    _producer: Any = field(default=None, init=False)
    # In one piece, since chunks may be single bytes.
    _kept: bytearray = field(factory=bytearray, init=False)
    refused: Exception | None = field(default=None, init=False)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        self._producer = producer

    def unregisterProducer(self) -> None:
        self._producer = None

    def write(self, data: bytes) -> None:
        if self.refused is not None:
            return
        if len(self._kept) + len(data) > self._limit:
            self._refuse(ManifestTooLarge(f"this registry takes {self._limit} bytes at most"))
        elif not self._take(len(data)):
            self._refuse(
                TooManyRequests("too many manifests are being pushed at this moment; try again")
            )
        else:
            self._kept += data

    def value(self) -> bytes:
        """
        All that came.

        @raise ManifestTooLarge: if that was too much.
        @raise TooManyRequests: if there was no room for it.
        """
        if self.refused is not None:
            raise self.refused
        return bytes(self._kept)

    def _refuse(self, problem: Exception) -> None:
        self.refused, self._kept = problem, bytearray()
        self._producer.stopProducing()


@implementer(IBody)
class EmptyBody:
    """
    The body of a request that has none.
    """

    length = 0

    async def deliver_to(self, consumer: Any) -> int:
        return 0

    async def read(self, limit: int, take: Callable[[int], bool]) -> bytes:
        return b""


@define
class Stopwatch:
    """
    Adds up the seconds in which it runs.
    """

    _clock: IReactorTime
    _since: float | None = field(default=None, init=False)
    _before: float = field(default=0.0, init=False)

    @property
    def running(self) -> bool:
        return self._since is not None

    @property
    def seconds(self) -> float:
        return self._before + (
            self._clock.seconds() - self._since if self._since is not None else 0
        )

    def start(self) -> None:
        if self._since is None:
            self._since = self._clock.seconds()

    def stop(self) -> None:
        self._before, self._since = self.seconds, None


@implementer(IBody, IPushProducer)
@define(eq=False)
class RequestBody:
    """
    The body of one request.

    @ivar received: how many bytes came in so far.
    @ivar clients_turn: runs while nobody here holds the body back.
    """

    _transport: Any
    clients_turn: Stopwatch
    length: int | None
    _expecting: bool
    received: int = field(default=0, init=False)
    delivered: int = field(default=0, init=False)
    complete: bool = field(default=False, init=False)
    _early: bytearray = field(factory=bytearray, init=False)
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

    async def read(self, limit: int, take: Callable[[int], bool]) -> bytes:
        if self.length is not None and self.length > limit:
            raise ManifestTooLarge(f"{self.length} bytes; this registry takes {limit} at most")
        collected = Collected(limit, take)
        await self.deliver_to(collected)
        return collected.value()

    def resumeProducing(self) -> None:
        self.clients_turn.start()
        if self._early and self._consumer is not None:
            early, self._early = bytes(self._early), bytearray()
            # The consumer may pause or stop us again.
            self._deliver(early)
        if self._consumer is None or not self.clients_turn.running:
            return
        if self.complete:
            self._finish()
        else:
            self._transport.resumeProducing()

    def pauseProducing(self) -> None:
        self.clients_turn.stop()
        if not self.complete:
            self._transport.pauseProducing()

    def stopProducing(self) -> None:
        """The consumer wants no more: whoever delivers goes on without the rest."""
        self.pauseProducing()
        self._finish()

    def data_received(self, data: bytes) -> None:
        """From the channel: the next piece."""
        self.received += len(data)
        if self._consumer is not None and self.clients_turn.running:
            self._deliver(data)
        else:
            # Came with the headers, or was on its way when we paused; in one piece, since chunks
            # may be single bytes.
            self._early += data
            self.pauseProducing()

    def ended(self) -> None:
        """From the channel: that was all."""
        self.complete = True
        if self._consumer is not None and self.clients_turn.running:
            self._finish()

    def _deliver(self, data: bytes) -> None:
        self.delivered += len(data)
        self._consumer.write(data)

    def _finish(self) -> None:
        self.clients_turn.stop()
        over, self._over = self._over, None
        if over is not None:
            over.callback(None)

    def _say_continue(self) -> None:
        if self._expecting:
            self._expecting = False
            if not self.received:
                self._transport.write(b"HTTP/1.1 100 Continue\r\n\r\n")


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
