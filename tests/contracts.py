"""
What everything behind a seam does, whoever made it: files of uploads and blobs, and databases.

Each contract is mixed into a test case together with threads (see L{tests.workers}) and a way to
make the thing. What the records of a database do is in L{tests.record_contracts}.
"""

from __future__ import annotations

import socket
from collections.abc import Coroutine
from typing import Any

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IConsumer
from zope.interface.verify import verifyObject

from ociregd.errors import BlobUploadUnknown, RangeNotSatisfiable, RegistryError
from ociregd.interfaces import (
    Blob,
    IBlobReader,
    IBlobStore,
    ICursor,
    IDatabase,
    IUpload,
    IUploads,
)
from ociregd.oci.digest import ALGORITHMS, Digest, digest_of

SESSION = "11111111-2222-3333-4444-555555555555"
OTHER_SESSION = "66666666-7777-8888-9999-aaaaaaaaaaaa"

FIRST = b"the first bytes"
SECOND = b", and the second"
BOTH = FIRST + SECOND


@frozen
class Files:
    """
    The two views of one storage.
    """

    uploads: IUploads
    blobs: IBlobStore


class FilesCase:
    """
    What the contracts of files do all the time. Subclasses say how to make the files.
    """

    files: Files
    begin: Any
    result_of: Any
    failure_of: Any
    perform_all: Any

    def make_files(self) -> Files:
        """The files of an empty storage."""
        raise NotImplementedError

    def other_process(self) -> Files:
        """The same files as a process sees them that knows nothing but the storage."""
        raise NotImplementedError

    def setUp(self) -> None:
        super().setUp()  # type: ignore[misc]
        self.files = self.make_files()

    def opened(self, session_id: str = SESSION, files: Files | None = None) -> Any:
        """An upload, ready to be written to."""
        return self.result_of((files or self.files).uploads.open(session_id, None))

    def stored(self, content: bytes, generation: int = 1) -> Blob:
        """A blob that has been published."""
        digest = digest_of(content)
        self.result_of(self.files.uploads.create(OTHER_SESSION, digest.algorithm))
        self.add(content, OTHER_SESSION)
        upload = self.opened(OTHER_SESSION)
        self.result_of(upload.publish(digest, generation))
        self.result_of(upload.close())
        self.result_of(self.files.uploads.remove(OTHER_SESSION))
        return Blob(digest, len(content), generation)

    def write(self, upload: Any, *pieces: bytes) -> int:
        """Write pieces, one after the other, and wait until they are stored."""
        for piece in pieces:
            upload.write(piece)
        return int(self.result_of(flush(upload)))

    def add(self, content: bytes, session_id: str = SESSION, files: Files | None = None) -> None:
        """What one request does to a session."""
        upload = self.opened(session_id, files)
        self.write(upload, content)
        self.result_of(upload.close())

    def offset(self, session_id: str = SESSION) -> int:
        """How many bytes a session holds."""
        return int(self.result_of(self.files.uploads.offset(session_id)))

    def bytes_of(self, blob: Blob) -> bytes:
        """All that is readable of a blob."""
        reader = self.result_of(self.files.blobs.open(blob))
        content: bytes = self.result_of(reader.read(0, 2 * blob.size + 1000))
        reader.close()
        self.perform_all()
        return content


async def flush(upload: Any) -> int:
    """Wait until all that was written is stored."""
    offset: int = await upload.flushed()
    return offset


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

    def test_truncating(self: Any) -> None:
        """What is cut off is forgotten, and something else may come instead."""
        upload = self.opened()
        self.write(upload, BOTH)
        self.result_of(upload.truncate(len(FIRST)))
        assert upload.offset == self.offset() == len(FIRST)
        assert self.result_of(upload.digest("sha256")) == digest_of(FIRST)
        assert self.write(upload, b" and others") == len(FIRST) + 11
        assert self.result_of(upload.digest("sha256")) == digest_of(FIRST + b" and others")

    def test_truncating_what_another_process_has_hashed(self: Any) -> None:
        """A digest is never of bytes that another process has taken back."""
        self.add(BOTH)
        other = self.opened(files=self.other_process())
        self.result_of(other.truncate(len(FIRST)))
        self.result_of(other.close())
        upload = self.opened()
        assert self.result_of(upload.digest("sha256")) == digest_of(FIRST)

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
        """What is being written when the session is closed does not harm; who comes next goes on behind."""
        upload = self.opened()
        upload.write(FIRST)
        self.result_of(upload.close())
        again = self.opened()
        assert again.offset == len(FIRST)
        assert self.result_of(again.digest("sha256")) == digest_of(FIRST)

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
        """A commit that failed is tried again: the session has its bytes still, the blob is the same."""
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
        """Whatever becomes of a session whose commit failed, its blob has the bytes of its digest."""
        self.add(FIRST)
        blob = Blob(digest_of(FIRST), len(FIRST), 1)
        upload = self.opened()
        self.result_of(upload.publish(blob.digest, 1))
        self.result_of(upload.close())
        self.attempt(self.appended())
        self.attempt(self.truncated())
        assert self.bytes_of(blob) == FIRST

    async def appended(self: Any) -> None:
        """Write to the session."""
        upload = await self.files.uploads.open(SESSION, None)
        try:
            upload.write(SECOND)
            await upload.flushed()
        finally:
            await upload.close()

    async def truncated(self: Any) -> None:
        """Empty the session."""
        upload = await self.files.uploads.open(SESSION, None)
        try:
            await upload.truncate(0)
        finally:
            await upload.close()

    def attempt(self: Any, work: Coroutine[Any, Any, None]) -> None:
        """Do what may be refused."""
        outcomes: list[object] = []
        self.begin(work).addBoth(outcomes.append)
        self.perform_all()
        for outcome in outcomes:
            assert outcome is None or outcome.check(RegistryError), outcome


class BlobStoreContract(FilesCase):
    """
    What every L{IBlobStore} does, and the readers that it opens.
    """

    def test_provides_the_interfaces(self: Any) -> None:
        """The store, and each open blob, provide their interfaces."""
        assert verifyObject(IBlobStore, self.files.blobs)
        reader = self.result_of(self.files.blobs.open(self.stored(BOTH)))
        assert verifyObject(IBlobReader, reader)

    def test_reading_any_part(self: Any) -> None:
        """Any part may be read, in any order; behind the end there is nothing."""
        reader = self.result_of(self.files.blobs.open(self.stored(BOTH)))
        for start, count in ((0, 5), (3, 5), (0, 1000), (len(BOTH) - 1, 5), (len(BOTH), 5), (99,
        1)):
            assert self.result_of(reader.read(start, count)) == BOTH[start : start + count]

    def test_what_is_not_there(self: Any) -> None:
        """A blob, or a generation of it, that was never published is an error of the storage."""
        blob = self.stored(BOTH)
        self.failure_of(self.files.blobs.open(Blob(digest_of(b"?"), 1, 1)), OSError)
        self.failure_of(self.files.blobs.open(Blob(blob.digest, blob.size, 2)), OSError)

    def test_another_size_than_the_database_says(self: Any) -> None:
        """No byte is read of a file that has another size than its blob."""
        blob = self.stored(BOTH)
        for size in (0, len(BOTH) - 1, len(BOTH) + 1):
            self.failure_of(self.files.blobs.open(Blob(blob.digest, size, 1)), OSError)

    def test_removing(self: Any) -> None:
        """What is removed is not there any more; removing it again is no error."""
        blob = self.stored(BOTH)
        for _ in range(2):
            self.result_of(self.files.blobs.remove(blob.digest, 1))
        self.failure_of(self.files.blobs.open(blob), OSError)

    def test_removing_one_generation(self: Any) -> None:
        """A late removal of an old generation leaves the present one alone."""
        self.stored(BOTH)
        present = self.stored(BOTH, generation=2)
        self.result_of(self.files.blobs.remove(present.digest, 1))
        assert self.bytes_of(present) == BOTH

    def test_removing_under_a_reader(self: Any) -> None:
        """Who reads a blob while it is removed reads it to its end."""
        blob = self.stored(BOTH)
        reader = self.result_of(self.files.blobs.open(blob))
        self.result_of(self.files.blobs.remove(blob.digest, 1))
        assert self.result_of(reader.read(0, 1000)) == BOTH

    def test_closing_under_a_read(self: Any) -> None:
        """A reader may be closed at any time, and again: a read under way gets its bytes."""
        reader = self.result_of(self.files.blobs.open(self.stored(BOTH)))
        reading = self.begin(reader.read(0, 1000))
        reader.close()
        reader.close()
        self.perform_all()
        assert self.successResultOf(reading) == BOTH

    def socket_pair(self: Any) -> tuple[socket.socket, int]:
        """The end of a client, and the descriptor that leads to it."""
        client, server = socket.socketpair()
        server.setblocking(False)
        self.addCleanup(client.close)
        return client, server.detach()

    def test_sending_any_part(self: Any) -> None:
        """Any part goes to a socket directly; behind the end there is nothing to send."""
        reader = self.result_of(self.files.blobs.open(self.stored(BOTH)))
        client, out = self.socket_pair()
        for start, count in ((0, 5), (3, 5), (2, 1000), (len(BOTH), 5)):
            part = BOTH[start : start + count]
            assert self.result_of(reader.send(out, start, count)) == len(part)
            if part:
                assert client.recv(1000) == part
        released = reader.release(out)
        self.perform_all()
        self.successResultOf(released)

    def test_a_socket_that_takes_no_more(self: Any) -> None:
        """Who reads slowly is told apart from who has gone."""
        content = bytes(2**18)
        reader = self.result_of(self.files.blobs.open(self.stored(content)))
        client, out = self.socket_pair()
        while self.result_of(measured(reader, out, len(content))):
            pass
        client.close()
        self.failure_of(reader.send(out, 0, 1), ConnectionError)
        reader.release(out)
        self.perform_all()

    def test_releasing_under_a_send(self: Any) -> None:
        """A descriptor is closed when it is sent to no more, and then the client sees the end."""
        reader = self.result_of(self.files.blobs.open(self.stored(BOTH)))
        client, out = self.socket_pair()
        sending = self.begin(reader.send(out, 0, 1000))
        released = reader.release(out)
        reader.close()
        self.perform_all()
        assert self.successResultOf(sending) == len(BOTH)
        self.successResultOf(released)
        assert client.recv(1000) == BOTH
        assert client.recv(1) == b""

    def test_algorithms_are_apart(self: Any) -> None:
        """A blob is found under the digest that it was published under, and no other."""
        self.result_of(self.files.uploads.create(SESSION, "sha512"))
        self.add(BOTH)
        upload = self.opened()
        digest = digest_of(BOTH, "sha512")
        self.result_of(upload.publish(digest, 1))
        assert self.bytes_of(Blob(digest, len(BOTH), 1)) == BOTH
        short = Digest("sha256", digest.encoded[:64])
        self.failure_of(self.files.blobs.open(Blob(short, len(BOTH), 1)), OSError)


async def measured(reader: Any, out: int, count: int) -> int:
    """How many bytes a socket takes; none if it is full."""
    try:
        sent: int = await reader.send(out, 0, count)
    except BlockingIOError:
        return 0
    return sent


class Spoilt(Exception):
    """What an interaction of these tests may raise."""


async def begin_fruit(cursor: ICursor) -> None:
    """A table for these tests."""
    await cursor.change("CREATE TABLE fruit (name TEXT PRIMARY KEY, count BIGINT)")


async def add_fruit(cursor: ICursor, name: str, count: int = 1) -> int:
    """One more row."""
    return await cursor.change("INSERT INTO fruit (name, count) VALUES (?, ?)", name, count)


async def count_fruit(cursor: ICursor) -> int:
    """How many rows there are."""
    [(count,)] = await cursor.rows("SELECT count(*) FROM fruit")
    return int(count)


async def spoil_fruit(cursor: ICursor, name: str) -> None:
    """Add a row, and then fail."""
    await add_fruit(cursor, name)
    raise Spoilt(name)


async def mistaken(cursor: ICursor, name: str) -> None:
    """Add a row, and then say something that is no SQL."""
    await add_fruit(cursor, name)
    await cursor.change("INSERT INTO vegetable (name) VALUES (?)", name)


async def wait_for_rain(cursor: ICursor, rain: Deferred[None]) -> None:
    """Add a row, and then wait for what no database brings."""
    await add_fruit(cursor, "melon")
    await rain


class DatabaseContract:
    """
    What every L{IDatabase} does. Subclasses say how to make one.
    """

    def make_database(self) -> IDatabase:
        """A database that is open, and has no table C{fruit}."""
        raise NotImplementedError

    def make_reopened(self) -> IDatabase:
        """The same database, closed and opened again."""
        raise NotImplementedError

    def setUp(self: Any) -> None:
        super().setUp()
        self.database = self.make_database()
        self.result_of(self.database.transact(begin_fruit))

    def count(self: Any) -> int:
        """How many fruit everybody sees."""
        return int(self.result_of(self.database.read(count_fruit)))

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{IDatabase}."""
        assert verifyObject(IDatabase, self.database)

    def test_provides_a_cursor(self: Any) -> None:
        """What an interaction talks to provides L{ICursor}."""

        async def check(cursor: ICursor) -> bool:
            return bool(verifyObject(ICursor, cursor))

        assert self.result_of(self.database.transact(check))
        assert self.result_of(self.database.read(check))

    def test_results(self: Any) -> None:
        """What an interaction returns comes back: of changes the number, of queries the rows."""
        assert self.result_of(self.database.transact(add_fruit, "apple", 3)) == 1

        async def rename(cursor: ICursor, before: str, after: str) -> int:
            return await cursor.change("UPDATE fruit SET name = ? WHERE name = ?", after, before)

        assert self.result_of(self.database.transact(rename, "pear", "plum")) == 0
        assert self.result_of(self.database.transact(rename, "apple", "plum")) == 1

        async def all_fruit(cursor: ICursor) -> list[tuple[Any, ...]]:
            return await cursor.rows("SELECT name, count FROM fruit")

        assert self.result_of(self.database.read(all_fruit)) == [("plum", 3)]
        assert self.result_of(self.database.transact(all_fruit)) == [("plum", 3)]

    def test_values_come_back_as_they_went(self: Any) -> None:
        """Text, bytes, large numbers and nothing survive, whatever they are made of."""
        values = ("'; DROP TABLE fruit; -- ? é \U0001f511", bytes(range(256)), 2**62, 0.1, None)

        async def keep(cursor: ICursor) -> list[tuple[Any, ...]]:
            await cursor.change(
                "CREATE TABLE kept (a TEXT, b BYTEA, c BIGINT, d DOUBLE PRECISION, e TEXT)"
            )
            await cursor.change("INSERT INTO kept VALUES (?, ?, ?, ?, ?)", *values)
            return await cursor.rows("SELECT a, b, c, d, e FROM kept")

        [row] = self.result_of(self.database.transact(keep))
        assert (row[0], bytes(row[1]), *row[2:]) == values

    def test_commits(self: Any) -> None:
        """What was done is seen by others, and is there when the database is opened again."""
        self.result_of(self.database.transact(add_fruit, "apple"))
        assert self.count() == 1
        self.database = self.make_reopened()
        assert self.count() == 1

    def test_rolls_back(self: Any) -> None:
        """What an interaction raises is raised, and nothing of it remains."""
        assert str(self.failure_of(self.database.transact(spoil_fruit, "apple"), Spoilt)) == "apple"
        assert self.count() == 0
        self.result_of(self.database.transact(add_fruit, "apple"))
        assert self.count() == 1

    def test_rolls_back_after_a_violation(self: Any) -> None:
        """A statement that the database refuses rolls back what was before it."""
        self.result_of(self.database.transact(add_fruit, "apple"))

        async def add_two(cursor: ICursor) -> None:
            await add_fruit(cursor, "pear")
            await add_fruit(cursor, "apple")

        self.failure_of(self.database.transact(add_two), Exception)
        assert self.count() == 1

    def test_read_may_not_write(self: Any) -> None:
        """An interaction that only reads cannot change anything."""
        self.failure_of(self.database.read(add_fruit, "apple"), Exception)
        assert self.count() == 0

    def test_read_raises(self: Any) -> None:
        """What an interaction raises that only reads is raised, and the next one is not harmed."""

        async def fail(cursor: ICursor) -> None:
            await count_fruit(cursor)
            raise Spoilt

        self.failure_of(self.database.read(fail), Spoilt)
        assert self.count() == 0

    def test_waits_for_nothing_but_the_database(self: Any) -> None:
        """An interaction that awaits something else is a mistake, and fails: it would hold the others up."""
        rain: Deferred[None] = Deferred()
        self.failure_of(self.database.transact(wait_for_rain, rain), RuntimeError)
        self.failure_of(self.database.read(wait_for_rain, rain), Exception)
        assert self.count() == 0

    def test_in_order(self: Any) -> None:
        """A transaction sees what those did that were asked for before it."""
        asked = []
        for number in range(5):
            asked.append(self.begin(self.database.transact(count_fruit)))
            self.begin(self.database.transact(add_fruit, str(number)))
        self.perform_all()
        assert [self.successResultOf(count) for count in asked] == [0, 1, 2, 3, 4]

    def test_many_at_once(self: Any) -> None:
        """Of many transactions at once each has its own outcome."""
        asked = [
            self.begin(self.database.transact(spoil_fruit if number % 3 else add_fruit,
            str(number))) for number in range(300)
        ]
        self.perform_all()
        for number, outcome in enumerate(asked):
            if number % 3:
                assert str(self.failureResultOf(outcome, Spoilt).value) == str(number)
            else:
                assert self.successResultOf(outcome) == 1
        assert self.count() == 100

    def test_one_that_fails_does_not_harm_the_others(self: Any) -> None:
        """Whatever is wrong with one of many transactions at once, the others are done."""
        rain: Deferred[None] = Deferred()
        asked = [self.begin(self.database.transact(add_fruit, "apple"))]
        wrong = [
            self.begin(work)
            for work in (
                self.database.transact(spoil_fruit, "pear"),
                self.database.transact(add_fruit, "apple"),
                self.database.transact(mistaken, "plum"),
                self.database.transact(wait_for_rain, rain),
            )
        ]
        asked += [self.begin(self.database.transact(add_fruit, name)) for name in ("pear", "plum")]
        self.perform_all()
        assert [self.successResultOf(outcome) for outcome in asked] == [1, 1, 1]
        for outcome in wrong:
            self.failureResultOf(outcome)
        assert self.count() == 3

    def test_who_asked_is_cancelled(self: Any) -> None:
        """A transaction that nobody waits for any more is done all the same, and so are the others."""
        asked = [self.begin(self.database.transact(add_fruit, str(number))) for number in range(3)]
        asked[1].addErrback(lambda _: "cancelled")
        asked[1].cancel()
        self.perform_all()
        assert self.successResultOf(asked[0]) == self.successResultOf(asked[2]) == 1
        assert self.count() == 3
