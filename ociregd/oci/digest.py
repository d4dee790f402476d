"""
Digests: the addresses of content, and the running hashes that they come from.

A L{Digest} holds an algorithm that this registry can compute, and the right number of lower-case
hexadecimal digits; it is therefore safe in a path, in SQL and in a header. Manifests may name
digests of other algorithms: those stay text (see L{ociregd.oci.descriptor}).
"""

from __future__ import annotations

import hashlib
import re
from typing import ClassVar

from attrs import frozen

from ociregd.errors import DigestInvalid
from ociregd.oci.quoting import quoted

ALGORITHMS = ("sha256", "sha512")


@frozen(order=True)
class Digest:
    """
    A content address: an algorithm, and the encoded result of hashing with it.

    Digests sort as their texts do.
    """

    ENCODED: ClassVar[dict[str, re.Pattern[str]]] = {
        "sha256": re.compile(r"[0-9a-f]{64}"),
        "sha512": re.compile(r"[0-9a-f]{128}"),
    }

    algorithm: str
    encoded: str

    @classmethod
    def parse(cls, text: str) -> Digest:
        """
        Read C{algorithm:encoded}.

        @raise DigestInvalid: for any other text, and for an algorithm that is not supported.
        """
        algorithm, _, encoded = text.partition(":")
        parse_algorithm(algorithm)
        if cls.ENCODED[algorithm].fullmatch(encoded) is None:
            raise DigestInvalid(
                f"{quoted(text)} is not a digest: after {algorithm}: stand "
                f"{hashlib.new(algorithm).digest_size * 2} lower-case hexadecimal digits"
            )
        return cls(algorithm, encoded)

    def __str__(self) -> str:
        return f"{self.algorithm}:{self.encoded}"


def parse_algorithm(text: str) -> str:
    """
    Check the name of a digest algorithm.

    @raise DigestInvalid: if it is not one of L{ALGORITHMS}.
    """
    if text not in ALGORITHMS:
        raise DigestInvalid(
            f"{quoted(text)} is not a supported digest algorithm: use {' or '.join(ALGORITHMS)}"
        )
    return text


class Hasher:
    """
    The running hash of content that arrives in pieces.

    Updates with large pieces release the interpreter's lock, so they are worth a thread. A hasher
    is not safe to use from two threads at once.

    @ivar algorithm: the algorithm, one of L{ALGORITHMS}.
    """

    __slots__ = ("_hash", "algorithm")

    def __init__(self, algorithm: str) -> None:
        """
        @raise DigestInvalid: if the algorithm is not supported.
        """
        self.algorithm = parse_algorithm(algorithm)
        self._hash = hashlib.new(self.algorithm, usedforsecurity=False)

    def update(self, data: bytes | bytearray | memoryview) -> None:
        """
        Take the next piece of the content.
        """
        self._hash.update(data)

    def digest(self) -> Digest:
        """
        Return the digest of the content so far.
        """
        return Digest(self.algorithm, self._hash.hexdigest())


def digest_of(data: bytes, algorithm: str = "sha256") -> Digest:
    """
    Hash content that is at hand as a whole.

    @raise DigestInvalid: if the algorithm is not supported.
    """
    hasher = Hasher(algorithm)
    hasher.update(data)
    return hasher.digest()
