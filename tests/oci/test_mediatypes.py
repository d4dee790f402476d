"""
Tests for L{ociregd.oci.mediatypes}.
"""

from __future__ import annotations

import pytest

from ociregd.errors import ManifestInvalid
from ociregd.oci.mediatypes import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX_TYPES,
    MANIFEST_TYPES,
    NON_DISTRIBUTABLE,
    OCI_INDEX,
    OCI_MANIFEST,
    OCI_TYPES,
    parse_media_type,
)


@pytest.mark.parametrize(
    ("text", "media_type"),
    [
        (OCI_MANIFEST, OCI_MANIFEST),
        (f"{OCI_MANIFEST}; charset=utf-8", OCI_MANIFEST),
        (f"{OCI_INDEX};", OCI_INDEX),
        (f" \t{DOCKER_LIST} \t;a=b;c=d", DOCKER_LIST),
        (DOCKER_MANIFEST.upper(), DOCKER_MANIFEST),
        ("application/JSON", "application/JSON"),
        ("a/b", "a/b"),
    ],
)
def test_parameters_are_left_out(text: str, media_type: str) -> None:
    """A header gives the media type alone, spelt as the specification does if that knows it."""
    assert parse_media_type(text) == media_type


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "; charset=utf-8",
        "json",
        "a/",
        "/b",
        "a/b/c",
        "a b/c",
        "a/b\n",
        "a/b\0",
        "ä/b",
        "*/*",
    ],
)
def test_what_is_not_a_media_type_is_refused(text: str) -> None:
    """A header that is not a media type is refused."""
    with pytest.raises(ManifestInvalid):
        parse_media_type(text)


@pytest.mark.parametrize("length", [10, 100_000])
def test_a_long_media_type_is_refused_briefly(length: int) -> None:
    """The refusal of a header does not grow with it."""
    with pytest.raises(ManifestInvalid) as refusal:
        parse_media_type("a" * length)
    assert len(str(refusal.value)) < 400


def test_a_type_is_of_one_kind() -> None:
    """No type is both an image manifest and an index, and each kind has one of OCI."""
    assert not MANIFEST_TYPES & INDEX_TYPES
    assert OCI_MANIFEST in MANIFEST_TYPES & OCI_TYPES
    assert OCI_INDEX in INDEX_TYPES & OCI_TYPES
    assert not NON_DISTRIBUTABLE & (MANIFEST_TYPES | INDEX_TYPES)
