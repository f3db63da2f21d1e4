from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import POLICIES, Issued, key_usage
from tests.fakes.users_office import SERVER_ONLY, bundle

from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.crl_files import CrlFile
from gatecert.client_ca.user_check import UserCheckResult, check_user, find_user

if TYPE_CHECKING:
    from pathlib import Path

    from tests.fakes.users_office import Office


def checked(client_cas: Bundle, *sent: Issued) -> UserCheckResult:
    return check_user([each.certificate for each in sent], client_cas, now=NOW)


def only_reason(client_cas: Bundle, *sent: Issued) -> str:
    (reason,) = checked(client_cas, *sent).reasons
    return reason


# --------------------------------------------------------------------------- accepted


def test_certificate_of_a_client_ca_is_accepted(office: Office) -> None:
    root = office.root()
    alice = office.user(root)

    result = checked(bundle(office.root("other"), root), alice)

    assert result.accepted
    assert result.path == (alice.certificate, root.certificate)
    assert not result.notes


def test_intermediates_may_come_from_the_client_or_the_bundle(office: Office) -> None:
    root = office.root()
    upper = office.intermediate(root, "Upper")
    alice = office.user(office.intermediate(upper, "Lower"))
    lower = office.intermediate(upper, "Lower")

    assert checked(bundle(root, upper, lower), alice).accepted
    assert checked(bundle(root), alice, lower, upper).accepted
    assert checked(bundle(root, upper), lower, alice).accepted
    assert not checked(bundle(root), alice, upper).accepted


def test_missing_extensions_restrict_nothing(office: Office) -> None:
    root = office.root()

    for options in (
        {"server": None},
        {"without_usage": True},
        {"without_authority_key": True},
        {"ca": None},
        {"names": ("alice@example.com",)},
    ):
        assert checked(bundle(root), office.user(root, **options)).accepted, options


def test_critical_policies_are_ignored(office: Office) -> None:
    root = office.root()
    middle = office.intermediate(root, extensions=POLICIES)
    alice = office.user(middle, extensions=POLICIES[:1])

    assert checked(bundle(root, middle), alice).reasons == ()


# --------------------------------------------------------------------------- refused


def test_certificate_with_an_unsupported_key_is_undecided(office: Office) -> None:
    edwards = office.root("Edwards", key_kind="ed25519")
    middle = office.intermediate(edwards)

    result = checked(bundle(edwards, middle), office.user(middle))

    (reason,) = result.reasons
    assert reason.startswith(
        "cannot be checked by gatecert: 'CN=Edwards' has an Ed25519 key, which"
    )
    assert result.undecided
    assert not checked(bundle(edwards, middle), office.user(middle, server=True)).undecided
    assert not checked(bundle(office.root()), office.user(middle)).undecided
    assert not checked(bundle(office.root()), office.user(office.root())).undecided


def test_unknown_ca_is_named(office: Office) -> None:
    stranger = office.root("Stranger")
    alice = office.user(stranger)
    identifier = (
        x509.SubjectKeyIdentifier.from_public_key(stranger.certificate.public_key())
        .digest.hex(":")
        .upper()
    )

    assert only_reason(bundle(office.root()), alice) == (
        f"is from an unknown CA: its issuer 'CN=Stranger' (key identifier {identifier}) is not"
        " among the gateway's client CAs ('CN=Users')"
    )
    without = office.user(stranger, without_authority_key=True)
    assert "its issuer 'CN=Stranger' is not among the gateway's client CAs (none yet)" in (
        only_reason(Bundle(), without)
    )


def test_unknown_ca_of_an_intermediate_is_named(office: Office) -> None:
    stranger = office.root("Stranger")
    middle = office.intermediate(stranger)
    alice = office.user(middle)

    assert "the issuer of 'CN=Branch', 'CN=Stranger'" in only_reason(
        bundle(office.root()), alice, middle
    )
    assert "its root 'CN=Stranger' is not among" in only_reason(
        bundle(office.root()), alice, middle, stranger
    )
    assert "(none yet)" in only_reason(Bundle(), alice, middle, stranger)


def test_ca_with_the_same_name_but_another_key_is_refused(office: Office) -> None:
    namesake = office.root("Users", key_name="another key")

    assert "was not signed by the gateway's client CA 'CN=Users': its issuer has" in only_reason(
        bundle(office.root()), office.user(namesake)
    )


def test_certificate_outside_its_validity_is_refused(office: Office) -> None:
    root = office.root(begin=NOW - 100 * DAY)
    over = office.user(root, begin=NOW - 9 * DAY, end=NOW - DAY)
    early = office.user(root, begin=NOW + DAY)

    assert only_reason(bundle(root), over) == "expired on 2026-11-22 08:15:00 UTC"
    assert only_reason(bundle(root), early) == "is not valid before 2026-11-24 08:15:00 UTC"


def test_certificate_that_expired_before_its_ca_began_is_refused(office: Office) -> None:
    root = office.root("young", begin=NOW - DAY)
    over = office.user(root, begin=NOW - 9 * DAY, end=NOW - 2 * DAY)

    assert only_reason(bundle(root), over) == "expired on 2026-11-21 08:15:00 UTC"


def test_all_reasons_are_given(office: Office) -> None:
    reasons = checked(
        bundle(office.root()),
        office.user(office.root("Stranger"), end=NOW - DAY, begin=NOW - 2 * DAY, server=True),
    ).reasons

    assert [reason.split()[0] for reason in reasons] == ["expired", "is", "is"]
    assert "clientAuth" in reasons[1]
    assert "unknown CA" in reasons[2]


def test_certificate_of_an_expired_ca_is_refused(office: Office) -> None:
    root = office.root("old", begin=NOW - 100 * DAY, end=NOW - DAY)

    assert only_reason(bundle(root), office.user(root)) == (
        "cannot be trusted: its issuer 'CN=old' expired on 2026-11-22 08:15:00 UTC"
    )
    both = checked(bundle(root), office.user(root, begin=NOW - 9 * DAY, end=NOW - 2 * DAY))
    assert len(both.reasons) == 2
    assert "'CN=old' expired" in both.reasons[1]


def test_key_usages_are_checked(office: Office) -> None:
    root = office.root()

    assert "ocserv does not check this" in only_reason(bundle(root), office.user(root, server=True))
    assert "digitalSignature" in only_reason(
        bundle(root), office.user(root, usage=key_usage(key_encipherment=True))
    )


def test_ca_certificate_is_refused(office: Office) -> None:
    root = office.root()

    assert (
        "is a CA certificate (CA:TRUE), not a client certificate"
        in checked(bundle(root), root).reasons
    )


def test_self_signed_certificate_is_refused(office: Office) -> None:
    assert only_reason(bundle(office.root()), office.user(None)) == (
        "is self-signed: no client CA issued it"
    )


def test_weak_keys_and_signatures_are_refused(office: Office) -> None:
    root = office.root()

    short = checked(bundle(root), office.user(root, "short", key_kind="1024"))
    assert any("too weak" in reason and "1024" in reason for reason in short.reasons)
    forged = checked(bundle(root), office.user(root, sha1=True))
    assert any("SHA-1" in reason for reason in forged.reasons)


def test_chain_longer_than_the_path_length_is_refused(office: Office) -> None:
    root = office.root("strict", path_length=0)
    middle = office.intermediate(root)

    assert only_reason(bundle(root, middle), office.user(middle)) == (
        "cannot be trusted: its issuer 'CN=strict' allows 0 intermediates below it, but there are 1"
    )


def test_issuer_that_is_no_ca_is_refused(office: Office) -> None:
    root = office.root()
    colleague = office.user(root, "colleague")
    alice = office.user(colleague)

    reasons = checked(bundle(root), alice, colleague).reasons

    assert any("'CN=colleague' is not a CA certificate" in each for each in reasons)
    assert any("keyCertSign" in each for each in reasons)


def test_issuer_for_servers_only_is_refused(office: Office) -> None:
    root = office.root()
    middle = office.intermediate(root, "servers", extensions=[SERVER_ONLY])

    assert only_reason(bundle(root), office.user(middle), middle) == (
        "cannot be trusted: its issuer 'CN=servers' may not issue for TLS clients: its extended key"
        " usage lacks clientAuth"
    )


def test_name_outside_the_name_constraints_is_refused(office: Office) -> None:
    only_here = x509.NameConstraints([x509.DNSName("example.com")], None)
    root = office.root("narrow", extensions=[(only_here, True)])

    reason = only_reason(bundle(root), office.user(root, names=("elsewhere.example",)))

    assert reason.startswith("has no valid chain to 'CN=narrow': ")
    assert checked(bundle(root), office.user(root, names=("a.example.com",))).accepted


def test_issuers_that_issued_each_other_end_the_check(office: Office) -> None:
    one = office.intermediate(office.root(), "one")
    two = office.intermediate(one, "two")
    back = office.pki.authority("one", two)

    reason = only_reason(bundle(office.root("other")), office.user(two), two, back)

    assert "more than 16 issuers" in reason


def test_time_that_the_verifier_does_not_support_is_refused(office: Office) -> None:
    root = office.root()

    early = check_user([office.user(root).certificate], bundle(root), now=NOW.replace(year=1960))

    assert not early.accepted


def test_client_certificate_is_found_in_any_order(office: Office) -> None:
    root = office.root()
    alice = office.user(root)
    one = office.intermediate(root, "one")
    two = office.pki.authority("one", office.intermediate(one, "two"))

    assert find_user([root.certificate, alice.certificate]) == alice.certificate
    circle = [one.certificate, office.intermediate(two, "two").certificate, two.certificate]
    assert find_user(circle) in circle


# --------------------------------------------------------------------------- revoked


def revocations(path: Path, *crls: x509.CertificateRevocationList) -> list[CrlFile]:
    return [CrlFile(path, each) for each in crls]


def test_revoked_certificate_is_refused(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice, bob = office.user(root), office.user(root, "bob")
    crls = revocations(tmp_path / "crl", office.crl(root, alice))

    result = check_user([alice.certificate], bundle(root), crls, now=NOW)

    assert result.reasons == (
        f"was revoked on 2026-11-22 08:15:00 UTC, according to {tmp_path / 'crl'}",
    )
    assert check_user([bob.certificate], bundle(root), crls, now=NOW).accepted


def test_revoked_intermediate_is_refused(office: Office, tmp_path: Path) -> None:
    root = office.root()
    middle = office.intermediate(root)
    crls = revocations(tmp_path, office.crl(root, middle), office.crl(middle))

    (reason,) = check_user(
        [office.user(middle).certificate], bundle(root, middle), crls, now=NOW
    ).reasons

    assert reason.startswith("cannot be trusted: 'CN=Branch' was revoked on")


def test_issuer_without_a_crl_causes_a_note(office: Office, tmp_path: Path) -> None:
    root, other = office.root(), office.root("other")
    crls = revocations(tmp_path, office.crl(other))

    (note,) = check_user([office.user(root).certificate], bundle(root), crls, now=NOW).notes

    assert "no usable CRL of 'CN=Users'" in note


def test_certificate_of_a_p384_ca_is_accepted(office: Office) -> None:
    office.pki.keys["p384 (ec)"] = ec.generate_private_key(ec.SECP384R1())
    root = office.root("large", key_name="p384")

    assert checked(bundle(root), office.user(root)).accepted
