"""
Tests for L{ociregd.oci.strictjson}.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ociregd.errors import ManifestInvalid
from ociregd.oci.strictjson import Properties, fold, parse_json

KNOWN = fold("layers", "mediaType", "size")

values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=15,
)


def encodable(value: object) -> bool:
    """Say whether a value has no half of a surrogate pair anywhere."""
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


@given(values.filter(encodable), st.booleans())
def test_plain_json_is_read(value: object, ascii_only: bool) -> None:
    """Whatever JSON can say plainly is read as Python reads it, with escapes or without."""
    assert parse_json(json.dumps(value, ensure_ascii=ascii_only).encode()) == value


@given(st.binary(max_size=60))
def test_bytes_of_any_kind_are_read_or_refused(body: bytes) -> None:
    """Bytes that are not JSON are refused, and nothing else happens."""
    try:
        parse_json(body)
    except ManifestInvalid:
        pass
    else:
        json.loads(body)


AMBIGUOUS = {
    "empty": b"",
    "not JSON": b"{]",
    "two documents": b"{}{}",
    "a comment": b"{} // x",
    "a trailing comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
    "a leading zero": b'{"a":01}',
    "a plus sign": b'{"a":+1}',
    "digits of another script": '{"a":\u0661}'.encode(),
    "a byte order mark": b"\xef\xbb\xbf{}",
    "UTF-16": "{}".encode("utf-16"),
    "UTF-16 without a mark": "{}".encode("utf-16-le"),
    "UTF-32": "{}".encode("utf-32"),
    "Latin-1": '{"a":"ä"}'.encode("latin-1"),
    "overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "a raw control character": b'{"a":"\n"}',
    "a duplicate key": b'{"a":1,"a":1}',
    "a duplicate key, escaped": b'{"a":1,"\\u0061":1}',
    "a duplicate key, further down": b'{"a":[{"b":{"c":1,"d":2,"c":3}}]}',
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":Infinity}',
    "minus Infinity": b'{"a":-Infinity}',
    "a number beyond all": b'{"a":1e400}',
    "a negative number beyond all": b'{"a":-1e400}',
    "an integer of 5000 digits": b'{"a":' + b"1" * 5000 + b"}",
    "the first half of a pair": b'{"a":"\\ud800"}',
    "the second half of a pair": b'{"a":["\\udfff"]}',
    "half of a pair in a key": b'{"\\ud800":1}',
    "deep arrays": b"[" * 100_000,
    "deep and closed arrays": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000,
}


@pytest.mark.parametrize("body", AMBIGUOUS.values(), ids=AMBIGUOUS.keys())
def test_what_others_may_read_otherwise_is_refused(body: bytes) -> None:
    """What is not JSON, or not the same JSON to every reader, is refused with a brief reason."""
    with pytest.raises(ManifestInvalid) as refusal:
        parse_json(body)
    assert 0 < len(str(refusal.value)) < 400


@pytest.mark.parametrize("depth", range(100, 2000, 100))
def test_nesting_is_read_or_refused(depth: int) -> None:
    """However deep a document with escapes is, it is read or refused."""
    body = b'["\\u0041",' * depth + b"1" + b"]" * depth
    with suppress(ManifestInvalid):
        parse_json(body)


def test_a_whole_pair_is_one_character() -> None:
    """Two halves of a surrogate pair that belong together are read."""
    assert parse_json(b'"\\ud83d\\udd11"') == "\U0001f511"


def test_a_refusal_says_where_the_json_ends() -> None:
    """A document that is not JSON is refused with the line and column of the fault."""
    with pytest.raises(ManifestInvalid, match="line 2, column 5"):
        parse_json(b'{\n"a":}')


@pytest.mark.parametrize(
    "key", ["Layers", "LAYERS", "layer\u017f", "mediatype", "MediaType", "\u017fize", "Size"]
)
def test_a_key_that_folds_to_a_known_one_is_refused(key: str) -> None:
    """A key that readers without regard to case take for a known one is refused."""
    with pytest.raises(ManifestInvalid, match="ambiguous"):
        Properties.of({key: 1}, "", KNOWN)


@pytest.mark.parametrize("key", ["layers", "layer", "layers2", "Other", "", "media_type"])
def test_other_keys_are_allowed(key: str) -> None:
    """Known keys as they are, and words of one's own, are no fault."""
    assert key in Properties.of({key: 1}, "", KNOWN)


@pytest.mark.parametrize("value", [None, [], "", 1, True, "text"])
def test_an_object_is_wanted(value: object) -> None:
    """A value that is not an object is refused where it stands."""
    with pytest.raises(ManifestInvalid, match=r"layers\[2\] must be an object"):
        Properties.of(value, "layers[2]", KNOWN)


def refused_for(read: str, value: object) -> bool:
    """Say whether a property of C{layers[2]} is refused, with its place in the refusal."""
    properties = Properties.of({"key": value}, "layers[2]", KNOWN)
    readers: dict[str, Callable[[], object]] = {
        "text": lambda: properties.text("key", 5),
        "optional_text": lambda: properties.optional_text("key", 5),
        "count": lambda: properties.count("key"),
        "array": lambda: properties.array("key"),
        "texts": lambda: properties.texts("key"),
    }
    try:
        readers[read]()
    except ManifestInvalid as refusal:
        return str(refusal).startswith("layers[2].key ")
    return False


@pytest.mark.parametrize(
    ("read", "right", "wrong"),
    [
        (
            "text",
            ["a", "aaaaa", "äöa"],
            [None, "", 1, True, [], {}, "aaaaaa", "äöü", "a\0", "a\n", "\x7f"],
        ),
        ("optional_text", [None, "", "aaaaa"], [1, False, [], {}, "aaaaaa", "a\0"]),
        ("count", [0, 1, 2**63 - 1], [None, -1, 2**63, True, False, 5.0, "5", [], {}]),
        ("array", [[], [1]], [None, {}, "", 0, False]),
        (
            "texts",
            [None, {}, {"a": "b"}, {"": ""}, {"a": "x" * 9999 + "\n"}],
            [[], "", 1, False, {"a": 1}, {"a": None}, {"a": "b\0"}, {"a\0": "b"}],
        ),
    ],
)
def test_values_are_of_the_wanted_kind(read: str, right: list[object], wrong: list[object]) -> None:
    """Each reader takes its kind of value, and refuses every other where it stands."""
    assert [value for value in right if refused_for(read, value)] == []
    assert [value for value in wrong if not refused_for(read, value)] == []


def test_what_must_be_there_is_missed_by_name() -> None:
    """A property that has to be there is named when it is not."""
    with pytest.raises(ManifestInvalid, match=r"^size is missing$"):
        Properties.of({}, "", KNOWN).count("size")
