"""
Where the keys of a TOML document stand.

The parser of the standard library gives values without their places. This finds the places, in a
document that it has accepted; it reads keys and brackets, and passes over values.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping

_TOKEN = re.compile(
    r'''
      (?P<text>
          """ (?: \\. | [^\\] )*? """ "{0,2}
        | \'\'\' .*? \'\'\' '{0,2}
        | " (?: \\. | [^"\\\n] )* "
        | ' [^'\n]* '
      )
    | (?P<comment> \# [^\n]* )
    | (?P<bare> [^\s\#"'\[\]{}=,.]+ )
    | (?P<sign> [\n\[\]{}=] )
    ''',
    re.VERBOSE | re.DOTALL,
)

Path = tuple[str, ...]


def lines(text: str) -> Mapping[Path, int]:
    """
    Return the line, counted from 1, of every key and table that is not inside of a value. What is
    written more than once (as a table may be, in parts) has the line where it comes first.
    """
    found: dict[Path, int] = {}
    table: Path = ()
    for statement in _statements(text):
        line, first, _ = statement[0]
        in_header = first == "["
        keys = _keys(statement[1:] if in_header else statement)
        if in_header:
            table = keys
        path = keys if in_header else table + keys
        for length in range(1, len(path) + 1):
            found.setdefault(path[:length], line)
    return found


def line_of(text: str, path: Path) -> int | None:
    """
    Return the line of a key, or of the value that it is written in; C{None} if it is not there.
    """
    found = lines(text)
    for length in range(len(path), 0, -1):
        if path[:length] in found:
            return found[path[:length]]
    return None


def line_of_element(text: str, path: Path, number: int, *key: str) -> int | None:
    """
    Return the line of one of the tables that are written as C{[[path]]}, counted from 0, or of a
    key in it; of the whole list if it is written in another way.
    """
    seen, line, inside = -1, None, False
    for statement in _statements(text):
        first = statement[0]
        if first[1] == "[":
            double = [sign for _, sign, _ in statement[:2]] == ["[", "["]
            mine = double and _keys(statement[1:]) == path
            seen += mine
            inside = mine and seen == number
            line = first[0] if inside else line
        elif inside and key and _keys(statement)[: len(key)] == key:
            return first[0]
    return line if line is not None else line_of(text, path)


# A line, what stands there, and the name of its group in the expression above.
_Token = tuple[int, str, str]


def _statements(text: str) -> Iterator[list[_Token]]:
    """
    Cut a document into headers and assignments: they end with the line, unless brackets are open.
    """
    statement: list[_Token] = []
    depth = 0
    for token in _tokens(text):
        sign = token[1]
        if sign == "\n" and depth == 0:
            if statement:
                yield statement
            statement = []
        elif sign != "\n":
            depth += (sign in "[{") - (sign in "]}")
            statement.append(token)
    if statement:
        yield statement


def _tokens(text: str) -> Iterator[_Token]:
    line, position = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", position, match.start())
        position = match.start()
        if match.lastgroup is not None and match.lastgroup != "comment":
            yield line, match.group(), match.lastgroup


def _keys(statement: list[_Token]) -> Path:
    """
    Read the dotted key that a statement begins with.
    """
    keys: list[str] = []
    for _, word, kind in statement:
        if kind == "sign" and word != "[":
            break
        if kind == "text":
            word = tomllib.loads(f"key = {word}")["key"]
        if kind != "sign":
            keys.append(word)
    return tuple(keys)
