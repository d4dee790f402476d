"""
What the records of a registry do, in whatever database they are.

Each contract is mixed into a test case together with threads (see L{tests.workers}) and a way to
make a database (see L{tests.contracts.DatabaseContract}). Some of what is tested shows only in the
tables: what the collector shall look at, and when.
"""

from __future__ import annotations

import json
from typing import Any

from zope.interface.verify import verifyObject

from ociregd.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    ManifestBlobUnknown,
    ManifestInvalid,
    ManifestUnknown,
    NameUnknown,
)
from ociregd.interfaces import (
    Blob,
    IBlobRecords,
    ICursor,
    IManifestRecords,
    ITagRecords,
    IUploadRecords,
    Lease,
    StoredManifest,
)
from ociregd.oci.digest import Digest, digest_of
from ociregd.oci.manifest import Manifest
from ociregd.oci.mediatypes import DOCKER_MANIFEST, OCI_INDEX, OCI_LAYER, OCI_MANIFEST
from ociregd.oci.names import RepositoryName, Tag
from ociregd.storage.metadata import records_in

from .contracts import OTHER_SESSION, SESSION
from .oci.samples import descriptor, image, index, written

APP = RepositoryName.parse("team/app")
OTHER = RepositoryName.parse("other/app")
NOWHERE = RepositoryName.parse("no/where")

CONTENT = b"the content"
BLOB = digest_of(CONTENT)

EARLY = Lease(1000.0, 1100.0)
LATE = Lease(2000.0, 2100.0)


async def query(cursor: ICursor, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
    """Whatever the tables say."""
    return await cursor.rows(sql, *parameters)


async def change(cursor: ICursor, sql: str, *parameters: object) -> int:
    """What the collector, or a crash, may do to the tables."""
    return await cursor.change(sql, *parameters)


class RecordsCase:
    """
    What the contracts of records do all the time.
    """

    def setUp(self: Any) -> None:
        super().setUp()
        self.database = self.make_database()
        records = records_in(self.database)
        self.blobs, self.manifests = records.blobs, records.manifests
        self.tags, self.uploads = records.tags, records.uploads

    def rows(self: Any, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        """What the tables say."""
        found: list[tuple[Any, ...]] = self.result_of(
            self.database.read(query, sql, *parameters)
        )
        return found

    def due(self: Any) -> dict[tuple[str, str], tuple[float, str]]:
        """What the collector shall look at: kind and digest, when, and why."""
        found = self.rows("SELECT kind, digest, due_at, reason FROM due")
        return {(kind, digest): (due_at, reason) for kind, digest, due_at, reason in found}

    def doom(self: Any, digest: Digest) -> None:
        """What the collector does to a blob that nobody needs."""
        self.result_of(
            self.database.transact(
                change, "UPDATE blob SET state = 'doomed' WHERE digest = ?", str(digest)
            )
        )

    def commit(
        self: Any,
        content: bytes = CONTENT,
        name: RepositoryName = APP,
        generation: int = 1,
        lease: Lease = EARLY,
        algorithm: str = "sha256",
    ) -> Any:
        """Begin a session and commit it; the generation that is in force."""
        self.result_of(self.uploads.start(SESSION, name, lease.now))
        return self.result_of(
            self.blobs.commit(
                SESSION, name, digest_of(content, algorithm), len(content), generation, lease
            )
        )

    def put(
        self: Any,
        document: Any,
        *tags: str,
        name: RepositoryName = APP,
        lease: Lease = EARLY,
        media_type: str | None = None,
    ) -> Digest:
        """Push a manifest, and what it needs before that."""
        manifest = Manifest.parse(written(document), media_type)
        for content in CONTENTS:
            self.commit(content, name)
        digest = digest_of(manifest.body)
        named = [Tag.parse(tag) for tag in tags]
        self.result_of(self.manifests.put(name, digest, manifest, named, lease))
        return digest

    def nothing_exists(self: Any) -> None:
        """Check that no repository came into being, and nothing in it."""
        for table in ("repository", "blob", "repository_blob", "manifest", "reference", "tag",
        "due"):
            assert self.rows(f"SELECT * FROM {table}") == [], table


#: What the sample images are made of.
CONTENTS = (b"the config", b"the first layer", b"another layer")


class BlobRecordsContract(RecordsCase):
    """
    What every L{IBlobRecords} does.
    """

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{IBlobRecords}."""
        assert verifyObject(IBlobRecords, self.blobs)

    def test_committing(self: Any) -> None:
        """A committed blob is found in its repository, with its lease, and the session has ended."""
        assert self.commit() == 1
        blob = self.result_of(self.blobs.find(APP, BLOB))
        assert blob == Blob(BLOB, len(CONTENT), 1, EARLY.until)
        self.failure_of(self.uploads.touched(SESSION, APP), BlobUploadUnknown)

    def test_a_commit_is_due_with_its_lease(self: Any) -> None:
        """The collector shall look at a blob when its lease has ended, not before."""
        self.commit()
        assert self.due() == {("blob", str(BLOB)): (EARLY.until, "leased")}

    def test_not_found(self: Any) -> None:
        """A blob is unknown where it is not held, and where nothing is."""
        self.commit()
        self.result_of(self.uploads.start(SESSION, OTHER, 0.0))
        for name, digest in ((APP, digest_of(b"?")), (OTHER, BLOB), (NOWHERE, BLOB)):
            self.failure_of(self.blobs.find(name, digest), BlobUnknown)

    def test_a_doomed_blob_is_not_found(self: Any) -> None:
        """What the collector has decided about is unknown from then on, for every purpose."""
        self.commit()
        self.doom(BLOB)
        self.failure_of(self.blobs.find(APP, BLOB), BlobUnknown)
        self.failure_of(self.blobs.renew(APP, BLOB, LATE), BlobUnknown)
        for source in (APP, None):
            self.failure_of(self.blobs.mount(OTHER, BLOB, source, LATE), BlobUnknown)

    def test_generations(self: Any) -> None:
        """A new blob has the first generation, a stored one its own, and after that comes the next."""
        assert self.result_of(self.blobs.generation(BLOB)) == (False, 1)
        self.commit()
        assert self.result_of(self.blobs.generation(BLOB)) == (True, 1)
        self.doom(BLOB)
        assert self.result_of(self.blobs.generation(BLOB)) == (False, 2)
        assert self.commit(generation=2) == 2
        assert self.result_of(self.blobs.generation(BLOB)) == (True, 2)
        assert self.result_of(self.blobs.find(APP, BLOB)).generation == 2

    def test_algorithms_are_apart(self: Any) -> None:
        """The same bytes under digests of two algorithms are two blobs."""
        self.commit()
        self.commit(algorithm="sha512")
        digest = digest_of(CONTENT, "sha512")
        assert self.result_of(self.blobs.find(APP, digest)).digest == digest

    def test_two_commit_the_same(self: Any) -> None:
        """Who comes second gets the blob of who was first."""
        self.commit()
        assert self.commit(name=OTHER, lease=LATE) == 1
        for name, lease in ((APP, EARLY), (OTHER, LATE)):
            assert self.result_of(self.blobs.find(name, BLOB)).lease_until == lease.until

    def test_a_commit_again_renews_the_lease(self: Any) -> None:
        """Pushing what is there already prolongs its lease, and the collector looks later."""
        self.commit()
        self.commit(lease=LATE)
        assert self.result_of(self.blobs.find(APP, BLOB)).lease_until == LATE.until
        assert self.due() == {("blob", str(BLOB)): (LATE.until, "leased")}

    def test_a_commit_of_no_session(self: Any) -> None:
        """A session that was cancelled meanwhile, or is another repository's, commits nothing."""
        committing = self.blobs.commit(SESSION, APP, BLOB, len(CONTENT), 1, EARLY)
        self.failure_of(committing, BlobUploadUnknown)
        self.result_of(self.uploads.start(SESSION, OTHER, 0.0))
        committing = self.blobs.commit(SESSION, APP, BLOB, len(CONTENT), 1, EARLY)
        self.failure_of(committing, BlobUploadUnknown)
        self.nothing_exists()

    def test_a_commit_of_a_generation_that_is_being_removed(self: Any) -> None:
        """A file that the collector may remove is not committed: nothing happens, and the next is named."""
        self.commit()
        self.doom(BLOB)
        before = self.due()
        assert self.commit(name=OTHER, lease=LATE) == 2
        self.failure_of(self.blobs.find(OTHER, BLOB), BlobUnknown)
        assert self.due() == before
        assert self.result_of(self.uploads.touched(SESSION, OTHER)) == LATE.now

    def test_a_commit_of_a_generation_that_was_removed(self: Any) -> None:
        """That holds when somebody else has committed the next generation already."""
        self.commit()
        self.doom(BLOB)
        self.commit(generation=2)
        assert self.commit(name=OTHER) == 2
        self.failure_of(self.blobs.find(OTHER, BLOB), BlobUnknown)
        committing = self.blobs.commit(SESSION, OTHER, BLOB, len(CONTENT), 2, EARLY)
        assert self.result_of(committing) == 2
        assert self.result_of(self.blobs.find(OTHER, BLOB)).generation == 2

    def test_a_commit_of_a_generation_that_is_not_needed(self: Any) -> None:
        """A blob that has come back under its old generation stays what it is."""
        self.commit()
        assert self.commit(name=OTHER, generation=2) == 1
        assert self.result_of(self.blobs.find(OTHER, BLOB)).generation == 1

    def test_mounting(self: Any) -> None:
        """What one repository holds, another may hold as well, under a lease of its own."""
        self.commit()
        for source in (APP, None):
            target = RepositoryName.parse(f"from/{source is None}".lower())
            self.result_of(self.blobs.mount(target, BLOB, source, LATE))
            mounted = self.result_of(self.blobs.find(target, BLOB))
            assert mounted == Blob(BLOB, len(CONTENT), 1, LATE.until)
        assert self.result_of(self.blobs.find(APP, BLOB)).lease_until == EARLY.until
        due = self.rows("SELECT due_at FROM due ORDER BY due_at")
        assert due == [(EARLY.until,), (LATE.until,), (LATE.until,)]

    def test_mounting_what_is_not_there(self: Any) -> None:
        """What a source does not hold, or nobody, cannot be mounted; and no repository comes of it."""
        self.failure_of(self.blobs.mount(APP, BLOB, None, EARLY), BlobUnknown)
        self.failure_of(self.blobs.mount(APP, BLOB, NOWHERE, EARLY), BlobUnknown)
        self.nothing_exists()
        self.commit(name=OTHER)
        self.commit(b"something else")
        self.failure_of(self.blobs.mount(NOWHERE, BLOB, APP, EARLY), BlobUnknown)
        self.failure_of(self.tags.page(NOWHERE, "", 1), NameUnknown)

    def test_mounting_what_everybody_has_let_go(self: Any) -> None:
        """A blob that no repository holds any more is not found in any."""
        self.commit()
        self.result_of(self.blobs.unlink(APP, BLOB, LATE))
        self.failure_of(self.blobs.mount(OTHER, BLOB, None, LATE), BlobUnknown)

    def test_renewing(self: Any) -> None:
        """A renewed lease lasts longer, and the collector looks later."""
        self.commit()
        self.result_of(self.blobs.renew(APP, BLOB, LATE))
        assert self.result_of(self.blobs.find(APP, BLOB)).lease_until == LATE.until
        assert self.due() == {("blob", str(BLOB)): (LATE.until, "leased")}

    def test_renewing_what_is_not_there(self: Any) -> None:
        """Only what a repository holds has a lease."""
        self.failure_of(self.blobs.renew(APP, BLOB, LATE), BlobUnknown)
        self.commit(name=OTHER)
        self.failure_of(self.blobs.renew(APP, BLOB, LATE), BlobUnknown)

    def test_unlinking(self: Any) -> None:
        """A deleted blob is unknown in that repository only, and the collector shall look at it."""
        self.commit()
        self.commit(name=OTHER)
        self.result_of(self.blobs.unlink(APP, BLOB, LATE))
        self.failure_of(self.blobs.find(APP, BLOB), BlobUnknown)
        assert self.result_of(self.blobs.find(OTHER, BLOB)).size == len(CONTENT)
        due = self.rows("SELECT due_at, reason FROM due ORDER BY due_at")
        assert due == [(EARLY.until, "leased"), (LATE.until, "deleted")]

    def test_unlinking_what_is_not_there(self: Any) -> None:
        """A repository that does not exist is told apart from a blob that it does not hold."""
        self.failure_of(self.blobs.unlink(APP, BLOB, LATE), NameUnknown)
        self.commit()
        self.failure_of(self.blobs.unlink(APP, digest_of(b"?"), LATE), BlobUnknown)
        self.result_of(self.blobs.unlink(APP, BLOB, LATE))
        self.failure_of(self.blobs.unlink(APP, BLOB, LATE), BlobUnknown)

    def test_a_new_event_takes_the_place_of_an_old_one(self: Any) -> None:
        """What the collector has tried before begins afresh: the event may be newer than its judgement."""
        self.commit()
        self.result_of(self.database.transact(change, "UPDATE due SET tries = 5"))
        self.result_of(self.blobs.renew(APP, BLOB, LATE))
        assert self.rows("SELECT tries FROM due") == [(0,)]


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
        """A manifest comes back byte for byte, with its type, by its digest and by each of its tags."""
        digest = self.put(image(note="  é \U0001f511 "), "latest", "v1")
        body = written(image(note="  é \U0001f511 "))
        for reference in (digest, "latest", "v1"):
            assert self.get(reference) == StoredManifest(digest, OCI_MANIFEST, body)

    def test_without_tags(self: Any) -> None:
        """A manifest that is pushed by its digest has no tag."""
        digest = self.put(image())
        assert self.get(digest).digest == digest
        assert self.result_of(self.tags.page(APP, "", 10)).names == []

    def test_not_found(self: Any) -> None:
        """Neither a tag nor a digest of something else is found, nor anything in another repository."""
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
        """Every blob that is missing is named, in the order of the manifest, and nothing is stored."""
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
        """A tag names what was pushed last, and the collector shall look at what it named before."""
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

    def referrer(self: Any, subject: str, number: int, **others: Any) -> Digest:
        """Push an index that refers to a subject."""
        document = index(
            manifests=[], subject=descriptor(subject.encode(), OCI_MANIFEST), number=number,
            **others
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
        """The manifests that name a subject are listed in the order of their digests, those of others not."""
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
        assert found.size == len(self.get(digest).body)
        assert (found.artifact_type, found.annotations) == ("application/x", annotations)

    def test_referrers_without_anything(self: Any) -> None:
        """What a manifest does not say is not there, rather than empty."""
        self.referrer("subject", 1)
        [found] = self.referrers().descriptors
        assert (found.artifact_type, found.annotations) == (None, None)

    def test_pages_of_referrers(self: Any) -> None:
        """A page ends after as many as were wanted, says whether more follow, and the next goes on."""
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
            str(self.referrer("subject", number, artifactType="application/x")) for number in
            range(3)
        )
        self.referrer("subject", 9, artifactType="application/y")
        self.referrer("subject", 10)
        page = self.referrers(artifact_type="application/x", count=2)
        assert ([one.digest for one in page.descriptors], page.more) == (wanted[:2], True)
        page = self.referrers(artifact_type="application/x", last=wanted[1], count=2)
        assert ([one.digest for one in page.descriptors], page.more) == (wanted[2:], False)
        assert self.referrers(artifact_type="application/z").descriptors == []

    def test_no_referrers(self: Any) -> None:
        """Whether a subject or a repository exists does not matter: without referrers the list is empty."""
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
        assert json.loads(self.get(Digest.parse(seen[0])).body)["annotations"]["note"]


class TagRecordsContract(RecordsCase):
    """
    What every L{ITagRecords} does.
    """

    #: In bytewise order, which is no language's.
    NAMES = ("0", "A", "B-1", "B.1", "B1", "Z", "_a", "a", "a-", "a.b", "a_b", "b", "latest",
    "v10", "v9")

    def page(self: Any, last: str = "", count: int = 100) -> tuple[list[str], bool]:
        """A page of tags, and whether more follow."""
        page = self.result_of(self.tags.page(APP, last, count))
        return list(page.names), page.more

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{ITagRecords}."""
        assert verifyObject(ITagRecords, self.tags)

    def test_tags_in_order(self: Any) -> None:
        """Tags are listed in bytewise order."""
        self.put(index(), *reversed(self.NAMES))
        assert self.page() == (list(self.NAMES), False)

    def test_pages_of_tags(self: Any) -> None:
        """A page begins behind the last one, which need not exist, and says whether more follow."""
        names = list(self.NAMES)
        self.put(index(), *names)
        assert self.page(count=3) == (names[:3], True)
        assert self.page("B-1", 12) == (names[3:], False)
        assert self.page("B-1", 11) == (names[3:14], True)
        assert self.page("C", 2) == (["Z", "_a"], True)
        assert self.page("v9") == ([], False)
        assert self.page("zzz") == ([], False)

    def test_tags_of_no_repository(self: Any) -> None:
        """A repository to which nothing was pushed does not exist, even if a session was begun there."""
        self.result_of(self.uploads.start(SESSION, APP, 0.0))
        self.failure_of(self.tags.page(APP, "", 10), NameUnknown)

    def test_tags_of_an_empty_repository(self: Any) -> None:
        """A repository exists once it holds a blob, and goes on when it has nothing left."""
        self.commit()
        assert self.page() == ([], False)
        self.result_of(self.blobs.unlink(APP, BLOB, LATE))
        assert self.page() == ([], False)

    def test_removing(self: Any) -> None:
        """A removed tag is gone; its manifest and the other tags stay, and the collector shall look."""
        digest = self.put(image(), "latest", "v1")
        self.result_of(self.tags.remove(APP, Tag("v1"), LATE))
        assert self.page() == (["latest"], False)
        self.failure_of(self.manifests.get(APP, Tag("v1")), ManifestUnknown)
        assert self.result_of(self.manifests.get(APP, digest)).digest == digest
        assert self.due()["manifest", str(digest)] == (LATE.until, "tag removed")

    def test_removing_what_is_not_there(self: Any) -> None:
        """A repository that does not exist is told apart from a tag that it does not have."""
        self.failure_of(self.tags.remove(APP, Tag("latest"), LATE), NameUnknown)
        self.put(image(), "latest", name=OTHER)
        self.commit()
        self.failure_of(self.tags.remove(APP, Tag("latest"), LATE), ManifestUnknown)
        self.failure_of(self.tags.remove(OTHER, Tag("Latest"), LATE), ManifestUnknown)

    def test_repositories(self: Any) -> None:
        """Repositories are listed in bytewise order, in pages."""
        names = ["a", "a-b", "a.b", "a/b", "a0", "a_b", "b"]
        for name in reversed(names):
            self.commit(name=RepositoryName.parse(name))
        page = self.result_of(self.tags.repositories("", 4))
        assert (list(page.names), page.more) == (names[:4], True)
        page = self.result_of(self.tags.repositories("a/b", 4))
        assert (list(page.names), page.more) == (names[4:], False)
        page = self.result_of(self.tags.repositories("a+", 1))
        assert (list(page.names), page.more) == (["a-b"], True)

    def test_no_repositories(self: Any) -> None:
        """A session alone makes no repository."""
        self.result_of(self.uploads.start(SESSION, APP, 0.0))
        page = self.result_of(self.tags.repositories("", 10))
        assert (list(page.names), page.more) == ([], False)


class UploadRecordsContract(RecordsCase):
    """
    What every L{IUploadRecords} does.
    """

    def idle(self: Any, before: float, count: int = 100) -> list[str]:
        """The sessions that nobody has used."""
        return list(self.result_of(self.uploads.idle(before, count)))

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{IUploadRecords}."""
        assert verifyObject(IUploadRecords, self.uploads)

    def test_a_session(self: Any) -> None:
        """A session is known to its repository, and when it was used last, until it ends."""
        self.result_of(self.uploads.start(SESSION, APP, 10.5))
        assert self.result_of(self.uploads.touched(SESSION, APP)) == 10.5
        self.result_of(self.uploads.touch(SESSION, 20.25))
        assert self.result_of(self.uploads.touched(SESSION, APP)) == 20.25
        self.result_of(self.uploads.end(SESSION, APP))
        self.failure_of(self.uploads.touched(SESSION, APP), BlobUploadUnknown)
        self.failure_of(self.uploads.end(SESSION, APP), BlobUploadUnknown)

    def test_a_session_of_another_repository(self: Any) -> None:
        """A session is unknown to other repositories, which cannot end it either."""
        self.result_of(self.uploads.start(SESSION, APP, 0.0))
        self.failure_of(self.uploads.touched(SESSION, OTHER), BlobUploadUnknown)
        self.failure_of(self.uploads.end(SESSION, OTHER), BlobUploadUnknown)
        assert self.result_of(self.uploads.touched(SESSION, APP)) == 0.0

    def test_touching_what_has_ended(self: Any) -> None:
        """A late note of a session that has ended is no error, and does not bring it back."""
        self.result_of(self.uploads.touch(SESSION, 1.0))
        self.failure_of(self.uploads.touched(SESSION, APP), BlobUploadUnknown)

    def test_idle(self: Any) -> None:
        """Sessions that were last used before some time are listed, longest idle first, in batches."""
        self.result_of(self.uploads.start(SESSION, APP, 20.0))
        self.result_of(self.uploads.start(OTHER_SESSION, OTHER, 10.0))
        assert self.idle(10.0) == []
        assert self.idle(20.0) == [OTHER_SESSION]
        assert self.idle(20.5) == [OTHER_SESSION, SESSION]
        assert self.idle(20.5, 1) == [OTHER_SESSION]
        self.result_of(self.uploads.touch(OTHER_SESSION, 30.0))
        assert self.idle(100.0) == [SESSION, OTHER_SESSION]

    def test_expiring(self: Any) -> None:
        """A session expires only if it was last used before some time; and it expires once."""
        self.result_of(self.uploads.start(SESSION, APP, 20.0))
        assert self.result_of(self.uploads.expire(SESSION, 20.0)) is False
        assert self.result_of(self.uploads.touched(SESSION, APP)) == 20.0
        assert self.result_of(self.uploads.expire(SESSION, 20.5)) is True
        self.failure_of(self.uploads.touched(SESSION, APP), BlobUploadUnknown)
        assert self.result_of(self.uploads.expire(SESSION, 20.5)) is False
