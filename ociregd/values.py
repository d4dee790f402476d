"""
The values that cross the seams between the rooms.
"""

from __future__ import annotations

from collections.abc import Sequence

from attrs import frozen

from ociregd.oci.descriptor import Descriptor
from ociregd.oci.digest import Digest

#: A manifest of up to this size comes along with what is known of it; nearly all are smaller.
INLINE_BYTES = 64 * 1024


@frozen
class Blob:
    """
    Stored bytes.

    @ivar generation: distinguishes the files that one digest has had over time; a file name is
        never used again once the collector may remove it.
    @ivar lease_until: seconds since the epoch; until then the repository keeps it unreferenced.
    """

    digest: Digest
    size: int
    generation: int
    lease_until: float = 0.0


@frozen
class Standing:
    """
    Whether a blob is stored in the registry, by whomever.

    @ivar generation: the present one if it is stored, else the one that a file has to bear in order
        to become it.
    """

    stored: bool
    generation: int


@frozen
class StoredManifest:
    """
    A manifest as it was pushed, byte for byte.

    @ivar body: or None if it is too large to come along, and is to be had in slices.
    """

    digest: Digest
    media_type: str
    size: int
    body: bytes | None


@frozen
class Lease:
    """
    The promise that comes with an acknowledged write: what is not referenced yet is kept until
    then.

    @ivar now: seconds since the epoch.
    @ivar until: seconds since the epoch.
    """

    now: float
    until: float


@frozen
class Page:
    """
    One page of a listing, in bytewise order.

    @ivar more: whether something follows the last of C{names}.
    """

    names: Sequence[str]
    more: bool


@frozen
class IdleUpload:
    """
    An upload session that the expiry shall look at.

    @ivar ended: whether it was committed, cancelled or expired already, and is kept in mind only
        until its file is gone for certain.
    """

    session_id: str
    ended: bool


@frozen
class ReferrersPage:
    """One page of a referrers list, in the order of the digests."""

    descriptors: Sequence[Descriptor]
    more: bool
