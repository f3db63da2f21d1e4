"""Findings that hold orders back, and findings that do not."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, HOUR, MINUTE
from tests.fakes.doctor_facts import HOSTNAME, LIVE, SURVEY, TARGET

from gatecert.acme.directory_check import DirectoryReport
from gatecert.doctor.preconditions import Preconditions, backdating
from gatecert.errors import (
    AddressInUseError,
    AuthorityUnreachableError,
    ExternalAccountRequiredError,
    ProfileMissingError,
    TermsNotAgreedError,
)
from gatecert.resolve.caa import CaaPolicy, Property

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence

    from gatecert.challenge.solver import Challenge
    from gatecert.deadline import Deadline
    from gatecert.doctor.finding import Finding


@dataclass
class World:
    """Authority, DNS and solver in one."""

    found: DirectoryReport = SURVEY
    error: Exception | None = None
    policy: CaaPolicy = field(default_factory=lambda: CaaPolicy(HOSTNAME))
    refusal: Exception | None = None
    asked: list[str] = field(default_factory=list)

    def check_directory(self, cancelled: threading.Event | None = None) -> DirectoryReport:
        assert cancelled is not None
        if self.error is not None:
            raise self.error
        return self.found

    def look_up_caa(self, names: Sequence[str]) -> tuple[CaaPolicy, ...]:
        self.asked.append("caa")
        return tuple(replace(self.policy, name=name) for name in names)

    def self_test(self, names: Sequence[str] = ()) -> tuple[str, ...]:
        assert names == []
        self.asked.append("rehearsal")
        if self.refusal is not None:
            raise self.refusal
        return ()

    def present(self, challenge: Challenge) -> None: ...

    def wait(self, challenge: Challenge, deadline: Deadline) -> None: ...

    def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
        raise AssertionError(challenge, seconds)

    def clean_up(self, challenge: Challenge) -> None: ...

    def obstacle(self) -> Finding | None:
        return Preconditions({"acme": self}, {"http-01": self}, self).find(TARGET, "acme", LIVE)


@pytest.fixture
def world() -> World:
    return World()


def code(finding: Finding | None) -> str:
    assert finding is not None
    assert finding.recheck_after is not None
    return finding.code


def test_no_finding_without_problems(world: World) -> None:
    assert world.obstacle() is None
    assert world.asked == ["caa", "rehearsal"]


def test_clock_behind_holds_orders_back(world: World) -> None:
    world.found = replace(SURVEY, clock_ahead=-2 * HOUR)
    assert code(world.obstacle()) == "clock-wrong"
    assert world.asked == []


def test_backdating_authority_tolerates_a_slower_clock(world: World) -> None:
    world.found = replace(SURVEY, clock_ahead=-HOUR)
    assert backdating("acme", LIVE) == HOUR
    assert world.obstacle() is None


@pytest.mark.parametrize("ahead", [2 * MINUTE, -2 * MINUTE, 5 * HOUR])
def test_small_clock_error_holds_nothing_back(world: World, ahead: timedelta) -> None:
    world.found = replace(SURVEY, clock_ahead=ahead)
    assert world.obstacle() is None


def test_terms_not_agreed_hold_orders_back(world: World) -> None:
    world.found = replace(SURVEY, refusal=TermsNotAgreedError("no"))
    assert code(world.obstacle()) == "terms-not-agreed"


def test_missing_binding_holds_orders_back(world: World) -> None:
    world.found = replace(SURVEY, refusal=ExternalAccountRequiredError("whom?"))
    assert code(world.obstacle()) == "binding-missing"


def test_missing_profile_holds_orders_back(world: World) -> None:
    world.found = replace(SURVEY, profile="tiny", profile_refusal=ProfileMissingError("no"))
    assert code(world.obstacle()) == "profile-missing"


def test_caa_records_are_checked_again_after_a_day(world: World) -> None:
    world.policy = CaaPolicy(HOSTNAME, "example.com", (Property(False, "issue", ";"),))  # noqa: FBT003 - by order
    found = world.obstacle()
    assert code(found) == "caa-forbids"
    assert found is not None
    assert found.recheck_after == DAY
    assert world.asked == ["caa"]


def test_caa_lookup_failure_holds_nothing_back(world: World) -> None:
    world.policy = CaaPolicy(HOSTNAME, "example.com", failure="SERVFAIL")
    assert world.obstacle() is None


def test_occupied_port_holds_orders_back(world: World) -> None:
    world.refusal = AddressInUseError("taken by nginx (pid 7)")
    found = world.obstacle()
    assert code(found) == "address-in-use"
    assert found is not None
    assert "nginx" in found.seen


def test_unreachable_authority_raises(world: World) -> None:
    world.error = AuthorityUnreachableError("gone")
    with pytest.raises(AuthorityUnreachableError):
        world.obstacle()


def test_backdating_is_known_for_the_same_authority_only() -> None:
    assert backdating("other", LIVE) == timedelta(0)
    assert backdating("acme", None) == timedelta(0)
    forgotten = replace(LIVE, version=replace(LIVE.version, created=None))
    assert backdating("acme", forgotten) == timedelta(0)
    early = replace(LIVE.version, created=LIVE.summary.not_before - DAY)
    assert backdating("acme", replace(LIVE, version=early)) == timedelta(0)


def test_caa_records_of_names_that_are_not_looked_up_are_not_either(world: World) -> None:
    world.policy = CaaPolicy(HOSTNAME, HOSTNAME, (Property(False, "issue", ";"),))  # noqa: FBT003 - by order
    target = replace(TARGET, is_looked_up=False)
    checks = Preconditions({"acme": world}, {"http-01": world}, world)
    assert checks.find(target, "acme", LIVE) is None
    assert world.asked == ["rehearsal"]
