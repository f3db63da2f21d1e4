"""One HTTPS request to a service, with its failures in words."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.deadline import Deadline
from gatecert.errors import DdnsUnreachableError
from gatecert.http.fetcher import FailureKind, FetchError
from gatecert.http.headers import retry_after_seconds

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from gatecert.http.fetcher import Response

SECONDS: Final = 20.0  # for one request
LARGEST_ANSWER: Final = 1 << 20  # bytes
RATE_LIMITED: Final = {HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE}
UNTRUSTED: Final = {FailureKind.UNTRUSTED, FailureKind.EXPIRED, FailureKind.UNREADABLE_ROOTS}


class Fetcher(Protocol):
    """Fetches over HTTPS; implemented by ``http.fetcher.HttpFetcher``."""

    def fetch(
        self,
        method: str,
        url: str,
        *,
        deadline: Deadline,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """Send a request and read the response; raise FetchError if there is none."""
        ...


class SecretReader(Protocol):
    """Reads a secret file; implemented by ``challenge.dns01.secret.read_secret``."""

    def __call__(self, path: Path, key: str) -> str:
        """Return the secret; ``key`` names its configuration key in errors."""
        ...


def send(
    fetcher: Fetcher, url: str, *, service: str, headers: Mapping[str, str] | None = None
) -> Response:
    """Send a GET request; return every answer but those of a server in trouble.

    Args:
        fetcher: Sends it.
        url: May contain a password, which no error repeats.
        service: The host, for messages.
        headers: Further headers.

    Raises:
        DdnsUnreachableError: No answer, a server error, or a rate limit.
    """
    try:
        response = fetcher.fetch("GET", url, deadline=Deadline.after(SECONDS), headers=headers)
    except FetchError as error:
        # Without its cause, which contains the URL.
        raise DdnsUnreachableError(
            f"{service} cannot be reached: {error.reason}", fix=_fix(error)
        ) from None
    if response.status in RATE_LIMITED or response.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        what = "asks to wait" if response.status in RATE_LIMITED else "has an internal error"
        raise DdnsUnreachableError(
            f"{service} {what} (HTTP status {response.status})",
            fix="no action needed; gatecert tries again later",
            pause=retry_after_seconds(response.headers, datetime.now(UTC)),
        )
    return response


def _fix(error: FetchError) -> str:
    if error.kind in UNTRUSTED:
        return "check this machine's clock and trusted roots, or set ca_bundle"
    if error.kind is FailureKind.REDIRECT:
        return "name the final URL: redirects are not followed"
    return "check this machine's network, resolver and proxy; gatecert tries again"
