"""
Tests for the blobs, manifests, tags and referrers of L{ociregd.registry.repository}.
"""

from __future__ import annotations

from typing import Any

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import (
    BlobUnknown,
    DigestInvalid,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
    RegistryError,
    StorageFull,
    Unsupported,
)
from ociregd.oci.digest import digest_of
from ociregd.oci.mediatypes import OCI_MANIFEST
from ociregd.oci.names import Tag
from ociregd.registry.manifests import Pushed

from ..oci.samples import descriptor, index, written
from ..workers import AtOnce, OldestFirst
from .cases import APP, BOTH, OTHER, Instead, RegistryCase, tagged_image

LATEST = Tag("latest")


class BlobsContract(RegistryCase):
    """
    The blobs of a repository.
    """

    def lease_of(self: Any, content: bytes) -> float:
        """How long a blob is kept for sure."""
        lease: float = self.result_of(self.app.blobs.stat(digest_of(content))).lease_until
        return lease

    def test_pulling(self: Any) -> None:
        """A blob is pulled from the repositories that hold it, and no other."""
        digest = self.pushed(BOTH)
        assert self.pulled(digest) == BOTH
        assert self.result_of(self.app.blobs.stat(digest)).size == len(BOTH)
        for work in (
            self.other.blobs.stat(digest),
            self.other.blobs.open(digest),
            self.other.blobs.promise(digest),
            self.app.blobs.open(digest_of(b"?")),
        ):
            self.failure_of(work, BlobUnknown)

    def test_a_commit_comes_with_a_lease(self: Any) -> None:
        """A blob that was pushed is kept for a lease."""
        self.pushed(BOTH)
        assert self.lease_of(BOTH) == self.time.seconds + self.policy.lease_seconds

    def test_a_promise_renews_below_half_of_the_lease(self: Any) -> None:
        """
        Who may rely on a blob has half a lease at least; popular ones are not written at each
        look.
        """
        digest = self.pushed(BOTH)
        began, lease = self.time.seconds, self.policy.lease_seconds
        first = began + lease
        for after, until in (
            (0, first),
            (lease / 2, first),
            (lease / 2 + 1, first + lease / 2 + 1),
            (lease, first + lease / 2 + 1),
            (5 * lease, first + 5 * lease),
        ):
            self.time.seconds = began + after
            assert self.result_of(self.app.blobs.promise(digest)).digest == digest
            assert self.lease_of(BOTH) == until
            assert until - self.time.seconds >= lease / 2

    def test_a_promise_that_cannot_be_written(self: Any) -> None:
        """A storage that takes no writes does not keep anybody from looking."""
        digest = self.pushed(BOTH)
        self.time.seconds += self.policy.lease_seconds

        async def refuse(*_: Any) -> None:
            raise StorageFull("no room for a lease")

        records = self.registry.records
        full = evolve(records, blobs=Instead(records.blobs, {"renew": refuse}))
        blobs = evolve(self.registry, records=full).repository(APP).blobs
        assert self.result_of(blobs.promise(digest)).size == len(BOTH)

    def test_looking_does_not_renew(self: Any) -> None:
        """Who only pulls prolongs nothing."""
        digest = self.pushed(BOTH)
        before = self.lease_of(BOTH)
        self.time.seconds = before + 1
        self.pulled(digest)
        assert self.lease_of(BOTH) == before

    def test_mounting(self: Any) -> None:
        """What another repository holds is mounted, from it or from any, and has a lease here."""
        digest = self.pushed(BOTH, self.other)
        self.time.seconds += 100
        for source in (OTHER, None):
            assert self.result_of(self.app.blobs.mount(digest, source)) is True
            assert self.pulled(digest) == BOTH
            assert self.lease_of(BOTH) == self.time.seconds + self.policy.lease_seconds

    def test_mounting_what_is_not_there(self: Any) -> None:
        """What cannot be mounted is no error, and makes no repository."""
        for source in (OTHER, None, APP):
            assert self.result_of(self.app.blobs.mount(digest_of(BOTH), source)) is False
        self.failure_of(self.app.tags.page("", 10), NameUnknown)

    def test_deleting(self: Any) -> None:
        """A deleted blob is unknown here; other repositories have it still."""
        digest = self.pushed(BOTH)
        self.pushed(BOTH, self.other)
        self.result_of(self.app.blobs.delete(digest))
        self.failure_of(self.app.blobs.stat(digest), BlobUnknown)
        self.failure_of(self.app.blobs.delete(digest), BlobUnknown)
        assert self.pulled(digest, self.other) == BOTH


class ManifestsContract(RegistryCase):
    """
    The manifests of a repository, and what names them.
    """

    def put(self: Any, reference: Any, document: bytes, *tags: str) -> Pushed:
        """Push a manifest."""
        named = [Tag.parse(tag) for tag in tags]
        pushed: Pushed = self.result_of(
            self.app.manifests.put(reference, named, document, OCI_MANIFEST)
        )
        return pushed

    def refused(self: Any, reference: Any, document: bytes, expected: type[RegistryError]) -> None:
        """A push that is refused, and changes nothing."""
        self.failure_of(self.app.manifests.put(reference, [], document, OCI_MANIFEST), expected)
        self.failure_of(self.app.manifests.get(digest_of(document)), ManifestUnknown)
        self.failure_of(self.app.manifests.get(LATEST), ManifestUnknown)

    def test_pushing_by_tag(self: Any) -> None:
        """A manifest that is pushed by tag is found by that and by its sha256 digest."""
        self.pushed(BOTH)
        image = tagged_image(BOTH)
        assert self.put(LATEST, image) == Pushed(digest_of(image), None)
        for reference in (LATEST, digest_of(image)):
            assert self.result_of(self.app.manifests.get(reference)).body == image

    def test_pushing_by_digest(self: Any) -> None:
        """A manifest that is pushed by digest is found by that, and by the tags that came along."""
        self.pushed(BOTH)
        image = tagged_image(BOTH)
        for algorithm in ("sha256", "sha512"):
            digest = digest_of(image, algorithm)
            assert self.put(digest, image, "v1", "v2").digest == digest
            for reference in (digest, Tag("v1"), Tag("v2")):
                assert self.result_of(self.app.manifests.get(reference)).digest == digest

    def test_a_wrong_digest(self: Any) -> None:
        """A manifest that has another digest than it is pushed by is refused."""
        self.pushed(BOTH)
        self.refused(digest_of(b"?"), tagged_image(BOTH), DigestInvalid)

    def test_what_is_no_manifest(self: Any) -> None:
        """What breaks the image specification is refused."""
        self.refused(LATEST, b"{}", ManifestInvalid)

    def test_a_subject(self: Any) -> None:
        """Who pushes a manifest with a subject hears its digest, and the subject has a referrer."""
        subject = descriptor(b"subject", OCI_MANIFEST)
        document = written(index(subject=subject))
        pushing = self.app.manifests.put(LATEST, [], document, None)
        assert self.result_of(pushing).subject == str(digest_of(b"subject"))
        listing = self.app.referrers.page(digest_of(b"subject"), None, "", 10)
        assert [one.digest for one in self.result_of(listing).descriptors] == [
            str(digest_of(document))
        ]

    def test_deleting(self: Any) -> None:
        """A deleted manifest is gone with its tags; a removed tag leaves the manifest."""
        self.pushed(BOTH)
        image = tagged_image(BOTH)
        digest = self.put(digest_of(image), image, "v1", "v2").digest
        self.result_of(self.app.tags.remove(Tag("v1")))
        assert self.result_of(self.app.tags.page("", 10)).names == ["v2"]
        self.result_of(self.app.manifests.delete(digest))
        assert self.result_of(self.app.tags.page("", 10)).names == []
        self.failure_of(self.app.manifests.get(digest), ManifestUnknown)

    def test_deleting_is_switched_off(self: Any) -> None:
        """
        Where the operator has switched deleting off it is refused, there or not, and changes
        nothing.
        """
        blob = self.pushed(BOTH)
        image = tagged_image(BOTH)
        manifest = self.put(LATEST, image).digest
        app = self.with_policy(deletes=False)
        for work in (
            app.blobs.delete(blob),
            app.blobs.delete(digest_of(b"?")),
            app.manifests.delete(manifest),
            app.manifests.delete(digest_of(b"?")),
            app.tags.remove(LATEST),
            app.tags.remove(Tag("other")),
        ):
            self.failure_of(work, Unsupported)
        assert self.pulled(blob) == BOTH
        assert self.result_of(self.app.manifests.get(LATEST)).digest == manifest
        assert self.result_of(self.app.tags.page("", 10)).names == ["latest"]

    def test_a_session_may_be_cancelled_then(self: Any) -> None:
        """Cancelling an upload deletes nothing that anybody relies on, and stays possible."""
        session_id = self.begun(BOTH)
        self.result_of(self.with_policy(deletes=False).uploads.cancel(session_id))

    def test_repositories(self: Any) -> None:
        """The registry lists the repositories to which something was pushed."""
        self.begun()
        assert self.result_of(self.registry.repositories("", 10)).names == []
        self.pushed(BOTH)
        self.pushed(BOTH, self.other)
        assert self.result_of(self.registry.repositories("", 10)).names == [str(OTHER), str(APP)]


class BlobsTests(AtOnce, BlobsContract, SynchronousTestCase):
    """Blobs, with threads that are done at once."""


class BlobsLaterTests(OldestFirst, BlobsContract, SynchronousTestCase):
    """Blobs, with threads that take their time."""


class ManifestsTests(AtOnce, ManifestsContract, SynchronousTestCase):
    """Manifests, with threads that are done at once."""


class ManifestsLaterTests(OldestFirst, ManifestsContract, SynchronousTestCase):
    """Manifests, with threads that take their time."""
