from __future__ import annotations

from time import perf_counter

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.x509.oid import NameOID
from tests.fakes.clock import DAY, NOW
from tests.fakes.pki import NAME, Good, Issued, Pki, dns

from gatecert.certificate import key
from gatecert.certificate.bootstrap import bootstrap
from gatecert.certificate.pem import parse
from gatecert.certificate.summary import certificate_id, summarize
from gatecert.errors import CertificateError
from gatecert.model import Identifier, IdentifierType


def sha256(issued: Issued) -> str:
    return issued.certificate.fingerprint(hashes.SHA256()).hex()


def test_the_summary_has_every_fact(good: Good) -> None:
    summary = summarize(good.leaf.pem, good.intermediate.pem + good.root.pem)
    assert summary.subject == f"CN={NAME}"
    assert summary.issuer == "CN=Intermediate"
    assert summary.identifiers == dns(NAME)
    assert (summary.not_before, summary.not_after) == (NOW - DAY, NOW + 90 * DAY)
    assert summary.fingerprint == sha256(good.leaf)
    assert summary.chain_fingerprints == (sha256(good.intermediate), sha256(good.root))
    assert summary.key_fingerprint == key.fingerprint(good.leaf.private_key.public_key())
    assert not summary.is_bootstrap
    assert summary.covers(dns(NAME))


@pytest.mark.parametrize("chain", [b"", b"\n"])
def test_a_chain_may_be_empty(good: Good, chain: bytes) -> None:
    assert summarize(good.leaf.pem, chain).chain_fingerprints == ()


def test_a_bootstrap_is_recognised() -> None:
    summary = summarize(bootstrap(dns(NAME), now=NOW).certificate)
    assert summary.is_bootstrap
    assert summary.certificate_id == ""


def test_names_are_lower_case_and_not_repeated(pki: Pki) -> None:
    names = ("VPN.Example.com", NAME, "*.example.com", "root@example.com", "2001:DB8:0::1")
    assert summarize(pki.issue(names=names).pem).identifiers == (
        *dns(NAME, "*.example.com"),
        Identifier(IdentifierType.IP, "2001:db8::1"),
    )


def test_text_of_a_ca_is_cleaned(pki: Pki) -> None:
    evil = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a\x1b[31m\r\nb")])
    assert summarize(pki.issue(subject=evil).pem).subject == "CN=a [31m b"


def test_more_than_one_certificate_is_refused(good: Good) -> None:
    with pytest.raises(CertificateError, match="2 certificates instead of one"):
        summarize(good.fullchain)


@pytest.mark.parametrize("pem", [b"", b"nonsense", b"-----BEGIN CERTIFICATE-----\n"])
def test_unreadable_certificates_are_refused(good: Good, pem: bytes) -> None:
    with pytest.raises(CertificateError):
        summarize(pem)
    if pem:
        with pytest.raises(CertificateError):
            summarize(good.leaf.pem, pem)


def with_authority_key(
    pki: Pki, identifier: bytes | None, serial: int, issuer: Issued
) -> x509.Certificate:
    named = [x509.DirectoryName(issuer.certificate.subject)] if identifier is None else None
    extension = x509.AuthorityKeyIdentifier(identifier, named, 1 if named else None)
    return pki.issue(
        issuer=issuer, serial=serial, without_authority_key=True, extensions=[(extension, False)]
    ).certificate


def test_the_certificate_id_is_that_of_the_rfc(pki: Pki, good: Good) -> None:
    # RFC 9773 section 4.1, the example; the leading zero of the serial is kept.
    identifier = bytes.fromhex("69885b6b87464041e1b37b847ba0ae2cde01c8d4")
    certificate = with_authority_key(pki, identifier, 0x87654321, good.root)
    assert certificate_id(certificate) == "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"


@pytest.mark.parametrize(
    ("serial", "encoded"), [(1, "AQ"), (0x7F, "fw"), (0x80, "AIA"), (0x100, "AQA")]
)
def test_the_serial_is_encoded_as_in_der(pki: Pki, good: Good, serial: int, encoded: str) -> None:
    certificate = with_authority_key(pki, b"\xff\xfe", serial, good.root)
    assert certificate_id(certificate) == f"__4.{encoded}"


def test_there_is_no_certificate_id_without_a_key_identifier(pki: Pki, good: Good) -> None:
    assert certificate_id(with_authority_key(pki, None, 1, good.root)) == ""
    assert certificate_id(with_authority_key(pki, b"", 1, good.root)) == ""
    assert certificate_id(pki.issue(without_authority_key=True).certificate) == ""


@pytest.mark.parametrize("octet", [0x00, 0x80])
def test_there_is_no_certificate_id_for_a_non_positive_serial(
    pki: Pki, good: Good, octet: int
) -> None:
    # Warnings are errors in tests; the library warns about such serials.
    der = pki.issue(issuer=good.root, serial=1).der
    changed = der.replace(b"\x02\x01\x02\x02\x01\x01", b"\x02\x01\x02\x02\x01" + bytes([octet]), 1)
    assert certificate_id(parse(der)) != ""
    assert certificate_id(parse(changed)) == ""


def test_it_is_quick_enough_for_every_pass(good: Good) -> None:
    def seconds() -> float:
        begin = perf_counter()
        summarize(good.leaf.pem, good.intermediate.pem)
        return perf_counter() - begin

    assert min(seconds() for _ in range(10)) < 0.005
