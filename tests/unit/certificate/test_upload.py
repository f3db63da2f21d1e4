"""Tests of files given by mistake: each is refused with the name of its format."""

from __future__ import annotations

import base64
import gzip
import logging
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, pkcs7, pkcs12
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.clock import DAY, NOW
from tests.fakes.keys import rsa_key
from tests.fakes.pki import NAME, Good, dns

from gatecert.certificate import formats, key
from gatecert.certificate.pem import LARGEST_CHAIN
from gatecert.certificate.request import build_request
from gatecert.certificate.upload import Upload
from gatecert.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Callable


FILE = "in put.der"


def certificates(contents: bytes) -> list[x509.Certificate]:
    return Upload("the certificate file", FILE, contents).certificates()


def refusal(contents: bytes) -> CertificateError:
    with pytest.raises(CertificateError) as caught:
        certificates(contents)
    assert "\n" not in str(caught.value)
    assert caught.value.message.startswith("the certificate file 'in put.der'") or (
        caught.value.message.startswith("the certificate file in put.der")
    )
    return caught.value


def labelled(label: str, der: bytes) -> bytes:
    lines = base64.encodebytes(der).decode()
    return f"-----BEGIN {label}-----\n{lines}-----END {label}-----\n".encode()


def request(good: Good) -> bytes:
    return build_request(good.leaf.key_pem, dns(NAME), common_name=NAME, usages=True)


def revocation_list(good: Good) -> x509.CertificateRevocationList:
    builder = x509.CertificateRevocationListBuilder(good.root.certificate.subject, NOW, NOW + DAY)
    return builder.sign(good.root.private_key, hashes.SHA256())


def bundle(good: Good, encoding: Encoding) -> bytes:
    both = [good.leaf.certificate, good.intermediate.certificate]
    return pkcs7.serialize_certificates(both, encoding)


def pfx(good: Good) -> bytes:
    return pkcs12.serialize_key_and_certificates(
        b"gateway",
        good.leaf.private_key,
        good.leaf.certificate,
        [good.intermediate.certificate],
        serialization.BestAvailableEncryption(b"secret"),
    )


def public_key(good: Good, encoding: Encoding) -> bytes:
    return good.leaf.private_key.public_key().public_bytes(
        encoding, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def open_ssh(good: Good) -> bytes:
    return good.leaf.private_key.public_key().public_bytes(
        Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )


def request_der(good: Good) -> bytes:
    return x509.load_pem_x509_csr(request(good)).public_bytes(Encoding.DER)


WRONG: dict[str, tuple[Callable[[Good], bytes], str, str]] = {
    "empty": (lambda _: b"", "is empty", "fetch"),
    "white space": (lambda _: b" \r\n\t", "is empty", "fetch"),
    "a byte order mark alone": (lambda _: b"\xef\xbb\xbf\n", "is empty", "fetch"),
    "zeros, as after a crash": (lambda _: bytes(512), "is empty", "fetch"),
    "DER": (
        lambda good: good.leaf.der,
        "is a certificate in binary (DER)",
        "openssl x509 -inform DER -in 'in put.der' -out NEW.pem",
    ),
    "DER, truncated": (lambda good: good.leaf.der[:-9], "truncated", "fetch the whole file"),
    "one octet of DER": (lambda _: b"\x30\x82", "truncated", "fetch the whole file"),
    "unknown DER": (lambda _: b"\x30\x80\x05\x00\x00\x00", "of an unknown type", "in PEM"),
    "PKCS #7, DER": (
        lambda good: bundle(good, Encoding.DER),
        "is PKCS #7 in binary (DER)",
        "openssl pkcs7 -inform DER -in 'in put.der' -print_certs",
    ),
    "PKCS #7, PEM": (
        lambda good: bundle(good, Encoding.PEM),
        "is PKCS #7 in PEM",
        "openssl pkcs7 -in 'in put.der' -print_certs",
    ),
    "PKCS #7, old PEM": (
        lambda good: labelled("PKCS #7 SIGNED DATA", bundle(good, Encoding.DER)),
        "is PKCS #7 in PEM",
        "openssl pkcs7 -print_certs",
    ),
    "CMS": (
        lambda good: labelled("CMS", bundle(good, Encoding.DER)),
        "is CMS in PEM",
        "openssl cms -cmsout",
    ),
    "PKCS #12": (pfx, "is PKCS #12 (PFX)", "openssl pkcs12 -in 'in put.der' -nokeys"),
    "CSR": (request, "is a certificate signing request (CSR)", "openssl req -in"),
    "CSR, old label": (
        lambda good: request(good).replace(b"CERTIFICATE", b"NEW CERTIFICATE"),
        "is a certificate signing request (CSR)",
        "openssl req -in",
    ),
    "CSR, DER": (request_der, "(CSR) in binary (DER)", "openssl req -inform DER -in"),
    "CSR under a certificate's label": (
        lambda good: labelled("CERTIFICATE", request_der(good)),
        "(CSR) labelled CERTIFICATE",
        "openssl req",
    ),
    "PKCS #7 under a certificate's label": (
        lambda good: labelled("CERTIFICATE", bundle(good, Encoding.DER)),
        "is PKCS #7 labelled CERTIFICATE",
        "sed s/CERTIFICATE/PKCS7/ 'in put.der' | openssl pkcs7",
    ),
    "CRL": (
        lambda good: revocation_list(good).public_bytes(Encoding.PEM),
        "is a revocation list (CRL)",
        "in PEM",
    ),
    "CRL, DER": (
        lambda good: revocation_list(good).public_bytes(Encoding.DER),
        "is a revocation list (CRL) in binary",
        "in PEM",
    ),
    "public key": (lambda good: public_key(good, Encoding.PEM), "is a public key", "in PEM"),
    "public key, DER": (lambda good: public_key(good, Encoding.DER), "binary", "in PEM"),
    "RSA public key, DER": (
        lambda _: (
            rsa_key()
            .public_key()
            .public_bytes(Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        ),
        "is a public key in binary (DER)",
        "in PEM",
    ),
    "OpenSSL's trusted form": (
        lambda good: labelled("TRUSTED CERTIFICATE", good.leaf.der),
        "a PEM label other than CERTIFICATE",
        "openssl x509 -in 'in put.der' -out NEW.pem",
    ),
    "old label": (
        lambda good: labelled("X509 CERTIFICATE", good.leaf.der),
        "a PEM label other than CERTIFICATE",
        "openssl x509 -in",
    ),
    "unknown label": (
        lambda good: labelled("DH PARAMETERS", good.leaf.der),
        "labelled DH PARAMETERS",
        "in PEM",
    ),
    "base64 alone": (
        lambda good: base64.encodebytes(good.leaf.der),
        "is base64 without BEGIN and END lines (a certificate in binary (DER))",
        "convert it to PEM: base64 -d -i 'in put.der' | openssl x509 -inform DER -out NEW.pem",
    ),
    "HTML": (lambda _: b"<!DOCTYPE html><html>Log in</html>", "is an HTML page", "download"),
    "HTML around a certificate": (
        lambda good: b"\n<HTML><pre>" + good.leaf.pem + b"</pre></HTML>",
        "is an HTML page",
        "download",
    ),
    "UTF-16": (
        lambda good: good.leaf.pem.decode().encode("utf-16"),
        "is text in UTF-16",
        "iconv -f UTF-16",
    ),
    "UTF-16, big-endian": (
        lambda good: b"\xfe\xff" + good.leaf.pem.decode().encode("utf-16-be"),
        "is text in UTF-16",
        "iconv",
    ),
    "UTF-16 without a mark": (
        lambda good: good.leaf.pem.decode().encode("utf-16-le"),
        "is text in UTF-16",
        "iconv",
    ),
    "OpenSSH": (open_ssh, "is an OpenSSH key", "TLS does not use such keys"),
    "JSON": (
        lambda good: b'{"certificate": "%s"}' % good.leaf.pem[27:90].replace(b"\n", b"\\n"),
        "is JSON",
        "real line breaks",
    ),
    "ZIP": (lambda _: b"PK\x03\x04\x14\x00", "is a ZIP archive", "unzip 'in put.der'"),
    "gzip": (lambda good: gzip.compress(good.leaf.pem), "is compressed with gzip", "gunzip"),
    "PDF": (lambda _: b"%PDF-1.7\n%\xe2\xe3", "is a PDF document", "in PEM"),
    "RTF": (lambda _: b"{\\rtf1\\ansi -----BEGIN", "word processor", "plain text"),
    "Word": (lambda _: b"\xd0\xcf\x11\xe0\xa1\xb1", "word processor", "plain text"),
    "JKS": (lambda _: b"\xfe\xed\xfe\xed\x00\x00", "is a Java key store", "keytool"),
    "a mail": (lambda _: b"Dear customer,\nyour order is late.\n", "is text without", "BEGIN CERT"),
    "noise": (lambda _: bytes(range(1, 256)), "is binary, of an unknown type", "in PEM"),
    "truncated PEM": (lambda good: good.leaf.pem[:-30], "truncated", "fetch the whole file"),
    "a line lost": (
        lambda good: b"\n".join(
            line for number, line in enumerate(good.leaf.pem.split(b"\n")) if number != 3
        ),
        "certificate number 1 is unusable",
        "lose a line",
    ),
    "unpaired END": (
        lambda good: good.leaf.pem + b"-----END CERTIFICATE-----\n",
        "is unpaired",
        "fetch the whole file",
    ),
    "too large": (
        lambda good: good.leaf.pem * (LARGEST_CHAIN // len(good.leaf.pem) + 1),
        "larger than",
        "only the certificate",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_other_formats_are_named_with_their_fix(case: str, good: Good) -> None:
    make, what, fix = WRONG[case]
    error = refusal(make(good))
    assert what in error.message
    assert fix in error.fix


def test_standard_input_has_no_name(good: Good) -> None:
    with pytest.raises(CertificateError) as caught:
        Upload("the chain file", "", good.leaf.der).certificates()
    assert caught.value.message.startswith("the chain file is a certificate in binary")
    assert "-in FILE -out" in caught.value.fix


def described(good: Good) -> bytes:
    return (
        b"Certificate:\n    Data:\n        Version: 3 (0x2)\n"
        + good.leaf.pem
        + b"subject=CN = Intermediate\nissuer=CN = Root\n"
        + good.intermediate.pem
    )


def test_text_around_certificates_is_skipped(good: Good) -> None:
    both = [good.leaf.certificate, good.intermediate.certificate]
    assert certificates(described(good)) == both
    assert certificates(b"\xef\xbb\xbf" + good.fullchain.replace(b"\n", b"\r\n")) == both


def private_keys() -> dict[str, bytes]:
    pair = ec.generate_private_key(ec.SECP256R1())
    modulus = rsa_key()
    plain, password = serialization.NoEncryption(), serialization.BestAvailableEncryption(b"x")
    private = serialization.PrivateFormat
    return {
        "PKCS #8": key.to_pem(pair),
        "PKCS #8, encrypted": pair.private_bytes(Encoding.PEM, private.PKCS8, password),
        "SEC 1": pair.private_bytes(Encoding.PEM, private.TraditionalOpenSSL, plain),
        "PKCS #1": modulus.private_bytes(Encoding.PEM, private.TraditionalOpenSSL, plain),
        "PKCS #1, encrypted": modulus.private_bytes(
            Encoding.PEM, private.TraditionalOpenSSL, password
        ),
        "OpenSSH": pair.private_bytes(Encoding.PEM, private.OpenSSH, plain),
        "DER": pair.private_bytes(Encoding.DER, private.PKCS8, plain),
        "DER, encrypted": pair.private_bytes(Encoding.DER, private.PKCS8, password),
        "DER, SEC 1": pair.private_bytes(Encoding.DER, private.TraditionalOpenSSL, plain),
        "base64 alone": base64.encodebytes(pair.private_bytes(Encoding.DER, private.PKCS8, plain)),
        "under a certificate's label": labelled(
            "CERTIFICATE", pair.private_bytes(Encoding.DER, private.PKCS8, plain)
        ),
        "UTF-16": key.to_pem(pair).decode().encode("utf-16"),
        "PuTTY": b"PuTTY-User-Key-File-3: ecdsa-sha2-nistp256\n",
        "JSON": b'{"kty": "EC", "crv": "P-256", "d": "AA"}',
        "half of one": key.to_pem(pair)[60:],
    }


PRIVATE_KEYS = private_keys()


@pytest.mark.parametrize("kind", PRIVATE_KEYS)
def test_a_private_key_is_refused_in_every_format(
    kind: str, good: Good, caplog: pytest.LogCaptureFixture
) -> None:
    secret = PRIVATE_KEYS[kind]
    with caplog.at_level(logging.DEBUG):
        error = refusal(secret)
    assert "contains a private key" in error.message
    lines = [line for line in secret.split(b"\n") if len(line) > 40 and line.isalnum()]
    for line in lines:
        assert line.decode() not in f"{error}{caplog.text}"
    assert secret.decode("latin-1") not in repr(Upload("the file", "x", secret))
    if secret.startswith(b"-----"):
        assert "contains a private key" in refusal(good.fullchain + secret).message
        assert "contains a private key" in refusal(described(good) + secret).message


@given(st.binary(max_size=200))
def test_any_contents_are_refused_with_a_certificate_error(noise: bytes) -> None:
    for contents in (noise, b"0\x82" + noise, b"-----BEGIN " + noise, b"\xff\xfe" + noise):
        with pytest.raises(CertificateError):
            Upload("the file", "x", contents).certificates()


@given(position=st.integers(0, 700), octet=st.integers(0, 255))
def test_any_changed_octet_is_refused_or_parsed(good: Good, position: int, octet: int) -> None:
    changed = bytearray(good.leaf.pem)
    changed[position % len(changed)] = octet
    try:
        read = certificates(bytes(changed))
    except CertificateError:
        return
    assert len(read) == 1


def test_text_is_decoded_as_an_editor_would() -> None:
    assert formats.as_text("\ufeffä".encode()) == "ä"
    assert formats.as_text("ä".encode("utf-16")) == "ä"
    assert formats.as_text(b"\xfe\xff" + "ä".encode("utf-16-be")) == "ä"
    assert formats.from_base64("ä") == b""
