"""
Fresh roots for podman and buildah, which share one way of keeping images and settings.
"""

from __future__ import annotations

from pathlib import Path

from tests.e2e.programs import Client, clean_environment, demand_root, program

# runc and modest limits: what runs in a container on a CI machine has few rights itself.
SETTINGS = """\
[containers]
netns = "host"
default_ulimits = ["nofile=1024:1024", "nproc=1000:1000"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
runtime = "runc"
tmp_dir = "{root}/tmp"
[network]
network_backend = "netavark"
"""

STORAGE = """\
[storage]
driver = "{driver}"
graphroot = "{root}/root"
runroot = "{root}/run"
[storage.options]
pull_options = {{enable_partial_images = "{partial}", use_hard_links = "false"}}
"""


def containers_client(name: str, root: Path, driver: str = "vfs", partial: bool = False) -> Client:
    """
    Podman or buildah with an empty image store in C{root}.

    Only the overlay driver can pull parts of layers.
    """
    demand_root()
    home = root / "home"
    settings = {
        "CONTAINERS_CONF": str(root / "containers.conf"),
        "CONTAINERS_STORAGE_CONF": str(root / "storage.conf"),
    }
    environment = clean_environment(home, settings)
    (root / "containers.conf").write_text(SETTINGS.format(root=root))
    (root / "storage.conf").write_text(
        STORAGE.format(driver=driver, root=root, partial=str(partial).lower())
    )
    return Client([program(name)], environment)
