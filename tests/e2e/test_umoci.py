"""
umoci: an image that a tool which knows nothing of registries has made, and reads again.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.conftest import Registry
from tests.e2e.images import MEGABYTE, data_layers, noise, system_layer
from tests.e2e.programs import Client, clean_environment, demand_root, program
from tests.e2e.pulled import tagged_digest


def test_an_image_made_by_umoci_is_unpacked_by_umoci(
    skopeo: Client, registry: Registry, workspace: Path, name: str
) -> None:
    """Layers that umoci packed are pushed, pulled, and unpacked to the same files."""
    demand_root()
    umoci = Client([program("umoci")], clean_environment(workspace / "umoci"))
    made, pulled = workspace / "made", workspace / "pulled"
    umoci("init", f"--layout={made}")
    umoci("new", f"--image={made}:it")
    for number, layer in enumerate([system_layer(), *data_layers(name, [MEGABYTE])]):
        archive = workspace / f"{number}.tar"
        archive.write_bytes(layer)
        umoci("raw", "add-layer", f"--image={made}:it", archive)
    umoci("config", f"--image={made}:it", "--config.cmd=/bin/sh")

    remote = f"docker://{registry}/{name}:1"
    skopeo("copy", "--dest-tls-verify=false", f"oci:{made}:it", remote)
    skopeo("copy", "--src-tls-verify=false", remote, f"oci:{pulled}:it")
    umoci("unpack", f"--image={pulled}:it", workspace / "bundle")

    assert tagged_digest(pulled, "it") == tagged_digest(made, "it")
    file = workspace / "bundle" / "rootfs" / "data" / f"{MEGABYTE}.bin"
    assert file.read_bytes() == noise(f"{name}/{MEGABYTE}", MEGABYTE)
