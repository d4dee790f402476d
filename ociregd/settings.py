"""
The configuration: from the text of a TOML file to values that can be relied on.

What is wrong is refused before anything starts, by line and key, in words that say what would be
right. Nothing is tried here: whether a directory exists or a port is free shows when it is used.
Each setting stands once, with its default as an operator would write it; etc/ociregd.toml explains.
"""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from attrs import field, fields_dict, frozen

from ociregd.accesstable import Access, WrongAccess, read_access
from ociregd.databaseurl import SQLITE, database
from ociregd.quantities import (
    Wrong,
    duration,
    duration_or_zero,
    manifest_size,
    number,
    rate,
    shown,
    timeout,
)
from ociregd.tomllines import line_of

T = TypeVar("T")

# The last is for a proxy that tells the addresses of its clients.
ENDPOINTS = ("tcp:", "ssl:", "unix:", "systemd:", "haproxy:")

# Where the attributes below keep what reads them.
_READ = "read"


class SettingsError(Exception):
    """
    The configuration is wrong.

    @ivar line: where, counted from 1, if that is known.
    @ivar key: what, such as C{uploads.lifetime}; empty if it is the document as a whole.
    """

    def __init__(self, message: str, key: str, line: int | None) -> None:
        parts = ["" if line is None else f"line {line}", key, message]
        super().__init__(": ".join(part for part in parts if part))
        self.line = line
        self.key = key


def _setting(read: Callable[[object], T], default: object, *, secret: bool = False) -> T:
    """
    Declare a setting, by what reads it and by its default as the file would say it.

    @param secret: whether the value is left out where the settings are printed.
    """
    attribute: T = field(default=read(default), metadata={_READ: read}, repr=not secret)
    return attribute


def _listen(value: object) -> tuple[str, ...]:
    if not value:
        raise Wrong(f'{shown(value)} is no endpoint; write ["tcp:5000:interface=127.0.0.1"]')
    return _endpoints(value)


def _endpoints(value: object) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise Wrong(
            f"{shown(value)} is not a list of endpoints; "
            'write it like ["tcp:5000:interface=127.0.0.1"]'
        )
    for entry in value:
        if not isinstance(entry, str) or not entry.startswith(ENDPOINTS):
            raise Wrong(
                f"{shown(entry)} is not an endpoint; write one that begins with "
                f"{', '.join(ENDPOINTS[:-1])} or {ENDPOINTS[-1]}"
            )
    return tuple(value)


def _processes(value: object) -> int:
    if type(value) is not int or value != 1:
        raise Wrong(f"{shown(value)} is not possible; write 1: this version runs one process")
    return value


def _root(value: object) -> str:
    if not isinstance(value, str) or not value.startswith("/") or "\0" in value:
        raise Wrong(f'{shown(value)} is not an absolute path; write it like "/var/lib/ociregd"')
    return value


def _switch(value: object) -> bool:
    if not isinstance(value, bool):
        raise Wrong(f"{shown(value)} is not a switch; write true or false")
    return value


@frozen
class Storage:
    """
    Where the blobs are, and with SQLite the database beside them.
    """

    root: str = _setting(_root, "/var/lib/ociregd")


@frozen
class Metadata:
    """
    What remembers repositories, manifests and tags; all but the first are about PostgreSQL.

    The database is C{sqlite} or a URL, which may hold a password.
    """

    database: str = _setting(database, SQLITE, secret=True)
    pool_size: int = _setting(number(1, 1000), 10)
    queue_size: int = _setting(number(0, 100_000), 1000)
    queue_timeout: float = _setting(timeout, "10s")
    connect_timeout: float = _setting(timeout, "5s")
    statement_timeout: float = _setting(timeout, "30s")


@frozen
class Uploads:
    """
    The life of upload sessions, in seconds.
    """

    lifetime: float = _setting(duration, "1h")
    sweep_interval: float = _setting(duration, "5m")


@frozen
class Registry:
    """
    What clients may do.
    """

    deletes: bool = _setting(_switch, True)


@frozen
class Limits:
    """
    What the registry puts up with: in bytes, seconds, and bytes per second.
    """

    manifest_bytes: int = _setting(manifest_size, "4MiB")
    header_time: float = _setting(duration, "10s")
    idle_time: float = _setting(duration, "60s")
    rate_time: float = _setting(duration, "30s")
    body_rate: int = _setting(rate, "1KiB")
    reader_rate: int = _setting(rate, "1KiB")


@frozen
class Operations:
    """
    The life of the daemon: where it is asked whether it is ready, and seconds.
    """

    listen: tuple[str, ...] = _setting(_endpoints, [])
    grace: float = _setting(duration_or_zero, "30s")


@frozen
class Settings:
    """
    All that the configuration says, or leaves at its default.
    """

    listen: tuple[str, ...] = _setting(_listen, ["tcp:5000:interface=127.0.0.1"])
    processes: int = _setting(_processes, 1)
    storage: Storage = field(factory=Storage)
    metadata: Metadata = field(factory=Metadata)
    uploads: Uploads = field(factory=Uploads)
    registry: Registry = field(factory=Registry)
    limits: Limits = field(factory=Limits)
    operations: Operations = field(factory=Operations)
    access: Access | None = None


TABLES: Mapping[str, type[Any]] = {
    "storage": Storage,
    "metadata": Metadata,
    "uploads": Uploads,
    "registry": Registry,
    "limits": Limits,
    "operations": Operations,
}

#: Which is read as a whole, and where it makes a difference whether it is there.
ACCESS = "access"

KEYS = tuple(key for key in fields_dict(Settings) if key not in (*TABLES, ACCESS)) + tuple(
    f"{name}.{key}" for name, table in TABLES.items() for key in fields_dict(table)
)


def parse(text: str) -> Settings:
    """
    Read a configuration.

    @raise SettingsError: for the first thing that is wrong with it.
    """
    values: dict[str, Any] = {}
    for name, value in _document(text).items():
        table = TABLES.get(name)
        if name == ACCESS and isinstance(value, dict):
            values[name] = _access(text, value)
        elif table is None and name != ACCESS:
            values[name] = _value(text, Settings, (name,), value)
        elif table is not None and isinstance(value, dict):
            values[name] = table(
                **{key: _value(text, table, (name, key), one) for key, one in value.items()}
            )
        else:
            raise _error(text, (name,), f"this is a table; write [{name}] and its keys below")
    return Settings(**values)


def _document(text: str) -> dict[str, object]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        # The parser has the place at the end of its message, and nowhere else before Python 3.14.
        message, _, place = str(problem).rpartition(" (at ")
        numbers = re.findall("[0-9]+", place)
        line = int(numbers[0]) if numbers else text.rstrip("\n").count("\n") + 1
        raise SettingsError(f"this is not TOML: {message}", "", line) from None
    except RecursionError:
        raise SettingsError("brackets are nested too deeply", "", None) from None
    except ValueError:
        # Python refuses to read decimal numbers of thousands of digits, and says so with this.
        raise SettingsError("a number is too long", "", None) from None


def _access(text: str, table: Mapping[str, object]) -> Access:
    try:
        return read_access(text, table)
    except WrongAccess as problem:
        raise SettingsError(str(problem), _dotted(problem.path), problem.line) from None


def _value(text: str, table: type[Any], path: tuple[str, ...], value: object) -> Any:
    """
    Read the value of a key of one of the classes above.
    """
    attribute = fields_dict(table).get(path[-1])
    if attribute is None:
        kind = "table" if len(path) == 1 and isinstance(value, dict | list) else "key"
        raise _error(text, path, f"there is no such {kind}; {_suggestion(path)}")
    try:
        return attribute.metadata[_READ](value)
    except Wrong as problem:
        raise _error(text, path, str(problem)) from None


def _suggestion(path: tuple[str, ...]) -> str:
    """
    Say what may have been meant: the table, or the key of any table, that is spelt most like this;
    else what there is.
    """
    if len(path) == 1:
        near = difflib.get_close_matches(path[0], [*TABLES, ACCESS], n=1)
        if near:
            return f"did you mean [{near[0]}]?"
    keys = {key.rpartition(".")[2]: key for key in KEYS}
    near = difflib.get_close_matches(path[-1], keys, n=1)
    if near:
        return f"did you mean {keys[near[0]]}?"
    siblings = [key for key in KEYS if len(path) > 1 and key.startswith(f"{path[0]}.")]
    return f"there are {', '.join(siblings or [*fields_dict(Settings)])}"


def _error(text: str, path: tuple[str, ...], message: str) -> SettingsError:
    return SettingsError(message, _dotted(path), line_of(text, path))


def _dotted(path: tuple[str, ...]) -> str:
    """
    Write a key as TOML does.
    """
    return ".".join(
        part if re.fullmatch("[A-Za-z0-9_-]+", part) else json.dumps(part) for part in path
    )
