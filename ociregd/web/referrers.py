"""
Answers that carry a list of referrers.

A list has the annotations of its manifests, and these may be as large as manifests are: it is the
one answer made in memory that can be.
"""

from __future__ import annotations

from ociregd.errors import TooManyRequests
from ociregd.oci.digest import Digest
from ociregd.oci.mediatypes import OCI_INDEX
from ociregd.registry.repository import Repository
from ociregd.web.answers import document, send_document
from ociregd.web.budget import Budget
from ociregd.web.links import Window, argument, next_link
from ociregd.web.streaming import StreamingRequest


async def send_referrers(
    request: StreamingRequest, repository: Repository, subject: Digest, budget: Budget
) -> bytes:
    """
    Answer with a page of the referrers of a subject.

    @param budget: what all lists that are being sent may have in memory.
    @raise TooManyRequests: if it is used up.
    """
    # Made elsewhere, so that what it was made from is not kept while it is sent.
    index = await index_of_referrers(request, repository, subject)
    with budget.claim() as claim:
        if not claim.take(len(index)):
            raise TooManyRequests("too many large lists are being read at this moment; try again")
        return await send_document(request, index, OCI_INDEX)


async def index_of_referrers(
    request: StreamingRequest, repository: Repository, subject: Digest
) -> bytes:
    """
    A page of the referrers of a subject, as an image index; sets the headers that go with it.
    """
    window, artifact_type = Window.of(request.args), argument(request.args, b"artifactType")
    page = await repository.referrers.page(subject, artifact_type, window.last, window.count)
    if artifact_type is not None:
        request.setHeader(b"oci-filters-applied", b"artifactType")
    if page.more and page.descriptors:
        path, last = f"/v2/{repository.name}/referrers/{subject}", page.descriptors[-1].digest
        request.setHeader(b"link", next_link(path, request.args, window, last))
    manifests = [descriptor.to_json() for descriptor in page.descriptors]
    return document({"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": manifests})
