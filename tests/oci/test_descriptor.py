"""
Tests for L{ociregd.oci.descriptor}.
"""

from __future__ import annotations

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociregd.errors import ManifestInvalid
from ociregd.oci.descriptor import LONGEST_DIGEST, LONGEST_MEDIA_TYPE, Descriptor
from ociregd.oci.digest import digest_of
from tests.oci.samples import JSON, descriptor

WHOLE = descriptor(
    b"content",
    "application/vnd.example",
    urls=["https://example.org/content"],
    annotations={"b": "2", "a": "1"},
    data="Y29udGVudA==",
    artifactType="application/vnd.example.artifact",
    platform={"os": "linux", "architecture": "arm64"},
    unknown={"Size": 1},
)


def refusal_of(value: JSON) -> str:
    """Return why a descriptor is refused."""
    with pytest.raises(ManifestInvalid) as refusal:
        Descriptor.parse(value, "layers[2]")
    return str(refusal.value)


def test_a_descriptor_is_read_whole() -> None:
    """All that a registry wants to know of a descriptor is read."""
    assert Descriptor.parse(WHOLE, "config") == Descriptor(
        media_type="application/vnd.example",
        digest=str(digest_of(b"content")),
        size=7,
        artifact_type="application/vnd.example.artifact",
        annotations={"a": "1", "b": "2"},
    )


def test_a_descriptor_is_written_in_the_usual_order() -> None:
    """Type, digest, size, artifact type and annotations are written, in that order."""
    properties = Descriptor.parse(WHOLE, "config").to_json()
    assert list(properties) == ["mediaType", "digest", "size", "artifactType", "annotations"]
    assert properties == {key: WHOLE[key] for key in properties}


def test_what_is_absent_is_not_written() -> None:
    """A descriptor without artifact type and annotations is written without them."""
    assert Descriptor("a/b", "sha256:0", 1, None, {}).to_json() == {
        "mediaType": "a/b",
        "digest": "sha256:0",
        "size": 1,
    }


@given(
    st.binary(max_size=20),
    st.none() | st.sampled_from(["a/b", "application/vnd.example"]),
    st.dictionaries(st.text(st.characters(codec="utf-8")), st.text(), max_size=3),
)
def test_a_written_descriptor_reads_as_it_was(
    content: bytes, artifact_type: str | None, annotations: dict[str, str]
) -> None:
    """Reading what was written gives an equal descriptor."""
    annotations = {key: text for key, text in annotations.items() if "\0" not in key + text}
    original = Descriptor(
        "a/b", str(digest_of(content)), len(content), artifact_type, annotations or None
    )
    text = json.dumps(original.to_json())
    assert Descriptor.parse(json.loads(text), "subject") == original


@pytest.mark.parametrize("key", ["urls", "annotations", "data", "artifactType", "platform"])
def test_null_is_absent(key: str) -> None:
    """An optional property that is null counts as one that is not there."""
    assert Descriptor.parse(descriptor(b"") | {key: None}, "config") == Descriptor.parse(
        descriptor(b""), "config"
    )


def test_an_empty_artifact_type_is_absent() -> None:
    """An artifact type that is an empty text counts as one that is not set."""
    assert Descriptor.parse(descriptor(b"", artifactType=""), "config").artifact_type is None


@pytest.mark.parametrize(
    "digest",
    [
        "sha512:" + "0" * 128,
        "sha384:" + "0" * 96,
        "blake3:" + "0" * 64,
        "sha256+b64u:LCa0a2j_xo_5m0U8HTBBNBNCLXBkg7-g-YpeiGJm564=",
        "multihash+base58:QmRZxt2b1FVZPNqd8hsiykDL3TdBDeTSPX9Kv46HmX4Gx8",
        "a.b_c-d:=",
    ],
)
def test_digests_of_other_algorithms_are_digests(digest: str) -> None:
    """A digest that the registry cannot compute, but that keeps to the grammar, stays as it is."""
    assert Descriptor.parse(descriptor(b"") | {"digest": digest}, "config").digest == digest


@pytest.mark.parametrize(
    "digest",
    [
        "",
        "sha256",
        "sha256:",
        ":" + "0" * 64,
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha512:" + "0" * 64,
        "SHA256:" + "0" * 64,
        "sha256:" + "0" * 64 + "\n",
        "sha256:../../../../etc/passwd",
        "sha384:../../../../etc/passwd",
        "sha384:" + "0" * LONGEST_DIGEST,
        "a..b:0",
        "+a:0",
        "sha384:\u0661",
        1,
        None,
        ["sha256:" + "0" * 64],
    ],
)
def test_a_bad_digest_is_refused(digest: JSON) -> None:
    """What is no digest is refused, and the refusal says where it stands."""
    assert refusal_of(descriptor(b"") | {"digest": digest}).startswith("layers[2].digest")


@pytest.mark.parametrize("size", [-1, 2**63, True, 5.0, "5", None, [], 10**30])
def test_a_bad_size_is_refused(size: JSON) -> None:
    """What is no number of bytes is refused, and the refusal says where it stands."""
    assert refusal_of(descriptor(b"") | {"size": size}).startswith("layers[2].size must be")


@pytest.mark.parametrize(
    "media_type",
    ["", None, 1, "a" * (LONGEST_MEDIA_TYPE + 1), "ä" * LONGEST_MEDIA_TYPE, "a/b\0", "a\nb"],
)
def test_a_bad_media_type_is_refused(media_type: JSON) -> None:
    """What cannot be a media type is refused, and the refusal says where it stands."""
    assert refusal_of(descriptor(b"", media_type)).startswith("layers[2].mediaType ")


@pytest.mark.parametrize("key", ["mediaType", "digest", "size"])
def test_what_is_missing_is_named(key: str) -> None:
    """A descriptor without type, digest or size is refused by that name."""
    value = descriptor(b"")
    del value[key]
    assert refusal_of(value) == f"layers[2].{key} is missing"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("urls", "https://example.org"),
        ("urls", [1]),
        ("annotations", {"a": 1}),
        ("annotations", ["a"]),
        ("artifactType", 1),
        ("artifactType", "a" * (LONGEST_MEDIA_TYPE + 1)),
        ("artifactType", "ä" * LONGEST_MEDIA_TYPE),
        ("platform", "linux"),
        ("data", 1),
        ("data", ""),
        ("data", "Y29udGVudA="),
        ("data", "Y29udGVudA"),
        ("data", "Y29udGVudA==\n"),
        ("data", "Y29u*dGVudA=="),
        ("data", "ä"),
        ("data", base64.b64encode(b"CONTENT").decode()),
        ("data", base64.b64encode(b"content and more").decode()),
    ],
)
def test_a_bad_property_is_refused(key: str, value: JSON) -> None:
    """Properties of the wrong kind, and data that is other content, are refused by their place."""
    assert refusal_of(descriptor(b"content") | {key: value}).startswith(f"layers[2].{key} ")


def test_data_of_an_unknown_algorithm_has_the_size_at_least() -> None:
    """Embedded content whose digest cannot be computed is compared with the size."""
    value = descriptor(b"") | {"digest": "blake3:" + "0" * 64, "data": "e30=", "size": 2}
    assert Descriptor.parse(value, "config").size == 2
    assert "size" in refusal_of(value | {"size": 3})


@pytest.mark.parametrize("key", ["Digest", "SIZE", "mediatype", "Data", "Url\u017f", "Platform"])
def test_a_folded_key_is_refused(key: str) -> None:
    """A key that some readers take for a known one is refused by its place."""
    assert "ambiguous" in refusal_of(descriptor(b"") | {key: None})


def test_annotations_may_differ_by_case() -> None:
    """The keys of annotations are free."""
    annotations = {"Size": "1", "size": "2", "Digest": "x"}
    value = descriptor(b"", annotations=annotations)
    assert Descriptor.parse(value, "config").annotations == annotations
