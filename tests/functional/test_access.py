"""
Access control in a real daemon: who logs in, who does not, and what is left of it in the log.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import evolve, frozen

from ..access.users import PASSWORDS, USERS, as_user, basic
from .client import Answer, Headers
from .conftest import NewDaemon
from .content import digest_of, number, unique
from .daemon import Daemon
from .listing import joined, pages

ACCESS = """
[access]
htpasswd = "{htpasswd}"
groups.writers = ["alice", "carol"]

[[access.rule]]
repositories = "public/**"
who = ["anonymous"]
actions = ["pull"]

[[access.rule]]
repositories = "public/**"
who = ["group:writers"]
actions = ["pull", "push"]

[[access.rule]]
repositories = "home/{{user}}/**"
who = ["authenticated"]
actions = ["pull", "push", "delete"]
"""


@frozen
class Guarded:
    """A registry with rules, as one user sees it, or nobody."""

    daemon: Daemon
    user: str | None = None

    def as_(self, user: str | None) -> Guarded:
        """As somebody else sees it."""
        return evolve(self, user=user)

    def call(
        self, method: str, target: str, headers: Headers = (), body: bytes | None = None
    ) -> Answer:
        """A request with the credentials of the user, if there is one."""
        more = list(headers.items()) if isinstance(headers, dict) else list(headers)
        return self.daemon.client.call(method, target, [*as_user(self.user), *more], body)

    def push(self, name: str, content: bytes) -> int:
        """Push a blob; the status."""
        target = f"/v2/{name}/blobs/uploads/?digest={digest_of(content)}"
        return self.call("POST", target, body=content).status


@pytest.fixture(scope="module")
def htpasswd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of the users."""
    path = tmp_path_factory.mktemp("users") / "htpasswd"
    path.write_text("".join(f"{user}:{hash_}\n" for user, hash_ in USERS.items()))
    return path


@pytest.fixture(scope="module")
def guarded(new_daemon: NewDaemon, htpasswd: Path) -> Iterator[Guarded]:
    """A registry with the rules above. Nobody's password, and no hash, may ever be in its log."""
    daemon = new_daemon(ACCESS.format(htpasswd=htpasswd))
    daemon.start()
    yield Guarded(daemon)
    daemon.stop()
    log = "".join(one.log() for one in [daemon, *daemon.neighbours])
    secrets = [*PASSWORDS.values(), *USERS.values()]
    secrets += [as_user(user)[0][1].partition(" ")[2] for user in PASSWORDS]
    assert [secret for secret in secrets if secret in log] == []


def test_log_in(guarded: Guarded) -> None:
    """The first answer asks for credentials; the next one is yes or no."""
    answer = guarded.call("GET", "/v2/")
    assert (answer.status, answer.codes()) == (401, ["UNAUTHORIZED"])
    assert answer.header("WWW-Authenticate") == 'Basic realm="ociregd"'
    assert guarded.as_("alice").call("GET", "/v2/").status == 200
    wrong = guarded.call("GET", "/v2/", {"Authorization": basic("alice", "wrong")})
    assert (wrong.status, wrong.codes()) == (401, ["UNAUTHORIZED"])


def test_who_may_do_what(guarded: Guarded) -> None:
    """Writers push what everybody pulls; what is somebody's own is nobody else's."""
    public, home, content = f"public/app{number()}", f"home/bob/app{number()}", unique()
    digest = digest_of(content)
    alice, bob = guarded.as_("alice"), guarded.as_("bob")
    assert guarded.push(public, content) == 401
    assert bob.push(public, content) == 403
    assert alice.push(public, content) == 201
    assert guarded.call("GET", f"/v2/{public}/blobs/{digest}").body == content
    assert alice.call("DELETE", f"/v2/{public}/blobs/{digest}").status == 403
    assert bob.push(home, content) == 201
    assert bob.call("GET", f"/v2/{home}/blobs/{digest}").body == content
    hidden = alice.call("GET", f"/v2/{home}/blobs/{digest}")
    absent = bob.call("GET", f"/v2/{home}-never/blobs/{digest}")
    assert (
        (hidden.status, hidden.codes())
        == (absent.status, absent.codes())
        == (
            404,
            ["BLOB_UNKNOWN"],
        )
    )
    assert guarded.call("GET", f"/v2/{home}/blobs/{digest}").status == 401
    assert alice.call("DELETE", f"/v2/{home}/blobs/{digest}").status == 404
    assert bob.call("DELETE", f"/v2/{home}/blobs/{digest}").status == 202


def test_the_catalogue(guarded: Guarded) -> None:
    """Everybody sees the repositories that they may pull from, whatever the size of the pages."""
    tests = {
        "alice": [f"home/alice/a{number()}", f"public/b{number()}"],
        "bob": [f"home/bob/c{number()}"],
    }
    for user, names in tests.items():
        for name in names:
            assert guarded.as_(user).push(name, unique()) == 201
    mine = {name for names in tests.values() for name in names}
    for user, visible in {
        "alice": tests["alice"],
        "bob": [*tests["bob"], tests["alice"][1]],
        None: [tests["alice"][1]],
    }.items():
        for size in (1, 2, 1000):
            found = catalogue(guarded.as_(user), size)
            assert [name for name in found if name in mine] == sorted(visible)
            assert not any(name.startswith("home/") for name in found if user is None)


def catalogue(who: Guarded, size: int) -> list[str]:
    """All pages of the catalogue."""
    return joined(pages(who, f"/v2/_catalog?n={size}", "repositories"))


def test_the_log_has_the_users(guarded: Guarded) -> None:
    """Who did what can be found later."""
    name = f"home/dave/app{number()}"
    guarded.as_("dave").call("GET", f"/v2/{name}/tags/list")
    guarded.call("GET", f"/v2/{name}/tags/list")
    log = "".join(daemon.log() for daemon in [guarded.daemon, *guarded.daemon.neighbours])
    assert f" dave GET /v2/{name}/tags/list 404" in log
    assert f" - GET /v2/{name}/tags/list 401" in log


def test_an_upload_is_refused_before_it_is_sent(guarded: Guarded) -> None:
    """Who may not push is told so at once, and the bytes stay where they are."""
    head = {"Expect": "100-continue", "Content-Length": str(10**12)}
    for user, status in ((None, 401), ("bob", 403)):
        begun = time.monotonic()
        target = f"/v2/public/app/blobs/uploads/?digest={digest_of(b'')}"
        assert guarded.as_(user).call("POST", target, head).status == status
        assert time.monotonic() - begun < 5


def test_users_of_the_command(new_daemon: NewDaemon, tmp_path: Path) -> None:
    """Who is added by ociregctl can log in, with a hash that costs what it should."""
    path = tmp_path / "htpasswd"
    daemon = new_daemon(ACCESS.format(htpasswd=path))
    config = tmp_path / "ociregd.toml"
    config.write_text(ACCESS.format(htpasswd=path))
    script = Path(sys.executable).with_name("ociregctl")
    subprocess.run(
        [script, "--config", config, "user", "add", "erin", "--stdin"],
        input=PASSWORDS["erin"].encode(),
        check=True,
    )
    daemon.start()
    assert Guarded(daemon, "erin").push("home/erin/app", unique()) == 201
    assert Guarded(daemon).push("home/erin/app", unique()) == 401
    daemon.stop()


def test_the_daemon_says_when_everybody_may_come_in(new_daemon: NewDaemon) -> None:
    """Rules that let nobody in are worth a warning."""
    daemon = new_daemon("[access]\n")
    daemon.start()
    assert daemon.client.call("GET", "/v2/_catalog").status == 401
    daemon.stop()
    assert "nobody may do anything" in daemon.log()
