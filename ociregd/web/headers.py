"""
The headers that every answer has.
"""

from __future__ import annotations

#: Docker's clients once told registries by the first; the others keep browsers from guessing what a
#: blob is, and strangers from knowing which version they talk to.
HEADERS = {
    "docker-distribution-api-version": "registry/2.0",
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox",
    "server": "ociregd",
}

#: What is said of content, and is not true of the answer when the content cannot be had after all.
DESCRIPTION = (
    "accept-ranges",
    "cache-control",
    "content-range",
    "docker-content-digest",
    "etag",
    "link",
    "oci-filters-applied",
)
