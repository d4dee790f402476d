"""
What comes before the routes: how they capture, and what all answers have.
"""

from __future__ import annotations

from typing import Any

from klein.resource import KleinResource
from twisted.web.resource import Resource
from werkzeug.routing import BaseConverter

from ociregd.errors import NameInvalid
from ociregd.web.errors import REFUSALS, render
from ociregd.web.headers import HEADERS
from ociregd.web.streaming import StreamingRequest


class NameConverter(BaseConverter):
    """Repository names contain slashes, so they span URL segments."""

    part_isolating = False
    regex = r"[\s\S]+?"


class DigestConverter(BaseConverter):
    """One segment, that is not the beginning of the path of uploads."""

    regex = r"(?!uploads$)[^/]+"


CONVERTERS = {"name": NameConverter, "digest": DigestConverter}


class RegistryResource(Resource):
    """
    The root of the tree: the routes, and what is the same for all of them.
    """

    isLeaf = True

    def __init__(self, routes: KleinResource) -> None:
        super().__init__()
        self._routes = routes

    def render(self, request: StreamingRequest) -> Any:
        for name, value in HEADERS.items():
            request.setHeader(name, value)
        try:
            # Klein would answer this too, but in a text of its own and with a traceback logged.
            b"/".join(request.postpath or []).decode("utf-8")
        except UnicodeDecodeError:
            return render(request, REFUSALS[NameInvalid], ["the URL has to be UTF-8"])
        if request.method != request.method.upper():
            # Methods are sensitive to case (RFC 9110, 9.1); the router is not, but it knows this
            # one no more than them.
            request.method = b"UNKNOWN"
        return self._routes.render(request)
