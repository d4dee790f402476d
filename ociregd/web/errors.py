"""
Refusals on the wire: one table from exceptions to status and code, and one renderer.

The codes are those of the OCI distribution specification, "Error Codes"; it assigns them no status.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from http import HTTPStatus

from attrs import frozen
from twisted.web.server import Request

from ociregd import errors


@frozen
class Refusal:
    """
    How a kind of error is told.
    """

    status: int
    code: str
    message: str


#: Not one of the specification's codes: what happened is not the client's doing.
INCIDENT = Refusal(500, "UNKNOWN", "internal error; the operator finds it in the log by this id")

REFUSALS = {
    errors.BlobUnknown: Refusal(404, "BLOB_UNKNOWN", "no such blob in this repository"),
    errors.BlobUploadInvalid: Refusal(
        400, "BLOB_UPLOAD_INVALID", "the upload cannot go on like this"
    ),
    errors.BlobUploadUnknown: Refusal(404, "BLOB_UPLOAD_UNKNOWN", "no such upload"),
    errors.DigestInvalid: Refusal(
        400, "DIGEST_INVALID", "the digest is malformed or does not match"
    ),
    errors.ManifestBlobUnknown: Refusal(
        400, "MANIFEST_BLOB_UNKNOWN", "the manifest names a blob that this repository does not hold"
    ),
    errors.ManifestInvalid: Refusal(400, "MANIFEST_INVALID", "the manifest is not valid"),
    errors.ManifestTooLarge: Refusal(413, "MANIFEST_INVALID", "the manifest is too large"),
    errors.ManifestUnknown: Refusal(404, "MANIFEST_UNKNOWN", "no such manifest in this repository"),
    errors.NameInvalid: Refusal(400, "NAME_INVALID", "that is not a repository name"),
    errors.NameUnknown: Refusal(404, "NAME_UNKNOWN", "no such repository"),
    errors.SizeInvalid: Refusal(400, "SIZE_INVALID", "the body has another length than announced"),
    errors.Unauthorized: Refusal(401, "UNAUTHORIZED", "credentials are needed"),
    errors.Denied: Refusal(403, "DENIED", "this is not allowed"),
    errors.Unsupported: Refusal(405, "UNSUPPORTED", "the operation is not supported"),
    errors.BadArgument: Refusal(400, "UNSUPPORTED", "the registry does not understand an argument"),
    errors.TooManyRequests: Refusal(429, "TOOMANYREQUESTS", "too many requests"),
    errors.RangeNotSatisfiable: Refusal(416, "BLOB_UPLOAD_INVALID", "the chunk is out of order"),
    errors.StorageFull: Refusal(413, "DENIED", "the registry has no room for this"),
    errors.StorageReadOnly: Refusal(403, "DENIED", "the registry takes no writes at present"),
    errors.Unavailable: Refusal(503, "TOOMANYREQUESTS", "the registry is not available at present"),
}

#: When it may be tried again. Somebody has to make room in a full storage first.
RETRY_SECONDS: dict[type[errors.RegistryError], int] = {
    errors.StorageFull: 60,
    errors.Unavailable: 1,
}


#: What credentials are asked for. The realm is what a browser shows, and means nothing else.
CHALLENGE = b'Basic realm="ociregd"'


def render(request: Request, refusal: Refusal, details: Sequence[str]) -> bytes:
    """
    Set status and headers, and return the body: one error for each detail.

    C{detail} is a string, since clients written against the specification's own Go types expect
    one.
    """
    body = json.dumps(
        {
            "errors": [
                {"code": refusal.code, "message": refusal.message, "detail": detail}
                for detail in details
            ]
        }
    ).encode("ascii")
    # Twisted has no phrase for 429.
    request.setResponseCode(refusal.status, HTTPStatus(refusal.status).phrase.encode("ascii"))
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"content-length", b"%d" % len(body))
    return body if request.method != b"HEAD" else b""


def refuse(request: Request, error: errors.RegistryError) -> bytes:
    """
    What a client is told of a L{errors.RegistryError}.
    """
    seconds = RETRY_SECONDS.get(type(error))
    if isinstance(error, errors.TooManyRequests):
        seconds = error.seconds
    if isinstance(error, errors.Unauthorized):
        request.setHeader(b"www-authenticate", CHALLENGE)
    if seconds is not None:
        request.setHeader(b"retry-after", b"%d" % seconds)
    if isinstance(error, errors.ManifestBlobUnknown):
        return render(request, REFUSALS[type(error)], error.digests)
    return render(request, REFUSALS[type(error)], [str(error)])
