"""A worse certificate never replaces a better one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from tests.fakes.clock import DAY, HOUR, MINUTE
from tests.fakes.played_authority import PlayedAuthority
from tests.fakes.world import World

from gatecert.model import OutcomeKind, RevocationState

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.model import Target


class Doubtful(World):
    """A world that trusts the root of its first authority only."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.trusted = (x509.load_pem_x509_certificate(self.authority.root),)
        self.pipeline = replace(self.pipeline, roots=self.roots)

    def roots(self, _: Target) -> tuple[x509.Certificate, ...]:
        return self.trusted

    def issue_from_elsewhere(self) -> None:
        """Issue from another root from now on."""
        self.authority.key = PlayedAuthority(self.clock).key


@pytest.fixture
def world(tmp_path: Path) -> Doubtful:
    return Doubtful(tmp_path)


def test_a_certificate_from_an_unknown_root_does_not_replace_a_trusted_one(
    world: Doubtful,
) -> None:
    world.attend()
    trusted = world.live
    world.issue_from_elsewhere()
    world.later(61 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "untrusted-root")
    assert "--accept-untrusted" in outcome.fix
    assert world.live == trusted
    assert outcome.next_at == world.clock() + DAY


def test_no_order_follows_another_as_long_as_they_bring_nothing_better(world: Doubtful) -> None:
    world.attend()
    world.issue_from_elsewhere()
    world.later(61 * DAY)
    for _ in range(10 * 8):
        world.attend()
        world.later(3 * HOUR)
    assert world.authority.orders == 1 + 10


def test_a_rejected_certificate_is_deployed_when_the_better_one_expires(world: Doubtful) -> None:
    world.attend()
    trusted = world.live
    world.issue_from_elsewhere()
    world.later(89 * DAY)
    assert world.attend().failed
    assert world.live == trusted
    world.authority.trouble = None
    world.later(DAY)
    world.attend()
    assert world.live != trusted
    assert not world.serves_bootstrap


def test_accepting_an_untrusted_certificate_needs_no_second_order(world: Doubtful) -> None:
    world.attend()
    trusted = world.live
    world.issue_from_elsewhere()
    world.later(61 * DAY)
    world.attend()
    assert world.attend(accept_untrusted=True).kind is OutcomeKind.DEPLOYED
    assert world.live != trusted
    assert world.authority.orders == 2

    world.later(61 * DAY)
    assert world.attend().kind is OutcomeKind.RENEWED
    assert world.authority.orders == 3


def test_an_acceptance_is_given_beforehand_too(world: Doubtful) -> None:
    world.attend()
    trusted = world.live
    world.issue_from_elsewhere()
    assert world.attend(force=True, accept_untrusted=True).kind is OutcomeKind.RENEWED
    assert world.live != trusted


def test_an_acceptance_is_for_one_root(world: Doubtful) -> None:
    world.attend()
    world.issue_from_elsewhere()
    world.attend(force=True, accept_untrusted=True)
    world.authority.issuer = "Third Root"
    world.issue_from_elsewhere()
    assert world.attend(force=True).code == "untrusted-root"


def test_certificates_of_minutes_do_not_replace_one_of_weeks(world: Doubtful) -> None:
    world.attend()
    lasting = world.live
    world.authority.lifetime = 10 * MINUTE
    world.later(61 * DAY)
    outcome = world.attend()
    assert (outcome.kind, outcome.code) == (OutcomeKind.FAILED, "short-lived")
    assert world.live == lasting
    for _ in range(20):
        world.later(DAY)
        world.attend()
        assert world.live == lasting
    assert world.authority.orders <= 22


def test_the_certificate_that_lasts_longest_is_never_pruned(world: Doubtful) -> None:
    world.plan(keep_versions=2)
    world.attend()
    lasting = world.live
    world.authority.lifetime = 6 * DAY
    for _ in range(5):
        world.later(DAY)
        outcome = world.attend(force=True)
        assert outcome.kind is OutcomeKind.RENEWED
        assert "sooner than the previous one" in outcome.detail or world.authority.orders > 2
    assert world.live != lasting
    world.names.address = "198.51.100.9"  # no renewal any more
    world.later(5 * DAY + HOUR)
    world.attend()
    assert world.live == lasting


def test_a_flood_of_renewals_is_slowed_down(world: Doubtful) -> None:
    world.attend()
    world.authority.renew_at = world.clock()
    for _ in range(60):
        world.later(MINUTE)
        world.attend(look_now=True)
    assert world.authority.orders <= 4


def test_an_older_certificate_replaces_a_revoked_one(world: Doubtful) -> None:
    world.attend()
    older = world.live
    world.later(20 * DAY)
    world.attend(force=True)
    (newer, *_) = world.store.versions("vpn")
    inventory = world.current.inventory
    state = world.store.state("vpn")
    held = inventory.find(newer.id)
    assert held is not None
    revocation_state = RevocationState(
        held.summary.fingerprint, world.clock() + HOUR, revoked=world.clock()
    )
    enrolment = replace(state.enrolment, revocation=revocation_state)
    world.store.save_state("vpn", replace(state, enrolment=enrolment))
    world.authority.trouble = None
    wanted = world.current.wanted
    assert wanted is not None
    assert x509.load_pem_x509_certificate(wanted.version.certificate) == older
    assert world.attend().kind is OutcomeKind.RENEWED  # and a new one is ordered all the same
    assert world.authority.orders == 3


def test_the_expiry_of_the_restored_certificate_brings_the_deployment_forward(
    world: Doubtful,
) -> None:
    world.attend()
    (first,) = world.store.versions("vpn")[:1]
    world.plan(reload=world.script(f"[ $GATECERT_VERSION = {first.id} ]"))
    world.later(60 * DAY)
    delays = []
    for _ in range(6):
        outcome = world.attend()
        assert outcome.kind is OutcomeKind.ROLLED_BACK
        assert outcome.next_at is not None
        delays.append(outcome.next_at - world.clock())
        world.clock.time = outcome.next_at
    assert delays[-1] == HOUR
    world.clock.time += 28 * DAY + 12 * HOUR
    outcome = world.attend()
    assert outcome.next_at is not None
    assert outcome.next_at - world.clock() < timedelta(minutes=75)
