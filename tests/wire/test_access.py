"""
Every route by every kind of caller: what is allowed happens, and what is not changes nothing.
"""

from __future__ import annotations

import os
import sqlite3
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path

import pytest
from twisted.logger import LogEvent, formatEvent, globalLogPublisher

from ociregd.access.patterns import Pattern
from ociregd.access.rules import Action, Rule, Rules
from ociregd.web.api import RegistryAPI
from ociregd.web.guard import Needs

from ..access.users import PASSWORDS, USERS, as_user, basic
from ..harness import InMemoryRegistry, Wire
from ..messages import Answer, digest_of, image_manifest, new_content, request
from ..workers import Later
from .conftest import NewRegistry

PULL, PUSH, DELETE = Action.PULL, Action.PUSH, Action.DELETE

# What each may do in team/, by the name of the user; and who has shown no credentials is None.
RIGHTS: dict[str | None, set[Action]] = {
    "alice": {PULL, PUSH, DELETE},
    "bob": {PULL},
    "carol": {PUSH},
    "dave": {DELETE},
    "erin": set(),
    None: set(),
}


def rule(repositories: str, who: str, *actions: Action) -> Rule:
    """A rule about one kind of caller."""
    return Rule(Pattern.parse(repositories), frozenset([who]), frozenset(actions))


TEAM = [rule("team/**", user, *actions) for user, actions in RIGHTS.items() if user and actions]
RULES = Rules(
    [
        *TEAM,
        rule("public/**", "anonymous", PULL),
        rule("home/{user}/**", "authenticated", PULL, PUSH),
        rule("other/**", "erin", PULL, PUSH),
    ]
)

CONFIG = b"{}"
LAYER = new_content()
MANIFEST = image_manifest(CONFIG, layers=[])
MANIFEST_TYPE = ("Content-Type", "application/vnd.oci.image.manifest.v1+json")
ABSENT = "sha256:" + "0" * 64
NUMBERS = count(100)
NO_SESSION = "00000000-0000-4000-8000-000000000000"

# Every way to ask a route: method, what comes behind the name, and what it needs. What is in braces
# is there in the repository that is asked.
REQUESTS = [
    *((method, "blobs/{layer}", PULL) for method in ("GET", "HEAD")),
    *((method, f"blobs/{ABSENT}", PULL) for method in ("GET", "HEAD")),
    *((method, "blobs/sha256:zz", PULL) for method in ("GET", "HEAD")),
    *((method, "manifests/v1", PULL) for method in ("GET", "HEAD")),
    *((method, "manifests/{manifest}", PULL) for method in ("GET", "HEAD")),
    *((method, "manifests/none", PULL) for method in ("GET", "HEAD")),
    *((method, "manifests/-bad", PULL) for method in ("GET", "HEAD")),
    *((method, "tags/list", PULL) for method in ("GET", "HEAD")),
    ("GET", "tags/list?n=1&last=a", PULL),
    ("GET", "tags/list?n=x", PULL),
    *((method, "referrers/{manifest}", PULL) for method in ("GET", "HEAD")),
    ("GET", "referrers/{manifest}?artifactType=x&n=1", PULL),
    ("POST", "blobs/uploads/", PUSH),
    ("POST", "blobs/uploads", PUSH),
    ("POST", "blobs/uploads/?digest={layer}", PUSH),
    ("POST", "blobs/uploads/?mount={layer}&from=BAD", PUSH),
    ("PATCH", "blobs/uploads/{session}", PUSH),
    ("PUT", "blobs/uploads/{session}?digest={layer}", PUSH),
    *((method, "blobs/uploads/{session}", PUSH) for method in ("GET", "HEAD", "DELETE")),
    ("PATCH", f"blobs/uploads/{NO_SESSION}", PUSH),
    ("PUT", "manifests/v2", PUSH),
    ("PUT", "manifests/{manifest}?tag=v3", PUSH),
    ("DELETE", "manifests/v1", DELETE),
    ("DELETE", "manifests/none", DELETE),
    ("DELETE", "manifests/{manifest}", DELETE),
    ("DELETE", f"manifests/{ABSENT}", DELETE),
    ("DELETE", "blobs/{layer}", DELETE),
    ("DELETE", f"blobs/{ABSENT}", DELETE),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where all these registries keep their data."""
    return tmp_path_factory.mktemp("registry")


@pytest.fixture
def open_registry(place: Path) -> Iterator[InMemoryRegistry]:
    """The same data, for everybody: what is there was put there by this one."""
    registry = InMemoryRegistry(place)
    yield registry
    registry.close()


@pytest.fixture
def guarded(place: Path) -> Iterator[InMemoryRegistry]:
    """A registry with the rules above."""
    registry = InMemoryRegistry(place, rules=RULES, users=USERS)
    yield registry
    registry.close()


def fill(registry: InMemoryRegistry, name: str) -> dict[str, str]:
    """Push an image and begin an upload; what there is to put into the requests."""
    registry.push(name, CONFIG)
    layer = registry.push(name, LAYER).rpartition("/")[2]
    pushed = registry.call("PUT", f"/v2/{name}/manifests/v1", [MANIFEST_TYPE], MANIFEST)
    assert pushed.status == 201, pushed
    session = registry.begin(name).rpartition("/")[2]
    return {"layer": layer, "manifest": digest_of(MANIFEST), "session": session}


State = Callable[[], tuple[int, set[tuple[str, int]]]]


@pytest.fixture
def state(place: Path, guarded: InMemoryRegistry) -> Iterator[State]:
    """Tells of all that a registry remembers whether it has changed: its rows and its files."""
    with closing(sqlite3.connect(place / "metadata.sqlite3")) as connection:

        def look() -> tuple[int, set[tuple[str, int]]]:
            # Another number after each commit of somebody else that has written something.
            [(version,)] = connection.execute("PRAGMA data_version")
            return version, set(files(place))

        yield look


def files(directory: Path) -> Iterator[tuple[str, int]]:
    """All files, and when they were written."""
    for folder, _, names in os.walk(directory):
        for name in names:
            if not name.startswith("metadata.sqlite3"):
                path = os.path.join(folder, name)
                yield path, os.stat(path).st_mtime_ns


def ask(registry: InMemoryRegistry, user: str | None, method: str, rest: str, name: str) -> Answer:
    """Send one of the requests above."""
    body = None
    headers = [*as_user(user)]
    if method in ("PUT", "POST", "PATCH"):
        body = MANIFEST if "manifests" in rest else LAYER
        body = b"" if rest.endswith(("uploads", "uploads/", "BAD")) else body
        headers.append(MANIFEST_TYPE)
    return registry.call(method, f"/v2/{name}/{rest}", headers, body)


def undated(answer: Answer) -> Answer:
    """An answer without the time of day."""
    headers = tuple(pair for pair in answer.headers if pair[0] != "Date")
    return Answer(answer.status, headers, answer.body)


@pytest.mark.parametrize("user", RIGHTS)
@pytest.mark.parametrize(("method", "rest", "action"), REQUESTS)
def test_every_route(
    open_registry: InMemoryRegistry,
    guarded: InMemoryRegistry,
    state: State,
    user: str | None,
    method: str,
    rest: str,
    action: Action,
) -> None:
    """
    Who may is answered as by a registry without rules. Who may not is told so, or is told of a
    repository that does not exist; and in any case nothing has changed.
    """
    number = next(NUMBERS)
    name, absent, fresh = (f"team/{word}{number}" for word in ("there", "never", "ready"))
    parts = fill(open_registry, name)
    others = fill(open_registry, fresh)
    rest = rest.format(**parts)
    rights = RIGHTS[user]
    before = state()
    answer = ask(guarded, user, method, rest, name)
    if action in rights:
        equal = ask(
            open_registry, None, method, rest.replace(parts["session"], others["session"]), fresh
        )
        assert answer.status == equal.status
        assert answer.body == equal.body.replace(fresh.encode(), name.encode())
        return
    assert state() == before
    without = ask(guarded, user, method, rest, absent)
    assert state() == before
    if user is None:
        assert answer.status == without.status == 401
        assert answer.header("WWW-Authenticate") == 'Basic realm="ociregd"'
    elif action is PUSH or (action is DELETE and PULL in rights):
        assert answer.status == without.status == 403
    else:
        # As the real thing is for those who may see that it is not there.
        real = ask(open_registry, None, method, rest, absent)
        assert state() == before
        assert undated(without) == undated(real)
    assert answer.body.replace(name.encode(), b"?") == without.body.replace(absent.encode(), b"?")
    assert {key for key, _ in answer.headers} == {key for key, _ in without.headers}
    if method != "HEAD" and answer.status in (401, 403):
        assert answer.codes == ["UNAUTHORIZED" if answer.status == 401 else "DENIED"]


def test_every_route_is_asked_above() -> None:
    """A new route fails this test until it is known what it needs."""
    needs = {
        (method, rule.rule): RegistryAPI.app.needs[str(rule.endpoint)]
        for rule in RegistryAPI.app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    name, uploads = "/v2/<name:name>", "/v2/<name:name>/blobs/uploads"
    expected = {
        **{(method, "/v2/"): Needs.CREDENTIALS for method in ("GET", "HEAD")},
        **{(method, "/v2/_catalog"): Needs.LISTING for method in ("GET", "HEAD")},
        **{
            (method, f"{name}/{rest}"): Needs.PULL
            for method in ("GET", "HEAD")
            for rest in (
                "blobs/<digest:digest>",
                "manifests/<reference>",
                "tags/list",
                "referrers/<digest>",
            )
        },
        **{("POST", path): Needs.PUSH for path in (uploads, f"{uploads}/")},
        **{
            (method, f"{uploads}/<session_id>"): Needs.PUSH
            for method in ("GET", "HEAD", "PATCH", "PUT", "DELETE")
        },
        ("PUT", f"{name}/manifests/<reference>"): Needs.PUSH,
        ("DELETE", f"{name}/manifests/<reference>"): Needs.DELETE,
        ("DELETE", f"{name}/blobs/<digest:digest>"): Needs.DELETE,
    }
    assert needs == expected
    asked = {
        (
            method,
            RegistryAPI.app.url_map.bind("x").match(f"/v2/a/{rest.partition('?')[0]}", method)[0],
        )
        for method, rest, _ in REQUESTS
    }
    endpoints = {
        (method, rule.endpoint)
        for rule in RegistryAPI.app.url_map.iter_rules()
        for method in rule.methods or ()
    }
    assert endpoints - asked == {
        (method, endpoint)
        for method in ("GET", "HEAD")
        for endpoint in ("ping", "list_repositories")
    }


def test_a_route_that_needs_nothing_cannot_be_written() -> None:
    """Whoever forgets what a new route needs has no route."""
    with pytest.raises(TypeError):
        RegistryAPI.app.route("/v2/new", methods=["GET"])


@pytest.mark.parametrize(("method", "rest", "action"), REQUESTS)
def test_no_route_for_strangers(
    open_registry: InMemoryRegistry,
    guarded: InMemoryRegistry,
    state: State,
    method: str,
    rest: str,
    action: Action,
) -> None:
    """Wrong credentials are 401 wherever they are shown, even where none are needed."""
    name = "public/app"
    parts = fill(open_registry, name)
    before = state()
    headers = [("Authorization", basic("alice", "wrong"))]
    body = b"x" if method in ("PUT", "POST", "PATCH") else None
    answer = guarded.call(method, f"/v2/{name}/{rest.format(**parts)}", headers, body)
    assert answer.status == 401
    assert answer.header("WWW-Authenticate") == 'Basic realm="ociregd"'
    assert state() == before
    expected = {PULL: range(200, 500), PUSH: [401], DELETE: [401]}[action]
    status = ask(guarded, None, method, rest.format(**parts), name).status
    assert status in expected
    assert (status == 401) is (action is not PULL)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_ping(guarded: InMemoryRegistry, method: str) -> None:
    """Clients learn here that they need credentials, and whether theirs are right."""
    challenge = 'Basic realm="ociregd"'
    for headers in ((), [("Authorization", "Basic Og==")]):
        answer = guarded.call(method, "/v2/", headers)
        assert (answer.status, answer.header("WWW-Authenticate")) == (401, challenge)
    assert guarded.call(method, "/v2/", as_user("erin")).status == 200
    assert guarded.call(method, "/v2/", [("Authorization", basic("erin", "no"))]).status == 401


BAD = [
    "",
    "Basic",
    "Basic ",
    "Basic !!!",
    "Basic QQ",
    "Basic " + b64encode(b"alice").decode(),
    "Bearer abc",
    "Digest username=alice",
    basic("alice", ""),
    basic("", PASSWORDS["alice"]),
    basic("alice", PASSWORDS["alice"] + "\0"),
    basic("alice\0", PASSWORDS["alice"]),
    basic("ALICE", PASSWORDS["alice"]),
    basic("alice ", PASSWORDS["alice"]),
    basic(b"\xff\xfe", b"\xff"),
    basic("alice", "x" * 72),
    basic("alice", "x" * 73),
    basic("alice", "x" * 1000),
    basic("anonymous", ""),
    basic("authenticated", "x"),
    basic("group:ops", "x"),
    "Basic " + "A" * 40_000,
    "Basic " + "." * 16_000,
    "Basic " + b64encode(b"alice:").decode() + b64encode(b"x").decode(),
]


@pytest.mark.parametrize("value", BAD)
def test_what_are_no_credentials(guarded: InMemoryRegistry, value: str) -> None:
    """Whatever is shown that is not a password of somebody's is 401, and never a fault."""
    answer = guarded.call("GET", "/v2/public/app/tags/list", [("Authorization", value)])
    assert answer.status == 401
    assert answer.codes == ["UNAUTHORIZED"]


def test_two_headers(guarded: InMemoryRegistry) -> None:
    """Who sends two credentials is nobody, even if both are right."""
    answer = guarded.call("GET", "/v2/", [*as_user("alice"), *as_user("alice")])
    assert answer.status == 401


@pytest.mark.parametrize("scheme", ["Basic", "basic", "BASIC"])
def test_the_scheme_in_any_case(guarded: InMemoryRegistry, scheme: str) -> None:
    """The name of the scheme is not sensitive to case."""
    value = basic("alice", PASSWORDS["alice"]).replace("Basic", scheme)
    assert guarded.call("GET", "/v2/", [("Authorization", value)]).status == 200


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-User", "X-Remote-User", "Remote-User", "X-WEBAUTH-USER", "X-SSL-Client-CN"],
)
def test_nobody_is_who_a_header_claims(guarded: InMemoryRegistry, header: str) -> None:
    """Headers by which proxies name users mean nothing."""
    headers = [(header, "alice"), ("Cookie", f"token={PASSWORDS['alice']}")]
    assert guarded.call("GET", "/v2/?user=alice&account=alice", headers).status == 401


def test_nothing_is_said_of_the_body(guarded: InMemoryRegistry) -> None:
    """Who is refused is not told to go on, and what was sent anyway is no next request."""
    for user in (None, "bob"):
        wire = guarded.connect()
        head = [("Expect", "100-continue"), ("Content-Length", "1000000000"), *as_user(user)]
        wire.send(request("POST", f"/v2/team/app/blobs/uploads/?digest={ABSENT}", head))
        answer = wire.answer("POST")
        assert answer.status == (401 if user is None else 403)
        assert answer.header("Connection") == "close"
        wire.hang_up()


def test_a_body_is_dropped(guarded: InMemoryRegistry) -> None:
    """Who sends the body with the headers hears the refusal, and may go on."""
    wire = guarded.connect()
    wire.send(
        request("PATCH", f"/v2/team/app/blobs/uploads/{NO_SESSION}", (), b"x" * 100_000)
        + request("GET", "/v2/", as_user("alice"))
    )
    assert [answer.status for answer in wire.answers("PATCH", "GET")] == [401, 200]


def test_requests_on_one_connection(guarded: InMemoryRegistry) -> None:
    """Nobody gets the rights of who came before on the same connection."""
    wire = guarded.connect()
    users = ["alice", None, "bob", "erin", None, "alice"]
    path = "/v2/team/app/blobs/uploads/"
    wire.send(b"".join(request("POST", path, as_user(user), b"") for user in users))
    answers = wire.answers(*["POST"] * len(users))
    assert [answer.status for answer in answers] == [202, 401, 403, 403, 401, 202]


def pipelined(wire: Wire) -> list[int]:
    """What came back so far."""
    return [answer.status for answer in wire.answers("GET")]


def test_a_client_that_goes_while_its_password_is_checked(tmp_path: Path) -> None:
    """The check ends in its own time, and others who wait for the same hear of it."""
    registry = InMemoryRegistry(tmp_path, rules=RULES, users=USERS, worker=Later(), at_work=False)
    first, second = registry.connect(), registry.connect()
    for wire in (first, second):
        wire.send(request("GET", "/v2/", as_user("alice")))
    first.hang_up()
    registry.at_work = True
    registry.settle()
    assert pipelined(second) == [200]
    registry.close()


def test_uploads_belong_to_their_repository(
    open_registry: InMemoryRegistry, guarded: InMemoryRegistry, state: State
) -> None:
    """A session of a repository is none in another, whoever knows its id."""
    session = fill(open_registry, "team/uploads/there")["session"]
    before = state()
    for method in ("GET", "HEAD", "PATCH", "PUT", "DELETE"):
        rest = f"blobs/uploads/{session}" + ("?digest=" + ABSENT if method == "PUT" else "")
        assert ask(guarded, "erin", method, rest, "other/uploads/app").status == 404
    assert state() == before


def test_to_know_a_digest_is_not_to_have_access(
    open_registry: InMemoryRegistry, guarded: InMemoryRegistry
) -> None:
    """
    A blob of a repository that the caller may not pull from cannot be had by its digest: not by
    mounting it, with or without its source, nor by a manifest that names it.
    """
    parts = fill(open_registry, "team/to/there")
    layer = parts["layer"]
    answers = [
        ask(guarded, "erin", "POST", f"blobs/uploads/?mount={digest}{source}", "other/to/app")
        for source in ("&from=team/to/there", "&from=team/never", "", "&from=BAD", "&from=")
        for digest in (layer, ABSENT)
    ]
    assert {answer.status for answer in answers} == {202}
    assert len({tuple(len(value) for _, value in answer.headers) for answer in answers}) == 1
    assert guarded.call("GET", f"/v2/other/to/app/blobs/{layer}", as_user("erin")).status == 404
    headers = [*as_user("erin"), MANIFEST_TYPE]
    pushed = guarded.call("PUT", "/v2/other/to/app/manifests/v1", headers, MANIFEST)
    assert (pushed.status, pushed.codes) == (400, ["MANIFEST_BLOB_UNKNOWN"])


def test_mounts_of_those_who_may(
    open_registry: InMemoryRegistry, guarded: InMemoryRegistry
) -> None:
    """Who may pull from a source may mount from it; who must not pull everything has to name it."""
    layer = fill(open_registry, "team/mounts/there")["layer"]
    ask(
        open_registry,
        None,
        "POST",
        f"blobs/uploads/?mount={layer}&from=team/mounts/there",
        "public/mounts/x",
    )
    for user, source, target, status in (
        ("alice", "&from=team/mounts/there", "team/mounts/new", 201),
        ("alice", "", "team/mounts/newer", 202),
        ("erin", "&from=public/mounts/x", "other/mounts/new", 201),
        ("carol", "&from=team/mounts/there", "team/mounts/new", 202),
        ("bob", "&from=team/mounts/there", "home/bob/mounts/new", 201),
        ("bob", "&from=team/mounts/there", "home/alice/mounts/new", 403),
        (None, "&from=public/mounts/x", "public/mounts/new", 401),
    ):
        rest = f"blobs/uploads/?mount={layer}{source}"
        assert ask(guarded, user, "POST", rest, target).status == status, (user, source)


def test_deleted_here_is_not_deleted_there(
    open_registry: InMemoryRegistry, guarded: InMemoryRegistry
) -> None:
    """A blob that one repository has let go stays away there, though another still has it."""
    layer = fill(open_registry, "team/deleted/there")["layer"]
    fill(open_registry, "team/deleted/other")
    assert ask(guarded, "alice", "DELETE", f"blobs/{layer}", "team/deleted/there").status == 202
    assert ask(guarded, "alice", "GET", f"blobs/{layer}", "team/deleted/other").status == 200
    assert ask(guarded, "alice", "GET", f"blobs/{layer}", "team/deleted/there").status == 404


def test_who_only_pulls_prolongs_no_lease(
    open_registry: InMemoryRegistry, guarded: InMemoryRegistry, state: State
) -> None:
    """HEAD of a blob keeps it for those who may push on, and writes nothing for the others."""
    layer = fill(open_registry, "team/who/there")["layer"]
    guarded.advance(20 * 3600.0)
    before = state()
    assert ask(guarded, "bob", "HEAD", f"blobs/{layer}", "team/who/there").status == 200
    assert state() == before
    assert ask(guarded, "alice", "HEAD", f"blobs/{layer}", "team/who/there").status == 200
    assert state() != before


@pytest.fixture
def lines() -> Iterator[list[str]]:
    """What is logged."""
    said: list[str] = []

    def observe(event: LogEvent) -> None:
        said.append(formatEvent(event) + repr(event))

    globalLogPublisher.addObserver(observe)
    yield said
    globalLogPublisher.removeObserver(observe)


def test_the_log_names_the_user(guarded: InMemoryRegistry, lines: list[str]) -> None:
    """The line of a request has the user, who is a dash if there is none; and no password ever."""
    for user in ("alice", None):
        ask(guarded, user, "GET", "tags/list", "team/app")
    guarded.call("GET", "/v2/", [("Authorization", basic("alice", "not her password"))])
    said = [line for line in lines if "/v2/" in line]
    assert " alice GET /v2/team/app/tags/list 404" in said[0]
    assert " - GET /v2/team/app/tags/list 401" in said[1]
    assert " - GET /v2/ 401" in said[2]
    secrets = [PASSWORDS["alice"], "not her password"]
    secrets += [basic("alice", secret).partition(" ")[2] for secret in secrets]
    assert not any(secret in line for secret in secrets for line in lines)


def test_guessing_is_slow(new_registry: NewRegistry) -> None:
    """After ten wrong passwords in a minute, none from there is looked at for another minute."""
    registry = new_registry(rules=RULES, users=USERS)
    registry.call("GET", "/v2/", as_user("bob"))
    statuses = [
        registry.call("GET", "/v2/", [("Authorization", basic("alice", f"guess {number}"))]).status
        for number in range(12)
    ]
    assert statuses == [401] * 10 + [429] * 2
    refused = registry.call("GET", "/v2/", as_user("alice"))
    assert (refused.status, refused.header("Retry-After")) == (429, "60")
    assert refused.codes == ["TOOMANYREQUESTS"]
    assert registry.call("GET", "/v2/", as_user("bob")).status == 200, "who is known goes on"
    assert registry.call("GET", "/v2/public/app/tags/list").status == 404, "so do strangers"
    registry.advance(60)
    assert registry.call("GET", "/v2/", as_user("alice")).status == 200
