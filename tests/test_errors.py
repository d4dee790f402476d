"""
Tests for L{ociregd.errors} and the table of L{ociregd.web.errors}.
"""

from __future__ import annotations

from collections.abc import Iterator

from ociregd.errors import RegistryError, Unavailable
from ociregd.web.errors import INCIDENT, REFUSALS

# The OCI distribution specification, section "Error Codes".
CODES = {
    "BLOB_UNKNOWN",
    "BLOB_UPLOAD_INVALID",
    "BLOB_UPLOAD_UNKNOWN",
    "DIGEST_INVALID",
    "MANIFEST_BLOB_UNKNOWN",
    "MANIFEST_INVALID",
    "MANIFEST_UNKNOWN",
    "NAME_INVALID",
    "NAME_UNKNOWN",
    "SIZE_INVALID",
    "UNAUTHORIZED",
    "DENIED",
    "UNSUPPORTED",
    "TOOMANYREQUESTS",
}


def kinds(error: type[RegistryError]) -> Iterator[type[RegistryError]]:
    """Every kind of an error, and their kinds."""
    for kind in error.__subclasses__():
        yield kind
        yield from kinds(kind)


def test_every_refusal_is_in_the_table() -> None:
    """
    Whatever the registry refuses, a client is told in the protocol's words; and nothing else
    is.
    """
    assert set(REFUSALS) == set(kinds(RegistryError))


def test_codes_are_those_of_the_specification() -> None:
    """Clients look for the codes of the specification, and each of them has its use."""
    assert {refusal.code for refusal in REFUSALS.values()} == CODES


def test_refusals_blame_the_request() -> None:
    """
    A refusal is not the server's fault, or else becomes an incident; but for a database that is
    away, which is nobody's here.
    """
    at_fault = [error for error, refusal in REFUSALS.items() if not 400 <= refusal.status < 500]
    assert at_fault == [Unavailable]
    assert REFUSALS[Unavailable].status == 503
    assert INCIDENT.status == 500
    assert INCIDENT.code not in CODES


def test_errors_are_named_as_their_codes() -> None:
    """Every code has an error of its name, so that code and wire read alike."""
    names = {kind.__name__.lower() for kind in REFUSALS}
    assert {code.replace("_", "").lower() for code in CODES} <= names


def test_refusals_have_words() -> None:
    """Each refusal says something that its reader can use."""
    assert all(refusal.message.strip() for refusal in REFUSALS.values())
