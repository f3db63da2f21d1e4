"""Tests of imports: every bad chain is refused with its reason."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Unpack

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import NAME, Good, Issued, Options, Pki, dns, key_usage

from gatecert.certificate.extensions import authority_key_identifier, subject_key_identifier
from gatecert.certificate.imported import FAILED, check_imported
from gatecert.errors import CertificateError
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Callable

    from gatecert.certificate.chain import CheckedChain

UNKNOWN = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
MAIL_ONLY = (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), False)
ADDRESS = Identifier(IdentifierType.IP, "192.0.2.1")


@dataclass(frozen=True)
class Import:
    """The certificates given, and the configured names."""

    leaf: Issued
    others: Sequence[Issued]
    identifiers: tuple[Identifier, ...] = dns(NAME)

    def check(self, *system_roots: Issued) -> CheckedChain:
        handed = [each.certificate for each in (self.leaf, *self.others)]
        return check_imported(
            self.leaf.key_pem,
            list(dict.fromkeys(handed)),
            self.identifiers,
            now=NOW,
            system_roots=[each.certificate for each in system_roots],
        )


def leaf(**options: Unpack[Options]) -> Callable[[Pki, Good], Import]:
    """Return a case with a bad leaf."""
    chosen: Options = {"key_name": "bad leaf", **options}
    return lambda pki, good: Import(
        pki.issue(NAME, good.intermediate, **chosen), (good.intermediate, good.root)
    )


def intermediate(**options: Unpack[Options]) -> Callable[[Pki, Good], Import]:
    """Return a case with a bad intermediate."""

    def make(pki: Pki, good: Good) -> Import:
        bad = pki.authority("Bad Intermediate", good.root, **options)
        return Import(pki.issue(NAME, bad), (bad, good.root))

    return make


def root(**options: Unpack[Options]) -> Callable[[Pki, Good], Import]:
    """Return a case with a bad root."""

    def make(pki: Pki, _: Good) -> Import:
        bad = pki.root("Bad Root", **options)
        middle = pki.authority("Below The Bad Root", bad)
        return Import(pki.issue(NAME, middle), (middle, bad))

    return make


def without(*missing: str) -> Callable[[Pki, Good], Import]:
    """Return a case without one issuer of a chain of five."""

    def make(pki: Pki, good: Good) -> Import:
        upper = pki.authority("Upper", good.root)
        lower = pki.authority("Lower", upper)
        every = {"Upper": upper, "Lower": lower, "Root": good.root}
        others = [issuer for name, issuer in every.items() if name not in missing]
        return Import(pki.issue(NAME, lower), others)

    return make


def for_names(*identifiers: Identifier) -> Callable[[Pki, Good], Import]:
    return lambda _, good: Import(good.leaf, (good.intermediate, good.root), identifiers)


def constrained(*, permitted: str = "", excluded: str = "") -> tuple[x509.NameConstraints, bool]:
    return (
        x509.NameConstraints(
            [x509.DNSName(permitted)] if permitted else None,
            [x509.DNSName(excluded)] if excluded else None,
        ),
        True,
    )


def other_name_forbidden(pki: Pki, good: Good) -> Import:
    limited = pki.authority("Limited", good.root, extensions=[constrained(permitted=NAME)])
    both = (NAME, "vpn.example.org")
    return Import(pki.issue(NAME, limited, names=both), (limited, good.root), dns(*both))


def impostor(pki: Pki, good: Good) -> Import:
    fake = pki.authority("Intermediate", good.root, key_name="impostor")
    return Import(good.leaf, (fake, good.root))


def impostor_root(pki: Pki, good: Good) -> Import:
    return Import(good.leaf, (good.intermediate, pki.root("Root", key_name="impostor root")))


def other_chain(pki: Pki, good: Good) -> Import:
    other = pki.root("Other Root")
    return Import(good.leaf, (pki.authority("Other", other), other))


def too_long(pki: Pki, _: Good) -> Import:
    short = pki.root("Short Root", path_length=0)
    middle = pki.authority("Middle", short)
    return Import(pki.issue(NAME, middle), (middle, short))


def too_deep(pki: Pki, good: Good) -> Import:
    levels = [good.root]
    for level in range(12):
        levels.append(pki.authority(f"Level {level}", levels[-1]))
    return Import(pki.issue(NAME, levels[-1]), levels)


def maze(pki: Pki, good: Good) -> Import:
    levels = [pki.authority(f"Maze {level}", good.root) for level in range(6)]
    every = [
        pki.authority(f"Maze {one}", levels[other], key_name=f"Maze {one}")
        for one, other in itertools.permutations(range(6), 2)
    ]
    return Import(pki.issue(NAME, levels[0]), every)


def two_for_one_key(pki: Pki, good: Good) -> Import:
    second = pki.issue(NAME, good.intermediate, end=NOW + 30 * DAY)
    return Import(good.leaf, (second, good.intermediate, good.root))


def wildcard(name: str) -> Callable[[Pki, Good], Import]:
    """Return a case of a wildcard certificate for another name."""

    def make(pki: Pki, good: Good) -> Import:
        made = pki.issue("wild", good.intermediate, names=("*.example.com",))
        return Import(made, (good.intermediate, good.root), dns(name))

    return make


BAD: dict[str, tuple[Callable[[Pki, Good], Import], str]] = {
    # the gateway's certificate
    "other name": (for_names(*dns("vpn.example.org")), "is not for vpn.example.org"),
    "one name missing": (for_names(*dns(NAME, "www.example.com")), "is not for www.example.com"),
    "address missing": (for_names(*dns(NAME), ADDRESS), "is not for 192.0.2.1"),
    "wildcard of another depth": (wildcard("a.vpn.example.com"), "is not for a.vpn.example.com"),
    "wildcard of the zone itself": (wildcard("example.com"), "is not for example.com"),
    "has no name": (leaf(names=()), "the names of the CSR were left out"),
    "only a mail address": (leaf(names=("root@example.com",)), "the names of the CSR were left"),
    "expired": (
        leaf(end=NOW - timedelta(seconds=1)),
        "the certificate 'CN=vpn.example.com' expired",
    ),
    "not yet valid": (leaf(begin=NOW + DAY), "is not valid before"),
    "for clients": (leaf(server=False), "lacks serverAuth"),
    "for mail": (leaf(server=None, extensions=[MAIL_ONLY]), "lacks serverAuth"),
    "no digital signature": (leaf(usage=key_usage(key_encipherment=True)), "digitalSignature"),
    "may sign": (leaf(usage=key_usage(digital_signature=True, key_cert_sign=True)), "keyCertSign"),
    "CA certificate": (leaf(ca=True), "is a CA certificate (CA:TRUE)"),
    "self-signed": (lambda pki, _: Import(pki.issue("lonely"), ()), "is self-signed"),
    "SHA-1": (leaf(sha1=True), "signed with MD5 or SHA-1"),
    "RSA 1024": (leaf(key_name="rsa1024", key_kind="1024"), "RSA key of 1024 bits"),
    "unknown curve": (leaf(key_name="curve", key_kind="curve"), "on the curve secp256k1"),
    "unknown critical extension": (leaf(extensions=[UNKNOWN]), FAILED),
    "pre-certificate": (leaf(extensions=[(x509.PrecertPoison(), True)]), FAILED),
    "two for one key": (two_for_one_key, "2 different certificates for the same private key"),
    # the path to the root
    "alone": (lambda _, good: Import(good.leaf, ()), "'CN=Intermediate' (key identifier "),
    "no root": (
        lambda _, good: Import(good.leaf, (good.intermediate,)),
        f"{FAILED}: the certificate of 'CN=Root' (key identifier ",
    ),
    "no intermediate": (lambda _, good: Import(good.leaf, (good.root,)), "'CN=Intermediate'"),
    "no lower intermediate": (without("Lower"), "of 'CN=Lower' (key identifier"),
    "no upper intermediate": (without("Upper"), "of 'CN=Upper' (key identifier"),
    "no root of a long chain": (without("Root"), "of 'CN=Root' (key identifier"),
    "two missing": (without("Upper", "Root"), "of 'CN=Upper' (key identifier"),
    "issuer unknown to any": (leaf(issuer_name=x509.Name([])), "of '' (key identifier"),
    "impostor": (impostor, "has another key (key identifier not stated) and did not sign it"),
    "impostor root": (impostor_root, "of 'CN=Root' (key identifier"),
    "another CA's chain": (other_chain, "of 'CN=Intermediate' (key identifier"),
    "issuer does not state keys": (
        lambda pki, good: Import(pki.issue("x", good.root, without_authority_key=True), ()),
        "of 'CN=Root' (key identifier not stated)",
    ),
    "path too long": (too_long, "the root 'CN=Short Root' allows 0 intermediates"),
    "path too deep": (too_deep, FAILED),
    "maze": (maze, "too many possible paths"),
    # the intermediates
    "intermediate is not a CA": (intermediate(ca=False), "is not a CA certificate"),
    "no basicConstraints": (intermediate(ca=None), "is not a CA certificate"),
    "no keyCertSign": (intermediate(usage=key_usage(digital_signature=True)), "lacks keyCertSign"),
    "for clients' certificates": (intermediate(server=False), "may not issue for TLS servers"),
    "intermediate expired": (intermediate(end=NOW - DAY), "'CN=Bad Intermediate' expired"),
    "intermediate too young": (intermediate(begin=NOW + DAY), "is not valid before"),
    "intermediate by SHA-1": (intermediate(sha1=True), "is signed with MD5 or SHA-1"),
    "intermediate RSA 1024": (intermediate(key_name="r", key_kind="1024"), "of 1024 bits"),
    "intermediate's extension": (intermediate(extensions=[UNKNOWN]), "critical extension"),
    "name not permitted": (
        intermediate(extensions=[constrained(permitted="example.org")]),
        "constrained by 'CN=Bad Intermediate'",
    ),
    "name excluded": (
        intermediate(extensions=[constrained(excluded="example.com")]),
        "constrained by 'CN=Bad Intermediate'",
    ),
    "second name not permitted": (other_name_forbidden, "constrained by 'CN=Limited'"),
    # the root
    "root expired": (root(end=NOW - DAY), "the root 'CN=Bad Root' expired"),
    "root too young": (root(begin=NOW + DAY), "the root 'CN=Bad Root' is not valid before"),
    "root is not a CA": (root(ca=False), "the root 'CN=Bad Root' is not a CA certificate"),
    "root may not sign": (root(usage=key_usage(digital_signature=True)), "lacks keyCertSign"),
    "root RSA 1024": (root(key_name="r", key_kind="1024"), "of 1024 bits"),
    "root for clients": (root(server=False), "may not issue for TLS servers"),
    "root constrains": (root(extensions=[constrained(permitted="example.org")]), "constrained by"),
}
CHAIN_CASES = list(BAD)[list(BAD).index("alone") :]


@pytest.mark.parametrize("case", BAD)
def test_a_bad_import_is_refused_with_its_reason(case: str, pki: Pki, good: Good) -> None:
    make, reason = BAD[case]
    with pytest.raises(CertificateError) as refusal:
        make(pki, good).check()
    assert reason in refusal.value.message
    assert refusal.value.fix
    assert "\n" not in str(refusal.value)
    if case in CHAIN_CASES:
        assert refusal.value.message.startswith(FAILED)


def test_there_are_at_least_forty_bad_imports() -> None:
    assert len(BAD) >= 40


def test_a_good_import_keeps_the_root_and_serves_the_rest(good: Good) -> None:
    checked = Import(good.leaf, (good.intermediate, good.root)).check(good.root)
    assert checked.certificate == good.leaf.pem
    assert checked.chain == good.intermediate.pem
    assert checked.root == good.root.pem
    assert checked.root_name == "Root"
    assert checked.notes == ()


def test_a_root_that_this_machine_does_not_trust_is_noted(good: Good) -> None:
    (note,) = Import(good.leaf, (good.intermediate, good.root)).check().notes
    assert "does not trust the root 'CN=Root'" in note
    assert "SHA-256" in note


def test_a_root_may_sign_directly(pki: Pki, good: Good) -> None:
    made = pki.issue("direct", good.root)
    checked = Import(made, (good.root,)).check(good.root)
    assert (checked.certificate, checked.chain, checked.root) == (made.pem, b"", good.root.pem)


def test_a_trusted_root_does_not_replace_a_missing_one(good: Good) -> None:
    with pytest.raises(CertificateError, match=FAILED):
        Import(good.leaf, (good.intermediate,)).check(good.root)


@settings(deadline=None)
@given(data=st.data())
def test_order_and_extras_never_matter(data: st.DataObject, pki: Pki, good: Good) -> None:
    extra = pki.authority("Extra", good.root)
    others = data.draw(st.permutations([good.intermediate, good.root, extra]))
    checked = Import(good.leaf, others).check(good.root)
    assert (checked.chain, checked.root) == (good.intermediate.pem, good.root.pem)
    assert checked.notes == ("not served, because not on the path to the root: 'CN=Extra'",)


def test_a_cross_signature_is_served_and_the_given_root_kept(pki: Pki) -> None:
    young = pki.root("Young")
    crossed = pki.authority("Young", pki.root("Old"))
    middle = pki.authority("Crossed Middle", young)
    made = pki.issue("crossed", middle)
    checked = Import(made, (crossed, young, middle)).check(young)
    assert checked.chain == middle.pem + crossed.pem
    assert checked.root == young.pem
    assert checked.notes == ()


def test_a_wildcard_covers_one_label(pki: Pki, good: Good) -> None:
    assert wildcard(NAME)(pki, good).check(good.root).certificate


def test_key_identifiers_are_shown_as_openssl_shows_them(pki: Pki, good: Good) -> None:
    digest = x509.SubjectKeyIdentifier.from_public_key(good.root.certificate.public_key())
    own = pki.authority("With Identifier", good.root, extensions=[(digest, False)]).certificate
    shown = digest.digest.hex(":").upper()
    assert subject_key_identifier(own) == shown
    assert authority_key_identifier(good.intermediate.certificate) == shown
    assert subject_key_identifier(good.root.certificate) == ""
