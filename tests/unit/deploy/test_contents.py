from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.serialization import pkcs12

from gatecert.certificate import key
from gatecert.certificate.bootstrap import bootstrap
from gatecert.deploy.contents import contents, holds
from gatecert.model import FileContents, Identifier, IdentifierType, Version

if TYPE_CHECKING:
    from gatecert.model import IssuedChain

NOW = datetime(2026, 11, 23, 8, 15, tzinfo=UTC)
PASSWORD = "geheim, £5".encode()


def signed(name: str) -> IssuedChain:
    return bootstrap([Identifier(IdentifierType.DNS, name)], now=NOW)


# What the parts have to do with one another is for others to check; here they are only carried.
LEAF, ISSUER, OTHER = (signed(name) for name in ("a.example.com", "ca.example.com", "b.example"))
VERSION = Version("000001-20261123T081500Z", "boston", LEAF.certificate, ISSUER.certificate)
KEY = LEAF.private_key


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (FileContents.PRIVKEY, KEY),
        (FileContents.CERT, LEAF.certificate),
        (FileContents.CHAIN, ISSUER.certificate),
        (FileContents.FULLCHAIN, LEAF.certificate + ISSUER.certificate),
        (FileContents.COMBINED, LEAF.certificate + ISSUER.certificate + KEY),
    ],
)
def test_pem(kind: FileContents, expected: bytes) -> None:
    assert contents(kind, VERSION, KEY) == expected
    assert holds(expected, kind, VERSION, KEY)
    assert not holds(expected[:-1], kind, VERSION, KEY)


def test_der() -> None:
    certificate = contents(FileContents.CERT_DER, VERSION, KEY)
    private_key = contents(FileContents.PRIVKEY_DER, VERSION, KEY)
    assert x509.load_der_x509_certificate(certificate) == x509.load_pem_x509_certificate(
        LEAF.certificate
    )
    found = serialization.load_der_private_key(private_key, None)
    assert found.public_key() == key.load(KEY).public_key()
    assert holds(certificate, FileContents.CERT_DER, VERSION, KEY)


@pytest.mark.parametrize("chain", [ISSUER.certificate, b""])
def test_pkcs12_has_all_three_under_one_name(chain: bytes) -> None:
    version = replace(VERSION, chain=chain)
    data = contents(FileContents.PKCS12, version, KEY, PASSWORD)
    found = pkcs12.load_pkcs12(data, PASSWORD)
    assert found.cert is not None
    assert found.cert.friendly_name == b"gatecert"
    assert found.cert.certificate == x509.load_pem_x509_certificate(LEAF.certificate)
    assert found.key is not None
    assert found.key.public_key() == key.load(KEY).public_key()
    assert b"".join(
        each.certificate.public_bytes(serialization.Encoding.PEM) for each in found.additional_certs
    ) == (chain)
    assert holds(data, FileContents.PKCS12, version, KEY, PASSWORD)


def test_pkcs12_is_encrypted() -> None:
    data = contents(FileContents.PKCS12, VERSION, KEY, PASSWORD)
    for secret in (
        contents(FileContents.PRIVKEY_DER, VERSION, KEY)[30:60],
        contents(FileContents.CERT_DER, VERSION, KEY)[30:60],
    ):
        assert secret not in data


@pytest.mark.parametrize(
    ("held", "password"),
    [
        (replace(VERSION, certificate=OTHER.certificate), PASSWORD),
        (replace(VERSION, chain=OTHER.certificate), PASSWORD),
        (replace(VERSION, chain=b""), PASSWORD),
        (VERSION, b"another"),
    ],
)
def test_pkcs12_of_something_else_will_not_do(held: Version, password: bytes) -> None:
    private_key = KEY if held.certificate == LEAF.certificate else OTHER.private_key
    data = contents(FileContents.PKCS12, held, private_key, password)
    assert not holds(data, FileContents.PKCS12, VERSION, KEY, PASSWORD)


def test_pkcs12_without_a_key_will_not_do() -> None:
    data = pkcs12.serialize_key_and_certificates(
        b"gatecert",
        None,
        x509.load_pem_x509_certificate(LEAF.certificate),
        None,
        serialization.BestAvailableEncryption(PASSWORD),
    )
    assert not holds(data, FileContents.PKCS12, VERSION, KEY, PASSWORD)


@pytest.mark.parametrize("data", [b"", b"0\x82", b"-----BEGIN CERTIFICATE-----\n"])
def test_invalid_pkcs12_contents_are_refused(data: bytes) -> None:
    assert not holds(data, FileContents.PKCS12, VERSION, KEY, PASSWORD)
