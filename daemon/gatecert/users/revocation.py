"""Revocation lists (CRLs, RFC 5280 section 5) of the authorities of users.

Servers do not agree on a list that has ended: ocserv (GnuTLS) goes on using it, nginx (OpenSSL)
refuses every user. So an old list still tells who is revoked, and its end is said.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from cryptography.x509 import CertificateRevocationList, ReasonFlags

from gatecert.certificate.names import instant, name_text
from gatecert.certificate.revocation_list import (
    can_be_listed,
    find,
    is_signed_by,
    read_list,
    reason,
)
from gatecert.errors import CertificateError, StorageError, clean
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from cryptography.x509 import Certificate, RevokedCertificate

_BLOCK: Final = re.compile(rb"-----BEGIN X509 CRL-----.*?-----END X509 CRL-----", re.DOTALL)


@dataclass(frozen=True, slots=True)
class RevocationList:
    """One list, and the file that it stands in."""

    path: Path
    crl: CertificateRevocationList


@dataclass(frozen=True, slots=True)
class Standing:
    """What the lists say about one certificate.

    Attributes:
        problem: Why it is refused, empty when it is not.
        notes: What is to be said of the lists.
    """

    problem: str = ""
    notes: tuple[str, ...] = ()


def read_lists(paths: Iterable[Path]) -> tuple[RevocationList, ...]:
    """All lists in all files.

    Raises:
        StorageError: A file cannot be read.
        CertificateError: It is no revocation list.
    """
    found: list[RevocationList] = []
    for path in paths:
        try:
            with durable.step("read", path):
                data = path.read_bytes()
        except StorageError as error:
            raise StorageError(
                f"{error.message}, so nobody can tell who is revoked",
                fix="have the authority's list written there, or correct"
                " client_authentication.crl_files",
            ) from error
        found += [RevocationList(path, crl) for crl in _lists(path, data)]
    return tuple(found)


def _lists(path: Path, data: bytes) -> Iterator[CertificateRevocationList]:
    """The lists in one file, PEM or DER."""
    try:
        for block in _BLOCK.findall(data) or [data]:
            yield read_list(block)
    except CertificateError as error:
        raise CertificateError(
            f"{path} is no revocation list (CRL), so nobody can tell who is revoked",
            fix="have the authority make it anew, in PEM: openssl ca -gencrl -out FILE",
        ) from error


def standing(
    certificate: Certificate,
    issuer: Certificate,
    lists: Iterable[RevocationList],
    *,
    now: datetime,
) -> Standing:
    """What the lists say about a certificate.

    Args:
        certificate: The user's, or an intermediate on the way.
        issuer: Who signed it, and has to have signed the list.
        lists: All there are.
        now: Aware UTC.
    """
    notes: list[str] = []
    signed: list[RevocationList] = []
    who = name_text(issuer.subject)
    candidates = [each for each in lists if each.crl.issuer == issuer.subject]
    for each in candidates:
        if is_signed_by(each.crl, issuer):
            signed.append(each)
        else:
            notes.append(f"{each.path}: the list was not signed by the key of '{who}': not used")
    if not signed:
        notes.append(
            f"no revocation list of '{who}' is given, so it is not known who of its users is"
            " revoked"
        )
        return Standing(notes=tuple(notes))
    newest = max(signed, key=lambda each: each.crl.last_update_utc)
    end = newest.crl.next_update_utc
    if end is not None and end < now:
        notes.append(
            f"{newest.path}: the list of '{who}' ended on {instant(end)}: ocserv goes on using it,"
            " nginx refuses every user; have the authority make a new one"
        )
    if not can_be_listed(certificate):
        notes.append("its serial number is negative, so that no list can name it")
        return Standing(notes=tuple(notes))
    entry = find(newest.crl, certificate)
    if entry is None:
        return Standing(notes=tuple(notes))
    return Standing(
        f"was revoked on {instant(entry.revocation_date_utc)}{_why(entry)}, as {newest.path} says",
        tuple(notes),
    )


def in_force(issuer: Certificate, lists: Iterable[RevocationList]) -> RevocationList | None:
    """The newest list that an authority has signed; None where there is none."""
    signed = [
        each
        for each in lists
        if each.crl.issuer == issuer.subject and is_signed_by(each.crl, issuer)
    ]
    return max(signed, key=lambda each: each.crl.last_update_utc, default=None)


def _why(entry: RevokedCertificate) -> str:
    found = reason(entry)
    return "" if found is ReasonFlags.unspecified else f" ({clean(found.value, 40)})"
