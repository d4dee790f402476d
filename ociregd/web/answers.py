"""
How requests are read and answers described, as far as several routes have it in common.
"""

from __future__ import annotations

import json

from ociregd.access.rules import Action, Caller
from ociregd.errors import BadArgument, DigestInvalid, NameInvalid
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.registry.repository import Repository
from ociregd.registry.uploads import Chunk
from ociregd.web.links import blob_location, upload_location
from ociregd.web.ranges import parse_content_range
from ociregd.web.sending import send_bytes
from ociregd.web.streaming import StreamingRequest

#: Tags that one push of a manifest by digest may set; the specification wants 10.
MOST_TAGS = 100


def nothing(request: StreamingRequest, status: int) -> bytes:
    """An answer whose headers say it all."""
    request.setResponseCode(status)
    request.setHeader(b"content-length", b"0")
    return b""


async def send_json(
    request: StreamingRequest, value: object, media_type: str = "application/json"
) -> bytes:
    """A JSON document as the answer, or for HEAD only its headers."""
    return await send_document(request, document(value), media_type)


def document(value: object) -> bytes:
    """A JSON document."""
    return json.dumps(value, separators=(",", ":")).encode("ascii")


async def send_document(request: StreamingRequest, body: bytes, media_type: str) -> bytes:
    """A document as the answer, or for HEAD only its headers."""
    request.setHeader(b"content-type", media_type)
    request.setHeader(b"content-length", b"%d" % len(body))
    if request.method != b"HEAD":
        await send_bytes(request, body)
    return b""


def blob_created(request: StreamingRequest, name: RepositoryName, digest: Digest) -> bytes:
    """201: the repository holds the blob."""
    request.setHeader(b"location", blob_location(name, digest))
    request.setHeader(b"docker-content-digest", str(digest))
    return nothing(request, 201)


def describe_upload(
    request: StreamingRequest, name: RepositoryName, session_id: str, offset: int
) -> None:
    """
    Say where an upload goes on, and what it holds.

    An inclusive range cannot say that it is empty: C{0-0} is what Docker's registry always sent.
    """
    request.setHeader(b"location", upload_location(name, session_id))
    request.setHeader(b"range", f"0-{max(0, offset - 1)}")
    request.setHeader(b"docker-upload-uuid", session_id)


def upload_accepted(
    request: StreamingRequest, name: RepositoryName, session_id: str, offset: int
) -> bytes:
    """202: the upload may go on."""
    describe_upload(request, name, session_id, offset)
    return nothing(request, 202)


def wanted_chunk(request: StreamingRequest) -> Chunk | None:
    """
    Which bytes of the blob the body is, if the client says so.

    @raise BlobUploadInvalid: if it says so in no way that means anything.
    """
    text = request.getHeader("content-range")
    return parse_content_range(text) if text is not None else None


def wanted_tags(request: StreamingRequest) -> list[Tag]:
    """
    The tags that a manifest shall get beside its digest, each once.

    @raise ManifestInvalid: if one is no tag.
    @raise BadArgument: if there are too many.
    """
    texts = [value.decode("utf-8", "replace") for value in request.args.get(b"tag", [])]
    if len(texts) > MOST_TAGS:
        raise BadArgument(f"{MOST_TAGS} tags at most in one request")
    return [Tag.parse(text) for text in dict.fromkeys(texts)]


def parse_target(reference: str) -> Tag | Digest:
    """
    Under what a manifest shall be stored.

    @raise DigestInvalid: if it has a colon and is no digest.
    @raise ManifestInvalid: if it is no tag.
    """
    return Digest.parse(reference) if ":" in reference else Tag.parse(reference)


async def mount_blob(
    repository: Repository, caller: Caller, mount: str, source: str | None
) -> Digest | None:
    """
    Hold a blob of another repository; what cannot be mounted for whatever reason is to be uploaded.

    One reason is that the caller may not pull it from there: nothing is looked up then.
    """
    try:
        digest = Digest.parse(mount)
        other = RepositoryName.parse(source) if source else None
    except (DigestInvalid, NameInvalid):
        return None
    if not (caller.may(Action.PULL, other) if other else caller.may_everywhere(Action.PULL)):
        return None
    return digest if await repository.blobs.mount(digest, other) else None
