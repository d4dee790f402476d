"""
Where the configuration comes from: a file, and what a command line says instead.

The daemon and its tools read it alike, and say alike what is wrong with it.
"""

from __future__ import annotations

from pathlib import Path

from attrs import evolve, field, frozen

from ociregd.settings import Settings, SettingsError, parse
from ociregd.tomllines import line_of

DEFAULT_CONFIG = "/etc/ociregd/ociregd.toml"


class ConfigurationError(Exception):
    """The configuration cannot be used. The text names the file, and says what is wrong where."""


@frozen
class Configuration:
    """
    Settings, and the file that they are from.

    @ivar path: the file, or nothing if none was needed.
    @ivar text: all of the file; a password may stand in it.
    """

    path: str | None
    text: str = field(repr=False)
    settings: Settings

    def error(self, message: str, *keys: str) -> ConfigurationError:
        """What to raise if a value is wrong in a way that only its user can see."""
        problem = SettingsError(message, ".".join(keys), line_of(self.text, keys))
        return ConfigurationError(f"{self.path}: {problem}")


def load(path: str | None, root: str | None) -> Configuration:
    """
    Read a file; a root that is said beside it wins over the one in it.

    Without a file the one of the system is meant, unless there is a root: then all else has its
    default.

    @raise ConfigurationError: if the file cannot be read, or is wrong.
    """
    if path is None and root is None:
        path = DEFAULT_CONFIG
    try:
        text = "" if path is None else Path(path).read_text("utf-8")
        settings = parse(text)
    except SettingsError as problem:
        raise ConfigurationError(f"{path}: {problem}") from None
    except OSError as problem:
        raise ConfigurationError(f"{path}: {problem.strerror}") from None
    except UnicodeDecodeError as problem:
        raise ConfigurationError(f"{path}: this is not UTF-8: {problem}") from None
    if root is not None:
        # A daemon leaves the place where the command was given.
        absolute = str(Path(root).absolute())
        settings = evolve(settings, storage=evolve(settings.storage, root=absolute))
    return Configuration(path, text, settings)
