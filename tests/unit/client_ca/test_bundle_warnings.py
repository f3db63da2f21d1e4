"""The users whom an expiry locks out; each warning is given once."""

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

NOBODY = KnownUsers()


def known(**users: Issued) -> KnownUsers:
    return KnownUsers(
        tuple(KnownUser(f"{name}.pem", (user.certificate,)) for name, user in users.items())
    )


def found(
    authorities: Bundle,
    users: KnownUsers | StorageError = NOBODY,
    lists: tuple[CrlFile, ...] | StorageError = (),
    now: datetime = NOW,
) -> tuple[BundleWarning, ...]:
    return warnings_of("boston", authorities, users, lists, now=now)


def test_nothing_is_to_be_seen_to(office: Office) -> None:
    root = office.root(end=NOW + 365 * DAY)
    assert found(bundle(root), known(alice=office.user(root, end=NOW + 31 * DAY))) == ()


# --------------------------------------------------------------------------- authorities


def test_the_end_of_an_authority_names_whom_it_locks_out_before_and_after(office: Office) -> None:
    root = office.root("ends", end=NOW + 20 * DAY)
    other = office.root("stays", end=NOW + 365 * DAY)
    users = known(
        alice=office.user(root, "alice", end=NOW + 200 * DAY),
        bob=office.user(other, "bob", end=NOW + 200 * DAY),
        carol=office.user(root, "carol", end=NOW + 10 * DAY),
    )
    (before, _) = found(bundle(root, other), users)
    assert (before.kind, before.days) == (WarningKind.CLIENT_CA, 30)
    assert "; it locks out 1 known user certificate (alice.pem)" in before.words
    assert "gatecert client-ca add boston FILE" in before.fix

    after = found(bundle(root, other), users, now=NOW + 25 * DAY)[0]
    assert (after.kind, after.days, after.key) == (WarningKind.CLIENT_CA, 0, before.key)
    assert "is accepted; it locks out 1 known user certificate (alice.pem)" in after.words
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


def test_each_warning_is_given_once(office: Office) -> None:
    authorities = bundle(office.root("ends", end=NOW + 95 * DAY), office.root("later"))
    notices: tuple[ExpiryNotice, ...] = ()
    said = []
    for day in range(100):
        everything = found(authorities, now=NOW + day * DAY)
        said += [concern.days for concern in unreported(everything, notices)]
        notices = expiry_notices(everything)
    assert tuple(said) == THRESHOLDS


def test_authorities_are_warned_of_apart(office: Office) -> None:
    one, two = office.root("one", end=NOW + 10 * DAY), office.root("two", end=NOW + 2 * DAY)
    everything = found(bundle(one, two))
    (news,) = unreported(everything, (ExpiryNotice(everything[0].key, 14),))
    assert "CN=two" in news.words


# --------------------------------------------------------------------------- revocation lists


@pytest.mark.parametrize(
    ("now", "days", "verb"),
    [(NOW, None, ""), (NOW + 6 * DAY, 1, "ends on"), (NOW + 7 * DAY, 0, "ended on")],
)
def test_a_list_is_renewed_in_time(
    office: Office, tmp_path: Path, now: datetime, days: int | None, verb: str
) -> None:
    root = office.root()
    old, new = office.crl(root, made=NOW - 30 * DAY, end=NOW - 9 * DAY), office.crl(root)
    lists = read_crls([write_crl(tmp_path / "users.crl", old, new)])
    everything = found(bundle(root), lists=lists, now=now)
    assert [each.days for each in everything] == ([] if days is None else [days])
    for each in everything:
        assert each.kind is WarningKind.CRL
        assert f"users.crl: the revocation list of 'CN=Users' {verb}" in each.words
        assert "nginx refuses every user" in each.words


def test_a_list_of_nobody_revokes_nobody(office: Office, tmp_path: Path) -> None:
    root, stranger = office.root(), office.root("Stranger")
    forged = office.crl(stranger, signer=root)
    path = write_crl(tmp_path / "users.crl", forged, office.crl(root))
    (concern,) = found(bundle(root), lists=read_crls([path]))
    assert concern.kind is WarningKind.CRL_UNUSABLE
    assert "'CN=Stranger' is signed by none of" in concern.words
    assert found(bundle(), lists=read_crls([path])) == ()  # nobody gets in: nobody to revoke


def test_a_list_that_cannot_be_used_is_said(office: Office, tmp_path: Path) -> None:
    root = office.root()
    early = office.crl(root, made=NOW + DAY, end=NOW + 9 * DAY)
    lists = read_crls([write_crl(tmp_path / "users.crl", office.crl(root), early)])
    (concern,) = found(bundle(root), lists=lists)
    assert concern.kind is WarningKind.CRL_UNUSABLE
    assert "of 'CN=Users' is not used" in concern.words
    assert "begins in the future" in concern.words


def test_a_list_for_authorities_alone_is_said_where_there_are_none(
    office: Office, tmp_path: Path
) -> None:
    root = office.root()
    upper = office.crl(root, extensions=[part(authorities=True)])
    lists = read_crls([write_crl(tmp_path / "users.crl", upper)])
    (concern,) = found(bundle(root), lists=lists)
    assert concern.kind is WarningKind.CRL_UNUSABLE
    assert "about certificates of authorities only" in concern.words
    middle = office.intermediate(root)
    lists += read_crls([write_crl(tmp_path / "middle.crl", office.crl(middle))])
    assert found(bundle(root, middle), lists=lists) == ()
    both = read_crls([write_crl(tmp_path / "both.crl", upper, office.crl(root))])
    assert found(bundle(root), lists=both) == ()


def test_an_authority_without_a_list_is_said_where_others_have_one(
    office: Office, tmp_path: Path
) -> None:
    old, new = office.root("old"), office.root("new")
    mute = office.root("mute", usage=key_usage(key_cert_sign=True, crl_sign=False))
    lists = read_crls([write_crl(tmp_path / "users.crl", office.crl(old), office.crl(mute))])
    without, unsigned = found(bundle(old, new, mute), lists=lists)
    assert without.kind is unsigned.kind is WarningKind.CRL_UNUSABLE
    assert "every user of 'CN=new' while it has no revocation list" in without.words
    assert "'CN=mute', which may not sign revocation lists" in unsigned.words
    assert found(bundle(old, new, mute)) == ()


# --------------------------------------------------------------------------- users


def test_users_whose_own_certificates_end(office: Office) -> None:
    root = office.root(end=NOW + 3000 * DAY)
    users = known(
        alice=office.user(root, "alice", end=NOW - DAY),
        bob=office.user(root, "bob", end=NOW + 30 * DAY),
        carol=office.user(root, "carol", end=NOW + 31 * DAY),
        dave=office.user(root, "dave", end=NOW + 3 * DAY),
    )
    ended, soon = found(bundle(root), users)
    assert (ended.kind, ended.days) == (WarningKind.USERS, 0)
    assert ended.words.endswith("locked out: 1 known user certificate (alice.pem)")
    assert soon.words.endswith("30 days: 2 known user certificates (bob.pem, dave.pem)")
    assert unreported((ended, soon), expiry_notices((ended, soon))) == ()
    later = found(bundle(root), users, now=NOW + 2 * DAY)
    (news,) = unreported(later, expiry_notices((ended, soon)))
    assert "carol.pem" in news.words


def test_what_cannot_be_read_is_said(office: Office, tmp_path: Path) -> None:
    root = office.root(end=NOW + 365 * DAY)
    no_list, no_folder = found(
        bundle(root), StorageError("no folder", fix="make it"), StorageError("no list")
    )
    assert (no_list.kind, str(no_list)) == (WarningKind.CRL_UNUSABLE, "no list; see to the file")
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
