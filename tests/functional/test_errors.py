"""
Refusals, as a table: what is asked, the status and the code; and that a refusal changes nothing.
"""

from __future__ import annotations

import pytest
from attrs import frozen

from .content import (
    OCI_INDEX,
    OCI_MANIFEST,
    descriptor,
    encode,
    index,
    number,
    unique,
    unknown_digest,
)
from .daemon import Daemon
from .repository import Repository

ABSENT = "sha256:" + "f" * 64
MANIFEST = {"Content-Type": OCI_MANIFEST}


@frozen
class Scene:
    """A repository with something of everything in it."""

    repository: Repository
    blob: str
    manifest: str
    location: str

    def filled(self, target: str) -> str:
        """The target with the names of this scene in it."""
        return target.format(
            r=f"/v2/{self.repository.name}",
            u=self.location,
            blob=self.blob,
            manifest=self.manifest,
            absent=ABSENT,
            long="x" * 256,
        )

    def state(self) -> tuple[object, ...]:
        """All that a client can see of it."""
        repository = self.repository
        return (
            repository.tags(),
            repository.get("manifests/v1"),
            repository.get(f"manifests/{self.manifest}"),
            repository.get(f"blobs/{self.blob}"),
            repository.received(self.location),
            repository.referrers(self.manifest),
            repository.client.call("GET", f"/v2/_catalog?n=3&last={repository.name[:-4]}").body,
        )


@pytest.fixture(scope="module")
def scene(daemon: Daemon) -> Scene:
    """
    A repository with a blob, a tagged manifest with a referrer, and an upload of ten bytes. One for
    all tests, since none of them shall change it.
    """
    repository = Repository(daemon.client, f"scene{number()}/app")
    blob = repository.push_blob(unique())
    body = encode(repository.image())
    manifest = repository.push_manifest(body, "v1")
    referrer = encode(index(subject=descriptor(OCI_MANIFEST, body)))
    repository.push_manifest(referrer, media_type=OCI_INDEX)
    location = repository.begin()
    repository.append(location, b"0123456789")
    return Scene(repository, blob, manifest, location)


NAMES = [
    "UPPER",
    "a/Upper",
    "-a",
    "a-",
    ".a",
    "a.",
    "_a",
    "a_",
    "a..b",
    "a___b",
    "a//b",
    "a/-/b",
    "a%20b",
    "a%0Ab",
    "a%00",
    "%C3%A4",
    "a:b",
    "a@b",
    "a;b",
    "a%2f%2e%2e%2fb",
    "{long}",
    "a/{long}",
]

# method, target, headers, body, status, code
REFUSALS: list[tuple[str, str, dict[str, str], bytes | None, int, str]] = [
    *(
        (method, f"/v2/{name}/{rest}", {}, None, 400, "NAME_INVALID")
        for name in NAMES
        for method, rest in (
            ("GET", "tags/list"),
            ("GET", "manifests/v1"),
            ("GET", "blobs/{blob}"),
            ("GET", "referrers/{manifest}"),
            ("POST", "blobs/uploads/"),
            ("DELETE", "manifests/v1"),
        )
    ),
    ("PUT", "/v2/UPPER/manifests/v1", MANIFEST, b"{}", 400, "NAME_INVALID"),
    ("POST", "/v2/UPPER/blobs/uploads/?digest={absent}", {}, b"x", 400, "NAME_INVALID"),
    ("GET", "/v2/UPPER/blobs/uploads/0", {}, None, 400, "NAME_INVALID"),
    # what is not there
    ("GET", "/v2/nobody/tags/list", {}, None, 404, "NAME_UNKNOWN"),
    ("GET", "/v2/nobody/manifests/v1", {}, None, 404, "MANIFEST_UNKNOWN"),
    ("GET", "/v2/nobody/manifests/{manifest}", {}, None, 404, "MANIFEST_UNKNOWN"),
    ("GET", "/v2/nobody/blobs/{blob}", {}, None, 404, "BLOB_UNKNOWN"),
    ("DELETE", "/v2/nobody/manifests/v1", {}, None, 404, "NAME_UNKNOWN"),
    ("DELETE", "/v2/nobody/manifests/{manifest}", {}, None, 404, "NAME_UNKNOWN"),
    ("DELETE", "/v2/nobody/blobs/{blob}", {}, None, 404, "NAME_UNKNOWN"),
    ("GET", "{r}/manifests/v2", {}, None, 404, "MANIFEST_UNKNOWN"),
    ("GET", "{r}/manifests/{absent}", {}, None, 404, "MANIFEST_UNKNOWN"),
    ("GET", "{r}/manifests/{blob}", {}, None, 404, "MANIFEST_UNKNOWN"),
    ("GET", "{r}/blobs/{absent}", {}, None, 404, "BLOB_UNKNOWN"),
    ("DELETE", "{r}/manifests/v2", {}, None, 404, "MANIFEST_UNKNOWN"),
    ("DELETE", "{r}/manifests/{absent}", {}, None, 404, "MANIFEST_UNKNOWN"),
    ("DELETE", "{r}/blobs/{absent}", {}, None, 404, "BLOB_UNKNOWN"),
    ("GET", "{r}/blobs/uploads/0", {}, None, 404, "BLOB_UPLOAD_UNKNOWN"),
    ("PATCH", "{r}/blobs/uploads/0", {}, b"x", 404, "BLOB_UPLOAD_UNKNOWN"),
    ("PUT", "{r}/blobs/uploads/0?digest={absent}", {}, b"x", 404, "BLOB_UPLOAD_UNKNOWN"),
    ("DELETE", "{r}/blobs/uploads/0", {}, None, 404, "BLOB_UPLOAD_UNKNOWN"),
    # digests and tags in no form
    *(
        (method, f"{{r}}/{place}/{digest}", {}, None, 400, "DIGEST_INVALID")
        for digest in ("sha256:zz", "sha256:", "sha256:" + "A" * 64, "md5:" + "0" * 32, "x:y", ":")
        for method, place in (
            ("GET", "manifests"),
            ("DELETE", "manifests"),
            ("GET", "blobs"),
            ("DELETE", "blobs"),
            ("GET", "referrers"),
        )
    ),
    ("GET", "{r}/blobs/latest", {}, None, 400, "DIGEST_INVALID"),
    ("GET", "{r}/referrers/v1", {}, None, 400, "DIGEST_INVALID"),
    ("PUT", "{r}/manifests/sha256:zz", MANIFEST, b"{}", 400, "DIGEST_INVALID"),
    *(
        (method, f"{{r}}/manifests/{tag}", {}, None, 404, "MANIFEST_UNKNOWN")
        for tag in (".INVALID_MANIFEST_NAME", "-x", "a%20b", "a%00", "%C3%A4", "x" * 129, "a;b")
        for method in ("GET", "DELETE")
    ),
    *(
        ("PUT", f"{{r}}/manifests/{tag}", MANIFEST, b"{}", 400, "MANIFEST_INVALID")
        for tag in (".INVALID_MANIFEST_NAME", "-x", "a%20b", "a%00", "x" * 129, "good")
    ),
    # uploads
    ("POST", "{r}/blobs/uploads/?digest={absent}", {}, b"x", 400, "DIGEST_INVALID"),
    ("POST", "{r}/blobs/uploads/?digest=sha256:zz", {}, b"x", 400, "DIGEST_INVALID"),
    ("POST", "{r}/blobs/uploads/?digest-algorithm=md5", {}, None, 400, "DIGEST_INVALID"),
    ("PUT", "{u}", {}, b"x", 400, "DIGEST_INVALID"),
    ("PUT", "{u}?digest={absent}", {}, b"x", 400, "DIGEST_INVALID"),
    ("PUT", "{u}?digest={absent}", {}, None, 400, "DIGEST_INVALID"),
    ("PATCH", "{u}", {"Content-Range": "0-0"}, b"x", 416, "BLOB_UPLOAD_INVALID"),
    ("PATCH", "{u}", {"Content-Range": "11-11"}, b"x", 416, "BLOB_UPLOAD_INVALID"),
    ("PUT", "{u}?digest={absent}", {"Content-Range": "0-0"}, b"x", 416, "BLOB_UPLOAD_INVALID"),
    ("PATCH", "{u}", {"Content-Range": "bytes 10-10/11"}, b"x", 400, "BLOB_UPLOAD_INVALID"),
    ("PATCH", "{u}", {"Content-Range": "10-12"}, b"x", 400, "SIZE_INVALID"),
    # listings
    ("GET", "{r}/tags/list?n=-1", {}, None, 400, "UNSUPPORTED"),
    ("GET", "{r}/tags/list?n=x", {}, None, 400, "UNSUPPORTED"),
    ("GET", "/v2/_catalog?n=-1", {}, None, 400, "UNSUPPORTED"),
    ("GET", "{r}/blobs/{blob}", {"Range": "bytes=100-"}, None, 416, "UNSUPPORTED"),
    # paths that are none of the protocol
    *(
        ("GET", path, {}, None, 404, "UNSUPPORTED")
        for path in (
            "/",
            "/v1/",
            "/v1/_ping",
            "/v1/search?q=x",
            "/v3/",
            "/favicon.ico",
            "/v2/x",
            "/v2/x/y/z",
            "{r}",
            "{r}/",
            "{r}/tags",
            "{r}/tags/list/x",
            "{r}/manifests",
            "{r}/manifests/",
            "{r}/blobs/",
            "{r}/referrers/",
            "{r}/unheard/of",
            "/v2/_oci/ext/discover",
            "{r}/_oci/ext/discover",
        )
    ),
]


@pytest.mark.parametrize(("method", "target", "headers", "body", "status", "code"), REFUSALS)
def test_refused(
    scene: Scene,
    method: str,
    target: str,
    headers: dict[str, str],
    body: bytes | None,
    status: int,
    code: str,
) -> None:
    """A refusal has the status and the code of the table, and changes nothing."""
    before = scene.state()
    answer = scene.repository.client.call(method, scene.filled(target), headers, body)
    assert (answer.status, answer.codes()) == (status, [code])
    if method == "GET":
        headed = scene.repository.client.call("HEAD", scene.filled(target), headers)
        assert headed.status == (200 if "Range" in headers else status)
    assert scene.state() == before


# target, the methods that it has
METHODS = [
    ("/v2/", {"GET"}),
    ("/v2/_catalog", {"GET"}),
    ("{r}/tags/list", {"GET"}),
    ("{r}/referrers/{manifest}", {"GET"}),
    ("{r}/manifests/v1", {"GET", "HEAD", "PUT", "DELETE"}),
    ("{r}/manifests/{manifest}", {"GET", "HEAD", "PUT", "DELETE"}),
    ("{r}/blobs/{blob}", {"GET", "HEAD", "DELETE"}),
    ("{r}/blobs/uploads/", {"POST"}),
    ("{r}/blobs/uploads", {"POST"}),
    ("{u}", {"GET", "PATCH", "PUT", "DELETE"}),
]


@pytest.mark.parametrize(("target", "methods"), METHODS)
@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get", "LINK"]
)
def test_wrong_method(scene: Scene, target: str, methods: set[str], method: str) -> None:
    """A method that a path does not have is 405 UNSUPPORTED, and Allow names those it has."""
    if method in methods:
        return
    before = scene.state()
    body = b"x" if method in ("POST", "PUT", "PATCH") else None
    answer = scene.repository.client.call(method, scene.filled(target), {}, body)
    assert (answer.status, answer.codes()) == (405, ["UNSUPPORTED"])
    allowed = {name.strip() for name in answer.header("Allow").split(",")}
    assert methods <= allowed
    assert method not in allowed
    assert scene.state() == before


def test_details_tell_what_was_wrong(scene: Scene) -> None:
    """A refusal says in its detail which digest, tag or name it is about."""
    client = scene.repository.client
    digest = unknown_digest()
    for target, named in (
        (f"/v2/{scene.repository.name}/blobs/{digest}", digest),
        (f"/v2/{scene.repository.name}/manifests/nothing-here", "nothing-here"),
        ("/v2/nobody/tags/list", "nobody"),
        ("/v2/UPPER/tags/list", "UPPER"),
        (f"/v2/{scene.repository.name}/blobs/sha256:zz", "sha256:zz"),
    ):
        assert named in client.call("GET", target).json()["errors"][0]["detail"]
