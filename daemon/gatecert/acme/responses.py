"""Values and errors from a CA's HTTP responses.

- A problem document becomes the error for its type (RFC 8555 section 6.7).
- 429, and 503 with Retry-After, become a rate limit. All requests to the CA wait until then,
  unless it is a long wait after 429: that is about a name or the account, and others may go on.
- Other 5xx, HTML, truncated JSON and the like are temporary errors of the CA.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, TypeVar

from requests.utils import parse_header_links

from gatecert.acme.problems import problem_error
from gatecert.acme.resources import ProblemDocument, UnusableResponseError
from gatecert.acme.transport import label
from gatecert.errors import AuthorityServerError, AuthorityUnreachableError, GatecertError, clean
from gatecert.http.fetcher import resolve_url
from gatecert.http.headers import retry_after_seconds

if TYPE_CHECKING:
    from gatecert.http.fetcher import Response

BAD_REQUEST = 400
GONE = {404, 410}
TOO_MANY_REQUESTS = 429
INTERNAL_SERVER_ERROR = 500
SERVICE_UNAVAILABLE = 503

# Seconds; CAs limit names and accounts over hours and days, and the load over minutes at most.
LONGEST_SHARED_429 = 600.0

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ResponseReader:
    """Reads one CA's responses.

    Attributes:
        name: The CA's name in the configuration.
        now: The wall clock, aware UTC.
    """

    name: str
    now: Callable[[], datetime]

    def checked(self, response: Response) -> Response:
        """Return a response that is no error.

        Raises:
            ACMEError: It is a problem document.
            RateLimitedError: The CA asks to wait.
            AuthorityUnreachableError: It is an error without a problem document.
        """
        if response.status < BAD_REQUEST:
            return response
        raise self._error(response, ProblemDocument.read(_json(response)))

    def read(self, response: Response, reader: Callable[[object], Value]) -> Value:
        """Read a value from a response's JSON.

        Raises:
            AuthorityUnreachableError: It is not JSON, or not the expected JSON.
        """
        try:
            return reader(_json(response))
        except UnusableResponseError as error:
            raise self.unusable(response, str(error)) from error

    def retry_after(self, response: Response) -> float | None:
        """Return the response's Retry-After in seconds; None if not given."""
        return retry_after_seconds(response.headers, self.now())

    def asked_pause(self, response: Response) -> float | None:
        """Return the seconds that everybody has to wait after a response; None if nobody has."""
        seconds = self.retry_after(response)
        if seconds is None:
            return None
        if response.status == SERVICE_UNAVAILABLE:
            return seconds
        if response.status == TOO_MANY_REQUESTS and seconds <= LONGEST_SHARED_429:
            return seconds
        return None

    def unusable(self, response: Response, why: str) -> AuthorityUnreachableError:
        """Make the error for an unusable response."""
        start = clean(response.body[:60].decode("utf-8", "replace"), 60)
        return AuthorityUnreachableError(
            f"{label(self.name, response.url)} sent a response that is not ACME: "
            f"HTTP {response.status}, {why}" + (f"; it begins with {start!r}" if start else "")
        )

    def _error(self, response: Response, problem: ProblemDocument | None) -> GatecertError:
        seconds = self.retry_after(response)
        overloaded = response.status == SERVICE_UNAVAILABLE and seconds is not None
        if response.status == TOO_MANY_REQUESTS or overloaded:
            said = problem or ProblemDocument("rateLimited", "too many requests")
            problem = replace(said, type="rateLimited")
        elif response.status >= INTERNAL_SERVER_ERROR:
            detail = f": {clean(problem.detail, 200)}" if problem else ""
            who = label(self.name, response.url)
            return AuthorityServerError(f"{who} returned an error: HTTP {response.status}{detail}")
        elif problem is None and response.status in GONE:  # Pebble sends no problem document
            problem = ProblemDocument("notFound", f"nothing found at {response.url}")
        if problem is None:
            return self.unusable(response, "an error without a problem document")
        return problem_error(
            problem,
            name=self.name,
            authority=label(self.name, response.url),
            status=response.status,
            retry_after=None if seconds is None else self.now() + timedelta(seconds=seconds),
            terms_of_service=next(iter(links(response, "terms-of-service")), ""),
        )


def links(response: Response, relation: str) -> list[str]:
    """Return the URLs of a response's links with a relation (RFC 8288), in order."""
    found = parse_header_links(response.headers.get("Link", ""))
    urls = (
        resolve_url(response.url, link["url"])
        for link in found
        if link.get("rel") == relation and link.get("url")
    )
    return [url for url in urls if url]


def _json(response: Response) -> object:
    try:
        return json.loads(response.body)
    except (ValueError, RecursionError):
        return None
