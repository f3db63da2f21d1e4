from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.keys import rsa_key
from tests.fakes.pki import dns

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.errors import CertificateError
from gatecert.model import KeyType


@pytest.mark.parametrize(
    ("key_type", "bits"),
    [
        (KeyType.ECDSA_P256, 256),
        (KeyType.ECDSA_P384, 384),
        (KeyType.RSA_2048, 2048),
        (KeyType.RSA_3072, 3072),
        (KeyType.RSA_4096, 4096),
    ],
)
def test_a_generated_key_has_its_type_and_can_be_loaded(key_type: KeyType, bits: int) -> None:
    pem = key.generate(key_type)
    assert pem.startswith(b"-----BEGIN PRIVATE KEY-----\n")
    loaded = key.load(pem)
    assert loaded.key_size == bits
    kind = rsa.RSAPrivateKey if key_type.startswith("rsa") else ec.EllipticCurvePrivateKey
    assert isinstance(loaded, kind)
    assert key.to_pem(loaded) == pem


@pytest.mark.parametrize("key_type", [KeyType.ECDSA_P256, KeyType.RSA_2048])
def test_the_older_formats_of_openssl_are_loaded(key_type: KeyType) -> None:
    pem = key.generate(key_type)
    older = key.load(pem).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.TraditionalOpenSSL,
        serialization.NoEncryption(),
    )
    assert b" PRIVATE KEY-----" in older.splitlines()[0]
    assert not older.startswith(b"-----BEGIN PRIVATE KEY-----")
    assert key.to_pem(key.load(older)) == pem


def test_the_public_key_of_a_key_and_of_its_csr_are_the_same() -> None:
    pem = key.generate(KeyType.ECDSA_P256)
    csr = build_request(pem, dns("vpn.example.com"), common_name=None)
    assert key.public_key(pem) == key.public_key(csr) == key.load(pem).public_key()
    with pytest.raises(CertificateError, match="the CSR cannot be read"):
        key.public_key(csr.replace(b"M", b"N", 1))


def test_an_encrypted_key_is_refused() -> None:
    encrypted = key.load(key.generate(KeyType.ECDSA_P256)).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"passphrase"),
    )
    with pytest.raises(CertificateError, match="is encrypted") as refusal:
        key.load(encrypted)
    assert "openssl pkey" in refusal.value.fix


def test_a_key_of_another_algorithm_is_refused() -> None:
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    with pytest.raises(CertificateError, match="neither RSA nor ECDSA") as refusal:
        key.load(other)
    assert "ecdsa-p256" in refusal.value.fix


@given(st.binary(max_size=300))
def test_noise_is_refused_with_a_certificate_error(noise: bytes) -> None:
    with pytest.raises(CertificateError):
        key.load(noise)


def test_a_damaged_key_is_refused_without_showing_it() -> None:
    pem = key.generate(KeyType.ECDSA_P256)
    lines = pem.decode().splitlines()
    damaged = "\n".join([lines[0], lines[1][:-8], *lines[2:]]).encode()
    with pytest.raises(CertificateError, match="cannot be read") as refusal:
        key.load(damaged)
    assert lines[1][:20] not in repr(refusal.value.__cause__) + str(refusal.value)


def test_the_fingerprint_is_that_of_the_public_key() -> None:
    public_key = key.load(key.generate(KeyType.ECDSA_P256)).public_key()
    der = public_key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    assert key.fingerprint(public_key) == sha256(der).hexdigest()


@pytest.mark.parametrize(
    "key_type", [KeyType.ECDSA_P256, KeyType.ECDSA_P384, KeyType.RSA_2048, KeyType.RSA_3072]
)
def test_the_type_of_a_key_is_known(key_type: KeyType) -> None:
    assert key.kind(key.load(key.generate(key_type))) is key_type


def test_other_keys_have_no_type() -> None:
    assert key.kind(ec.generate_private_key(ec.SECP521R1())) is None
    assert key.kind(rsa_key(2056)) is None
