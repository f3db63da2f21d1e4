"""CRLs of client CAs (RFC 5280 section 5).

With an expired CRL, ocserv (GnuTLS) continues as before, and nginx (OpenSSL) refuses every client.
So an expired CRL still revokes certificates, and gatecert warns that it has expired.

A CRL applies only to the certificates in its scope (``revocation.crl``). Delta CRLs are not
applied, because neither server applies them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.x509 import CertificateRevocationList, ReasonFlags

from gatecert import regular_files
from gatecert.certificate.certificate_names import name_text
from gatecert.certificate.chain import CLOCK_SKEW
from gatecert.errors import CertificateError, StorageError, clean
from gatecert.regular_files import IrregularFileError
from gatecert.revocation.crl import (
    can_be_listed,
    check_crl,
    check_scope,
    crl_entry,
    is_delta,
    is_signed_by,
    may_sign_crls,
    parse_crl,
    point_names,
    reason,
    scope,
)
from gatecert.store.storage_errors import storage_error
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from cryptography.x509 import Certificate, IssuingDistributionPoint, RevokedCertificate

LARGEST_LIST: Final = 64 << 20  # bytes; a CRL with a million entries has about half
_BLOCK: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CrlFile:
    """A CRL, and the file that holds it."""

    path: Path
    crl: CertificateRevocationList


@dataclass(frozen=True, slots=True)
class CrlResult:
    """The result of looking up a certificate in CRLs.

    Attributes:
        problem: Why it is refused; empty if it is not revoked.
        notes: Notes about the CRLs, one line each.
    """

    problem: str = ""
    notes: tuple[str, ...] = ()


def read_crls(paths: Iterable[Path]) -> tuple[CrlFile, ...]:
    """Read all CRLs of all files.

    Raises:
        StorageError: A file cannot be read.
        CertificateError: A file holds no CRL.
    """
    found: list[CrlFile] = []
    for path in paths:
        try:
            data = _read(path)
        except StorageError as error:
            raise StorageError(
                f"{error.message}, so gatecert cannot tell which client certificates are revoked",
                fix="write the CA's CRL there, or correct client_authentication.crl_files",
            ) from error
        found += [CrlFile(path, crl) for crl in _crls(path, data)]
    return tuple(found)


def _read(path: Path) -> bytes:
    try:
        return regular_files.read(path, LARGEST_LIST)
    except FileNotFoundError as error:
        raise StorageError(f"cannot read {clean(str(path), 300)}: it does not exist") from error
    except IrregularFileError as error:
        raise StorageError(f"cannot read {clean(str(path), 300)}: {error.strerror}") from error
    except OSError as error:
        raise storage_error(error, "read", path) from error


def _crls(path: Path, data: bytes) -> Iterator[CertificateRevocationList]:
    """Yield the CRLs of one file, PEM or DER."""
    try:
        for block in _BLOCK.findall(data) or [data]:
            yield parse_crl(block)
    except CertificateError as error:
        raise CertificateError(
            f"{path} holds no CRL, so gatecert cannot tell which client certificates are revoked",
            fix="issue the CRL again, in PEM: openssl ca -gencrl -out FILE",
        ) from error


def revocation_result(
    certificate: Certificate,
    issuer: Certificate,
    crls: Collection[CrlFile],
    *,
    now: datetime,
) -> CrlResult:
    """Look a certificate up in the CRLs of its issuer.

    Args:
        certificate: A client certificate or an intermediate.
        issuer: Its issuer, which must have signed the CRLs.
        crls: All CRLs.
        now: Aware UTC.
    """
    name = name_text(issuer.subject)
    applicable, notes = _applicable(certificate, issuer, crls, now=now)
    if not applicable:
        notes.append(
            f"crl_files has no usable CRL of '{name}', so gatecert cannot tell whether the"
            " certificate is revoked; with ssl_crl, nginx refuses every client of this CA; ocserv"
            " does not check"
        )
        return CrlResult(notes=tuple(notes))
    if not may_sign_crls(issuer):
        notes.append(missing_crl(issuer, crls, now=now))
    newest = _newest(applicable)
    for each in newest:
        end = each.crl.next_update_utc
        if end is not None and end < now:
            notes.append(
                f"{each.path}: the CRL of '{name}' expired on {instant(end)}: ocserv continues as"
                " before, nginx refuses every client; issue a new CRL"
            )
    if not can_be_listed(certificate):
        notes.append("its serial number is negative, so no CRL can list it")
        return CrlResult(notes=tuple(notes))
    for each in newest:
        entry = crl_entry(each.crl, certificate)
        if entry is not None:
            revoked = instant(entry.revocation_date_utc)
            problem = f"was revoked on {revoked}{_reason(entry)}, according to {each.path}"
            return CrlResult(problem, tuple(notes))
    return CrlResult(notes=tuple(notes))


def _applicable(
    certificate: Certificate, issuer: Certificate, crls: Iterable[CrlFile], *, now: datetime
) -> tuple[list[CrlFile], list[str]]:
    """Return the CRLs that apply to a certificate, and notes on why others do not."""
    applicable: list[CrlFile] = []
    notes: list[str] = []
    name = name_text(issuer.subject)
    for each in (each for each in crls if each.crl.issuer == issuer.subject):
        if not is_signed_by(each.crl, issuer):
            notes.append(f"{each.path}: the key of '{name}' did not sign this CRL: not used")
        elif problem := unusable_reason(each, now=now) or _out_of_scope(each, certificate):
            notes.append(f"{each.path}: {problem}: not used")
        else:
            applicable.append(each)
    return applicable, notes


def signed_by(issuer: Certificate, crls: Iterable[CrlFile]) -> tuple[CrlFile, ...]:
    """Return the CRLs that a CA signed, of any scope."""
    return tuple(
        each
        for each in crls
        if each.crl.issuer == issuer.subject and is_signed_by(each.crl, issuer)
    )


def current_crls(
    issuer: Certificate, crls: Iterable[CrlFile], *, now: datetime
) -> tuple[CrlFile, ...]:
    """Return the newest usable CRL of each scope that a CA signed."""
    signed = signed_by(issuer, crls)
    return _newest(each for each in signed if not unusable_reason(each, now=now))


def missing_crl(issuer: Certificate, crls: Collection[CrlFile], *, now: datetime) -> str:
    """Say what a client CA without a usable CRL causes; empty if it has one.

    Args:
        issuer: A client CA.
        crls: All CRLs; if there are none, the server is assumed not to check revocation.
        now: Aware UTC.
    """
    if not crls:
        return ""
    name = name_text(issuer.subject)
    if not may_sign_crls(issuer):
        return (
            f"nginx refuses every client of '{name}', which may not sign CRLs (its key usage lacks"
            " cRLSign); ocserv does not check"
        )
    if not current_crls(issuer, crls, now=now):
        return (
            f"nginx refuses every client of '{name}' while this CA has no CRL; ocserv does not"
            " check"
        )
    return ""


def unusable_reason(found: CrlFile, *, now: datetime) -> str:
    """Say why a CRL applies to no certificate; empty if it is usable."""
    try:
        check_crl(found.crl, now=now, clock_skew=CLOCK_SKEW)
    except CertificateError as error:
        return error.message
    if is_delta(found.crl):
        return "this is a delta CRL, which servers do not apply"
    return ""


def covers_clients(found: CrlFile) -> bool:
    """Check if a CRL can list client certificates; some cover only CA certificates."""
    part = scope(found.crl)
    return part is None or not part.only_contains_ca_certs


def _out_of_scope(found: CrlFile, certificate: Certificate) -> str:
    """Say why a certificate is outside the scope of a CRL; empty if it is inside."""
    try:
        check_scope(found.crl, certificate, point_names(certificate))
    except CertificateError as error:
        return error.message
    return ""


def _newest(crls: Iterable[CrlFile]) -> tuple[CrlFile, ...]:
    """Return the newest CRL of each scope; it replaces older ones."""
    newest: dict[IssuingDistributionPoint | None, CrlFile] = {}
    for each in sorted(crls, key=lambda each: each.crl.last_update_utc):
        newest[scope(each.crl)] = each
    return tuple(newest.values())


def _reason(entry: RevokedCertificate) -> str:
    found = reason(entry)
    return "" if found is ReasonFlags.unspecified else f" ({clean(found.value, 40)})"
