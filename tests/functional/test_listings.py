"""
end-8: the tags of a repository; and the catalogue of repositories, which Docker's clients know.
"""

from __future__ import annotations

from urllib.parse import parse_qs, quote, urlsplit

import pytest

from .client import Client
from .content import OCI_INDEX, digest_of, encode, index, number, unique
from .listing import joined, next_page, pages
from .repository import Repository

# Bytewise: digits, capitals, the underscore, small letters; the locale has no say.
TAGS = ["0", "1.0", "10", "A", "B-1", "B.1", "B_1", "Z", "_x", "a", "a-b", "a.b", "a_b", "ab", "z"]

NO_NUMBERS = ["-1", "abc", "1.5", "", "+5", "5+", "%2B5", "%D9%A3", "1_0", "0x10", "1e2", "%00"]
HUGE_NUMBERS = ["1001", "1000000000", str(2**63), str(2**64), "9" * 30, "0001001"]


def tag(repository: Repository, tags: list[str]) -> None:
    """Give an empty index these tags, the last first."""
    body = encode(index())
    for start in range(0, len(tags), 100):
        query = "&".join(f"tag={name}" for name in reversed(tags[start : start + 100]))
        target = f"manifests/{digest_of(body)}?{query}"
        answer = repository.call("PUT", target, {"Content-Type": OCI_INDEX}, body)
        assert answer.status == 201, answer


def test_tags(repository: Repository) -> None:
    """end-8a: all tags, sorted by their bytes, and the name of the repository."""
    tag(repository, TAGS)
    answer = repository.call("GET", "tags/list")
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/json"
    assert answer.json() == {"name": repository.name, "tags": TAGS}
    assert next_page(answer) is None


def test_no_tags(repository: Repository) -> None:
    """end-8a: a repository without tags has an empty list."""
    repository.push_blob(unique())
    assert repository.tags() == []


@pytest.mark.parametrize("query", ["", "?n=0", "?n=5&last=a"])
def test_tags_of_an_unknown_repository(repository: Repository, query: str) -> None:
    """end-8: a repository that does not exist is 404 NAME_UNKNOWN."""
    answer = repository.call("GET", f"tags/list{query}")
    assert (answer.status, answer.codes()) == (404, ["NAME_UNKNOWN"])


def test_tags_of_this_repository_only(repository: Repository, other: Repository) -> None:
    """end-8a: the tags of other repositories are not listed."""
    tag(repository, ["a"])
    tag(other, ["b"])
    assert repository.tags() == ["a"]


@pytest.mark.parametrize("count", [1, 2, 4, 5, 7, 14, 15, 16, 1000])
def test_pages_of_tags(repository: Repository, count: int) -> None:
    """end-8b: pages of n, linked; none is short or empty but the last, and nothing comes twice."""
    tag(repository, TAGS)
    found = pages(repository.client, f"/v2/{repository.name}/tags/list?n={count}", "tags")
    assert found == [TAGS[start : start + count] for start in range(0, len(TAGS), count)]


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("B.1", TAGS[6:]),
        ("B", TAGS[4:]),
        ("A-there-is-no-such-tag", TAGS[4:]),
        ("", TAGS),
        ("z", []),
        ("zzz", []),
        (".", TAGS),
        ("' OR '1'='1", TAGS),
        ("%", TAGS),
        ("_", TAGS[8:]),
        ("\u00e4", []),
        ("x" * 10_000, TAGS[14:]),
    ],
)
def test_last(repository: Repository, last: str, expected: list[str]) -> None:
    """end-8b: what comes after last, which need not exist, with and without n."""
    tag(repository, TAGS)
    answer = repository.call("GET", f"tags/list?last={quote(last)}")
    assert answer.json()["tags"] == expected
    assert next_page(answer) is None
    answer = repository.call("GET", f"tags/list?n=2&last={quote(last)}")
    assert answer.json()["tags"] == expected[:2]
    assert (next_page(answer) is not None) == (len(expected) > 2)


def test_no_results_wanted(repository: Repository) -> None:
    """end-8b: n=0 is an empty list without a Link."""
    tag(repository, TAGS)
    for query in ("?n=0", "?n=0&last=a", "?n=00"):
        answer = repository.call("GET", f"tags/list{query}")
        assert answer.status == 200
        assert answer.json() == {"name": repository.name, "tags": []}
        assert next_page(answer) is None


@pytest.mark.parametrize("count", NO_NUMBERS)
def test_no_number(repository: Repository, count: str) -> None:
    """end-8b: an n that is no number, or a negative one, is 400."""
    tag(repository, TAGS)
    answer = repository.call("GET", f"tags/list?n={count}")
    assert (answer.status, answer.codes()) == (400, ["UNSUPPORTED"])


def test_link_keeps_the_query(repository: Repository) -> None:
    """end-8b: the Link has the arguments of the request, encoded, with last and n."""
    tag(repository, TAGS)
    answer = repository.call("GET", "tags/list?ns=docker.io&x=%26%3D%20%22%3E&n=3&last=A")
    following = next_page(answer)
    assert following is not None
    assert urlsplit(following).path == f"/v2/{repository.name}/tags/list"
    assert parse_qs(urlsplit(following).query) == {
        "ns": ["docker.io"],
        "x": ['&= ">'],
        "n": ["3"],
        "last": ["B_1"],
    }


def test_very_many_tags(repository: Repository) -> None:
    """end-8a: without n, or with a huge one, a page has 1,000 tags and a Link to the others."""
    tags = [f"v{count:05}" for count in range(1003)]
    tag(repository, tags)
    target = f"/v2/{repository.name}/tags/list"
    for query in ("", *(f"?n={count}" for count in HUGE_NUMBERS)):
        assert pages(repository.client, target + query, "tags") == [tags[:1000], tags[1000:]]


# The catalogue ----------------------------------------------------------------------------------


def catalogued(client: Client, names: list[str]) -> str:
    """Make repositories that stand together in the catalogue; the name that they come after."""
    group = f"catalogue{number()}x"
    for name in reversed(names):
        Repository(client, f"{group}/{name}").push_blob(unique())
    return group


def test_catalogue(client: Client) -> None:
    """_catalog: all repositories, sorted by their bytes."""
    names = ["0", "a", "a-b", "a.b", "a/b", "a0", "a_b", "ab", "z"]
    group = catalogued(client, names)
    answer = client.call("GET", f"/v2/_catalog?last={group}")
    assert answer.status == 200
    assert answer.header("Content-Type") == "application/json"
    listed = answer.json()["repositories"]
    assert listed[: len(names)] == [f"{group}/{name}" for name in names]
    everything = joined(pages(client, "/v2/_catalog", "repositories"))
    assert everything == sorted(set(everything))
    assert set(listed) <= set(everything)


def test_pages_of_the_catalogue(client: Client) -> None:
    """_catalog: pages of n, linked, and last is exclusive."""
    names = ["a", "b", "c", "d", "e"]
    group = catalogued(client, names)
    found = joined(pages(client, f"/v2/_catalog?n=2&last={group}&x=y", "repositories"))
    assert found[:5] == [f"{group}/{name}" for name in names]
    answer = client.call("GET", f"/v2/_catalog?n=2&last={group}/b")
    assert answer.json()["repositories"] == [f"{group}/c", f"{group}/d"]


def test_nothing_of_the_catalogue(client: Client) -> None:
    """_catalog: n=0, and a last behind all, are an empty list without a Link."""
    catalogued(client, ["a"])
    for query in ("?n=0", "?last=zzzzzzzz"):
        answer = client.call("GET", f"/v2/_catalog{query}")
        assert answer.json() == {"repositories": []}
        assert next_page(answer) is None


@pytest.mark.parametrize("count", NO_NUMBERS)
def test_no_number_of_repositories(client: Client, count: str) -> None:
    """_catalog: an n that is no number, or a negative one, is 400."""
    answer = client.call("GET", f"/v2/_catalog?n={count}")
    assert (answer.status, answer.codes()) == (400, ["UNSUPPORTED"])


@pytest.mark.parametrize("count", HUGE_NUMBERS)
def test_huge_number_of_repositories(client: Client, count: str) -> None:
    """_catalog: a huge n is answered with as much as fits a page."""
    catalogued(client, ["a"])
    answer = client.call("GET", f"/v2/_catalog?n={count}")
    assert answer.status == 200
    assert 0 < len(answer.json()["repositories"]) <= 1000


def test_name_of_a_catalogue_in_a_repository(client: Client) -> None:
    """_catalog: the word is reserved: no repository can have it for a name."""
    answer = client.call("POST", "/v2/_catalog/blobs/uploads/")
    assert (answer.status, answer.codes()) == (400, ["NAME_INVALID"])
