"""
Descriptors: what a manifest says about each of the things that it is made of.
"""

from __future__ import annotations

import binascii
import re
from collections.abc import Mapping

from attrs import field, frozen

from ociregd.errors import DigestInvalid, ManifestInvalid
from ociregd.oci.digest import ALGORITHMS, Digest, digest_of
from ociregd.oci.quoting import quoted
from ociregd.oci.strictjson import Properties, fold

# Media types have 255 bytes at most (RFC 6838); some programs add parameters to theirs.
LONGEST_MEDIA_TYPE = 1024

# Room for more than the longest digest that is registered anywhere (sha512: 135 characters).
LONGEST_DIGEST = 255

_KEYS = fold(
    "mediaType", "digest", "size", "urls", "annotations", "data", "artifactType", "platform"
)

# The generic grammar of the image specification.
_DIGEST = re.compile(r"[a-z0-9]+(?:[+._-][a-z0-9]+)*:[a-zA-Z0-9=_-]+")


@frozen
class Descriptor:
    """
    The type, address and size of some content.

    @ivar digest: as text. A manifest may name content by an algorithm that this registry cannot
        compute (an index may even name what is not there at all); those of the algorithms that it
        can are always well-formed.
    """

    media_type: str
    digest: str
    size: int
    artifact_type: str | None = None
    annotations: Mapping[str, str] | None = field(default=None, hash=False)

    @classmethod
    def parse(cls, value: object, where: str) -> Descriptor:
        """
        Read a descriptor.

        @param where: where it stands in the manifest, such as C{layers[2]}.
        @raise ManifestInvalid: if it breaks the image specification; the text names the place.
        """
        properties = Properties.of(value, where, _KEYS)
        descriptor = cls(
            media_type=properties.text("mediaType", LONGEST_MEDIA_TYPE),
            digest=_digest(properties),
            size=properties.count("size"),
            artifact_type=properties.optional_text("artifactType", LONGEST_MEDIA_TYPE),
            annotations=properties.texts("annotations") or None,
        )
        _check_data(properties, descriptor)
        _check_unread(properties)
        return descriptor

    def to_json(self) -> dict[str, object]:
        """
        Return it as it stands in a manifest, without the properties that it has not.
        """
        properties: dict[str, object] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": self.size,
        }
        if self.artifact_type is not None:
            properties["artifactType"] = self.artifact_type
        if self.annotations:
            properties["annotations"] = dict(self.annotations)
        return properties


def _digest(properties: Properties) -> str:
    """
    Read a digest, strictly if its algorithm is one that this registry knows.
    """
    text = properties.text("digest", LONGEST_DIGEST)
    if _DIGEST.fullmatch(text) is None:
        raise ManifestInvalid(f"{properties.place('digest')}: {quoted(text)} is not a digest")
    if _is_computable(text):
        try:
            Digest.parse(text)
        except DigestInvalid as problem:
            raise ManifestInvalid(f"{properties.place('digest')}: {problem}") from None
    return text


def _is_computable(digest: str) -> bool:
    return digest.partition(":")[0] in ALGORITHMS


def _check_data(properties: Properties, descriptor: Descriptor) -> None:
    """
    See that content which is embedded is the content that is described.

    Clients may take it instead of asking for the blob.
    """
    encoded = properties.value("data")
    if encoded is None:
        return
    place = properties.place("data")
    if not isinstance(encoded, str):
        raise ManifestInvalid(f"{place} must be a text")
    try:
        content = binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        raise ManifestInvalid(f"{place} is not base64") from None
    if len(content) != descriptor.size:
        raise ManifestInvalid(
            f"{place} has {len(content)} bytes, and {properties.place('size')} says otherwise"
        )
    if _is_computable(descriptor.digest):
        expected = Digest.parse(descriptor.digest)
        if digest_of(content, expected.algorithm) != expected:
            raise ManifestInvalid(f"{place} is not the content of {descriptor.digest}")


def _check_unread(properties: Properties) -> None:
    """
    Check the form of what is stored for clients only; with another one they could not read it.
    """
    urls = properties.value("urls")
    if urls is not None and not (
        isinstance(urls, list) and all(isinstance(url, str) for url in urls)
    ):
        raise ManifestInvalid(f"{properties.place('urls')} must be an array of texts")
    platform = properties.value("platform")
    if platform is not None and not isinstance(platform, dict):
        raise ManifestInvalid(f"{properties.place('platform')} must be an object")
