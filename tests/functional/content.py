"""
What the tests push: bytes that no other test has, descriptors, manifests and indexes.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import random
from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"

CONFIG_TYPES = {OCI_MANIFEST: OCI_CONFIG, DOCKER_MANIFEST: DOCKER_CONFIG}
LAYER_TYPES = {OCI_MANIFEST: OCI_LAYER, DOCKER_MANIFEST: DOCKER_LAYER}
CHILD_TYPES = {OCI_INDEX: OCI_MANIFEST, DOCKER_LIST: DOCKER_MANIFEST}

ALGORITHMS = ("sha256", "sha512")
LENGTHS = {"sha256": 64, "sha512": 128}

_numbers = itertools.count(1)

Document = dict[str, Any]


def number() -> int:
    """A number that was not given out before."""
    return next(_numbers)


def unique(size: int = 100) -> bytes:
    """Bytes that no other test has; the same ones again in the next run."""
    return random.Random(number()).randbytes(size)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def unknown_digest(algorithm: str = "sha256") -> str:
    """A digest in good form that nothing has."""
    return digest_of(unique(), algorithm)


def descriptor(media_type: str, content: bytes, algorithm: str = "sha256", **more: Any) -> Document:
    """A descriptor of some bytes."""
    digest = digest_of(content, algorithm)
    return {"mediaType": media_type, "digest": digest, "size": len(content), **more}


def image(config: Document, *layers: Document, **more: Any) -> Document:
    """An image manifest; arguments by name add to it or replace."""
    document = {"schemaVersion": 2, "mediaType": OCI_MANIFEST, "config": config}
    return {**document, "layers": list(layers), **more}


def index(*children: Document, **more: Any) -> Document:
    """An image index; arguments by name add to it or replace."""
    return {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": list(children), **more}


def encode(document: Document) -> bytes:
    """
    The document as bytes that nobody's encoder would write again: a registry that stores anything
    but the bytes themselves cannot give them back.
    """
    text = json.dumps(document, indent=3, ensure_ascii=False, separators=(" ,", " :\t"))
    return f"\n {text}\r\n\t".encode()
