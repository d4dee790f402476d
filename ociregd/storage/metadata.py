"""
The metadata store: all records over one database.
"""

from __future__ import annotations

from ociregd.interfaces import Records
from ociregd.storage.blob_records import BlobRecords
from ociregd.storage.listing_records import TagRecords
from ociregd.storage.manifest_records import ManifestRecords
from ociregd.storage.upload_records import UploadRecords
from ociregd.transactions import IDatabase


def records_in(database: IDatabase) -> Records:
    """
    What the registry knows, kept in C{database}.
    """
    return Records(
        blobs=BlobRecords(database),
        manifests=ManifestRecords(database),
        tags=TagRecords(database),
        uploads=UploadRecords(database),
    )
