"""
A client that pushes, deletes and cancels, and after each setback goes on where it can.

It works like a runtime that wants to end: it asks how far an upload has come and sends the rest,
begins again if the upload is gone, and repeats what it cannot know to have happened.
"""

from __future__ import annotations

import random
from collections.abc import Callable

from attrs import define, field

from tests.functional.client import Answer
from tests.functional.content import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    descriptor,
    digest_of,
    encode,
    image,
)

from .promises import Account, Setback

BINARY = {"Content-Type": "application/octet-stream"}
MANIFEST = {"Content-Type": OCI_MANIFEST}

#: Setbacks in one request before the client gives up, and the test with it.
PATIENCE = 40


@define(eq=False)
class Session:
    """
    An upload session as its client knows it.

    @ivar acknowledged: how many bytes the registry has said that it holds.
    @ivar lost: whether it may have ended by a fault.
    """

    location: str
    acknowledged: int = 0
    lost: bool = False


@define(eq=False)
class Pusher:
    """
    @ivar recover: told of each setback, before the client goes on.
    @ivar forgets: whether bytes of an unfinished upload may be lost, as in a power cut.
    """

    account: Account
    recover: Callable[[Setback], None]
    forgets: bool = False
    setbacks: int = field(default=0, init=False)

    def call(
        self,
        method: str,
        path: str,
        statuses: set[int],
        *,
        headers: dict[str, str] | None = None,
        body: bytes | None = None,
        effects: dict[str, bytes | None] | None = None,
    ) -> Answer:
        """
        Make a request until it succeeds. One that deletes may find that it has done so before.
        """
        while True:
            try:
                return self.account.call(
                    method, path, statuses, headers=headers, body=body, effects=effects
                )
            except Setback as setback:
                self._set_back(setback)
                if method == "DELETE":
                    statuses = {*statuses, 404}

    def push_in_chunks(self, name: str, content: bytes, chunk: int) -> None:
        """
        Push a blob in an upload session, the last chunk with the request that ends it.
        """
        session: Session | None = None
        while True:
            try:
                if session is not None:
                    offset = self._offset(name, content, session)
                    if offset is None:
                        session = None
                    elif offset == len(content) and self._ended(name, content, session):
                        return
                if session is None:
                    session = self._begin(name)
                self._send(name, content, chunk, session)
                return
            except Setback as setback:
                self._set_back(setback)
                if session is not None and self.forgets:
                    session.acknowledged = 0
                # A failed fsync ends the session: bytes may be lost that look as if they were not.
                if session is not None and setback.answer is not None:
                    session.lost |= setback.request.startswith("PUT ")

    def _begin(self, name: str) -> Session:
        answer = self.account.call("POST", f"/v2/{name}/blobs/uploads/", {202})
        return Session(answer.header("Location"))

    def _send(self, name: str, content: bytes, chunk: int, session: Session) -> None:
        call, last = self.account.call, len(content) - chunk
        while session.acknowledged < last:
            part = content[session.acknowledged : min(session.acknowledged + chunk, last)]
            answer = call("PATCH", session.location, {202}, headers=BINARY, body=part)
            session.acknowledged += len(part)
            assert answer.header("Range") == f"0-{session.acknowledged - 1}"
        rest, digest = content[session.acknowledged :], digest_of(content)
        path = f"{session.location}?digest={digest}"
        effects = {f"/v2/{name}/blobs/{digest}": content}
        call("PUT", path, {201}, headers=BINARY, body=rest, effects=effects)

    def _offset(self, name: str, content: bytes, session: Session) -> int | None:
        """How far the session has come; None if it is gone and the blob has to come again."""
        answer = self.account.call("GET", session.location, {204, 404})
        if answer.status == 404:
            # Then it must have ended: nothing else ends sessions that are in use.
            blob = f"/v2/{name}/blobs/{digest_of(content)}"
            status = self.account.call("HEAD", blob, {200, 404}).status
            lost = session.lost or self.forgets
            assert status == 200 or lost, f"lost {session}\n{self.account.recently()}"
            if status == 404:
                return None
            return len(content)
        offset = int(answer.header("Range").partition("-")[2]) + 1
        offset = 0 if offset == 1 else offset
        assert session.acknowledged <= offset <= len(content), f"{answer}, but {session}"
        session.acknowledged = offset
        return offset

    def _ended(self, name: str, content: bytes, session: Session) -> bool:
        """Whether a session that holds all bytes has become a blob."""
        return self.account.call("GET", session.location, {204, 404}).status == 404

    def push_at_once(self, name: str, content: bytes) -> None:
        """Push a blob with one request."""
        digest = digest_of(content)
        path = f"/v2/{name}/blobs/uploads/?digest={digest}"
        effects: dict[str, bytes | None] = {f"/v2/{name}/blobs/{digest}": content}
        self.call("POST", path, {201}, headers=BINARY, body=content, effects=effects)

    def push_manifest(self, name: str, tag: str, manifest: bytes) -> None:
        """Push a manifest by a tag."""
        path, by_digest = f"/v2/{name}/manifests/{tag}", manifest_path(name, manifest)
        effects: dict[str, bytes | None] = {path: manifest, by_digest: manifest}
        self.call("PUT", path, {201}, headers=MANIFEST, body=manifest, effects=effects)

    def delete(self, path: str, *also: str) -> None:
        """Delete what has this path, and with it what has the others."""
        self.call("DELETE", path, {202}, effects=dict.fromkeys([path, *also]))

    def mount(self, name: str, source: str, content: bytes) -> None:
        """Let a repository hold a blob of another."""
        digest = digest_of(content)
        path = f"/v2/{name}/blobs/uploads/?mount={digest}&from={source}"
        self.call("POST", path, {201}, effects={f"/v2/{name}/blobs/{digest}": content})

    def cancel_upload(self, name: str) -> None:
        """Begin an upload, and cancel it."""
        location = self.call("POST", f"/v2/{name}/blobs/uploads/", {202}).header("Location")
        statuses = {202, 404} if self.forgets else {202}
        self.call("PATCH", location, statuses, headers=BINARY, body=b"never mind")
        statuses = {204, 404} if self.forgets else {204}
        self.call("DELETE", location, statuses)

    def _set_back(self, setback: Setback) -> None:
        self.setbacks += 1
        assert self.setbacks < PATIENCE, f"{setback}\n{self.account.recently()}"
        self.recover(setback)


def manifest_path(name: str, manifest: bytes) -> str:
    """Where a manifest is by its digest."""
    return f"/v2/{name}/manifests/{digest_of(manifest)}"


@define(eq=False)
class Images:
    """
    Content that can be had again from its seed.
    """

    seed: str
    layer_bytes: int = 96 * 1024

    def layer(self) -> bytes:
        """A layer."""
        return random.Random(f"layer {self.seed}").randbytes(self.layer_bytes)

    def config(self) -> bytes:
        """A configuration."""
        return f'{{"seed": "{self.seed}"}}'.encode()

    def manifest(self, version: int) -> bytes:
        """A manifest of both."""
        config = descriptor(OCI_CONFIG, self.config())
        layer = descriptor(OCI_LAYER, self.layer())
        return encode(image(config, layer, annotations={"version": str(version)}))


def push_everything(pusher: Pusher, name: str, images: Images) -> None:
    """
    Use each request that changes something, in two repositories that nobody else uses.
    """
    layer, config = images.layer(), images.config()
    first, second = images.manifest(1), images.manifest(2)
    copy = f"{name}/copy"
    pusher.push_in_chunks(name, layer, len(layer) // 3 + 1)
    pusher.push_at_once(name, config)
    pusher.push_manifest(name, "latest", first)
    pusher.push_manifest(name, "latest", second)
    pusher.push_manifest(name, "first", first)
    pusher.mount(copy, name, layer)
    pusher.mount(copy, name, config)
    pusher.push_manifest(copy, "latest", first)
    pusher.cancel_upload(copy)
    pusher.delete(f"/v2/{name}/manifests/first")
    pusher.delete(manifest_path(copy, first), f"/v2/{copy}/manifests/latest")
    pusher.delete(f"/v2/{copy}/blobs/{digest_of(layer)}")
