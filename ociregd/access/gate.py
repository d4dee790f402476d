"""
From the C{Authorization} header of a request to its caller.
"""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Sequence

from attrs import define, field

from ociregd.access.passwords import Passwords
from ociregd.access.rules import Caller, Rules
from ociregd.errors import Unauthorized


@define(eq=False)
class Gate:
    """
    Knows the users and what they may do.
    """

    _rules: Rules
    _passwords: Passwords
    _callers: dict[str | None, Caller] = field(factory=dict, init=False)

    async def authenticate(self, authorizations: Sequence[bytes], address: str | None) -> Caller:
        """
        Who sends a request with these values of the header.

        @param address: where the request comes from, if that says anything.
        @raise Unauthorized: if they are no credentials, or wrong.
        @raise TooManyRequests: if too many wrong ones came from there.
        """
        if not authorizations:
            return self._caller(None)
        if len(authorizations) > 1:
            raise Unauthorized("send one Authorization header")
        user, password = basic_credentials(authorizations[0])
        if not user and not password:
            # What skopeo and podman send if they have no credentials.
            return self._caller(None)
        if not await self._passwords.verify(user, password, address):
            raise Unauthorized("the user name or the password is wrong")
        return self._caller(user)

    def _caller(self, user: str | None) -> Caller:
        # As many as there are users, since only they come this far.
        caller = self._callers.get(user)
        if caller is None:
            caller = self._callers[user] = self._rules.caller(user)
        return caller


def basic_credentials(authorization: bytes) -> tuple[str, bytes]:
    """
    User and password of the scheme C{Basic} (RFC 7617).

    @raise Unauthorized: if it is another scheme, or not well-formed.
    """
    scheme, _, encoded = authorization.partition(b" ")
    if scheme.lower() != b"basic":
        raise Unauthorized("send credentials by the scheme Basic")
    try:
        decoded = b64decode(encoded.strip(b" "), validate=True)
    except ValueError:
        raise Unauthorized("the credentials are not in base64") from None
    user, colon, password = decoded.partition(b":")
    if not colon:
        raise Unauthorized("the credentials have no colon")
    # What is not UTF-8 becomes the name of nobody.
    return user.decode("utf-8", "surrogateescape"), password
