"""
Bring a database to the schema of this program: numbered files, each applied once, in order.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib.resources import files

from attrs import frozen

from ociregd.transactions import ICursor


class SchemaTooNew(Exception):
    """The database was written by a newer ociregd."""


@frozen
class Migration:
    """
    The statements of one schema file.
    """

    number: int
    statements: Sequence[str]


def migrations() -> list[Migration]:
    """All there are, in order, from the files of the package."""
    found = []
    for file in files("ociregd.storage.schema").iterdir():
        if match := re.fullmatch(r"([0-9]{4})\.sql", file.name):
            text = re.sub(r"^\s*--.*$", "", file.read_text("utf-8"), flags=re.MULTILINE)
            statements = [part.strip() for part in text.split(";") if part.strip()]
            found.append(Migration(int(match[1]), statements))
    return sorted(found, key=lambda migration: migration.number)


async def migrate(cursor: ICursor, wanted: Sequence[Migration]) -> int:
    """
    Apply what the database lacks; an interaction, so that it is all or nothing.

    @return: the number of the schema that the database has now.
    @raise SchemaTooNew: if it has a newer one than the newest of C{wanted}.
    """
    await cursor.change("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
    [(version,)] = await cursor.rows("SELECT coalesce(max(version), 0) FROM schema_version")
    newest = wanted[-1].number
    if version > newest:
        raise SchemaTooNew(
            f"the database has schema {version}, and this ociregd knows {newest} at most: "
            "install the ociregd that wrote it, or a newer one"
        )
    for migration in wanted:
        if migration.number > version:
            for statement in migration.statements:
                await cursor.change(statement)
            await cursor.change("INSERT INTO schema_version (version) VALUES (?)", migration.number)
    return newest
