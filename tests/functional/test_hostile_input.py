"""
Names, tags, digests and arguments that want to be something else: paths, headers, hosts, SQL.
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote

import pytest

from .client import Client
from .content import digest_of, number, unique, unknown_digest
from .daemon import Daemon
from .repository import Repository

TRAVERSALS = [
    "..",
    "../..",
    "../../../../../../etc/passwd",
    "%2e%2e",
    "%2e%2e/%2e%2e/etc/passwd",
    "%2e%2e%2f%2e%2e%2fetc%2fpasswd",
    "%252e%252e%252fetc%252fpasswd",
    "..%5c..%5cetc",
    "%c0%ae%c0%ae/",
    "%2F%2F..%2F..%2Fetc%2Fpasswd",
    "//etc/passwd",
    "/etc/passwd",
    "..;/..;/etc/passwd",
    ".%00./etc",
    "%00",
    "a%00b",
    "sha256:../../../../etc/passwd",
    "sha256:..%2f..%2f..%2fetc%2fpasswd",
    "_uploads",
    "x" * 300,
    "x" * 3000,
]

PLACES = [
    ("GET", "/v2/{0}/tags/list"),
    ("GET", "/v2/{0}/manifests/v1"),
    ("GET", "/v2/{0}/blobs/{digest}"),
    ("POST", "/v2/{0}/blobs/uploads/"),
    ("GET", "/v2/a/manifests/{0}"),
    ("PUT", "/v2/a/manifests/{0}"),
    ("DELETE", "/v2/a/manifests/{0}"),
    ("GET", "/v2/a/blobs/{0}"),
    ("DELETE", "/v2/a/blobs/{0}"),
    ("GET", "/v2/a/referrers/{0}"),
    ("GET", "/v2/a/blobs/uploads/{0}"),
    ("PATCH", "/v2/a/blobs/uploads/{0}"),
    ("PUT", "/v2/a/blobs/uploads/{0}?digest={digest}"),
    ("DELETE", "/v2/a/blobs/uploads/{0}"),
    ("POST", "/v2/a/blobs/uploads/?digest={0}"),
    ("GET", "/{0}"),
    ("GET", "/v2/{0}"),
]


def everything_under(directory: Path) -> dict[str, bytes]:
    """All files below a directory, with their bytes."""
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


@pytest.mark.parametrize("traversal", TRAVERSALS)
def test_traversal(daemon: Daemon, traversal: str) -> None:
    """No name, tag, digest or session leads out of the registry's directory."""
    outside = daemon.directory / "outside"
    outside.mkdir(exist_ok=True)
    (outside / "secret").write_bytes(b"a secret")
    before = sorted(path.name for path in daemon.directory.iterdir()), everything_under(outside)
    for method, place in PLACES:
        target = place.format(traversal, digest=unknown_digest())
        body = b"x" if method in ("PUT", "PATCH", "POST") else None
        answer = daemon.client.call(method, target, body=body)
        assert answer.status in (400, 404, 405), (method, target, answer)
        assert answer.lines("Location") == []
        assert b"secret" not in answer.body
        assert b"root:" not in answer.body
    assert before == (
        sorted(path.name for path in daemon.directory.iterdir()),
        everything_under(outside),
    )


HEADERS_IN_VALUES = [
    "a%0d%0aX-Evil:%201",
    "a%0aX-Evil:%201",
    "a%0dX-Evil:%201",
    "%00",
    "%ff%fe",
    "%E2%80%AE",
]


@pytest.mark.parametrize("value", HEADERS_IN_VALUES)
def test_header_injection(repository: Repository, value: str) -> None:
    """What stands in an argument does not become a header of the answer."""
    digest, _ = repository.push_image("v1")
    repository.push_image("v2")
    repository.push_image("v3")
    for method, rest in (
        ("GET", f"tags/list?n=1&last={value}"),
        ("GET", f"tags/list?n=1&x={value}"),
        ("GET", f"tags/list?n=1&{value}=x"),
        ("GET", f"referrers/{digest}?n=1&artifactType={value}"),
        ("GET", f"manifests/{value}"),
        ("GET", f"blobs/{value}"),
        ("GET", f"blobs/uploads/{value}"),
        ("POST", f"blobs/uploads/?mount={value}&from={value}"),
        ("POST", f"blobs/uploads/?digest={value}"),
        ("PUT", f"manifests/{digest}?tag={value}"),
    ):
        answer = repository.call(method, rest)
        assert answer.lines("X-Evil") == []
        for _, text in answer.headers:
            assert text.isascii()
            assert text.isprintable()


def test_headers_of_a_pull(repository: Repository) -> None:
    """A pull has the headers that the protocol needs, and tells nothing else."""
    digest, _ = repository.push_image("v1")
    blob = repository.push_blob(unique())
    usual = {
        "connection",
        "content-length",
        "content-security-policy",
        "content-type",
        "date",
        "docker-content-digest",
        "docker-distribution-api-version",
        "etag",
        "server",
        "x-content-type-options",
    }
    for path, more in (
        (f"manifests/{digest}", {"accept-ranges", "cache-control"}),
        ("manifests/v1", {"accept-ranges", "cache-control"}),
        (f"blobs/{blob}", {"accept-ranges", "cache-control"}),
    ):
        names = {name.lower() for name, _ in repository.call("GET", path).headers}
        assert names - more == usual - {"connection"} | (names & {"connection"})


QUOTES = [
    "' OR '1'='1",
    '"; DROP TABLE tag; --',
    "%",
    "_",
    "\\",
    "$1",
    "?1",
    ":name",
    "a'b",
    "*",
    "[a]",
]


@pytest.mark.parametrize("value", QUOTES)
def test_sql(repository: Repository, value: str) -> None:
    """What means something in SQL means nothing in a name, a tag, or an argument."""
    digest, _ = repository.push_image("v1")
    encoded = quote(value, safe="")
    assert repository.call("GET", f"manifests/{encoded}").status in (400, 404)
    assert repository.call("DELETE", f"manifests/{encoded}").status in (400, 404)
    assert repository.referrers(digest, f"?artifactType={encoded}") == []
    assert repository.client.call("GET", f"/v2/{encoded}/tags/list").status in (400, 404)
    listed = repository.call("GET", f"tags/list?last={encoded}")
    assert listed.json()["tags"] == (["v1"] if value.encode() < b"v1" else [])
    assert repository.client.call("GET", f"/v2/_catalog?last={encoded}").status == 200
    assert repository.tags() == ["v1"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "evil.example:1/"},
        {"X-Forwarded-Host": "evil.example"},
        {"X-Forwarded-Proto": "javascript"},
        {"X-Forwarded-Prefix": "/evil.example"},
        {"Forwarded": "host=evil.example;proto=javascript"},
        {"X-Original-URL": "/v2/evil.example/tags/list"},
        {"X-HTTP-Method-Override": "DELETE"},
    ],
    ids=lambda headers: "-".join(headers),
)
def test_hosts_of_the_client(repository: Repository, headers: dict[str, str]) -> None:
    """The host, scheme or method that a header claims does not appear in any answer."""
    digest, _ = repository.push_image("v1")
    repository.push_manifest(repository.get("manifests/v1"), "v2")
    blob = unique()
    for method, target, body in (
        ("GET", "/v2", None),
        ("GET", f"/v2/{repository.name}/tags/list?n=1", None),
        ("GET", f"/v2/{repository.name}/tags/list/", None),
        ("GET", f"/v2/{repository.name}//tags/list", None),
        ("GET", "/v2//", None),
        ("GET", "//v2/", None),
        ("GET", "/v2/_catalog/", None),
        ("GET", "/v2/_catalog?n=1", None),
        ("POST", f"/v2/{repository.name}/blobs/uploads", None),
        ("POST", f"/v2/{repository.name}/blobs/uploads/", None),
        ("POST", f"/v2/{repository.name}/blobs/uploads/?digest={digest_of(blob)}", blob),
        ("PUT", f"/v2/{repository.name}/manifests/v3", repository.get("manifests/v1")),
        ("GET", f"/v2/{repository.name}/manifests/v1/", None),
    ):
        answer = repository.client.call(method, target, headers, body)
        assert not 300 <= answer.status < 400, target
        for name, text in answer.headers:
            assert "evil" not in text, (target, name)
            assert "javascript" not in text, (target, name)
        assert b"evil" not in answer.body
    assert repository.status(f"manifests/{digest}") == 200


@pytest.mark.parametrize("text", ["\u00e4", "\u202e", "\x7f", "a\tb"])
def test_odd_header_values(client: Client, text: str) -> None:
    """Values with bytes beyond ASCII, or a tab, are read or refused, and harm nothing."""
    repository = Repository(client, f"odd{number()}")
    digest, body = repository.push_image("v1")
    for name in ("Accept", "Authorization", "User-Agent", "If-None-Match", "Range", "Host"):
        answer = client.call("GET", f"/v2/{repository.name}/manifests/v1", {name: text})
        assert answer.status in (200, 400)
    for name in ("Content-Type", "Content-Range"):
        target = f"/v2/{repository.name}/manifests/{digest}"
        assert client.call("PUT", target, {name: text}, body).status in (201, 400)
