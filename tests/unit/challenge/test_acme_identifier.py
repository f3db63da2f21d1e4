from __future__ import annotations

import ipaddress
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.pki import unsigned

from gatecert.challenge.acme_identifier import (
    ACME_IDENTIFIER,
    ValidationCertificate,
    identifier_from_server_name,
    make_validation_certificate,
    matches_key_authorization,
    server_name,
)
from gatecert.model import Identifier, IdentifierType

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
KEY_AUTHORIZATION = "token.thumbprint"
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")


def made(identifier: Identifier = NAME) -> ValidationCertificate:
    return make_validation_certificate(identifier, KEY_AUTHORIZATION, now=NOW)


def names(certificate: x509.Certificate) -> list[x509.GeneralName]:
    return list(certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def test_the_certificate_meets_rfc_8737() -> None:
    certificate = made().certificate

    assert names(certificate) == [x509.DNSName("vpn.example.com")]
    extension = certificate.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    assert extension.critical
    assert ACME_IDENTIFIER.dotted_string == "1.3.6.1.5.5.7.1.31"
    assert isinstance(extension.value, x509.UnrecognizedExtension)
    hashed = sha256(KEY_AUTHORIZATION.encode()).digest()
    assert extension.value.value == b"\x04\x20" + hashed
    certificate.verify_directly_issued_by(certificate)
    assert certificate.not_valid_before_utc < NOW < certificate.not_valid_after_utc


@pytest.mark.parametrize("address", ["203.0.113.7", "2001:db8::7"])
def test_an_ip_address_is_an_ip_subject_alternative_name(address: str) -> None:
    certificate = made(Identifier(IdentifierType.IP, address)).certificate
    assert names(certificate) == [x509.IPAddress(ipaddress.ip_address(address))]


def test_a_name_that_a_certificate_cannot_contain_is_refused() -> None:
    with pytest.raises(ValueError, match="A-label"):
        made(Identifier(IdentifierType.DNS, "münchen.example"))


def test_the_certificate_matches_only_its_own_challenge() -> None:
    certificate = made().certificate
    assert matches_key_authorization(certificate, KEY_AUTHORIZATION)
    assert not matches_key_authorization(certificate, "other.thumbprint")


def test_another_certificate_matches_no_challenge() -> None:
    answer = made()
    plain = unsigned(
        answer.certificate.subject,
        answer.certificate.subject,
        answer.private_key.public_key(),
        begin=NOW,
        end=answer.certificate.not_valid_after_utc,
        serial=1,
    ).sign(answer.private_key, hashes.SHA256())
    assert not matches_key_authorization(plain, KEY_AUTHORIZATION)


def test_the_repr_does_not_contain_the_key() -> None:
    assert "private_key" not in repr(made())


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "1.2.0.192.in-addr.arpa"),
        (
            "2001:db8::1",
            "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
        ),
    ],
)
def test_the_server_name_of_an_ip_address_is_its_reverse_name(address: str, name: str) -> None:
    assert server_name(Identifier(IdentifierType.IP, address)) == name


@given(st.ip_addresses())
def test_the_reverse_name_is_converted_back(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    identifier = Identifier(IdentifierType.IP, str(address))
    assert identifier_from_server_name(server_name(identifier)) == identifier


@pytest.mark.parametrize(
    "name",
    ["vpn.example.com", "999.2.0.192.in-addr.arpa", "2.0.192.in-addr.arpa", "g.ip6.arpa", ""],
)
def test_any_other_server_name_is_a_dns_identifier(name: str) -> None:
    assert identifier_from_server_name(name) == Identifier(IdentifierType.DNS, name)
    assert server_name(Identifier(IdentifierType.DNS, name)) == name
