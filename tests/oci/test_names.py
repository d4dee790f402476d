"""
Tests for L{ociregd.oci.names}.
"""

from __future__ import annotations

import time

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from ociregd.errors import DigestInvalid, ManifestInvalid, ManifestUnknown, NameInvalid
from ociregd.oci.digest import Digest
from ociregd.oci.names import RepositoryName, Tag, parse_reference

LOWER = "abcdefghijklmnopqrstuvwxyz0123456789"
WORD = LOWER + LOWER.upper() + "_"


def is_component(text: str) -> bool:
    """Decide whether a text is a component of a name: runs of letters, parted by separators."""
    runs: list[str] = []
    for letter in text:
        if runs and (letter in LOWER) == (runs[-1][-1] in LOWER):
            runs[-1] += letter
        else:
            runs.append(letter)
    if len(runs) % 2 == 0 or runs[0][0] not in LOWER:
        return False
    return all(run in (".", "_", "__") or set(run) == {"-"} for run in runs[1::2])


def is_name(text: str) -> bool:
    """Decide whether a text is the name of a repository."""
    return len(text) <= 255 and all(is_component(component) for component in text.split("/"))


def is_tag(text: str) -> bool:
    """Decide whether a text is a tag."""
    return (
        1 <= len(text) <= 128 and text[0] in WORD and all(letter in WORD + ".-" for letter in text)
    )


runs = st.text(LOWER, min_size=1, max_size=6)
separators = st.sampled_from([".", "_", "__", "-", "--", "-----"])
components = st.builds(
    lambda first, rest: first + "".join(separator + run for separator, run in rest),
    runs,
    st.lists(st.tuples(separators, runs), max_size=3),
)
names = st.lists(components, min_size=1, max_size=5).map("/".join)
tags = st.builds(
    lambda first, rest: first + rest, st.sampled_from(WORD), st.text(WORD + ".-", max_size=127)
)


def damaged(texts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Texts with something put in their place somewhere."""
    letters = st.text(st.sampled_from(LOWER + "AZ._-/:\n\0 %\u0661\u017f"), max_size=3)
    return st.builds(
        lambda text, position, length, letters: (
            text[: position % (len(text) + 1)]
            + letters
            + text[position % (len(text) + 1) + length :]
        ),
        texts,
        st.integers(0, 300),
        st.integers(0, 2),
        letters,
    )


def accepted(parse: type[RepositoryName] | type[Tag], text: str) -> bool:
    """Say whether a text is accepted, and stays what it was."""
    try:
        return str(parse.parse(text)) == text
    except (NameInvalid, ManifestInvalid):
        return False


@given(names)
def test_every_name_of_the_grammar_is_accepted(text: str) -> None:
    """Names that the grammar can make are accepted, and written as they were read."""
    assert str(RepositoryName.parse(text)) == text


@given(damaged(names))
@example("a__b")
@example("a___b")
@example("a-.b")
@example("a/" * 127 + "a")
@example("a/" * 127 + "aa")
def test_a_damaged_name_is_judged_by_the_grammar(text: str) -> None:
    """A text is accepted as a name exactly if it can be taken apart by the grammar."""
    assert accepted(RepositoryName, text) == is_name(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "A",
        "a/B",
        "a.",
        ".a",
        "a..b",
        "a._b",
        "a___b",
        "_catalog",
        "-a",
        "a-",
        "a/../b",
        "..",
        "a%2fb",
        "a\\b",
        "a b",
        "a\n",
        "a\0",
        "ä",
        "a:b",
        "x" * 256,
        "\u0661",
    ],
)
def test_what_is_not_a_name_is_refused(text: str) -> None:
    """Names that break the grammar, or that are too long, are refused."""
    with pytest.raises(NameInvalid):
        RepositoryName.parse(text)


@pytest.mark.parametrize(
    "text", ["a" * 255, "a-" * 120, "a" + "-" * 250, "a__" * 80 + "!", "/".join("a" * 127) + "/"]
)
def test_a_name_is_judged_at_once(text: str) -> None:
    """No name takes long to accept or to refuse."""
    started = time.process_time()
    accepted(RepositoryName, text)
    assert time.process_time() - started < 0.5


@given(st.lists(names, max_size=10))
def test_names_sort_bytewise(texts: list[str]) -> None:
    """Sorting names and sorting their bytes is the same."""
    ordered = [str(name).encode() for name in sorted(map(RepositoryName.parse, texts))]
    assert ordered == sorted(text.encode() for text in texts)


@given(tags)
def test_every_tag_of_the_grammar_is_accepted(text: str) -> None:
    """Tags that the grammar can make are accepted, and written as they were read."""
    assert str(Tag.parse(text)) == text


@given(damaged(tags))
@example("a" * 128)
@example("a" * 129)
@example("")
def test_a_damaged_tag_is_judged_by_the_grammar(text: str) -> None:
    """A text is accepted as a tag exactly if each of its letters may stand where it stands."""
    assert accepted(Tag, text) == is_tag(text)


@pytest.mark.parametrize(
    "text", ["", ".a", "-a", "a" * 129, "a/b", "a:b", "a\n", "a b", "ä", "a\0", "a+b", "@"]
)
def test_what_is_not_a_tag_is_refused(text: str) -> None:
    """Tags that break the grammar are refused."""
    with pytest.raises(ManifestInvalid):
        Tag.parse(text)


@given(tags)
def test_a_reference_without_a_colon_is_a_tag(text: str) -> None:
    """A tag in a URL is read as a tag, even if it looks like the digits of a digest."""
    assert parse_reference(text) == Tag(text)


@pytest.mark.parametrize("text", ["sha256:" + "0" * 64, "sha512:" + "f" * 128])
def test_a_reference_with_a_colon_is_a_digest(text: str) -> None:
    """A digest in a URL is read as a digest."""
    assert parse_reference(text) == Digest.parse(text)


@pytest.mark.parametrize("text", [":", "latest:", "sha256:zz", "md5:" + "0" * 32, "a:b:c"])
def test_a_reference_with_a_colon_is_no_tag(text: str) -> None:
    """A text with a colon that is not a digest is refused as a digest."""
    with pytest.raises(DigestInvalid):
        parse_reference(text)


@pytest.mark.parametrize("text", ["", ".INVALID_MANIFEST_NAME", "-", "a" * 129, "a\n"])
def test_nothing_is_known_under_a_bad_tag(text: str) -> None:
    """A bad tag in a URL stands for a manifest that is not there."""
    with pytest.raises(ManifestUnknown):
        parse_reference(text)
