from __future__ import annotations

import pytest
from tests.fakes.clock import NOW

from gatecert.acme.problems import problem_error, validation_error
from gatecert.acme.resources import Authorization, ChallengeOffer, ProblemDocument
from gatecert.errors import (
    AccountMissingError,
    ACMEError,
    ChallengeFailedError,
    FailedAttempt,
    RateLimitedError,
    UserActionRequiredError,
)
from gatecert.model import Identifier, IdentifierType

LABEL = "CA acme (ca.test)"
PORTAL = "https://portal.example/unpause?jwt=" + "x" * 900


def error_of(document: ProblemDocument, terms_of_service: str = "") -> ACMEError:
    return problem_error(
        document, name="acme", authority=LABEL, status=403, terms_of_service=terms_of_service
    )


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("accountDoesNotExist", AccountMissingError),
        ("rateLimited", RateLimitedError),
        ("userActionRequired", UserActionRequiredError),
        ("unheardOf", ACMEError),
    ],
)
def test_each_problem_type_has_its_error(kind: str, expected: type[ACMEError]) -> None:
    error = error_of(ProblemDocument(kind, "so it is"))

    assert type(error) is expected
    assert (error.problem_type, error.detail, error.status) == (kind, "so it is", 403)
    assert str(error).startswith(f"{LABEL} returned an error: {kind}: so it is")


def test_retry_after_is_kept() -> None:
    error = problem_error(
        ProblemDocument("rateLimited", "wait"), name="acme", authority=LABEL, retry_after=NOW
    )
    assert error.retry_after == NOW


def test_the_page_of_a_paused_name_is_kept_whole() -> None:
    detail = f"Your account is temporarily prevented from requesting certificates. Visit {PORTAL}."
    error = error_of(ProblemDocument("rateLimited", detail))

    assert isinstance(error, UserActionRequiredError)
    assert not error.retryable
    assert error.fix == f"visit {PORTAL}"


@pytest.mark.parametrize(
    "detail",
    [
        "too many certificates already issued: see https://ca.test/docs/rate-limits",
        "issuance is paused, and nobody says where to go",
    ],
)
def test_a_temporary_rate_limit_is_no_pause(detail: str) -> None:
    assert type(error_of(ProblemDocument("rateLimited", detail))) is RateLimitedError


@pytest.mark.parametrize(
    ("document", "terms", "fix"),
    [
        (ProblemDocument("userActionRequired", "new terms"), "https://t/2", "visit https://t/2"),
        (
            ProblemDocument("userActionRequired", "x", instance="https://i"),
            "https://t",
            "visit https://i",
        ),
        (ProblemDocument("userActionRequired", "x"), "", "see the CA's web site"),
    ],
)
def test_the_page_for_a_person(document: ProblemDocument, terms: str, fix: str) -> None:
    assert error_of(document, terms).fix == fix


def test_control_characters_are_removed() -> None:
    error = error_of(
        ProblemDocument(
            "malformed",
            "a\x1b[2Jb\r\nc",
            subproblems=(ProblemDocument("dns", "d\x00e", identifier="f\x07g"),),
        )
    )
    assert str(error) == f"{LABEL} returned an error: malformed: a [2Jb c; f g: d e"


def test_a_fix_names_the_configuration() -> None:
    fix = error_of(ProblemDocument("externalAccountRequired", "x")).fix
    assert fix == "set authorities.acme.external_account"


def test_every_failed_name_is_named() -> None:
    def failed(name: str, *, wildcard: bool = False, why: str = "") -> Authorization:
        problem = ProblemDocument("connection", why) if why else None
        offers = (
            ChallengeOffer("dns-01", "https://c/1", "pending"),
            ChallengeOffer("http-01", "https://c/2", "invalid", error=problem),
        )
        identifier = Identifier(IdentifierType.DNS, name)
        return Authorization("https://z", identifier, "invalid", offers, wildcard=wildcard)

    error = validation_error(
        [failed("a.example.com", why="refused"), failed("example.com", wildcard=True)],
        name="acme",
        authority=LABEL,
    )

    assert isinstance(error, ChallengeFailedError)
    assert error.problem_type == "connection"
    assert error.subproblems == (
        ("a.example.com", "refused"),
        ("*.example.com", "the authorization is invalid"),
    )
    assert "reach the gateway" in error.fix
    assert error.attempts == (
        FailedAttempt("a.example.com", "http-01", "refused"),
        FailedAttempt("*.example.com", "http-01", "no reason given"),
    )


def test_a_failure_without_a_reason() -> None:
    identifier = Identifier(IdentifierType.DNS, "a.example.com")
    failed = Authorization("https://z", identifier, "deactivated", ())
    error = validation_error([failed], name="acme", authority=LABEL)

    assert error.subproblems == (("a.example.com", "the authorization is deactivated"),)
    assert "what else answers" in error.fix
    assert error.attempts == ()
