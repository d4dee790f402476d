"""
Referrers in SQL: the manifests that name a subject, as a list shows them.
"""

from __future__ import annotations

import json
from typing import Any

from ociregd.oci.descriptor import Descriptor
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName
from ociregd.storage.rows import storable
from ociregd.transactions import ICursor
from ociregd.values import ReferrersPage

#: A page of referrers ends when its descriptors have this many bytes of annotations.
ANNOTATION_BYTES = 1024 * 1024


async def referrers(
    cursor: ICursor,
    name: RepositoryName,
    subject: Digest,
    artifact_type: str | None,
    last: str,
    count: int,
) -> ReferrersPage:
    wanted: tuple[object, ...] = (str(name), str(subject), storable(last))
    clause = ""
    if artifact_type is not None:
        if storable(artifact_type) != artifact_type:
            return ReferrersPage([], more=False)
        clause = " AND manifest.artifact_type = ?"
        wanted += (artifact_type,)
    # A thousand of them may have gigabytes of annotations: first only how long those are, then what
    # fits; one in any case.
    found = await cursor.rows(
        "WITH listed AS ("
        "SELECT manifest.repository, manifest.digest,"
        " coalesce(length(manifest.annotations), 0) AS weight"
        " FROM repository JOIN manifest ON manifest.repository = repository.id"
        " WHERE repository.name = ? AND manifest.subject = ? AND manifest.digest > ?"
        f"{clause} ORDER BY manifest.digest LIMIT ?"
        "), weighed AS ("
        "SELECT repository, digest, row_number() OVER (ORDER BY digest) AS position,"
        " sum(weight) OVER (ORDER BY digest) AS total, count(*) OVER () AS found FROM listed"
        ") SELECT manifest.media_type, manifest.digest, manifest.size, manifest.artifact_type,"
        " manifest.annotations, weighed.found FROM weighed"
        " JOIN manifest ON manifest.repository = weighed.repository"
        " AND manifest.digest = weighed.digest"
        " WHERE weighed.position <= ? AND (weighed.position = 1 OR weighed.total <= ?)"
        " ORDER BY manifest.digest",
        *wanted,
        count + 1,
        count,
        ANNOTATION_BYTES,
    )
    more = bool(found) and len(found) < found[0][-1]
    return ReferrersPage([described(*row[:-1]) for row in found], more)


def described(
    media_type: str, digest: str, size: int, artifact_type: str | None, annotations: str | None
) -> Descriptor:
    """A row as a referrers list shows it."""
    parsed: Any = json.loads(annotations) if annotations else None
    return Descriptor(media_type, digest, size, artifact_type, parsed)
