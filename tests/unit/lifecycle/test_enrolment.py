"""Orders and the conditions that delay them."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.resolver import ELSEWHERE, HERE

from gatecert.model import Identifier, IdentifierType, KeyPolicy, Mode, OutcomeKind, RenewalPolicy

if TYPE_CHECKING:
    import pytest
    from tests.fakes.world import World


def test_an_enrolled_gateway_is_unchanged_until_renewal_is_due(world: World) -> None:
    outcome = world.attend()
    assert (outcome.kind, outcome.failed) == (OutcomeKind.ENROLLED, False)
    assert not world.serves_bootstrap
    assert world.attend().kind is OutcomeKind.IDLE
    assert world.authority.orders == 1
    assert world.store.state("vpn").enrolment.order is None
    assert world.store.requests("vpn") == ()
    assert [line.split()[1] for line in world.told][:3] == ["resolve", "resolve", "order"]


def test_a_name_that_points_elsewhere_is_waited_for(world: World) -> None:
    world.names.address = ELSEWHERE
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.WAITING, "name-not-here")
    assert ELSEWHERE in outcome.detail
    assert outcome.next_at == START + timedelta(seconds=30)
    asked = world.names.asked
    world.attend()
    assert world.names.asked == asked
    world.names.address = HERE
    assert world.attend(look_now=True).kind is OutcomeKind.ENROLLED


def test_it_is_enrolled_at_the_look_after_the_name_came_right(world: World) -> None:
    world.names.address = ELSEWHERE
    world.attend()
    world.names.address = HERE
    world.later(timedelta(seconds=30))
    assert world.attend().kind is OutcomeKind.ENROLLED


def test_it_is_renewed_when_its_time_has_come(world: World) -> None:
    world.attend()
    first = world.live
    world.later(60 * DAY)
    outcome = world.attend()
    assert outcome.kind is OutcomeKind.RENEWED
    assert world.live != first
    assert world.live.public_key() != first.public_key()
    assert world.authority.replaced[0] == ""
    assert world.authority.replaced[1].count(".") == 1


def test_the_key_is_kept_where_it_is_pinned(world: World) -> None:
    world.target = replace(world.target, key=KeyPolicy(reuse=True))
    world.attend()
    first = world.live
    world.attend(force=True)
    assert world.live != first
    assert world.live.public_key() == first.public_key()


def test_the_authority_can_bring_a_renewal_forward(world: World) -> None:
    world.attend()
    world.authority.renew_at = START
    assert world.attend(look_now=True).kind is OutcomeKind.RENEWED


def test_renewal_information_is_asked_for_as_often_as_it_says(world: World) -> None:
    world.attend()
    world.attend()
    asked = world.authority.asked_when
    world.attend()
    assert world.authority.asked_when == asked == 1
    world.later(6 * HOUR)
    world.attend()
    assert world.authority.asked_when == asked + 1


def test_renewal_information_can_be_switched_off(world: World) -> None:
    world.target = replace(world.target, renewal=RenewalPolicy(renewal_info=False))
    world.attend()
    world.attend()
    assert world.authority.asked_when == 0


def test_force_orders_even_if_nothing_is_due(world: World) -> None:
    world.attend()
    assert world.attend(force=True).kind is OutcomeKind.RENEWED
    assert world.authority.orders == 2


def test_an_excluded_region_sends_nothing_to_the_authority(world: World) -> None:
    world.target = replace(world.target, region="cn")
    outcome = world.attend(force=True)
    assert (outcome.kind, outcome.failed) == (OutcomeKind.SKIPPED, False)
    assert "custom" in outcome.detail
    assert (world.authority.orders, world.names.asked) == (0, 0)
    assert world.serves_bootstrap


def test_a_certificate_from_before_its_region_was_excluded_stays(world: World) -> None:
    world.attend()
    world.target = replace(world.target, region="cn")
    assert world.attend().kind is OutcomeKind.SKIPPED
    assert not world.serves_bootstrap


def test_a_custom_gateway_is_never_enrolled(world: World) -> None:
    world.target = replace(world.target, mode=Mode.CUSTOM)
    world.attend()
    assert world.attend(force=True).kind is OutcomeKind.IDLE
    assert world.authority.orders == 0


def test_a_change_of_address_is_noticed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.attend()
    world.names.address = ELSEWHERE
    world.later(5 * MINUTE)
    with caplog.at_level("INFO"):
        assert world.attend().kind is OutcomeKind.IDLE
    assert f"changed from {HERE} to {ELSEWHERE}" in caplog.text
    assert not world.serves_bootstrap


def test_names_that_are_not_looked_up_delay_no_order(world: World) -> None:
    world.names.address = ELSEWHERE
    assert world.attend().kind is OutcomeKind.WAITING
    assert world.store.state("vpn").host.resolution is not None
    asked = world.names.asked

    world.target = replace(world.target, is_looked_up=False, challenges=())
    world.later(HOUR)
    world.attend()
    world.attend(look_now=True)

    assert world.live.issuer != world.live.subject
    assert world.names.asked == asked
    assert world.store.state("vpn").host.resolution is None


def test_an_excluded_region_is_never_enrolled_without_look_ups_either(world: World) -> None:
    name = Identifier(IdentifierType.DNS, "vpn.example.cn")
    world.target = replace(world.target, identifiers=(name,), is_looked_up=False)
    assert world.attend().kind is OutcomeKind.SKIPPED
    assert world.authority.orders == 0
