"""
What the registry may refuse, as exceptions: one class for each error code of the OCI distribution
specification (section "Error Codes"), named as the code is, and a few that share a code.

Status codes and the wire form belong to L{ociregd.web.errors}.
"""

from __future__ import annotations

from collections.abc import Sequence


class RegistryError(Exception):
    """
    A refusal that a client may be told about. Its text tells the reader what to do.
    """


class Overtaken(Exception):
    """
    Somebody else was faster; what was about to be done has to be begun again. No client hears it.
    """


class BlobUnknown(RegistryError):
    """No such blob in this repository."""


class BlobUploadInvalid(RegistryError):
    """The request does not fit the upload session."""


class BlobUploadUnknown(RegistryError):
    """No such upload session in this repository: never begun, finished, cancelled or expired."""


class DigestInvalid(RegistryError):
    """A digest that is malformed, of an unsupported algorithm, or not that of the content."""


class ManifestBlobUnknown(RegistryError):
    """
    A manifest names blobs that its repository does not hold.

    @ivar digests: every missing one, as text, in the order of the manifest.
    """

    def __init__(self, digests: Sequence[str]) -> None:
        super().__init__("push these blobs to the repository first: " + ", ".join(digests))
        self.digests = tuple(digests)


class ManifestInvalid(RegistryError):
    """The manifest breaks the image specification."""


class ManifestTooLarge(RegistryError):
    """The manifest is larger than the registry accepts (C{MANIFEST_INVALID}, 413)."""


class ManifestUnknown(RegistryError):
    """No such manifest in this repository."""


class NameInvalid(RegistryError):
    """Not a repository name."""


class NameUnknown(RegistryError):
    """No such repository."""


class SizeInvalid(RegistryError):
    """The length of a body is not what the request said."""


class Unauthorized(RegistryError):
    """The request needs credentials."""


class Denied(RegistryError):
    """The caller may not do this."""


class Unsupported(RegistryError):
    """The operation is switched off, or does not exist."""


class BadArgument(RegistryError):
    """An argument of the query has a value that means nothing (C{UNSUPPORTED}, 400)."""


class TooManyRequests(RegistryError):
    """
    The client shall come back later.

    @ivar seconds: when.
    """

    def __init__(self, message: str, seconds: int = 1) -> None:
        super().__init__(message)
        self.seconds = seconds


class RangeNotSatisfiable(RegistryError):
    """
    A chunk does not begin where the upload session ends (C{BLOB_UPLOAD_INVALID}, 416).

    @ivar offset: how many bytes the session holds: where the next chunk has to begin.
    """

    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class StorageFull(RegistryError):
    """The storage has no room for the bytes (C{DENIED}, 413: there is no code for it)."""


class StorageReadOnly(RegistryError):
    """The storage does not take writes at present (C{DENIED}, 403)."""


class Unavailable(RegistryError):
    """
    The database does not answer at present, or more wait for it than may (C{TOOMANYREQUESTS}, 503:
    there is no code for it). What was asked for may have been done.
    """
