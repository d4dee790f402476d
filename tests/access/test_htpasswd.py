"""
Tests for L{ociregd.access.htpasswd}: which files are taken, and which passwords match.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from ociregd.access.htpasswd import (
    COST,
    HtpasswdInvalid,
    PasswordInvalid,
    UserInvalid,
    check_user,
    hashed,
    matches,
    parse_lines,
    read_users,
)

from .users import hash_of

GOOD = hash_of("x")


def test_reads(tmp_path: Path) -> None:
    """Users and their hashes, whichever name bcrypt has; other lines are comments or empty."""
    path = tmp_path / "htpasswd"
    hashes = {f"user{prefix.decode()}": hash_of("x", prefix) for prefix in (b"2a", b"2b", b"2y")}
    text = "# users\n\n" + "".join(f"{user}:{hash_}\r\n" for user, hash_ in hashes.items())
    path.write_text(f"{text}ünïcode:{GOOD}")
    assert read_users(str(path)) == {**hashes, "ünïcode": GOOD}
    assert all(matches(b"x", hash_) for hash_ in hashes.values())


@pytest.mark.parametrize(
    "line",
    [
        "alice",
        "alice:",
        ":" + GOOD,
        "alice:secret",
        "alice:{PLAIN}secret",
        "alice:{SHA}W6ph5Mm5Pz8GgiULbPgzG37mj9g=",
        "alice:$apr1$6zUHmQeG$Lz1rSHtmXTrWRJyEIpMcg.",
        "alice:rqXexS6ZhobKA",
        "alice:$6$salt$hash",
        "alice:" + GOOD[:-1],
        "alice:" + GOOD + "x",
        f"alice:{GOOD}:comment",
        f"alice :{GOOD}",
        f"al\tice:{GOOD}",
        f"al\x1b[31mice:{GOOD}",
        f"al\u202eice:{GOOD}",
        f"al\u2028ice:{GOOD}",
        f"anonymous:{GOOD}",
        f"authenticated:{GOOD}",
        f"group:ops:{GOOD}",
        f"{'a' * 256}:{GOOD}",
        "alice:" + GOOD.replace("$04$", "$03$"),
        "alice:" + GOOD.replace("$04$", "$17$"),
        "alice:" + GOOD.replace("$2b$", "$2x$"),
        "alice:" + GOOD[:28] + "/" + GOOD[29:],
        f"bob:{GOOD}",
    ],
)
def test_a_bad_line(line: str) -> None:
    """A line that is wrong is named, and is not shown: there may be a password in it."""
    with pytest.raises(HtpasswdInvalid) as problem:
        list(parse_lines(f"bob:{GOOD}\n# two\n{line}\n", "/etc/htpasswd"))
    assert str(problem.value).startswith("/etc/htpasswd: line 3: ")
    assert "secret" not in str(problem.value)
    assert GOOD not in str(problem.value)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    """A file that is not there, or is none, is named."""
    for path, missing in ((tmp_path / "none", True), (tmp_path, False)):
        with pytest.raises(HtpasswdInvalid) as problem:
            read_users(str(path))
        assert str(path) in str(problem.value)
        assert problem.value.missing is missing
    path = tmp_path / "latin"
    path.write_bytes(b"al\xefce:x")
    with pytest.raises(HtpasswdInvalid, match="not UTF-8"):
        read_users(str(path))


def test_passwords() -> None:
    """A password matches its own hash, and what bcrypt could not tell apart does not."""
    stored = hash_of("x" * 72)
    assert matches(b"x" * 72, stored)
    for other in (b"x" * 71, b"x" * 73, b"x" * 1000, b"x" * 71 + b"y", b"", b"\0"):
        assert not matches(other, stored)
    assert not matches(b"", hash_of(b""))
    assert not matches(b"a\0c", hash_of(b"a\0b"))
    assert not matches(b"a\0a", hash_of(b"a"))
    assert not matches(b"\xff", stored)
    assert matches(b"\xff", hash_of(b"\xff"))


def test_hashes() -> None:
    """What is written is taken back, at the cost that is said."""
    stored = hashed("pässword".encode())
    [line] = parse_lines(f"alice:{stored}", "")
    assert matches("pässword".encode(), line.hash_)
    assert stored.startswith(f"$2b${COST}$")


@pytest.mark.parametrize("password", [b"", b"x" * 73, b"a\0b", b"a\nb", b"a\x7f"])
def test_what_is_no_password(password: bytes) -> None:
    """What could not be checked or typed is not written."""
    with pytest.raises(PasswordInvalid):
        hashed(password)


@pytest.mark.parametrize("name", ["", "a:b", "a b", "a\n", "#a", "anonymous", "authenticated"])
def test_what_is_no_user(name: str) -> None:
    """What means something else, or cannot be sent, is not the name of a user."""
    with pytest.raises(UserInvalid):
        check_user(name)
