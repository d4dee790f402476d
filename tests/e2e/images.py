"""
Images to push: OCI layouts of our own making, the same bytes from the same seed on every machine.

The content is random, so that no compression makes a large layer small, and it depends on the
seed, so that no client can take a shortcut over something it has pushed before.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from tests.e2e.programs import program

Descriptor = dict[str, Any]

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"
SUFFIXES = {"plain": "", "gzip": "+gzip", "zstd": "+zstd"}
REFERENCE_NAME = "org.opencontainers.image.ref.name"
MEGABYTE = 1_000_000
APPLETS = ("sh", "ls", "cat", "sha256sum", "touch")


def digest_of(content: bytes) -> str:
    """The sha256 digest of some bytes, as a registry writes it."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def as_json(value: object) -> bytes:
    """JSON of which every byte is determined by the value."""
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def noise(seed: str, size: int) -> bytes:
    """C{size} bytes that do not compress, determined by the seed."""
    return random.Random(seed).randbytes(size)


def tar_of(files: Mapping[str, bytes], links: Mapping[str, str] | None = None) -> bytes:
    """
    A tar archive of executable files and symbolic links, without a trace of when and by whom it
    was made.
    """
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        # Podman puts parts of layers together by their directories, and misses the ones left out.
        for directory in sorted({name.rpartition("/")[0] for name in files} - {""}):
            member = tarfile.TarInfo(directory)
            member.type = tarfile.DIRTYPE
            member.mode = 0o755
            archive.addfile(member)
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            member.mode = 0o755
            archive.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type = tarfile.SYMTYPE
            member.linkname = target
            archive.addfile(member)
    return output.getvalue()


def compressed(content: bytes, form: str) -> bytes:
    """The bytes of a layer in one of the forms of L{SUFFIXES}."""
    if form == "gzip":
        return gzip.compress(content, compresslevel=1, mtime=0)
    if form == "zstd":
        command = [program("zstd"), "-1", "--stdout", "--quiet"]
        return subprocess.run(command, input=content, stdout=subprocess.PIPE, check=True).stdout
    return content


def system_layer() -> bytes:
    """A root file system in which a container can run: one static binary under several names."""
    busybox = Path(program("busybox")).read_bytes()
    return tar_of({"bin/busybox": busybox}, {f"bin/{name}": "busybox" for name in APPLETS})


def data_layers(seed: str, sizes: Sequence[int]) -> list[bytes]:
    """One layer for each size, with one file of that many bytes."""
    return [tar_of({f"data/{size}.bin": noise(f"{seed}/{size}", size)}) for size in sizes]


@define
class Layout:
    """
    An OCI image layout that grows by whole images, artifacts and indexes.
    """

    path: Path
    digests: dict[str, str] = field(factory=dict)
    _entries: list[Descriptor] = field(factory=list)

    def blob(self, media_type: str, content: bytes) -> Descriptor:
        """Store some bytes and return their descriptor."""
        digest = digest_of(content)
        directory = self.path / "blobs" / "sha256"
        directory.mkdir(parents=True, exist_ok=True)
        (directory / digest.removeprefix("sha256:")).write_bytes(content)
        return {"mediaType": media_type, "digest": digest, "size": len(content)}

    def image(self, layers: Sequence[bytes], form: str, architecture: str = "amd64") -> Descriptor:
        """Store an image made of these uncompressed layers, each in the given form."""
        config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"], "Env": ["PATH=/bin"]},
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
        }
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": self.blob(CONFIG, as_json(config)),
            "layers": [
                self.blob(LAYER + SUFFIXES[form], compressed(layer, form)) for layer in layers
            ],
        }
        return self.blob(MANIFEST, as_json(manifest))

    def index(self, images: Mapping[str, Descriptor]) -> Descriptor:
        """Store an index of images by their architecture."""
        children = [
            {**image, "platform": {"architecture": architecture, "os": "linux"}}
            for architecture, image in images.items()
        ]
        return self.blob(
            INDEX, as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": children})
        )

    def artifact(self, artifact_type: str, content: bytes, subject: Descriptor) -> Descriptor:
        """Store an artifact of one file that says something about its subject."""
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "artifactType": artifact_type,
            "config": self.blob(EMPTY, b"{}"),
            "layers": [self.blob("text/plain", content)],
            "subject": subject,
            "annotations": {"org.example.note": "made for a test"},
        }
        return self.blob(MANIFEST, as_json(manifest))

    def tag(self, name: str, manifest: Descriptor) -> None:
        """Give a manifest a name, by which clients find it in the layout."""
        self.digests[name] = manifest["digest"]
        self._entries.append({**manifest, "annotations": {REFERENCE_NAME: name}})
        (self.path / "oci-layout").write_bytes(as_json({"imageLayoutVersion": "1.0.0"}))
        (self.path / "index.json").write_bytes(
            as_json({"schemaVersion": 2, "mediaType": INDEX, "manifests": self._entries})
        )

    def read(self, digest: str) -> dict[str, Any]:
        """The JSON that is stored under a digest."""
        content = (self.path / "blobs" / "sha256" / digest.removeprefix("sha256:")).read_bytes()
        value: dict[str, Any] = json.loads(content)
        return value


def large_layout(path: Path) -> Layout:
    """
    The images of every kind: three forms of one with layers of 1, 10 and 100 MB, an index, an
    artifact.
    """
    layout = Layout(path)
    layers = [system_layer(), *data_layers("large", [MEGABYTE, 10 * MEGABYTE, 100 * MEGABYTE])]
    for form in SUFFIXES:
        layout.tag(form, layout.image(layers, form))
    add_index(layout, "large")
    subject = layout.image([system_layer()], "gzip")
    layout.tag("subject", subject)
    bill = layout.artifact("application/vnd.example.bill.v1", b"one busybox\n", subject)
    layout.tag("artifact", bill)
    return layout


def small_layout(path: Path, seed: str) -> Layout:
    """A runnable C{image} of a few megabytes and an C{index} that nobody has seen before."""
    layout = Layout(path)
    layers = [system_layer(), *data_layers(seed, [30_000, MEGABYTE])]
    layout.tag("image", layout.image(layers, "gzip"))
    add_index(layout, seed)
    return layout


def add_index(layout: Layout, seed: str) -> None:
    """Add an index of two platforms, which share a layer."""
    shared = [system_layer(), *data_layers(seed, [200_000])]
    layout.tag(
        "index",
        layout.index(
            {
                architecture: layout.image(
                    [*shared, tar_of({"platform": f"{architecture} {seed}".encode()})],
                    "gzip",
                    architecture,
                )
                for architecture in ("amd64", "arm64")
            }
        ),
    )
