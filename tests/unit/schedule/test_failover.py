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


def test_authorities_are_asked_in_the_order_of_the_configuration() -> None:
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
def test_a_refusal_for_good_is_not_repeated_for_a_day(error: GatecertError) -> None:
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
def test_what_may_pass_is_tried_twice(error: GatecertError) -> None:
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
def test_where_it_is_urgent_the_next_is_asked_after_the_first_failure(
    error: GatecertError,
) -> None:
    troubles = urgently(error)
    assert skipped_until("first", troubles, NOW) == NOW + HOUR
    assert authorities_to_try(NAMES, troubles, NOW) == ("second", "third")
    assert authorities_to_try(NAMES, troubles, NOW, urgent=True) == ("second", "third", "first")
    assert next_available(NAMES[:1], troubles, NOW, urgent=True) == NOW


def test_a_failed_validation_is_tried_twice_even_so() -> None:
    assert (
        authorities_to_try(NAMES, urgently(ChallengeFailedError("dns", "no")), NOW, urgent=True)
        == NAMES
    )


def test_who_asked_for_the_time_is_not_hurried_but_for_once_a_day() -> None:
    later = RateLimitedError("rateLimited", "slow down", retry_after=NOW + 50 * HOUR)
    troubles = urgently(later)
    assert next_available(NAMES[:1], troubles, NOW, urgent=True) == NOW + DAY
    troubles = urgently(AuthorityUnreachableError("x"), name="second", before=troubles)
    asked = NAMES[:2]
    assert authorities_to_try(asked, troubles, NOW + 23 * HOUR, urgent=True) == ("second",)
    assert authorities_to_try(asked, troubles, NOW + DAY, urgent=True) == ("first", "second")


def test_of_those_that_were_left_one_that_asked_for_the_time_is_asked_last() -> None:
    troubles = failed(RateLimitedError("rateLimited", "x", retry_after=NOW + 3 * HOUR))
    for _ in range(6):
        troubles = after_failure(troubles, "second", AuthorityUnreachableError("x"), NOW)
    assert authorities_to_try(NAMES[:2], troubles, NOW) == ("second",)


def test_a_certificate_that_is_not_sound_is_not_tried_again_soon() -> None:
    assert skipped_until("first", failed(CertificateError("broken")), NOW) == NOW + DAY


def test_absences_grow_to_a_day() -> None:
    absences = [
        skipped_until("first", failed(AuthorityUnreachableError("no answer"), times), NOW)
        for times in (2, 3, 4, 7, 50)
    ]
    assert absences == [NOW + hours * HOUR for hours in (1, 2, 4, 24, 24)]


@pytest.mark.parametrize(
    "error",
    [AddressInUseError("port 80"), StorageError("disk full"), InterruptedOrderError("leaving")],
)
def test_the_gateways_own_trouble_moves_nothing(error: GatecertError) -> None:
    assert failed(error, 5) == ()


def test_who_asks_us_to_come_later_is_left_until_then() -> None:
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
def test_whatever_else_it_says_it_is_not_asked_before_the_time_it_has_named(
    error: GatecertError, times: int
) -> None:
    assert skipped_until("first", failed(error, times), NOW) == NOW + 30 * HOUR


def test_the_first_to_come_back_is_waited_for_where_all_were_left() -> None:
    soon = failed(RateLimitBudgetError("x", until=NOW + HOUR))
    late = failed(RateLimitBudgetError("x", until=NOW + DAY), name="second")
    assert next_available(NAMES[:2], (*soon, *late), NOW) == NOW + HOUR
    assert next_available(NAMES, (*soon, *late), NOW) == NOW


def test_a_spent_budget_is_no_failure_but_the_next_is_asked() -> None:
    spent = RateLimitBudgetError("enough", until=NOW + 2 * HOUR)
    (trouble,) = failed(spent, 3)
    assert trouble.failures == 0
    assert authorities_to_try(NAMES, (trouble,), NOW + HOUR) == ("second", "third")


def test_a_failed_validation_is_remembered_through_a_wait() -> None:
    troubles = failed(ChallengeFailedError("connection", "refused"))
    (trouble,) = after_failure(troubles, "first", RateLimitBudgetError("x", until=NOW + HOUR), NOW)
    assert trouble.validation_failed
    (trouble,) = after_failure((trouble,), "first", AuthorityUnreachableError("x"), NOW)
    assert not trouble.validation_failed


def test_where_all_were_left_the_first_to_come_back_is_asked() -> None:
    troubles: Troubles = ()
    for name in NAMES:
        troubles = after_failure(troubles, name, ACMEError("caa", "no"), NOW)
    troubles = after_failure(troubles, "second", RateLimitBudgetError("x", until=NOW + HOUR), NOW)
    assert authorities_to_try(NAMES, troubles, NOW) == ("second",)
    assert authorities_to_try(("first",), troubles, NOW) == ("first",)


def test_success_is_a_new_beginning_for_that_authority_alone() -> None:
    troubles = (*failed(ACMEError("caa", "no")), *failed(ACMEError("caa", "no"), name="second"))
    assert authorities_to_try(NAMES, after_success(troubles, "first"), NOW) == ("first", "third")


def test_a_clock_that_was_set_back_makes_all_of_it_count_for_nothing() -> None:
    assert authorities_to_try(NAMES, failed(ACMEError("caa", "no")), NOW - MINUTE) == NAMES
