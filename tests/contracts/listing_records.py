"""
What every L{ITagRecords} and every L{IUploadRecords} does.
"""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from ociregd.errors import (
    BlobUploadUnknown,
    ManifestUnknown,
    NameUnknown,
)
from ociregd.interfaces import ITagRecords, IUploadRecords
from ociregd.oci.names import RepositoryName, Tag

from ..oci.samples import image, index
from .files import OTHER_SESSION, SESSION
from .records import APP, BLOB, LATE, OTHER, RecordsCase


class TagRecordsContract(RecordsCase):
    """
    What every L{ITagRecords} does.
    """

    #: In bytewise order, which is no language's.
    NAMES = (
        "0",
        "A",
        "B-1",
        "B.1",
        "B1",
        "Z",
        "_a",
        "a",
        "a-",
        "a.b",
        "a_b",
        "b",
        "latest",
        "v10",
        "v9",
    )

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
        """
        A repository to which nothing was pushed does not exist, even if a session was begun
        there.
        """
        self.result_of(self.uploads.start(SESSION, APP, 0.0))
        self.failure_of(self.tags.page(APP, "", 10), NameUnknown)

    def test_tags_of_an_empty_repository(self: Any) -> None:
        """A repository exists once it holds a blob, and goes on when it has nothing left."""
        self.commit()
        assert self.page() == ([], False)
        self.result_of(self.blobs.unlink(APP, BLOB, LATE))
        assert self.page() == ([], False)

    def test_removing(self: Any) -> None:
        """
        A removed tag is gone; its manifest and the other tags stay, and the collector shall
        look.
        """
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
        return [idle.session_id for idle in self.result_of(self.uploads.idle(before, count))]

    def ended(self: Any) -> list[str]:
        """The sessions that have ended and are not forgotten."""
        found = self.result_of(self.uploads.idle(0.0, 100))
        return [idle.session_id for idle in found if idle.ended]

    def test_provides_the_interface(self: Any) -> None:
        """It provides L{IUploadRecords}."""
        assert verifyObject(IUploadRecords, self.uploads)

    def test_a_session(self: Any) -> None:
        """A session is known to its repository, and when it was used last, until it ends."""
        self.result_of(self.uploads.start(SESSION, APP, 10.5))
        self.result_of(self.uploads.check(SESSION, APP))
        assert self.touched() == [10.5]
        self.result_of(self.uploads.touch(SESSION, 20.25))
        assert self.touched() == [20.25]
        self.result_of(self.uploads.end(SESSION, APP))
        self.failure_of(self.uploads.check(SESSION, APP), BlobUploadUnknown)
        self.failure_of(self.uploads.end(SESSION, APP), BlobUploadUnknown)

    def test_a_session_of_another_repository(self: Any) -> None:
        """A session is unknown to other repositories, which cannot end it either."""
        self.result_of(self.uploads.start(SESSION, APP, 0.0))
        self.failure_of(self.uploads.check(SESSION, OTHER), BlobUploadUnknown)
        self.failure_of(self.uploads.end(SESSION, OTHER), BlobUploadUnknown)
        self.result_of(self.uploads.check(SESSION, APP))

    def test_touching_what_has_ended(self: Any) -> None:
        """A late note of a session that has ended is no error, and does not bring it back."""
        self.result_of(self.uploads.touch(SESSION, 1.0))
        self.failure_of(self.uploads.check(SESSION, APP), BlobUploadUnknown)

    def test_idle(self: Any) -> None:
        """
        Sessions that were last used before some time are listed, longest idle first, in
        batches.
        """
        self.result_of(self.uploads.start(SESSION, APP, 20.0))
        self.result_of(self.uploads.start(OTHER_SESSION, OTHER, 10.0))
        assert self.idle(10.0) == []
        assert self.idle(20.0) == [OTHER_SESSION]
        assert self.idle(20.5) == [OTHER_SESSION, SESSION]
        assert self.idle(20.5, 1) == [OTHER_SESSION]
        self.result_of(self.uploads.touch(OTHER_SESSION, 30.0))
        assert self.idle(100.0) == [SESSION, OTHER_SESSION]

    def test_what_has_ended_is_listed_until_it_is_forgotten(self: Any) -> None:
        """
        However a session ended, it comes before all idle ones, and only what has ended can be
        forgotten.
        """
        self.result_of(self.uploads.start(SESSION, APP, 20.0))
        self.result_of(self.uploads.start(OTHER_SESSION, OTHER, 10.0))
        assert self.ended() == []
        self.result_of(self.uploads.end(SESSION, APP))
        assert self.ended() == [SESSION]
        assert self.idle(100.0) == [SESSION, OTHER_SESSION]
        self.result_of(self.uploads.touch(SESSION, 30.0))
        assert self.ended() == [SESSION]
        self.result_of(self.uploads.forget([SESSION, OTHER_SESSION]))
        assert self.idle(100.0) == [OTHER_SESSION]
        self.result_of(self.uploads.expire(OTHER_SESSION, 100.0))
        assert self.ended() == [OTHER_SESSION]

    def test_expiring(self: Any) -> None:
        """A session expires only if it was last used before some time; and it expires once."""
        self.result_of(self.uploads.start(SESSION, APP, 20.0))
        assert self.result_of(self.uploads.expire(SESSION, 20.0)) is False
        assert self.touched() == [20.0]
        assert self.result_of(self.uploads.expire(SESSION, 20.5)) is True
        self.failure_of(self.uploads.check(SESSION, APP), BlobUploadUnknown)
        assert self.result_of(self.uploads.expire(SESSION, 20.5)) is False
