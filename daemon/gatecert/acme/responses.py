"""From an HTTP answer to a value or an error.

- A problem document becomes the error that fits its type (RFC 8555 section 6.7).
- 429, and 503 with Retry-After, ask us to wait; when they do, everybody waits until then.
- Other 5xx, HTML, truncated JSON and the like are the authority's own trouble, and pass.
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

Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class ResponseReader:
    """Reads one authority's answers.

    Attributes:
        name: The authority's name in the configuration.
        now: The wall clock, aware UTC.
    """

    name: str
    now: Callable[[], datetime]

    def checked(self, answer: Response) -> Response:
        """Pass an answer on that is no error.

        Raises:
            ACMEError: It is a problem document.
            RateLimitedError: We are asked to wait.
            AuthorityUnreachableError: It is an error, but none of ACME's.
        """
        if answer.status < BAD_REQUEST:
            return answer
        raise self._error(answer, ProblemDocument.read(_json(answer)))

    def read(self, answer: Response, reader: Callable[[object], Value]) -> Value:
        """Make a value of an answer's JSON.

        Raises:
            AuthorityUnreachableError: It is no JSON, or not the JSON it should be.
        """
        try:
            return reader(_json(answer))
        except UnusableResponseError as error:
            raise self.unusable(answer, str(error)) from error

    def retry_after(self, answer: Response) -> float | None:
        """The answer's Retry-After in seconds; None if there is none."""
        return retry_after_seconds(answer.headers, self.now())

    def unusable(self, answer: Response, why: str) -> AuthorityUnreachableError:
        """The error for an answer that nothing can be made of."""
        start = clean(answer.body[:60].decode("utf-8", "replace"), 60)
        return AuthorityUnreachableError(
            f"{label(self.name, answer.url)} sent an answer that is not ACME: "
            f"HTTP {answer.status}, {why}" + (f"; it begins {start!r}" if start else "")
        )

    def _error(self, answer: Response, problem: ProblemDocument | None) -> GatecertError:
        seconds = self.retry_after(answer)
        overloaded = answer.status == SERVICE_UNAVAILABLE and seconds is not None
        if answer.status == TOO_MANY_REQUESTS or overloaded:
            said = problem or ProblemDocument("rateLimited", "too many requests")
            problem = replace(said, type="rateLimited")
        elif answer.status >= INTERNAL_SERVER_ERROR:
            detail = f": {clean(problem.detail, 200)}" if problem else ""
            return AuthorityServerError(
                f"{label(self.name, answer.url)} has trouble of its own: "
                f"HTTP {answer.status}{detail}"
            )
        elif problem is None and answer.status in GONE:  # Pebble says no more than that
            problem = ProblemDocument("notFound", f"nothing is found at {answer.url}")
        if problem is None:
            return self.unusable(answer, "an error without a problem document")
        return problem_error(
            problem,
            name=self.name,
            authority=label(self.name, answer.url),
            status=answer.status,
            retry_after=None if seconds is None else self.now() + timedelta(seconds=seconds),
            terms_of_service=next(iter(links(answer, "terms-of-service")), ""),
        )


def links(answer: Response, relation: str) -> list[str]:
    """The URLs of an answer's links with a relation (RFC 8288), in order."""
    found = parse_header_links(answer.headers.get("Link", ""))
    urls = (
        resolve_url(answer.url, link["url"])
        for link in found
        if link.get("rel") == relation and link.get("url")
    )
    return [url for url in urls if url]


def _json(answer: Response) -> object:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
