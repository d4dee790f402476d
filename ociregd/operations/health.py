"""
What load balancers and supervisors ask: is it alive, and shall it get requests?
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import ClassVar

from attrs import define, field
from klein import Klein
from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from ociregd.transactions import ICursor, IDatabase
from ociregd.web.answers import send_json
from ociregd.web.streaming import StreamingRequest

#: Who asks does not wait much longer; what has not answered by then is as good as away.
CHECK_SECONDS = 2.0

#: Returns if a part of the registry is in order, and raises if it is not.
Check = Callable[[], Awaitable[object]]


async def one_query(cursor: ICursor) -> None:
    """The least that a database can be asked: whether it has our tables."""
    await cursor.rows("SELECT version FROM schema_version LIMIT 1")


def database_check(database: IDatabase) -> Check:
    """Whether the database answers."""
    return lambda: database.read(one_query)


@define(eq=False)
class Readiness:
    """
    Whether the registry can do its work.

    @ivar _waiting: by part whose check is under way, who waits for its outcome: a disk that does
        not answer is asked once, and not again by everybody who wants to know.
    @ivar _told: what was wrong the last time.
    """

    _checks: Mapping[str, Check]
    _clock: IReactorTime
    _waiting: dict[str, list[Deferred[object]]] = field(factory=dict, init=False)
    _told: dict[str, str] = field(factory=dict, init=False)
    _log: ClassVar[Logger] = Logger()

    async def problems(self) -> dict[str, str]:
        """What is wrong, by part; nothing if the registry is ready."""
        asked = {name: self._outcome(name) for name in self._checks}
        wrong = {name: said for name, outcome in asked.items() if (said := await outcome)}
        if wrong != self._told:
            self._told = wrong
            if wrong:
                self._log.warn("not ready: {wrong}", wrong=wrong)
            else:
                self._log.info("ready again")
        return wrong

    def _outcome(self, name: str) -> Deferred[str]:
        """Fires with what is wrong with a part, or nothing, once that is known."""
        begin = name not in self._waiting
        others = self._waiting.setdefault(name, [])
        waiting: Deferred[object] = Deferred(others.remove)
        others.append(waiting)
        if begin:
            Deferred.fromCoroutine(self._check(name)).addBoth(self._checked, name)
        waiting.addTimeout(CHECK_SECONDS, self._clock)
        return waiting.addCallbacks(lambda _: "", said_of)

    async def _check(self, name: str) -> None:
        await self._checks[name]()

    def _checked(self, outcome: object, name: str) -> None:
        for waiting in self._waiting.pop(name):
            waiting.callback(outcome)


def said_of(failure: Failure) -> str | Failure:
    """What is wrong with a part whose check has failed."""
    if failure.check(CancelledError):
        # Who asked has gone, and the part may be in order.
        return failure
    if failure.check(TimeoutError):
        return "does not answer"
    return str(failure.value) or "does not work"


class OperationsAPI:
    """
    What operators' programs ask over HTTP, on endpoints of their own.
    """

    app = Klein()

    def __init__(self, readiness: Readiness) -> None:
        self._readiness = readiness

    @app.route("/healthy", methods=["GET", "HEAD"])
    async def healthy(self, request: StreamingRequest) -> bytes:
        """The process answers. If it does not, it has to be started again."""
        return await send_json(request, {"healthy": True})

    @app.route("/ready", methods=["GET", "HEAD"])
    async def ready(self, request: StreamingRequest) -> bytes:
        """Whether requests shall be sent here: 200 if so, else 503 and what is wrong."""
        problems = await self._readiness.problems()
        request.setResponseCode(503 if problems else 200)
        return await send_json(request, {"ready": not problems, "problems": problems})
