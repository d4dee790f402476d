"""
Tests for L{ociregd.tap}: the command line of C{twistd ociregd}.
"""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from twisted.python.usage import UsageError

from ociregd.tap import DEFAULT_CONFIG, Options

LISTEN = "tcp:5001:interface=127.0.0.1"


def parsed(*words: object) -> Options:
    """What a command line comes to."""
    options = Options()
    options.parseOptions([str(word) for word in words])
    return options


def refused(*words: object) -> str:
    """What is said of a command line that is wrong."""
    with pytest.raises(UsageError) as told:
        parsed(*words)
    return str(told.value)


@pytest.fixture
def config(tmp_path: Path) -> Path:
    """A configuration that says something about everything that an option may change."""
    path = tmp_path / "ociregd.toml"
    path.write_text(
        f'listen = ["{LISTEN}"]\n[storage]\nroot = "/from/file"\n[registry]\ndeletes = false\n'
    )
    return path


def test_twistd_names_the_options() -> None:
    """C{twistd ociregd --help} finds the plugin, and names every option with its words."""
    twistd = Path(sys.executable).with_name("twistd")
    environment = {**os.environ, "COLUMNS": "100"}
    told = subprocess.run(
        [twistd, "ociregd", "--help"], capture_output=True, text=True, check=True, env=environment
    ).stdout
    for word in ("--config=", "--root=", "--listen=", DEFAULT_CONFIG):
        assert word in told, told


def test_the_plugin_leads_to_the_tap() -> None:
    """The plugin says where the options and the service are, and nothing else."""
    plugin = Path(__file__).parent.parent / "twisted" / "plugins" / "ociregd.py"
    tree = ast.parse(plugin.read_text("utf-8"))
    words = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    assert "ociregd.tap" in words
    assert len(tree.body) <= 3


def test_with_a_root_no_file_is_needed(tmp_path: Path) -> None:
    """A directory is enough: all else has its default."""
    settings = parsed("--root", tmp_path).settings
    assert settings.storage.root == str(tmp_path)
    assert settings.listen == ("tcp:5000:interface=127.0.0.1",)
    assert settings.registry.deletes


def test_a_relative_root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A directory is meant from where the command is given: a daemon leaves that place."""
    monkeypatch.chdir(tmp_path)
    assert parsed("-r", "var").settings.storage.root == str(tmp_path / "var")


def test_a_file(config: Path) -> None:
    """What the file says holds, by either name of the option."""
    for option in ("--config", "-c"):
        settings = parsed(option, config).settings
        assert settings.storage.root == "/from/file"
        assert settings.listen == (LISTEN,)
        assert not settings.registry.deletes


def test_options_win(config: Path, tmp_path: Path) -> None:
    """What the command line says wins over the file; what it does not say is the file's."""
    settings = parsed("--config", config, "--root", tmp_path).settings
    assert (settings.storage.root, settings.listen) == (str(tmp_path), (LISTEN,))
    assert not settings.registry.deletes
    settings = parsed("--config", config, "--listen", "tcp:5002").settings
    assert (settings.storage.root, settings.listen) == ("/from/file", ("tcp:5002",))


def test_several_places_to_listen(tmp_path: Path) -> None:
    """The option may be given again, and by its short name."""
    settings = parsed("-r", tmp_path, "--listen", "tcp:5002", "-l", "unix:/run/x").settings
    assert settings.listen == ("tcp:5002", "unix:/run/x")


def test_a_wrong_file(config: Path) -> None:
    """
    What is wrong with a file is said with its name, the line and the key, before anything
    starts.
    """
    config.write_text('listen = ["tcp:5001"]\n\n[uploads]\nlifetime = "soon"\n')
    told = refused("--config", config)
    for word in (str(config), "line 4", "uploads.lifetime"):
        assert word in told


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    """A file that cannot be read is named, and why."""
    told = refused("--config", tmp_path / "missing.toml")
    assert str(tmp_path / "missing.toml") in told
    assert "No such file" in told
    assert str(tmp_path) in refused("--config", tmp_path)


def test_a_file_that_is_no_text(config: Path) -> None:
    """A file that is not UTF-8 is refused like any other."""
    config.write_bytes(b"\xff\xfe[storage]")
    assert str(config) in refused("--config", config)


def test_a_place_that_means_nothing(config: Path, tmp_path: Path) -> None:
    """An endpoint that Twisted does not understand is refused, with where it was said."""
    told = refused("--root", tmp_path, "--listen", "tcp:http:interface")
    assert "--listen" in told
    assert "tcp:http:interface" in told
    config.write_text('\nlisten = ["tcp:"]\n')
    told = refused("--config", config)
    assert str(config) in told
    assert "line 2" in told


def test_a_certificate_that_is_not_there(tmp_path: Path) -> None:
    """The files of an endpoint are looked for before anything starts."""
    missing = tmp_path / "missing.pem"
    told = refused("--root", tmp_path, "--listen", f"ssl:5001:privateKey={missing}")
    assert f"{missing}: No such file" in told


def test_a_wrong_option() -> None:
    """An option that does not exist is refused."""
    assert "prot" in refused("--prot", "5000")


def test_a_file_of_users_that_cannot_be_used(tmp_path: Path) -> None:
    """A bad line in the file of the users stops the start: both files and lines are named."""
    users, path = tmp_path / "htpasswd", tmp_path / "ociregd.toml"
    path.write_text(f'[access]\nhtpasswd = "{users}"\n')
    said = refused("--config", path)
    assert said == f"{path}: line 2: access.htpasswd: {users}: No such file or directory"
    users.write_text("# users\nalice:secret\n")
    said = refused("--config", path)
    assert said.startswith(f"{path}: line 2: access.htpasswd: {users}: line 2: this is not ")
    assert "secret" not in said
    users.write_text("")
    assert parsed("--config", path).settings.access is not None
