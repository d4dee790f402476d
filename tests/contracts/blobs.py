"""
What every L{IBlobStore} does.
"""

from __future__ import annotations

import socket
from typing import Any

from zope.interface.verify import verifyObject

from ociregd.interfaces import IBlobReader, IBlobStore
from ociregd.oci.digest import Digest, digest_of
from ociregd.values import Blob

from .files import BOTH, SESSION, FilesCase


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
        for start, count in (
            (0, 5),
            (3, 5),
            (0, 1000),
            (len(BOTH) - 1, 5),
            (len(BOTH), 5),
            (99, 1),
        ):
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
