"""Warnings name whom an expiry locks out, and are reported once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import key_usage
from tests.fakes.users_office import Office, bundle, part, write_crl

from gatecert.client_ca.bundle_warnings import (
    THRESHOLDS,
    BundleWarning,
    WarningKind,
    expiry_notices,
    read_warnings,
    unreported,
    warnings_of,
)
from gatecert.client_ca.crl_files import CrlFile, read_crls
from gatecert.client_ca.lockout import KnownUser, KnownUsers
from gatecert.errors import StorageError
from gatecert.model import ClientAuthentication, ExpiryNotice, Identifier, IdentifierType, Target

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from tests.fakes.pki import Issued

    from gatecert.client_ca.bundle import Bundle

NO_USERS = KnownUsers()


def known(**users: Issued) -> KnownUsers:
    return KnownUsers(
        tuple(KnownUser(f"{name}.pem", (user.certificate,)) for name, user in users.items())
    )


def found(
    client_cas: Bundle,
    users: KnownUsers | StorageError = NO_USERS,
    crls: tuple[CrlFile, ...] | StorageError = (),
    now: datetime = NOW,
) -> tuple[BundleWarning, ...]:
    return warnings_of("boston", client_cas, users, crls, now=now)


def test_valid_certificates_cause_no_warning(office: Office) -> None:
    root = office.root(end=NOW + 365 * DAY)
    assert found(bundle(root), known(alice=office.user(root, end=NOW + 31 * DAY))) == ()


# --------------------------------------------------------------------------- client CAs


def test_expiry_of_a_client_ca_names_whom_it_locks_out(office: Office) -> None:
    root = office.root("ends", end=NOW + 20 * DAY)
    other = office.root("stays", end=NOW + 365 * DAY)
    users = known(
        alice=office.user(root, "alice", end=NOW + 200 * DAY),
        bob=office.user(other, "bob", end=NOW + 200 * DAY),
        carol=office.user(root, "carol", end=NOW + 10 * DAY),
    )
    (before, _) = found(bundle(root, other), users)
    assert (before.kind, before.days) == (WarningKind.CLIENT_CA, 30)
    assert "; it locks out 1 known client certificate (alice.pem)" in before.words
    assert "gatecert client-ca add boston FILE" in before.fix

    after = found(bundle(root, other), users, now=NOW + 25 * DAY)[0]
    assert (after.kind, after.days, after.key) == (WarningKind.CLIENT_CA, 0, before.key)
    assert "is accepted; it locks out 1 known client certificate (alice.pem)" in after.words
    assert "locks out" not in found(bundle(root, other))[0].words


@pytest.mark.parametrize(
    ("days", "threshold", "words"),
    [
        (90, 90, "expires in 90 days, on 2027-02-21 08:15:00 UTC"),
        (30.5, 90, "expires in 30 days"),
        (1.5, 3, "expires in 1 day,"),
        (0.5, 1, "expires in less than a day"),
        (0, 0, "expired on 2026-11-23 08:15:00 UTC: none of its client certificates is accepted"),
        (-5, 0, "expired on"),
    ],
)
def test_warning_says_when_a_client_ca_expires(
    office: Office, days: float, threshold: int, words: str
) -> None:
    root = office.root(begin=NOW - 9 * DAY, end=NOW + days * DAY)
    later = office.root("later", end=NOW + 91 * DAY)

    (warning,) = found(bundle(root, later))

    assert warning.days == threshold
    assert warning.words.startswith("the client CA 'CN=Users' ")
    assert words in warning.words


def test_each_warning_is_reported_once(office: Office) -> None:
    client_cas = bundle(office.root("ends", end=NOW + 95 * DAY), office.root("later"))
    notices: tuple[ExpiryNotice, ...] = ()
    reported = []
    for day in range(100):
        everything = found(client_cas, now=NOW + day * DAY)
        reported += [warning.days for warning in unreported(everything, notices)]
        notices = expiry_notices(everything)
    assert tuple(reported) == THRESHOLDS


def test_each_client_ca_has_its_own_warning(office: Office) -> None:
    one, two = office.root("one", end=NOW + 10 * DAY), office.root("two", end=NOW + 2 * DAY)
    everything = found(bundle(one, two))
    (news,) = unreported(everything, (ExpiryNotice(everything[0].key, 14),))
    assert "CN=two" in news.words


# --------------------------------------------------------------------------- CRLs


@pytest.mark.parametrize(
    ("now", "days", "verb"),
    [(NOW, None, ""), (NOW + 6 * DAY, 1, "expires on"), (NOW + 7 * DAY, 0, "expired on")],
)
def test_crl_that_expires_or_has_expired_causes_a_warning(
    office: Office, tmp_path: Path, now: datetime, days: int | None, verb: str
) -> None:
    root = office.root()
    old, new = office.crl(root, made=NOW - 30 * DAY, end=NOW - 9 * DAY), office.crl(root)
    crls = read_crls([write_crl(tmp_path / "users.crl", old, new)])
    everything = found(bundle(root), crls=crls, now=now)
    assert [each.days for each in everything] == ([] if days is None else [days])
    for each in everything:
        assert each.kind is WarningKind.CRL
        assert f"users.crl: the CRL of 'CN=Users' {verb}" in each.words
        assert "nginx refuses every client" in each.words


def test_crl_of_an_unknown_ca_causes_a_warning(office: Office, tmp_path: Path) -> None:
    root, stranger = office.root(), office.root("Stranger")
    forged = office.crl(stranger, signer=root)
    path = write_crl(tmp_path / "users.crl", forged, office.crl(root))
    (warning,) = found(bundle(root), crls=read_crls([path]))
    assert warning.kind is WarningKind.CRL_UNUSABLE
    assert "no client CA of the gateway signed the CRL of 'CN=Stranger'" in warning.words
    assert found(bundle(), crls=read_crls([path])) == ()  # no client is accepted


def test_unusable_crl_causes_a_warning(office: Office, tmp_path: Path) -> None:
    root = office.root()
    early = office.crl(root, made=NOW + DAY, end=NOW + 9 * DAY)
    crls = read_crls([write_crl(tmp_path / "users.crl", office.crl(root), early)])
    (warning,) = found(bundle(root), crls=crls)
    assert warning.kind is WarningKind.CRL_UNUSABLE
    assert "of 'CN=Users' is not used" in warning.words
    assert "begins in the future" in warning.words


def test_crl_for_ca_certificates_alone_causes_a_warning_without_intermediates(
    office: Office, tmp_path: Path
) -> None:
    root = office.root()
    upper = office.crl(root, extensions=[part(authorities=True)])
    crls = read_crls([write_crl(tmp_path / "users.crl", upper)])
    (warning,) = found(bundle(root), crls=crls)
    assert warning.kind is WarningKind.CRL_UNUSABLE
    assert "it covers only CA certificates" in warning.words
    middle = office.intermediate(root)
    crls += read_crls([write_crl(tmp_path / "middle.crl", office.crl(middle))])
    assert found(bundle(root, middle), crls=crls) == ()
    both = read_crls([write_crl(tmp_path / "both.crl", upper, office.crl(root))])
    assert found(bundle(root), crls=both) == ()


def test_client_ca_without_a_crl_causes_a_warning_if_others_have_one(
    office: Office, tmp_path: Path
) -> None:
    old, new = office.root("old"), office.root("new")
    mute = office.root("mute", usage=key_usage(key_cert_sign=True, crl_sign=False))
    crls = read_crls([write_crl(tmp_path / "users.crl", office.crl(old), office.crl(mute))])
    without, unsigned = found(bundle(old, new, mute), crls=crls)
    assert without.kind is unsigned.kind is WarningKind.CRL_UNUSABLE
    assert "every client of 'CN=new' while this CA has no CRL" in without.words
    assert "'CN=mute', which may not sign CRLs" in unsigned.words
    assert found(bundle(old, new, mute)) == ()


# --------------------------------------------------------------------------- users


def test_expiry_of_known_client_certificates_causes_warnings(office: Office) -> None:
    root = office.root(end=NOW + 3000 * DAY)
    users = known(
        alice=office.user(root, "alice", end=NOW - DAY),
        bob=office.user(root, "bob", end=NOW + 30 * DAY),
        carol=office.user(root, "carol", end=NOW + 31 * DAY),
        dave=office.user(root, "dave", end=NOW + 3 * DAY),
    )
    ended, soon = found(bundle(root), users)
    assert (ended.kind, ended.days) == (WarningKind.USERS, 0)
    assert ended.words.endswith("locked out: 1 known client certificate (alice.pem)")
    assert soon.words.endswith("30 days: 2 known client certificates (bob.pem, dave.pem)")
    assert unreported((ended, soon), expiry_notices((ended, soon))) == ()
    later = found(bundle(root), users, now=NOW + 2 * DAY)
    (news,) = unreported(later, expiry_notices((ended, soon)))
    assert "carol.pem" in news.words


def test_unreadable_files_cause_warnings(office: Office, tmp_path: Path) -> None:
    root = office.root(end=NOW + 365 * DAY)
    no_list, no_folder = found(
        bundle(root), StorageError("no folder", fix="make it"), StorageError("no list")
    )
    assert (no_list.kind, str(no_list)) == (WarningKind.CRL_UNUSABLE, "no list; correct the file")
    assert (no_folder.kind, str(no_folder)) == (WarningKind.USERS_UNREADABLE, "no folder; make it")
    (garbage,) = found(bundle(root), KnownUsers(unreadable=("noise.pem",)))
    assert "noise.pem" in str(garbage)

    target = Target(
        "boston",
        (Identifier(IdentifierType.DNS, "vpn.example.com"),),
        "vpn.example.com",
        client_authentication=ClientAuthentication(
            crl_files=(tmp_path / "none.crl",), known_users=tmp_path / "none"
        ),
    )
    kinds = [each.kind for each in read_warnings(target, bundle(root), now=NOW)]
    assert kinds == [WarningKind.CRL_UNUSABLE, WarningKind.USERS_UNREADABLE]
