"""
The media types that mean something to a registry.

Those of configs, layers and artifacts are the business of clients, and any will do; what a manifest
says it is decides how it is read.
"""

from __future__ import annotations

import re

from ociregd.errors import ManifestInvalid
from ociregd.oci.quoting import quoted

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"

DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"

# A config and layers.
MANIFEST_TYPES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})

# Other manifests.
INDEX_TYPES = frozenset({OCI_INDEX, DOCKER_LIST})

# These know of subjects, artifact types and annotations; the formats of Docker do not.
OCI_TYPES = frozenset({OCI_MANIFEST, OCI_INDEX})

# Layers that clients fetch from elsewhere, by the URLs in their descriptors, and do not push.
NON_DISTRIBUTABLE = frozenset(
    {
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
    }
)

_BY_FOLDED = {known.lower(): known for known in MANIFEST_TYPES | INDEX_TYPES}

# The names of RFC 6838, section 4.2: type "/" subtype, 127 characters each at most.
_NAME = r"[A-Za-z0-9][A-Za-z0-9!#$&^_.+-]{0,126}"
_GRAMMAR = re.compile(rf"{_NAME}/{_NAME}")


def parse_media_type(text: str) -> str:
    """
    Read the value of a C{Content-Type} header, without its parameters.

    Case does not matter in a header, and what is read is compared with the C{mediaType} of a
    manifest, where it does: so the types of manifests get the spelling of the specification, and
    others keep the one that they came with.

    @raise ManifestInvalid: if it is not a media type.
    """
    media_type = text.partition(";")[0].strip(" \t")
    if _GRAMMAR.fullmatch(media_type) is None:
        raise ManifestInvalid(f"Content-Type: {quoted(text)} is not a media type")
    return _BY_FOLDED.get(media_type.lower(), media_type)
