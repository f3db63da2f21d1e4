"""From an authority's problem document to the error that an operator reads.

The authority's own text is passed on cleaned and cut, but a URL that a person has to visit is kept
whole: Let's Encrypt's page for a paused name carries a long token, and agreeing to new terms has a
page of its own (RFC 8555 section 7.3.3). What can be done about a problem depends on its type.
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

LONGEST_URL = 4096
_URL = re.compile(r"https://[^\s\"'<>\\]+")
_PAUSED = re.compile(r"\bpaused\b|unpause|temporarily prevented", re.IGNORECASE)

# ``{name}`` is the authority's name in the configuration.
_FIXES = {
    "badSignatureAlgorithm": "set authorities.{name}.account_key to a type that the CA takes, such"
    " as rsa-2048",
    "caa": "allow this authority in the CAA records of the name, or use another authority",
    "connection": "let the authority reach the gateway from the internet: address, port forwarding,"
    " firewall",
    "dns": "check the name's DNS as seen from the internet, DNSSEC included",
    "externalAccountRequired": "set authorities.{name}.external_account",
    "invalidContact": "correct authorities.{name}.contact",
    "invalidProfile": "correct authorities.{name}.profile",
    "rejectedIdentifier": "this authority does not issue for the name; add another one below"
    " authorities",
    "tls": "let connections to port 443 reach gatecert; where another server has the port, those"
    " for ALPN acme-tls/1 (docs/challenges.md)",
    "unsupportedContact": "correct authorities.{name}.contact",
    "unsupportedIdentifier": "this authority does not issue for such names; add another one below"
    " authorities",
}
_SOMEBODY_ELSE = "see what else answers for the name: another host, a proxy, a stale AAAA"


def problem_error(  # noqa: PLR0913 - what is known of an answer
    problem: ProblemDocument,
    *,
    name: str,
    authority: str,
    status: int = 0,
    retry_after: datetime | None = None,
    terms_of_service: str = "",
) -> ACMEError:
    """The error for a problem document.

    Args:
        problem: What the authority says.
        name: The authority's name in the configuration.
        authority: How messages call it.
        status: HTTP status, 0 where the problem stood inside a resource.
        retry_after: When it wants to be asked again.
        terms_of_service: URL that came along with the problem.
    """
    kind: type[ACMEError] = ACMEError
    fix = _FIXES.get(problem.type, "").format(name=name)
    page = problem.instance or terms_of_service or _first_url(problem.detail)
    paused = problem.type == "rateLimited" and _PAUSED.search(problem.detail) is not None
    if problem.type == "userActionRequired" or (paused and page):
        kind = UserActionRequiredError
        fix = f"visit {clean(page, LONGEST_URL)}" if page else "see the authority's web site"
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
    """The error for authorizations that the authority did not grant, naming each."""
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
        fix=_FIXES.get(first.type if first else "", _SOMEBODY_ELSE).format(name=name),
        authority=authority,
    )
    error.attempts = tuple(attempt for each in failed for attempt in _attempts(each))
    return error


def _attempts(authorization: Authorization) -> Iterator[FailedAttempt]:
    """The challenges of an authorization that were not met."""
    for offer in authorization.challenges:
        if offer.error is not None or offer.status == INVALID:
            detail = offer.error.detail if offer.error is not None else "no reason given"
            yield FailedAttempt(authorization.name, clean(offer.type, 40), clean(detail))


def _reason(authorization: Authorization) -> ProblemDocument | None:
    return next((each.error for each in authorization.challenges if each.error), None)


def _first_url(text: str) -> str:
    found = _URL.search(text)
    return found.group().rstrip(".,;)") if found else ""
