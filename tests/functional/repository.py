"""
A repository in a running registry, as a client that pushes and pulls sees it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from urllib.parse import urlencode

from attrs import frozen

from .client import Answer, Client, Headers
from .content import (
    CONFIG_TYPES,
    LAYER_TYPES,
    OCI_MANIFEST,
    Document,
    descriptor,
    digest_of,
    encode,
    image,
    unique,
)


@frozen
class Repository:
    """
    One repository. Methods that push assert that the push succeeded: they prepare; what a test is
    about it sends with C{call}.
    """

    client: Client
    name: str

    def call(
        self,
        method: str,
        rest: str,
        headers: Headers = (),
        body: bytes | None = None,
        chunks: Iterable[bytes] | None = None,
    ) -> Answer:
        """Send a request for something in this repository."""
        return self.client.call(method, f"/v2/{self.name}/{rest}", headers, body, chunks)

    def begin(self) -> str:
        """Start an upload session; its location."""
        answer = self.call("POST", "blobs/uploads/")
        assert answer.status == 202, answer
        return answer.header("Location")

    def append(self, location: str, content: bytes) -> None:
        """Append bytes to an upload session."""
        answer = self.client.call("PATCH", location, body=content)
        assert answer.status == 202, answer

    def commit(self, location: str, digest: str, body: bytes = b"") -> Answer:
        """Ask for an upload to be closed as a blob."""
        target = f"{location}?{urlencode({'digest': digest})}"
        return self.client.call("PUT", target, body=body)

    def received(self, location: str) -> str:
        """The Range that an upload session reports."""
        answer = self.client.call("GET", location)
        assert answer.status == 204, answer
        return answer.header("Range")

    def push_blob(self, content: bytes, algorithm: str = "sha256") -> str:
        """Push a blob; its digest."""
        digest = digest_of(content, algorithm)
        answer = self.call("POST", f"blobs/uploads/?digest={digest}", body=content)
        assert answer.status == 201, answer
        return digest

    def push_manifest(
        self,
        body: bytes,
        reference: str | None = None,
        media_type: str = OCI_MANIFEST,
    ) -> str:
        """Push a manifest, by its digest unless a reference is given; its sha256 digest."""
        digest = digest_of(body)
        target = f"manifests/{reference or digest}"
        answer = self.call("PUT", target, {"Content-Type": media_type}, body)
        assert answer.status == 201, answer
        return digest

    def image(
        self, media_type: str = OCI_MANIFEST, algorithm: str = "sha256", **more: Any
    ) -> Document:
        """An image manifest whose config and layer have been pushed; it itself has not."""
        config, layer = unique(), unique()
        self.push_blob(config, algorithm)
        self.push_blob(layer, algorithm)
        return image(
            descriptor(CONFIG_TYPES[media_type], config, algorithm),
            descriptor(LAYER_TYPES[media_type], layer, algorithm),
            **{"mediaType": media_type, **more},
        )

    def push_image(self, reference: str | None = None, **more: Any) -> tuple[str, bytes]:
        """Push an image, config and layer included; its digest and the manifest's bytes."""
        body = encode(self.image(**more))
        return self.push_manifest(body, reference), body

    def get(self, rest: str) -> bytes:
        """The bytes of something that must be there."""
        answer = self.call("GET", rest)
        assert answer.status == 200, answer
        return answer.body

    def status(self, rest: str) -> int:
        """The status with which something can be pulled."""
        return self.call("HEAD", rest).status

    def tags(self) -> list[str]:
        """The tags of this repository; it must exist."""
        answer = self.call("GET", "tags/list")
        assert answer.status == 200, answer
        document = answer.json()
        assert document["name"] == self.name
        return list(document["tags"])

    def referrers(self, digest: str, query: str = "") -> list[Document]:
        """The descriptors that the referrers list of a digest holds."""
        answer = self.call("GET", f"referrers/{digest}{query}")
        assert answer.status == 200, answer
        return list(answer.json()["manifests"])
