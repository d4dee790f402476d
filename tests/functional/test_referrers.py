"""
end-12: the list of manifests that refer to another one.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from .content import (
    OCI_CONFIG,
    OCI_INDEX,
    OCI_MANIFEST,
    Document,
    descriptor,
    digest_of,
    encode,
    index,
    unique,
    unknown_digest,
)
from .listing import next_page
from .repository import Repository

SBOM = "application/vnd.example.sbom+json"
SIGNATURE = "application/vnd.example.signature"


def push_referrer(repository: Repository, subject: Document, **more: Any) -> Document:
    """Push an image that refers to the subject; the descriptor that the list has to hold for it."""
    body = encode(repository.image(subject=subject, **more))
    repository.push_manifest(body)
    kind = more.get("artifactType", OCI_CONFIG)
    annotations = more["annotations"]
    return descriptor(OCI_MANIFEST, body, artifactType=kind, annotations=annotations)


def subject_of(repository: Repository, algorithm: str = "sha256") -> Document:
    """The descriptor of an image that was pushed."""
    body = encode(repository.image())
    named = descriptor(OCI_MANIFEST, body, algorithm)
    headers = {"Content-Type": OCI_MANIFEST}
    answer = repository.call("PUT", f"manifests/{named['digest']}", headers, body)
    assert answer.status == 201, answer
    return named


def by_digest(document: Document) -> str:
    """The digest, to sort by."""
    return str(document["digest"])


@pytest.mark.parametrize("digest", [None, "sha256:" + "0" * 64])
@pytest.mark.parametrize("exists", [True, False])
def test_no_referrers(
    repository: Repository, algorithm: str, exists: bool, digest: str | None
) -> None:
    """end-12a: for what nothing refers to, in any repository or none: 200 and an empty index."""
    if exists:
        repository.push_blob(unique())
    answer = repository.call("GET", f"referrers/{digest or unknown_digest(algorithm)}")
    assert answer.status == 200
    assert answer.header("Content-Type") == OCI_INDEX
    assert answer.json() == {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}
    assert answer.lines("OCI-Filters-Applied") == []
    assert answer.lines("Link") == []


@pytest.mark.parametrize(
    "digest",
    [
        "latest",
        "sha256:zz",
        "sha256:",
        "sha256:" + "A" * 64,
        "md5:d41d8cd98f00b204e9800998ecf8427e",
        "sha512:" + "a" * 64,
        "%00",
    ],
)
def test_bad_digest(repository: Repository, digest: str) -> None:
    """end-12a: what is no digest is 400 DIGEST_INVALID."""
    repository.push_blob(unique())
    answer = repository.call("GET", f"referrers/{digest}")
    assert (answer.status, answer.codes()) == (400, ["DIGEST_INVALID"])


def test_referrers(repository: Repository, algorithm: str) -> None:
    """end-12a: each referrer is listed with type, size, digest, artifactType and annotations."""
    subject = subject_of(repository, algorithm)
    annotations = {"org.example.key": "value", "empty": "", "\u00e4": "\U0001f600 \"'<>&"}
    expected = [
        push_referrer(repository, subject, artifactType=SBOM, annotations=annotations),
        push_referrer(repository, subject, annotations={"a": "b"}),
    ]
    answer = repository.call("GET", f"referrers/{subject['digest']}")
    assert answer.status == 200
    assert answer.header("Content-Type") == OCI_INDEX
    document = answer.json()
    assert document["schemaVersion"] == 2
    assert document["mediaType"] == OCI_INDEX
    assert sorted(document["manifests"], key=by_digest) == sorted(expected, key=by_digest)


def test_artifact_type_of_an_index(repository: Repository) -> None:
    """end-12a: an index without artifactType is listed without one; with it, with it."""
    subject = subject_of(repository)
    plain = encode(index(subject=subject))
    typed = encode(index(subject=subject, artifactType=SBOM, annotations={"a": "b"}))
    for body in (plain, typed):
        repository.push_manifest(body, media_type=OCI_INDEX)
    listed = repository.referrers(subject["digest"])
    assert sorted(listed, key=by_digest) == sorted(
        [
            descriptor(OCI_INDEX, plain),
            descriptor(OCI_INDEX, typed, artifactType=SBOM, annotations={"a": "b"}),
        ],
        key=by_digest,
    )


def test_filter(repository: Repository) -> None:
    """end-12b: artifactType leaves those of that type, and the answer says so."""
    subject = subject_of(repository)
    sbom = push_referrer(repository, subject, artifactType=SBOM, annotations={"a": "b"})
    push_referrer(repository, subject, artifactType=SIGNATURE, annotations={"a": "b"})
    plain = push_referrer(repository, subject, annotations={"a": "b"})
    for kind, expected in ((SBOM, [sbom]), (OCI_CONFIG, [plain]), ("x/y", []), ("' OR 1=1", [])):
        for encoded in (quote(kind), quote(kind, safe="")):
            answer = repository.call(
                "GET", f"referrers/{subject['digest']}?artifactType={encoded}&ns=docker.io"
            )
            assert answer.status == 200
            assert answer.header("Content-Type") == OCI_INDEX
            assert answer.header("OCI-Filters-Applied") == "artifactType"
            assert answer.json()["manifests"] == expected
    answer = repository.call("GET", f"referrers/{subject['digest']}")
    assert answer.lines("OCI-Filters-Applied") == []
    assert len(answer.json()["manifests"]) == 3


def test_referrer_before_its_subject(repository: Repository, algorithm: str) -> None:
    """end-12a: what was pushed before its subject is listed before and after the subject came."""
    body = encode(repository.image())
    subject = descriptor(OCI_MANIFEST, body, algorithm)
    expected = [push_referrer(repository, subject, annotations={"a": "b"})]
    assert repository.referrers(subject["digest"]) == expected
    headers = {"Content-Type": OCI_MANIFEST}
    target = f"manifests/{subject['digest']}"
    assert repository.call("PUT", target, headers, body).status == 201
    assert repository.referrers(subject["digest"]) == expected


def test_referrers_outlive_their_subject(repository: Repository) -> None:
    """end-12a: deleting the subject leaves its referrers where they are."""
    subject = subject_of(repository)
    expected = [push_referrer(repository, subject, annotations={"a": "b"})]
    assert repository.call("DELETE", f"manifests/{subject['digest']}").status == 202
    assert repository.referrers(subject["digest"]) == expected


def test_deleted_referrer(repository: Repository) -> None:
    """end-9, end-12a: a referrer that is deleted is no longer listed; one that is untagged is."""
    subject = subject_of(repository)
    body = encode(repository.image(subject=subject))
    digest = repository.push_manifest(body, "tagged")
    assert repository.call("DELETE", "manifests/tagged").status == 202
    assert [listed["digest"] for listed in repository.referrers(subject["digest"])] == [digest]
    assert repository.call("DELETE", f"manifests/{digest}").status == 202
    assert repository.referrers(subject["digest"]) == []


def test_pushed_again(repository: Repository) -> None:
    """end-12a: a referrer that is pushed again, or tagged, is listed once."""
    subject = subject_of(repository)
    body = encode(repository.image(subject=subject))
    for reference in (None, "v1", "v2", None):
        repository.push_manifest(body, reference)
    assert len(repository.referrers(subject["digest"])) == 1


def test_subject_by_its_exact_digest(repository: Repository) -> None:
    """end-12a: the two digests of the same bytes are two subjects."""
    subject = encode(repository.image())
    push_referrer(repository, descriptor(OCI_MANIFEST, subject, "sha512"), annotations={"a": "b"})
    assert len(repository.referrers(digest_of(subject, "sha512"))) == 1
    assert repository.referrers(digest_of(subject, "sha256")) == []


def test_referrers_of_another_repository(repository: Repository, other: Repository) -> None:
    """end-12a: a repository lists its own referrers only."""
    subject = subject_of(repository)
    push_referrer(other, subject, annotations={"a": "b"})
    assert repository.referrers(subject["digest"]) == []
    assert len(other.referrers(subject["digest"])) == 1


def test_referrers_of_a_referrer(repository: Repository) -> None:
    """end-12a: a referrer can be a subject itself."""
    subject = subject_of(repository)
    first = push_referrer(repository, subject, annotations={"a": "b"})
    second = push_referrer(repository, first, annotations={"a": "b"})
    assert [listed["digest"] for listed in repository.referrers(first["digest"])] == [
        second["digest"]
    ]


def test_pages(repository: Repository) -> None:
    """end-12a: the list comes in pages if asked for, linked, the filter kept, nothing twice."""
    subject = subject_of(repository)
    expected = set()
    for count in range(7):
        kind = SBOM if count < 5 else SIGNATURE
        body = encode(index(subject=subject, artifactType=kind, annotations={"n": str(count)}))
        digest = repository.push_manifest(body, media_type=OCI_INDEX)
        if kind == SBOM:
            expected.add(digest)
    path = f"/v2/{repository.name}/referrers/{subject['digest']}"
    target: str | None = f"{path}?artifactType={quote(SBOM, safe='')}&n=2"
    found, sizes = [], []
    while target is not None:
        answer = repository.client.call("GET", target)
        assert answer.status == 200
        assert answer.header("OCI-Filters-Applied") == "artifactType"
        page = [listed["digest"] for listed in answer.json()["manifests"]]
        found += page
        sizes.append(len(page))
        target = next_page(answer)
    assert sizes == [2, 2, 1]
    assert len(found) == len(set(found))
    assert set(found) == expected
