"""
What every L{IUploads} does.
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IConsumer
from zope.interface.verify import verifyObject

from ociregd.errors import BlobUploadInvalid, BlobUploadUnknown, RangeNotSatisfiable
from ociregd.interfaces import IUpload, IUploads
from ociregd.oci.digest import ALGORITHMS, digest_of
from ociregd.values import Blob

from .files import BOTH, FIRST, OTHER_SESSION, SECOND, SESSION, FilesCase, flush


class UploadsContract(FilesCase):
    """
    What every L{IUploads} does, and the uploads that it opens.
    """

    def setUp(self: Any) -> None:
        super().setUp()
        self.result_of(self.files.uploads.create(SESSION, "sha256"))

    def test_provides_the_interfaces(self: Any) -> None:
        """The sessions, and each one that is open, provide their interfaces."""
        assert verifyObject(IUploads, self.files.uploads)
        upload = self.opened()
        assert verifyObject(IUpload, upload)
        assert verifyObject(IConsumer, upload)

    def test_a_new_session_is_empty(self: Any) -> None:
        """A session begins without bytes, and its digest is that of nothing."""
        upload = self.opened()
        assert (self.offset(), upload.offset) == (0, 0)
        assert self.result_of(upload.digest("sha256")) == digest_of(b"")

    def test_what_was_written_is_held(self: Any) -> None:
        """All pieces are in the session once they are flushed, and after it was closed."""
        upload = self.opened()
        assert self.write(upload, FIRST, b"", SECOND) == len(BOTH)
        assert upload.offset == self.offset() == len(BOTH)
        self.result_of(upload.close())
        assert self.offset() == len(BOTH)

    def test_nothing_to_flush(self: Any) -> None:
        """Flushing what was never written to gives the offset."""
        self.add(FIRST)
        assert self.result_of(flush(self.opened())) == len(FIRST)

    def test_continues_where_it_ended(self: Any) -> None:
        """A session that is opened again goes on behind the bytes that it has."""
        self.add(FIRST)
        upload = self.opened()
        assert upload.offset == len(FIRST)
        assert self.write(upload, SECOND) == len(BOTH)
        assert self.result_of(upload.digest("sha256")) == digest_of(BOTH)

    def test_digests_of_all_algorithms(self: Any) -> None:
        """The digest may be asked for in any algorithm, and more than once."""
        upload = self.opened()
        self.write(upload, FIRST, SECOND)
        for algorithm in (*ALGORITHMS, *ALGORITHMS):
            assert self.result_of(upload.digest(algorithm)) == digest_of(BOTH, algorithm)

    def test_opening_with_another_algorithm(self: Any) -> None:
        """The algorithm may become known after bytes have come."""
        self.add(FIRST)
        upload = self.result_of(self.files.uploads.open(SESSION, "sha512"))
        self.write(upload, SECOND)
        assert self.result_of(upload.digest("sha512")) == digest_of(BOTH, "sha512")

    def test_another_process_goes_on(self: Any) -> None:
        """Who knows nothing of the bytes before knows their digest nevertheless."""
        self.add(FIRST)
        upload = self.opened(files=self.other_process())
        self.write(upload, SECOND)
        assert self.result_of(upload.digest("sha256")) == digest_of(BOTH)

    def test_another_process_was_in_between(self: Any) -> None:
        """Bytes that another process wrote meanwhile are in the digest."""
        self.add(FIRST)
        self.add(SECOND, files=self.other_process())
        upload = self.opened()
        assert upload.offset == len(BOTH)
        assert self.result_of(upload.digest("sha256")) == digest_of(BOTH)
        self.write(upload, b"!")
        assert self.result_of(upload.digest("sha256")) == digest_of(BOTH + b"!")

    def test_taking_back(self: Any) -> None:
        """
        What was written since a session was opened is forgotten, nothing else is, and something
        else may come instead.
        """
        self.add(FIRST)
        upload = self.opened()
        self.write(upload, SECOND, SECOND)
        for _ in range(2):
            self.result_of(upload.take_back())
            assert upload.offset == self.offset() == len(FIRST)
        assert self.result_of(upload.digest("sha256")) == digest_of(FIRST)
        assert self.write(upload, b" and others") == len(FIRST) + 11
        assert self.result_of(upload.digest("sha256")) == digest_of(FIRST + b" and others")

    def test_taking_back_what_another_process_goes_on_from(self: Any) -> None:
        """A digest is never of bytes that another process has taken back."""
        self.add(FIRST)
        other = self.opened(files=self.other_process())
        self.write(other, SECOND.upper())
        self.result_of(other.take_back())
        self.result_of(other.close())
        upload = self.opened()
        assert self.result_of(upload.digest("sha256")) == digest_of(FIRST)
        self.write(upload, SECOND)
        assert self.result_of(upload.digest("sha256")) == digest_of(BOTH)

    def test_a_client_goes_while_its_bytes_are_taken_back(self: Any) -> None:
        """They are taken back, or are not; and whichever, no digest is of others than are there."""
        upload = self.opened()
        self.write(upload, FIRST)
        taking = self.begin(upload.take_back())
        taking.addErrback(lambda _: None)
        taking.cancel()
        self.result_of(upload.close())
        kept = FIRST[: self.offset()]
        # As many as were there, but others.
        self.add(bytes(len(FIRST) - len(kept)), files=self.other_process())
        again = self.opened()
        digest = digest_of(kept + bytes(len(FIRST) - len(kept)))
        assert self.result_of(again.digest("sha256")) == digest

    def test_dropping(self: Any) -> None:
        """A session that is dropped is unknown to everybody from then on, and let go."""
        self.add(FIRST)
        upload = self.opened()
        self.write(upload, SECOND)
        self.result_of(upload.drop())
        self.result_of(upload.close())
        for files in (self.files, self.other_process()):
            self.failure_of(files.uploads.open(SESSION, None), BlobUploadUnknown)
            self.failure_of(files.uploads.offset(SESSION), BlobUploadUnknown)
        self.result_of(self.files.uploads.remove(SESSION))

    def test_sessions_do_not_mix(self: Any) -> None:
        """Two open sessions have bytes of their own."""
        self.result_of(self.files.uploads.create(OTHER_SESSION, "sha512"))
        one, other = self.opened(), self.opened(OTHER_SESSION)
        one.write(FIRST)
        other.write(SECOND)
        assert self.result_of(flush(one)) == len(FIRST)
        assert self.result_of(flush(other)) == len(SECOND)
        assert self.result_of(one.digest("sha256")) == digest_of(FIRST)
        assert self.result_of(other.digest("sha256")) == digest_of(SECOND)

    def test_one_writer_at_a_time(self: Any) -> None:
        """A session that somebody writes to is refused to others, and they hear how far it is."""
        upload = self.opened()
        self.write(upload, FIRST)
        for files in (self.files, self.other_process()):
            refusal = self.failure_of(files.uploads.open(SESSION, None), RangeNotSatisfiable)
            assert refusal.offset == len(FIRST)
        assert self.write(upload, SECOND) == len(BOTH)
        self.result_of(upload.close())
        assert self.opened().offset == len(BOTH)

    def test_closing_twice(self: Any) -> None:
        """A session may be closed once more; who opened it in between keeps it."""
        upload = self.opened()
        self.result_of(upload.close())
        another = self.opened()
        self.result_of(upload.close())
        self.failure_of(self.files.uploads.open(SESSION, None), RangeNotSatisfiable)
        assert self.write(another, FIRST) == len(FIRST)

    def test_closing_while_bytes_are_under_way(self: Any) -> None:
        """
        What came before the session was closed is kept, also what still waits for a thread; who
        comes next goes on behind.
        """
        upload = self.opened()
        for piece in (FIRST, SECOND, FIRST):
            upload.write(piece)
        self.result_of(upload.close())
        again = self.opened()
        assert again.offset == len(FIRST + SECOND + FIRST)
        assert self.result_of(again.digest("sha256")) == digest_of(FIRST + SECOND + FIRST)

    def test_what_comes_after_closing_is_dropped(self: Any) -> None:
        """Bytes that come when the session is closed already go nowhere."""
        upload = self.opened()
        self.write(upload, FIRST)
        self.result_of(upload.close())
        upload.write(SECOND)
        self.perform_all()
        assert self.offset() == len(FIRST)

    def test_an_ended_session(self: Any) -> None:
        """Once it is removed, a session is unknown; removing it again is no error."""
        uploads = self.files.uploads
        self.add(FIRST)
        self.result_of(uploads.remove(SESSION))
        self.failure_of(uploads.open(SESSION, None), BlobUploadUnknown)
        self.failure_of(uploads.offset(SESSION), BlobUploadUnknown)
        self.result_of(uploads.remove(SESSION))

    def test_ending_while_somebody_writes(self: Any) -> None:
        """A session that is removed under its writer is unknown; the writer gets to its end."""
        upload = self.opened()
        self.write(upload, FIRST)
        self.result_of(self.files.uploads.remove(SESSION))
        assert self.write(upload, SECOND) == len(BOTH)
        self.failure_of(upload.publish(digest_of(BOTH), 1), BlobUploadUnknown)
        self.result_of(upload.close())
        self.failure_of(self.files.uploads.open(SESSION, None), BlobUploadUnknown)

    def test_publishing(self: Any) -> None:
        """The bytes of a session become those of a blob, and stay so when the session has gone."""
        for content in (b"", BOTH):
            assert self.bytes_of(self.stored(content)) == content

    def test_publishing_twice(self: Any) -> None:
        """
        A commit that failed is tried again: the session has its bytes still, the blob is the
        same.
        """
        self.add(BOTH)
        blob = Blob(digest_of(BOTH), len(BOTH), 1)
        for _ in range(2):
            upload = self.opened()
            assert upload.offset == len(BOTH)
            self.result_of(upload.publish(blob.digest, 1))
            self.result_of(upload.close())
        assert self.bytes_of(blob) == BOTH

    def test_two_sessions_publish_the_same(self: Any) -> None:
        """Bytes that came twice are one blob."""
        blob = self.stored(BOTH)
        self.add(BOTH)
        upload = self.opened()
        self.result_of(upload.publish(blob.digest, 1))
        self.result_of(upload.close())
        self.result_of(self.files.uploads.remove(SESSION))
        assert self.bytes_of(blob) == BOTH

    def test_publishing_another_generation(self: Any) -> None:
        """Each generation is a file of its own, readable as long as that is there."""
        self.add(BOTH)
        upload = self.opened()
        digest = digest_of(BOTH)
        for generation in (1, 2):
            self.result_of(upload.publish(digest, generation))
        self.result_of(self.files.blobs.remove(digest, 1))
        assert self.bytes_of(Blob(digest, len(BOTH), 2)) == BOTH
        self.failure_of(self.files.blobs.open(Blob(digest, len(BOTH), 1)), OSError)

    def test_what_was_published_never_changes(self: Any) -> None:
        """
        A session whose commit failed takes no more bytes and forgets none: its blob has the bytes
        of its digest.
        """
        self.add(FIRST)
        blob = Blob(digest_of(FIRST), len(FIRST), 1)
        upload = self.opened()
        self.result_of(upload.publish(blob.digest, 1))
        self.failure_of(upload.drop(), BlobUploadInvalid)
        self.result_of(upload.take_back())
        upload.write(SECOND)
        self.failure_of(flush(upload), BlobUploadInvalid)
        self.result_of(upload.close())
        assert self.offset() == len(FIRST)
        assert self.bytes_of(blob) == FIRST

    def test_what_was_just_written_and_published(self: Any) -> None:
        """The bytes of a blob stay also with whoever has written them."""
        upload = self.opened()
        self.write(upload, FIRST)
        self.result_of(upload.publish(digest_of(FIRST), 1))
        self.failure_of(upload.take_back(), BlobUploadInvalid)
        self.result_of(upload.close())
        assert self.bytes_of(Blob(digest_of(FIRST), len(FIRST), 1)) == FIRST

    def test_who_comes_late_never_changes_a_blob(self: Any) -> None:
        """
        Who has opened a session between its commit and its removal, when nothing but the blob's
        name is left, writes to no blob and forgets no byte of it.
        """
        self.add(FIRST)
        blob = Blob(digest_of(FIRST), len(FIRST), 1)
        upload = self.opened()
        self.result_of(upload.publish(blob.digest, 1))
        self.result_of(upload.close())
        late = self.opened(files=self.other_process())
        self.result_of(self.files.uploads.remove(SESSION))
        assert late.published
        self.failure_of(late.drop(), BlobUploadInvalid)
        late.write(SECOND)
        self.failure_of(flush(late), BlobUploadInvalid)
        self.result_of(late.close())
        assert self.bytes_of(blob) == FIRST

    def test_being_published(self: Any) -> None:
        """A session tells everybody whether its bytes are a blob's, as long as there is that."""
        self.add(FIRST)
        upload = self.opened()
        assert not upload.published
        self.result_of(upload.publish(digest_of(FIRST), 1))
        assert upload.published
        self.result_of(upload.close())
        again = self.opened(files=self.other_process())
        assert again.published
        self.result_of(self.files.blobs.remove(digest_of(FIRST), 1))
        assert not again.published
