"""The Retry-After of a CA, and how long it is honoured.

It applies to that CA only: others are asked first. And it lets no certificate expire.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE
from tests.fakes.played_authority import PlayedAuthority

from gatecert.errors import (
    ACMEError,
    AuthorityUnreachableError,
    RateLimitBudgetError,
    RateLimitedError,
    UserActionRequiredError,
)
from gatecert.model import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from tests.fakes.world import World

    from gatecert.errors import GatecertError

UNREACHABLE = AuthorityUnreachableError("no answer")


@pytest.fixture
def second(world: World) -> PlayedAuthority:
    """Asked where the first is left, whose certificates last six days and are half used up."""
    other = PlayedAuthority(world.clock, name="second")
    world.pipeline.authorities["second"] = other  # type: ignore[index] # a dict in this test
    world.target = replace(world.target, authorities=("played", "second"))
    world.authority.lifetime = 6 * DAY
    world.attend()
    world.later(3 * DAY)
    world.authority.trouble = UNREACHABLE
    world.attend()
    world.later(2 * MINUTE)
    return other


@pytest.mark.parametrize(
    "error",
    [
        lambda until: RateLimitedError("rateLimited", "later", retry_after=until),
        lambda until: UserActionRequiredError("rateLimited", "paused", retry_after=until),
        lambda until: ACMEError("serverInternal", "oops", retry_after=until),
        lambda until: RateLimitBudgetError("no more", until=until),
    ],
    ids=["rate limit", "paused", "any problem", "budget"],
)
def test_the_first_is_asked_as_soon_as_it_is_back(
    world: World, second: PlayedAuthority, error: Callable[[datetime], GatecertError]
) -> None:
    second.trouble = error(world.clock() + 7 * DAY)
    outcome = world.attend()
    assert outcome.kind in {OutcomeKind.FAILED, OutcomeKind.WAITING}
    assert outcome.next_at is not None
    assert outcome.next_at - world.clock() == HOUR

    world.authority.trouble = None
    world.clock.time = outcome.next_at
    assert world.attend().kind is OutcomeKind.RENEWED
    assert (world.authority.orders, second.orders) == (3, 1)


def test_the_wait_of_the_second_is_kept_while_the_first_is_asked(
    world: World, second: PlayedAuthority
) -> None:
    second.trouble = RateLimitedError("rateLimited", "later", retry_after=world.clock() + 7 * DAY)
    for _ in range(6):
        outcome = world.attend()
        assert outcome.next_at is not None
        assert outcome.next_at - world.clock() < 3 * HOUR
        world.clock.time = outcome.next_at
    assert second.orders == 1


def look_seldom(world: World) -> None:
    """Leave out most of the passes that only look at names and listeners."""
    world.plan(watch=3 * HOUR)
    world.pipeline = replace(world.pipeline, look_interval=18 * MINUTE)


def wait_until(world: World, instant: datetime) -> int:
    """Attend whenever the pipeline wants to; how many orders were tried."""
    before = world.authority.orders
    outcome = world.attend()
    while outcome.wake_at is not None and outcome.wake_at < instant:
        world.clock.time = max(outcome.wake_at, world.clock.time)
        outcome = world.attend()
    world.clock.time = instant
    return world.authority.orders - before


def test_an_only_authority_is_tried_before_and_seldom_after_the_certificate_ends(
    world: World,
) -> None:
    look_seldom(world)
    world.authority.lifetime = 6 * DAY
    world.attend()
    end = world.clock() + 6 * DAY
    world.later(3 * DAY)
    world.authority.trouble = RateLimitedError(
        "rateLimited", "later", retry_after=world.clock() + 365 * DAY
    )
    assert 5 <= wait_until(world, end) <= 20
    assert wait_until(world, end + 10 * DAY) <= 12
    world.authority.trouble = None
    world.later(DAY)
    assert world.attend().kind is OutcomeKind.RENEWED


def test_an_authority_is_not_tried_before_its_time_while_the_certificate_lasts(
    world: World,
) -> None:
    look_seldom(world)
    world.authority.lifetime = 6 * DAY
    world.attend()
    world.later(3 * DAY)
    until = world.clock() + 2 * DAY
    world.authority.trouble = RateLimitedError("rateLimited", "later", retry_after=until)
    assert wait_until(world, until) == 1


def test_an_authority_that_is_back_is_asked_before_the_certificate_ends(
    world: World, second: PlayedAuthority
) -> None:
    """The first was left for a day, the second asks for a week, the certificate ends first."""
    second.trouble = RateLimitedError("rateLimited", "later", retry_after=world.clock() + 30 * DAY)
    world.authority.trouble = ACMEError("unauthorized", "no", retry_after=world.clock() + 30 * DAY)
    end = world.clock() + 3 * DAY - HOUR
    world.attend()
    tried = world.authority.orders
    outcome = world.attend()
    assert outcome.next_at is not None
    world.clock.time = outcome.next_at
    assert outcome.next_at < end
    world.authority.trouble = second.trouble = None
    assert world.attend().kind is OutcomeKind.RENEWED
    assert world.authority.orders + second.orders > tried


def test_an_only_authority_is_waited_for(world: World, second: PlayedAuthority) -> None:
    world.target = replace(world.target, authorities=("second",))
    until = world.clock() + 2 * DAY
    second.trouble = RateLimitBudgetError("no more", until=until)
    assert world.attend().next_at == until
