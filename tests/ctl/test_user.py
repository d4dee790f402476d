"""
Tests for C{ociregctl user} and C{ociregctl access}.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import subprocess
import sys
import termios
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ociregd.access.htpasswd import matches, read_users
from ociregd.ctl.main import ociregctl

from ..access.users import hash_of

SCRIPT = Path(sys.executable).with_name("ociregctl")

ACCESS = """
[access]
htpasswd = "{htpasswd}"
groups.ops = ["alice", "bob"]

[[access.rule]]
repositories = "public/**"
who = ["anonymous"]
actions = ["pull"]
[[access.rule]]
repositories = "home/{{user}}/*"
who = ["authenticated"]
actions = ["pull", "push"]
[[access.rule]]
repositories = "**"
who = ["group:ops"]
actions = ["delete"]
"""


@pytest.fixture
def htpasswd(tmp_path: Path) -> Path:
    """Where the users are, once there are any."""
    return tmp_path / "users" / "htpasswd"


@pytest.fixture
def config(tmp_path: Path, htpasswd: Path) -> Path:
    """A configuration that names it."""
    htpasswd.parent.mkdir()
    path = tmp_path / "ociregd.toml"
    path.write_text(ACCESS.format(htpasswd=htpasswd))
    return path


def ctl(config: Path, *words: str, stdin: str | bytes = "") -> Result:
    """What comes of a command line."""
    result = CliRunner().invoke(ociregctl, ["--config", str(config), *words], input=stdin)
    assert isinstance(result.exception, SystemExit | None), result.exception
    return result


def refused(config: Path, *words: str, stdin: str | bytes = "", status: int = 1) -> str:
    """The one line that is said of a command that could not be done."""
    result = ctl(config, *words, stdin=stdin)
    assert (result.exit_code, result.stdout) == (status, "")
    assert result.stderr.startswith("Error: ")
    return result.stderr


def add(config: Path, name: str, password: str) -> None:
    """Add a user."""
    result = ctl(config, "user", "add", name, "--stdin", stdin=password + "\n")
    assert (result.exit_code, result.stdout) == (0, f"added {name}\n")


def test_add(config: Path, htpasswd: Path) -> None:
    """A user who was added can log in; the file is not for everybody to read."""
    add(config, "alice", "of alice")
    add(config, "bob", "pässwörd of bob")
    users = read_users(str(htpasswd))
    assert list(users) == ["alice", "bob"]
    assert matches(b"of alice", users["alice"])
    assert matches("pässwörd of bob".encode(), users["bob"])
    assert htpasswd.stat().st_mode & 0o777 == 0o640
    assert os.listdir(htpasswd.parent) == ["htpasswd"]


def test_passwd(config: Path, htpasswd: Path) -> None:
    """A new password takes the place of the old one, and of nobody else's."""
    add(config, "alice", "old")
    add(config, "bob", "of bob")
    before = read_users(str(htpasswd))
    assert ctl(config, "user", "passwd", "alice", "--stdin", stdin="new").exit_code == 0
    after = read_users(str(htpasswd))
    assert matches(b"new", after["alice"])
    assert not matches(b"old", after["alice"])
    assert after["bob"] == before["bob"]


def test_remove(config: Path, htpasswd: Path) -> None:
    """Who was removed is gone, and the rest of the file is as it was to the byte."""
    text = f"# ours\r\n\nalice:{hash_of('a')}\nbob:{hash_of('b', b'2y')}\r\n# end"
    htpasswd.write_bytes(text.encode())
    result = ctl(config, "user", "remove", "alice")
    assert (result.exit_code, result.stdout) == (0, "removed alice\n")
    left = "".join(line for line in text.splitlines(keepends=True) if "alice" not in line)
    assert htpasswd.read_bytes() == left.encode() + b"\n"


def test_list(config: Path) -> None:
    """All users with their groups, in order; and none if there are none."""
    assert ctl(config, "user", "list").stdout == ""
    add(config, "carol", "x")
    add(config, "alice", "x")
    assert ctl(config, "user", "list").stdout == "alice  ops\ncarol\n"
    listed = json.loads(ctl(config, "user", "list", "--json").stdout)
    alice, carol = {"name": "alice", "groups": ["ops"]}, {"name": "carol", "groups": []}
    assert listed == {"users": [alice, carol]}


def test_mode_and_owner_stay(config: Path, htpasswd: Path) -> None:
    """The new file belongs to whom the old one did, and a link to it leads to it still."""
    real = htpasswd.with_name("real")
    real.write_text(f"alice:{hash_of('a')}\n")
    real.chmod(0o604)
    if os.geteuid() == 0:
        os.chown(real, 12345, 54321)
    htpasswd.symlink_to("real")
    before = real.stat()
    add(config, "bob", "x")
    after = real.stat()
    assert htpasswd.is_symlink()
    assert list(read_users(str(htpasswd))) == ["alice", "bob"]
    assert (after.st_mode, after.st_uid, after.st_gid) == (
        before.st_mode,
        before.st_uid,
        before.st_gid,
    )
    assert after.st_ino != before.st_ino


@contextmanager
def somebody_else(directory: Path) -> Iterator[None]:
    """Another command is at work."""
    descriptor = os.open(directory, os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    yield
    os.close(descriptor)


def test_two_at_once(config: Path, htpasswd: Path) -> None:
    """Commands that come at the same time wait for each other: no user is lost."""
    command = [SCRIPT, "--config", config, "user", "add", "--stdin"]
    with somebody_else(htpasswd.parent):
        started = [
            subprocess.Popen([*command, f"user{number}"], stdin=subprocess.PIPE)
            for number in range(4)
        ]
        for process in started:
            assert process.stdin is not None
            process.stdin.write(b"secret\n")
            process.stdin.close()
    assert [process.wait(30) for process in started] == [0] * 4
    assert sorted(read_users(str(htpasswd))) == [f"user{number}" for number in range(4)]


def test_what_cannot_be_done(config: Path, htpasswd: Path) -> None:
    """A command that cannot be done says why, and leaves the file alone."""
    add(config, "alice", "x")
    before = htpasswd.read_bytes()
    assert "there already" in refused(config, "user", "add", "alice", "--stdin", stdin="y")
    assert "no user bob" in refused(config, "user", "passwd", "bob", "--stdin", stdin="y")
    assert "no user bob" in refused(config, "user", "remove", "bob")
    for name in ("anonymous", "a:b", "a b", ""):
        refused(config, "user", "add", name, "--stdin", stdin="y")
    for password in ("", "\n", "x" * 73, "a\nb", "a\0b"):
        refused(config, "user", "add", "bob", "--stdin", stdin=password)
    assert htpasswd.read_bytes() == before


def test_a_broken_file_stays_as_it_is(config: Path, htpasswd: Path) -> None:
    """A file that the daemon would refuse is not written anew, and no line of it is shown."""
    htpasswd.write_text("alice:secret\n")
    for words in (["user", "remove", "alice"], ["user", "list"], ["user", "passwd", "alice"]):
        said = refused(config, *words)
        assert f"{htpasswd}: line 1" in said
        assert "secret" not in said
    assert htpasswd.read_text() == "alice:secret\n"


def test_no_file_in_the_configuration(tmp_path: Path) -> None:
    """Where the configuration names no file there is nothing to change."""
    config = tmp_path / "ociregd.toml"
    for text in ("", "[access]\n"):
        config.write_text(text)
        assert "htpasswd in [access]" in refused(config, "user", "list", status=2)


def test_links_in_a_circle(config: Path, htpasswd: Path) -> None:
    """A link that leads nowhere is told in a word too."""
    htpasswd.symlink_to("htpasswd")
    for words in (["user", "remove", "alice"], ["user", "list"]):
        assert "symbolic links" in refused(config, *words)


def test_a_directory_that_is_not_there(config: Path, htpasswd: Path) -> None:
    """What the system says is passed on."""
    htpasswd.parent.rmdir()
    assert "No such file" in refused(config, "user", "add", "alice", "--stdin", stdin="x")


def on_a_terminal(config: Path, inside: int) -> subprocess.Popen[bytes]:
    """Somebody adds alice, and is asked for her password on a terminal."""
    return subprocess.Popen(
        [SCRIPT, "--config", config, "user", "add", "alice"],
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )


def test_interrupted_on_a_terminal(config: Path, htpasswd: Path) -> None:
    """After Ctrl-C nothing has changed, and the terminal shows again what is typed."""
    terminal, inside = pty.openpty()
    before = termios.tcgetattr(inside)
    with on_a_terminal(config, inside) as process:
        said = b""
        while b"Password" not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, b"secr\x03")
        assert process.wait(30) == 1
    after = termios.tcgetattr(inside)
    os.close(inside)
    os.close(terminal)
    assert after == before
    assert not htpasswd.exists()


def test_asks_on_a_terminal(config: Path, htpasswd: Path) -> None:
    """Without --stdin the password is asked for, twice, and not shown."""
    terminal, inside = pty.openpty()
    process = on_a_terminal(config, inside)
    os.close(inside)
    said = b""
    for prompt in (b"Password", b"Repeat"):
        while prompt not in said:
            said += os.read(terminal, 1000)
        os.write(terminal, b"secret\n")
    try:
        while more := os.read(terminal, 1000):
            said += more
    except OSError:
        pass
    os.close(terminal)
    assert process.wait(30) == 0
    assert b"secret" not in said
    assert matches(b"secret", read_users(str(htpasswd))["alice"])


def explained(config: Path, user: str, action: str, name: str) -> tuple[int, str]:
    """Status and text of an explanation; the JSON says the same."""
    result = ctl(config, "access", "explain", user, action, name)
    in_json = ctl(config, "access", "explain", user, action, name, "--json")
    said = json.loads(in_json.stdout)
    assert in_json.exit_code == result.exit_code
    assert said["allowed"] is (result.exit_code == 0)
    assert said["reason"] in result.stdout
    if said["rule"]:
        assert f"line {said['rule']['line']}" in result.stdout
    return result.exit_code, result.stdout


def test_explain(config: Path) -> None:
    """The rule that decides is named by its line; or there is none, or no such user."""
    add(config, "alice", "x")
    lines = config.read_text().splitlines()
    for user, action, name, rule in [
        ("anonymous", "pull", "public/app", 1),
        ("alice", "pull", "public/app", 1),
        ("alice", "push", "home/alice/app", 2),
        ("alice", "delete", "home/alice/app", 3),
    ]:
        places = [number for number, line in enumerate(lines, 1) if line == "[[access.rule]]"]
        said = f"{user} may {action} {name}: {config}: line {places[rule - 1]}: "
        status, text = explained(config, user, action, name)
        assert (status, text.startswith(said)) == (0, True), text
    for user, action, name in [
        ("anonymous", "push", "public/app"),
        ("anonymous", "pull", "home/alice/app"),
        ("alice", "push", "home/bob/app"),
        ("alice", "push", "home/alice/a/b"),
    ]:
        said = f"{user} may not {action} {name}: no rule allows it\n"
        assert explained(config, user, action, name) == (1, said)
    assert explained(config, "bob", "pull", "public/app")[1].endswith("there is no user bob\n")


def test_explain_without_access_control(tmp_path: Path) -> None:
    """Where there is no table everybody may do everything."""
    config = tmp_path / "ociregd.toml"
    config.write_text("")
    assert explained(config, "anyone", "delete", "team/app")[0] == 0


def test_explain_what_cannot_be(config: Path) -> None:
    """What is no action or no repository is a mistake on the command line."""
    for words in (["alice", "read", "a"], ["alice", "pull", "A"]):
        assert ctl(config, "access", "explain", *words).exit_code == 2
