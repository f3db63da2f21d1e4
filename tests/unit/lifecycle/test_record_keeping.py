"""Dynamic DNS in a pass: before the names are looked up, and never in the way of a certificate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE
from tests.fakes.resolver import ELSEWHERE, HERE

from gatecert.model import (
    AddressRecords,
    DdnsProblem,
    DdnsState,
    Mode,
    OutcomeKind,
    RecordKind,
)

if TYPE_CHECKING:
    from datetime import datetime

    from tests.fakes.world import World

    from gatecert.model import Target

RECORDS = (AddressRecords(RecordKind.A, (HERE,)),)


@dataclass
class Keeper:
    """A keeper that does what a test says, and remembers who asked it."""

    act: Callable[[], None] = lambda: None
    problem: str = ""
    publishes: bool = True
    error: Exception | None = None
    asked: list[bool] = field(default_factory=list)

    def keep(self, before: DdnsState | None, *, now: datetime, asked: bool) -> DdnsState:
        self.asked.append(asked)
        if self.error is not None:
            raise self.error
        if before is not None and before.next_look and now < before.next_look and not asked:
            return before
        state = replace(before or DdnsState(), looked_at=now, next_look=now + 5 * MINUTE)
        if self.problem:
            return replace(state, problem=DdnsProblem("ddns-refused", self.problem, "do it", now))
        if self.publishes and state.published_at is None:
            self.act()
            return replace(state, published=RECORDS, published_at=now, problem=None)
        return replace(state, problem=None)


@pytest.fixture
def keeper(world: World) -> Keeper:
    made = Keeper()

    def of(target: Target) -> Keeper:
        assert target.name == "vpn"
        return made

    world.pipeline.keeper = of
    world.target = replace(world.target, keeps_records=True)
    return made


def test_a_name_that_points_elsewhere_is_published_and_enrolled_in_one_pass(
    world: World, keeper: Keeper
) -> None:
    world.names.address = ELSEWHERE
    keeper.act = lambda: setattr(world.names, "address", HERE)

    outcome = world.attend()

    assert outcome.kind is OutcomeKind.ENROLLED
    assert any("dynamic DNS: vpn.example.com is now A 192.0.2.7" in each for each in world.told)


def test_after_a_change_a_waiting_gateway_looks_again_at_once(world: World, keeper: Keeper) -> None:
    world.names.address = ELSEWHERE
    keeper.publishes = False
    assert world.attend().kind is OutcomeKind.WAITING
    world.later(5 * MINUTE)
    keeper.publishes = True
    keeper.act = lambda: setattr(world.names, "address", HERE)

    assert world.attend().kind is OutcomeKind.ENROLLED


def test_the_next_pass_comes_with_the_next_look(world: World, keeper: Keeper) -> None:
    world.attend()
    outcome = world.attend()
    assert keeper.asked == [False, False]
    assert outcome.wake_at is not None
    assert outcome.wake_at <= world.clock() + 5 * MINUTE


def test_a_failure_stops_no_enrolment_of_a_name_that_points_here(
    world: World, keeper: Keeper
) -> None:
    keeper.problem = "badauth"
    assert world.attend().kind is OutcomeKind.ENROLLED
    state = world.store.state("vpn")
    assert state.host.ddns is not None
    assert state.host.ddns.problem is not None
    assert state.host.ddns.problem.detail == "badauth"


def test_a_name_that_does_not_point_here_says_why_dynamic_dns_does_not_help(
    world: World, keeper: Keeper
) -> None:
    world.names.address = ELSEWHERE
    keeper.problem = "the password is wrong"

    outcome = world.attend()

    assert outcome.kind is OutcomeKind.WAITING
    assert (outcome.code, outcome.fix) == ("ddns-refused", "do it")
    assert outcome.detail.startswith("the password is wrong; vpn.example.com A 198.51.100.9")
    assert "correct or remove it in DNS" not in outcome.detail


def test_an_unexpected_error_stops_nothing(
    world: World, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.error = RuntimeError("a bug")
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert "unexpected error in dynamic DNS" in caplog.text
    keeper.error = None
    world.later(HOUR)
    world.attend()
    state = world.store.state("vpn")
    assert state.host.ddns is not None
    assert state.host.ddns.problem is None


def test_an_operator_s_look_is_passed_on(world: World, keeper: Keeper) -> None:
    world.attend(look_now=True)
    world.attend(force=True)
    assert keeper.asked == [True, True]


def test_custom_and_excluded_gateways_have_their_names_kept_as_well(
    world: World, keeper: Keeper
) -> None:
    world.target = replace(world.target, mode=Mode.CUSTOM)
    world.attend()
    world.target = replace(world.target, mode=Mode.AUTOMATIC, region="cn")
    world.later(DAY)
    world.attend()
    assert len(keeper.asked) == 2
    assert world.authority.orders == 0


def test_without_dynamic_dns_nothing_is_kept(world: World, keeper: Keeper) -> None:
    world.attend()
    world.target = replace(world.target, keeps_records=False)
    world.later(DAY)
    world.attend()
    assert keeper.asked == [False]
    assert world.store.state("vpn").host.ddns is None


def test_a_problem_is_logged_once(
    world: World, keeper: Keeper, caplog: pytest.LogCaptureFixture
) -> None:
    keeper.problem = "badauth"
    for _ in range(3):
        world.attend()
        world.later(10 * MINUTE)
    assert caplog.text.count("code=ddns-refused badauth fix=do it") == 1
    keeper.problem = ""
    caplog.set_level("INFO")
    world.attend()
    assert "dynamic DNS works again" in caplog.text
