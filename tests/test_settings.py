"""
Tests for L{ociregd.settings} and what reads its values, and for the configuration that is shipped.
"""

from __future__ import annotations

import json
import re
import tomllib
import traceback
from pathlib import Path
from urllib.parse import unquote

import pytest
from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st
from psycopg2.extensions import parse_dsn

from ociregd import accesstable
from ociregd.access.patterns import Pattern
from ociregd.access.rules import Action, Rule, Rules
from ociregd.accesstable import Access
from ociregd.oci.names import RepositoryName
from ociregd.settings import ACCESS, KEYS, TABLES, Settings, SettingsError, parse

SHIPPED = Path(__file__).parent.parent / "etc" / "ociregd.toml"

DEFAULTS = {
    "listen": ("tcp:5000:interface=127.0.0.1",),
    "processes": 1,
    "storage": {"root": "/var/lib/ociregd"},
    "metadata": {
        "database": "sqlite",
        "pool_size": 10,
        "queue_size": 1000,
        "queue_timeout": 10.0,
        "connect_timeout": 5.0,
        "statement_timeout": 30.0,
    },
    "uploads": {"lifetime": 3600.0, "sweep_interval": 300.0},
    "registry": {"deletes": True},
    "limits": {
        "manifest_bytes": 4194304,
        "header_time": 10.0,
        "idle_time": 60.0,
        "rate_time": 30.0,
        "body_rate": 1024,
        "reader_rate": 1024,
    },
    "operations": {"listen": (), "grace": 30.0},
    "access": None,
}


def refusal_of(text: str) -> SettingsError:
    """Return why a configuration is refused."""
    with pytest.raises(SettingsError) as refusal:
        parse(text)
    return refusal.value


def test_nothing_configured_is_the_defaults() -> None:
    """An empty file leaves everything at its default."""
    assert asdict(parse("")) == DEFAULTS
    assert parse("") == Settings()


def test_every_setting_can_be_set() -> None:
    """Whatever the file says is what the settings are."""
    settings = parse(
        """
        listen = ["tcp:0", "unix:/run/ociregd.sock", "ssl:443:privateKey=a", "systemd:domain=INET"]
        processes = 1
        storage.root = "/srv/registry"
        [metadata]
        database = "postgres://registry:secret@db.example/registry?sslmode=verify-full"
        pool_size = 1000
        queue_size = 0
        queue_timeout = "1s"
        connect_timeout = "2m"
        statement_timeout = "1d"
        [uploads]
        lifetime = "7d"
        sweep_interval = "1s"
        [registry]
        deletes = false
        [limits]
        manifest_bytes = "64MiB"
        header_time = "1m"
        idle_time = "2h"
        rate_time = "36500d"
        body_rate = "1B"
        reader_rate = "1GiB"
        [operations]
        listen = ["tcp:5001"]
        grace = "0s"
        [access]
        htpasswd = "/etc/ociregd/htpasswd"
        scheme = "basic"
        groups.ops = ["alice", "bob"]
        [[access.rule]]
        repositories = "home/{user}/**"
        who = ["authenticated", "group:ops", "carol"]
        actions = ["pull", "push", "delete"]
        """
    )
    everything = frozenset(Action)
    who = frozenset(["authenticated", "group:ops", "carol"])
    assert settings.access == Access(
        "/etc/ociregd/htpasswd",
        "basic",
        Rules(
            [Rule(Pattern("home/{user}/**"), who, everything)],
            {"ops": frozenset(["alice", "bob"])},
        ),
    )
    assert asdict(evolve(settings, access=None)) == {
        "listen": (
            "tcp:0",
            "unix:/run/ociregd.sock",
            "ssl:443:privateKey=a",
            "systemd:domain=INET",
        ),
        "processes": 1,
        "storage": {"root": "/srv/registry"},
        "metadata": {
            "database": "postgres://registry:secret@db.example/registry?sslmode=verify-full",
            "pool_size": 1000,
            "queue_size": 0,
            "queue_timeout": 1.0,
            "connect_timeout": 120.0,
            "statement_timeout": 86400.0,
        },
        "uploads": {"lifetime": 604800.0, "sweep_interval": 1.0},
        "registry": {"deletes": False},
        "limits": {
            "manifest_bytes": 64 * 1024 * 1024,
            "header_time": 60.0,
            "idle_time": 7200.0,
            "rate_time": 36500 * 86400.0,
            "body_rate": 1,
            "reader_rate": 1024**3,
        },
        "operations": {"listen": ("tcp:5001",), "grace": 0.0},
        "access": None,
    }


def test_a_refusal_reads_well() -> None:
    """A refusal has line, key, the value, and what would be right."""
    problem = refusal_of(
        '# comment\nlisten = [\n  "tcp:5000",\n]\n\n[uploads]\nlifetime = "1 hour"'
    )
    assert (problem.line, problem.key) == (7, "uploads.lifetime")
    assert str(problem) == (
        'line 7: uploads.lifetime: "1 hour" is not a duration; '
        'write it like "30s", "5m", "1h" or "7d"'
    )


TIMEOUTS = ["metadata.queue_timeout", "metadata.connect_timeout", "metadata.statement_timeout"]
DURATIONS = [
    *TIMEOUTS,
    "uploads.lifetime",
    "uploads.sweep_interval",
    "limits.header_time",
    "limits.idle_time",
    "limits.rate_time",
    "operations.grace",
]
RATES = ["limits.body_rate", "limits.reader_rate"]
SIZES = ["limits.manifest_bytes", *RATES]

NEVER_A_DURATION = [
    '"1 hour"',
    '""',
    '"1"',
    '"s"',
    '"-1s"',
    '"+1s"',
    '"1.5h"',
    '" 1h"',
    '"1h "',
    '"1h\\n"',
    '"1H"',
    '"1ms"',
    '"1w"',
    '"1h30m"',
    '"\u0661h"',
    '"36501d"',
    '"99999999999999999999999s"',
    "3600",
    "1.0",
    "true",
    '["1h"]',
    "07:32:00",
    "inf",
    "{ hours = 1 }",
]
NEVER_A_SIZE = [
    '"4 MiB"',
    '""',
    '"4"',
    '"MiB"',
    '"-4MiB"',
    '"4MB"',
    '"4mib"',
    '"4M"',
    '"4TiB"',
    '"4.5MiB"',
    '"4MiB\\n"',
    '"\u0664MiB"',
    '"9999999999999999GiB"',
    "4194304",
    "true",
    "[]",
]

REFUSED = [
    *[(key, value) for key in DURATIONS for value in NEVER_A_DURATION],
    *[(key, '"0s"') for key in DURATIONS if key != "operations.grace"],
    *[(key, value) for key in TIMEOUTS for value in ('"25h"', '"30d"', '"36500d"')],
    *[(key, value) for key in SIZES for value in NEVER_A_SIZE],
    *[(key, value) for key in RATES for value in ('"0B"', '"0GiB"', '"1073741825B"', '"2GiB"')],
    ("limits.manifest_bytes", '"4194303B"'),
    ("limits.manifest_bytes", '"0B"'),
    ("limits.manifest_bytes", '"67108865B"'),
    *[("processes", value) for value in ("0", "2", "-1", "1.0", "true", '"1"', "[]")],
    ("processes", "0x" + "f" * 9000),
    *[("listen", value) for value in ("[]", '"tcp:5000"', "[5000]", '[""]', '["5000"]', "5000")],
    *[("listen", value) for value in ('["tcp:1", "udp:1"]', '["TCP:1"]', '[["tcp:1"]]', "{}")],
    ("listen", '[ "tcp:1", \n "tcp6:1" ]'),
    *[("storage.root", value) for value in ('""', '"var"', '"./x"', '"~/x"', '"/a\\u0000"', "1")],
    *[("metadata.database", value) for value in ('"SQLite"', '"mysql://u@h/d"', '""', "true")],
    *[("metadata.pool_size", value) for value in ("0", "1001", "-1", '"10"', "10.0", "true")],
    *[("metadata.queue_size", value) for value in ("-1", "100001", '"0"', "0.0", "false", "[]")],
    *[("registry.deletes", value) for value in ('"true"', "0", "1", '"no"', "[]")],
]


@pytest.mark.parametrize(("key", "value"), REFUSED)
def test_impossible_values_are_refused(key: str, value: str) -> None:
    """A value of the wrong kind, or out of bounds, is refused by its line and key."""
    problem = refusal_of(f"\n# comment\n{key} = {value}\n")
    assert (problem.line, problem.key) == (3, key)
    assert "write" in str(problem) or "too long" in str(problem)
    assert len(str(problem)) < 250


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:///registry",
        "postgres://db.example/registry",
        "postgresql://registry:pa%2Fss%40wo%25rd@db.example:5433/registry",
        "postgresql://registry:p?a:s#s@db.example/registry",
        "postgresql://registry@/registry?host=/run/postgresql",
        "postgresql://registry@%2Frun%2Fpostgresql/registry",
        "postgresql://[::1]:5433/registry",
        "postgresql://a,b/registry?target_session_attrs=read-write",
        "postgresql://a:5432,b:5433/registry",
        "postgresql://a,b/registry?port=5433",
        "postgresql:///registry?hostaddr=10.0.0.1,10.0.0.2&port=1,65535",
        "postgresql://h/registry?sslmode=verify-full&sslrootcert=/etc/ca.pem&passfile=/etc/pgpass",
    ],
)
def test_urls_of_postgresql(url: str) -> None:
    """Whatever the client library can connect to may be the database."""
    assert parse(f'metadata.database = "{url}"').metadata.database == url


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("host=h dbname=d password=SECRET", 'write "sqlite" or "postgresql://'),
        ("mysql://u:SECRET@h/d", 'write "sqlite" or "postgresql://'),
        ("Postgresql://u:SECRET@h/d", 'write "sqlite" or "postgresql://'),
        ("postgresql:/u:SECRET@h/d", 'write "sqlite" or "postgresql://'),
        ("postgresql://", "no name of a database"),
        ("postgresql://u:SECRET@h", "no name of a database"),
        ("postgresql://u:SECRET@h/", "no name of a database"),
        ("postgresql://u:SECRET@h/?dbname=", "no name of a database"),
        ("postgresql://u:SECRET@h/d?sslmod=x", "write those of libpq, like sslmode"),
        ("postgresql://h/d?SECRET=x", "write those of libpq, like sslmode"),
        ("postgresql://h/d?SECRET", "have to be pairs"),
        ("postgresql://h/d?user=SECRET=x", "have to be pairs"),
        ("postgresql://u:SECRET%@h/d", "% as %25"),
        ("postgresql://u:SECRET%zz@h/d", "% as %25"),
        ("postgresql://u:SECRET%00@h/d", "write one without it"),
        ("postgresql://u:SECRET\\u0000@h/d", "write one without it"),
        ("postgresql://u:SECRET@[::1/d", "cannot be read"),
        ("postgresql://u:SECRET@[]/d", "cannot be read"),
        ("postgresql://u:SECRET@[::1]x/d", "cannot be read"),
        ("postgresql://u:SECRET/x@h/d", "/ as %2F"),
        ("postgresql://u:123/SECRET@h/d", "/ as %2F"),
        ("postgresql://u:SECRET/d", "/ as %2F"),
        ("postgresql://u:x@SECRET@h/d", "@ as %40"),
        ("postgresql://u:SECRET@@h/d", "@ as %40"),
        ("postgresql://u:,[SECRET/],@h/d", "@ as %40"),
        ("postgresql://h/d@SECRET", "@ as %40"),
        ("postgresql://u:SECRET@h:0/d", "up to 65535"),
        ("postgresql://u:SECRET@h:65536/d", "up to 65535"),
        ("postgresql://u:SECRET@h/d?port=-1", "up to 65535"),
        ("postgresql://u:SECRET@a,b,c/d?port=1,2", "ports than hosts"),
        ("postgresql://u:SECRET@h/d?connect_timeout=3", "write metadata.connect_timeout"),
        ("postgresql://u:SECRET@h/d?client_encoding=LATIN1", "leave it out"),
    ],
)
def test_urls_that_cannot_be_meant(url: str, hint: str) -> None:
    """A URL that means nothing, or likely something else, is refused without being repeated."""
    problem = refusal_of(f'[metadata]\ndatabase = "{url}"')
    assert (problem.line, problem.key) == (2, "metadata.database")
    assert hint in str(problem)
    assert "SECRET" not in str(problem)
    assert len(str(problem)) < 250


PASSWORDS = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=9)


@given(PASSWORDS.map(lambda text: f"{text}SECRET") | PASSWORDS.map(lambda text: f"SECRET{text}"))
def test_passwords_are_never_repeated(password: str) -> None:
    """However a password stands in a URL, it is read as that, or refused without a word of it."""
    url = f"postgresql://registry:{password}@db.example/registry"
    told = ""
    try:
        read = parse_dsn(parse(f"metadata.database = {json.dumps(url)}").metadata.database)
        assert (read["host"], read["password"]) == ("db.example", unquote(password))
    except SettingsError as problem:
        told = "".join(traceback.format_exception(problem))
    assert "SECRET" not in told


@pytest.mark.parametrize(
    "text",
    [
        'storage.root = "{url}"',
        'listen = "{url}"',
        'listen = ["{url}"]',
        'metadata.pool_size = "{url}"',
        'metadata.queue_timeout = "{url}"',
        'metadata.database = ["{url}"]',
        'metadata.database = {{ url = "{url}" }}',
        'metadata.url = "{url}"',
        'metadata = "{url}"',
        'database = "{url}"',
    ],
)
def test_a_password_in_the_wrong_place(text: str) -> None:
    """A URL that stands behind another key is not repeated either."""
    problem = refusal_of(text.format(url="postgresql://u:SECRET@h/d"))
    assert "SECRET" not in str(problem)


def test_settings_are_printed_without_a_password() -> None:
    """Where settings are printed, what may hold a password is left out."""
    settings = parse('metadata.database = "postgresql://u:SECRET@h/d"')
    assert "SECRET" not in f"{settings} {settings!r} {settings.metadata}"
    assert "pool_size=10" in repr(settings)


@given(
    st.sampled_from([key for key in DURATIONS if key not in TIMEOUTS]),
    st.integers(1, 36500),
    st.sampled_from("smhd"),
)
def test_durations_are_seconds(key: str, number: int, unit: str) -> None:
    """A duration is read as a number of seconds, whatever its unit."""
    table, name = key.split(".")
    settings = parse(f'[{table}]\n{name} = "{number}{unit}"')
    factor = {"s": 1, "m": 60, "h": 3600, "d": 86400}[unit]
    assert asdict(settings)[table][name] == number * factor


@given(st.sampled_from(RATES), st.integers(1, 1024), st.sampled_from(["B", "KiB", "MiB"]))
def test_sizes_are_bytes(key: str, number: int, unit: str) -> None:
    """A size is read as a number of bytes, whatever its unit."""
    table, name = key.split(".")
    settings = parse(f'[{table}]\n{name} = "{number}{unit}"')
    assert asdict(settings)[table][name] == number * {"B": 1, "KiB": 1024, "MiB": 1048576}[unit]


@pytest.mark.parametrize(
    ("text", "line", "key", "hint"),
    [
        ('[uploads]\nlifetme = "1h"', 2, "uploads.lifetme", "did you mean uploads.lifetime?"),
        ('lifetime = "1h"', 1, "lifetime", "did you mean uploads.lifetime?"),
        ("\ndelete = false", 2, "delete", "did you mean registry.deletes?"),
        ('[uplaods]\nlifetime = "1h"', 1, "uplaods", "did you mean [uploads]?"),
        ('[storage]\n"Root" = "/x"', 2, "storage.Root", "did you mean storage.root?"),
        ("[limits]\nxyzzy = 1", 2, "limits.xyzzy", "there are limits.manifest_bytes, limits."),
        ("[tokens]\n", 1, "tokens", "there is no such table; there are listen, processes, "),
        ("[acces]\n", 1, "acces", "did you mean [access]?"),
        ("access = true", 1, "access", "write [access] and its keys below"),
        ("[collector]\nenabled = true", 1, "collector", "there is no such table"),
        ('[[acces.rule]]\nwho = ["x"]', 1, "acces", "there is no such table"),
        ("[operations]\nlisten = 'tcp:5001'", 2, "operations.listen", "is not a list of endpoints"),
        ("[uploads.lifetime]\nx = 1", 1, "uploads.lifetime", "is not a duration"),
        ('"a\\nb" = 1', 1, '"a\\nb"', "there is no such key"),
        ('storage = "/x"', 1, "storage", "write [storage] and its keys below"),
        ('[[storage]]\nroot = "/x"', 1, "storage", "write [storage] and its keys below"),
    ],
)
def test_what_does_not_exist_is_refused(text: str, line: int, key: str, hint: str) -> None:
    """Keys and tables that do not exist are refused, with what may have been meant."""
    problem = refusal_of(text)
    assert (problem.line, problem.key) == (line, key)
    assert hint in str(problem)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("processes = 1\nlisten = [,]", 2),
        ("a = 1\na = 2", 2),
        ("[storage]\n[storage]", 2),
        ("processes =", 1),
        ("listen = [\n'tcp:1'\n", 2),
        ("\ufeffprocesses = 1", 1),
        ("\0", 1),
    ],
)
def test_what_is_not_toml_is_refused(text: str, line: int) -> None:
    """A file that is not TOML is refused by its line."""
    problem = refusal_of(text)
    assert (problem.line, problem.key) == (line, "")
    assert "this is not TOML" in str(problem)


@pytest.mark.parametrize("value", ["1" * 5000, "[" * 100_000])
def test_what_cannot_be_read_is_refused(value: str) -> None:
    """Numbers and brackets without end are refused, as far as they can be read at all."""
    assert refusal_of(f"processes = {value}").line is None


fragments = st.sampled_from(
    [*KEYS, *TABLES, "x", " = ", ".", "1", "true", '"1h"', "[", "]", "{", "}", ",", '"', "'", '"""']
)


@given(st.lists(fragments | st.sampled_from("\n#") | st.text(max_size=3), max_size=12).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    """Whatever a file holds, it is a configuration, or a refusal of one of its lines."""
    try:
        parse(text)
        line = None
    except SettingsError as problem:
        line = problem.line
    assert line is None or 1 <= line <= text.count("\n") + 1


@pytest.fixture(scope="module")
def shipped() -> str:
    """The configuration that is shipped."""
    return SHIPPED.read_text("utf-8")


SETTING = re.compile(r"^#(?=[a-z_]+ = )", re.MULTILINE)
ACCESS_LINE = re.compile(r"^#(?=[a-z_]+ = |\[)", re.MULTILINE)


def before_access(shipped: str) -> str:
    """The part where keys stand at their defaults; the default of [access] is not to be there."""
    return shipped.partition("#[access]")[0]


def test_the_shipped_example_of_access(shipped: str) -> None:
    """With its comment signs taken away, the last table has every key and says what it promises."""
    text = ACCESS_LINE.sub("", shipped)
    access = parse(text).access
    assert access is not None
    assert access.htpasswd == "/etc/ociregd/htpasswd"
    assert set(tomllib.loads(text)["access"]) == set(accesstable.KEYS)
    name = RepositoryName("public/app")
    allowed = {
        (user, text)
        for user in (None, "alice", "erin")
        for text in ("public/app", "home/erin/app", "team/app")
        if access.rules.caller(user).may(Action.PULL, RepositoryName(text))
    }
    everything = {("alice", "home/erin/app"), ("alice", "team/app"), ("erin", "home/erin/app")}
    assert allowed == everything | {(user, str(name)) for user in (None, "alice", "erin")}
    assert not access.rules.caller(None).may(Action.PUSH, name)


def test_the_shipped_configuration_is_the_defaults(shipped: str) -> None:
    """The shipped file changes nothing, and neither does taking its comment signs away."""
    assert parse(shipped) == Settings()
    assert parse(SETTING.sub("", before_access(shipped))) == Settings()


def test_the_shipped_configuration_is_complete(shipped: str) -> None:
    """Every setting is in the shipped file, in its table, and none is set."""
    document = tomllib.loads(SETTING.sub("", before_access(shipped)))
    found = [
        f"{name}.{key}" if name in TABLES else name
        for name, value in document.items()
        for key in (value if name in TABLES else [name])
    ]
    assert found == list(KEYS)
    assert all(value == {} for value in tomllib.loads(shipped).values())


def test_every_shipped_setting_is_explained(shipped: str) -> None:
    """Before every setting stands a comment that ends with a full stop."""
    lines = before_access(shipped).splitlines()
    places = [place for place, line in enumerate(lines) if SETTING.match(line)]
    assert len(places) == len(KEYS)
    assert [lines[place] for place in places if not re.fullmatch(r"# .*\.", lines[place - 1])] == []


def test_a_table_is_known_by_the_settings() -> None:
    """Each table is an attribute of the settings, and the other way round."""
    assert {*(key.partition(".")[0] for key in KEYS), ACCESS} == set(asdict(Settings()))
