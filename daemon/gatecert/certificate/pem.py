"""Certificates out of PEM text (RFC 7468). Pure: no clock, no file, no socket.

A chain from an authority has no text between its certificates (RFC 8555 section 9.1): text that
was not understood is no basis for a gateway's certificate. A list of roots may carry comments, as
those of operating systems do, and so may what an administrator hands over, since OpenSSL writes
its certificates below a description (RFC 7468 section 5.2).

Every part of a certificate that is read later is read here once: the library decodes lazily, so
that a damaged part would otherwise raise in the middle of a check.
"""

from __future__ import annotations

import binascii
import re
import warnings
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.utils import CryptographyDeprecationWarning

from gatecert.errors import CertificateError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

LARGEST_CHAIN = 1 << 20  # bytes; a long real chain has less than a hundredth of it

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9 #]{1,40})-----")
_ANY_CERTIFICATE = re.compile(rb"-----BEGIN CERTIFICATE-----([^-]*)-----END CERTIFICATE-----")
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # written by editors on Windows
_WHITE_SPACE = b" \t\r\n"
_DER_SEQUENCE = b"\x30"
_CERTIFICATE = "CERTIFICATE"
# What cryptography raises over what it cannot decode, at once or on the first look.
UNREADABLE = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.InvalidVersion,
    x509.UnsupportedGeneralNameType,
)


def split_pem(text: bytes, *, comments: bool = False) -> list[x509.Certificate]:
    """The certificates of a chain, in the order they stand there.

    Args:
        text: PEM.
        comments: Whether text outside the PEM blocks is skipped.

    Raises:
        CertificateError: There is anything in the text but certificates and white space, there
            is none, or one is damaged.
    """
    if len(text) > LARGEST_CHAIN:
        raise CertificateError(
            f"the certificate chain is larger than {LARGEST_CHAIN} bytes: it is not looked at",
            fix="give only the certificate and those of its issuers",
        )
    return _certificates(text, comments=comments)


def load_roots(pem: bytes) -> tuple[x509.Certificate, ...]:
    """The certificates of a trust list, without repetition; comments between them are skipped.

    Raises:
        CertificateError: There is none, one is damaged, or something else in PEM stands there.
    """
    return tuple(dict.fromkeys(_certificates(pem, comments=True)))


def find_readable(texts: Iterable[bytes]) -> tuple[x509.Certificate, ...]:
    """The certificates that can be read, without repetition; for what others keep."""
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


def parse(der: bytes) -> x509.Certificate:
    """One certificate from DER, with every part that is read later decoded once.

    Raises:
        CertificateError: It is damaged, or of a kind that this program cannot read.
    """
    try:
        with _old_serials_allowed():
            certificate = x509.load_der_x509_certificate(der)
            _decode(certificate)
    except UNREADABLE as error:
        raise CertificateError(
            f"it cannot be decoded: {clean(str(error), 160)}",
            fix="fetch the certificate again; a copy by hand often loses a line",
        ) from error
    if der[-1 - len(certificate.signature)] != 0:
        raise CertificateError(
            "it cannot be decoded: its signature is not a whole number of bytes",
            fix="fetch the certificate again",
        )
    return certificate


def serial_number(certificate: x509.Certificate) -> int:
    """The serial number; not positive in some old roots, against RFC 5280."""
    with _old_serials_allowed():
        return certificate.serial_number


@contextmanager
def _old_serials_allowed() -> Iterator[None]:
    """Keep the library's warning away: every trust store has such roots (Go Daddy, HARICA)."""
    with warnings.catch_warnings():
        warnings.filterwarnings(
            "ignore", "Parsed a serial number", category=CryptographyDeprecationWarning
        )
        yield


def _decode(certificate: x509.Certificate) -> None:
    """Read all lazily decoded parts; each raises on its own when it is damaged."""
    _ = (
        certificate.subject,
        certificate.issuer,
        certificate.extensions,
        certificate.public_key(),
        certificate.signature_hash_algorithm,
    )


def _certificates(text: bytes, *, comments: bool) -> list[x509.Certificate]:
    """All certificates of a text, at least one."""
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
                f"certificate number {number} is damaged: what stands between its BEGIN and END"
                " lines is no base64",
                fix="fetch the file again; a copy by hand often loses a line",
            ) from error
        except CertificateError as error:
            raise CertificateError(
                f"certificate number {number} is unusable: {error.message}", fix=error.fix
            ) from error
    if not found:
        raise _nothing(text)
    return found


def _blocks(text: bytes, *, comments: bool) -> Iterator[tuple[str, bytes]]:
    """The label and the body of each PEM block; one pass, whatever the text."""
    position = 0
    while (begin := _BEGIN.search(text, position)) is not None:
        _check_between(text[position : begin.start()], comments=comments)
        end_line = b"-----END " + begin[1] + b"-----"
        end = text.find(end_line, begin.end())
        if end < 0:
            raise CertificateError(
                "the PEM text is cut short: a BEGIN line has no END line",
                fix="fetch the whole file again",
            )
        yield begin[1].decode("ascii"), text[begin.end() : end]
        position = end + len(end_line)
    if position:
        _check_between(text[position:], comments=comments)


def _check_between(text: bytes, *, comments: bool) -> None:
    """Refuse what may not stand outside the PEM blocks."""
    if b"-----BEGIN" in text or b"-----END" in text:
        raise CertificateError(
            "the PEM text is damaged: a BEGIN or END line stands alone or is ill-formed",
            fix="fetch the whole file again",
        )
    if not comments and text.strip():
        raise CertificateError(
            "there is text before, between or after the certificates, which is not understood",
            fix="leave only the blocks from BEGIN CERTIFICATE to END CERTIFICATE",
        )


def _other_block(label: str) -> CertificateError:
    """The refusal of a PEM block that is no certificate; its contents are never shown."""
    if label.endswith("PRIVATE KEY"):
        return CertificateError(
            "there is a private key among the certificates: it must not travel with them",
            fix="take it out; if others have seen the file, have a new key and certificate made",
        )
    fixes = {
        "PKCS7": "turn it into PEM with: openssl pkcs7 -print_certs -in FILE",
        "CERTIFICATE REQUEST": "this is the request; give what the authority made of it",
        "NEW CERTIFICATE REQUEST": "this is the request; give what the authority made of it",
        "TRUSTED CERTIFICATE": "turn it into plain PEM with: openssl x509 -in FILE",
        "X509 CERTIFICATE": "turn it into plain PEM with: openssl x509 -in FILE",
    }
    return CertificateError(
        f"a PEM block is labelled {label}, where only certificates are expected",
        fix=fixes.get(label, "leave only the blocks from BEGIN CERTIFICATE to END CERTIFICATE"),
    )


def _nothing(text: bytes) -> CertificateError:
    """Why a text without a single PEM block is no chain."""
    if not text.strip():
        return CertificateError(
            "there is no certificate: the text is empty", fix="fetch the file again"
        )
    if text.startswith(_DER_SEQUENCE):
        return CertificateError(
            "the certificate is binary (DER or PKCS #12), not PEM",
            fix="turn it into PEM with: openssl x509 -inform DER -in FILE",
        )
    return CertificateError(
        "there is no certificate: the text has no line -----BEGIN CERTIFICATE-----",
        fix="give a file in PEM",
    )
