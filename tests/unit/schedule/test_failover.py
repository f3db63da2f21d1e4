from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gatecert.errors import (
    ACMEError,
    AddressInUseError,
    AuthorityError,
    AuthorityServerError,
    AuthorityUnreachableError,
    CertificateError,
    ChallengeFailedError,
    DeadlineExceededError,
    GatecertError,
    InterruptedOrderError,
    RateLimitBudgetError,
    RateLimitedError,
    StorageError,
    TermsNotAgreedError,
    UserActionRequiredError,
)
from gatecert.model import AuthorityFailure
from gatecert.schedule.failover import (
    after_failure,
    after_success,
    authorities_to_try,
    next_available,
    skipped_until,
)

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAMES = ("first", "second", "third")

Troubles = tuple[AuthorityFailure, ...]


def failed(error: GatecertError, times: int = 1, name: str = "first") -> Troubles:
    troubles: Troubles = ()
    for _ in range(times):
        troubles = after_failure(troubles, name, error, NOW)
    return troubles


def test_cas_are_tried_in_the_order_of_the_configuration() -> None:
    assert authorities_to_try(NAMES, (), NOW) == NAMES


@pytest.mark.parametrize(
    "error",
    [
        ACMEError("rejectedIdentifier", "we do not issue for that"),
        ACMEError("externalAccountRequired", "who are you"),
        ChallengeFailedError("caa", "forbidden"),
        TermsNotAgreedError("terms"),
        UserActionRequiredError("rateLimited", "paused"),
        AuthorityError("no such profile"),
    ],
)
def test_a_permanent_refusal_skips_the_ca_for_a_day(error: GatecertError) -> None:
    troubles = failed(error)
    assert authorities_to_try(NAMES, troubles, NOW + 23 * HOUR) == ("second", "third")
    assert authorities_to_try(NAMES, troubles, NOW + DAY) == NAMES


@pytest.mark.parametrize(
    "error",
    [
        AuthorityUnreachableError("no answer"),
        ACMEError("serverInternal", "oops"),
        ChallengeFailedError("connection", "refused"),
    ],
)
def test_a_temporary_failure_is_tried_twice(error: GatecertError) -> None:
    assert authorities_to_try(NAMES, failed(error), NOW) == NAMES
    twice = failed(error, 2)
    assert authorities_to_try(NAMES, twice, NOW + 59 * MINUTE) == ("second", "third")
    assert authorities_to_try(NAMES, twice, NOW + HOUR) == NAMES


def urgently(error: GatecertError, *, name: str = "first", before: Troubles = ()) -> Troubles:
    return after_failure(before, name, error, NOW, urgent=True)


@pytest.mark.parametrize(
    "error",
    [
        AuthorityUnreachableError("no answer"),
        AuthorityServerError("HTTP 500"),
        DeadlineExceededError("too long"),
        ACMEError("serverInternal", "oops"),
    ],
)
def test_if_urgent_the_next_ca_is_tried_after_the_first_failure(
    error: GatecertError,
) -> None:
    troubles = urgently(error)
    assert skipped_until("first", troubles, NOW) == NOW + HOUR
    assert authorities_to_try(NAMES, troubles, NOW) == ("second", "third")
    assert authorities_to_try(NAMES, troubles, NOW, urgent=True) == ("second", "third", "first")
    assert next_available(NAMES[:1], troubles, NOW, urgent=True) == NOW


def test_a_failed_validation_is_tried_twice_even_if_urgent() -> None:
    assert (
        authorities_to_try(NAMES, urgently(ChallengeFailedError("dns", "no")), NOW, urgent=True)
        == NAMES
    )


def test_retry_after_is_shortened_to_a_day_if_urgent() -> None:
    later = RateLimitedError("rateLimited", "slow down", retry_after=NOW + 50 * HOUR)
    troubles = urgently(later)
    assert next_available(NAMES[:1], troubles, NOW, urgent=True) == NOW + DAY
    troubles = urgently(AuthorityUnreachableError("x"), name="second", before=troubles)
    asked = NAMES[:2]
    assert authorities_to_try(asked, troubles, NOW + 23 * HOUR, urgent=True) == ("second",)
    assert authorities_to_try(asked, troubles, NOW + DAY, urgent=True) == ("first", "second")


def test_a_skipped_ca_with_retry_after_is_tried_last() -> None:
    troubles = failed(RateLimitedError("rateLimited", "x", retry_after=NOW + 3 * HOUR))
    for _ in range(6):
        troubles = after_failure(troubles, "second", AuthorityUnreachableError("x"), NOW)
    assert authorities_to_try(NAMES[:2], troubles, NOW) == ("second",)


def test_an_invalid_certificate_is_a_permanent_failure() -> None:
    assert skipped_until("first", failed(CertificateError("broken")), NOW) == NOW + DAY


def test_skips_grow_to_a_day() -> None:
    absences = [
        skipped_until("first", failed(AuthorityUnreachableError("no answer"), times), NOW)
        for times in (2, 3, 4, 7, 50)
    ]
    assert absences == [NOW + hours * HOUR for hours in (1, 2, 4, 24, 24)]


@pytest.mark.parametrize(
    "error",
    [AddressInUseError("port 80"), StorageError("disk full"), InterruptedOrderError("leaving")],
)
def test_a_local_problem_skips_no_ca(error: GatecertError) -> None:
    assert failed(error, 5) == ()


def test_retry_after_skips_the_ca_until_then() -> None:
    later = RateLimitedError("rateLimited", "slow down", retry_after=NOW + 5 * HOUR)
    assert skipped_until("first", failed(later), NOW) == NOW + 5 * HOUR
    assert skipped_until("first", failed(RateLimitedError("rateLimited", "x")), NOW) == NOW + HOUR


@pytest.mark.parametrize(
    "error",
    [
        ACMEError("serverInternal", "oops", retry_after=NOW + 30 * HOUR),
        ACMEError("caa", "forbidden", retry_after=NOW + 30 * HOUR),
    ],
)
@pytest.mark.parametrize("times", [1, 2, 3])
def test_retry_after_counts_for_every_error(error: GatecertError, times: int) -> None:
    assert skipped_until("first", failed(error, times), NOW) == NOW + 30 * HOUR


def test_if_all_are_skipped_the_first_available_time_counts() -> None:
    soon = failed(RateLimitBudgetError("x", until=NOW + HOUR))
    late = failed(RateLimitBudgetError("x", until=NOW + DAY), name="second")
    assert next_available(NAMES[:2], (*soon, *late), NOW) == NOW + HOUR
    assert next_available(NAMES, (*soon, *late), NOW) == NOW


def test_a_used_up_rate_limit_is_no_failure_but_skips_the_ca() -> None:
    spent = RateLimitBudgetError("enough", until=NOW + 2 * HOUR)
    (trouble,) = failed(spent, 3)
    assert trouble.failures == 0
    assert authorities_to_try(NAMES, (trouble,), NOW + HOUR) == ("second", "third")


def test_a_failed_validation_is_remembered_during_a_skip() -> None:
    troubles = failed(ChallengeFailedError("connection", "refused"))
    (trouble,) = after_failure(troubles, "first", RateLimitBudgetError("x", until=NOW + HOUR), NOW)
    assert trouble.validation_failed
    (trouble,) = after_failure((trouble,), "first", AuthorityUnreachableError("x"), NOW)
    assert not trouble.validation_failed


def test_if_all_are_skipped_the_first_available_ca_is_tried() -> None:
    troubles: Troubles = ()
    for name in NAMES:
        troubles = after_failure(troubles, name, ACMEError("caa", "no"), NOW)
    troubles = after_failure(troubles, "second", RateLimitBudgetError("x", until=NOW + HOUR), NOW)
    assert authorities_to_try(NAMES, troubles, NOW) == ("second",)
    assert authorities_to_try(("first",), troubles, NOW) == ("first",)


def test_success_clears_the_failures_of_that_ca_only() -> None:
    troubles = (*failed(ACMEError("caa", "no")), *failed(ACMEError("caa", "no"), name="second"))
    assert authorities_to_try(NAMES, after_success(troubles, "first"), NOW) == ("first", "third")


def test_failures_in_the_future_are_ignored_after_the_clock_was_set_back() -> None:
    assert authorities_to_try(NAMES, failed(ACMEError("caa", "no")), NOW - MINUTE) == NAMES
