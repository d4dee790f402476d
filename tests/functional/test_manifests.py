"""
end-7: pushing manifests of every kind, byte for byte.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from .content import (
    CHILD_TYPES,
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_EMPTY,
    OCI_INDEX,
    OCI_LAYER,
    OCI_MANIFEST,
    Document,
    descriptor,
    digest_of,
    encode,
    image,
    index,
    unique,
    unknown_digest,
)
from .repository import Repository

LIMIT_BYTES = 4 * 1024 * 1024
TYPES = (OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST)


def document_of(repository: Repository, media_type: str, algorithm: str = "sha256") -> Document:
    """A manifest of this type whose blobs and children have been pushed."""
    if media_type in CHILD_TYPES:
        child = CHILD_TYPES[media_type]
        body = encode(repository.image(child, algorithm))
        repository.push_manifest(body, media_type=child)
        return index(descriptor(child, body), mediaType=media_type)
    return repository.image(media_type, algorithm)


def padded(document: Document, size: int) -> bytes:
    """The document as exactly so many bytes."""
    body = encode(document)
    return body + b" " * (size - len(body))


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("by_tag", [True, False])
def test_push(repository: Repository, algorithm: str, media_type: str, by_tag: bool) -> None:
    """end-7a: each type, by tag and by digest: 201, a Location to pull it from, the same bytes."""
    body = encode(document_of(repository, media_type, algorithm))
    digest = digest_of(body, "sha256" if by_tag else algorithm)
    reference = "v1.0_x-Y" if by_tag else digest
    answer = repository.call("PUT", f"manifests/{reference}", {"Content-Type": media_type}, body)
    assert answer.status == 201
    assert answer.header("Docker-Content-Digest") == digest
    assert answer.header("Content-Length") == "0"
    assert answer.lines("OCI-Subject") == []
    for path in (answer.header("Location"), f"/v2/{repository.name}/manifests/{digest}"):
        pulled = repository.client.call("GET", path)
        assert (pulled.status, pulled.body) == (200, body)
        assert pulled.header("Content-Type") == media_type
        assert pulled.header("Docker-Content-Digest") == digest
    assert repository.tags() == ([reference] if by_tag else [])


def test_push_in_chunks(repository: Repository) -> None:
    """end-7a: the body of a manifest may come in the chunked coding."""
    body = encode(repository.image())
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call("PUT", "manifests/v1", headers, chunks=[body[:7], body[7:]])
    assert answer.status == 201
    assert repository.get("manifests/v1") == body


def test_pushed_again(repository: Repository) -> None:
    """end-7a: the same manifest can be pushed again, under the same and other tags."""
    digest, body = repository.push_image("v1")
    for tag in ("v1", "v1", "v2"):
        assert repository.push_manifest(body, tag) == digest
    assert repository.tags() == ["v1", "v2"]


def test_tag_moves(repository: Repository) -> None:
    """end-7a: a tag names what was pushed to it last; the former stays, by its digest."""
    former, former_body = repository.push_image("v1")
    latter, latter_body = repository.push_image("v1")
    assert repository.get("manifests/v1") == latter_body
    assert repository.call("HEAD", "manifests/v1").header("Docker-Content-Digest") == latter
    assert repository.get(f"manifests/{former}") == former_body
    assert repository.tags() == ["v1"]


def test_pushed_by_several_at_once(repository: Repository) -> None:
    """end-7a: clients that push one manifest at the same time are all told 201."""
    body = encode(repository.image())
    with ThreadPoolExecutor(8) as threads:
        pushes = [
            threads.submit(repository.push_manifest, body, f"v{count % 3}") for count in range(16)
        ]
        assert {push.result() for push in pushes} == {digest_of(body)}
    assert repository.tags() == ["v0", "v1", "v2"]


def test_the_same_bytes_under_both_algorithms(repository: Repository) -> None:
    """end-7a: bytes pushed under two digests are there under both, and under no third."""
    body = encode(repository.image())
    for algorithm in ("sha512", "sha256"):
        digest = digest_of(body, algorithm)
        assert repository.status(f"manifests/{digest}") == 404
        headers = {"Content-Type": OCI_MANIFEST}
        assert repository.call("PUT", f"manifests/{digest}", headers, body).status == 201
        answer = repository.call("GET", f"manifests/{digest}")
        assert (answer.status, answer.body) == (200, body)
        assert answer.header("Docker-Content-Digest") == digest


def test_digest_of_other_bytes(repository: Repository, algorithm: str) -> None:
    """end-7a: a body that has another digest than the path is 400 DIGEST_INVALID."""
    body = encode(repository.image())
    digest = unknown_digest(algorithm)
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call("PUT", f"manifests/{digest}", headers, body)
    assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])
    assert repository.status(f"manifests/{digest}") == 404
    assert repository.status(f"manifests/{digest_of(body, algorithm)}") == 404


# Kinds of manifest ----------------------------------------------------------------------------


def test_artifact(repository: Repository) -> None:
    """image-spec: an artifact with artifactType and the empty config is a manifest like others."""
    empty = b"{}"
    repository.push_blob(empty)
    layer = unique()
    repository.push_blob(layer)
    body = encode(
        image(
            descriptor(OCI_EMPTY, empty, data="e30="),
            descriptor("application/x-unheard-of", layer),
            artifactType="application/vnd.example.sbom",
            annotations={"org.example.key": "a value"},
        )
    )
    repository.push_manifest(body, "sbom")
    assert repository.get("manifests/sbom") == body


@pytest.mark.parametrize("kind", ["application/x-unheard-of", "text/plain", "x/y+z"])
def test_unknown_media_types_inside(repository: Repository, kind: str) -> None:
    """image-spec: types of configs, layers, artifacts and children that are not known are taken."""
    content = unique()
    repository.push_blob(content)
    blob = descriptor(kind, content)
    body = encode(image(blob, blob, artifactType=kind))
    digest = repository.push_manifest(body)
    assert repository.get(f"manifests/{digest}") == body
    body = encode(index(blob, descriptor(kind, unique())))
    digest = repository.push_manifest(body, media_type=OCI_INDEX)
    assert repository.get(f"manifests/{digest}") == body


def test_image_without_layers(repository: Repository) -> None:
    """end-7a: the list of layers may be empty."""
    config = unique()
    repository.push_blob(config)
    repository.push_manifest(encode(image(descriptor(OCI_CONFIG, config))), "v1")
    assert repository.status("manifests/v1") == 200


def test_empty_index(repository: Repository) -> None:
    """image-spec: an index may have no children; pushing it makes the repository."""
    repository.push_manifest(encode(index()), "v1", OCI_INDEX)
    assert repository.tags() == ["v1"]


def test_nested_index(repository: Repository) -> None:
    """image-spec: an index may hold indexes, each of which can be pulled."""
    _, body = repository.push_image()
    media_type = OCI_MANIFEST
    for _ in range(30):
        # Twice the same child: whoever followed each path would have a billion to follow.
        body = encode(index(descriptor(media_type, body), descriptor(media_type, body)))
        media_type = OCI_INDEX
        digest = repository.push_manifest(body, media_type=media_type)
        assert repository.get(f"manifests/{digest}") == body
    assert repository.call("DELETE", f"manifests/{digest}").status == 202


@pytest.mark.parametrize("media_type", [OCI_INDEX, DOCKER_LIST])
def test_children_that_are_not_there(
    repository: Repository, algorithm: str, media_type: str
) -> None:
    """end-7a: an index may name children that have not been pushed, of either algorithm."""
    missing = descriptor(CHILD_TYPES[media_type], unique(), algorithm)
    body = encode(index(missing, mediaType=media_type))
    digest = repository.push_manifest(body, "v1", media_type)
    assert repository.get(f"manifests/{digest}") == body
    assert repository.status(f"manifests/{missing['digest']}") == 404


def test_index_of_blobs(repository: Repository) -> None:
    """image-spec: children that are layers, as build caches have them, are taken."""
    layer = unique()
    repository.push_blob(layer)
    config = descriptor("application/vnd.buildkit.cacheconfig.v0", unique())
    body = encode(index(descriptor(OCI_LAYER, layer), config))
    repository.push_manifest(body, "cache", OCI_INDEX)
    assert repository.get("manifests/cache") == body


def test_unknown_properties(repository: Repository) -> None:
    """image-spec: properties that are not known are no error, and are kept with the bytes."""
    document = repository.image(extension={"deep": [1, 2.5, None, True, "\u00e4\U0001f600"]})
    document["config"]["platform"] = {"os": "linux", "architecture": "amd64"}
    document["layers"][0]["urls"] = ["http://127.0.0.1:1/never-asked-for"]
    body = encode(document)
    repository.push_manifest(body, "v1")
    assert repository.get("manifests/v1") == body


# Subjects -------------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX])
@pytest.mark.parametrize("by_tag", [True, False])
@pytest.mark.parametrize("present", [True, False])
def test_subject(
    repository: Repository, algorithm: str, media_type: str, by_tag: bool, present: bool
) -> None:
    """end-7a: OCI-Subject names the subject, which need not be there, again at each push."""
    subject = encode(repository.image())
    named = descriptor(OCI_MANIFEST, subject, algorithm)
    if present:
        target = f"manifests/{named['digest']}"
        headers = {"Content-Type": OCI_MANIFEST}
        assert repository.call("PUT", target, headers, subject).status == 201
    body = encode({**document_of(repository, media_type), "subject": named})
    reference = "v1" if by_tag else digest_of(body, algorithm)
    for _ in range(2):
        headers = {"Content-Type": media_type}
        answer = repository.call("PUT", f"manifests/{reference}", headers, body)
        assert answer.status == 201
        assert answer.header("OCI-Subject") == named["digest"]


@pytest.mark.parametrize("media_type", [DOCKER_MANIFEST, DOCKER_LIST])
def test_docker_types_have_no_subject(repository: Repository, media_type: str) -> None:
    """end-7a: in Docker's types subject is a word without meaning."""
    subject = descriptor(OCI_MANIFEST, unique())
    body = encode({**document_of(repository, media_type), "subject": subject})
    answer = repository.call("PUT", "manifests/v1", {"Content-Type": media_type}, body)
    assert answer.status == 201
    assert answer.lines("OCI-Subject") == []
    assert repository.referrers(subject["digest"]) == []


def test_subject_of_another_type(repository: Repository) -> None:
    """end-7a: bytes first pushed as a Docker manifest have a subject once pushed as an OCI one."""
    subject = descriptor(OCI_MANIFEST, unique())
    document = repository.image(subject=subject)
    del document["mediaType"]
    body = encode(document)
    repository.push_manifest(body, "v1", DOCKER_MANIFEST)
    answer = repository.call("PUT", "manifests/v1", {"Content-Type": OCI_MANIFEST}, body)
    assert answer.status == 201
    assert answer.header("OCI-Subject") == subject["digest"]
    assert [listed["digest"] for listed in repository.referrers(subject["digest"])] == [
        digest_of(body)
    ]


# The media type -------------------------------------------------------------------------------


@pytest.mark.parametrize("media_type", TYPES)
@pytest.mark.parametrize("parameters", ["; charset=utf-8", ";charset=UTF-8 ; x=y", ";"])
def test_parameters_of_the_content_type(
    repository: Repository, media_type: str, parameters: str
) -> None:
    """end-7a: parameters of the Content-Type are dropped, and do not come back."""
    body = encode(document_of(repository, media_type))
    headers = {"Content-Type": media_type + parameters}
    assert repository.call("PUT", "manifests/v1", headers, body).status == 201
    assert repository.call("GET", "manifests/v1").header("Content-Type") == media_type


@pytest.mark.parametrize("media_type", TYPES)
def test_type_from_the_body(repository: Repository, media_type: str) -> None:
    """end-7a: without a Content-Type the mediaType of the body counts."""
    body = encode(document_of(repository, media_type))
    assert repository.call("PUT", "manifests/v1", body=body).status == 201
    assert repository.call("GET", "manifests/v1").header("Content-Type") == media_type


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX])
def test_type_from_the_shape(repository: Repository, media_type: str) -> None:
    """end-7a: without either the shape tells an image from an index."""
    document = document_of(repository, media_type)
    del document["mediaType"]
    body = encode(document)
    assert repository.call("PUT", "manifests/v1", body=body).status == 201
    answer = repository.call("GET", "manifests/v1")
    assert answer.header("Content-Type") == media_type
    assert answer.body == body


@pytest.mark.parametrize("media_type", [OCI_MANIFEST, OCI_INDEX])
def test_type_from_the_header(repository: Repository, media_type: str) -> None:
    """end-7a: without a mediaType in the body the Content-Type counts."""
    document = document_of(repository, media_type)
    del document["mediaType"]
    repository.push_manifest(encode(document), "v1", media_type)
    assert repository.call("GET", "manifests/v1").header("Content-Type") == media_type


# Missing blobs --------------------------------------------------------------------------------


def test_missing_blobs(repository: Repository, other: Repository, algorithm: str) -> None:
    """end-7a: each missing blob is named, in order and once; another repository's is missing."""
    here, elsewhere = unique(), unique()
    repository.push_blob(here, algorithm)
    other.push_blob(elsewhere, algorithm)
    absent = unique()
    body = encode(
        image(
            descriptor(OCI_CONFIG, absent, algorithm),
            descriptor(OCI_LAYER, here, algorithm),
            descriptor(OCI_LAYER, elsewhere, algorithm),
            descriptor(OCI_LAYER, absent, algorithm),
        )
    )
    answer = repository.call("PUT", "manifests/v1", {"Content-Type": OCI_MANIFEST}, body)
    assert answer.status == 400
    assert [(error["code"], error["detail"]) for error in answer.json()["errors"]] == [
        ("MANIFEST_BLOB_UNKNOWN", digest_of(absent, algorithm)),
        ("MANIFEST_BLOB_UNKNOWN", digest_of(elsewhere, algorithm)),
    ]
    assert repository.status("manifests/v1") == 404
    assert repository.status(f"manifests/{digest_of(body)}") == 404
    assert repository.tags() == []


@pytest.mark.parametrize(
    "layer_type",
    [
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    ],
)
@pytest.mark.parametrize("media_type", [OCI_MANIFEST, DOCKER_MANIFEST])
def test_layers_that_are_not_distributed(
    repository: Repository, media_type: str, layer_type: str
) -> None:
    """end-7a: layers that may not be distributed need not be there."""
    document = repository.image(media_type)
    foreign = descriptor(layer_type, unique(), urls=["https://127.0.0.1:1/never-asked-for"])
    document["layers"].insert(0, foreign)
    body = encode(document)
    repository.push_manifest(body, "v1", media_type)
    assert repository.get("manifests/v1") == body


@pytest.mark.parametrize("difference", [-1, 1, 1 << 40])
@pytest.mark.parametrize("place", ["config", "layer"])
def test_size_of_another_blob(repository: Repository, place: str, difference: int) -> None:
    """end-7a: a descriptor whose size is not that of the blob is 400 MANIFEST_INVALID."""
    document = repository.image()
    named = document["config"] if place == "config" else document["layers"][0]
    named["size"] += difference
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call("PUT", "manifests/v1", headers, encode(document))
    assert (answer.status, answer.codes()) == (400, ["MANIFEST_INVALID"])
    assert repository.tags() == []


# Size -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("coded", [True, False])
def test_up_to_the_limit(repository: Repository, coded: bool) -> None:
    """end-7a: a manifest of 4 MiB is accepted, and comes back."""
    body = padded(repository.image(), LIMIT_BYTES)
    headers = {"Content-Type": OCI_MANIFEST}
    answer = (
        repository.call("PUT", "manifests/v1", headers, chunks=[body])
        if coded
        else repository.call("PUT", "manifests/v1", headers, body)
    )
    assert answer.status == 201
    assert repository.get("manifests/v1") == body


@pytest.mark.parametrize("coded", [True, False])
@pytest.mark.parametrize("excess", [1, 3_000_000])
def test_beyond_the_limit(repository: Repository, coded: bool, excess: int) -> None:
    """end-7a: a larger manifest is 413 MANIFEST_INVALID, and not stored."""
    body = padded(repository.image(), LIMIT_BYTES + excess)
    headers = {"Content-Type": OCI_MANIFEST}
    answer = (
        repository.call("PUT", "manifests/v1", headers, chunks=[body])
        if coded
        else repository.call("PUT", "manifests/v1", headers, body)
    )
    assert (answer.status, answer.codes()) == (413, ["MANIFEST_INVALID"])
    assert repository.tags() == []
    assert repository.status(f"manifests/{digest_of(body)}") == 404


# Tags of a push by digest ---------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 10, 100])
def test_tags_in_the_query(repository: Repository, algorithm: str, count: int) -> None:
    """end-7b: a push by digest sets the tags of the query, each confirmed by an OCI-Tag line."""
    body = encode(repository.image())
    digest = digest_of(body, algorithm)
    tags = [f"v{number:03}" for number in range(count)]
    query = "&".join(f"tag={tag}" for tag in tags)
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call("PUT", f"manifests/{digest}?{query}", headers, body)
    assert answer.status == 201
    assert sorted(answer.lines("OCI-Tag")) == tags
    assert answer.header("Docker-Content-Digest") == digest
    assert repository.tags() == tags
    for tag in (tags[0], tags[-1]):
        pulled = repository.call("GET", f"manifests/{tag}")
        assert pulled.body == body
        assert pulled.header("Docker-Content-Digest") == digest


def test_tags_in_the_query_move(repository: Repository) -> None:
    """end-7b: a tag of the query that was there moves to the new manifest."""
    repository.push_image("v1")
    body = encode(repository.image())
    digest = digest_of(body)
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call("PUT", f"manifests/{digest}?tag=v2&tag=v1&ns=x", headers, body)
    assert answer.status == 201
    assert sorted(answer.lines("OCI-Tag")) == ["v1", "v2"]
    assert repository.get("manifests/v1") == repository.get("manifests/v2") == body


def test_too_many_tags_in_the_query(repository: Repository) -> None:
    """end-7b: more than 100 tags are refused as a whole."""
    body = encode(repository.image())
    query = "&".join(f"tag=v{number}" for number in range(101))
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call("PUT", f"manifests/{digest_of(body)}?{query}", headers, body)
    assert answer.status in (400, 414)
    assert repository.tags() == []
    assert repository.status(f"manifests/{digest_of(body)}") == 404


@pytest.mark.parametrize("tag", [".bad", "", "a/b", "a%00", "x" * 129, "%C3%A4", "a:b"])
def test_bad_tag_in_the_query(repository: Repository, tag: str) -> None:
    """end-7b: one bad tag refuses the push: 400 MANIFEST_INVALID, and none of the tags is set."""
    body = encode(repository.image())
    headers = {"Content-Type": OCI_MANIFEST}
    target = f"manifests/{digest_of(body)}?tag=good&tag={tag}"
    answer = repository.call("PUT", target, headers, body)
    assert (answer.status, answer.codes()) == (400, ["MANIFEST_INVALID"])
    assert repository.tags() == []
    assert repository.status(f"manifests/{digest_of(body)}") == 404


@pytest.mark.parametrize("tag", ["a", "_", "0", "_.-", "V" * 128, "sha256-" + "a" * 64 + ".sig"])
def test_tags_of_the_grammar(repository: Repository, tag: str) -> None:
    """end-7a: every tag that the grammar allows works."""
    _, body = repository.push_image(tag)
    assert repository.get(f"manifests/{tag}") == body
    assert repository.tags() == [tag]
    assert repository.call("DELETE", f"manifests/{tag}").status == 202
