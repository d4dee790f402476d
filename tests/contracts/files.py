"""
What the contracts of files have in common.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from ociregd.interfaces import IBlobStore, IUploads
from ociregd.oci.digest import digest_of
from ociregd.values import Blob

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
