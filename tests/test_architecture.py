"""
Which room of the house may import which, and a few more promises about its modules.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

PROJECT = Path(__file__).parent.parent

# Values and words that every room may use: what they are is decided below all of them.
COMMON = {"errors", "oci", "interfaces", "values", "threads", "transactions"}

# A room, which is a package or a module of ociregd, and what it may import beside itself. Registry
# and storage meet at the interfaces only, and what is asked over HTTP is asked of the registry.
ARROWS: dict[str, set[str]] = {
    "errors": set(),
    "oci": {"errors"},
    "values": {"oci"},
    "interfaces": {"oci", "values"},
    "transactions": set(),
    "threads": {"interfaces"},
    "quantities": set(),
    "tomllines": set(),
    "databaseurl": {"quantities"},
    "access": COMMON,
    "settings": {"accesstable", "databaseurl", "quantities", "tomllines"},
    "accesstable": COMMON | {"access", "quantities", "tomllines"},
    "accessservice": COMMON | {"access", "settings"},
    "configuration": {"settings", "tomllines"},
    "registry": COMMON,
    "storage": COMMON,
    "web": COMMON | {"access", "registry"},
    "databases": COMMON | {"databaseurl", "settings", "storage"},
    "databaseservice": COMMON | {"databases", "databaseurl", "settings", "storage"},
    "operations": COMMON | {"web"},
    "service": COMMON
    | {"accessservice", "databaseservice", "operations", "registry", "settings", "storage", "web"},
    "tap": {"access", "configuration", "service", "settings"},
    "ctl": {"access", "configuration", "databases", "errors", "oci", "settings"},
    "plugin": {"tap"},
}

LONGEST_MODULE = 400


def modules() -> Iterator[tuple[str, Path]]:
    """Every module of the project, and its room."""
    for path in sorted((PROJECT / "ociregd").rglob("*.py")):
        yield path.relative_to(PROJECT / "ociregd").parts[0].removesuffix(".py"), path
    yield "plugin", PROJECT / "twisted" / "plugins" / "ociregd.py"


def imports(path: Path) -> Iterator[str]:
    """The full names that a module imports, wherever in it that happens."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(names: Iterator[str]) -> set[str]:
    """The rooms of the project that are among the imported."""
    return {name.split(".")[1] for name in names if name.startswith("ociregd.")}


def test_arrows() -> None:
    """Every module imports only what its room may; a new room has to be put on the plan."""
    strangers = [
        f"{path.relative_to(PROJECT)} imports {', '.join(sorted(forbidden))}"
        for room, path in modules()
        if room != "__init__" and (forbidden := rooms(imports(path)) - {room} - ARROWS[room])
    ]
    assert strangers == []


def test_arrows_have_no_circle() -> None:
    """The plan can be drawn from top to bottom."""
    below: set[str] = set()
    while above := {room for room in ARROWS if room not in below and ARROWS[room] <= below}:
        below |= above
    assert below == set(ARROWS)


def test_the_plan_names_only_rooms_that_are_there() -> None:
    """A room that is gone is off the plan."""
    assert {room for room, _ in modules()} - {"__init__"} == set(ARROWS)


def test_one_place_meets_the_reactor() -> None:
    """Everything gets its reactor handed; only where twistd comes in it is looked up."""
    met = [
        path.name for _, path in modules() for name in imports(path) if name.endswith(".reactor")
    ]
    assert met == ["tap.py"]


def test_the_specification_is_pure() -> None:
    """The values of the specification know neither Twisted nor files nor the time."""
    impure = {"twisted", "os", "io", "pathlib", "socket", "time", "threading", "sqlite3", "zope"}
    for room, path in modules():
        if room in ("oci", "errors"):
            assert not {name.split(".")[0] for name in imports(path)} & impure, path


def test_the_rules_know_neither_http_nor_disks() -> None:
    """What the registry decides does not depend on how it is asked or where things are kept."""
    for room, path in modules():
        if room == "registry":
            names = set(imports(path))
            assert not any(name.startswith(("twisted.web", "klein")) for name in names), path
            assert not names & {"os", "sqlite3", "pathlib.Path"}, path


def test_modules_are_short() -> None:
    """A module that has grown long is two."""
    long = [
        str(path)
        for _, path in modules()
        if len(path.read_text("utf-8").splitlines()) > LONGEST_MODULE
    ]
    assert long == []
