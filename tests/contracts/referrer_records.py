"""
What every L{IManifestRecords} does with referrers.
"""

from __future__ import annotations

import json
from typing import Any

from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.mediatypes import OCI_INDEX, OCI_MANIFEST
from ociregd.oci.names import RepositoryName

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

    def test_large_annotations(self: Any) -> None:
        """A page of referrers is bounded in bytes, has one at least, and nothing is left out."""
        wanted = sorted(
            str(self.referrer("subject", number, annotations={"note": "x" * 1_500_000}))
            for number in range(5)
        )
        seen: list[str] = []
        more = True
        while more:
            page = self.referrers(last=seen[-1] if seen else "")
            assert 1 <= len(page.descriptors) <= 2
            seen += [one.digest for one in page.descriptors]
            more = page.more
        assert seen == wanted
        assert json.loads(self.result_of(self.manifests.get(APP, Digest.parse(seen[0]))).body)[
            "annotations"
        ]["note"]
