"""Another host may order for the gateway; the store is real, and its leases are played."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import HOUR, MINUTE, START
from tests.fakes.played_authority import PlayedAuthority
from tests.fakes.shared_world import SharedWorld

from gatecert.errors import LeaseLostError, OrderHeldError
from gatecert.model import OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shared(tmp_path: Path) -> SharedWorld:
    return SharedWorld(tmp_path)


def test_the_lease_is_held_while_a_certificate_is_obtained_and_kept(shared: SharedWorld) -> None:
    held: list[frozenset[str]] = []
    shared.authority.during_order = lambda: held.append(shared.store.held)
    assert shared.attend().kind is OutcomeKind.ENROLLED
    assert held == [{"vpn"}]
    assert shared.store.held == frozenset()


def test_the_lease_is_given_back_before_a_deployment(shared: SharedWorld) -> None:
    shared.plan(reload=shared.script("exit 1"))
    assert shared.attend().kind is OutcomeKind.FAILED
    assert shared.authority.orders == 1
    assert shared.store.held == frozenset()


def test_what_is_ordered_elsewhere_is_waited_for_and_no_failure(shared: SharedWorld) -> None:
    shared.store.elsewhere = frozenset({"vpn"})
    outcome = shared.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.WAITING, "lease-lost")
    assert "gw-b orders" in outcome.detail
    assert (outcome.next_at, shared.authority.orders) == (START + MINUTE, 0)
    assert shared.store.state("vpn").enrolment.failures == 0

    shared.later(MINUTE / 2)
    assert shared.attend().kind is OutcomeKind.IDLE
    shared.store.elsewhere = frozenset()
    shared.later(MINUTE)
    assert shared.attend().kind is OutcomeKind.ENROLLED


def test_an_order_that_is_held_back_is_tried_again_in_time_and_is_no_failure(
    shared: SharedWorld,
) -> None:
    second = PlayedAuthority(shared.clock)
    shared.target = replace(shared.target, authorities=("played", "second"))
    shared.pipeline = replace(
        shared.new_pipeline(), authorities={"played": shared.authority, "second": second}
    )
    shared.authority.trouble = OrderHeldError(
        "the order waits for its turn", until=START + MINUTE / 4, fix="no action needed"
    )
    outcome = shared.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.WAITING, "order-held")
    assert (outcome.detail, outcome.fix) == ("the order waits for its turn", "no action needed")
    assert (outcome.next_at, second.orders) == (START + MINUTE / 4, 0)
    enrolment = shared.store.state("vpn").enrolment
    assert (enrolment.failures, enrolment.troubles, enrolment.next_attempt) == (0, (), None)

    shared.authority.trouble = None
    shared.later(MINUTE / 4)
    assert shared.attend().kind is OutcomeKind.ENROLLED


def test_everything_else_goes_on_while_another_host_orders(shared: SharedWorld) -> None:
    runs = shared.directory / "runs"
    shared.plan(reload=shared.script(f"echo reload >> {runs}"))
    shared.store.elsewhere = frozenset({"vpn"})
    assert shared.attend().kind is OutcomeKind.WAITING
    assert shared.serves_bootstrap
    assert runs.read_text() == "reload\n"


def test_a_lease_lost_during_an_order_is_no_failure_of_gateway_or_authority(
    shared: SharedWorld,
) -> None:
    second = PlayedAuthority(shared.clock, name="second")
    shared.pipeline.authorities["second"] = second  # type: ignore[index] # a dict in this test
    shared.target = replace(shared.target, authorities=("played", "second"))
    shared.authority.trouble = LeaseLostError("gw-b orders for this gateway")

    assert shared.attend().kind is OutcomeKind.WAITING
    state = shared.store.state("vpn")
    assert (state.enrolment.failures, state.enrolment.troubles, second.orders) == (0, (), 0)
    assert state.enrolment.order is not None

    shared.authority.trouble = None
    shared.later(HOUR)
    assert shared.attend().kind is OutcomeKind.ENROLLED
    assert (shared.authority.orders, second.orders) == (1, 0)


def test_a_pass_without_the_lease_may_not_order(shared: SharedWorld) -> None:
    current = shared.current
    with pytest.raises(LeaseLostError, match="does not hold"):
        current.lease.check()
    with current.ordering():
        current.lease.check()
    with pytest.raises(LeaseLostError):
        current.lease.check()


def test_what_another_host_left_is_settled_only_with_the_lease(shared: SharedWorld) -> None:
    shared.attend()
    request = shared.pipeline.ordering.journal(shared.current).new_request()
    shared.store.add_request("vpn", request)
    shared.store.elsewhere = frozenset({"vpn"})
    assert shared.attend().kind is OutcomeKind.IDLE
    shared.store.is_away = True
    assert shared.attend().kind is OutcomeKind.IDLE
    assert shared.store.requests("vpn") == (request,)

    shared.store.elsewhere, shared.store.is_away = frozenset(), False
    shared.attend()
    assert shared.store.requests("vpn") == ()


def test_no_lease_is_taken_where_nothing_is_ordered(shared: SharedWorld) -> None:
    shared.attend()
    shared.store.elsewhere = frozenset({"vpn"})
    shared.later(HOUR)
    assert shared.attend().kind is OutcomeKind.IDLE


def test_the_loss_of_a_process_leaves_a_later_failure_of_another_host(
    shared: SharedWorld,
) -> None:
    shared.attend()
    shared.attend()
    shared.pipeline.count_loss(shared.target, "it hangs")
    shared.later(MINUTE)
    state = shared.store.state("vpn")
    failed = replace(state.enrolment, failures=2, failed_at=shared.clock())
    shared.store.save_state("vpn", replace(state, enrolment=failed))
    assert shared.attend().kind is OutcomeKind.IDLE
    after = shared.store.state("vpn")
    assert after.enrolment == failed
    assert after.host.outcome is not None
    assert after.host.outcome.kind is OutcomeKind.IDLE
