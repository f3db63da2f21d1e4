"""Errors for the operator from a CA's problem documents.

The CA's own text is cleaned and shortened, but a URL that a person has to visit is kept whole:
Let's Encrypt's page for a paused name has a long token, and agreement to new terms has its own page
(RFC 8555 section 7.3.3). The fix depends on the problem type.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from gatecert.acme.resources import INVALID
from gatecert.errors import (
    AccountMissingError,
    ACMEError,
    ChallengeFailedError,
    FailedAttempt,
    RateLimitedError,
    UserActionRequiredError,
    clean,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatecert.acme.resources import Authorization, ProblemDocument

MAX_URL = 4096
_URL = re.compile(r"https://[^\s\"'<>\\]+")
_PAUSED = re.compile(r"\bpaused\b|unpause|temporarily prevented", re.IGNORECASE)

# ``{name}`` is the CA's name in the configuration.
_FIXES = {
    "badSignatureAlgorithm": "set authorities.{name}.account_key to a type that the CA accepts:"
    " rsa-2048, for example",
    "caa": "allow this CA in the CAA records of the name, or use another CA",
    "connection": "let the CA reach the gateway from the internet: address, port forwarding,"
    " firewall",
    "dns": "check the name's DNS as seen from the internet, DNSSEC included",
    "externalAccountRequired": "set authorities.{name}.external_account",
    "invalidContact": "correct authorities.{name}.contact",
    "invalidProfile": "correct authorities.{name}.profile",
    "rejectedIdentifier": "this CA does not issue for the name; add another one below authorities",
    "tls": "let connections to port 443 reach gatecert; if another server has the port, let it pass"
    " on those with ALPN acme-tls/1 (docs/challenges.md)",
    "unsupportedContact": "correct authorities.{name}.contact",
    "unsupportedIdentifier": "this CA does not issue for such names; add another one below"
    " authorities",
}
_OTHER_RESPONDER = "check what else answers for the name: another host, a proxy, an old AAAA record"


def problem_error(  # noqa: PLR0913 - all that the error depends on
    problem: ProblemDocument,
    *,
    name: str,
    authority: str,
    status: int = 0,
    retry_after: datetime | None = None,
    terms_of_service: str = "",
) -> ACMEError:
    """Make the error for a problem document.

    Args:
        problem: The problem document.
        name: The CA's name in the configuration.
        authority: The CA in messages.
        status: HTTP status; 0 if the problem is part of a resource.
        retry_after: The instant of Retry-After.
        terms_of_service: URL linked from the response.
    """
    kind: type[ACMEError] = ACMEError
    fix = _FIXES.get(problem.type, "").format(name=name)
    page = problem.instance or terms_of_service or _first_url(problem.detail)
    paused = problem.type == "rateLimited" and _PAUSED.search(problem.detail) is not None
    if problem.type == "userActionRequired" or (paused and page):
        kind = UserActionRequiredError
        fix = f"visit {clean(page, MAX_URL)}" if page else "see the CA's web site"
    elif problem.type == "accountDoesNotExist":
        kind = AccountMissingError
    elif problem.type == "rateLimited":
        kind = RateLimitedError
    error = kind(
        problem.type,
        problem.detail,
        subproblems=[(each.identifier, each.detail) for each in problem.subproblems],
        status=status,
        retry_after=retry_after,
        fix=fix,
        authority=authority,
    )
    error.algorithms = problem.algorithms
    return error


def validation_error(
    failed: Sequence[Authorization], *, name: str, authority: str
) -> ChallengeFailedError:
    """Make the error for failed authorizations, naming each."""
    problems = [(each, _reason(each)) for each in failed]
    first = next((problem for _, problem in problems if problem is not None), None)
    error = ChallengeFailedError(
        first.type if first else "unauthorized",
        "validation failed",
        subproblems=[
            (
                each.name,
                problem.detail if problem else f"the authorization is {each.status}",
            )
            for each, problem in problems
        ],
        fix=_FIXES.get(first.type if first else "", _OTHER_RESPONDER).format(name=name),
        authority=authority,
    )
    error.attempts = tuple(attempt for each in failed for attempt in _attempts(each))
    return error


def _attempts(authorization: Authorization) -> Iterator[FailedAttempt]:
    """Yield the failed challenges of an authorization."""
    for offer in authorization.challenges:
        if offer.error is not None or offer.status == INVALID:
            detail = offer.error.detail if offer.error is not None else "no reason given"
            yield FailedAttempt(authorization.name, clean(offer.type, 40), clean(detail))


def _reason(authorization: Authorization) -> ProblemDocument | None:
    return next((each.error for each in authorization.challenges if each.error), None)


def _first_url(text: str) -> str:
    found = _URL.search(text)
    return found.group().rstrip(".,;)") if found else ""
