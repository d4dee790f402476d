"""
end-1: whether the registry speaks the protocol.
"""

from __future__ import annotations

import pytest

from .client import Client


@pytest.mark.parametrize("path", ["/v2/", "/v2"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_answers(client: Client, method: str, path: str) -> None:
    """end-1: a ping is answered 200, with and without the last slash."""
    assert client.call(method, path).status == 200


def test_says_its_version(client: Client) -> None:
    """end-1: the answer has the header by which older Docker clients know a registry."""
    answer = client.call("GET", "/v2/")
    assert answer.header("Docker-Distribution-API-Version") == "registry/2.0"
    assert answer.lines("X-Registry-Supports-Signatures") == []


def test_serves_empty_credentials(client: Client) -> None:
    """end-1: clients without credentials that send empty Basic ones are served all the same."""
    assert client.call("GET", "/v2/", {"Authorization": "Basic Og=="}).status == 200


@pytest.mark.parametrize("query", ["?ns=docker.io", "?unheard=of", "?", "?a=%ff&b"])
def test_ignores_the_query(client: Client, query: str) -> None:
    """end-1: query arguments that mean nothing here change nothing."""
    assert client.call("GET", f"/v2/{query}").status == 200


def test_other_methods_are_refused(client: Client) -> None:
    """end-1: a method that the path does not have is 405, with those that it has in Allow."""
    answer = client.call("POST", "/v2/", body=b"x")
    assert answer.status == 405
    assert answer.codes() == ["UNSUPPORTED"]
    assert "GET" in answer.header("Allow")
