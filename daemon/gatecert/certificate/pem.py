"""Parsing of PEM certificates (RFC 7468). Pure: no clock, no file, no socket.

A chain from a CA has no text between its certificates (RFC 8555 section 9.1), so unknown text is
refused there. A list of roots may contain comments, as those of operating systems do, and so may an
administrator's file, since OpenSSL writes certificates below a description (RFC 7468 section 5.2).

Every part of a certificate that is read later is decoded once here: the library decodes lazily, and
a damaged part would otherwise raise in the middle of a check.
"""

from __future__ import annotations

import binascii
import re
import warnings
from contextlib import contextmanager, suppress
from functools import lru_cache
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

from gatecert.errors import CertificateError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST_CHAIN = 1 << 20  # bytes; a long chain has less than a hundredth of it

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----")
_ANY_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # written by editors on Windows
_WHITE_SPACE = b" \t\r\n"
_DER_SEQUENCE = b"\x30"
_CERTIFICATE = "CERTIFICATE"
_FOR_CSR = "this is the CSR; give the certificate that the CA issued for it"
# Raised by cryptography for what it cannot decode, at once or lazily.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def split_pem(text: bytes, *, comments: bool = False) -> list[x509.Certificate]:
    """Parse the certificates of a chain, in their order.

    Args:
        text: PEM.
        comments: Whether text outside the PEM blocks is skipped.

    Raises:
        CertificateError: The text contains anything but certificates and white space, contains
            no certificate, or a damaged one.
    """
    if len(text) > LARGEST_CHAIN:
        raise CertificateError(
            f"the certificate chain is larger than {LARGEST_CHAIN} bytes: refused",
            fix="give only the certificate and those of its issuers",
        )
    return _certificates(text, comments=comments)


def load_roots(pem: bytes) -> tuple[x509.Certificate, ...]:
    """Parse the certificates of a trust list, without repetition; skip comments.

    Raises:
        CertificateError: There is none, one is damaged, or there is another kind of PEM block.
    """
    return tuple(dict.fromkeys(_certificates(pem, comments=True)))


def find_readable(texts: Iterable[bytes]) -> tuple[x509.Certificate, ...]:
    """Return every readable certificate, without repetition; for files of third parties."""
    ders: dict[bytes, None] = {}
    for text in texts:
        for body in _ANY_CERTIFICATE.findall(text):
            with suppress(binascii.Error):
                ders[binascii.a2b_base64(body)] = None
    found: list[x509.Certificate] = []
    for der in ders:
        with suppress(CertificateError):
            found.append(parse(der))
    return tuple(found)


@lru_cache(maxsize=512)  # gateways share intermediates and roots
def parse(der: bytes) -> x509.Certificate:
    """Parse one certificate from DER and decode every part that is read later.

    Raises:
        CertificateError: It is damaged or unsupported.
    """
    try:
        with _old_serials_allowed():
            certificate = x509.load_der_x509_certificate(der)
            _decode(certificate)
    except UNREADABLE as error:
        raise CertificateError(
            f"it cannot be decoded: {clean(str(error), 160)}",
            fix="fetch the certificate again; manual copies often lose a line",
        ) from error
    if der[-1 - len(certificate.signature)] != 0:
        raise CertificateError(
            "it cannot be decoded: its signature is not a whole number of bytes",
            fix="fetch the certificate again",
        )
    return certificate


def serial_number(certificate: x509.Certificate) -> int:
    """Return the serial number; not positive in some old roots, against RFC 5280."""
    with _old_serials_allowed():
        return certificate.serial_number


@contextmanager
def _old_serials_allowed() -> Iterator[None]:
    """Suppress the library's warning: every trust store has such roots (Go Daddy, HARICA)."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Parsed a serial number", category=CryptographyDeprecationWarning
        )
        yield


def _decode(certificate: x509.Certificate) -> None:
    """Read all lazily decoded parts; each raises where it is damaged."""
    _ = (
        certificate.subject,
        certificate.issuer,
        certificate.extensions,
        certificate.public_key(),
        certificate.signature_hash_algorithm,
    )


def _certificates(text: bytes, *, comments: bool) -> list[x509.Certificate]:
    """Parse all certificates of a text, at least one."""
    found: list[x509.Certificate] = []
    for label, body in _blocks(text.removeprefix(_BYTE_ORDER_MARK), comments=comments):
        if label != _CERTIFICATE:
            raise _other_block(label)
        number = len(found) + 1
        try:
            der = binascii.a2b_base64(body.translate(None, _WHITE_SPACE), strict_mode=True)
            found.append(parse(der))
        except binascii.Error as error:
            raise CertificateError(
                f"certificate number {number} is damaged: the text between its BEGIN and END lines"
                " is not base64",
                fix="fetch the file again; manual copies often lose a line",
            ) from error
        except CertificateError as error:
            raise CertificateError(
                f"certificate number {number} is unusable: {error.message}", fix=error.fix
            ) from error
    if not found:
        raise _nothing(text)
    return found


def _blocks(text: bytes, *, comments: bool) -> Iterator[tuple[str, bytes]]:
    """Yield the label and body of each PEM block, in one pass."""
    position = 0
    while (begin := _BEGIN.search(text, position)) is not None:
        _check_between(text[position : begin.start()], comments=comments)
        end_line = b"-----END " + begin[1] + b"-----"
        end = text.find(end_line, begin.end())
        if end < 0:
            raise CertificateError(
                "the PEM text is truncated: a BEGIN line has no END line",
                fix="fetch the whole file again",
            )
        yield begin[1].decode("ascii"), text[begin.end() : end]
        position = end + len(end_line)
    if position:
        _check_between(text[position:], comments=comments)


def _check_between(text: bytes, *, comments: bool) -> None:
    """Refuse text that is not allowed outside the PEM blocks."""
    if b"-----BEGIN" in text or b"-----END" in text:
        raise CertificateError(
            "the PEM text is damaged: a BEGIN or END line is unpaired or malformed",
            fix="fetch the whole file again",
        )
    if not comments and text.strip():
        raise CertificateError(
            "there is unknown text before, between or after the certificates",
            fix="leave only the blocks from BEGIN CERTIFICATE to END CERTIFICATE",
        )


def _other_block(label: str) -> CertificateError:
    """Return the error for a PEM block that is not a certificate; never show its contents."""
    if label.endswith("PRIVATE KEY"):
        return CertificateError(
            "there is a private key among the certificates: it must not be sent with them",
            fix="remove it; if others have seen the file, create a new key and certificate",
        )
    fixes = {
        "PKCS7": "convert it to PEM: openssl pkcs7 -print_certs -in FILE",
        "CERTIFICATE REQUEST": _FOR_CSR,
        "NEW CERTIFICATE REQUEST": _FOR_CSR,
        "TRUSTED CERTIFICATE": "convert it to plain PEM: openssl x509 -in FILE",
        "X509 CERTIFICATE": "convert it to plain PEM: openssl x509 -in FILE",
    }
    return CertificateError(
        f"a PEM block is labelled {label}, where only certificates are expected",
        fix=fixes.get(label, "leave only the blocks from BEGIN CERTIFICATE to END CERTIFICATE"),
    )


def _nothing(text: bytes) -> CertificateError:
    """Return the error for a text without any PEM block."""
    if not text.strip():
        return CertificateError(
            "there is no certificate: the text is empty", fix="fetch the file again"
        )
    if text.startswith(_DER_SEQUENCE):
        return CertificateError(
            "the certificate is binary (DER or PKCS #12), not PEM",
            fix="convert it to PEM: openssl x509 -inform DER -in FILE",
        )
    return CertificateError(
        "there is no certificate: the text has no line -----BEGIN CERTIFICATE-----",
        fix="give a file in PEM",
    )
