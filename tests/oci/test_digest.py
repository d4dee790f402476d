"""
Tests for L{ociregd.oci.digest}.
"""

from __future__ import annotations

import hashlib
import string

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ociregd.errors import DigestInvalid
from ociregd.oci.digest import ALGORITHMS, Digest, Hasher, digest_of, parse_algorithm

DIGITS = "0123456789abcdef"
LENGTHS = {"sha256": 64, "sha512": 128}


def is_digest(text: str) -> bool:
    """Decide, letter by letter, whether a text is a digest."""
    if text[:7] not in ("sha256:", "sha512:"):
        return False
    encoded = text[7:]
    return len(encoded) == LENGTHS[text[:6]] and all(digit in DIGITS for digit in encoded)


digests = st.sampled_from(ALGORITHMS).flatmap(
    lambda algorithm: st.text(DIGITS, min_size=LENGTHS[algorithm], max_size=LENGTHS[algorithm]).map(
        lambda encoded: f"{algorithm}:{encoded}"
    )
)


@st.composite
def damaged_digests(draw: st.DrawFn) -> str:
    """Digests in which a few characters have been replaced by anything."""
    text = draw(digests)
    position = draw(st.integers(0, len(text)))
    length = draw(st.integers(0, 2))
    return text[:position] + draw(st.text(max_size=2)) + text[position + length :]


@given(digests)
def test_a_digest_is_written_as_it_was_read(text: str) -> None:
    """Reading a digest and writing it gives the same text."""
    assert str(Digest.parse(text)) == text


@given(damaged_digests())
@example("sha256:" + "a" * 64 + "\n")
@example("sha256:" + "\u0661" * 64)
@example("sha256:" + "A" * 64)
def test_a_damaged_digest_is_judged_by_its_letters(text: str) -> None:
    """A text is read as a digest exactly if every letter of it is right."""
    try:
        assert str(Digest.parse(text)) == text
        accepted = True
    except DigestInvalid:
        accepted = False
    assert accepted == is_digest(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "sha256",
        "sha256:",
        "sha256:" + "a" * 63,
        "sha256:" + "a" * 65,
        "sha512:" + "a" * 64,
        "sha256:" + "A" * 64,
        "sha256:" + "g" * 64,
        "sha256:" + "a" * 64 + "\n",
        " sha256:" + "a" * 64,
        "SHA256:" + "a" * 64,
        "md5:" + "a" * 32,
        "sha384:" + "a" * 96,
        "blake3:" + "a" * 64,
        "sha256+b64:" + "a" * 64,
        "sha256:../../../../etc/passwd",
        "a" * 64,
        "x" * 100_000 + ":" + "a" * 64,
    ],
)
def test_what_is_not_a_digest_is_refused_briefly(text: str) -> None:
    """Anything but a digest is refused, with a text that does not grow with it."""
    with pytest.raises(DigestInvalid) as refusal:
        Digest.parse(text)
    assert len(str(refusal.value)) < 400


@given(st.lists(digests, max_size=20))
def test_digests_sort_as_their_texts_do(texts: list[str]) -> None:
    """Sorting digests and sorting what they are written as is the same."""
    assert [str(one) for one in sorted(map(Digest.parse, texts))] == sorted(texts)


def test_equal_digests_are_one_key() -> None:
    """Two digests with the same text are equal, and find each other in a dictionary."""
    text = "sha256:" + "0" * 64
    assert {Digest.parse(text): "here"}[Digest.parse(text)] == "here"


def test_a_digest_cannot_be_changed() -> None:
    """A digest that was checked stays what it is."""
    with pytest.raises(AttributeError):
        Digest.parse("sha256:" + "0" * 64).encoded = "../x"  # type: ignore[misc]


@given(st.sampled_from(ALGORITHMS), st.lists(st.binary(max_size=50), max_size=8))
def test_hashing_in_pieces_is_hashing_the_whole(algorithm: str, pieces: list[bytes]) -> None:
    """However content is cut, a hasher comes to the digest of the whole."""
    hasher = Hasher(algorithm)
    for piece in pieces:
        hasher.update(piece)
    content = b"".join(pieces)
    assert hasher.algorithm == algorithm
    assert hasher.digest() == digest_of(content, algorithm)
    assert str(hasher.digest()) == f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def test_content_is_hashed_with_sha256_unless_told() -> None:
    """The digest of the empty JSON object is the one that the image specification prints."""
    assert str(digest_of(b"{}")) == (
        "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    )


@pytest.mark.parametrize("text", ["", "sha1", "md5", "SHA256", "sha256 ", "sha256\n", "shake_128"])
def test_an_unsupported_algorithm_is_refused_everywhere(text: str) -> None:
    """Algorithms that the registry does not compute are refused, whoever asks for them."""
    with pytest.raises(DigestInvalid):
        parse_algorithm(text)
    with pytest.raises(DigestInvalid):
        Hasher(text)
    with pytest.raises(DigestInvalid):
        digest_of(b"", text)


def test_every_algorithm_is_complete() -> None:
    """Each supported algorithm can be parsed, computed, and read back."""
    for algorithm in ALGORITHMS:
        digest = digest_of(b"content", parse_algorithm(algorithm))
        assert Digest.parse(str(digest)) == digest
        assert set(digest.encoded) <= set(string.hexdigits.lower())
