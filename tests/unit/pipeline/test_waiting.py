"""The wait that one authority asks for is its own: whoever else may be asked is asked before."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.unit.pipeline.conftest import DAY, HOUR, MINUTE, PlayedAuthority, World

from gatecert.errors import (
    ACMEError,
    AuthorityUnreachableError,
    BudgetSpentError,
    RateLimitedError,
    UserActionRequiredError,
)
from gatecert.model import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

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
        lambda until: BudgetSpentError("no more", until=until),
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


def test_an_only_authority_is_waited_for(world: World, second: PlayedAuthority) -> None:
    world.target = replace(world.target, authorities=("second",))
    until = world.clock() + 2 * DAY
    second.trouble = BudgetSpentError("no more", until=until)
    assert world.attend().next_at == until
