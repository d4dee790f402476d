"""
Manifests: image manifests and image indexes, of OCI and of Docker.

A manifest is its bytes, and stays as it came; what is read out of them is what a registry has to
know. It is read once, strictly, before it is stored. Whether the content that it names is there is
not asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from attrs import field, frozen

from ociregd.errors import ManifestInvalid
from ociregd.oci.descriptor import LONGEST_MEDIA_TYPE, Descriptor
from ociregd.oci.mediatypes import (
    INDEX_TYPES,
    MANIFEST_TYPES,
    NON_DISTRIBUTABLE,
    OCI_INDEX,
    OCI_MANIFEST,
    OCI_TYPES,
    parse_media_type,
)
from ociregd.oci.quoting import quoted
from ociregd.oci.strictjson import Properties, fold, parse_json

# Each one is a row to write and a blob to look for, in one transaction. Images have 127 layers at
# most (the limit of overlay file systems), and large indexes of caches and of referrers a few
# thousand entries; 4 MiB hold some 35,000 of the smallest descriptors.
MOST_DESCRIPTORS = 10_000

_KEYS = fold(
    "schemaVersion",
    "mediaType",
    "artifactType",
    "config",
    "layers",
    "manifests",
    "subject",
    "annotations",
    # Those of dead formats, which old clients look for.
    "fsLayers",
    "blobs",
)


@frozen
class Manifest:
    """
    A manifest that keeps to the image specification.

    @ivar body: exactly the bytes that were parsed.
    @ivar config: that of an image manifest; C{None} for an index.
    @ivar layers: those of an image manifest, in order.
    @ivar children: the manifests (or blobs) that an index lists, in order.
    @ivar subject: the manifest that this one refers to, if any.
    @ivar artifact_type: the type that a list of referrers shows: C{artifactType} if it is set, else
        that of the config of an image manifest, and C{None} for an index.
    """

    media_type: str
    body: bytes
    config: Descriptor | None
    layers: tuple[Descriptor, ...]
    children: tuple[Descriptor, ...]
    subject: Descriptor | None
    artifact_type: str | None
    annotations: Mapping[str, str] = field(hash=False)

    @classmethod
    def parse(cls, body: bytes, content_type: str | None) -> Manifest:
        """
        Read a manifest.

        @param content_type: the C{Content-Type} that it came with; without one, the manifest's own
            C{mediaType} decides what it is, and without that, its form.
        @raise ManifestInvalid: if it breaks the image specification, if it might mean something
            else to another reader, or if it is of a type that this registry does not know.
        """
        properties = Properties.of(parse_json(body), "", _KEYS)
        media_type = _media_type(properties, content_type)
        _check_version(properties)
        config: Descriptor | None = None
        layers: tuple[Descriptor, ...] = ()
        children: tuple[Descriptor, ...] = ()
        if media_type in INDEX_TYPES:
            _refuse_others(properties, media_type, ("config", "layers", "fsLayers", "blobs"))
            children = _descriptors(properties, "manifests")
        else:
            _refuse_others(properties, media_type, ("manifests", "fsLayers", "blobs"))
            config = Descriptor.parse(properties.required("config"), "config")
            layers = _descriptors(properties, "layers")
        subject: Descriptor | None = None
        artifact_type: str | None = None
        annotations: Mapping[str, str] = {}
        if media_type in OCI_TYPES:
            subject = _subject(properties)
            artifact_type = properties.optional_text("artifactType", LONGEST_MEDIA_TYPE)
            annotations = properties.texts("annotations")
        # That an empty config wants an artifactType is a rule for those who write manifests.
        if artifact_type is None and config is not None:
            artifact_type = config.media_type
        manifest = cls(
            media_type, body, config, layers, children, subject, artifact_type, annotations
        )
        _check_sizes(manifest._descriptors())
        return manifest

    def required_blobs(self) -> tuple[Descriptor, ...]:
        """
        Return what the repository has to hold before it takes this manifest: the config and the
        layers, each digest once, in order. Layers that are not for distribution are not among them.
        """
        blobs: dict[str, Descriptor] = {}
        for _, descriptor in self._blobs():
            blobs.setdefault(descriptor.digest, descriptor)
        return tuple(blobs.values())

    def references(self) -> tuple[tuple[str, str], ...]:
        """
        Return what this manifest keeps alive, as pairs of C{child}, C{config} or C{layer} and a
        digest: sorted, and each pair once.
        """
        pairs = {(kind, descriptor.digest) for kind, descriptor in self._blobs()}
        pairs.update(("child", child.digest) for child in self.children)
        return tuple(sorted(pairs))

    def _blobs(self) -> Iterable[tuple[str, Descriptor]]:
        if self.config is not None:
            yield "config", self.config
        for layer in self.layers:
            if layer.media_type not in NON_DISTRIBUTABLE:
                yield "layer", layer

    def _descriptors(self) -> Iterable[Descriptor]:
        yield from (one for one in (self.config, self.subject) if one is not None)
        yield from self.layers
        yield from self.children


def _media_type(properties: Properties, content_type: str | None) -> str:
    """
    Find out what kind of manifest it is.
    """
    declared = properties.optional_text("mediaType", LONGEST_MEDIA_TYPE)
    if content_type is not None and content_type.strip():
        media_type = parse_media_type(content_type)
        if declared is not None and declared != media_type:
            raise ManifestInvalid(
                f"Content-Type is {quoted(media_type)}, and mediaType is {quoted(declared)}: "
                "send the same"
            )
    elif declared is not None:
        media_type = declared
    else:
        media_type = OCI_INDEX if "manifests" in properties else OCI_MANIFEST
    if media_type not in MANIFEST_TYPES | INDEX_TYPES:
        raise ManifestInvalid(
            f"{quoted(media_type)} is not a supported manifest type: "
            f"use {' or '.join(sorted(MANIFEST_TYPES | INDEX_TYPES))}"
        )
    return media_type


def _check_version(properties: Properties) -> None:
    version = properties.required("schemaVersion")
    if type(version) is not int or version != 2:
        raise ManifestInvalid("schemaVersion must be 2")


def _refuse_others(properties: Properties, media_type: str, keys: tuple[str, ...]) -> None:
    """
    Refuse what makes a manifest look like one of another kind: readers that go by its form rather
    than by its type would see another image in it.
    """
    for key in keys:
        if key in properties:
            raise ManifestInvalid(f"{key} has no place in {media_type}")


def _descriptors(properties: Properties, key: str) -> tuple[Descriptor, ...]:
    values = properties.array(key)
    if len(values) > MOST_DESCRIPTORS:
        raise ManifestInvalid(f"{key} has more than {MOST_DESCRIPTORS} entries")
    return tuple(
        Descriptor.parse(value, f"{key}[{position}]") for position, value in enumerate(values)
    )


def _subject(properties: Properties) -> Descriptor | None:
    value = properties.value("subject")
    return None if value is None else Descriptor.parse(value, "subject")


def _check_sizes(descriptors: Iterable[Descriptor]) -> None:
    """
    Refuse a digest that comes with two sizes: content has one.
    """
    sizes: dict[str, int] = {}
    for descriptor in descriptors:
        if sizes.setdefault(descriptor.digest, descriptor.size) != descriptor.size:
            raise ManifestInvalid(f"{descriptor.digest} comes with two sizes")
