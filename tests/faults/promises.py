"""
What a registry has promised, kept up to date request by request, and whether it keeps it.

Everything that can be pulled is a path and the bytes that a GET of it may give; None is a 404. A
request that changes something makes both the old and the new possible until its answer comes: no
answer, or one that does not know, leaves it so, and a refusal takes it back. What was once seen
stays true.
"""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from collections.abc import Mapping
from pathlib import Path

from attrs import define, field, frozen

from tests.functional.client import Answer, Wire, request

Effects = Mapping[str, bytes | None]

#: Refusals that pass: a full storage, a read-only storage, a database that is away.
REFUSALS = {413: "DENIED", 403: "DENIED", 503: "TOOMANYREQUESTS"}

#: Answers that leave open whether it was done: an incident, and that the database went away.
OPEN = {500, 503}


@frozen
class Setback(Exception):
    """
    A request that has to be made again.

    @ivar answer: the refusal; None if the connection ended.
    """

    request: str
    answer: Answer | None


def exchange(
    port: int, method: str, path: str, headers: Mapping[str, str], body: bytes | None
) -> Answer:
    """
    One request on a connection of its own.

    @raise TimeoutError: if there is no answer for a while; no fault may lead to that.
    """
    with Wire(port) as wire:
        wire.send(request(method, path, {**headers, "Connection": "close"}, body))
        return wire.answer(method)


def check_refusal(answer: Answer) -> None:
    """Assert that a client can tell what happened: a refusal for the time being, or an incident."""
    [error] = answer.json()["errors"]
    if answer.status == 500:
        assert error["code"] == "UNKNOWN", answer
        uuid.UUID(error["detail"])
    else:
        assert error["code"] == REFUSALS[answer.status], answer
        assert error["detail"], answer
    if answer.status in (413, 503):
        assert int(answer.header("Retry-After")) > 0, answer


@define(eq=False)
class Account:
    """
    One client, and what it was promised. Nobody else changes what it has pushed.

    @ivar journal: each request before it is made, and each answer when it is there.
    @ivar acknowledged: how many requests have succeeded.
    @ivar interrupted_after: the client is set back when that many have.
    """

    port: int
    journal: Path
    interrupted_after: int | None = None
    acknowledged: int = field(default=0, init=False)
    _possible: dict[str, set[bytes | None]] = field(factory=dict, init=False)

    def call(
        self,
        method: str,
        path: str,
        statuses: set[int],
        *,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        effects: Effects | None = None,
    ) -> Answer:
        """
        Make a request whose answer has one of these statuses.

        @raise Setback: if it was refused for the time being, or there was no answer.
        """
        before = {path: self._possible.get(path, {None}) for path in effects or {}}
        for changed, after in (effects or {}).items():
            self._possible[changed] = before[changed] | {after}
        line = f"{method} {path} {len(body or b'')}"
        self._note(line)
        try:
            answer = exchange(self.port, method, path, headers or {}, body)
        except (ConnectionError, EOFError) as problem:
            self._note(f"{line}: {type(problem).__name__}")
            raise Setback(line, None) from problem
        self._note(f"{line}: {answer.status} {answer.body.decode()}")
        if answer.status in statuses:
            self.acknowledged += 1
            self._possible.update({changed: {after} for changed, after in (effects or {}).items()})
            if self.acknowledged == self.interrupted_after:
                raise Setback(line, None)
            return answer
        assert answer.status in (500, *REFUSALS), f"{line}: {answer}"
        check_refusal(answer)
        if answer.status not in OPEN:
            self._possible.update(before)
        raise Setback(line, answer)

    def check(self) -> None:
        """
        Assert that everything is as promised, by pulling all of it.

        @raise Setback: if that is not to be had for the time being.
        """
        for path, possible in self._possible.items():
            answer = exchange(self.port, "GET", path, {}, None)
            if answer.status == 503:
                check_refusal(answer)
                raise Setback(f"GET {path}", answer)
            assert answer.status in (200, 404), f"{path}: {answer}\n{self.recently()}"
            found = answer.body if answer.status == 200 else None
            if found is not None:
                check_digest(path, answer)
            assert found in possible, (
                f"{path}: {describe(found)}, not {[describe(one) for one in possible]}\n"
                f"{self.recently()}"
            )
            self._possible[path] = {found}

    def pull(self) -> list[str]:
        """
        Pull everything from a storage that may fail, and assert that nothing is wrong or denied.

        @return: what was heard of failures: the status of an incident, or a cut connection.
        """
        heard = []
        for path, possible in self._possible.items():
            try:
                answer = exchange(self.port, "GET", path, {}, None)
            except (ConnectionError, EOFError):
                heard.append("cut")
                continue
            if answer.status == 500:
                check_refusal(answer)
                heard.append("500")
                continue
            assert answer.status in (200, 404), f"{path}: {answer}"
            found = answer.body if answer.status == 200 else None
            assert found in possible, f"{path}: {describe(found)}"
        return heard

    def recently(self) -> str:
        """The end of the journal."""
        return self.journal.read_text()[-3000:]

    def _note(self, line: str) -> None:
        with self.journal.open("a") as journal:
            journal.write(f"{line}\n")


def describe(content: bytes | None) -> str:
    """Some content, in a word."""
    if content is None:
        return "absent"
    return f"{len(content)} bytes {hashlib.sha256(content).hexdigest()[:12]}"


def check_digest(path: str, answer: Answer) -> None:
    """Assert that a pulled blob or manifest has its digest, and that the registry says which."""
    actual = f"sha256:{hashlib.sha256(answer.body).hexdigest()}"
    assert answer.header("Docker-Content-Digest") == actual, path
    if named := re.search("sha256:[0-9a-f]{64}$", path):
        assert named[0] == actual, path
    if "/manifests/" in path:
        json.loads(answer.body)
