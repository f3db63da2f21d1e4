from __future__ import annotations

from datetime import datetime, timedelta, timezone
from time import perf_counter

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import NAME, Good, Pki, dns

from gatecert.certificate import key
from gatecert.certificate.bootstrap import ORGANIZATION, bootstrap, is_bootstrap
from gatecert.certificate.certificate_names import identifiers_of
from gatecert.errors import CertificateError
from gatecert.model import Identifier, IdentifierType, Origin

NAMES = (*dns(NAME, "other.example.com"), Identifier(IdentifierType.IP, "2001:db8::1"))


def certificate_of(*names: Identifier, lifetime: timedelta = 30 * DAY) -> x509.Certificate:
    made = bootstrap(names or NAMES, now=NOW, lifetime=lifetime)
    return x509.load_pem_x509_certificate(made.certificate)


def test_it_is_a_server_certificate_and_not_a_ca() -> None:
    certificate = certificate_of()
    extensions = certificate.extensions
    constraints = extensions.get_extension_for_class(x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature) == (True, True)
    assert not usage.value.key_cert_sign
    assert not usage.value.key_encipherment
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]
    public_key = certificate.public_key()
    assert isinstance(public_key, ec.EllipticCurvePublicKey)
    assert isinstance(public_key.curve, ec.SECP256R1)
    identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    assert identifier == x509.SubjectKeyIdentifier.from_public_key(public_key)


def test_it_has_every_name_and_the_organisation() -> None:
    certificate = certificate_of()
    assert identifiers_of(certificate) == NAMES
    assert certificate.subject == certificate.issuer
    assert certificate.subject.rfc4514_string() == f"CN={NAME},O={ORGANIZATION}"


def test_it_begins_an_hour_ago_and_has_the_requested_lifetime() -> None:
    certificate = certificate_of(lifetime=timedelta(minutes=5))
    assert certificate.not_valid_before_utc == NOW - timedelta(hours=1)
    assert certificate.not_valid_after_utc == NOW + timedelta(minutes=5)
    assert certificate_of().not_valid_after_utc == NOW + 30 * DAY


def test_another_time_zone_is_the_same_instant() -> None:
    there = datetime.fromtimestamp(NOW.timestamp(), timezone(timedelta(hours=9)))
    made = bootstrap(NAMES, now=there)
    certificate = x509.load_pem_x509_certificate(made.certificate)
    assert certificate.not_valid_after_utc == NOW + 30 * DAY


def test_key_and_certificate_match_and_are_new_each_time() -> None:
    first, second = bootstrap(NAMES, now=NOW), bootstrap(NAMES, now=NOW)
    certificates = [x509.load_pem_x509_certificate(each.certificate) for each in (first, second)]
    assert certificates[0].serial_number != certificates[1].serial_number
    assert first.private_key != second.private_key
    for made, certificate in zip((first, second), certificates, strict=True):
        private_key = key.load(made.private_key)
        assert key.fingerprint(private_key.public_key()) == key.fingerprint(
            certificate.public_key()
        )


def test_it_is_recognised_as_a_bootstrap() -> None:
    made = bootstrap(NAMES, now=NOW)
    assert (made.origin, made.chain, made.root, made.authority) == (Origin.BOOTSTRAP, b"", b"", "")
    assert is_bootstrap(x509.load_pem_x509_certificate(made.certificate))


def test_a_common_name_is_truncated() -> None:
    long = f"{'a' * 60}.{'b' * 60}.example.com"
    certificate = certificate_of(*dns(long))
    [common_name] = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    assert common_name.value == long[:64]
    assert [str(name) for name in identifiers_of(certificate)] == [long]


def test_no_name_is_refused() -> None:
    with pytest.raises(CertificateError, match="at least one name"):
        bootstrap((), now=NOW)


def named(organization: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, NAME),
        ]
    )


def test_other_certificates_are_not_a_bootstrap(pki: Pki, good: Good) -> None:
    assert not is_bootstrap(good.leaf.certificate)
    assert not is_bootstrap(good.root.certificate)
    assert not is_bootstrap(pki.issue(subject=named("Somebody")).certificate)
    assert is_bootstrap(pki.issue(subject=named(ORGANIZATION)).certificate)


def test_a_ca_issued_certificate_with_our_organisation_is_not_a_bootstrap(
    pki: Pki, good: Good
) -> None:
    ours = named(ORGANIZATION)
    assert not is_bootstrap(pki.issue("x", good.root, subject=ours).certificate)
    # An issuer of the very same name, but with another key: the signature differs.
    assert not is_bootstrap(pki.issue("x", good.root, subject=ours, issuer_name=ours).certificate)
    assert not is_bootstrap(pki.issue("x", subject=ours, sha1=True).certificate)


def test_it_is_created_quickly() -> None:
    bootstrap(NAMES, now=NOW)  # the first one initialises the library
    seconds = []
    for _ in range(5):
        begin = perf_counter()
        bootstrap(NAMES, now=NOW)
        seconds.append(perf_counter() - begin)
    assert min(seconds) < 0.010
