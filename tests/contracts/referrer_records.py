"""
What every L{IManifestRecords} does with referrers.
"""

from __future__ import annotations

from typing import Any

from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.mediatypes import OCI_INDEX, OCI_MANIFEST
from ociregd.oci.names import RepositoryName
from ociregd.storage.referrer_records import ANNOTATION_BYTES

from ..oci.samples import descriptor, image, index, written
from .records import APP, LATE, NOWHERE, OTHER, RecordsCase


class ReferrerRecordsContract(RecordsCase):
    """
    The referrers of a subject.
    """

    def referrer(self: Any, subject: str, number: int, **others: Any) -> Digest:
        """Push an index that refers to a subject."""
        document = index(
            manifests=[],
            subject=descriptor(subject.encode(), OCI_MANIFEST),
            number=number,
            **others,
        )
        digest: Digest = self.put(document)
        return digest

    def referrers(
        self: Any,
        subject: str = "subject",
        artifact_type: str | None = None,
        last: str = "",
        count: int = 100,
        name: RepositoryName = APP,
    ) -> Any:
        """A page of the referrers of a subject."""
        digest = digest_of(subject.encode())
        return self.result_of(self.manifests.referrers(name, digest, artifact_type, last, count))

    def test_referrers(self: Any) -> None:
        """
        The manifests that name a subject are listed in the order of their digests, those of
        others not.
        """
        expected = sorted(str(self.referrer("subject", number)) for number in range(7))
        self.referrer("something else", 0)
        page = self.referrers()
        assert [one.digest for one in page.descriptors] == expected
        assert not page.more

    def test_referrers_are_described(self: Any) -> None:
        """A list shows type, size, artifact type and annotations of each manifest."""
        annotations = {"org.example.signer": "Jürgen \U0001f511", "empty": ""}
        digest = self.referrer("subject", 1, artifactType="application/x", annotations=annotations)
        [found] = self.referrers().descriptors
        assert (found.media_type, found.digest) == (OCI_INDEX, str(digest))
        assert found.size == len(self.result_of(self.manifests.get(APP, digest)).body)
        assert (found.artifact_type, found.annotations) == ("application/x", annotations)

    def test_referrers_without_anything(self: Any) -> None:
        """What a manifest does not say is not there, rather than empty."""
        self.referrer("subject", 1)
        [found] = self.referrers().descriptors
        assert (found.artifact_type, found.annotations) == (None, None)

    def test_pages_of_referrers(self: Any) -> None:
        """
        A page ends after as many as were wanted, says whether more follow, and the next goes
        on.
        """
        expected = sorted(str(self.referrer("subject", number)) for number in range(5))
        page = self.referrers(count=3)
        assert [one.digest for one in page.descriptors] == expected[:3]
        assert page.more
        page = self.referrers(last=expected[2], count=2)
        assert [one.digest for one in page.descriptors] == expected[3:]
        assert not page.more
        assert self.referrers(last=expected[4]).descriptors == []

    def test_referrers_of_one_type(self: Any) -> None:
        """A list may be of one artifact type, and is paged like the whole."""
        wanted = sorted(
            str(self.referrer("subject", number, artifactType="application/x"))
            for number in range(3)
        )
        self.referrer("subject", 9, artifactType="application/y")
        self.referrer("subject", 10)
        page = self.referrers(artifact_type="application/x", count=2)
        assert ([one.digest for one in page.descriptors], page.more) == (wanted[:2], True)
        page = self.referrers(artifact_type="application/x", last=wanted[1], count=2)
        assert ([one.digest for one in page.descriptors], page.more) == (wanted[2:], False)
        assert self.referrers(artifact_type="application/z").descriptors == []

    def test_no_referrers(self: Any) -> None:
        """
        Whether a subject or a repository exists does not matter: without referrers the list is
        empty.
        """
        self.referrer("subject", 1)
        assert self.referrers("something else").descriptors == []
        assert self.referrers(name=OTHER).descriptors == []
        assert not self.referrers(name=NOWHERE).more

    def test_deleted_referrers(self: Any) -> None:
        """A referrer that is deleted is not listed; one whose subject is deleted is."""
        subject = self.put(image())
        digest = digest_of(written(image()))
        one = self.put(index(manifests=[], number=1, subject=self.described(digest)))
        other = self.put(index(manifests=[], number=2, subject=self.described(digest)))
        self.result_of(self.manifests.delete(APP, one, LATE))
        self.result_of(self.manifests.delete(APP, subject, LATE))
        listing = self.manifests.referrers(APP, digest, None, "", 10)
        assert [found.digest for found in self.result_of(listing).descriptors] == [str(other)]

    def described(self: Any, digest: Digest) -> Any:
        """A manifest as a subject."""
        size = len(written(image()))
        return {"mediaType": OCI_MANIFEST, "digest": str(digest), "size": size}

    def pages(self: Any, **wanted: Any) -> list[list[str]]:
        """The digests on each page of the whole list."""
        pages: list[list[str]] = []
        more = True
        while more:
            page = self.referrers(last=pages[-1][-1] if pages else "", **wanted)
            pages.append([one.digest for one in page.descriptors])
            more = page.more
        return pages

    def test_large_annotations(self: Any) -> None:
        """A page ends before its annotations are too large, and nothing is left out."""
        size = ANNOTATION_BYTES // 5 * 2
        wanted = sorted(
            str(self.referrer("subject", number, annotations={"note": "x" * size}))
            for number in range(5)
        )
        pages = self.pages()
        assert [len(page) for page in pages] == [2, 2, 1]
        assert [digest for page in pages for digest in page] == wanted
        assert [len(page) for page in self.pages(count=1)] == [1] * 5

    def test_annotations_larger_than_a_page(self: Any) -> None:
        """A page has one manifest at least; what does not fit with it is not even read."""
        note = "x" * (ANNOTATION_BYTES + 1)
        others = {"artifactType": "application/x", "annotations": {"note": note}}
        wanted = sorted(str(self.referrer("subject", number, **others)) for number in range(4))
        self.weighing.most = 0
        for artifact_type in (None, "application/x"):
            pages = self.pages(artifact_type=artifact_type)
            assert pages == [[digest] for digest in wanted]
        assert len(note) < self.weighing.most < len(note) + 1000
        [found] = self.referrers(count=1).descriptors
        assert found.annotations == {"note": note}

    def test_annotations_of_a_page(self: Any) -> None:
        """A page may have as many bytes of annotations as it may, and not one more."""
        half = ANNOTATION_BYTES // 2 - len('{"note": ""}')
        for subject, one_more, expected in (("exact", 0, [2]), ("more", 1, [1, 1])):
            for number, size in enumerate((half, half + one_more)):
                self.referrer(subject, number, annotations={"note": "x" * size})
            assert [len(page) for page in self.pages(subject=subject)] == expected
