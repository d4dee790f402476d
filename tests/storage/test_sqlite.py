"""
Tests for L{ociregd.storage.sqlite}: the contracts of a database and of the records in it, and what
is peculiar to SQLite.
"""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from ociregd.errors import StorageFull, StorageReadOnly
from ociregd.oci.digest import digest_of
from ociregd.oci.manifest import Manifest
from ociregd.oci.names import RepositoryName, Tag
from ociregd.storage.metadata import records_in
from ociregd.storage.migrations import migrations
from ociregd.storage.sqlite import SqliteDatabase, refusal_for
from ociregd.transactions import ICursor, IDatabase
from ociregd.values import Lease, Standing

from ..contracts.blob_records import BlobRecordsContract
from ..contracts.cursor import CursorContract
from ..contracts.database import DatabaseContract, add_fruit, begin_fruit, count_fruit
from ..contracts.files import SESSION
from ..contracts.listing_records import TagRecordsContract, UploadRecordsContract
from ..contracts.manifest_records import ManifestRecordsContract
from ..contracts.referrer_records import ReferrerRecordsContract
from ..oci.samples import index, written
from ..workers import AtOnce, NewestFirst, OldestFirst
from .places import temporary


class OnSqlite:
    """
    Mixed into a test case: a database in a file.
    """

    in_thread: Any

    def make_database(self: Any) -> SqliteDatabase:
        self.path = temporary(self) / "metadata.sqlite3"
        self.opened = self.open()
        self.addCleanup(lambda: self.opened.close())
        opened: SqliteDatabase = self.opened
        return opened

    def make_reopened(self: Any) -> IDatabase:
        self.opened.close()
        self.opened = self.open()
        opened: IDatabase = self.opened
        return opened

    def open(self: Any) -> SqliteDatabase:
        """Another database over the same file, as another process has it."""
        database = SqliteDatabase(str(self.path), self.in_thread)
        database.open(migrations())
        return database


async def wait_for_rain(cursor: ICursor, rain: Deferred[None]) -> None:
    """Add a row, and then wait for what no database brings."""
    await add_fruit(cursor, "melon")
    await rain


class OneWriterContract(DatabaseContract):
    """
    What a database does beside, if it has one writer and a cursor that never waits.
    """

    def test_waits_for_nothing_but_the_database(self: Any) -> None:
        """
        An interaction that awaits something else is a mistake, and fails: it would hold the
        others up.
        """
        rain: Deferred[None] = Deferred()
        asked = [self.begin(self.database.transact(add_fruit, "apple"))]
        wrong = self.begin(self.database.transact(wait_for_rain, rain))
        asked.append(self.begin(self.database.transact(add_fruit, "pear")))
        self.perform_all()
        assert [self.successResultOf(outcome) for outcome in asked] == [1, 1]
        self.failureResultOf(wrong, RuntimeError)
        self.failure_of(self.database.read(wait_for_rain, rain), Exception)
        assert self.count() == 2

    def test_in_order(self: Any) -> None:
        """A transaction sees what those did that were asked for before it."""
        asked = []
        for number in range(5):
            asked.append(self.begin(self.database.transact(count_fruit)))
            self.begin(self.database.transact(add_fruit, str(number)))
        self.perform_all()
        assert [self.successResultOf(count) for count in asked] == [0, 1, 2, 3, 4]

    def test_what_nobody_waits_for_is_done(self: Any) -> None:
        """A transaction is done also if who asked for it is cancelled meanwhile."""
        asked = self.begin(self.database.transact(add_fruit, "apple"))
        asked.addErrback(lambda _: "cancelled")
        asked.cancel()
        self.perform_all()
        assert self.count() == 1


class SqliteTests(OnSqlite, AtOnce, OneWriterContract, SynchronousTestCase):
    """SQLite is a database."""


class SqliteLaterTests(OnSqlite, OldestFirst, OneWriterContract, SynchronousTestCase):
    """SQLite is a database, with slow threads."""


class SqliteOvertakenTests(OnSqlite, NewestFirst, OneWriterContract, SynchronousTestCase):
    """SQLite is a database, with threads that overtake each other."""


class SqliteCursorTests(OnSqlite, AtOnce, CursorContract, SynchronousTestCase):
    """What interactions talk to in SQLite."""


class BlobRecordsTests(OnSqlite, AtOnce, BlobRecordsContract, SynchronousTestCase):
    """Blobs in SQLite."""


class ManifestRecordsTests(OnSqlite, AtOnce, ManifestRecordsContract, SynchronousTestCase):
    """Manifests in SQLite."""


class ReferrerRecordsTests(OnSqlite, AtOnce, ReferrerRecordsContract, SynchronousTestCase):
    """Referrers in SQLite."""


class TagRecordsTests(OnSqlite, AtOnce, TagRecordsContract, SynchronousTestCase):
    """Tags in SQLite."""


class UploadRecordsTests(OnSqlite, AtOnce, UploadRecordsContract, SynchronousTestCase):
    """Upload sessions in SQLite."""


async def fill(cursor: ICursor) -> None:
    """Write more than the database may have."""
    await cursor.rows("PRAGMA max_page_count = 60")
    for number in range(1000):
        await add_fruit(cursor, f"{number}" * 1000)


async def write_protect(cursor: ICursor) -> None:
    """Write where nothing may be written."""
    await cursor.rows("PRAGMA query_only = 1")
    await add_fruit(cursor, "apple")


class SqliteOnlyTests(OnSqlite, OldestFirst, SynchronousTestCase):
    """What is peculiar to SQLite."""

    def setUp(self) -> None:
        super().setUp()
        self.database = self.make_database()
        self.result_of(self.database.transact(begin_fruit))

    def test_a_commit_is_shared(self) -> None:
        """Transactions that come while one is being committed wait for the disk together."""
        asked = [self.begin(self.database.transact(add_fruit, str(number))) for number in range(20)]
        assert self.later.waiting == 1
        self.later.perform()
        assert self.successResultOf(asked[0]) == 1
        self.later.perform()
        assert self.later.waiting == 0
        assert [self.successResultOf(one) for one in asked[1:]] == [1] * 19

    def test_readers_do_not_wait(self) -> None:
        """A reader gets its answer while a transaction waits for the disk."""
        writing = self.begin(self.database.transact(add_fruit, "apple"))
        reading = self.begin(self.database.read(count_fruit))
        self.later.perform(-1)
        assert self.successResultOf(reading) == 0
        self.assertNoResult(writing)
        self.later.perform_all()

    def test_a_full_database(self) -> None:
        """A transaction for which there is no room is refused; smaller ones are done afterwards."""
        self.failure_of(self.database.transact(fill), StorageFull)
        assert self.result_of(self.database.transact(add_fruit, "apple")) == 1
        assert self.result_of(self.database.read(count_fruit)) == 1

    def test_a_full_database_refuses_all_of_a_commit(self) -> None:
        """
        Who shares the commit of one that found no room hears that there was none: nothing is
        half done.
        """
        asked = [
            self.begin(self.database.transact(*work))
            for work in ((count_fruit,), (add_fruit, "apple"), (fill,))
        ]
        self.later.perform_all()
        self.successResultOf(asked[0])
        for one in asked[1:]:
            self.failureResultOf(one, StorageFull)
        assert self.result_of(self.database.read(count_fruit)) == 0

    def test_a_database_that_takes_no_writes(self) -> None:
        """A transaction on a database that is read-only at present is refused."""
        self.failure_of(self.database.transact(write_protect), StorageReadOnly)

    def test_every_commit_is_synced(self) -> None:
        """A commit that somebody was told about survives a power cut."""

        async def ask(cursor: ICursor) -> list[Any]:
            [(journal,)] = await cursor.rows("PRAGMA journal_mode")
            [(synchronous,)] = await cursor.rows("PRAGMA synchronous")
            return [journal, synchronous]

        full = 2
        assert self.result_of(self.database.transact(ask)) == ["wal", full]

    def test_another_process(self) -> None:
        """What one process commits, another reads; and both may write."""
        other = self.open()
        self.addCleanup(other.close)
        self.result_of(other.transact(add_fruit, "apple"))
        self.result_of(self.database.transact(add_fruit, "pear"))
        assert self.result_of(self.database.read(count_fruit)) == 2
        assert self.result_of(other.read(count_fruit)) == 2

    def test_one_transaction_for_each_write(self) -> None:
        """Whatever is written is written with its lease and what is due, or not at all."""
        app, digest, lease = RepositoryName("app"), digest_of(b""), Lease(1.0, 2.0)
        manifest = Manifest.parse(written(index()), None)
        name, tag = digest_of(manifest.body), Tag("latest")
        records = records_in(self.database)
        for work in (
            records.uploads.start(SESSION, app, 1.0),
            records.blobs.commit(SESSION, app, digest, 0, Standing(False, 1), lease),
            records.blobs.mount(RepositoryName("other"), digest, app, lease),
            records.blobs.renew(app, digest, lease),
            records.blobs.unlink(app, digest, lease),
            records.manifests.put(app, name, manifest, [tag], lease),
            records.tags.remove(app, tag, lease),
            records.manifests.delete(app, name, lease),
        ):
            working = self.begin(work)
            assert self.later.waiting == 1
            self.later.perform()
            self.successResultOf(working)

    def test_closing_twice(self) -> None:
        """What is closed may be closed again, and opened."""
        self.database.close()
        self.database.close()
        self.database.open(migrations())
        assert self.result_of(self.database.read(count_fruit)) == 0


@pytest.mark.parametrize(
    ("code", "refusal"),
    [
        (sqlite3.SQLITE_FULL, StorageFull),
        (sqlite3.SQLITE_IOERR_SHMSIZE, StorageFull),
        (sqlite3.SQLITE_READONLY, StorageReadOnly),
        (sqlite3.SQLITE_READONLY_DBMOVED, StorageReadOnly),
        (sqlite3.SQLITE_IOERR_FSYNC, sqlite3.OperationalError),
        (sqlite3.SQLITE_CORRUPT, sqlite3.OperationalError),
    ],
)
def test_which_errors_are_refusals(code: int, refusal: type[Exception], tmp_path: Path) -> None:
    """
    A full or read-only storage passes, and clients are told; anything else is for the operator.
    """
    problem = sqlite3.OperationalError("as SQLite says")
    problem.sqlite_errorcode = code
    assert type(refusal_for(problem, str(tmp_path / "metadata.sqlite3"))) is refusal


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    """What cannot be opened is an error of SQLite."""
    database = SqliteDatabase(str(tmp_path / "missing" / "metadata.sqlite3"), lambda *_: None)
    with pytest.raises(sqlite3.Error):
        database.open(migrations())
    database.close()
