"""
The seams between the rooms.

Digests cross as L{Digest}; those that a manifest merely names cross as text, since a manifest may
name algorithms that the registry does not store.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from attrs import frozen
from twisted.internet.defer import Deferred
from zope.interface import Attribute, Interface

from ociregd.oci.digest import Digest
from ociregd.oci.manifest import Manifest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.values import (
    INLINE_BYTES,
    Blob,
    IdleUpload,
    Lease,
    Page,
    ReferrersPage,
    Standing,
    StoredManifest,
)

T = TypeVar("T")

#: Runs a function in a thread: C{in_thread(f, *args)}. Cancelling the result does not stop it.
InThread = Callable[..., "Deferred[Any]"]

#: The time of day in seconds since the epoch: what may be stored and compared after a restart.
WallClock = Callable[[], float]


class IBody(Interface):
    """The bytes of a request, as they arrive."""

    length = Attribute("The announced length in bytes, or None when the body is chunked.")

    async def deliver_to(consumer: object) -> int:
        """
        Push all of the body into an C{IConsumer}, at its pace.

        Ends early if the consumer stops the producer.

        @return: how many bytes were delivered.
        """

    async def read(limit: int, take: Callable[[int], bool]) -> bytes:
        """
        The whole body.

        @param take: asked before so many more bytes are kept: whether there is room for them.
        @raise ManifestTooLarge: if it is longer than C{limit} bytes.
        @raise TooManyRequests: if there was no room.
        """


class IUpload(Interface):
    """
    The bytes of one upload session, held open by the only one who may write to them.

    It is also an C{IConsumer}: what is written is hashed and stored in threads, in order.
    """

    offset = Attribute("How many bytes the session holds on disk.")

    modified = Attribute("When its bytes last changed, in seconds since the epoch.")

    published = Attribute("Whether its bytes are a blob's by now, and can no longer change.")

    def flushed() -> Deferred[int]:
        """
        Fires with the offset when all that was written is stored.

        @raise StorageFull: if there was no room. What fitted is kept.
        @raise BlobUploadInvalid: if something was written though the bytes are published.
        @raise OSError: as the system raised it.
        """

    async def digest(algorithm: str) -> Digest:
        """The digest of all bytes of the session."""

    async def take_back() -> None:
        """
        Forget what was written since the session was opened; what was there before stays.

        @raise BlobUploadInvalid: if that is published.
        """

    async def drop() -> None:
        """
        Forget all bytes, for good: nobody can open the session any more. It is closed, so that
        there is room for others when this returns.

        @raise BlobUploadInvalid: if the bytes are published.
        """

    async def publish(digest: Digest, generation: int) -> None:
        """
        Make the bytes readable as a blob of that generation, durably.

        The file is synced, gets its final name, and the directory is synced, before this returns.
        The session keeps its bytes until it is removed, so that a commit which fails can be tried
        again; but if they cannot be synced, they cannot be trusted again either, and nobody can
        open the session any more.
        """

    async def close() -> None:
        """Let go, when everything under way is done. May be called twice."""


class IUploads(Interface):
    """The files of upload sessions. Which sessions exist is the database's to say."""

    async def create(session_id: str, algorithm: str) -> None:
        """
        Make room for the bytes of a new session.

        @param algorithm: which digest to compute on the way; others cost a second reading.
        """

    async def open(session_id: str, algorithm: str | None) -> IUpload:
        """
        Open a session for writing.

        @param algorithm: which digest to compute from now on, if that is known by now.
        @raise RangeNotSatisfiable: if somebody else is writing to it.
        @raise BlobUploadUnknown: if it has ended.
        """

    async def offset(session_id: str) -> int:
        """
        How many bytes the session holds.

        @raise BlobUploadUnknown: if it has ended.
        """

    async def remove(session_id: str) -> None:
        """Forget the bytes. It is not an error if there are none."""


class IBlobReader(Interface):
    """One open blob."""

    async def read(start: int, count: int) -> bytes:
        """
        Up to C{count} bytes from C{start}; none at the end.
        """

    async def send(out: int, start: int, count: int) -> int:
        """
        Send up to C{count} bytes from C{start} to a socket, without them passing through here.

        @param out: the descriptor of a socket that does not block.
        @return: how many bytes were sent; none at the end of the blob.
        @raise BlockingIOError: if the socket takes none at present.
        @raise ConnectionError: if the other side has gone.
        """

    def duplicate(out: int) -> int:
        """
        A descriptor for L{send}, since whose the socket is may close it while a thread sends.

        @raise TooManyRequests: if the process has as many as it may have.
        """

    def release(out: int) -> Deferred[None]:
        """Close what L{duplicate} returned, when everything under way is done."""

    def close() -> None:
        """Let go, when everything under way is done. May be called twice."""


class IBlobStore(Interface):
    """Bytes, addressed by digest and generation. Knows nothing of repositories."""

    async def open(blob: Blob) -> IBlobReader:
        """
        @raise OSError: if the file is not what the database says.
        """

    async def remove(digest: Digest, generation: int) -> None:
        """Remove exactly that file. It is not an error if there is none."""


class IBlobRecords(Interface):
    """Which blobs exist, and which repositories hold them."""

    async def find(name: RepositoryName, digest: Digest) -> Blob:
        """
        @raise BlobUnknown: if the repository does not hold it.
        """

    async def standing(digest: Digest) -> Standing:
        """Whether the blob is stored, and under which generation."""

    async def begin(session_id: str, name: RepositoryName, digest: Digest, now: float) -> Standing:
        """Begin an upload session for a blob whose digest is known, and tell its standing."""

    async def continue_(session_id: str, name: RepositoryName, digest: Digest) -> Standing:
        """
        The standing of a blob that an upload session is about to become.

        @raise BlobUploadUnknown: if the repository has no such session.
        """

    async def commit(
        session_id: str,
        name: RepositoryName,
        digest: Digest,
        size: int,
        standing: Standing,
        lease: Lease,
    ) -> None:
        """
        End the upload session; the repository holds the blob from now on.

        @param standing: what was told of the blob; if it was not stored, a file of that generation
            has been published.
        @raise BlobUploadUnknown: if the session has ended meanwhile.
        @raise Overtaken: if the blob was collected meanwhile, and files of that generation may be
            removed already: nothing has happened, publish again.
        """

    async def mount(
        target: RepositoryName, digest: Digest, source: RepositoryName | None, lease: Lease
    ) -> None:
        """
        Let C{target} hold what C{source}, or any repository at all, holds.

        @raise BlobUnknown: if it does not.
        """

    async def discard(digest: Digest, size: int, generation: int, lease: Lease) -> None:
        """
        Let the collector remove a file that was published and is not going to be committed, unless
        it is the one that others have committed.
        """

    async def renew(name: RepositoryName, digest: Digest, lease: Lease) -> None:
        """
        Prolong the lease of a blob.

        @raise BlobUnknown: if the repository does not hold it (any more).
        """

    async def unlink(name: RepositoryName, digest: Digest, lease: Lease) -> None:
        """
        @raise NameUnknown: if there is no such repository.
        @raise BlobUnknown: if the repository does not hold it.
        """


class IManifestRecords(Interface):
    """Manifests and what they name."""

    async def put(
        name: RepositoryName, digest: Digest, manifest: Manifest, tags: Sequence[Tag], lease: Lease
    ) -> None:
        """
        Store a manifest and let the tags name it, all or nothing.

        @raise ManifestBlobUnknown: if the repository lacks blobs that it needs.
        @raise ManifestInvalid: if a descriptor has another size than its blob.
        """

    async def get(
        name: RepositoryName, reference: Tag | Digest, inline: int = INLINE_BYTES
    ) -> StoredManifest:
        """
        @param inline: the size up to which the body comes along.
        @raise ManifestUnknown: if there is none.
        """

    async def slice(name: RepositoryName, digest: Digest, start: int, count: int) -> bytes:
        """
        Up to C{count} bytes of the body of a manifest from C{start}; none at the end.

        @raise ManifestUnknown: if there is none (any more).
        """

    async def delete(name: RepositoryName, digest: Digest, lease: Lease) -> None:
        """
        Delete a manifest, the tags that name it, and what it refers to stops being referred to.

        @raise NameUnknown: if there is no such repository.
        @raise ManifestUnknown: if it has no such manifest.
        """

    async def referrers(
        name: RepositoryName, subject: Digest, artifact_type: str | None, last: str, count: int
    ) -> ReferrersPage:
        """
        Up to C{count} manifests that name C{subject}, behind the digest C{last}; fewer, but one,
        if their annotations are large.
        """


class ITagRecords(Interface):
    """Tags and the names of repositories: what is listed."""

    async def page(name: RepositoryName, last: str, count: int) -> Page:
        """
        Up to C{count} tags behind C{last}.

        @raise NameUnknown: if there is no such repository.
        """

    async def remove(name: RepositoryName, tag: Tag, lease: Lease) -> None:
        """
        @raise NameUnknown: if there is no such repository.
        @raise ManifestUnknown: if it has no such tag.
        """

    async def repositories(last: str, count: int) -> Page:
        """Up to C{count} names of repositories behind C{last}."""


class IUploadRecords(Interface):
    """Which upload sessions exist."""

    async def start(session_id: str, name: RepositoryName, now: float) -> None:
        """Begin a session."""

    async def check(session_id: str, name: RepositoryName) -> None:
        """
        @raise BlobUploadUnknown: if the repository has no such session.
        """

    async def touch(session_id: str, now: float) -> None:
        """Note that the session is in use. It is not an error if there is none."""

    async def end(session_id: str, name: RepositoryName) -> None:
        """
        @raise BlobUploadUnknown: if the repository has no such session.
        """

    async def idle(before: float, count: int) -> Sequence[IdleUpload]:
        """
        Up to C{count} sessions: those that have ended, and then those that were last used before
        then, longest idle first.
        """

    async def expire(session_id: str, before: float) -> bool:
        """End the session if it was last used before then; whether that was so."""

    async def forget(session_ids: Sequence[str]) -> None:
        """Drop what is left of ended sessions, whose files are gone."""


@frozen
class Records:
    """All that the database knows, by subject."""

    blobs: IBlobRecords
    manifests: IManifestRecords
    tags: ITagRecords
    uploads: IUploadRecords
