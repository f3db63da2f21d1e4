"""CRL downloads over plain http (RFC 5280 section 4.2.1.13), on ``http.fetcher``.

A CRL is signed, so http is enough: nothing is trusted before the signature has been checked. A
conditional request costs next to nothing where the CRL has not changed (RFC 9110 section 13).
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gatecert.errors import AuthorityUnreachableError, clean

if TYPE_CHECKING:
    from gatecert.deadline import Deadline
    from gatecert.http.fetcher import Response

MAX_CRL_BYTES = 16 << 20  # complete CRLs of large CAs have some megabytes
MAX_VALIDATOR = 200  # characters
OK, REDIRECTION, NOT_MODIFIED, SERVER_ERROR = 200, 300, 304, 500

_PLAIN = re.compile(r"[ -~]*")

UNREACHABLE = (
    "let this machine reach that host over http (port 80), or set renewal.revocation_lists: false"
)
NOT_PUBLISHED = (
    "the network is fine, as the host answers: the CA has to publish the CRL at the URL in its"
    " certificates; tell it, or set renewal.revocation_lists: false"
)
HOST_BROKEN = "no action needed: the CRL's host returned a server error; gatecert tries again"


@dataclass(frozen=True, slots=True)
class CrlDownload:
    """A host's response to a download.

    Attributes:
        data: None if the known CRL is still the current one.
        etag: The entity tag.
        last_modified: The Last-Modified date as sent.
    """

    data: bytes | None
    etag: str = ""
    last_modified: str = ""


def download(
    url: str,
    deadline: Deadline,
    *,
    etag: str = "",
    last_modified: str = "",
    max_bytes: int = MAX_CRL_BYTES,
) -> CrlDownload:
    """Download a CRL.

    Args:
        url: http://…
        deadline: When to give up.
        etag: Entity tag of the known CRL.
        last_modified: Its Last-Modified date, for hosts without entity tags.
        max_bytes: The size of the largest CRL.

    Raises:
        AuthorityUnreachableError: It cannot be downloaded.
    """
    # The library takes as long to import as everything that reads CRLs.
    from gatecert.http.fetcher import FetchError, HttpFetcher  # noqa: PLC0415

    headers = {"If-None-Match": etag} if etag else {}
    headers |= {"If-Modified-Since": last_modified} if last_modified else {}
    with closing(HttpFetcher("http", max_bytes=max_bytes)) as fetcher:
        try:
            response = fetcher.fetch("GET", url, deadline=deadline, headers=headers)
        except FetchError as error:
            raise _unreachable(url, error.reason) from error
    if response.status == NOT_MODIFIED and headers:
        return CrlDownload(None, etag, last_modified)
    if not OK <= response.status < REDIRECTION:
        fix = HOST_BROKEN if response.status >= SERVER_ERROR else NOT_PUBLISHED
        raise _unreachable(url, f"HTTP {response.status}", fix)
    return CrlDownload(
        response.body, _validator(response, "ETag"), _validator(response, "Last-Modified")
    )


def _validator(response: Response, name: str) -> str:
    """Return a validator that a later request can carry; empty otherwise."""
    value = response.headers.get(name, "").strip()
    return value if len(value) <= MAX_VALIDATOR and _PLAIN.fullmatch(value) else ""


def _unreachable(url: str, reason: str, fix: str = UNREACHABLE) -> AuthorityUnreachableError:
    return AuthorityUnreachableError(
        f"the CRL {clean(url, 200)} cannot be downloaded: {clean(reason, 200)}", fix=fix
    )
