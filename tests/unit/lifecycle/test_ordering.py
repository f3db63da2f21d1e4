"""The choice of the authority; the store is real, the authorities are fakes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.played_authority import PlayedAuthority

from gatecert.doctor import codes
from gatecert.errors import (
    ACMEError,
    AuthorityUnreachableError,
    ChallengeFailedError,
    InterruptedOrderError,
    RateLimitBudgetError,
)
from gatecert.model import OutcomeKind

if TYPE_CHECKING:
    from tests.fakes.world import World

    from gatecert.doctor.finding import Code, Finding

UNREACHABLE = AuthorityUnreachableError("no answer")
REFUSED = ACMEError("rejectedIdentifier", "not for us")
NOT_VALIDATED = ChallengeFailedError("connection", "refused")


@pytest.fixture
def second(world: World) -> PlayedAuthority:
    other = PlayedAuthority(world.clock, name="second")
    world.pipeline.authorities["second"] = other  # type: ignore[index] # a dict in this test
    world.target = replace(world.target, authorities=("played", "second"))
    return other


def test_the_next_authority_takes_over_at_once_after_a_refusal(
    world: World, second: PlayedAuthority
) -> None:
    world.authority.trouble = REFUSED
    outcome = world.attend()
    assert outcome.kind is OutcomeKind.ENROLLED
    assert (world.authority.orders, second.orders) == (1, 1)
    assert world.store.versions("vpn")[0].authority == "second"
    assert any("trying second instead" in line for line in world.told)


@pytest.mark.parametrize("force", [False, True])
def test_it_takes_over_at_once_where_only_a_bootstrap_certificate_is_served(
    world: World,
    second: PlayedAuthority,
    force: bool,  # noqa: FBT001 - a parameter
) -> None:
    world.authority.trouble = UNREACHABLE
    assert world.attend(force=force).kind is OutcomeKind.ENROLLED
    assert (world.authority.orders, second.orders) == (1, 1)


@pytest.mark.parametrize("left", [7 * DAY, timedelta(0), -DAY])
def test_it_takes_over_at_once_where_the_certificate_is_about_to_end(
    world: World, second: PlayedAuthority, left: timedelta
) -> None:
    world.attend()
    world.authority.trouble = UNREACHABLE
    world.later(90 * DAY - left)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert second.orders == 1


def test_force_does_not_stay_with_an_authority_that_is_down(
    world: World, second: PlayedAuthority
) -> None:
    world.attend()
    world.authority.trouble = UNREACHABLE
    assert world.attend(force=True).kind is OutcomeKind.RENEWED
    assert second.orders == 1


def test_where_all_are_down_each_is_asked_in_every_pass(
    world: World, second: PlayedAuthority
) -> None:
    world.authority.trouble = second.trouble = UNREACHABLE
    assert world.attend().code == "authority-unreachable"
    for number in range(2, 5):
        world.later(DAY + HOUR if number == 4 else 101 * MINUTE)
        world.attend()
        assert (world.authority.orders, second.orders) == (number, number)
    world.later(DAY + HOUR)
    world.authority.trouble = None
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_it_takes_over_after_two_temporary_failures(world: World, second: PlayedAuthority) -> None:
    world.attend()
    world.later(60 * DAY)
    world.authority.trouble = UNREACHABLE
    assert world.attend().code == "authority-unreachable"
    assert second.orders == 0
    world.pipeline = world.new_pipeline()
    world.pipeline.authorities["second"] = second  # type: ignore[index] # a dict in this test
    world.later(2 * MINUTE)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert second.orders == 1


@pytest.mark.usefixtures("second")
def test_the_first_is_asked_again_for_a_later_renewal(world: World) -> None:
    world.authority.trouble = REFUSED
    world.attend()
    world.authority.trouble = None
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert world.store.versions("vpn")[0].authority == "played"
    assert world.store.state("vpn").enrolment.troubles == ()


def test_only_its_own_certificate_is_said_to_be_replaced(
    world: World, second: PlayedAuthority
) -> None:
    world.attend()
    world.authority.trouble = REFUSED
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert (second.replaced, second.lifetimes) == ([""], [None])
    world.authority.trouble = None
    second.trouble = None
    world.target = replace(world.target, authorities=("second",))
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert second.replaced[1].count(".") == 1
    assert second.lifetimes[1] == 90 * DAY


def test_if_all_authorities_refuse_the_last_refusal_is_reported(
    world: World, second: PlayedAuthority
) -> None:
    world.authority.trouble = REFUSED
    second.trouble = ACMEError("caa", "forbidden")
    outcome = world.attend()
    assert outcome.failed
    assert "caa" in outcome.detail
    assert (world.authority.orders, second.orders) == (1, 1)


def test_stopping_gatecert_does_not_skip_an_authority(
    world: World, second: PlayedAuthority
) -> None:
    world.authority.trouble = InterruptedOrderError("leaving")
    assert world.attend().kind is OutcomeKind.WAITING
    assert second.orders == 0


@pytest.mark.usefixtures("second")
def test_force_begins_with_the_first_again(world: World) -> None:
    world.authority.trouble = REFUSED
    world.attend()
    world.authority.trouble = None
    assert world.attend(force=True).kind is OutcomeKind.RENEWED
    assert world.store.versions("vpn")[0].authority == "played"


def test_force_abandons_the_pending_order(world: World) -> None:
    world.authority.trouble = UNREACHABLE
    world.attend()
    pending = world.store.state("vpn").enrolment.order
    assert pending is not None
    world.attend(force=True)
    assert world.authority.orders == 2
    placed = world.store.state("vpn").enrolment.order
    assert placed is not None
    assert placed.url != pending.url
    assert [each.id for each in world.store.requests("vpn")] == [placed.request_id]


# --------------------------------------------------------------------- obstacles


def world_with(world: World, second: PlayedAuthority, found: dict[str, Finding]) -> None:
    """Let the doctor find something with authorities."""
    world.pipeline = replace(
        world.pipeline, obstacles=lambda _target, authority, _held: found.get(authority)
    )
    world.pipeline.authorities["second"] = second  # type: ignore[index] # a dict in this test


@pytest.mark.parametrize("code", [codes.CAA_FORBIDS, codes.TERMS_NOT_AGREED])
def test_an_obstacle_at_one_authority_does_not_affect_the_next(
    world: World, second: PlayedAuthority, code: Code
) -> None:
    world_with(world, second, {"played": code.found("not here")})
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert (world.authority.orders, second.orders) == (0, 1)
    assert "vpn order not here; trying second instead" in world.told


def test_an_obstacle_at_the_next_authority_does_not_delay_the_first(
    world: World, second: PlayedAuthority
) -> None:
    world_with(world, second, {"second": codes.CAA_FORBIDS.found("not there")})
    world.authority.trouble = UNREACHABLE
    outcome = world.attend()
    assert outcome.code == "authority-unreachable"
    assert outcome.next_at is not None
    assert outcome.next_at - world.clock() <= MINUTE
    world.authority.trouble = None
    world.clock.time = outcome.next_at
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert second.orders == 0


def test_an_obstacle_at_every_authority_is_reported(world: World, second: PlayedAuthority) -> None:
    taken = codes.ADDRESS_IN_USE.found("port 80 is taken")
    world_with(world, second, dict.fromkeys(("played", "second"), taken))
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "address-in-use")
    assert (world.authority.orders, second.orders) == (0, 0)
    assert world.store.state("vpn").enrolment.failures == 0


# --------------------------------------------------------------------- limits


def test_a_spent_budget_is_waited_for_and_no_failure(world: World) -> None:
    until = START + 7 * DAY
    world.authority.trouble = RateLimitBudgetError("enough", until=until)
    outcome = world.attend()
    assert (outcome.kind, outcome.code, outcome.failed) == (
        OutcomeKind.WAITING,
        "budget-spent",
        False,
    )
    assert outcome.next_at == until
    assert world.store.state("vpn").enrolment.failures == 0
    world.later(6 * DAY)
    assert world.attend().kind is OutcomeKind.IDLE
    world.authority.trouble = None
    world.later(DAY)
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_a_wait_that_was_written_under_another_clock_does_not_last_for_ever(world: World) -> None:
    world.authority.trouble = RateLimitBudgetError("enough", until=START + 7 * DAY)
    world.attend()
    world.authority.trouble = None
    world.later(-400 * DAY)
    assert world.attend().kind is OutcomeKind.ENROLLED


# --------------------------------------------------------------------- staging


@pytest.fixture
def staging(world: World) -> PlayedAuthority:
    world.authority.staging = PlayedAuthority(world.clock, name="played.staging")
    return world.authority.staging


def test_the_first_attempt_is_made_in_earnest(world: World, staging: PlayedAuthority) -> None:
    world.attend()
    assert staging.orders == 0


def test_after_a_failed_validation_it_is_tried_at_the_staging_directory_first(
    world: World, staging: PlayedAuthority
) -> None:
    world.authority.trouble = staging.trouble = NOT_VALIDATED
    world.attend()
    for _ in range(3):
        world.later(DAY + HOUR)
        assert world.attend().code == "challenge-failed"
    assert (world.authority.orders, staging.orders) == (1, 3)

    world.authority.trouble = staging.trouble = None
    world.later(2 * DAY)
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert (world.authority.orders, staging.orders) == (2, 4)
    assert len(world.store.versions("vpn")) == 2
    assert world.store.versions("vpn")[0].authority == "played"


def test_an_unusable_staging_directory_does_not_delay_production(
    world: World, staging: PlayedAuthority
) -> None:
    world.authority.trouble = NOT_VALIDATED
    world.attend()
    world.authority.trouble = None
    staging.trouble = UNREACHABLE
    world.later(timedelta(minutes=2))
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_without_a_staging_directory_it_is_tried_in_earnest(world: World) -> None:
    world.authority.trouble = NOT_VALIDATED
    world.attend()
    world.later(2 * MINUTE)
    world.attend()
    assert world.authority.orders == 2
