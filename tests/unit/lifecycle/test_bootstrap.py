"""The self-signed certificate comes first and never replaces a better one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY
from tests.fakes.resolver import ELSEWHERE

from gatecert.certificate import key
from gatecert.model import FileContents, FileCopy, KeyType, Mode, OutcomeKind

if TYPE_CHECKING:
    from tests.fakes.world import World


def test_there_is_something_to_serve_before_anything_else(world: World) -> None:
    outcome = world.pipeline.prepare(world.target)
    assert outcome is not None
    assert outcome.kind is OutcomeKind.BOOTSTRAPPED
    assert world.serves_bootstrap
    assert (world.names.asked, world.authority.orders) == (0, 0)


def test_an_existing_certificate_is_unchanged(world: World) -> None:
    world.pipeline.prepare(world.target)
    first = world.live
    assert world.pipeline.prepare(world.target) is None
    assert world.live == first


@pytest.mark.parametrize(
    "change", [{"region": "cn"}, {"mode": Mode.CUSTOM}], ids=["excluded", "custom"]
)
def test_a_gateway_without_enrolment_keeps_its_bootstrap_certificate_until_near_expiry(
    world: World, change: dict[str, object]
) -> None:
    world.target = replace(world.target, **change)  # type: ignore[arg-type] # names of fields
    world.pipeline.prepare(world.target)
    world.attend()
    first = world.live

    world.pipeline = world.new_pipeline()
    assert world.pipeline.prepare(world.target) is None
    assert world.live == first

    world.later(21 * DAY)
    assert world.pipeline.prepare(world.target) is not None
    assert world.live != first


def test_a_bootstrap_certificate_is_made_anew_before_it_ends(world: World) -> None:
    world.names.address = ELSEWHERE
    world.attend()
    first = world.live
    world.later(21 * DAY)
    world.attend()
    assert world.serves_bootstrap
    assert world.live != first


def test_a_lost_link_never_costs_the_certificate_of_an_authority(world: World) -> None:
    world.attend()
    issued = world.live
    (world.store.gateway_directory("vpn") / "live").unlink()
    (world.store.gateway_directory("vpn") / "state.json").write_bytes(b"\x00garbage")
    outcome = world.pipeline.prepare(world.target)
    assert outcome is not None
    assert "again" in outcome.detail
    assert world.live == issued
    assert world.authority.orders == 1


def test_a_key_of_another_certificate_counts_as_none(world: World) -> None:
    world.attend()
    live = world.store.gateway_directory("vpn") / "live"
    (live / "privkey.pem").write_bytes(key.generate(KeyType.ECDSA_P256))
    world.pipeline.prepare(world.target)
    assert world.serves_bootstrap


def test_copies_that_cannot_be_written_do_not_hold_up_the_bootstrap(world: World) -> None:
    copy = FileCopy(world.directory / "missing" / "cert.pem", FileContents.CERT)
    world.plan(copy_to=(copy,))
    assert world.pipeline.prepare(world.target) is not None
    assert world.serves_bootstrap
