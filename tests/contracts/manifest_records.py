"""
What every L{IManifestRecords} does with manifests.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from ociregd.errors import (
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
)
from ociregd.interfaces import IManifestRecords
from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.manifest import Manifest
from ociregd.oci.mediatypes import DOCKER_MANIFEST, OCI_MANIFEST
from ociregd.oci.names import RepositoryName, Tag
from ociregd.values import StoredManifest

from ..mediatypes import OCI_LAYER
from ..oci.samples import descriptor, image, index, written
from .records import APP, CONTENTS, EARLY, LATE, OTHER, RecordsCase


class ManifestRecordsContract(RecordsCase):
    """
    What every L{IManifestRecords} does.
    """

    def get(self: Any, reference: str | Digest, name: RepositoryName = APP) -> StoredManifest:
        """A manifest, by tag or by digest."""
        wanted = reference if isinstance(reference, Digest) else Tag.parse(reference)
        found: StoredManifest = self.result_of(self.manifests.get(name, wanted))
        return found

    def refused(self: Any, document: Any, *expected: type[Exception]) -> Any:
        """What a push of a manifest without its blobs comes to."""
        manifest = Manifest.parse(written(document), None)
        tags = [Tag.parse("latest")]
        putting = self.manifests.put(APP, digest_of(manifest.body), manifest, tags, LATE)
        return self.failure_of(putting, *expected)

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{IManifestRecords}."""
        assert verifyObject(IManifestRecords, self.manifests)

    def test_pushing_and_pulling(self: Any) -> None:
        """
        A manifest comes back byte for byte, with its type, by its digest and by each of its
        tags.
        """
        digest = self.put(image(note="  é \U0001f511 "), "latest", "v1")
        body = written(image(note="  é \U0001f511 "))
        for reference in (digest, "latest", "v1"):
            assert self.get(reference) == StoredManifest(digest, OCI_MANIFEST, len(body), body)

    def test_large_manifests(self: Any) -> None:
        """A body comes along up to the size that is wanted, and is not even read above it."""
        digest = self.put(image(note="x" * 200_000), "latest")
        body = written(image(note="x" * 200_000))
        for reference in (digest, Tag("latest")):
            for inline, expected in ((len(body), body), (len(body) - 1, None), (0, None)):
                self.weighing.most = 0
                getting = self.manifests.get(APP, reference, inline)
                found = StoredManifest(digest, OCI_MANIFEST, len(body), expected)
                assert self.result_of(getting) == found
                assert self.weighing.most < 1000 + len(expected or b"")

    def test_slices(self: Any) -> None:
        """Any part of a body can be had by itself; behind the end there is nothing."""
        digest = self.put(image(note="é\0" * 1000), name=OTHER)
        body = written(image(note="é\0" * 1000))
        for start, count in (
            (0, 1),
            (0, len(body)),
            (7, 100),
            (len(body) - 1, 1),
            (len(body) - 1, 100),
            (len(body), 100),
            (2 * len(body), 1),
        ):
            part = self.result_of(self.manifests.slice(OTHER, digest, start, count))
            assert part == body[start : start + count]

    def test_slices_of_nothing(self: Any) -> None:
        """There are no parts of a manifest that the repository has not, or has no more."""
        digest = self.put(image())
        self.failure_of(self.manifests.slice(OTHER, digest, 0, 1), ManifestUnknown)
        self.failure_of(self.manifests.slice(APP, digest_of(b"?"), 0, 1), ManifestUnknown)
        self.result_of(self.manifests.delete(APP, digest, LATE))
        self.failure_of(self.manifests.slice(APP, digest, 0, 1), ManifestUnknown)

    def test_without_tags(self: Any) -> None:
        """A manifest that is pushed by its digest has no tag."""
        digest = self.put(image())
        assert self.get(digest).digest == digest
        assert self.result_of(self.tags.page(APP, "", 10)).names == []

    def test_not_found(self: Any) -> None:
        """
        Neither a tag nor a digest of something else is found, nor anything in another
        repository.
        """
        digest = self.put(image(), "latest")
        for name, reference in (
            (APP, Tag("other")),
            (APP, digest_of(b"?")),
            (APP, digest_of(written(image()), "sha512")),
            (OTHER, Tag("latest")),
            (OTHER, digest),
        ):
            self.failure_of(self.manifests.get(name, reference), ManifestUnknown)

    def test_a_missing_blob(self: Any) -> None:
        """
        Every blob that is missing is named, in the order of the manifest, and nothing is
        stored.
        """
        refusal = self.refused(image(), ManifestBlobUnknown)
        assert refusal.digests == tuple(str(digest_of(content)) for content in CONTENTS)
        self.nothing_exists()

    def test_a_blob_of_another_repository(self: Any) -> None:
        """It does not help that another repository holds a blob, or that this one did once."""
        for content in CONTENTS:
            self.commit(content, OTHER)
        self.commit(CONTENTS[0])
        self.commit(CONTENTS[1])
        self.result_of(self.blobs.unlink(APP, digest_of(CONTENTS[1]), LATE))
        refusal = self.refused(image(), ManifestBlobUnknown)
        assert refusal.digests == tuple(str(digest_of(content)) for content in CONTENTS[1:])
        self.failure_of(self.manifests.get(APP, Tag("latest")), ManifestUnknown)

    def test_a_doomed_blob(self: Any) -> None:
        """A blob that the collector has decided about is missing: the client pushes it again."""
        for content in CONTENTS:
            self.commit(content)
        self.doom(digest_of(CONTENTS[2]))
        refusal = self.refused(image(), ManifestBlobUnknown)
        assert refusal.digests == (str(digest_of(CONTENTS[2])),)

    def test_another_size_than_the_blob(self: Any) -> None:
        """A descriptor that has another size than its blob is refused."""
        for content in CONTENTS:
            self.commit(content)
        layer = descriptor(CONTENTS[1]) | {"size": 1}
        self.refused(image(layers=[layer]), ManifestInvalid)
        self.failure_of(self.manifests.get(APP, Tag("latest")), ManifestUnknown)

    def test_what_need_not_be_there(self: Any) -> None:
        """Children, a subject, and layers that are not for distribution may be missing."""
        foreign = descriptor(
            b"elsewhere", "application/vnd.oci.image.layer.nondistributable.v1.tar"
        )
        for document in (image(layers=[foreign]), index(), index(subject=descriptor(b"subject"))):
            digest = self.put(document, "latest")
            assert self.get("latest").digest == digest

    def test_many_layers(self: Any) -> None:
        """A manifest may need more blobs than one statement can ask for."""
        contents = [b"layer %d" % number for number in range(1201)]
        for content in contents[:-1]:
            self.commit(content)
        layers = [descriptor(content, OCI_LAYER) for content in contents]
        config = descriptor(contents[0])
        refusal = self.refused(image(config=config, layers=layers), ManifestBlobUnknown)
        assert refusal.digests == (str(digest_of(contents[-1])),)
        self.commit(contents[-1])
        digest = self.put(image(config=config, layers=layers))
        assert self.get(digest).digest == digest

    def test_no_long_statements(self: Any) -> None:
        """
        However much a manifest names, no statement is long: engines remember the texts of
        statements.
        """
        many = [descriptor(b"%d" % number) for number in range(2001)]
        refusal = self.refused(image(layers=many), ManifestBlobUnknown)
        assert refusal.digests[1:] == tuple(one["digest"] for one in many)
        digest = self.put(index(manifests=many))
        found = self.rows("SELECT digest FROM reference WHERE manifest = ?", str(digest))
        assert sorted(found) == sorted((one["digest"],) for one in many)
        assert self.weighing.longest < 3000

    def test_what_is_referred_to(self: Any) -> None:
        """Config, layers and children are noted, each digest once for each of these."""
        layer = descriptor(CONTENTS[1])
        digest = self.put(image(layers=[layer, layer]))
        found = self.rows("SELECT manifest, kind, digest FROM reference ORDER BY kind")
        assert found == [
            (str(digest), "config", str(digest_of(CONTENTS[0]))),
            (str(digest), "layer", str(digest_of(CONTENTS[1]))),
        ]
        other = self.put(index(), name=OTHER)
        found = self.rows("SELECT kind, digest FROM reference WHERE manifest = ?", str(other))
        assert sorted(found) == sorted(("child", str(digest_of(one))) for one in (b"one", b"two"))

    def test_a_manifest_is_due_with_its_lease(self: Any) -> None:
        """The collector shall look at a manifest when its lease has ended."""
        digest = self.put(index(), "latest", lease=LATE)
        assert self.due()["manifest", str(digest)] == (LATE.until, "leased")

    def test_pushing_again(self: Any) -> None:
        """A manifest that is there already gets a new lease, and is there once."""
        digest = self.put(image(), "latest")
        assert self.put(image(), "v1", lease=LATE) == digest
        assert self.rows("SELECT digest, lease_until, pushed FROM manifest") == [
            (str(digest), LATE.until, EARLY.now)
        ]
        assert self.due()["manifest", str(digest)] == (LATE.until, "leased")
        assert self.get("latest") == self.get("v1")

    def test_pushing_again_as_another_type(self: Any) -> None:
        """Bytes that may be of two types are of the one that they were last pushed as."""
        document = {key: value for key, value in image().items() if key != "mediaType"}
        digest = self.put(document, media_type=OCI_MANIFEST)
        assert self.put(document, media_type=DOCKER_MANIFEST) == digest
        assert self.get(digest).media_type == DOCKER_MANIFEST

    def test_moving_a_tag(self: Any) -> None:
        """
        A tag names what was pushed last, and the collector shall look at what it named before.
        """
        before = self.put(image(), "latest")
        after = self.put(index(), "latest", lease=LATE)
        assert self.get("latest").digest == after
        assert self.get(before).digest == before
        assert self.due()["manifest", str(before)] == (LATE.until, "tag moved")
        assert self.due()["manifest", str(after)] == (LATE.until, "leased")

    def test_a_tag_that_stays(self: Any) -> None:
        """A tag that is pushed again moves nothing."""
        digest = self.put(image(), "latest")
        self.put(image(), "latest", lease=LATE)
        assert self.due()["manifest", str(digest)] == (LATE.until, "leased")
        assert self.rows("SELECT name, updated FROM tag") == [("latest", LATE.now)]

    def test_the_same_tag_twice(self: Any) -> None:
        """A tag that is named twice in one push is one tag."""
        self.put(image(), "latest", "latest")
        assert self.result_of(self.tags.page(APP, "", 10)).names == ["latest"]

    def test_repositories_are_apart(self: Any) -> None:
        """The same tag in two repositories names different manifests."""
        one, other = self.put(image(), "latest"), self.put(index(), "latest", name=OTHER)
        assert (self.get("latest").digest, self.get("latest", OTHER).digest) == (one, other)

    def test_deleting(self: Any) -> None:
        """A deleted manifest is gone with its tags and references, in that repository only."""
        digest = self.put(image(), "latest", "v1")
        self.put(image(), "latest", name=OTHER)
        kept = self.put(index(), "kept")
        self.result_of(self.manifests.delete(APP, digest, LATE))
        for reference in (digest, Tag("latest"), Tag("v1")):
            self.failure_of(self.manifests.get(APP, reference), ManifestUnknown)
        assert self.result_of(self.tags.page(APP, "", 10)).names == ["kept"]
        assert self.get("kept").digest == kept
        assert self.get("latest", OTHER).digest == digest
        assert len(self.rows("SELECT * FROM reference WHERE manifest = ?", str(digest))) == 3

    def test_deleting_makes_others_due(self: Any) -> None:
        """The collector shall look at all that a deleted manifest referred to."""
        digest = self.put(image())
        self.result_of(self.manifests.delete(APP, digest, LATE))
        due = self.due()
        for content in CONTENTS:
            assert due["blob", str(digest_of(content))] == (LATE.until, "manifest deleted")
        digest = self.put(index())
        self.result_of(self.manifests.delete(APP, digest, LATE))
        due = self.due()
        for child in (b"one", b"two"):
            assert due["manifest", str(digest_of(child))] == (LATE.until, "manifest deleted")

    def test_deleting_what_is_not_there(self: Any) -> None:
        """A repository that does not exist is told apart from a manifest that it does not have."""
        digest = digest_of(b"?")
        self.failure_of(self.manifests.delete(APP, digest, LATE), NameUnknown)
        self.put(image())
        self.failure_of(self.manifests.delete(APP, digest, LATE), ManifestUnknown)
