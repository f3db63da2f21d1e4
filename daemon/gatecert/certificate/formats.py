"""Recognise files that are not PEM certificates, and name the command that converts them. Pure.

Administrators receive certificates in many forms: binary (DER, X.690), PKCS #7 (RFC 2315) and
PKCS #12 (RFC 7292) from Windows CAs, archives by mail, saved web pages. Each is recognised by its
contents, not its name. In a fix, ``{file}`` stands for the file and ``{new}`` for the one that
the command writes.
"""

from __future__ import annotations

import binascii
import re
import warnings
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

UTF8_MARK = b"\xef\xbb\xbf"
DER_SEQUENCE = b"\x30"

_UTF16_MARKS = (b"\xff\xfe", b"\xfe\xff")
_UTF16_UNMARKED = re.compile(rb"(?:[\t\r\n -~]\0){8}|(?:\0[\t\r\n -~]){8}")
_LABEL = re.compile(r"-----BEGIN ([A-Za-z0-9 #-]{1,40}?)-----")
_BARE_BASE64 = re.compile(r"[A-Za-z0-9+/\s]{40,}={0,2}\s*")
_HTML = re.compile(r"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]", re.IGNORECASE)
_SSH = re.compile(r"\s*(ssh-|ecdsa-sha2-|sk-ssh-|sk-ecdsa-|---- BEGIN SSH2)")
_UNREADABLE = (ValueError, TypeError, UnsupportedAlgorithm, x509.InvalidVersion)
_LOOKED_AT = 4096  # octets or characters from the beginning
_PRINTABLE_SHARE = 0.9

# What follows the outermost tag and length.
_PKCS7_SIGNED_DATA = bytes.fromhex("06092a864886f70d010702")
_PKCS12_VERSION = bytes.fromhex("020103")

_ASK_FOR_PEM = "ask the CA for the certificate in PEM"
_WANTED = "give the certificate that the CA issued for the CSR, in PEM"


@dataclass(frozen=True, slots=True)
class Format:
    """A file format.

    Attributes:
        what: The text after "is" in a message.
        fix: What to do about it.
    """

    what: str
    fix: str = _WANTED


_REQUEST = Format(
    "a certificate signing request (CSR)",
    "give the certificate that the CA issued for it"
    " (openssl req -in {file} -noout -subject shows its subject)",
)
_MAGIC = {
    b"PK\x03\x04": Format("a ZIP archive", "extract the certificates: unzip {file}"),
    b"\x1f\x8b": Format("compressed with gzip", "decompress it: gunzip {file}"),
    b"%PDF-": Format("a PDF document", _ASK_FOR_PEM),
    b"{\\rtf": Format("a word processor document (RTF)", "save it as plain text"),
    b"\xd0\xcf\x11\xe0": Format("a word processor document", "save it as plain text"),
    b"\xfe\xed\xfe\xed": Format(
        "a Java key store (JKS)",
        "export its certificates as PEM: keytool -exportcert -rfc -keystore {file} -alias ALIAS",
    ),
}
_PKCS7 = Format(
    "PKCS #7 in PEM", "extract the certificates: openssl pkcs7 -in {file} -print_certs -out {new}"
)
_OLD_LABEL = Format(
    "a certificate with a PEM label other than CERTIFICATE",
    "convert it to plain PEM: openssl x509 -in {file} -out {new}",
)
_LABELS = {
    "PKCS7": _PKCS7,
    "PKCS #7 SIGNED DATA": replace(
        _PKCS7,
        fix="extract the certificates: sed 's/PKCS #7 SIGNED DATA/PKCS7/' {file}"
        " | openssl pkcs7 -print_certs -out {new}",
    ),
    "CMS": Format(
        "CMS in PEM",
        "extract the certificates: openssl cms -cmsout -inform PEM -in {file} -outform DER"
        " | openssl pkcs7 -inform DER -print_certs -out {new}",
    ),
    "TRUSTED CERTIFICATE": _OLD_LABEL,
    "X509 CERTIFICATE": _OLD_LABEL,
    "CERTIFICATE REQUEST": _REQUEST,
    "NEW CERTIFICATE REQUEST": _REQUEST,
    "X509 CRL": Format("a revocation list (CRL)"),
    "PUBLIC KEY": Format("a public key"),
    "RSA PUBLIC KEY": Format("a public key"),
    "OCSP RESPONSE": Format("an OCSP response"),
}
_PKCS7_DER = Format(
    "PKCS #7 in binary (DER)",
    "extract the certificates: openssl pkcs7 -inform DER -in {file} -print_certs -out {new}",
)
_REQUEST_DER = replace(
    _REQUEST,
    what=f"{_REQUEST.what} in binary (DER)",
    fix=_REQUEST.fix.replace("-in", "-inform DER -in"),
)
_MISLABELLED = {
    _PKCS7_DER: Format(
        "PKCS #7 labelled CERTIFICATE",
        "extract the certificates: sed s/CERTIFICATE/PKCS7/ {file}"
        " | openssl pkcs7 -print_certs -out {new}",
    ),
    _REQUEST_DER: replace(_REQUEST, what=f"{_REQUEST.what} labelled CERTIFICATE"),
}
_DAMAGED = Format("binary (DER), but damaged or of an unknown type", _ASK_FOR_PEM)
_ENCODED: tuple[tuple[Callable[[bytes], object], Format], ...] = (
    (
        x509.load_der_x509_certificate,
        Format(
            "a certificate in binary (DER)",
            "convert it to PEM: openssl x509 -inform DER -in {file} -out {new}",
        ),
    ),
    (
        x509.load_der_x509_csr,
        _REQUEST_DER,
    ),
    (x509.load_der_x509_crl, Format("a revocation list (CRL) in binary (DER)")),
    (serialization.load_der_public_key, Format("a public key in binary (DER)")),
)


def as_text(contents: bytes) -> str:
    """Decode the contents as an editor would, whatever the encoding."""
    if _is_utf16(contents):
        little = contents.startswith(b"\xff\xfe") or contents[1:2] == b"\0"
        return contents.decode("utf-16-le" if little else "utf-16-be", "replace").lstrip("\ufeff")
    return contents.decode("utf-8", "replace").lstrip("\ufeff")


def recognize(contents: bytes) -> Format | None:
    """Return the format of a file; None for what may be PEM certificates."""
    return _recognize_octets(contents) or _recognize_text(as_text(contents))


def recognize_der(der: bytes) -> Format:
    """Return the format of binary ASN.1."""
    inside, is_whole = _inside(der)
    if inside.startswith(_PKCS12_VERSION):
        return Format(
            "PKCS #12 (PFX), which usually contains a private key",
            "extract only its certificates: openssl pkcs12 -in {file} -nokeys -out {new}",
        )
    if not is_whole:
        return Format("binary (DER) and truncated", "fetch the whole file again")
    if inside.startswith(_PKCS7_SIGNED_DATA):
        return _PKCS7_DER
    for load, known in _ENCODED:
        with suppress(*_UNREADABLE), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # chain validation reports what is wrong with it
            load(der)
            return known
    return _DAMAGED


def blocks(text: str) -> Iterator[tuple[str, bytes]]:
    """Yield the label and the DER of each PEM block, no DER where it is not base64."""
    for piece in text.split("-----BEGIN ")[1:]:
        label, _, rest = piece.partition("-----")
        yield label, from_base64(rest.partition("-----END ")[0])


def from_base64(text: str) -> bytes:
    """Decode base64; return nothing for anything else."""
    try:
        return binascii.a2b_base64("".join(text.split()), strict_mode=True)
    except ValueError:  # binascii.Error is one; so is text that is not ASCII
        return b""


def _recognize_octets(contents: bytes) -> Format | None:
    """Recognise a format from the first bytes."""
    if not contents.removeprefix(UTF8_MARK).strip(b"\0 \t\r\n"):
        return Format("empty", "fetch the file again")
    for start, known in _MAGIC.items():
        if contents.startswith(start):
            return known
    if _is_utf16(contents):
        fix = "convert it: iconv -f UTF-16 -t UTF-8 {file} > {new}"
        return Format("text in UTF-16, as Windows writes it", fix)
    if contents.startswith(DER_SEQUENCE) and not contents[1:2].isascii():
        return recognize_der(contents)
    return None


def _recognize_text(text: str) -> Format | None:
    if _HTML.search(text[:_LOOKED_AT]):
        return Format("an HTML page", "download the certificate itself, not the page that shows it")
    if _SSH.match(text):
        return Format("an OpenSSH key", f"TLS does not use such keys; {_WANTED}")
    if "-----BEGIN" in text or "-----END" in text:
        return _recognize_label(text)
    return _recognize_bare(text)


def _is_utf16(contents: bytes) -> bool:
    return contents.startswith(_UTF16_MARKS) or _UTF16_UNMARKED.match(contents) is not None


def _recognize_label(text: str) -> Format | None:
    """Return the format of the first PEM block that is not a certificate."""
    for found in _LABEL.finditer(text):
        if found[1] != "CERTIFICATE":
            return _LABELS.get(found[1], Format(f"PEM labelled {found[1]}"))
    known = (_MISLABELLED.get(recognize_der(der)) for _, der in blocks(text))
    return next(filter(None, known), None)


def _recognize_bare(text: str) -> Format:
    """Return the format of text without a PEM block."""
    der = from_base64(text) if _BARE_BASE64.fullmatch(text) else b""
    if der.startswith(DER_SEQUENCE):
        inner = recognize_der(der)
        return Format(
            f"base64 without BEGIN and END lines ({inner.what})",
            inner.fix.replace("openssl", "base64 -d -i {file} | openssl").replace(
                " -in {file}", ""
            ),
        )
    if text.lstrip().startswith(("{", "[")):
        return Format("JSON", "extract only the certificate, with real line breaks")
    beginning = text[:_LOOKED_AT]
    if sum(map(str.isprintable, beginning.split())) < len(beginning.split()) * _PRINTABLE_SHARE:
        return Format("binary, of an unknown type", _ASK_FOR_PEM)
    return Format(
        "text without a certificate", "give a file with a line -----BEGIN CERTIFICATE-----"
    )


def _inside(der: bytes) -> tuple[bytes, bool]:
    """Return what follows the outermost tag and length, and whether it is complete."""
    first = der[1] if len(der) > 1 else 0
    octets = first & 0x7F if first & 0x80 else 0  # X.690 section 8.1.3
    length = int.from_bytes(der[2 : 2 + octets], "big") if octets else first & 0x7F
    return der[2 + octets :], len(der) >= 2 + octets + length
