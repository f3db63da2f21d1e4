from __future__ import annotations

import base64
import logging

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, ExtensionOID
from tests.fakes.pki import NAME, dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request, requested_names
from gatecert.errors import CertificateError
from gatecert.model import Identifier, IdentifierType, KeyType

NAMES = (
    *dns(NAME, "*.vpn.example.com", "xn--bcher-kva.example"),
    Identifier(IdentifierType.IP, "192.0.2.1"),
    Identifier(IdentifierType.IP, "2001:db8::1"),
)


@pytest.fixture(scope="module")
def ecdsa() -> bytes:
    return key.generate(KeyType.ECDSA_P256)


def test_an_acme_csr_has_only_names(ecdsa: bytes) -> None:
    request = x509.load_pem_x509_csr(build_request(ecdsa, NAMES, common_name=None))
    assert request.is_signature_valid
    assert key.fingerprint(request.public_key()) == key.fingerprint(key.load(ecdsa).public_key())
    assert list(request.subject) == []
    [extension] = request.extensions
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    assert extension.value.get_values_for_type(x509.DNSName) == [str(name) for name in NAMES[:3]]
    assert [str(ip) for ip in extension.value.get_values_for_type(x509.IPAddress)] == [
        "192.0.2.1",
        "2001:db8::1",
    ]


def test_the_subject_is_ordered_from_widest_to_narrowest(ecdsa: bytes) -> None:
    subject = {"OU": "VPN", "O": "Example, Inc.", "L": "Boston", "ST": "Massachusetts", "C": "US"}
    request = x509.load_pem_x509_csr(
        build_request(ecdsa, dns(NAME), common_name=NAME, subject=subject)
    )
    assert [(each.rfc4514_attribute_name, each.value) for each in request.subject] == [
        ("C", "US"),
        ("ST", "Massachusetts"),
        ("L", "Boston"),
        ("O", "Example, Inc."),
        ("OU", "VPN"),
        ("CN", NAME),
    ]


@pytest.mark.parametrize(
    ("key_type", "key_encipherment"), [(KeyType.ECDSA_P256, False), (KeyType.RSA_2048, True)]
)
def test_usages_are_those_of_a_server(key_type: KeyType, *, key_encipherment: bool) -> None:
    pem = build_request(key.generate(key_type), dns(NAME), common_name=None, usages=True)
    extensions = x509.load_pem_x509_csr(pem).extensions
    usage = extensions.get_extension_for_class(x509.KeyUsage)
    assert usage.critical
    assert usage.value.digital_signature
    assert usage.value.key_encipherment is key_encipherment
    assert not usage.value.key_cert_sign
    extended = extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(extended) == [ExtendedKeyUsageOID.SERVER_AUTH]


@pytest.mark.parametrize(("length", "kept"), [(64, True), (65, False)])
def test_a_common_name_is_left_out_when_it_is_too_long(
    ecdsa: bytes, length: int, *, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    long = f"{'a' * (length - 12)}.example.com"
    assert len(long) == length
    with caplog.at_level(logging.INFO):
        request = x509.load_pem_x509_csr(build_request(ecdsa, dns(long), common_name=long))
    assert bool(list(request.subject)) is kept
    assert bool(caplog.records) is not kept


@pytest.mark.parametrize(
    "subject",
    [
        {"C": "USA"},
        {"C": ""},
        {"C": "1!"},
        {"O": ""},
        {"O": "x" * 65},
        {"L": "x" * 129},
        {"OU": "two\nlines"},
        {"ST": "\udcff"},
        {"O": "nul\0"},
    ],
)
def test_a_malformed_subject_is_refused(ecdsa: bytes, subject: dict[str, str]) -> None:
    with pytest.raises(CertificateError, match=f"the subject's {next(iter(subject))} ") as refusal:
        build_request(ecdsa, dns(NAME), common_name=None, subject=subject)
    assert "two-letter" in refusal.value.fix
    assert "\n" not in str(refusal.value)


def test_an_empty_common_name_is_refused(ecdsa: bytes) -> None:
    with pytest.raises(CertificateError, match="the subject's CN"):
        build_request(ecdsa, dns(NAME), common_name="")


def test_an_unknown_attribute_is_refused(ecdsa: bytes) -> None:
    with pytest.raises(CertificateError, match="the attribute 'organisation'") as refusal:
        build_request(ecdsa, dns(NAME), common_name=None, subject={"organisation": "x"})
    assert refusal.value.fix == "use C, ST, L, O, OU"


def test_no_name_is_refused(ecdsa: bytes) -> None:
    with pytest.raises(CertificateError, match="at least one name"):
        build_request(ecdsa, (), common_name=None)


@pytest.mark.parametrize(
    "name", [*dns("bücher.example"), Identifier(IdentifierType.IP, "192.0.2.256")]
)
def test_a_name_invalid_in_a_certificate_is_refused(ecdsa: bytes, name: Identifier) -> None:
    with pytest.raises(CertificateError, match=f"is not a valid {name.type.upper()} identifier"):
        build_request(ecdsa, (name,), common_name=None)


def test_a_damaged_key_is_refused() -> None:
    with pytest.raises(CertificateError, match="private key cannot be read"):
        build_request(b"", dns(NAME), common_name=None)


def test_the_names_in_a_csr_of_another_host() -> None:
    names = dns("a.example", "b.example")
    csr = build_request(key.generate(KeyType.ECDSA_P256), names, common_name=None)
    assert requested_names(csr) == names


def test_a_csr_must_be_signed_with_its_own_key() -> None:
    one, other = (
        x509.load_pem_x509_csr(
            build_request(key.generate(KeyType.ECDSA_P256), dns("a.example"), common_name=None)
        )
        for _ in range(2)
    )
    own, foreign = (
        each.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for each in (one, other)
    )
    changed = one.public_bytes(Encoding.DER).replace(own, foreign)
    forged = x509.load_der_x509_csr(changed).public_bytes(Encoding.PEM)
    with pytest.raises(CertificateError, match="not signed with the key"):
        requested_names(forged)


def csr_with_an_unusual_name() -> bytes:
    """Return a CSR with an x400Address, which cryptography cannot decode."""
    names = x509.UnrecognizedExtension(
        ExtensionOID.SUBJECT_ALTERNATIVE_NAME, b"\x30\x04\xa3\x02\x30\x00"
    )
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([]))
    private_key = key.load(key.generate(KeyType.ECDSA_P256))
    request = builder.add_extension(names, critical=False).sign(private_key, hashes.SHA256())
    return request.public_bytes(Encoding.PEM)


def csr_of_another_version() -> bytes:
    made = build_request(key.generate(KeyType.ECDSA_P256), dns("a.example"), common_name=None)
    der = x509.load_pem_x509_csr(made).public_bytes(Encoding.DER)
    changed = base64.b64encode(der.replace(b"\x02\x01\x00", b"\x02\x01\x03", 1))
    label = b"CERTIFICATE REQUEST-----\n"
    return b"-----BEGIN " + label + changed + b"\n-----END " + label


@pytest.mark.parametrize(
    "csr",
    [
        b"",
        b"garbage",
        b"-----BEGIN CERTIFICATE REQUEST-----\n-----END CERTIFICATE REQUEST-----\n",
        csr_with_an_unusual_name(),
        csr_of_another_version(),
        "caf\u00e9\n".encode()
        + build_request(key.generate(KeyType.ECDSA_P256), dns("a.example"), common_name=None),
    ],
    ids=["empty", "garbage", "no content", "unusual name", "version", "not ASCII"],
)
def test_a_damaged_csr_has_no_names(csr: bytes) -> None:
    with pytest.raises(CertificateError, match="cannot be read"):
        requested_names(csr)
