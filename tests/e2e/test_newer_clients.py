"""
What newer clients send than those that Debian has, as they were seen to send it.
"""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.e2e.conftest import Registry
from tests.e2e.images import INDEX, MEGABYTE, as_json, digest_of, noise
from tests.e2e.wire import (
    OCTETS,
    exchange,
    path_of,
    push_blob,
    push_manifest,
    start_upload,
)

ZEROES = "sha256:" + 64 * "0"


def test_a_mount_does_not_have_to_say_from_where(registry: Registry, name: str) -> None:
    """A blob that another repository holds is mounted by its digest alone."""
    content = noise(name, 1000)
    digest = digest_of(content)
    push_blob(registry, f"{name}/from", content, digest)

    uploads = f"/v2/{name}/to/blobs/uploads/"
    answer = exchange(registry, "POST", f"{uploads}?mount={quote(digest)}", body=b"")

    assert answer.status == 201
    assert path_of(answer.headers["Location"]) == f"/v2/{name}/to/blobs/{digest}"
    assert exchange(registry, "GET", f"/v2/{name}/to/blobs/{digest}").body == content


def test_a_mount_may_name_the_host_it_thinks_of(registry: Registry, name: str) -> None:
    """A mount with C{origin} works like one without."""
    content = noise(name, 1000)
    digest = digest_of(content)
    push_blob(registry, f"{name}/from", content, digest)

    query = f"from={quote(f'{name}/from', safe='')}&mount={quote(digest, safe='')}"
    uploads = f"/v2/{name}/to/blobs/uploads/"
    answer = exchange(registry, "POST", f"{uploads}?{query}&origin={registry}", body=b"")

    assert answer.status == 201


def test_a_mount_of_what_is_unknown_becomes_an_upload(registry: Registry, name: str) -> None:
    """Clients remember blobs that have long gone, and then have to send them."""
    query = f"from={name}/nowhere&mount={ZEROES}"
    answer = exchange(registry, "POST", f"/v2/{name}/blobs/uploads/?{query}", body=b"")

    assert answer.status == 202
    assert answer.headers["Location"]


def test_the_referrers_of_nothing_are_an_empty_list(registry: Registry, name: str) -> None:
    """Clients find out whether there is a referrers API by asking for a digest of zeroes."""
    answer = exchange(registry, "GET", f"/v2/{name}/referrers/{ZEROES}")

    assert answer.status == 200
    assert answer.headers["Content-Type"] == INDEX
    assert answer.json()["manifests"] == []


def test_an_upload_is_cancelled(registry: Registry, name: str) -> None:
    """Clients that try whether they may push take their upload back."""
    location = start_upload(registry, name)

    assert exchange(registry, "DELETE", location).status == 204
    again = exchange(registry, "GET", location)
    assert again.status == 404
    assert again.codes() == ["BLOB_UPLOAD_UNKNOWN"]


def test_an_index_may_consist_of_blobs(registry: Registry, name: str) -> None:
    """A build cache is an index whose children are layers and a config of its own kind."""
    content = noise(name, 1000)
    digest = digest_of(content)
    push_blob(registry, name, content, digest)
    kinds = [
        "application/vnd.oci.image.layer.v1.tar+gzip",
        "application/vnd.buildkit.cacheconfig.v0",
    ]
    children = [{"mediaType": kind, "digest": digest, "size": 1000} for kind in kinds]
    cache = as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})

    assert push_manifest(registry, name, "cache", INDEX, cache).status == 201
    assert exchange(registry, "GET", f"/v2/{name}/manifests/cache").body == cache


def test_the_query_of_a_location_comes_back_in_another_order(registry: Registry, name: str) -> None:
    """Clients take a location apart, add the digest, and put it together sorted and quoted."""
    content = noise(name, 1000)
    path, _, query = start_upload(registry, name).partition("?")
    digest = "digest=" + quote(digest_of(content), safe="")
    arguments = [*filter(None, query.split("&")), "zebra=%7E", digest, "_extra="]

    answer = exchange(registry, "PUT", f"{path}?{'&'.join(sorted(arguments))}", [OCTETS], content)

    assert answer.status == 201
    assert exchange(registry, "GET", f"/v2/{name}/blobs/{digest_of(content)}").body == content


def test_a_chunk_out_of_order_says_where_to_resume(registry: Registry, name: str) -> None:
    """A client that lost count reads from the refusal how much there is, and goes on from there."""
    content = noise(name, MEGABYTE)
    location = start_upload(registry, name)
    half = MEGABYTE // 2
    exchange(registry, "PATCH", location, [("Content-Range", f"0-{half - 1}")], content[:half])

    lost = [("Content-Range", f"{half + 7}-{MEGABYTE - 1}")]
    refused = exchange(registry, "PATCH", location, lost, content[half + 7 :])

    assert refused.status == 416
    assert refused.headers["Range"] == f"0-{half - 1}"
    resumed = path_of(refused.headers["Location"])
    rest = [("Content-Range", f"{half}-{MEGABYTE - 1}")]
    assert exchange(registry, "PATCH", resumed, rest, content[half:]).status == 202
    digest = digest_of(content)
    assert exchange(registry, "PUT", f"{resumed}?digest={digest}", [], b"").status == 201


@pytest.mark.parametrize("path", ["manifests/1", f"blobs/{ZEROES}", f"referrers/{ZEROES}"])
def test_a_mirrored_registry_is_named_in_vain(registry: Registry, name: str, path: str) -> None:
    """The registry that a mirror stands for does not matter to the answer."""
    plain = exchange(registry, "GET", f"/v2/{name}/{path}")
    named = exchange(registry, "GET", f"/v2/{name}/{path}?ns=docker.io")

    assert (named.status, named.body) == (plain.status, plain.body)


def test_the_old_search_is_refused_quickly(registry: Registry) -> None:
    """Clients try the search of the first API before they read the catalogue."""
    assert exchange(registry, "GET", "/v1/search?q=x").status == 404
    assert exchange(registry, "GET", "/v1/_ping").status == 404


def test_two_small_ranges_come_in_one_answer(registry: Registry, name: str) -> None:
    """A partial pull asks for some ranges of a layer, and gets those and not the layer."""
    content = noise(name, MEGABYTE)
    digest = digest_of(content)
    push_blob(registry, name, content, digest)

    wanted = [("Range", "bytes=0-9,500000-500019")]
    answer = exchange(registry, "GET", f"/v2/{name}/blobs/{digest}", wanted)

    assert answer.status == 206
    assert answer.headers.get_content_type() == "multipart/byteranges"
    assert content[:10] in answer.body
    assert content[500_000:500_020] in answer.body
    assert len(answer.body) < 1000
