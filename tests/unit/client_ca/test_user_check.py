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


def judged(authorities: Bundle, *sent: Issued) -> UserCheckResult:
    return check_user([each.certificate for each in sent], authorities, now=NOW)


def only_reason(authorities: Bundle, *sent: Issued) -> str:
    (reason,) = judged(authorities, *sent).reasons
    return reason


# --------------------------------------------------------------------------- accepted


def test_a_user_of_an_authority_is_accepted(office: Office) -> None:
    root = office.root()
    alice = office.user(root)

    judgement = judged(bundle(office.root("other"), root), alice)

    assert judgement.accepted
    assert judgement.path == (alice.certificate, root.certificate)
    assert not judgement.notes


def test_intermediates_may_come_from_either_side(office: Office) -> None:
    root = office.root()
    upper = office.intermediate(root, "Upper")
    alice = office.user(office.intermediate(upper, "Lower"))
    lower = office.intermediate(upper, "Lower")

    assert judged(bundle(root, upper, lower), alice).accepted
    assert judged(bundle(root), alice, lower, upper).accepted
    assert judged(bundle(root, upper), lower, alice).accepted
    assert not judged(bundle(root), alice, upper).accepted


def test_what_is_unsaid_does_not_bind(office: Office) -> None:
    root = office.root()

    for options in (
        {"server": None},
        {"without_usage": True},
        {"without_authority_key": True},
        {"ca": None},
        {"names": ("alice@example.com",)},
    ):
        assert judged(bundle(root), office.user(root, **options)).accepted, options


def test_critical_policies_bind_nobody(office: Office) -> None:
    root = office.root()
    middle = office.intermediate(root, extensions=POLICIES)
    alice = office.user(middle, extensions=POLICIES[:1])

    assert judged(bundle(root, middle), alice).reasons == ()


# --------------------------------------------------------------------------- refused


def test_what_the_validator_does_not_know_is_left_undecided(office: Office) -> None:
    edwards = office.root("Edwards", key_kind="ed25519")
    middle = office.intermediate(edwards)

    judgement = judged(bundle(edwards, middle), office.user(middle))

    (reason,) = judgement.reasons
    assert reason.startswith("cannot be judged here: 'CN=Edwards' has an Ed25519 key, which")
    assert judgement.undecided
    assert not judged(bundle(edwards, middle), office.user(middle, server=True)).undecided
    assert not judged(bundle(office.root()), office.user(middle)).undecided
    assert not judged(bundle(office.root()), office.user(office.root())).undecided


def test_an_unknown_authority_is_named(office: Office) -> None:
    stranger = office.root("Stranger")
    alice = office.user(stranger)
    identifier = (
        x509.SubjectKeyIdentifier.from_public_key(stranger.certificate.public_key())
        .digest.hex(":")
        .upper()
    )

    assert only_reason(bundle(office.root()), alice) == (
        f"is of an unknown authority: its issuer 'CN=Stranger' (key identifier {identifier}) is not"
        " among the gateway's authorities ('CN=Users')"
    )
    without = office.user(stranger, without_authority_key=True)
    assert "its issuer 'CN=Stranger' is not among the gateway's authorities (none yet)" in (
        only_reason(Bundle(), without)
    )


def test_an_authority_above_an_intermediate_is_named(office: Office) -> None:
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


def test_a_namesake_of_an_authority_is_told_apart(office: Office) -> None:
    namesake = office.root("Users", key_name="another key")

    assert "was not signed by the authority 'CN=Users' that this gateway knows" in only_reason(
        bundle(office.root()), office.user(namesake)
    )


def test_dates(office: Office) -> None:
    root = office.root(begin=NOW - 100 * DAY)
    over = office.user(root, begin=NOW - 9 * DAY, end=NOW - DAY)
    early = office.user(root, begin=NOW + DAY)

    assert only_reason(bundle(root), over) == "ended on 2026-11-22 08:15:00 UTC"
    assert only_reason(bundle(root), early) == "is not valid before 2026-11-24 08:15:00 UTC"


def test_a_user_that_ended_before_its_authority_began(office: Office) -> None:
    root = office.root("young", begin=NOW - DAY)
    over = office.user(root, begin=NOW - 9 * DAY, end=NOW - 2 * DAY)

    assert only_reason(bundle(root), over) == "ended on 2026-11-21 08:15:00 UTC"


def test_all_reasons_are_given(office: Office) -> None:
    reasons = judged(
        bundle(office.root()),
        office.user(office.root("Stranger"), end=NOW - DAY, begin=NOW - 2 * DAY, server=True),
    ).reasons

    assert [reason.split()[0] for reason in reasons] == ["ended", "is", "is"]
    assert "clientAuth" in reasons[1]
    assert "unknown authority" in reasons[2]


def test_an_authority_that_has_ended(office: Office) -> None:
    root = office.root("old", begin=NOW - 100 * DAY, end=NOW - DAY)

    assert only_reason(bundle(root), office.user(root)) == (
        "cannot be trusted: its issuer 'CN=old' ended on 2026-11-22 08:15:00 UTC"
    )
    both = judged(bundle(root), office.user(root, begin=NOW - 9 * DAY, end=NOW - 2 * DAY))
    assert len(both.reasons) == 2
    assert "'CN=old' ended" in both.reasons[1]


def test_usages(office: Office) -> None:
    root = office.root()

    assert "ocserv does not look at that" in only_reason(
        bundle(root), office.user(root, server=True)
    )
    assert "digitalSignature" in only_reason(
        bundle(root), office.user(root, usage=key_usage(key_encipherment=True))
    )


def test_an_authority_is_no_user(office: Office) -> None:
    root = office.root()

    assert "is an authority's (CA:TRUE), not a user's" in judged(bundle(root), root).reasons


def test_a_certificate_that_nobody_vouches_for(office: Office) -> None:
    assert only_reason(bundle(office.root()), office.user(None)) == (
        "is self-signed: no authority vouches for it"
    )


def test_weak_keys_and_signatures(office: Office) -> None:
    root = office.root()

    short = judged(bundle(root), office.user(root, "short", key_kind="1024"))
    assert any("too weak" in reason and "1024" in reason for reason in short.reasons)
    forged = judged(bundle(root), office.user(root, sha1=True))
    assert any("SHA-1" in reason for reason in forged.reasons)


def test_a_path_that_is_too_long(office: Office) -> None:
    root = office.root("strict", path_length=0)
    middle = office.intermediate(root)

    assert only_reason(bundle(root, middle), office.user(middle)) == (
        "cannot be trusted: its issuer 'CN=strict' allows 0 intermediates below it, but there are"
        " 1: too long a path"
    )


def test_an_issuer_that_is_no_authority(office: Office) -> None:
    root = office.root()
    colleague = office.user(root, "colleague")
    alice = office.user(colleague)

    reasons = judged(bundle(root), alice, colleague).reasons

    assert any("'CN=colleague' is no authority's certificate" in each for each in reasons)
    assert any("keyCertSign" in each for each in reasons)


def test_an_issuer_for_servers_only(office: Office) -> None:
    root = office.root()
    middle = office.intermediate(root, "servers", extensions=[SERVER_ONLY])

    assert only_reason(bundle(root), office.user(middle), middle) == (
        "cannot be trusted: its issuer 'CN=servers' may not issue for TLS clients: its extended key"
        " usage lacks clientAuth"
    )


def test_names_that_an_authority_may_not_give(office: Office) -> None:
    only_here = x509.NameConstraints([x509.DNSName("example.com")], None)
    root = office.root("narrow", extensions=[(only_here, True)])

    reason = only_reason(bundle(root), office.user(root, names=("elsewhere.example",)))

    assert reason.startswith("does not hold under 'CN=narrow': ")
    assert judged(bundle(root), office.user(root, names=("a.example.com",))).accepted


def test_circles_of_issuers_have_an_end(office: Office) -> None:
    one = office.intermediate(office.root(), "one")
    two = office.intermediate(one, "two")
    back = office.pki.authority("one", two)

    reason = only_reason(bundle(office.root("other")), office.user(two), two, back)

    assert "more than 16 issuers" in reason


def test_a_time_before_all_time(office: Office) -> None:
    root = office.root()

    early = check_user([office.user(root).certificate], bundle(root), now=NOW.replace(year=1960))

    assert not early.accepted


def test_the_user_is_found_wherever_it_stands(office: Office) -> None:
    root = office.root()
    alice = office.user(root)
    one = office.intermediate(root, "one")
    two = office.pki.authority("one", office.intermediate(one, "two"))

    assert find_user([root.certificate, alice.certificate]) == alice.certificate
    circle = [one.certificate, office.intermediate(two, "two").certificate, two.certificate]
    assert find_user(circle) in circle


# --------------------------------------------------------------------------- revoked


def revocations(path: Path, *lists: x509.CertificateRevocationList) -> list[CrlFile]:
    return [CrlFile(path, each) for each in lists]


def test_a_revoked_certificate(office: Office, tmp_path: Path) -> None:
    root = office.root()
    alice, bob = office.user(root), office.user(root, "bob")
    lists = revocations(tmp_path / "crl", office.crl(root, alice))

    judgement = check_user([alice.certificate], bundle(root), lists, now=NOW)

    assert judgement.reasons == (
        f"was revoked on 2026-11-22 08:15:00 UTC, as {tmp_path / 'crl'} says",
    )
    assert check_user([bob.certificate], bundle(root), lists, now=NOW).accepted


def test_a_revoked_intermediate(office: Office, tmp_path: Path) -> None:
    root = office.root()
    middle = office.intermediate(root)
    lists = revocations(tmp_path, office.crl(root, middle), office.crl(middle))

    (reason,) = check_user(
        [office.user(middle).certificate], bundle(root, middle), lists, now=NOW
    ).reasons

    assert reason.startswith("cannot be trusted: 'CN=Branch' was revoked on")


def test_an_issuer_without_a_list_is_noted(office: Office, tmp_path: Path) -> None:
    root, other = office.root(), office.root("other")
    lists = revocations(tmp_path, office.crl(other))

    (note,) = check_user([office.user(root).certificate], bundle(root), lists, now=NOW).notes

    assert "no revocation list of 'CN=Users' is given" in note


def test_keys_of_other_kinds_are_judged_too(office: Office) -> None:
    office.pki.keys["p384"] = ec.generate_private_key(ec.SECP384R1())
    root = office.root("large", key_name="p384")

    assert judged(bundle(root), office.user(root)).accepted
