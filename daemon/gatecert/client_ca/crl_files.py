"""Revocation lists (CRLs, RFC 5280 section 5) of the authorities of users.

Servers do not agree on a list that has ended: ocserv (GnuTLS) goes on using it, nginx (OpenSSL)
refuses every user. So an old list still tells who is revoked, and its end is said.

A list counts only for the certificates that it is about (``revocation.crl``). Delta
lists are not applied, as neither server does that.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.x509 import CertificateRevocationList, ReasonFlags

from gatecert.certificate.certificate_names import name_text
from gatecert.certificate.chain import CLOCK_SKEW
from gatecert.errors import CertificateError, StorageError, clean
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
from gatecert.store.codec import DamagedRecordError
from gatecert.store.json_record import read_file
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from datetime import datetime

    from cryptography.x509 import Certificate, IssuingDistributionPoint, RevokedCertificate

LARGEST_LIST: Final = 64 << 20  # bytes; a list of a million users has about half of it
_BLOCK: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class CrlFile:
    """One list, and the file that it stands in."""

    path: Path
    crl: CertificateRevocationList


@dataclass(frozen=True, slots=True)
class CrlResult:
    """What the lists say about one certificate.

    Attributes:
        problem: Why it is refused, empty when it is not.
        notes: What is to be said of the lists.
    """

    problem: str = ""
    notes: tuple[str, ...] = ()


def read_crls(paths: Iterable[Path]) -> tuple[CrlFile, ...]:
    """All lists in all files.

    Raises:
        StorageError: A file cannot be read.
        CertificateError: It is no revocation list.
    """
    found: list[CrlFile] = []
    for path in paths:
        try:
            data = _read(path)
        except StorageError as error:
            raise StorageError(
                f"{error.message}, so nobody can tell who is revoked",
                fix="have the authority's list written there, or correct"
                " client_authentication.crl_files",
            ) from error
        found += [CrlFile(path, crl) for crl in _lists(path, data)]
    return tuple(found)


def _read(path: Path) -> bytes:
    try:
        data = read_file(path, largest=LARGEST_LIST)
    except DamagedRecordError as error:
        raise StorageError(f"cannot read {clean(str(path), 300)}: {error}") from error
    if data is None:
        raise StorageError(f"cannot read {clean(str(path), 300)}: it does not exist")
    return data


def _lists(path: Path, data: bytes) -> Iterator[CertificateRevocationList]:
    """The lists in one file, PEM or DER."""
    try:
        for block in _BLOCK.findall(data) or [data]:
            yield parse_crl(block)
    except CertificateError as error:
        raise CertificateError(
            f"{path} is no revocation list (CRL), so nobody can tell who is revoked",
            fix="have the authority make it anew, in PEM: openssl ca -gencrl -out FILE",
        ) from error


def revocation_result(
    certificate: Certificate,
    issuer: Certificate,
    lists: Collection[CrlFile],
    *,
    now: datetime,
) -> CrlResult:
    """What the lists say about a certificate.

    Args:
        certificate: The user's, or an intermediate on the way.
        issuer: Who signed it, and has to have signed the list.
        lists: All there are.
        now: Aware UTC.
    """
    who = name_text(issuer.subject)
    fitting, notes = _fitting(certificate, issuer, lists, now=now)
    if not fitting:
        notes.append(
            f"no revocation list of '{who}' is given that counts here, so it is not known who of"
            " its users is revoked; with ssl_crl nginx refuses every one of them, ocserv does not"
            " look"
        )
        return CrlResult(notes=tuple(notes))
    if not may_sign_crls(issuer):
        notes.append(missing_crl(issuer, lists, now=now))
    newest = _newest(fitting)
    for each in newest:
        end = each.crl.next_update_utc
        if end is not None and end < now:
            notes.append(
                f"{each.path}: the list of '{who}' ended on {instant(end)}: ocserv goes on"
                " using it, nginx refuses every user; have the authority make a new one"
            )
    if not can_be_listed(certificate):
        notes.append("its serial number is negative, so that no list can name it")
        return CrlResult(notes=tuple(notes))
    for each in newest:
        entry = crl_entry(each.crl, certificate)
        if entry is not None:
            revoked = instant(entry.revocation_date_utc)
            problem = f"was revoked on {revoked}{_why(entry)}, as {each.path} says"
            return CrlResult(problem, tuple(notes))
    return CrlResult(notes=tuple(notes))


def _fitting(
    certificate: Certificate, issuer: Certificate, lists: Iterable[CrlFile], *, now: datetime
) -> tuple[list[CrlFile], list[str]]:
    """The lists that tell about a certificate, and notes why others do not."""
    fitting: list[CrlFile] = []
    notes: list[str] = []
    who = name_text(issuer.subject)
    for each in (each for each in lists if each.crl.issuer == issuer.subject):
        if not is_signed_by(each.crl, issuer):
            notes.append(f"{each.path}: the list was not signed by the key of '{who}': not used")
        elif problem := unusable_reason(each, now=now) or _out_of_scope(each, certificate):
            notes.append(f"{each.path}: {problem}: not used")
        else:
            fitting.append(each)
    return fitting, notes


def signed_by(issuer: Certificate, lists: Iterable[CrlFile]) -> tuple[CrlFile, ...]:
    """The lists that an authority has signed, whatever they are about."""
    return tuple(
        each
        for each in lists
        if each.crl.issuer == issuer.subject and is_signed_by(each.crl, issuer)
    )


def current_crls(
    issuer: Certificate, lists: Iterable[CrlFile], *, now: datetime
) -> tuple[CrlFile, ...]:
    """The newest list of each scope that an authority has signed and that can be used."""
    signed = signed_by(issuer, lists)
    return _newest(each for each in signed if not unusable_reason(each, now=now))


def missing_crl(issuer: Certificate, lists: Collection[CrlFile], *, now: datetime) -> str:
    """Whom an authority locks out because it has no list that counts; empty if it has, or none do.

    Args:
        issuer: An authority of users.
        lists: All there are; without any the server is taken not to look for revocation either.
        now: Aware UTC.
    """
    if not lists:
        return ""
    who = name_text(issuer.subject)
    if not may_sign_crls(issuer):
        return (
            f"nginx refuses every user of '{who}', which may not sign revocation lists (its key"
            " usage lacks cRLSign); ocserv does not look"
        )
    if not current_crls(issuer, lists, now=now):
        return (
            f"nginx refuses every user of '{who}' while it has no revocation list; ocserv does not"
            " look"
        )
    return ""


def unusable_reason(found: CrlFile, *, now: datetime) -> str:
    """Why a list tells nothing about any certificate; empty if it does."""
    try:
        check_crl(found.crl, now=now, clock_skew=CLOCK_SKEW)
    except CertificateError as error:
        return error.message
    if is_delta(found.crl):
        return "the list only says what has changed since another (a delta list)"
    return ""


def covers_clients(found: CrlFile) -> bool:
    """Whether users may stand in a list; there are some for authorities only."""
    part = scope(found.crl)
    return part is None or not part.only_contains_ca_certs


def _out_of_scope(found: CrlFile, certificate: Certificate) -> str:
    """Why a list is not about this certificate; empty if it is."""
    try:
        check_scope(found.crl, certificate, point_names(certificate))
    except CertificateError as error:
        return error.message
    return ""


def _newest(lists: Iterable[CrlFile]) -> tuple[CrlFile, ...]:
    """The newest list of each scope: an older one says nothing any more."""
    newest: dict[IssuingDistributionPoint | None, CrlFile] = {}
    for each in sorted(lists, key=lambda each: each.crl.last_update_utc):
        newest[scope(each.crl)] = each
    return tuple(newest.values())


def _why(entry: RevokedCertificate) -> str:
    found = reason(entry)
    return "" if found is ReasonFlags.unspecified else f" ({clean(found.value, 40)})"
