"""An enrolment that is only tried; the store is real, the authorities played."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, START
from tests.fakes.played_authority import PlayedAuthority
from tests.fakes.resolver import ELSEWHERE
from tests.fakes.world import World

from gatecert.doctor import codes
from gatecert.errors import ACMEError, AuthorityError, ChallengeFailedError, RateLimitBudgetError
from gatecert.model import Mode, OutcomeKind

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import Outcome


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    world.authority.staging = PlayedAuthority(world.clock, name="played.staging")
    world.pipeline.prepare(world.target)
    return world


@pytest.fixture
def staging(world: World) -> PlayedAuthority:
    assert world.authority.staging is not None
    return world.authority.staging


def try_out(world: World) -> Outcome:
    """A dry run, after which everything on the disk is what it was, but for what it cost."""
    before = contents(world)
    outcome = world.pipeline.dry_run(world.target, wait=0)
    assert contents(world) == before
    return outcome


def contents(world: World) -> dict[str, bytes | None]:
    state = world.directory / "state"
    return {
        str(path): path.read_bytes() if path.is_file() else None
        for path in sorted(state.rglob("*"))
        if path.name != "lock" and "spending" not in path.parts
    }


def test_the_whole_path_is_gone_and_nothing_is_changed(
    world: World, staging: PlayedAuthority
) -> None:
    outcome = try_out(world)
    assert (outcome.kind, outcome.settled) == (OutcomeKind.IDLE, True)
    assert outcome.detail == (
        "dry run: played.staging issued a certificate, and nothing was installed"
    )
    assert (world.authority.orders, staging.orders) == (0, 1)
    assert world.serves_bootstrap
    assert "vpn order ordering from played.staging" in world.told
    assert "vpn order note: a note" in world.told


def test_the_certificate_in_use_is_not_renewed_by_it(
    world: World, staging: PlayedAuthority
) -> None:
    world.attend()
    assert try_out(world).settled
    assert staging.replaced == [""]
    assert len(world.store.versions("vpn")) == 2


def test_every_authority_is_tried_that_has_a_staging_directory(
    world: World, staging: PlayedAuthority
) -> None:
    world.pipeline.authorities["second"] = PlayedAuthority(world.clock, "second")  # type: ignore[index] # a dict in this test
    world.target = replace(world.target, authorities=("played", "second"))
    outcome = try_out(world)
    assert outcome.settled
    assert outcome.detail.endswith("not tried, no staging directory is known: second")
    assert staging.orders == 1


def test_where_there_is_no_staging_directory_it_is_asked_for(world: World) -> None:
    world.authority.staging = None
    outcome = try_out(world)
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "authority")
    assert "authorities.played.staging_directory_url" in outcome.fix
    assert world.authority.orders == 0


def test_a_failed_dry_run_is_reported_and_not_counted(
    world: World, staging: PlayedAuthority
) -> None:
    staging.trouble = ChallengeFailedError("connection", "refused", fix="open port 80")
    outcome = try_out(world)
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "challenge-failed")
    assert outcome.fix == "open port 80"
    enrolment = world.store.state("vpn").enrolment
    assert (enrolment.failures, enrolment.troubles, enrolment.challenge_failures) == (0, (), ())


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        ("authorities.played.staging.profile", "authorities.played.profile"),
        (
            "authorities.played.staging.directory_url",
            "authorities.played.staging_directory_url",
        ),
    ],
)
def test_the_fix_names_an_existing_setting(
    world: World, staging: PlayedAuthority, told: str, meant: str
) -> None:
    staging.trouble = AuthorityError("no", fix=f"correct {told}")
    assert try_out(world).fix == f"correct {meant}"


def test_limits_hold_there_as_well(world: World, staging: PlayedAuthority) -> None:
    staging.trouble = RateLimitBudgetError("enough", until=START + DAY)
    outcome = try_out(world)
    assert (outcome.kind, outcome.settled) == (OutcomeKind.WAITING, False)
    assert "enough; nothing was installed" in outcome.detail


def test_obstacles_are_checked_first(world: World, staging: PlayedAuthority) -> None:
    world.pipeline = replace(
        world.pipeline, obstacles=lambda *_: codes.CAA_FORBIDS.found("CAA says no")
    )
    outcome = try_out(world)
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "caa-forbids")
    assert outcome.detail.startswith("played: CAA says no; ")
    assert staging.orders == 0
    assert world.store.state("vpn").host.obstruction is None


def test_names_that_point_elsewhere_are_not_validated(
    world: World, staging: PlayedAuthority
) -> None:
    world.names.address = ELSEWHERE
    outcome = try_out(world)
    assert (outcome.kind, outcome.settled) == (OutcomeKind.WAITING, False)
    assert staging.orders == 0


def test_a_certificate_that_is_brought_is_not_tried(world: World, staging: PlayedAuthority) -> None:
    world.target = replace(world.target, mode=Mode.CUSTOM)
    assert try_out(world).settled
    assert staging.orders == 0


def test_nor_is_an_excluded_region(world: World, staging: PlayedAuthority) -> None:
    world.target = replace(world.target, region="cn")
    assert try_out(world).kind is OutcomeKind.SKIPPED
    assert staging.orders == 0


def test_a_refusal_names_the_authority(world: World, staging: PlayedAuthority) -> None:
    staging.trouble = ACMEError("rejectedIdentifier", "not for us", authority="played.staging")
    assert "played.staging" in try_out(world).detail


def test_names_that_are_not_looked_up_do_not_matter(world: World, staging: PlayedAuthority) -> None:
    world.names.address = ELSEWHERE
    world.target = replace(world.target, is_looked_up=False)
    assert try_out(world).kind is OutcomeKind.IDLE
    assert (world.names.asked, staging.orders) == (0, 1)
