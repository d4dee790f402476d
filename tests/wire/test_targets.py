"""
Request targets and methods, as hostile as they come: refusals in JSON, never a redirect, never
anything outside of the storage.
"""

from __future__ import annotations

import pytest

from ..harness import InMemoryRegistry, Wire
from ..messages import digest_of, image_manifest, new_name, request

DIGEST = digest_of(b"nothing")

HOSTILE = [
    "%2f",
    "%2F..%2F..%2Fetc%2Fpasswd",
    "..",
    "../..",
    "%2e%2e",
    "%2e%2e%2f%2e%2e",
    "%252e%252e%252f",
    "a/../b",
    "a/./b",
    "a//b",
    "/a",
    "a/",
    "a\\b",
    "..%5c..%5c",
    "..;/a",
    "a;b",
    "%00",
    "a%00b",
    "a%0d%0aSet-Cookie:x",
    "a%0ab",
    "%ff",
    "%c0%ae%c0%ae",
    "%",
    "%zz",
    "A",
    "a" * 300,
    "_uploads",
    "a/_manifests",
    "%7e",
    "a%20b",
    "a?b",
    "%E2%80%AE",
]

#: Those that are tags in good form.
TAGS = {"A", "a?b", "_uploads"}

PLACES = [
    "/v2/{}/tags/list",
    "/v2/{}/blobs/" + DIGEST,
    "/v2/{}/manifests/t",
    "/v2/{}/referrers/" + DIGEST,
    "/v2/a/blobs/{}",
    "/v2/a/blobs/sha256:{}",
    "/v2/a/manifests/{}",
    "/v2/a/referrers/{}",
    "/v2/a/blobs/uploads/{}",
    "/v2/{}",
    "/{}",
]


@pytest.mark.parametrize("place", PLACES)
def test_hostile_paths(registry: InMemoryRegistry, place: str) -> None:
    """Wherever it stands, a hostile name is refused in JSON, and nowhere redirected."""
    for text in HOSTILE:
        if place.format(text) == "/v2/%2f":  # is the same as /v2/, as it should be
            continue
        for method in ("GET", "DELETE"):
            answer = registry.call(method, place.format(text))
            assert answer.status in (400, 404, 405), (method, place, text, answer)
            assert answer.codes, (method, place, text)
            assert answer.values("Location") == []
            assert answer.header("Server") == "ociregd"


def test_hostile_pushes(registry: InMemoryRegistry) -> None:
    """Nothing is stored under a hostile name."""
    registry.push("a", b"{}")
    before = sorted(registry.directory.rglob("*"))
    for text in HOSTILE:
        for target in (f"/v2/{text}/blobs/uploads/", f"/v2/a/blobs/uploads/?digest={text}"):
            answer = registry.call("POST", target, body=b"x")
            assert answer.status in (400, 404, 405), (target, answer)
            assert answer.codes
        target = f"/v2/a/manifests/{text}"
        if text not in TAGS:
            answer = registry.call("PUT", target, body=image_manifest(b"{}"))
            assert answer.status in (400, 404, 405), (target, answer)
    assert sorted(registry.directory.rglob("*")) == before


def test_no_redirects(registry: InMemoryRegistry) -> None:
    """A slash more or less never leads to another host, nor anywhere else."""
    name = new_name()
    path = registry.push(name, b"content")
    targets = [path, f"/v2/{name}/tags/list", f"/v2/{name}/manifests/t", "/v2/_catalog", "/v2/"]
    variants = [target + end for target in targets for end in ("/", "//", "/.", "/..")]
    variants += [target.replace("/", "//") for target in targets] + ["/v2", "//v2/", "/", "//"]
    for target in variants:
        headers = [("X-Forwarded-Host", "evil.example"), ("X-Forwarded-Proto", "javascript")]
        answer = registry.call("GET", target, headers)
        assert answer.status in (200, 400, 404, 405), (target, answer)
        assert answer.values("Location") == []


def test_the_host_is_never_repeated(registry: InMemoryRegistry) -> None:
    """Locations and links are relative: what the client says of the host is not believed."""
    name = new_name()
    registry.push(name, b"{}")
    manifest = image_manifest(b"{}")
    headers = [
        ("X-Forwarded-Host", "evil.example"),
        ("X-Forwarded-Proto", "https"),
        ("Forwarded", "host=evil.example;proto=https"),
        ("X-Forwarded-Prefix", "/evil.example"),
    ]
    answers = [
        registry.call("POST", f"/v2/{name}/blobs/uploads/", headers, b""),
        registry.call("PUT", f"/v2/{name}/manifests/one", headers, manifest),
        registry.call("PUT", f"/v2/{name}/manifests/two", headers, manifest),
        registry.call("GET", f"/v2/{name}/tags/list?n=1", headers),
        registry.call("POST", f"/v2/{name}/blobs/uploads/?digest={digest_of(b'x')}", headers, b"x"),
    ]
    said = [value for answer in answers for value in answer.values("Location")]
    assert len(said) == 4
    assert all(value.startswith("/v2/") for value in said)
    link = answers[3].header("Link")
    assert link == f'</v2/{name}/tags/list?last=one&n=1>; rel="next"'
    assert b"example" not in b"".join(answer.body for answer in answers)


def test_arguments_do_not_break_out(registry: InMemoryRegistry) -> None:
    """What a client puts into a query comes back quoted in a link, or not at all."""
    name = new_name()
    registry.push(name, b"{}")
    for tag in ("one", "two"):
        registry.call("PUT", f"/v2/{name}/manifests/{tag}", body=image_manifest(b"{}"))
    evil = "x%0d%0aSet-Cookie:%20a=b%22%3E;%20%3C%2Fevil"
    answer = registry.call("GET", f"/v2/{name}/tags/list?n=1&{evil}={evil}&last=%0d%0aa%00%3e")
    link = answer.header("Link")
    assert link.count("<") == link.count(">") == 1
    assert answer.values("Set-Cookie") == []


def test_absolute_form(registry: InMemoryRegistry) -> None:
    """A target with scheme and host is accepted (RFC 9112 3.2.2), whatever host it is."""
    name = new_name()
    path = registry.push(name, b"content")
    for authority in (
        "http://registry.example",
        "http://other.example:99",
        "https://x",
        "HTTP://y",
    ):
        assert registry.call("GET", authority + path).body == b"content"
        assert registry.call("GET", f"{authority}/v2/").status == 200
        assert registry.call("GET", authority).status == 404
        answer = registry.call("POST", f"{authority}/v2/{name}/blobs/uploads/", body=b"")
        assert answer.header("Location").startswith(f"/v2/{name}/")


@pytest.mark.parametrize("method", ["OPTIONS", "GET", "PUT"])
def test_asterisk(registry: InMemoryRegistry, method: str) -> None:
    """A question about the server as a whole tells no more about it than others do."""
    answer = registry.call(method, "*", body=b"" if method == "PUT" else None)
    assert answer.status in (200, 204, 400, 404, 405)
    assert answer.header("Server") == "ociregd"
    assert answer.header("Docker-Distribution-API-Version") == "registry/2.0"


@pytest.mark.parametrize(
    "method",
    ["BREW", "TRACE", "CONNECT", "OPTIONS", "PROPFIND", "get", "Get", "head", "delete", "M-SEARCH"],
)
def test_other_methods(registry: InMemoryRegistry, method: str) -> None:
    """A method that the endpoint does not take is refused, with those that it takes."""
    name = new_name()
    path = registry.push(name, b"content")
    answer = registry.call(method, path)
    assert (answer.status, answer.codes) == (405, ["UNSUPPORTED"])
    assert sorted(answer.header("Allow").split(", ")) == ["DELETE", "GET", "HEAD"]


@pytest.mark.parametrize("method", ["patch", "Put", "post"])
def test_methods_are_sensitive_to_case(registry: InMemoryRegistry, method: str) -> None:
    """What is almost a push is refused with its body; the session is as it was."""
    location = registry.begin(new_name())
    wire: Wire = registry.connect()
    wire.send(request(method, location, body=b"content") + request("GET", "/v2/"))
    refused, asked = wire.answers(method, "GET")
    assert (refused.status, asked.status) == (405, 200)
    assert registry.offset(location) == 0
