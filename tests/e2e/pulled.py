"""
What a client has pulled, read from the disk and hashed again: nobody's word is taken for it.

Some clients end content with half of the bytes, so exit status zero proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.e2e.images import REFERENCE_NAME, digest_of


def tagged_digest(layout: Path, name: str) -> str:
    """
    The digest that a name has in an OCI layout, after every blob below it was found and hashed.
    """
    index = json.loads((layout / "index.json").read_bytes())
    (entry,) = [
        entry
        for entry in index["manifests"]
        if entry.get("annotations", {}).get(REFERENCE_NAME) == name
    ]
    digest: str = entry["digest"]
    _check_layout(layout, digest)
    return digest


def _check_layout(layout: Path, digest: str) -> None:
    content = (layout / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
    assert digest_of(content) == digest
    manifest = json.loads(content)
    for child in manifest.get("manifests", []):
        _check_layout(layout, child["digest"])
    for blob in blobs_of(manifest):
        file = layout / "blobs" / "sha256" / blob["digest"].removeprefix("sha256:")
        assert digest_of(file.read_bytes()) == blob["digest"]


def directory_digest(directory: Path) -> str:
    """
    The digest of an image in skopeo's C{dir:} form, after all that belongs to it was hashed.
    """
    content = (directory / "manifest.json").read_bytes()
    manifest = json.loads(content)
    for child in manifest.get("manifests", []):
        encoded = child["digest"].removeprefix("sha256:")
        inner = (directory / f"{encoded}.manifest.json").read_bytes()
        assert digest_of(inner) == child["digest"]
        _check_directory(directory, json.loads(inner))
    _check_directory(directory, manifest)
    return digest_of(content)


def _check_directory(directory: Path, manifest: dict[str, Any]) -> None:
    for blob in blobs_of(manifest):
        file = directory / blob["digest"].removeprefix("sha256:")
        assert digest_of(file.read_bytes()) == blob["digest"]


def blobs_of(manifest: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The descriptors of the config and the layers of an image; an index has none."""
    if "config" in manifest:
        yield manifest["config"]
    yield from manifest.get("layers", [])
