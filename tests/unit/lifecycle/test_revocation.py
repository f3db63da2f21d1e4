"""Revoked certificates: detection, replacement and revocation on request."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from tests.fakes.clock import DAY, HOUR, MINUTE
from tests.fakes.resolver import ELSEWHERE, HERE
from tests.fakes.world import World

from gatecert.acme.revocation_request import Revocation, RevocationResult, Signature
from gatecert.errors import (
    ACMEError,
    AuthorityUnreachableError,
    StorageError,
    WrongUsageError,
)
from gatecert.lifecycle.revocation_watch import not_replaced
from gatecert.lifecycle.revoke import OPERATOR, Revoker
from gatecert.model import KeyPolicy, KeyType, Mode, OutcomeKind, RenewalPolicy, RevocationReason
from gatecert.revocation.crl import RevokedEntry
from gatecert.revocation.crl_lookup import RevocationReport

if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from pathlib import Path

    from tests.fakes.world import Disk

    from gatecert.model import RevocationState

LIST = "http://ca.example/1.crl"
LEAKED = RevocationReason.KEY_COMPROMISE
SUPERSEDED = RevocationReason.SUPERSEDED


@dataclass
class Lists:
    """Says of every certificate what it is told to, unless that was replaced meanwhile."""

    report: RevocationReport | None = field(default_factory=lambda: RevocationReport(source=LIST))
    only: x509.Certificate | None = None
    asked: int = 0

    def look_up(
        self,
        certificate: x509.Certificate,
        issuers: Sequence[x509.Certificate],
        cancelled: threading.Event | None = None,
    ) -> RevocationReport | None:
        assert cancelled is not None
        assert issuers is not None
        self.asked += 1
        return self.report if self.only in {None, certificate} else RevocationReport(source=LIST)


@dataclass
class RevokingAuthority:
    """Revokes what it is asked to."""

    by: Signature = Signature.ACCOUNT
    trouble: ACMEError | None = None
    asked: list[Revocation] = field(default_factory=list)
    refuses: bytes = b""

    def revoke(
        self, revocation: Revocation, cancelled: threading.Event | None = None
    ) -> RevocationResult:
        assert cancelled is not None
        if self.trouble is not None:
            raise self.trouble
        if revocation.certificate == self.refuses:
            raise ACMEError("unauthorized", "not that one")
        self.asked.append(revocation)
        return RevocationResult(self.by, before=len(self.asked) > 1)


class Town(World):
    """A gateway that is enrolled, with a key that is kept, and lists to look it up in."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory)
        self.lists = Lists()
        self.authority.lists_at = LIST
        self.target = replace(self.target, key=KeyPolicy(reuse=True))
        self.pipeline = replace(self.new_pipeline(), lists=self.lists)
        self.revoking = RevokingAuthority()
        self.attend()
        self.first = self.live

    def revoked(self, reason: RevocationReason) -> None:
        """From now on the lists say so."""
        self.lists.report = RevocationReport(RevokedEntry(self.clock() - DAY, reason), LIST)
        self.lists.only = self.live

    def revoke(self, reason: RevocationReason = SUPERSEDED, by: Signature | None = None) -> str:
        revoker = Revoker({"played": self.revoking}, self.cancelled)
        return revoker.revoke(self.current, reason, by)

    @property
    def known(self) -> RevocationState:
        revocation_state = self.store.state("vpn").enrolment.revocation
        assert revocation_state is not None
        return revocation_state

    @property
    def same_key(self) -> bool:
        return _key(self.live) == _key(self.first)


def _key(certificate: x509.Certificate) -> bytes:
    return certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


@pytest.fixture
def town(tmp_path: Path) -> Town:
    return Town(tmp_path)


# --------------------------------------------------------------------- noticed


def test_the_first_look_comes_within_the_hour_and_then_every_few_hours(town: Town) -> None:
    assert town.lists.asked == 0
    first = town.known.next_look
    assert town.clock() <= first <= town.clock() + HOUR
    town.clock.time = first
    outcome = town.attend()
    assert town.lists.asked == 1
    assert outcome.wake_at is not None
    assert outcome.wake_at <= town.known.next_look
    assert 4 * HOUR <= town.known.next_look - first <= 6 * HOUR
    town.attend()
    assert town.lists.asked == 1
    town.attend(look_now=True)
    assert town.lists.asked == 2


def test_a_pass_is_scheduled_for_the_revocation_check(town: Town) -> None:
    outcome = town.attend()
    state = town.store.state("vpn")
    host = replace(state.host, next_look=None, resolution=None)
    town.store.save_state("vpn", replace(state, host=host))
    wake, _ = town.current.next_wake()
    assert outcome.wake_at is not None
    assert wake <= town.known.next_look


def test_a_revoked_certificate_is_replaced_in_the_same_pass(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.revoked(SUPERSEDED)
    outcome = town.attend(look_now=True)
    assert outcome.kind is OutcomeKind.RENEWED
    assert town.live != town.first
    assert town.same_key
    assert "certificate revoked gateway=vpn" in caplog.text
    assert "reason=superseded" in caplog.text
    assert LIST in caplog.text
    assert town.attend(look_now=True).kind is OutcomeKind.IDLE
    assert town.authority.orders == 2


def test_a_key_that_has_leaked_is_not_used_again_although_it_should_be_kept(town: Town) -> None:
    town.revoked(LEAKED)
    assert town.attend(look_now=True).kind is OutcomeKind.RENEWED
    assert not town.same_key


def test_a_pending_order_with_the_compromised_key_is_abandoned(town: Town) -> None:
    town.authority.trouble = AuthorityUnreachableError("cut off")
    town.attend(force=True)
    assert town.store.state("vpn").enrolment.order is not None
    town.authority.trouble = None
    town.revoked(LEAKED)
    town.later(2 * HOUR)
    town.lists.only = town.first
    town.attend(look_now=True)
    for _ in range(3):
        town.later(DAY)
        town.attend()
    assert town.live != town.first
    assert not town.same_key


def test_before_a_kept_key_is_ordered_for_again_in_haste_the_lists_are_asked(town: Town) -> None:
    town.authority.renew_at = town.clock() - MINUTE
    town.revoked(LEAKED)
    town.later(7 * HOUR)
    town.attend()
    assert not town.same_key
    assert town.authority.orders == 2


def test_a_new_key_needs_no_early_revocation_check(town: Town) -> None:
    town.target = replace(town.target, key=KeyPolicy())
    town.authority.renew_at = town.clock() - MINUTE
    town.lists.report = None
    town.attend(look_now=True)
    assert town.lists.asked == 1  # after the order, and about the new certificate


def test_a_host_that_is_down_is_said_once_and_holds_up_nothing(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.lists.report = RevocationReport(problem="nobody there")
    for _ in range(3):
        assert town.attend(look_now=True).kind is OutcomeKind.IDLE
    assert town.known.problem == "nobody there"
    assert town.known.failures == 3
    assert caplog.text.count("revocation not known") == 1
    town.later(31 * DAY * 2)
    assert town.attend(look_now=True).kind is OutcomeKind.RENEWED
    with caplog.at_level(logging.INFO):
        town.lists.report = RevocationReport(problem="nobody there")
        town.attend(look_now=True)
        town.lists.report = RevocationReport(source=LIST)
        town.attend(look_now=True)
    assert "revocation known again" in caplog.text
    assert (town.known.problem, town.known.failures) == ("", 0)


def test_a_replacement_that_fails_leaves_the_revoked_certificate_in_place(town: Town) -> None:
    town.revoked(SUPERSEDED)
    town.authority.trouble = AuthorityUnreachableError("nobody there")
    assert town.attend(look_now=True).failed
    assert town.live == town.first
    town.authority.trouble = None
    town.later(2 * MINUTE)
    assert town.attend().kind is OutcomeKind.RENEWED
    asked = town.lists.asked
    assert asked == 1


def test_a_certificate_on_hold_is_checked_again(town: Town) -> None:
    town.target = replace(town.target, mode=Mode.CUSTOM)
    town.revoked(RevocationReason.CERTIFICATE_HOLD)
    town.attend(look_now=True)
    assert town.known.revoked is not None
    town.lists.report = RevocationReport(source=LIST)
    town.later(7 * HOUR)
    town.attend()
    assert town.known.revoked is None


def test_a_certificate_that_was_brought_is_looked_up_and_stays(
    town: Town, caplog: pytest.LogCaptureFixture
) -> None:
    town.target = replace(town.target, mode=Mode.CUSTOM)
    town.revoked(LEAKED)
    town.attend(look_now=True)
    assert town.known.revoked is not None
    assert "import another one: gatecert csr vpn --renew" in caplog.text
    assert town.live == town.first
    assert town.authority.orders == 1


@pytest.mark.parametrize("why", ["no lists", "switched off", "no certificate", "leaving"])
def test_where_nothing_is_to_be_looked_up_nothing_is(town: Town, why: str) -> None:
    match why:
        case "no lists":
            town.lists.report = None
        case "switched off":
            policy = RenewalPolicy(revocation_lists=False)
            town.target = replace(town.target, renewal=policy)
        case "no certificate":
            town.names.address = ELSEWHERE
            town.later(100 * DAY)
        case _:
            town.cancelled.set()
    before = town.store.state("vpn").enrolment.revocation
    outcome = town.attend(look_now=True)
    assert town.lists.asked == (1 if why == "no lists" else 0)
    assert town.store.state("vpn").enrolment.revocation == before
    assert outcome.wake_at is not None
    assert outcome.wake_at > town.clock()


# --------------------------------------------------------------------- asked for


def test_a_certificate_revoked_on_request_is_replaced_by_the_next_pass(town: Town) -> None:
    said = town.revoke()
    assert said.startswith("the certificate of version 000002-")
    assert said.endswith("is revoked (superseded), signed with the key of the account")
    (asked,) = town.revoking.asked
    assert x509.load_pem_x509_certificate(asked.certificate) == town.first
    assert (asked.reason, asked.by) == (SUPERSEDED, None)
    assert (town.known.source, town.known.new_key) == (OPERATOR, False)
    assert town.live == town.first
    assert town.attend().kind is OutcomeKind.RENEWED
    assert town.same_key


@pytest.mark.parametrize(
    ("reason", "by"),
    [(LEAKED, Signature.ACCOUNT), (SUPERSEDED, Signature.CERTIFICATE)],
)
def test_a_key_that_has_leaked_or_has_asked_itself_is_not_used_again(
    town: Town, reason: RevocationReason, by: Signature
) -> None:
    town.revoking.by = by
    assert town.revoke(reason, by).endswith(
        f"signed with the key of the {by}; the next one gets a new key"
    )
    assert town.revoking.asked[0].by is by
    assert town.attend().kind is OutcomeKind.RENEWED
    assert not town.same_key


def test_a_revocation_that_cannot_be_saved_is_said_and_can_be_repeated(
    town: Town, disk: Disk
) -> None:
    disk.full = True
    with pytest.raises(StorageError, match="is revoked, but that cannot be saved") as caught:
        town.revoke(LEAKED)
    assert "repeat the command" in caught.value.fix
    disk.full = False
    assert "was revoked before" in town.revoke(LEAKED)
    assert town.attend().kind is OutcomeKind.RENEWED
    assert not town.same_key


def test_earlier_certificates_for_a_key_that_has_leaked_are_revoked_too(town: Town) -> None:
    town.attend(force=True)
    assert town.same_key
    said = town.revoke(LEAKED)
    assert "version 000002-" in said
    assert said.endswith("which has the same key, is revoked as well")
    revoked = [x509.load_pem_x509_certificate(each.certificate) for each in town.revoking.asked]
    assert revoked == [town.live, town.first]
    assert len({each.private_key for each in town.revoking.asked}) == 1


def test_earlier_certificates_stay_where_the_key_has_not_leaked_or_they_have_ended(
    town: Town,
) -> None:
    town.attend(force=True)
    town.revoke(SUPERSEDED)
    assert len(town.revoking.asked) == 1
    town.later(61 * DAY)
    town.attend(force=True)
    town.later(30 * DAY)
    town.revoking.asked.clear()
    town.revoke(LEAKED)
    assert len(town.revoking.asked) == 1


def test_earlier_certificates_that_cannot_be_revoked_are_said(town: Town) -> None:
    first = town.store.versions("vpn")[0]
    town.attend(force=True)
    town.revoking.refuses = first.certificate
    assert f"version {first.id}, which has the same key, is not revoked: " in town.revoke(LEAKED)
    about = town.store.version_directory(first) / "meta.json"
    about.write_text(about.read_text().replace('"played"', '"gone"'))
    assert f"version {first.id}, which has the same key, is not revoked, since" in town.revoke(
        LEAKED
    )


def test_revoking_twice_is_no_harm(town: Town) -> None:
    town.revoke()
    assert "was revoked before" in town.revoke()


def test_earlier_backoff_does_not_delay_the_replacement(town: Town) -> None:
    town.authority.trouble = AuthorityUnreachableError("nobody there")
    town.attend(force=True)
    town.authority.trouble = None
    town.revoke()
    assert town.attend().kind is OutcomeKind.RENEWED


def test_a_refusal_changes_nothing(town: Town) -> None:
    town.revoking.trouble = ACMEError("badRevocationReason", "no")
    before = town.store.state("vpn").enrolment.revocation
    with pytest.raises(ACMEError):
        town.revoke()
    assert town.store.state("vpn").enrolment.revocation == before


def test_a_bootstrap_certificate_cannot_be_revoked(tmp_path: Path) -> None:
    town = Town.__new__(Town)
    World.__init__(town, tmp_path)
    town.revoking = RevokingAuthority()
    town.names.address = ELSEWHERE
    town.attend()
    with pytest.raises(WrongUsageError, match="no certificate that could be revoked"):
        town.revoke()
    assert town.names.address != HERE


def test_an_authority_that_is_gone_cannot_be_asked(town: Town) -> None:
    revoker = Revoker({}, town.cancelled)
    with pytest.raises(WrongUsageError, match="not configured any more") as caught:
        revoker.revoke(town.current, SUPERSEDED, None)
    assert "authorities.played" in caught.value.fix


def test_an_imported_certificate_is_its_issuers_to_revoke(town: Town) -> None:
    about = town.store.gateway_directory("vpn") / "live" / "meta.json"
    about.write_text(about.read_text().replace('"played"', '""'))
    with pytest.raises(WrongUsageError, match="was imported") as caught:
        town.revoke()
    assert "Played Root" in caught.value.fix


def test_why_it_is_not_replaced_is_said(town: Town) -> None:
    assert not_replaced(town.target, "") == ""
    assert "region cn is excluded" in not_replaced(town.target, "cn")
    custom = not_replaced(replace(town.target, mode=Mode.CUSTOM), "")
    assert "mode: custom" in custom
    assert "gatecert csr vpn --renew" in custom


# --------------------------------------------------------------------- a pair


@pytest.fixture
def pair(town: Town) -> Town:
    """A gateway with a certificate for each of two kinds of key, both kept."""
    policy = KeyPolicy(KeyType.ECDSA_P256, reuse=True, second=KeyType.RSA_2048)
    town.target = replace(town.target, key=policy)
    assert town.attend(look_now=True).kind is OutcomeKind.RENEWED
    town.first = town.live
    return town


def second(town: Town) -> x509.Certificate:
    path = town.store.gateway_directory("vpn") / "live" / "second-cert.pem"
    return x509.load_pem_x509_certificate(path.read_bytes())


def test_both_certificates_of_a_pair_are_revoked(pair: Town) -> None:
    other = second(pair)
    said = pair.revoke(SUPERSEDED)
    assert said.endswith(
        "signed with the key of the account; its second certificate is revoked as well"
    )
    revoked = [x509.load_pem_x509_certificate(each.certificate) for each in pair.revoking.asked]
    assert revoked == [pair.first, other]
    assert pair.attend().kind is OutcomeKind.RENEWED
    assert pair.same_key
    assert second(pair) != other


def test_keys_of_a_pair_that_have_leaked_are_both_changed(pair: Town) -> None:
    other = second(pair)
    pair.revoke(LEAKED)
    assert pair.attend().kind is OutcomeKind.RENEWED
    assert not pair.same_key
    assert _key(second(pair)) != _key(other)


def test_a_pair_is_replaced_when_either_was_revoked(pair: Town) -> None:
    other = second(pair)
    pair.lists.report = RevocationReport(RevokedEntry(pair.clock() - DAY, LEAKED), LIST)
    pair.lists.only = other
    assert pair.attend(look_now=True).kind is OutcomeKind.RENEWED
    assert not pair.same_key
    assert _key(second(pair)) != _key(other)


def test_the_status_of_a_pair_needs_both_certificates(pair: Town) -> None:
    asked = pair.lists.asked
    pair.lists.only = second(pair)
    pair.lists.report = RevocationReport(problem="nobody there")
    pair.attend(look_now=True)
    assert pair.lists.asked == asked + 2
    assert (pair.known.problem, pair.known.revoked) == ("nobody there", None)
    pair.lists.report = RevocationReport(source=LIST, ends=pair.clock() + 5 * HOUR)
    pair.attend(look_now=True)
    assert pair.known.problem == ""
    assert pair.known.next_look <= pair.clock() + 5 * HOUR
