"""Names that cannot be looked up, or only in part: what is unknown holds no renewal back."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, MINUTE
from tests.fakes.resolver import ELSEWHERE

from gatecert.model import Identifier, IdentifierType, OutcomeKind
from gatecert.resolve.lookup import LookupStatus

if TYPE_CHECKING:
    from tests.fakes.world import World

FAILURES = [LookupStatus.SERVER_FAILURE, LookupStatus.TIMEOUT]


def test_one_family_is_enough_for_an_order_and_is_warned_of_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.names.unknown = "ns answered NOTIMP (AAAA)"
    assert world.attend().kind is OutcomeKind.ENROLLED
    world.attend(look_now=True)
    warned = [each for each in caplog.records if "NOTIMP" in each.getMessage()]
    assert [each.levelname for each in warned] == ["WARNING"]


@pytest.mark.parametrize("ending", FAILURES)
def test_a_first_order_waits_for_an_answer(world: World, ending: LookupStatus) -> None:
    world.names.ending = ending
    outcome = world.attend()
    assert outcome.kind is OutcomeKind.WAITING
    assert outcome.code == f"resolver-{ending.removeprefix('server-')}"
    assert world.authority.orders == 0


@pytest.mark.parametrize("ending", FAILURES)
def test_a_renewal_does_not_wait_for_an_answer(world: World, ending: LookupStatus) -> None:
    world.attend()
    world.names.ending = ending
    world.later(60 * DAY - MINUTE)
    world.attend()  # the look at the names alone
    assert world.authority.orders == 1
    world.later(MINUTE)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert world.authority.choices[0].kinds == ("http-01",)


@pytest.mark.parametrize("ending", [LookupStatus.NO_ADDRESS, LookupStatus.NO_SUCH_NAME])
def test_a_renewal_waits_while_a_name_has_no_address(world: World, ending: LookupStatus) -> None:
    world.attend()
    world.names.ending = ending
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.WAITING


def test_a_renewal_waits_where_an_address_is_wrong(world: World) -> None:
    world.attend()
    world.names.address, world.names.unknown = ELSEWHERE, "ns answered SERVFAIL (AAAA)"
    world.later(60 * DAY)
    assert world.attend().kind is OutcomeKind.WAITING


def test_a_name_that_is_new_in_the_certificate_waits_for_an_answer(world: World) -> None:
    world.attend()
    world.names.ending = LookupStatus.TIMEOUT
    new = Identifier(IdentifierType.DNS, "new.example.com")
    world.target = replace(world.target, identifiers=(*world.target.identifiers, new))
    assert world.attend().kind is OutcomeKind.WAITING
