"""
What every L{IBlobRecords} does.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from ociregd.errors import (
    BlobUnknown,
    BlobUploadUnknown,
    NameUnknown,
    Overtaken,
)
from ociregd.interfaces import IBlobRecords
from ociregd.oci.digest import digest_of
from ociregd.oci.names import RepositoryName
from ociregd.values import Blob, Standing

from .files import OTHER_SESSION, SESSION
from .records import APP, BLOB, CONTENT, EARLY, LATE, NOWHERE, OTHER, RecordsCase, change


class BlobRecordsContract(RecordsCase):
    """
    What every L{IBlobRecords} does.
    """

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{IBlobRecords}."""
        assert verifyObject(IBlobRecords, self.blobs)

    def standing(self: Any) -> Standing:
        """Whether the blob is stored."""
        standing: Standing = self.result_of(self.blobs.standing(BLOB))
        return standing

    def test_committing(self: Any) -> None:
        """
        A committed blob is found in its repository, with its lease, and the session has ended.
        """
        self.commit()
        blob = self.result_of(self.blobs.find(APP, BLOB))
        assert blob == Blob(BLOB, len(CONTENT), 1, EARLY.until)
        self.failure_of(self.uploads.check(SESSION, APP), BlobUploadUnknown)

    def test_a_commit_is_due_with_its_lease(self: Any) -> None:
        """The collector shall look at a blob when its lease has ended, not before."""
        self.commit()
        assert self.due() == {("blob", str(BLOB)): (EARLY.until, "leased")}

    def test_discarding(self: Any) -> None:
        """A file that is not committed is the collector's, and its generation is not used again."""
        self.result_of(self.blobs.discard(BLOB, len(CONTENT), 1, EARLY))
        assert self.rows("SELECT digest, generation, purge_after FROM trash") == [
            (str(BLOB), 1, EARLY.until)
        ]
        self.failure_of(self.blobs.find(APP, BLOB), BlobUnknown)
        assert self.standing() == Standing(False, 2)
        self.result_of(self.blobs.discard(BLOB, len(CONTENT), 2, LATE))
        assert self.standing() == Standing(False, 3)
        self.result_of(self.blobs.discard(BLOB, len(CONTENT), 2, LATE))
        assert len(self.rows("SELECT digest FROM trash")) == 2

    def test_discarding_what_somebody_has_committed(self: Any) -> None:
        """A file that is a blob's by now stays one."""
        self.commit()
        self.result_of(self.blobs.discard(BLOB, len(CONTENT), 1, LATE))
        assert self.rows("SELECT digest FROM trash") == []
        assert self.result_of(self.blobs.find(APP, BLOB)).generation == 1

    def test_not_found(self: Any) -> None:
        """A blob is unknown where it is not held, and where nothing is."""
        self.commit()
        self.result_of(self.uploads.forget([SESSION]))
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
        """
        A new blob has the first generation, a stored one its own, and after that comes the
        next.
        """
        assert self.standing() == Standing(False, 1)
        self.commit()
        assert self.standing() == Standing(True, 1)
        self.doom(BLOB)
        assert self.standing() == Standing(False, 2)
        self.commit(generation=2)
        assert self.standing() == Standing(True, 2)
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
        self.commit(name=OTHER, lease=LATE)
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
        self.failure_of(self.committing(), BlobUploadUnknown)
        self.result_of(self.uploads.start(SESSION, OTHER, 0.0))
        self.failure_of(self.committing(), BlobUploadUnknown)
        self.nothing_exists()

    def test_a_commit_of_a_generation_that_is_being_removed(self: Any) -> None:
        """A file that the collector may remove is not committed: nothing happens."""
        self.commit()
        self.doom(BLOB)
        before = self.due()
        self.result_of(self.uploads.forget([SESSION]))
        self.result_of(self.uploads.start(SESSION, OTHER, 7.0))
        self.failure_of(self.committing(name=OTHER, lease=LATE), Overtaken)
        self.failure_of(self.blobs.find(OTHER, BLOB), BlobUnknown)
        self.failure_of(self.tags.page(OTHER, "", 1), NameUnknown)
        assert self.due() == before
        assert self.touched() == [7.0]
        assert self.standing() == Standing(False, 2)

    def test_a_commit_of_what_is_being_removed(self: Any) -> None:
        """A blob that was stored when somebody asked, and is not any more, is not committed."""
        self.commit()
        stored = self.standing()
        self.result_of(self.uploads.forget([SESSION]))
        self.result_of(self.uploads.start(SESSION, OTHER, 7.0))
        self.doom(BLOB)
        committing = self.blobs.commit(SESSION, OTHER, BLOB, len(CONTENT), stored, LATE)
        self.failure_of(committing, Overtaken)
        assert self.standing() == Standing(False, 2)

    def test_a_commit_of_what_is_stored(self: Any) -> None:
        """What is stored already is held by one more repository, and stays as it is."""
        self.commit()
        self.result_of(self.uploads.forget([SESSION]))
        self.result_of(self.uploads.start(SESSION, OTHER, 7.0))
        self.result_of(self.blobs.commit(SESSION, OTHER, BLOB, len(CONTENT), self.standing(), LATE))
        assert self.result_of(self.blobs.find(OTHER, BLOB)).lease_until == LATE.until
        assert self.rows("SELECT generation, created FROM blob") == [(1, EARLY.now)]

    def test_a_commit_of_what_was_never_stored(self: Any) -> None:
        """Nobody can rely on a blob that has no row, whatever somebody believes."""
        self.result_of(self.uploads.start(SESSION, APP, 7.0))
        committing = self.blobs.commit(SESSION, APP, BLOB, 9, Standing(True, 1), EARLY)
        self.failure_of(committing, Overtaken)
        self.nothing_exists()

    def test_a_commit_of_a_generation_that_was_removed(self: Any) -> None:
        """
        If somebody else has committed the next generation already, that is the one, and the file of
        the earlier is removed: it may have been removed once, and come back.
        """
        self.commit()
        self.doom(BLOB)
        self.commit(generation=2)
        self.commit(name=OTHER, lease=LATE)
        assert self.result_of(self.blobs.find(OTHER, BLOB)).generation == 2
        assert self.rows("SELECT generation, purge_after FROM trash") == [(1, LATE.until)]

    def test_a_commit_of_a_generation_that_is_not_needed(self: Any) -> None:
        """A blob that has come back under its old generation stays what it is."""
        self.commit()
        self.commit(name=OTHER, generation=2)
        assert self.result_of(self.blobs.find(OTHER, BLOB)).generation == 1
        assert self.rows("SELECT generation FROM trash") == [(2,)]

    def test_beginning(self: Any) -> None:
        """A session for a blob that is known by its digest begins with what is known of that."""
        begun = self.result_of(self.blobs.begin(SESSION, APP, BLOB, 7.0))
        assert begun == Standing(False, 1)
        assert self.touched() == [7.0]
        self.result_of(self.uploads.check(SESSION, APP))
        self.result_of(self.committing())
        begun = self.result_of(self.blobs.begin(OTHER_SESSION, APP, BLOB, 7.0))
        assert begun == Standing(True, 1)

    def test_continuing(self: Any) -> None:
        """What becomes of a session is told together with whether there is one."""
        self.result_of(self.uploads.start(SESSION, APP, 7.0))
        assert self.result_of(self.blobs.continue_(SESSION, APP, BLOB)) == Standing(False, 1)
        for session, name in ((SESSION, OTHER), (OTHER_SESSION, APP)):
            self.failure_of(self.blobs.continue_(session, name, BLOB), BlobUploadUnknown)
        self.result_of(self.committing())
        self.failure_of(self.blobs.continue_(SESSION, APP, BLOB), BlobUploadUnknown)
        self.result_of(self.uploads.start(OTHER_SESSION, APP, 7.0))
        continuing = self.blobs.continue_(OTHER_SESSION, APP, BLOB)
        assert self.result_of(continuing) == Standing(True, 1)
        self.doom(BLOB)
        continuing = self.blobs.continue_(OTHER_SESSION, APP, BLOB)
        assert self.result_of(continuing) == Standing(False, 2)

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
        """
        What a source does not hold, or nobody, cannot be mounted; and no repository comes of
        it.
        """
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
        """
        What the collector has tried before begins afresh: the event may be newer than its
        judgement.
        """
        self.commit()
        self.result_of(self.database.transact(change, "UPDATE due SET tries = 5"))
        self.result_of(self.blobs.renew(APP, BLOB, LATE))
        assert self.rows("SELECT tries FROM due") == [(0,)]
