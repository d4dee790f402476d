"""What pyproject.toml cannot say: the packages, one by one; no new folder ships by accident."""

from setuptools import setup

setup(
    packages=[
        "ociregd",
        "ociregd.access",
        "ociregd.ctl",
        "ociregd.oci",
        "ociregd.operations",
        "ociregd.registry",
        "ociregd.storage",
        "ociregd.storage.schema",
        "ociregd.web",
        # No __init__.py: Twisted finds plugins by directory, and this must not shadow its own.
        "twisted.plugins",
    ],
    package_data={"ociregd.storage.schema": ["*.sql"]},
)
