"""Notifications to a webhook: one POST of JSON, without redirects.

The URL is a secret: no error shows more of it than its host. HTTP without TLS is accepted for this
machine only.
"""

from __future__ import annotations

import ipaddress
import json
from http import HTTPStatus
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from gatecert.deadline import Deadline
from gatecert.errors import clean
from gatecert.http.fetcher import FailureKind, FetchError, HttpFetcher, is_fetchable
from gatecert.monitoring.delivery_answer import CHECK_IT, Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

LARGEST_ANSWER: Final = 64 << 10  # bytes
UNSENT: Final = {
    FailureKind.FORBIDDEN_URL,
    FailureKind.UNREADABLE_ROOTS,
    FailureKind.UNTRUSTED,
    FailureKind.EXPIRED,
    FailureKind.UNRESOLVED,
    FailureKind.PROXY,
    FailureKind.SOCKS_MISSING,
}
UNTRUSTED: Final = {FailureKind.UNTRUSTED, FailureKind.EXPIRED, FailureKind.UNREADABLE_ROOTS}
NETWORK: Final = "check this machine's network, resolver and proxy; gatecert tries again"
CHECK_URL: Final = "check the URL in the receiver's file"


def post(url: str, message: Mapping[str, object], seconds: float) -> Answer:
    """Post the message; a status of 200 to 299 means accepted.

    Args:
        url: Where to.
        message: What is sent; its ``id`` is also the header ``Idempotency-Key``.
        seconds: How long it may take.
    """
    scheme = "https" if is_fetchable(url, "https") else "http"
    if not is_fetchable(url, scheme) or (scheme == "http" and not _is_here(url)):
        what = "the URL is not https://HOST/… without a password, or http:// of this machine"
        return Answer(accepted=False, problem=what, fix=CHECK_URL, refused=True)
    host = clean(urlsplit(url).hostname or "", 255)
    headers = {"Content-Type": "application/json", "Idempotency-Key": str(message["id"])}
    fetcher = HttpFetcher(scheme, max_bytes=LARGEST_ANSWER, connect_seconds=seconds, redirects=0)
    try:
        response = fetcher.fetch(
            "POST",
            url,
            deadline=Deadline.after(seconds),
            headers=headers,
            body=json.dumps(message).encode(),
        )
    except FetchError as error:
        if error.kind is FailureKind.TOO_LARGE:
            return _answered(host, error.status)
        return _failed(host, error, seconds)
    finally:
        fetcher.close()
    return _answered(host, response.status)


def _answered(host: str, status: int) -> Answer:
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return Answer(accepted=True)
    what = f"{host} answered with HTTP status {status}"
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        return Answer(accepted=False, problem=what, fix=CHECK_IT)
    return Answer(accepted=False, problem=what, fix=CHECK_URL, refused=True)


def _failed(host: str, error: FetchError, seconds: float) -> Answer:
    """Return a failure in words; only the host of the URL is among them."""
    match error.kind:
        case FailureKind.REDIRECT:
            what = f"{host} redirects, which is not followed"
            fix = "write the new URL into the receiver's file"
            return Answer(accepted=False, problem=what, fix=fix, refused=True)
        case FailureKind.TIMEOUT:
            return Answer(
                accepted=False, problem=f"{host} did not answer within {seconds:g} s", fix=CHECK_IT
            )
    fix = "check this machine's clock and trusted roots" if error.kind in UNTRUSTED else NETWORK
    refused = error.kind in UNSENT or error.reason == "Connection refused"
    what = f"{host} cannot be reached: {error.reason}"
    return Answer(accepted=False, problem=what, fix=fix, refused=refused)


def _is_here(url: str) -> bool:
    """Tell whether a URL is of a loopback address."""
    host = urlsplit(url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
