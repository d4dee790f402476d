"""
end-7: bodies that are no manifest, or that two readers could read in two ways.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Sequence
from copy import deepcopy
from typing import Any

import pytest

from .content import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Document,
    descriptor,
    digest_of,
    encode,
    index,
    number,
    unique,
)
from .daemon import Daemon
from .repository import Repository

SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1+prettyjws"


@pytest.fixture(scope="module")
def repository(daemon: Daemon) -> Repository:
    """A repository without manifests, for all tests, since none of them shall change it."""
    repository = Repository(daemon.client, f"refusing{number()}/app")
    repository.push_blob(unique())
    return repository


@pytest.fixture(scope="module")
def pushed(repository: Repository) -> Document:
    """An image whose config and layer are in the repository."""
    return repository.image()


@pytest.fixture
def document(pushed: Document) -> Document:
    """The image, to be spoilt."""
    return deepcopy(pushed)


def assert_refused(repository: Repository, body: bytes, media_type: str | None) -> None:
    """The body is 400 MANIFEST_INVALID by tag and by digest, and nothing is stored."""
    headers = {} if media_type is None else {"Content-Type": media_type}
    digest = digest_of(body)
    for reference in ("v1", digest):
        answer = repository.call("PUT", f"manifests/{reference}", headers, body)
        assert (answer.status, answer.codes()) == (400, ["MANIFEST_INVALID"])
        assert repository.status(f"manifests/{reference}") == 404
    assert repository.tags() == []


@pytest.mark.parametrize(
    ("header", "inside"),
    [
        (OCI_INDEX, OCI_MANIFEST),
        (DOCKER_MANIFEST, OCI_MANIFEST),
        (OCI_MANIFEST, DOCKER_MANIFEST),
        (OCI_MANIFEST, OCI_INDEX),
        (OCI_MANIFEST, "application/x-unheard-of"),
    ],
)
def test_type_of_header_and_body(
    repository: Repository, document: Document, header: str, inside: str
) -> None:
    """end-7a: a Content-Type that is not the body's mediaType is refused."""
    assert_refused(repository, encode({**document, "mediaType": inside}), header)


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/octet-stream",
        "application/vnd.docker.distribution.manifest.v1+json",
        SCHEMA_1,
        "application/vnd.oci.image.manifest.v2+json",
        "application/vnd.oci.artifact.manifest.v1+json",
        OCI_CONFIG,
        "\u00e4",
        ";",
    ],
)
def test_unknown_type(repository: Repository, document: Document, media_type: str) -> None:
    """end-7a: a type that is not among the known ones is refused, in header and body."""
    del document["mediaType"]
    assert_refused(repository, encode(document), media_type)
    assert_refused(repository, encode({**document, "mediaType": media_type}), media_type)
    assert_refused(repository, encode({**document, "mediaType": media_type}), None)


def test_schema_1(repository: Repository, document: Document) -> None:
    """end-7a: the signed manifests of the first Docker registries are refused, not misread."""
    signed = {
        "schemaVersion": 1,
        "name": repository.name,
        "tag": "v1",
        "fsLayers": [{"blobSum": document["layers"][0]["digest"]}],
        "history": [{"v1Compatibility": "{}"}],
        "signatures": [],
    }
    for media_type in (SCHEMA_1, OCI_MANIFEST, None):
        assert_refused(repository, encode(signed), media_type)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b" ",
        b"null",
        b"[]",
        b"{}",
        b'"text"',
        b"1",
        b"{",
        b"not json",
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"schemaVersion":' + b"9" * 5_000 + b"}",
        b'{"schemaVersion":2}',
        b'{"schemaVersion":2,"mediaType":"%b"}' % OCI_MANIFEST.encode(),
    ],
    ids=lambda body: repr(body[:30]),
)
@pytest.mark.parametrize(
    "media_type", [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST, None]
)
def test_no_manifest(repository: Repository, body: bytes, media_type: str | None) -> None:
    """end-7a: what is no JSON object, or none of a manifest, is refused."""
    assert_refused(repository, body, media_type)


@pytest.mark.parametrize(
    "alter",
    [
        lambda text: text.replace('"layers":', '"layers": [], "layers":', 1),
        lambda text: text.replace('"layers":', '"Layers": [], "layers":', 1),
        lambda text: text.replace('"layers":', '"layerS":', 1),
        lambda text: text.replace('"layers":', '"layer\u017f": [], "layers":', 1),
        lambda text: text.replace('"config":', '"CONFIG": {}, "config":', 1),
        lambda text: text.replace('"digest":', '"Digest": "x", "digest":', 1),
        lambda text: text.replace('"digest":', '"digest": "x", "digest":', 1),
        lambda text: text.replace('"layers":', '"manifests": [], "layers":', 1),
        lambda text: text.replace('"schemaVersion": 2', '"schemaVersion": NaN', 1),
        lambda text: text.replace('"layers":', '"x": NaN, "layers":', 1),
        lambda text: text.replace('"layers":', '"x": -Infinity, "layers":', 1),
        lambda text: text.replace('"layers":', '"x": "\\ud800", "layers":', 1),
        lambda text: text.replace('"layers":', '"x": {"a": 1, "a": 2}, "layers":', 1),
        lambda text: text.replace('"layers":', '"annotations": {"a": "1", "a": "2"}, "layers":'),
        lambda text: text + "{}",
        lambda text: text + "\x00",
        lambda text: text[:-1],
        lambda text: "\ufeff" + text,
        lambda text: text.encode("utf-16"),
        lambda text: text.encode("utf-32-le"),
        lambda text: text.replace('"layers":', '"x": "\u00e4", "layers":', 1).encode("latin-1"),
        lambda text: text.replace('"layers":', "// no comment\n", 1),
        lambda text: text.replace("}", ",}", 1),
        lambda text: text.replace('"', "'"),
    ],
)
def test_ambiguous_json(
    repository: Repository, document: Document, alter: Callable[[str], str | bytes]
) -> None:
    """end-7a: JSON that readers disagree about, or that is none, is refused."""
    altered = alter(json.dumps(document))
    assert_refused(
        repository, altered if isinstance(altered, bytes) else altered.encode(), OCI_MANIFEST
    )


Fault = Callable[[Document], None]


def _each(*path: str | int, of: Sequence[Any]) -> list[Fault]:
    return [_set(*path, to=value) for value in of]


def _set(*path: str | int, to: Any) -> Fault:
    def alter(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        document[path[-1]] = to

    return alter


def _without(*path: str | int) -> Fault:
    def alter(document: Any) -> None:
        for step in path[:-1]:
            document = document[step]
        del document[path[-1]]

    return alter


FAULTS = [
    *_each("schemaVersion", of=[1, 3, "2", 2.0, True, None, [2]]),
    _without("schemaVersion"),
    *_each("mediaType", of=[1, True, [], {}, "x"]),
    *_each("config", of=[None, [], "x", {}, 1]),
    _without("config"),
    *_each("layers", of=[None, {}, "x", [None], [[]], ["x"], [{}]]),
    _without("layers"),
    *(_without("config", key) for key in ("mediaType", "digest", "size")),
    *(_without("layers", 0, key) for key in ("mediaType", "digest", "size")),
    *_each("layers", 0, "size", of=[-1, "100", 100.0, True, None, 1e400, 1 << 63, 10**30]),
    *_each(
        "layers",
        0,
        "digest",
        of=[
            "",
            "sha256:",
            "sha256:zz",
            "sha256:" + "A" * 64,
            "sha256:" + "a" * 63,
            "sha512:" + "a" * 64,
            "sha256:../../../../etc/passwd",
            "sha256:" + "a" * 64 + "\n",
            None,
            1,
        ],
    ),
    *_each("layers", 0, "mediaType", of=[None, 1, ""]),
    *_each("config", "mediaType", of=["\x00", "a/b\x00c"]),
    *_each("annotations", of=[[], "x", {"a": 1}, {"a": None}]),
    *_each("layers", 0, "annotations", of=[[], {"a": 1}]),
    *_each("artifactType", of=[1, {}, "a\x00b"]),
    *_each("subject", of=[[], "x", {}, {"digest": "sha256:zz"}]),
    *_each("layers", 0, "data", of=[1, "*", "e30=", base64.b64encode(b"y" * 100).decode()]),
]


@pytest.mark.parametrize("fault", FAULTS)
def test_faulty_image(repository: Repository, document: Document, fault: Fault) -> None:
    """end-7a: an image manifest with one field missing, or of another type, is refused."""
    fault(document)
    assert_refused(repository, encode(document), OCI_MANIFEST)


@pytest.mark.parametrize(
    "fault",
    [
        _without("manifests"),
        _without("schemaVersion"),
        *_each("manifests", of=[None, {}, "x", [None], [{}]]),
        *_each("manifests", 0, "size", of=[-1, True, "1", 1.5]),
        *_each("manifests", 0, "digest", of=["sha256:zz", None]),
        _set("layers", to=[]),
        _set("Manifests", to=[]),
    ],
)
def test_faulty_index(repository: Repository, fault: Fault) -> None:
    """end-7a: an index with one field missing, or of another type, is refused."""
    document = index(descriptor(OCI_MANIFEST, unique()))
    fault(document)
    assert_refused(repository, encode(document), OCI_INDEX)
