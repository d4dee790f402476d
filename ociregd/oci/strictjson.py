"""
JSON that every reader understands alike.

A manifest is checked here and obeyed elsewhere, by programs in other languages. Where their JSON
readers differ, two of them see two manifests in the same bytes: the last of two equal keys or the
first, C{"Layers"} taken for C{"layers"} or passed over, C{true} as 1, UTF-16 or nothing at all. So
what is not plain I-JSON (RFC 7493) is refused, however politely Python would read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import NoReturn

from attrs import frozen

from ociregd.errors import ManifestInvalid
from ociregd.oci.quoting import quoted

# The largest size that fits a signed integer of 64 bits, as it is in SQL and in most clients.
_LARGEST_COUNT = 2**63 - 1


def parse_json(body: bytes) -> object:
    """
    Read a JSON document.

    @raise ManifestInvalid: if it is not JSON, or if readers might differ about what it says.
    """
    try:
        value: object = json.loads(
            body.decode("utf-8"),
            object_pairs_hook=_object,
            parse_float=_finite,
            parse_constant=_no_constant,
        )
        # Half of a surrogate pair can only come as an escape, and cannot be encoded again.
        if b"\\u" in body:
            json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise ManifestInvalid("the manifest is not UTF-8") from None
    except UnicodeEncodeError:
        raise ManifestInvalid("the manifest has half of a surrogate pair in a text") from None
    except RecursionError:
        raise ManifestInvalid("the manifest is nested too deeply") from None
    except json.JSONDecodeError as problem:
        raise ManifestInvalid(
            f"line {problem.lineno}, column {problem.colno} is not JSON: {problem.msg}"
        ) from None
    except ValueError:
        # Python refuses to read integers of thousands of digits, and says so with this.
        raise ManifestInvalid("the manifest has a number that is too long") from None
    return value


def fold(*keys: str) -> Mapping[str, str]:
    """
    Make the table of known keys that L{Properties.of} wants.
    """
    return {key.casefold(): key for key in keys}


@frozen
class Properties:
    """
    The properties of a JSON object, read with words for what is wrong about them.

    An optional property that is C{null} is one that is absent, as it is to every known client.
    """

    _values: Mapping[str, object]
    _where: str

    @classmethod
    def of(cls, value: object, where: str, known: Mapping[str, str]) -> Properties:
        """
        Take a value that should be an object.

        @param where: where it stands in the document, such as C{layers[2]}; empty for the document.
        @param known: the keys that mean something in such an object, from L{fold}. Others are
            allowed, but not those that some readers take for one of these.
        @raise ManifestInvalid: if it is no object, or if its keys are ambiguous.
        """
        if not isinstance(value, dict):
            raise ManifestInvalid(f"{where or 'the manifest'} must be an object")
        properties = cls(value, where)
        for key in value:
            meant = known.get(key.casefold(), key)
            if meant != key:
                raise ManifestInvalid(
                    f"{quoted(properties.place(key))} is ambiguous: write {meant!r}, "
                    "or another word"
                )
        return properties

    def place(self, key: str) -> str:
        """
        Say where a property stands in the document.
        """
        return f"{self._where}.{key}" if self._where else key

    def __contains__(self, key: str) -> bool:
        return key in self._values

    def value(self, key: str) -> object:
        """
        Return the value of an optional property as it is, or C{None}.
        """
        return self._values.get(key)

    def required(self, key: str) -> object:
        """
        Return the value of a property that has to be there.

        @raise ManifestInvalid: if it is not.
        """
        if key not in self._values:
            self._refuse(key, "is missing")
        return self._values[key]

    def text(self, key: str, longest: int) -> str:
        """
        Read a text that must be there, and have something in it.

        @raise ManifestInvalid: if it is absent, empty, no text, too long or has a NUL.
        """
        value = self.required(key)
        if not isinstance(value, str) or not value:
            self._refuse(key, "must be a text")
        return self._plain(key, value, longest)

    def optional_text(self, key: str, longest: int) -> str | None:
        """
        Read a text that may be absent. An empty one is: programs write it for one that is not set.

        @raise ManifestInvalid: if it is no text, too long or has a NUL.
        """
        value = self._values.get(key)
        if value is None or value == "":
            return None
        if not isinstance(value, str):
            self._refuse(key, "must be a text")
        return self._plain(key, value, longest)

    def count(self, key: str) -> int:
        """
        Read a number of bytes.

        @raise ManifestInvalid: if it is absent, not a whole number, negative or beyond 64 bits.
        """
        value = self.required(key)
        # A bool is an int to Python, and 5.0 is equal to 5: neither is a number of bytes.
        if type(value) is not int or not 0 <= value <= _LARGEST_COUNT:
            self._refuse(key, f"must be a whole number from 0 to {_LARGEST_COUNT}")
        return value

    def array(self, key: str) -> list[object]:
        """
        Read an array that must be there.

        @raise ManifestInvalid: if it is absent, or anything else.
        """
        value = self.required(key)
        if not isinstance(value, list):
            self._refuse(key, "must be an array")
        return value

    def texts(self, key: str) -> Mapping[str, str]:
        """
        Read an object of texts, empty if it is absent.

        @raise ManifestInvalid: if it is no object, or if one of its values is not a text.
        """
        value = self._values.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            self._refuse(key, "must be an object")
        for name, text in value.items():
            if not isinstance(text, str):
                self._refuse(key, f"must have texts only, and {quoted(name)} is none")
            if "\0" in name or "\0" in text:
                self._refuse(key, "must not have a NUL character")
        return value

    def _plain(self, key: str, text: str, longest: int) -> str:
        """
        Refuse a text that is too long, or that a database or a header could not hold.
        """
        # In bytes: a database has a limit for what it can find again.
        if len(text.encode("utf-8")) > longest:
            self._refuse(key, f"has more than {longest} bytes")
        if not text.isprintable():
            self._refuse(key, "must not have control characters")
        return text

    def _refuse(self, key: str, complaint: str) -> NoReturn:
        raise ManifestInvalid(f"{self.place(key)} {complaint}")


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """
    Make an object, unless a key comes twice.
    """
    properties = dict(pairs)
    if len(properties) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise ManifestInvalid(f"the key {quoted(key)} comes twice in an object")
            seen.add(key)
    return properties


def _finite(text: str) -> float:
    """
    Read a number with a fraction or an exponent, unless it is beyond all numbers.
    """
    number = float(text)
    if math.isinf(number):
        raise ManifestInvalid(f"the number {quoted(text)} is too large")
    return number


def _no_constant(text: str) -> NoReturn:
    raise ManifestInvalid(f"{text} is not a number in JSON")
