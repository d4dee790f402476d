"""
Which database, as an operator writes it: the word C{sqlite}, or a URL of PostgreSQL.

A URL may hold a password, so nothing here repeats any of it. Where a password in it is not written
as it has to be, the client library would take pieces of it for a host or a port, and name them in
its errors: that is refused too.
"""

from __future__ import annotations

import re

import psycopg2
from psycopg2.extensions import parse_dsn

from ociregd.quantities import Wrong

SQLITE = "sqlite"

SCHEMES = ("postgresql://", "postgres://")

PORTS = range(1, 65536)

#: What a connection is told in any case, and what to do instead of saying it in the URL.
OURS = {
    "client_encoding": "leave it out",
    "connect_timeout": "write metadata.connect_timeout for it",
}

ESCAPES = "write / as %2F, @ as %40 and % as %25 in a user name or password"

# By what the client library says of a URL. Its own words would repeat a part of that.
UNREADABLE = {
    "invalid URI query parameter": "an option in the URL is unknown; "
    "write those of libpq, like sslmode, sslrootcert or passfile",
    "query parameter": "the options in the URL have to be pairs; "
    'write them like "?sslmode=require&host=/run/postgresql"',
    "forbidden value": "the URL has a %00; write one without it",
    "percent-encoded": f"a % in the URL is not followed by two hexadecimal digits; {ESCAPES}",
}


def database(value: object) -> str:
    """
    Read which database is meant.

    @raise Wrong: if it is none that is known, or a URL that the client library cannot read or would
        misunderstand.
    """
    if value == SQLITE:
        return SQLITE
    if not isinstance(value, str) or not value.startswith(SCHEMES):
        raise Wrong(
            'this is not a known database; write "sqlite" or "postgresql://USER@HOST/DATABASE"'
        )
    parameters = _parameters(value)
    for option, instead in OURS.items():
        if option in parameters:
            raise Wrong(f"{option} cannot be set in the URL; {instead}")
    _check_place(parameters)
    return value


def _parameters(url: str) -> dict[str, str]:
    """Take a URL apart as the client library does."""
    if "\0" in url:
        # It would stop reading there.
        raise Wrong("the URL has a zero character; write one without it")
    try:
        parameters: dict[str, str] = parse_dsn(url)
    except (psycopg2.Error, UnicodeError) as problem:
        # Not chained: nobody shall read the words of the library in a traceback either.
        unreadable = (words for marker, words in UNREADABLE.items() if marker in str(problem))
        raise Wrong(next(unreadable, f"the URL cannot be read; {ESCAPES}")) from None
    return parameters


def _check_place(parameters: dict[str, str]) -> None:
    """Refuse hosts, ports and a database that can hardly be meant."""
    name = parameters.get("dbname", "")
    if not name:
        # The client library would take the name of the user.
        raise Wrong(
            "the URL has no name of a database; "
            'write it at the end, like "postgresql://USER@HOST/DATABASE"'
        )
    hosts = (parameters.get("host") or parameters.get("hostaddr", "")).split(",")
    ports = parameters.get("port", "").split(",")
    if re.search("[/@]", name) or any("@" in host for host in hosts):
        # Most likely they were torn out of a password.
        raise Wrong(f"the URL is ambiguous; {ESCAPES}")
    if not all(re.fullmatch("[0-9]{0,5}", port) and int(port or 1) in PORTS for port in ports):
        raise Wrong(f"the port in the URL is none; write a number up to 65535, and {ESCAPES}")
    if len(ports) not in (1, len(hosts)):
        raise Wrong("the URL has more or fewer ports than hosts; write one port, or one for each")
