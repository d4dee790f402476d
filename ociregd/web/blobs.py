"""
Answers that carry a blob: whole, one range of it, or several (RFC 9110, 13 to 15).
"""

from __future__ import annotations

from collections.abc import Sequence

from ociregd.interfaces import IBlobReader
from ociregd.oci.digest import Digest
from ociregd.values import Blob
from ociregd.web.errors import Refusal, render
from ociregd.web.kernel import send_slice
from ociregd.web.ranges import Slice, parse_range
from ociregd.web.streaming import StreamingRequest

BLOB_TYPE = b"application/octet-stream"

#: A blob never changes, so a cache may keep it for a year.
CACHE = b"max-age=31536000"

#: The specification has no code for a download.
NOTHING_THERE = Refusal(416, "UNSUPPORTED", "the blob has no such bytes")


def not_modified(request: StreamingRequest, digest: Digest) -> bool:
    """
    Set C{ETag} and C{Docker-Content-Digest}; whether the client has the content already.
    """
    request.setHeader(b"docker-content-digest", str(digest))
    request.setHeader(b"etag", f'"{digest}"')
    for value in request.requestHeaders.getRawHeaders(b"if-none-match", []):
        for tag in value.decode("latin-1").split(","):
            if tag.strip().removeprefix("W/").strip('"') in (str(digest), "*"):
                request.setResponseCode(304)
                return True
    return False


def describe_blob(request: StreamingRequest, blob: Blob) -> bool:
    """
    Set the headers of an answer about a blob; whether the client has it already.
    """
    request.setHeader(b"content-type", BLOB_TYPE)
    request.setHeader(b"accept-ranges", b"bytes")
    request.setHeader(b"cache-control", CACHE)
    if not_modified(request, blob.digest):
        return True
    request.setHeader(b"content-length", b"%d" % blob.size)
    return False


def wanted_slices(request: StreamingRequest, blob: Blob) -> Sequence[Slice] | None:
    """
    What the client asks for, or None if that is all of it.
    """
    text = request.getHeader("range")
    if text is None or request.getHeader("if-range") not in (None, f'"{blob.digest}"'):
        return None
    return parse_range(text, blob.size)


async def send_blob(request: StreamingRequest, blob: Blob, reader: IBlobReader) -> bytes:
    """
    Answer with what the client asks for of a blob; what is returned is still to be written.
    """
    slices = wanted_slices(request, blob)
    if slices is None:
        await send_slice(request, reader, 0, blob.size)
        return b""
    if not slices:
        request.setHeader(b"content-range", f"bytes */{blob.size}")
        return render(request, NOTHING_THERE, [f"it has {blob.size} bytes"])
    request.setResponseCode(206)
    if len(slices) == 1:
        [only] = slices
        request.setHeader(b"content-range", only.content_range(blob.size))
        request.setHeader(b"content-length", b"%d" % len(only))
        await send_slice(request, reader, only.start, only.stop)
        return b""
    return await send_parts(request, blob, reader, slices)


async def send_parts(
    request: StreamingRequest, blob: Blob, reader: IBlobReader, slices: Sequence[Slice]
) -> bytes:
    """
    Several ranges, as C{multipart/byteranges} (RFC 9110, 14.6).
    """
    # The digest of a sha256 cannot be in what it is the digest of but by intent; and then the
    # ranges can be had one by one.
    boundary = blob.digest.encoded[:64]
    heads = [
        f"\r\n--{boundary}\r\nContent-Type: {BLOB_TYPE.decode()}\r\n"
        f"Content-Range: {part.content_range(blob.size)}\r\n\r\n".encode()
        for part in slices
    ]
    heads[0] = heads[0].removeprefix(b"\r\n")
    end = f"\r\n--{boundary}--\r\n".encode()
    total = sum(map(len, heads)) + sum(map(len, slices)) + len(end)
    request.setHeader(b"content-type", f"multipart/byteranges; boundary={boundary}")
    request.setHeader(b"content-length", b"%d" % total)
    for head, part in zip(heads, slices, strict=True):
        request.write(head)
        await send_slice(request, reader, part.start, part.stop)
    return end
