"""
The schema of a SQLite database: what it has, and how it is brought up to date.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from attrs import frozen
from twisted.internet.defer import execute

from ociregd.storage.migrations import Migration
from ociregd.storage.sqlite import BUSY_SECONDS, SqliteDatabase


@frozen
class SqliteSchema:
    """
    The schema of the database in one file. All of this blocks.
    """

    _path: str

    def __str__(self) -> str:
        return f"SQLite database {self._path}"

    def version(self) -> int:
        """
        The number of the schema that the database has, or 0; changes nothing, and makes no file.

        @raise sqlite3.Error: if it cannot be read.
        """
        if not os.path.exists(self._path):
            return 0
        # Whoever looks into a log makes two files, and by one who may only read they stay behind:
        # if root did it, in the daemon's way. Where there is no log, all is in the database.
        how = "mode=ro" if os.path.exists(f"{self._path}-wal") else "mode=ro&immutable=1"
        uri = f"{Path(self._path).absolute().as_uri()}?{how}"
        with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_SECONDS)) as connection:
            tables = "SELECT count(*) FROM sqlite_master WHERE name = 'schema_version'"
            [made] = connection.execute(tables).fetchone()
            if not made:
                return 0
            newest = "SELECT coalesce(max(version), 0) FROM schema_version"
            [version] = connection.execute(newest).fetchone()
            return int(version)

    def migrate(self, wanted: Sequence[Migration]) -> int:
        """
        Apply what the database lacks, all of it or nothing; make the file if there is none.

        @return: the number of the schema that the database has now.
        @raise OSError: if there is no directory for it.
        @raise SchemaTooNew: if a newer program has used it.
        @raise StorageFull: if there is no room for it.
        @raise sqlite3.Error: if it cannot be opened.
        """
        # SQLite would not say what it is that it cannot open.
        os.stat(os.path.dirname(self._path))
        database = SqliteDatabase(self._path, execute)
        try:
            database.open(wanted)
        finally:
            database.close()
        return wanted[-1].number
