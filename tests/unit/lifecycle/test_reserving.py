"""The order that is reserved for the time without the database, in passes; the rows are played."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.leases import PlayedLease
from tests.fakes.shared_world import SharedWorld

from gatecert.model import KeyPolicy, KeyType, Mode, OutcomeKind
from gatecert.model.fleet import Replacement

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shared(tmp_path: Path) -> SharedWorld:
    """A gateway whose certificate the CA says when to renew."""
    world = SharedWorld(tmp_path)
    world.authority.renew_at = START + 60 * DAY
    world.attend(accept_untrusted=True)
    world.later(MINUTE)
    world.attend()
    return world


def test_the_order_that_replaces_the_certificate_is_reserved(shared: SharedWorld) -> None:
    in_use = shared.current.in_use
    assert in_use is not None
    names = tuple(sorted(each.value for each in shared.target.identifiers))
    assert shared.store.reserved == Replacement("played", in_use.certificate_id, names)


def test_without_an_exemption_nothing_is_reserved(shared: SharedWorld) -> None:
    """The CA does not say when to renew this certificate."""
    shared.authority.renew_at = None
    shared.later(7 * HOUR)
    shared.attend()
    assert shared.store.reserved is None


@pytest.mark.parametrize(
    "change",
    [
        {"mode": Mode.CUSTOM},
        {"region": "cn"},
        {"authorities": ("another",)},
        {"key": KeyPolicy(KeyType.ECDSA_P256, second=KeyType.RSA_2048)},
    ],
    ids=["imported", "excluded", "another CA", "two orders"],
)
def test_what_is_not_renewed_by_one_order_is_given_back(
    shared: SharedWorld, change: dict[str, object]
) -> None:
    assert shared.store.reserved is not None
    shared.target = replace(shared.target, **change)  # type: ignore[arg-type]
    shared.authority.trouble = ValueError("nothing is ordered in this test")
    shared.attend()
    assert shared.store.reserved is None


def test_while_the_database_is_away_nothing_is_reserved(shared: SharedWorld) -> None:
    shared.store.is_away, shared.store.reserved = True, None
    shared.attend()
    assert shared.store.reserved is None
    assert shared.store.state("vpn").host.database is not None


def test_it_is_used_after_a_day_and_with_under_a_tenth_left(shared: SharedWorld) -> None:
    in_use = shared.current.in_use
    assert in_use is not None
    shared.store.is_away, shared.store.lease_of_reserve = True, PlayedLease()
    shared.later(80 * DAY)
    outcome = shared.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.WAITING, "database-away")
    shared.later(DAY - HOUR)
    assert shared.attend().code == "database-away"
    assert shared.store.asked_for == []

    shared.later(HOUR)
    assert shared.attend().kind is OutcomeKind.RENEWED

    assert shared.store.asked_for == [in_use.certificate_id]
    assert shared.authority.replaced[1:] == [in_use.certificate_id]
    assert shared.store.lease_of_reserve.looks > 0


def test_a_host_without_it_waits(shared: SharedWorld) -> None:
    shared.store.is_away = True
    shared.later(80 * DAY)
    shared.attend()
    shared.later(2 * DAY)
    assert shared.attend().code == "database-away"
    assert (len(shared.store.asked_for), shared.authority.orders) == (1, 1)


def test_a_day_counts_from_when_the_database_has_stopped_to_answer(shared: SharedWorld) -> None:
    """A server that refuses this host is not away; it may know that the host was removed."""
    shared.store.is_away, shared.store.lease_of_reserve = True, PlayedLease()
    shared.later(82 * DAY)
    shared.attend()
    shared.store.refuses = True
    shared.later(DAY)
    assert shared.attend().code == "login-refused"
    shared.store.refuses = False
    shared.later(MINUTE)
    assert shared.attend().code == "database-away"
    assert shared.store.asked_for == []
