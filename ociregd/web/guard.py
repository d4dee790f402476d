"""
Who may take a route: every route says what it needs, or cannot be written.

It is decided when the headers are in. Nothing has been read of the body then, nor said that it is
wanted.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import Enum, auto
from functools import wraps
from typing import Any, TypeVar

from klein import Klein

from ociregd.access.gate import Gate
from ociregd.access.rules import Action, Caller
from ociregd.errors import Denied, Unauthorized
from ociregd.oci.names import RepositoryName
from ociregd.web.streaming import StreamingRequest

Route = TypeVar("Route", bound=Callable[..., Awaitable[bytes]])


class Needs(Enum):
    """
    What somebody needs to take a route.

    @cvar CREDENTIALS: some that are valid, and nothing else.
    @cvar LISTING: to be somebody who may pull anything; what exactly, the route looks after.
    """

    CREDENTIALS = auto()
    LISTING = auto()
    PULL = Action.PULL
    PUSH = Action.PUSH
    DELETE = Action.DELETE


class GuardedRoutes(Klein):
    """
    Routes of a class that has a method C{admit}; see L{Guard.admit}.
    """

    #: What each route needs, by the endpoint that Klein knows it by.
    needs: dict[str, Needs]

    def __init__(self) -> None:
        super().__init__()
        self.needs = {}

    def route(  # type: ignore[override]
        self, url: str, *, methods: list[str], needs: Needs
    ) -> Callable[[Route], Route]:
        """
        Declare a route.

        @param needs: asked for before the method is called.
        """

        def declare(f: Route) -> Route:
            @wraps(f)
            async def guarded(api: Any, request: StreamingRequest, **parts: str) -> bytes:
                admitted = await api.admit(request, needs, parts.get("name"))
                return await f(admitted, request, **parts)

            self.needs[f.__name__] = needs
            super(GuardedRoutes, self).route(url, methods=methods)(guarded)
            return f

        return declare


class Admission(Enum):
    """What becomes of a request that is not refused."""

    GRANTED = auto()
    #: To be answered as if the repository did not exist.
    BLIND = auto()


async def admission(
    gate: Gate, request: StreamingRequest, needs: Needs, name: str | None
) -> Admission:
    """
    Whether a request may take a route; tells the request who sent it.

    @param name: the repository that the route is about, if it is about one.
    @raise NameInvalid: if that is no name.
    @raise Unauthorized: if the credentials are wrong, or there are none and some are needed.
    @raise TooManyRequests: if too many wrong ones came from there.
    @raise Denied: if the caller may not push, or may pull but not delete.
    """
    # A socket file has no address, and a proxy behind it.
    address = getattr(request.getClientAddress(), "host", None)
    values = request.requestHeaders.getRawHeaders(b"authorization", [])
    caller = request.caller = await gate.authenticate(values, address)
    if needs is Needs.CREDENTIALS:
        allowed = caller.name is not None
    elif needs is Needs.LISTING:
        allowed = caller.name is not None or bool(caller.prefixes(Action.PULL))
    else:
        return decided(caller, needs.value, RepositoryName.parse(name or ""))
    if not allowed:
        raise Unauthorized("log in to the registry")
    return Admission.GRANTED


def decided(caller: Caller, action: Action, name: RepositoryName) -> Admission:
    """
    Whether a caller may do something with a repository.

    That a repository exists is told to those who may pull from it; to all others their answer is
    the same if it does not.
    """
    if caller.may(action, name):
        return Admission.GRANTED
    if caller.name is None:
        raise Unauthorized("log in to the registry")
    if action is Action.PUSH or (action is Action.DELETE and caller.may(Action.PULL, name)):
        raise Denied(f"you may not {action.value} here")
    return Admission.BLIND
