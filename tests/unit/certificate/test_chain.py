"""Tests of chain validation: bad chains and good ones."""

from __future__ import annotations

import base64
import itertools
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING, Unpack

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import NAME, POLICIES, Good, Issued, Options, Pki, dns, key_usage

from gatecert.certificate import chain
from gatecert.certificate.bootstrap import bootstrap
from gatecert.certificate.pem import parse
from gatecert.errors import CertificateError
from gatecert.model import Identifier, IdentifierType

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE = timedelta(minutes=1)


@dataclass(frozen=True)
class Handed:
    """The input of a validation."""

    leaf: Issued
    fullchain: bytes
    identifiers: tuple[Identifier, ...] = dns(NAME)
    trusted: tuple[x509.Certificate, ...] | None = None
    system: tuple[x509.Certificate, ...] = ()
    private_key: bytes = b""

    def check(self) -> chain.CheckedChain:
        return chain.check_issued(
            self.private_key or self.leaf.key_pem,
            self.fullchain,
            self.identifiers,
            now=NOW,
            trusted_roots=self.trusted,
            system_roots=self.system,
        )


def of(leaf: Issued, *others: Issued) -> Handed:
    return Handed(leaf, b"".join(each.pem for each in (leaf, *others)))


def trusting(handed: Handed, *roots: Issued) -> Handed:
    return replace(handed, trusted=tuple(each.certificate for each in roots))


def text(of_chain: Callable[[Good], bytes]) -> Callable[[Pki, Good], Handed]:
    """Return a case with a bad PEM text."""
    return lambda _, good: Handed(good.leaf, of_chain(good))


def leaf(**options: Unpack[Options]) -> Callable[[Pki, Good], Handed]:
    """Return a case with a bad leaf."""
    settings: Options = {"key_name": "bad leaf", **options}
    return lambda pki, good: of(pki.issue(NAME, good.intermediate, **settings), good.intermediate)


def intermediate(**options: Unpack[Options]) -> Callable[[Pki, Good], Handed]:
    """Return a case with a bad intermediate."""

    def make(pki: Pki, good: Good) -> Handed:
        bad = pki.authority("Bad Intermediate", good.root, **options)
        return trusting(of(pki.issue(NAME, bad), bad), good.root)

    return make


def wrong_key(pki: Pki, good: Good) -> Handed:
    return replace(of(good.leaf, good.intermediate), private_key=pki.issue("other").key_pem)


def for_names(*names: str) -> Callable[[Pki, Good], Handed]:
    return lambda _, good: replace(of(good.leaf, good.intermediate), identifiers=dns(*names))


def wildcard_only(pki: Pki, good: Good) -> Handed:
    return of(pki.issue("wild", good.intermediate, names=("*.example.com",)), good.intermediate)


def address_missing(_: Pki, good: Good) -> Handed:
    address = Identifier(IdentifierType.IP, "192.0.2.1")
    return replace(of(good.leaf, good.intermediate), identifiers=(*dns(NAME), address))


def self_signed(pki: Pki, _: Good) -> Handed:
    return of(pki.issue("lonely"))


def missing_middle(pki: Pki, good: Good) -> Handed:
    middle = pki.authority("Middle", good.intermediate)
    return trusting(of(pki.issue(NAME, middle), middle), good.root)


def namesake_issuer(pki: Pki, good: Good) -> Handed:
    impostor = pki.authority("Intermediate", good.root, key_name="impostor")
    return of(good.leaf, impostor)


def two_leaves_for_one_key(pki: Pki, good: Good) -> Handed:
    second = pki.issue(NAME, good.intermediate, end=NOW + 30 * DAY)
    return of(good.leaf, second, good.intermediate)


def wrong_root(pki: Pki, good: Good) -> Handed:
    return trusting(of(good.leaf, good.intermediate), pki.root("Other Root"))


def wrong_root_served(pki: Pki, good: Good) -> Handed:
    return trusting(of(good.leaf, good.intermediate, good.root), pki.root("Other Root"))


def no_trusted_root(_: Pki, good: Good) -> Handed:
    return trusting(of(good.leaf, good.intermediate))


def expired_trusted_root(pki: Pki, good: Good) -> Handed:
    expired = pki.root(key_name="Root", end=NOW - MINUTE)
    return trusting(of(good.leaf, good.intermediate), expired)


def expired_served_root(pki: Pki, good: Good) -> Handed:
    return of(good.leaf, good.intermediate, pki.root(key_name="Root", end=NOW - MINUTE))


def path_too_long(pki: Pki, _: Good) -> Handed:
    root = pki.root("Short Root", path_length=0)
    middle = pki.authority("Too Deep", root)
    return trusting(of(pki.issue(NAME, middle), middle), root)


def path_too_long_below_an_unknown_root(pki: Pki, good: Good) -> Handed:
    upper = pki.authority("Short Upper", good.root, path_length=0)
    lower = pki.authority("Too Deep Lower", upper)
    return of(pki.issue(NAME, lower), lower, upper)


def depth_beyond_the_validator(pki: Pki, good: Good) -> Handed:
    above = [good.root]
    for level in range(12):
        above.append(pki.authority(f"Level {level}", above[-1]))
    return of(pki.issue(NAME, above[-1]), *reversed(above))


def weak_intermediate(pki: Pki, good: Good) -> Handed:
    weak = pki.authority("Weak Intermediate", good.root, key_kind="1024")
    return of(pki.issue(NAME, weak), weak)


def forbidden_name_is_not_the_first(pki: Pki, good: Good) -> Handed:
    limited = pki.authority("Limited", good.root, extensions=[constraint(permitted=NAME)])
    names = (NAME, "vpn.example.org")
    return trusting(of(pki.issue(NAME, limited, names=names), limited), good.root)


def constrained_by_the_root(pki: Pki, _: Good) -> Handed:
    root = pki.root("Limited Root", extensions=[constraint(permitted="example.org")])
    middle = pki.authority("Below The Limited", root)
    return trusting(of(pki.issue(NAME, middle), middle), root)


def maze(pki: Pki, good: Good) -> Handed:
    # Each level signs each level, which makes too many paths.
    levels = [pki.authority(f"Maze {level}", good.root) for level in range(6)]
    every = [
        pki.authority(f"Maze {one}", levels[other], key_name=f"Maze {one}")
        for one, other in itertools.permutations(range(6), 2)
    ]
    return of(pki.issue(NAME, levels[0]), *every)


def constraint(*, permitted: str = "", excluded: str = "") -> tuple[x509.NameConstraints, bool]:
    return (
        x509.NameConstraints(
            [x509.DNSName(permitted)] if permitted else None,
            [x509.DNSName(excluded)] if excluded else None,
        ),
        True,
    )


UNKNOWN_CRITICAL = (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"), True)
LEAVES_NO_NAME = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])

BAD: dict[str, tuple[Callable[[Pki, Good], Handed], str]] = {
    # the text
    "empty": (text(lambda _: b""), "empty"),
    "white space": (text(lambda _: b" \r\n\t"), "empty"),
    "no PEM": (text(lambda _: b"<html>Bad gateway</html>"), "no line -----BEGIN CERTIFICATE"),
    "DER": (text(lambda good: good.leaf.der), "binary (DER"),
    "truncated": (text(lambda good: good.fullchain[:-40]), "truncated"),
    "truncated inside": (
        text(lambda good: good.leaf.pem[:300] + good.intermediate.pem),
        "certificate number 1 is damaged",
    ),
    "no base64": (
        text(lambda good: good.leaf.pem.replace(b"M", b"!", 1)),
        "certificate number 1 is damaged",
    ),
    "one bit wrong in the DER": (
        text(lambda good: good.leaf.pem + good.intermediate.pem.replace(b"MII", b"MIM", 1)),
        "certificate number 2 is unusable",
    ),
    "private key inside": (
        text(lambda good: good.fullchain + good.leaf.key_pem),
        "private key among the certificates",
    ),
    "garbage between": (
        text(lambda good: good.leaf.pem + b"hello\n" + good.intermediate.pem),
        "text before, between or after",
    ),
    "garbage before": (text(lambda good: b"subject=x\n" + good.fullchain), "text before"),
    "garbage after": (text(lambda good: good.fullchain + b"\0"), "text before"),
    "unpaired END": (
        text(lambda good: good.fullchain + b"-----END CERTIFICATE-----\n"),
        "is unpaired",
    ),
    "request": (
        text(lambda good: good.leaf.pem.replace(b"CERTIFICATE", b"CERTIFICATE REQUEST")),
        "labelled CERTIFICATE REQUEST",
    ),
    "PKCS #7": (
        text(lambda good: good.leaf.pem.replace(b"CERTIFICATE", b"PKCS7")),
        "labelled PKCS7",
    ),
    "too large": (text(lambda good: good.fullchain * 2000), "larger than"),
    # the key
    "wrong key": (wrong_key, "private key does not belong"),
    "no leaf": (
        lambda pki, good: replace(of(good.intermediate), private_key=pki.issue("x").key_pem),
        "private key does not belong to the certificate 'CN=Intermediate'",
    ),
    "damaged key": (
        lambda _, good: replace(of(good.leaf, good.intermediate), private_key=b"nonsense"),
        "private key cannot be read",
    ),
    "two leaves": (two_leaves_for_one_key, "2 different certificates for the same private key"),
    # the leaf
    "other name": (for_names("vpn.example.org"), "is not for vpn.example.org"),
    "one name missing": (for_names(NAME, "www.example.com"), "is not for www.example.com"),
    "many names missing": (
        for_names(*(f"{number}.example.com" for number in range(9))),
        "4.example.com and 4 more",
    ),
    "address missing": (address_missing, "is not for 192.0.2.1"),
    "no name wanted": (for_names(), "without a name"),
    "has no name": (leaf(names=()), "has no name"),
    "only a mail address": (leaf(names=("root@example.com",)), "has no name"),
    "only the wildcard": (wildcard_only, "is not for vpn.example.com"),
    "expired": (
        leaf(end=NOW - timedelta(seconds=1)),
        "the certificate 'CN=vpn.example.com' expired",
    ),
    "not yet valid": (leaf(begin=NOW + 6 * MINUTE), "is not valid before 2026-11-23 08:21:00 UTC"),
    "client certificate": (leaf(server=False), "lacks serverAuth"),
    "mail certificate": (
        leaf(server=None, extensions=[(LEAVES_NO_NAME, False)]),
        "lacks serverAuth",
    ),
    "no digital signature": (
        leaf(usage=key_usage(key_encipherment=True)),
        "lacks digitalSignature",
    ),
    "leaf may sign": (
        leaf(usage=key_usage(digital_signature=True, key_cert_sign=True)),
        "keyCertSign",
    ),
    "leaf is a CA": (leaf(ca=True), "is a CA certificate (CA:TRUE)"),
    "leaf is self-signed": (self_signed, "is self-signed"),
    "leaf is the bootstrap": (
        lambda _, __: from_bootstrap(),
        "is self-signed",
    ),
    "leaf signed with SHA-1": (leaf(sha1=True), "signed with MD5 or SHA-1"),
    "RSA 1024": (leaf(key_name="rsa1024", key_kind="1024"), "RSA key of 1024 bits"),
    "unknown curve": (leaf(key_name="curve", key_kind="curve"), "on the curve secp256k1"),
    "unknown critical extension": (leaf(extensions=[UNKNOWN_CRITICAL]), "critical extension"),
    "pre-certificate": (leaf(extensions=[(x509.PrecertPoison(), True)]), "critical extension"),
    "no host name": (
        lambda pki, good: replace(
            of(pki.issue("u", good.intermediate, names=("a_b.example.com",)), good.intermediate),
            identifiers=dns("a_b.example.com"),
        ),
        "no host name",
    ),
    # the issuers
    "missing intermediate": (
        lambda _, good: of(good.leaf),
        "the certificate of its issuer 'CN=Intermediate' is missing",
    ),
    "missing intermediate, root there": (
        lambda _, good: of(good.leaf, good.root),
        "'CN=Intermediate' is missing",
    ),
    "missing second intermediate": (missing_middle, "not one of the trusted roots"),
    "issuer of the same name": (namesake_issuer, "was not signed by 'CN=Intermediate'"),
    "intermediate is not a CA": (intermediate(ca=False), "is not a CA certificate"),
    "no basicConstraints": (intermediate(ca=None), "is not a CA certificate"),
    "no keyCertSign": (intermediate(usage=key_usage(digital_signature=True)), "lacks keyCertSign"),
    "intermediate for clients": (intermediate(server=False), "may not issue for TLS servers"),
    "intermediate expired": (
        intermediate(end=NOW - MINUTE),
        "the intermediate 'CN=Bad Intermediate' expired",
    ),
    "intermediate not yet valid": (
        intermediate(begin=NOW + DAY),
        "the intermediate 'CN=Bad Intermediate' is not valid before",
    ),
    "intermediate signed with SHA-1": (
        intermediate(sha1=True),
        "the intermediate 'CN=Bad Intermediate' is signed with MD5 or SHA-1",
    ),
    "intermediate with a critical extension": (
        intermediate(extensions=[UNKNOWN_CRITICAL]),
        "critical extension",
    ),
    "weak intermediate": (weak_intermediate, "the intermediate 'CN=Weak Intermediate' has an RSA"),
    "name not permitted": (
        intermediate(extensions=[constraint(permitted="example.org")]),
        "constrained by 'CN=Bad Intermediate'",
    ),
    "name excluded": (
        intermediate(extensions=[constraint(excluded="example.com")]),
        "constrained by 'CN=Bad Intermediate'",
    ),
    "another name not permitted": (forbidden_name_is_not_the_first, "constrained by 'CN=Limited'"),
    "constrained by the root": (constrained_by_the_root, "constrained by 'CN=Limited Root'"),
    "path too long": (path_too_long, "the root 'CN=Short Root' allows 0 intermediates"),
    "path too long, root unknown": (path_too_long_below_an_unknown_root, "allows 0 intermediates"),
    "path deeper than the validator looks": (depth_beyond_the_validator, "is not valid"),
    "maze": (maze, "too many possible paths"),
    # the root
    "wrong root": (wrong_root, "ends in 'CN=Root', which is not one of the trusted roots"),
    "wrong root, ours served": (wrong_root_served, "not one of the trusted roots"),
    "no trusted root": (no_trusted_root, "not one of the trusted roots"),
    "trusted root expired": (expired_trusted_root, "the root 'CN=Root' expired"),
    "served root expired": (expired_served_root, "the root 'CN=Root' expired"),
}


def from_bootstrap() -> Handed:
    made = bootstrap(dns(NAME), now=NOW)
    certificate = x509.load_pem_x509_certificate(made.certificate)
    unused = Pki().key("unused")
    return replace(of(Issued(certificate, unused)), private_key=made.private_key)


@pytest.mark.parametrize("case", BAD)
def test_a_bad_chain_is_refused_with_its_reason(case: str, pki: Pki, good: Good) -> None:
    make, reason = BAD[case]
    with pytest.raises(CertificateError) as refusal:
        make(pki, good).check()
    assert reason in refusal.value.message
    assert refusal.value.fix
    assert "\n" not in str(refusal.value)
    assert "PRIVATE KEY-----" not in str(refusal.value)


def assert_good(checked: chain.CheckedChain, good: Good) -> None:
    assert checked.certificate == good.leaf.pem
    assert checked.chain == good.intermediate.pem
    assert checked.root_name == "Root"


def test_a_good_chain_is_accepted_without_a_note(good: Good) -> None:
    checked = trusting(of(good.leaf, good.intermediate), good.root).check()
    assert_good(checked, good)
    assert checked.root == good.root.pem
    assert checked.notes == ()


def test_a_root_that_this_machine_trusts_needs_no_note(good: Good) -> None:
    handed = replace(of(good.leaf, good.intermediate), system=(good.root.certificate,))
    checked = handed.check()
    assert_good(checked, good)
    assert checked.root == good.root.pem
    assert checked.notes == ()


def test_an_unknown_root_is_accepted_with_a_note(good: Good) -> None:
    checked = of(good.leaf, good.intermediate).check()
    assert_good(checked, good)
    assert checked.root == b""
    [note] = checked.notes
    assert "'CN=Root', which this machine does not trust" in note


def test_a_served_root_is_kept_but_not_served(good: Good) -> None:
    checked = of(good.leaf, good.intermediate, good.root).check()
    assert_good(checked, good)
    assert checked.root == good.root.pem
    assert len(checked.notes) == 1


def test_a_root_may_issue_directly(pki: Pki, good: Good) -> None:
    direct = pki.issue(NAME, good.root)
    checked = of(direct, good.root).check()
    assert (checked.chain, checked.root) == (b"", good.root.pem)
    checked = trusting(of(direct), good.root).check()
    assert (checked.chain, checked.root, checked.notes) == (b"", good.root.pem, ())


def test_extra_certificates_are_left_out_with_a_note(pki: Pki, good: Good) -> None:
    stranger, stray = pki.root("Stranger"), pki.issue("stray.example.com", good.intermediate)
    checked = trusting(of(good.leaf, stranger, stray, good.intermediate), good.root).check()
    assert_good(checked, good)
    [note] = checked.notes
    assert "not served" in note
    assert "'CN=Stranger', 'CN=stray.example.com'" in note


def test_a_path_may_end_in_a_trusted_intermediate(good: Good) -> None:
    checked = trusting(of(good.leaf, good.intermediate), good.intermediate).check()
    assert_good(checked, good)
    assert checked.notes == ()


def test_a_trusted_intermediate_need_not_be_served(good: Good) -> None:
    checked = trusting(of(good.leaf), good.intermediate).check()
    assert (checked.chain, checked.root) == (b"", b"")
    assert checked.root_name == "Intermediate"


@dataclass(frozen=True)
class Crossed:
    """Return a young root with a cross-signature by an old one."""

    old: Issued
    young: Issued
    cross: Issued
    middle: Issued
    leaf: Issued


def crossed(pki: Pki, *, cross_end: int = 3650, old_end: int = 3650) -> Crossed:
    old = pki.root("Old", end=NOW + old_end * DAY)
    young = pki.root("Young")
    cross = pki.authority("Young", old, end=NOW + cross_end * DAY)
    middle = pki.authority("Young Intermediate", young)
    return Crossed(old, young, cross, middle, pki.issue(NAME, middle))


@pytest.mark.parametrize("trusted", ["old", "young", "both"])
def test_a_cross_signature_is_kept_for_older_clients(pki: Pki, trusted: str) -> None:
    made = crossed(pki)
    roots = {"old": [made.old], "young": [made.young], "both": [made.young, made.old]}[trusted]
    checked = trusting(of(made.leaf, made.middle, made.cross), *roots).check()
    assert checked.chain == made.middle.pem + made.cross.pem
    assert checked.root_name == "Old"
    assert checked.root == (b"" if trusted == "young" else made.old.pem)
    assert checked.notes == ()


def test_an_expired_cross_signature_is_left_out_if_the_rest_is_trusted(pki: Pki) -> None:
    made = crossed(pki, cross_end=-1)
    checked = trusting(of(made.leaf, made.middle, made.cross), made.young).check()
    assert checked.chain == made.middle.pem
    assert (checked.root, checked.root_name) == (made.young.pem, "Young")
    [note] = checked.notes
    assert "not served" in note


def test_an_expired_cross_signature_is_an_error_without_another_path(pki: Pki) -> None:
    made = crossed(pki, cross_end=-1)
    with pytest.raises(CertificateError, match="the intermediate 'CN=Young' expired"):
        of(made.leaf, made.middle, made.cross).check()


def test_the_valid_one_of_two_cross_signatures_is_used(pki: Pki) -> None:
    made = crossed(pki)
    lapsed = pki.authority("Young", pki.root("Older"), end=NOW - DAY)
    handed = of(made.leaf, lapsed, made.cross, made.middle)
    for candidate in (handed, trusting(handed, made.old)):
        assert candidate.check().chain == made.middle.pem + made.cross.pem


def test_the_trusted_one_of_two_cross_signatures_is_used(pki: Pki) -> None:
    made = crossed(pki)
    second_root = pki.root("Second Old")
    second = pki.authority("Young", second_root)
    handed = of(made.leaf, made.middle, made.cross, second)
    for root, cross in ((made.old, made.cross), (second_root, second)):
        assert trusting(handed, root).check().chain == made.middle.pem + cross.pem


def test_an_expired_root_is_accepted_if_a_trusted_one_has_its_key(pki: Pki, good: Good) -> None:
    lapsed = pki.root(key_name="Root", end=NOW - DAY)
    checked = trusting(of(good.leaf, good.intermediate, lapsed), good.root).check()
    assert_good(checked, good)
    assert checked.root == good.root.pem


def test_a_root_signed_with_sha1_is_accepted(pki: Pki, good: Good) -> None:
    old_root = pki.root(key_name="Root", sha1=True)
    assert_good(trusting(of(good.leaf, good.intermediate), old_root).check(), good)
    assert_good(of(good.leaf, good.intermediate, old_root).check(), good)


def test_a_root_without_key_usage_is_accepted(pki: Pki, good: Good) -> None:
    bare = pki.root(key_name="Root", without_usage=True, without_authority_key=True)
    assert_good(trusting(of(good.leaf, good.intermediate), bare).check(), good)


def test_a_root_with_serial_zero_is_accepted(pki: Pki, good: Good) -> None:
    der = pki.root(key_name="Root", serial=1).der
    zero = parse(der.replace(b"\x02\x01\x02\x02\x01\x01", b"\x02\x01\x02\x02\x01\x00", 1))
    checked = replace(of(good.leaf, good.intermediate), trusted=(zero,)).check()
    assert_good(checked, good)


def test_an_intermediate_for_servers_is_accepted(pki: Pki, good: Good) -> None:
    middle = pki.authority("For Servers", good.root, server=True)
    checked = trusting(of(pki.issue(NAME, middle), middle), good.root).check()
    assert checked.chain == middle.pem


def test_a_private_ca_may_omit_extensions(pki: Pki, good: Good) -> None:
    bare = pki.issue(
        NAME,
        good.intermediate,
        server=None,
        without_usage=True,
        ca=None,
        without_authority_key=True,
    )
    assert of(bare, good.intermediate).check().certificate == bare.pem


def test_critical_policies_are_accepted(pki: Pki, good: Good) -> None:
    issuer = pki.authority("Policies", good.root, extensions=POLICIES)
    handed = of(pki.issue(NAME, issuer, extensions=POLICIES[:1]), issuer)
    checked = trusting(handed, good.root).check()
    assert checked.chain == issuer.pem


def test_an_unsupported_issuer_key_is_named(pki: Pki) -> None:
    root = pki.root("Edwards", key_kind="ed25519")
    middle = pki.authority("Below Edwards", root)
    with pytest.raises(CertificateError) as caught:
        trusting(of(pki.issue(NAME, middle), middle), root).check()
    assert caught.value.message == "'CN=Edwards' has an Ed25519 key, which is not supported"
    assert "RSA or ECDSA" in caught.value.fix


def test_an_unsupported_signature_is_named(pki: Pki) -> None:
    root = pki.root("Salted", key_kind="2048", key_name="rsa2048")
    odd, usual = (pki.issue(NAME, root, salt=salt) for salt in (20, 32))
    with pytest.raises(CertificateError) as caught:
        trusting(of(odd), root).check()
    assert caught.value.message == (
        f"'CN={NAME}' is signed with RSASSA-PSS with sha256 and a salt of 20 bytes, which is not"
        " supported"
    )
    assert trusting(of(usual), root).check().certificate == usual.pem


def test_an_rsa_key_for_key_transport_is_accepted(pki: Pki, good: Good) -> None:
    old_style = pki.issue(
        NAME,
        good.intermediate,
        key_name="rsa2048",
        key_kind="2048",
        usage=key_usage(key_encipherment=True),
    )
    assert of(old_style, good.intermediate).check().certificate == old_style.pem


def test_a_certificate_without_subject_is_accepted(pki: Pki, good: Good) -> None:
    nameless = pki.issue(NAME, good.intermediate, subject=x509.Name([]))
    assert of(nameless, good.intermediate).check().certificate == nameless.pem


@pytest.mark.parametrize("name", ["*.example.com", "192.0.2.7", "2001:db8::7"])
def test_wildcards_and_addresses_are_covered_literally(pki: Pki, good: Good, name: str) -> None:
    kind = IdentifierType.DNS if name.startswith("*") else IdentifierType.IP
    special = pki.issue("special", good.intermediate, names=(name,))
    handed = replace(
        trusting(of(special, good.intermediate), good.root), identifiers=(Identifier(kind, name),)
    )
    assert handed.check().certificate == special.pem


def test_a_certificate_valid_within_minutes_is_accepted_with_a_note(pki: Pki, good: Good) -> None:
    early = pki.issue(NAME, good.intermediate, begin=NOW + 5 * MINUTE)
    checked = trusting(of(early, good.intermediate), good.root).check()
    [note] = checked.notes
    assert "slightly in the future" in note


def test_an_intermediate_valid_within_minutes_is_accepted_with_a_note(pki: Pki, good: Good) -> None:
    middle = pki.authority("Early", good.root, begin=NOW + MINUTE)
    checked = trusting(of(pki.issue(NAME, middle), middle), good.root).check()
    [note] = checked.notes
    assert "the intermediate 'CN=Early' is valid only from" in note


def test_an_intermediate_that_expires_first_is_accepted_with_a_note(pki: Pki, good: Good) -> None:
    middle = pki.authority("Ending", good.root, end=NOW + DAY)
    checked = trusting(of(pki.issue(NAME, middle), middle), good.root).check()
    [note] = checked.notes
    assert "expires on 2026-11-24 08:15:00 UTC, before the certificate" in note


def test_text_of_a_ca_is_cleaned(pki: Pki) -> None:
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Evil\x1b[2J\nRoot")])
    root = pki.root("evil", subject=name)
    checked = of(pki.issue(NAME, root), root).check()
    assert checked.root_name == "Evil [2J Root"
    assert all(note.isprintable() for note in checked.notes)


# --------------------------------------------------------------------------- properties


@pytest.fixture(scope="session")
def long_chain(pki: Pki) -> list[Issued]:
    made = crossed(pki)
    return [made.leaf, made.middle, made.cross, made.old, pki.root("Bystander")]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_order_and_repetition_never_matter(data: st.DataObject, long_chain: list[Issued]) -> None:
    expected = of(*long_chain).check()
    repeated = data.draw(st.lists(st.sampled_from(long_chain), max_size=6))
    shuffled = data.draw(st.permutations([*long_chain, *repeated]))
    pem = b"".join(each.pem for each in shuffled)
    assert Handed(long_chain[0], pem).check() == expected


@settings(max_examples=150, deadline=None)
@given(noise=st.binary(max_size=400))
def test_any_bytes_are_refused_with_a_certificate_error(noise: bytes, good: Good) -> None:
    with pytest.raises(CertificateError):
        Handed(good.leaf, noise).check()


@settings(max_examples=150, deadline=None)
@given(position=st.integers(0, 10_000), value=st.integers(0, 255), which=st.integers(0, 1))
def test_any_changed_byte_is_refused_with_a_certificate_error(
    position: int, value: int, which: int, good: Good
) -> None:
    ders = [bytearray(good.leaf.der), bytearray(good.intermediate.der)]
    der = ders[which]
    position %= len(der)
    changed = der[position] != value
    der[position] = value
    pem = b"".join(_armour(bytes(each)) for each in ders)
    handed = replace(trusting(of(good.leaf), good.root), fullchain=pem)
    if not changed:
        assert_good(handed.check(), good)
        return
    with pytest.raises(CertificateError):
        handed.check()


def _armour(der: bytes) -> bytes:
    return (
        b"-----BEGIN CERTIFICATE-----\n" + base64.encodebytes(der) + b"-----END CERTIFICATE-----\n"
    )


# --------------------------------------------------------------------------- alternates


def candidate(root_name: str) -> chain.CheckedChain:
    return chain.CheckedChain(b"leaf", b"", b"", root_name, ())


def test_the_first_chain_is_used_without_a_preference() -> None:
    chains = [candidate("One"), candidate("Two")]
    assert chain.choose_chain(chains, None) is chains[0]
    assert chain.choose_chain(chains, "") is chains[0]


def test_the_preferred_root_is_case_insensitive() -> None:
    chains = [candidate("Root One"), candidate("Root Two")]
    assert chain.choose_chain(chains, "root TWO") is chains[1]


def test_an_unavailable_preferred_root_is_noted() -> None:
    chosen = chain.choose_chain([candidate("One"), candidate("Two"), candidate("Two")], "Three")
    assert chosen.root_name == "One"
    assert chosen.notes == ("no chain ends in 'Three'; the CA offers: One, Two",)


def test_no_chain_at_all_is_an_error() -> None:
    with pytest.raises(CertificateError, match="the CA offers no valid chain"):
        chain.choose_chain([], None)
