"""
Tests for L{ociregd.configuration}; what is read, and what is said of it, is tested by its users.
"""

from __future__ import annotations

from pathlib import Path

from ociregd.configuration import load


def test_a_configuration_is_printed_without_a_password(tmp_path: Path) -> None:
    """Where a configuration is printed, what may hold a password is left out."""
    path = tmp_path / "ociregd.toml"
    path.write_text('metadata.database = "postgresql://u:SECRET@h/d"')
    configuration = load(str(path), None)
    assert str(path) in repr(configuration)
    assert "SECRET" not in f"{configuration} {configuration!r}"
