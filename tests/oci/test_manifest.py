"""
Tests for L{ociregd.oci.manifest}.
"""

from __future__ import annotations

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ociregd.errors import ManifestInvalid
from ociregd.oci.descriptor import Descriptor
from ociregd.oci.manifest import MOST_DESCRIPTORS, Manifest
from ociregd.oci.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    NON_DISTRIBUTABLE,
    OCI_INDEX,
    OCI_MANIFEST,
)
from tests.oci.samples import (
    CHILDREN,
    CONFIG,
    JSON,
    LAYERS,
    SUBJECT,
    artifact,
    descriptor,
    docker_image,
    docker_list,
    image,
    index,
    written,
)

from ..mediatypes import OCI_EMPTY, OCI_LAYER_GZIP

SAMPLES = [image(), index(), artifact(), docker_image(), docker_list()]
NAMES = ["image", "index", "artifact", "docker_image", "docker_list"]


def parsed(document: JSON, content_type: str | None = None) -> Manifest:
    """Write a document, and read it as a manifest."""
    return Manifest.parse(written(document), content_type)


def refusal_of(document: JSON, content_type: str | None = None) -> str:
    """Return why a document is refused."""
    with pytest.raises(ManifestInvalid) as refusal:
        parsed(document, content_type)
    return str(refusal.value)


def without(document: JSON, key: str) -> JSON:
    """Leave a property out."""
    return {name: value for name, value in document.items() if name != key}


def digests(descriptors: tuple[Descriptor, ...]) -> list[str]:
    """Return the digests of some descriptors."""
    return [one.digest for one in descriptors]


@pytest.mark.parametrize("document", SAMPLES, ids=NAMES)
def test_a_manifest_is_its_bytes(document: JSON) -> None:
    """The bytes of a manifest are kept, whatever its white space."""
    body = b" \n" + written(document).replace(b": ", b" :\t") + b"\r\n"
    manifest = Manifest.parse(body, document["mediaType"])
    assert manifest.body is body
    assert manifest.media_type == document["mediaType"]


def test_an_image_manifest_is_read() -> None:
    """Config and layers of an image manifest are read, and it has nothing else."""
    manifest = parsed(image())
    assert manifest.config == Descriptor.parse(CONFIG, "config")
    assert digests(manifest.layers) == [layer["digest"] for layer in LAYERS]
    assert (manifest.children, manifest.subject, manifest.annotations) == ((), None, {})
    assert manifest.artifact_type == CONFIG["mediaType"]


def test_an_index_is_read() -> None:
    """The children of an index are read, and it has nothing else."""
    manifest = parsed(index())
    assert digests(manifest.children) == [child["digest"] for child in CHILDREN]
    assert (manifest.config, manifest.layers, manifest.subject) == (None, (), None)
    assert manifest.artifact_type is None
    assert manifest.required_blobs() == ()


def test_a_referrer_is_read() -> None:
    """Subject, artifact type and annotations are read, of image manifests and of indexes."""
    others = {"subject": SUBJECT, "artifactType": "a/b", "annotations": {"key": "text"}}
    for manifest in (parsed(artifact(**others)), parsed(index(**others))):
        assert manifest.subject == Descriptor.parse(SUBJECT, "subject")
        assert manifest.artifact_type == "a/b"
        assert manifest.annotations == {"key": "text"}


@pytest.mark.parametrize("value", [None, ""])
def test_an_artifact_type_that_is_not_set_is_that_of_the_config(value: JSON) -> None:
    """An image manifest without an artifact type has that of its config; an index has none."""
    assert parsed(artifact(artifactType=value)).artifact_type == OCI_EMPTY
    assert parsed(index(artifactType=value)).artifact_type is None


@pytest.mark.parametrize("document", [docker_image(), docker_list()])
def test_docker_knows_no_subjects(document: JSON) -> None:
    """In a manifest of Docker, what only OCI knows is passed over, whatever it is."""
    plain = parsed(document)
    manifest = parsed(document | {"subject": 1, "annotations": [], "artifactType": 5})
    assert (manifest.subject, manifest.annotations) == (None, {})
    assert manifest.artifact_type == plain.artifact_type


@pytest.mark.parametrize(
    ("document", "content_type", "media_type"),
    [
        (image(), None, OCI_MANIFEST),
        (image(), "", OCI_MANIFEST),
        (image(), OCI_MANIFEST, OCI_MANIFEST),
        (image(), OCI_MANIFEST + "; charset=utf-8", OCI_MANIFEST),
        (image(), OCI_MANIFEST.upper(), OCI_MANIFEST),
        (without(image(), "mediaType"), OCI_MANIFEST, OCI_MANIFEST),
        (without(image(), "mediaType"), DOCKER_MANIFEST, DOCKER_MANIFEST),
        (without(image(), "mediaType"), None, OCI_MANIFEST),
        (image(mediaType=None), None, OCI_MANIFEST),
        (image(mediaType=""), None, OCI_MANIFEST),
        (without(index(), "mediaType"), DOCKER_LIST, DOCKER_LIST),
        (without(index(), "mediaType"), None, OCI_INDEX),
        (docker_image(), None, DOCKER_MANIFEST),
        (docker_list(), DOCKER_LIST, DOCKER_LIST),
    ],
)
def test_the_type_comes_from_header_body_or_form(
    document: JSON, content_type: str | None, media_type: str
) -> None:
    """The header says what a manifest is, without one the manifest, without that its form."""
    assert parsed(document, content_type).media_type == media_type


V1 = "application/vnd.docker.distribution.manifest.v1"


@pytest.mark.parametrize(
    ("document", "content_type"),
    [
        (image(), OCI_INDEX),
        (image(), DOCKER_MANIFEST),
        (index(), OCI_MANIFEST),
        (image(), "application/json"),
        (image(mediaType="application/json"), None),
        (image(mediaType=OCI_MANIFEST.upper()), OCI_MANIFEST),
        (image(mediaType=OCI_MANIFEST + "; charset=utf-8"), OCI_MANIFEST),
        (image(mediaType=1), OCI_MANIFEST),
        (image(), "nonsense"),
        (without(image(), "mediaType"), OCI_INDEX),
        (without(index(), "mediaType"), OCI_MANIFEST),
        (image(mediaType="application/vnd.oci.artifact.manifest.v1+json"), None),
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, V1 + "+prettyjws"),
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, V1 + "+json"),
        ({"schemaVersion": 1, "fsLayers": [], "history": []}, None),
        ({}, None),
        ({}, OCI_MANIFEST),
        ([], OCI_MANIFEST),
    ],
)
def test_what_is_of_no_known_type_is_refused(document: JSON, content_type: str | None) -> None:
    """Manifests of other types, and those whose header says something else, are refused."""
    refusal_of(document, content_type)


@pytest.mark.parametrize("key", ["manifests", "fsLayers", "blobs"])
@pytest.mark.parametrize("value", [None, [], CHILDREN])
@pytest.mark.parametrize("sample", [image(), docker_image()])
def test_an_image_manifest_looks_like_nothing_else(sample: JSON, value: JSON, key: str) -> None:
    """An image manifest that has what makes an index, or a dead format, is refused."""
    assert key in refusal_of(sample | {key: value})


@pytest.mark.parametrize("key", ["config", "layers", "fsLayers", "blobs"])
@pytest.mark.parametrize("value", [None, [], CONFIG])
@pytest.mark.parametrize("sample", [index(), docker_list(), without(index(), "mediaType")])
def test_an_index_looks_like_nothing_else(sample: JSON, value: JSON, key: str) -> None:
    """An index that has what makes an image manifest, or a dead format, is refused."""
    assert key in refusal_of(sample | {key: value})


@pytest.mark.parametrize("value", [None, 1, 3, "2", 2.0, True, [2], -2])
@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_the_schema_version_is_two(sample: JSON, value: JSON) -> None:
    """A manifest of any other version, or of none, is refused."""
    assert refusal_of(sample | {"schemaVersion": value}) == "schemaVersion must be 2"
    assert refusal_of(without(sample, "schemaVersion")) == "schemaVersion is missing"


@pytest.mark.parametrize(
    ("document", "place"),
    [
        (without(image(), "config"), "config is missing"),
        (image(config=None), "config must"),
        (image(config=[]), "config must"),
        (image(config=CONFIG | {"size": True}), "config.size "),
        (without(image(), "layers"), "layers is missing"),
        (image(layers=None), "layers must"),
        (image(layers={}), "layers must"),
        (image(layers=[LAYERS[0], None]), "layers[1] must"),
        (image(layers=[*LAYERS, without(CONFIG, "size")]), "layers[2].size is missing"),
        (image(subject=[]), "subject must"),
        (image(subject=SUBJECT | {"digest": "latest"}), "subject.digest"),
        (image(artifactType=1), "artifactType must"),
        (image(artifactType="a" * 1025), "artifactType has"),
        (image(annotations=[]), "annotations must"),
        (image(annotations={"a": None}), "annotations must"),
        (without(index(), "manifests"), "manifests is missing"),
        (index(manifests=None), "manifests must"),
        (index(manifests={}), "manifests must"),
        (index(manifests=[CHILDREN[0], "x"]), "manifests[1] must"),
        (index(manifests=[CHILDREN[0] | {"platform": []}]), "manifests[0].platform "),
        (docker_list(manifests=[[]]), "manifests[0] must"),
    ],
)
def test_a_refusal_names_the_place(document: JSON, place: str) -> None:
    """What is missing, or of the wrong kind, is refused by its place."""
    assert refusal_of(document).startswith(place)


@pytest.mark.parametrize(
    "key", ["Layers", "LAYERS", "layer\u017f", "Config", "Manifests", "Subject", "MediaType"]
)
@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_a_folded_key_is_refused(sample: JSON, key: str) -> None:
    """A key that some readers take for a known one is refused, beside that one or alone."""
    assert "ambiguous" in refusal_of(sample | {key: []})
    assert "ambiguous" in refusal_of({key: []})


def test_a_duplicate_key_is_refused() -> None:
    """A manifest with two values for one key is refused."""
    body = written(image()).replace(b'"layers"', b'"layers": [], "layers"')
    with pytest.raises(ManifestInvalid, match="twice"):
        Manifest.parse(body, OCI_MANIFEST)


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_unknown_properties_are_no_fault(sample: JSON) -> None:
    """A manifest may have properties that nobody knows."""
    unknown = {"org.example": {"Layers": 1, "x": [1.5, None, {"size": -1}]}, "history": []}
    assert digests(parsed(sample | unknown).layers) == digests(parsed(sample).layers)


def test_a_list_may_be_empty() -> None:
    """An image manifest without layers and an index without children are fine."""
    assert parsed(image(layers=[])).layers == ()
    assert parsed(index(manifests=[])).children == ()


def test_an_index_may_list_blobs() -> None:
    """An index of layers, as build caches write them, is fine."""
    manifest = parsed(index(manifests=[*LAYERS, CONFIG]))
    assert len(manifest.children) == 3
    assert manifest.required_blobs() == ()


@pytest.mark.parametrize("key", ["layers", "manifests"])
def test_there_is_an_end_to_descriptors(key: str) -> None:
    """A manifest with as many descriptors as are allowed is read, and one with more is refused."""
    make = image if key == "layers" else index
    assert parsed(make(**{key: LAYERS[:1] * MOST_DESCRIPTORS}))
    assert refusal_of(make(**{key: LAYERS[:1] * (MOST_DESCRIPTORS + 1)})).startswith(key)


def test_required_blobs_come_once_and_in_order() -> None:
    """Config and layers are required, the config first, and none twice."""
    manifest = parsed(image(layers=[LAYERS[1], LAYERS[0], LAYERS[1], CONFIG]))
    assert digests(manifest.required_blobs()) == [
        CONFIG["digest"],
        LAYERS[1]["digest"],
        LAYERS[0]["digest"],
    ]


@pytest.mark.parametrize("media_type", sorted(NON_DISTRIBUTABLE))
def test_layers_from_elsewhere_are_not_required(media_type: str) -> None:
    """A layer that is not for distribution is neither required nor referred to."""
    elsewhere = descriptor(b"elsewhere", media_type, urls=["https://example.org"])
    manifest = parsed(image(layers=[elsewhere, LAYERS[0]]))
    assert len(manifest.layers) == 2
    assert digests(manifest.required_blobs()) == [CONFIG["digest"], LAYERS[0]["digest"]]
    assert ("layer", elsewhere["digest"]) not in manifest.references()


def test_a_layer_from_here_and_elsewhere_is_required() -> None:
    """Content that is a layer of either kind in one manifest has to be here."""
    elsewhere = descriptor(b"the first layer", sorted(NON_DISTRIBUTABLE)[0])
    manifest = parsed(image(layers=[elsewhere, LAYERS[0]]))
    assert LAYERS[0]["digest"] in digests(manifest.required_blobs())


def test_references_are_sorted_and_come_once() -> None:
    """Each pair of a kind and a digest is there once; the subject is not among them."""
    manifest = parsed(image(layers=[*LAYERS, CONFIG, LAYERS[0]], subject=SUBJECT))
    assert manifest.references() == tuple(
        sorted(
            {
                ("config", CONFIG["digest"]),
                ("layer", CONFIG["digest"]),
                ("layer", LAYERS[0]["digest"]),
                ("layer", LAYERS[1]["digest"]),
            }
        )
    )
    assert parsed(index(manifests=CHILDREN * 2)).references() == tuple(
        sorted(("child", child["digest"]) for child in CHILDREN)
    )


@pytest.mark.parametrize(
    "document",
    [
        image(layers=[LAYERS[0], LAYERS[0] | {"size": 1}]),
        image(layers=[CONFIG | {"size": 1, "mediaType": OCI_LAYER_GZIP}]),
        image(layers=[], subject=CONFIG | {"size": 1}),
        index(manifests=[*CHILDREN, CHILDREN[0] | {"size": 1}]),
    ],
)
def test_a_digest_has_one_size(document: JSON) -> None:
    """A manifest that gives two sizes to one digest is refused."""
    assert refusal_of(document).endswith("comes with two sizes")


def test_digests_that_cannot_be_computed_are_required_too() -> None:
    """A layer of an unknown algorithm is read, and asked for as text."""
    strange = LAYERS[0] | {"digest": "blake3:" + "0" * 64}
    assert strange["digest"] in digests(parsed(image(layers=[strange])).required_blobs())


def places(value: JSON) -> list[tuple[JSON, JSON]]:
    """Return every place in a document, as what holds it and its key there."""
    found: list[tuple[JSON, JSON]] = []
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in inner:
        found.append((value, key))
        if isinstance(one, dict | list):
            found.extend(places(one))
    return found


odd_values: st.SearchStrategy[JSON] = (
    st.sampled_from(
        [None, True, 0, -1, 2, 2**63, 10**40, 1.5, "", "\0", "\ud800", [], {}, [[]], [{}], {"a": 1}]
    )
    | st.text(max_size=5)
    | st.sampled_from([CONFIG, SUBJECT, OCI_MANIFEST, OCI_INDEX, OCI_EMPTY, "sha256:", "a" * 2000])
)


@st.composite
def mutants(draw: st.DrawFn) -> bytes:
    """Manifests in which a few places hold something else, or nothing, or have another name."""
    document = copy.deepcopy(draw(st.sampled_from(SAMPLES)))
    for _ in range(draw(st.integers(1, 3))):
        holder, key = draw(st.sampled_from(places(document)))
        change = draw(st.sampled_from(["replace", "remove", "rename"]))
        if change == "replace":
            holder[key] = copy.deepcopy(draw(odd_values))
        elif change == "remove" or isinstance(holder, list):
            del holder[key]
        else:
            holder[draw(st.sampled_from([key.upper(), key + "\u017f", "layers"]))] = holder.pop(key)
        if not document:
            break
    return written(document)


@st.composite
def damaged_bodies(draw: st.DrawFn) -> bytes:
    """Manifests in which a few bytes are others."""
    body = written(draw(st.sampled_from(SAMPLES)))
    start = draw(st.integers(0, len(body)))
    piece = draw(
        st.binary(max_size=3) | st.sampled_from([b'"', b"\\u0000", b"\\udead", b"[", b"{"])
    )
    return body[:start] + piece + body[start + draw(st.integers(0, 3)) :]


content_types = st.sampled_from([None, OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST])


def reason(body: bytes, content_type: str | None) -> str:
    """Say why a body is refused, or check what is read of it and say nothing."""
    try:
        manifest = Manifest.parse(body, content_type)
    except ManifestInvalid as refusal:
        return str(refusal)
    assert manifest.body == body
    assert set(digests(manifest.required_blobs())) == {
        digest for kind, digest in manifest.references() if kind != "child"
    }
    str(manifest.subject).encode()
    return ""


@settings(max_examples=300, deadline=None)
@given(mutants() | damaged_bodies(), content_types)
def test_a_mutant_is_refused_or_kept(body: bytes, content_type: str | None) -> None:
    """Whatever is done to a manifest, it is refused as one, or read and its bytes are kept."""
    text = reason(body, content_type)
    assert len(text) < 1000
    text.encode()


@pytest.mark.parametrize("sample", SAMPLES, ids=NAMES)
def test_the_samples_are_manifests(sample: JSON) -> None:
    """What mutants are made of is read: it takes damage to have it refused."""
    assert reason(written(sample), None) == ""
