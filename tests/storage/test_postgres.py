"""
Tests for L{ociregd.storage.postgres}: the contracts of a database and of the records in it.
"""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from ..contracts.blob_records import BlobRecordsContract
from ..contracts.cursor import CursorContract
from ..contracts.database import DatabaseContract
from ..contracts.listing_records import TagRecordsContract, UploadRecordsContract
from ..contracts.manifest_records import ManifestRecordsContract
from ..contracts.referrer_records import ReferrerRecordsContract
from .on_postgres import OnPostgres


class PostgresTests(OnPostgres, DatabaseContract, SynchronousTestCase):
    """PostgreSQL is a database."""


class PostgresCursorTests(OnPostgres, CursorContract, SynchronousTestCase):
    """What interactions talk to in PostgreSQL."""


class BlobRecordsTests(OnPostgres, BlobRecordsContract, SynchronousTestCase):
    """Blobs in PostgreSQL."""


class ManifestRecordsTests(OnPostgres, ManifestRecordsContract, SynchronousTestCase):
    """Manifests in PostgreSQL."""


class ReferrerRecordsTests(OnPostgres, ReferrerRecordsContract, SynchronousTestCase):
    """Referrers in PostgreSQL."""


class TagRecordsTests(OnPostgres, TagRecordsContract, SynchronousTestCase):
    """Tags in PostgreSQL."""


class UploadRecordsTests(OnPostgres, UploadRecordsContract, SynchronousTestCase):
    """Upload sessions in PostgreSQL."""
