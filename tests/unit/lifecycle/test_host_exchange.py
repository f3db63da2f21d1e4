"""Another host obtains certificates for the gateway; the store is real, and the host is played."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from tests.fakes.clock import DAY, HOUR, MINUTE, START
from tests.fakes.shared_world import SharedWorld

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.errors import EnrolmentDamagedError, LoginRefusedError, SealingKeyMissingError
from gatecert.lifecycle.wake import ROLL_OUT_LOOK
from gatecert.model import (
    DeploymentOutcome,
    HostReport,
    IssuedChain,
    KeyType,
    Origin,
    OutcomeKind,
)
from gatecert.model.fleet import FleetHalt

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def shared(tmp_path: Path) -> SharedWorld:
    return SharedWorld(tmp_path)


def obtained_elsewhere(shared: SharedWorld) -> IssuedChain:
    """A certificate that another host gets from the same authority now."""
    private_key = key.generate(KeyType.ECDSA_P256)
    csr = build_request(private_key, shared.target.identifiers, common_name=None)
    return IssuedChain(
        private_key, shared.authority.sign(csr), b"", Origin.AUTHORITY, authority="played"
    )


def serial_number(issued: IssuedChain) -> int:
    return x509.load_pem_x509_certificate(issued.certificate).serial_number


def test_what_another_host_obtains_is_installed_without_an_order(shared: SharedWorld) -> None:
    issued = obtained_elsewhere(shared)
    shared.store.newest = issued, 7
    outcome = shared.attend(accept_untrusted=True)
    assert outcome.kind is OutcomeKind.DEPLOYED
    assert shared.live.serial_number == serial_number(issued)
    assert shared.authority.orders == 0
    assert shared.store.reports == {
        ("vpn", 7): (DeploymentOutcome.PENDING, "install.verify is empty")
    }


def test_what_is_waited_for_is_installed_when_it_comes(shared: SharedWorld) -> None:
    shared.store.elsewhere = frozenset({"vpn"})
    assert shared.attend().code == "lease-lost"
    shared.store.newest = obtained_elsewhere(shared), 1
    shared.attend(accept_untrusted=True)
    assert not shared.serves_bootstrap
    assert shared.store.state("vpn").host.obstruction is None


def test_a_failed_deployment_is_reported_with_its_reason(shared: SharedWorld) -> None:
    shared.plan(reload=shared.script("exit 1"))
    shared.store.newest = obtained_elsewhere(shared), 1
    assert shared.attend(accept_untrusted=True).failed
    outcome, reason = shared.store.reports["vpn", 1]
    assert outcome is DeploymentOutcome.FAILED
    assert "status 1" in reason


def test_a_host_alone_reports_nothing(shared: SharedWorld) -> None:
    assert shared.attend().kind is OutcomeKind.ENROLLED
    assert shared.store.reports == {}


def test_without_the_database_nothing_is_ordered_and_no_failure_counted(
    shared: SharedWorld,
) -> None:
    shared.store.is_away = True
    outcome = shared.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.WAITING, "database-away")
    assert (outcome.wake_at, shared.authority.orders) == (START + MINUTE, 0)
    state = shared.store.state("vpn")
    assert (state.enrolment.failures, state.enrolment.troubles) == (0, ())
    assert shared.serves_bootstrap

    shared.store.is_away = False
    shared.later(MINUTE)
    assert shared.attend().kind is OutcomeKind.ENROLLED


def test_the_state_says_since_when_the_database_is_away(shared: SharedWorld) -> None:
    shared.attend()
    shared.store.is_away = True
    for _ in range(2):
        shared.later(HOUR)
        assert shared.attend().kind is OutcomeKind.IDLE
    problem = shared.store.state("vpn").host.database
    assert problem is not None
    assert (problem.since, problem.code, problem.fix) == (
        START + HOUR,
        "database-away",
        "start it",
    )

    shared.store.is_away = False
    shared.later(MINUTE)
    shared.attend()
    assert shared.store.state("vpn").host.database is None


def test_a_damaged_state_keeps_no_listener_from_its_checks(
    shared: SharedWorld, caplog: pytest.LogCaptureFixture
) -> None:
    shared.plan(reload=shared.script("exit 0"))
    shared.store.newest = obtained_elsewhere(shared), 1
    shared.store.damage = EnrolmentDamagedError("the state is damaged", fix="restore it")
    for _ in range(2):
        shared.attend(accept_untrusted=True)
        assert not shared.serves_bootstrap
        shared.later(MINUTE)
    problem = shared.store.state("vpn").host.database
    assert problem is not None
    assert (problem.since, problem.code) == (START, "enrolment-damaged")
    assert caplog.text.count("the state is damaged") == 1

    shared.store.damage = None
    shared.attend()
    assert shared.store.state("vpn").host.database is None


def test_deployments_go_on_without_the_database(shared: SharedWorld) -> None:
    runs = shared.directory / "runs"
    shared.plan(reload=shared.script("exit 1"))
    assert shared.attend().failed
    shared.store.is_away = True
    shared.plan(reload=shared.script(f"echo reload >> {runs}"))
    shared.later(MINUTE)
    assert shared.attend().kind is OutcomeKind.DEPLOYED
    assert runs.read_text() == "reload\n"


def test_a_refused_login_is_a_failure_that_costs_no_attempt(shared: SharedWorld) -> None:
    shared.authority.trouble = LoginRefusedError("the role is unknown", fix="add the host")
    outcome = shared.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "login-refused")
    assert shared.store.state("vpn").enrolment.failures == 0


def test_a_version_that_cannot_be_opened_is_said_and_everything_else_goes_on(
    shared: SharedWorld,
) -> None:
    shared.attend()
    shared.store.refusal = SealingKeyMissingError("no key opens it", fix="list it")
    shared.later(DAY)
    outcome = shared.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "sealing-key-missing")
    assert outcome.wake_at is not None
    assert outcome.wake_at > shared.clock.time + MINUTE


# ------------------------------------------------------------------ roll-out

RING_1 = HostReport("gw-a", ring=1, is_live=True, is_passed=False)


@pytest.fixture
def later_ring(shared: SharedWorld) -> SharedWorld:
    """A host of ring 2 that serves generation 1, while generation 2 has been written elsewhere."""
    shared.store.newest = obtained_elsewhere(shared), 1
    shared.attend(accept_untrusted=True)
    shared.later(60 * DAY)
    shared.store.newest = obtained_elsewhere(shared), 2
    shared.store.ring, shared.store.others = 2, (RING_1,)
    shared.store.written = shared.clock.time
    return shared


def serves(shared: SharedWorld) -> int:
    """The generation that is live."""
    live = shared.current.live
    assert live is not None
    return live.version.generation


def test_a_host_waits_for_earlier_rings_with_the_version_in_its_files(
    later_ring: SharedWorld,
) -> None:
    outcome = later_ring.attend()
    assert (outcome.kind, outcome.detail) == (
        OutcomeKind.IDLE,
        "generation 2 waits for ring 1: gw-a has not proven it yet",
    )
    assert outcome.wake_at == later_ring.clock.time + ROLL_OUT_LOOK
    assert (serves(later_ring), later_ring.authority.orders) == (1, 0)
    assert {each.generation for each in later_ring.store.versions("vpn")} == {0, 1, 2}
    assert later_ring.store.reports["vpn", 2] == (DeploymentOutcome.PENDING, outcome.detail)

    later_ring.store.others = (replace(RING_1, is_passed=True),)
    assert later_ring.attend().kind is OutcomeKind.DEPLOYED
    assert serves(later_ring) == 2
    assert later_ring.store.state("vpn").host.roll_out is None


def test_a_host_that_waits_looks_after_what_it_serves(later_ring: SharedWorld) -> None:
    runs = later_ring.directory / "runs"
    later_ring.plan(reload=later_ring.script(f"echo reload >> {runs}"))
    for _ in range(3):
        later_ring.attend()
    assert not runs.exists()
    later_ring.store.is_away = True
    assert later_ring.attend().kind is OutcomeKind.IDLE
    assert (serves(later_ring), runs.exists()) == (1, False)


def test_nobody_is_waited_for_for_more_than_a_day(later_ring: SharedWorld) -> None:
    later_ring.attend()
    later_ring.store.is_away = True
    later_ring.later(DAY - MINUTE)
    outcome = later_ring.attend()
    assert (serves(later_ring), outcome.wake_at) == (1, later_ring.clock.time + MINUTE)
    later_ring.later(MINUTE)
    assert later_ring.attend().kind is OutcomeKind.DEPLOYED
    assert serves(later_ring) == 2


def test_what_another_host_rolled_back_waits_until_the_operator_resumes(
    later_ring: SharedWorld,
) -> None:
    shared = later_ring
    shared.store.ring = 1
    shared.store.others = (replace(RING_1, roll_back="nginx refuses it"),)
    outcome = shared.attend()
    assert outcome.detail.endswith("gw-a rolled it back: nginx refuses it")
    assert "gatecert fleet resume" in outcome.fix
    shared.later(28 * DAY)
    shared.attend()
    assert (serves(shared), shared.authority.orders) == (1, 0)

    shared.store.others = (RING_1,)
    shared.attend()
    assert serves(shared) == 2


def test_what_was_rolled_back_is_not_left_to_a_certificate_that_ends(
    later_ring: SharedWorld,
) -> None:
    later_ring.store.others = (replace(RING_1, roll_back="nginx refuses it"),)
    later_ring.later(28 * DAY)
    later_ring.attend()
    assert serves(later_ring) == 1
    later_ring.later(DAY)
    later_ring.attend()
    assert serves(later_ring) == 2


def test_a_halted_fleet_deploys_nothing_new(later_ring: SharedWorld) -> None:
    shared = later_ring
    shared.store.ring = 1
    shared.store.halt = FleetHalt(brake_since=shared.clock.time, brake_reason="3 of 9")
    assert "the brake of the fleet is on" in shared.attend().detail
    assert serves(shared) == 1
    shared.store.halt = FleetHalt()
    shared.attend()
    assert serves(shared) == 2


def test_a_halted_fleet_keeps_what_is_deployed(later_ring: SharedWorld) -> None:
    shared = later_ring
    shared.store.ring = 1
    shared.attend()
    shared.store.halt = FleetHalt(paused_since=shared.clock.time)
    assert shared.attend().kind is OutcomeKind.IDLE
    assert serves(shared) == 2


def test_a_roll_back_stays_reported_while_the_fleet_is_halted(later_ring: SharedWorld) -> None:
    """Its retry waits as well, and must not take the report away that has put the brake on."""
    shared = later_ring
    shared.store.ring = 1
    once = shared.directory / "refused"
    shared.plan(reload=shared.script(f"test -e {once} || {{ touch {once}; exit 1; }}"))
    assert shared.attend().kind is OutcomeKind.ROLLED_BACK
    reported = shared.store.reports["vpn", 2]
    assert reported[0] is DeploymentOutcome.ROLLED_BACK
    shared.store.halt = FleetHalt(brake_since=shared.clock.time, brake_reason="3 of 9")
    shared.later(HOUR)
    shared.attend()
    assert serves(shared) == 1
    assert shared.store.reports["vpn", 2] == reported

    shared.store.halt = FleetHalt()
    shared.later(HOUR)
    shared.attend()
    assert serves(shared) == 2


def test_a_host_without_a_certificate_of_a_ca_waits_for_nobody(shared: SharedWorld) -> None:
    shared.store.newest = obtained_elsewhere(shared), 1
    shared.store.ring, shared.store.others = 2, (RING_1,)
    shared.store.written = shared.clock.time
    assert shared.attend(accept_untrusted=True).kind is OutcomeKind.DEPLOYED
    assert not shared.serves_bootstrap


def test_what_a_host_of_a_later_ring_orders_waits_for_its_turn(later_ring: SharedWorld) -> None:
    later_ring.store.newest = None
    later_ring.store.generation_of_orders = 2
    outcome = later_ring.attend()
    assert (outcome.kind, outcome.detail) == (
        OutcomeKind.WAITING,
        "generation 2 waits for ring 1: gw-a has not proven it yet",
    )
    assert (serves(later_ring), later_ring.authority.orders) == (1, 1)
    later_ring.attend()
    assert later_ring.authority.orders == 1

    later_ring.store.others = (replace(RING_1, is_passed=True),)
    assert later_ring.attend().kind is OutcomeKind.DEPLOYED
    assert (serves(later_ring), later_ring.authority.orders) == (2, 1)
