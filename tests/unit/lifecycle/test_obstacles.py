"""An order that is certain to fail is not placed and costs no attempt."""

from __future__ import annotations

from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.world import Obstacle, World

from gatecert.doctor import codes
from gatecert.errors import InterruptedOrderError
from gatecert.model import OutcomeKind


def test_a_certain_failure_delays_the_order_and_costs_no_attempt(
    world: World,
) -> None:
    obstacle = world.obstruct(Obstacle(codes.ADDRESS_IN_USE))
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "address-in-use")
    assert outcome.detail.startswith("seen; ")
    assert outcome.fix == codes.ADDRESS_IN_USE.fix
    assert outcome.next_at == START + MINUTE
    state = world.store.state("vpn")
    assert (state.enrolment.failures, state.enrolment.next_attempt) == (0, None)
    assert world.authority.orders == 0
    assert state.host.obstruction is not None
    assert world.serves_bootstrap

    world.obstruct(obstacle)
    assert world.attend().kind is OutcomeKind.IDLE
    assert len(obstacle.asked) == 1
    obstacle.code = None
    world.later(MINUTE)
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.store.state("vpn").host.obstruction is None
    (authority, live) = obstacle.asked[-1]
    assert (authority, live and live.summary.is_bootstrap) == ("played", True)


def test_an_operator_need_not_wait_for_the_next_look_at_it(world: World) -> None:
    obstacle = world.obstruct(Obstacle(codes.CAA_FORBIDS))
    assert world.attend().next_at == START + DAY
    obstacle.code = None
    assert world.attend(look_now=True).kind is OutcomeKind.ENROLLED


def test_a_certificate_that_ends_soon_has_it_looked_at_more_often(world: World) -> None:
    world.attend()
    world.later(89 * DAY)
    world.obstruct(Obstacle(codes.CAA_FORBIDS))
    outcome = world.attend()
    assert outcome.next_at == world.clock() + HOUR


def test_a_finding_that_is_no_obstacle_holds_nothing_back(world: World) -> None:
    world.obstruct(Obstacle(codes.CLOCK_OFF))
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_a_pending_order_is_resumed_despite_obstacles(world: World) -> None:
    world.authority.trouble = InterruptedOrderError("leaving")
    world.attend()
    world.authority.trouble = None
    world.obstruct(Obstacle(codes.ADDRESS_IN_USE))
    assert world.attend().kind is OutcomeKind.ENROLLED
    assert world.attend(force=True).code == "address-in-use"
