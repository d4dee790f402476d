"""
Well-formed manifests, as Python values, to be written as JSON or damaged first.
"""

from __future__ import annotations

import json
from typing import Any

from ociregd.oci.digest import digest_of
from ociregd.oci.mediatypes import DOCKER_LIST, DOCKER_MANIFEST, OCI_INDEX, OCI_MANIFEST

from ..mediatypes import DOCKER_CONFIG, DOCKER_LAYER, OCI_CONFIG, OCI_EMPTY, OCI_LAYER_GZIP

# What JSON can hold is not worth a type of its own in tests that bend it.
JSON = Any


def written(document: JSON) -> bytes:
    """
    Write a document as JSON.
    """
    return json.dumps(document).encode()


def descriptor(content: bytes, media_type: str = OCI_LAYER_GZIP, **others: JSON) -> JSON:
    """
    Describe some content.
    """
    return {
        "mediaType": media_type,
        "digest": str(digest_of(content)),
        "size": len(content),
    } | others


CONFIG = descriptor(b"the config", OCI_CONFIG)
LAYERS = [descriptor(b"the first layer"), descriptor(b"another layer")]
SUBJECT = descriptor(b"the subject", OCI_MANIFEST)
CHILDREN = [
    descriptor(b"one", OCI_MANIFEST, platform={"os": "linux", "architecture": "amd64"}),
    descriptor(b"two", OCI_MANIFEST, annotations={"a": "b"}),
]


def image(**others: JSON) -> JSON:
    """
    An image manifest of OCI with two layers.
    """
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": CONFIG,
        "layers": LAYERS,
    } | others


def index(**others: JSON) -> JSON:
    """
    An image index of OCI with two children.
    """
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": CHILDREN} | others


def artifact(**others: JSON) -> JSON:
    """
    An image manifest of OCI that refers to another manifest, with nothing that runs.
    """
    return {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "artifactType": "application/vnd.example.signature",
        "config": descriptor(b"{}", OCI_EMPTY, data="e30="),
        "layers": [descriptor(b"{}", OCI_EMPTY, data="e30=")],
        "subject": SUBJECT,
        "annotations": {"org.example.signer": "Jürgen \U0001f511", "empty": ""},
    } | others


def docker_image(**others: JSON) -> JSON:
    """
    An image manifest of Docker.
    """
    return {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": descriptor(b"the config", DOCKER_CONFIG),
        "layers": [descriptor(b"the layer", DOCKER_LAYER)],
    } | others


def docker_list(**others: JSON) -> JSON:
    """
    A manifest list of Docker.
    """
    return {
        "schemaVersion": 2,
        "mediaType": DOCKER_LIST,
        "manifests": [descriptor(b"one", DOCKER_MANIFEST, platform={"os": "linux"})],
    } | others
