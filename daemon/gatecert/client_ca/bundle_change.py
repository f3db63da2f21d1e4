"""Adding client CAs to a bundle, and removing them. Pure: bundles are not modified.

If one certificate of a file is wrong, none is added. Removing a CA also removes the intermediates
that lead to no root without it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from cryptography import x509
from cryptography.x509 import Certificate
from cryptography.x509.oid import NameOID

from gatecert.certificate.certificate_names import label, name_text
from gatecert.certificate.extensions import extension
from gatecert.certificate.rules import unsupported_key
from gatecert.client_ca.bundle import Bundle, fingerprint, is_placeholder, quoted_subjects
from gatecert.client_ca.client_ca_rules import check_client_ca, is_root
from gatecert.client_ca.crl_files import missing_crl
from gatecert.errors import CertificateError, WrongUsageError, clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from gatecert.client_ca.crl_files import CrlFile


SHORTEST_FINGERPRINT: Final = 8  # hexadecimal digits; shorter selectors are names
_FINGERPRINT: Final = re.compile(r"[0-9a-f]+")
_FROM_OPENSSL: Final = re.compile(
    r"^(sha-?256\s+fingerprint=|sha-?256:|subject=)\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Change:
    """A new bundle, and how it differs from the previous one.

    Attributes:
        bundle: The new bundle.
        added: Certificates that the previous bundle lacks.
        removed: Certificates of the previous bundle that the new one lacks.
        notes: Notes for the operator, one line each.
    """

    bundle: Bundle
    added: tuple[Certificate, ...] = ()
    removed: tuple[Certificate, ...] = ()
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        verb = "added" if self.added else "removed"
        return f"{verb} {quoted_subjects(self.added or self.removed)}"


def add(
    bundle: Bundle,
    uploaded: Sequence[Certificate],
    crls: Collection[CrlFile] = (),
    *,
    now: datetime,
) -> Change:
    """Add client CAs.

    Args:
        bundle: The bundle in place.
        uploaded: The certificates of one file, at least one.
        crls: CRLs; they affect only the notes.
        now: Aware UTC.

    Raises:
        CertificateError: A certificate is not a valid client CA; nothing must change.
    """
    _check_repetition(uploaded)
    added = tuple(each for each in uploaded if each not in bundle.certificates)
    if not added:
        are = "is already a client CA" if len(uploaded) == 1 else "are already client CAs"
        raise CertificateError(
            f"{quoted_subjects(uploaded)} {are} of this gateway; nothing was changed",
            fix="name a file with a new CA; gatecert client-ca list shows the present ones",
        )
    for each in added:
        if is_placeholder(each):
            raise CertificateError(
                f"{label(each)} is gatecert's own placeholder, which issues no certificates",
                fix="name the file of the CA that signs your client certificates",
            )
        check_client_ca(each, now=now)
    changed = Bundle((*bundle.certificates, *added))
    _check_roots(changed, added)
    notes = [*_notes(bundle, uploaded, added)]
    notes += (found for each in added if (found := missing_crl(each, crls, now=now)))
    return Change(changed, added=added, notes=tuple(notes))


def remove(bundle: Bundle, selector: str) -> Change:
    """Remove a client CA, and the intermediates that lead to no root without it.

    Args:
        bundle: The bundle in place.
        selector: A SHA-256 fingerprint or its first digits (at least eight), or a subject.

    Raises:
        WrongUsageError: The selector matches no CA, or several.
    """
    chosen = _chosen(bundle, selector)
    left = Bundle(tuple(each for each in bundle.certificates if each != chosen))
    kept = Bundle(tuple(each for each in left.certificates if _leads_to_root(left, each)))
    orphans = tuple(each for each in left.certificates if each not in kept.certificates)
    notes = []
    if orphans:
        notes.append(f"also removed, because their root is gone: {quoted_subjects(orphans)}")
    if not kept.certificates:
        notes.append("no client CA is left: the gateway accepts no client certificate")
    return Change(kept, removed=(chosen, *orphans), notes=tuple(notes))


def _check_repetition(uploaded: Sequence[Certificate]) -> None:
    """Refuse a file that holds a certificate twice."""
    for number, each in enumerate(uploaded):
        if each in uploaded[:number]:
            raise CertificateError(
                f"the file holds {label(each)} twice; nothing was changed",
                fix="remove the duplicate, and check that it did not replace another certificate",
            )


def _check_roots(bundle: Bundle, added: Sequence[Certificate]) -> None:
    """Refuse an intermediate whose root is missing."""
    for each in added:
        if not _leads_to_root(bundle, each):
            raise CertificateError(
                f"{label(each)} is an intermediate, and its root is missing: the certificate of"
                f" '{name_text(each.issuer)}' is neither in the file nor a client CA of the"
                " gateway",
                fix="add the root to the file, or name a file with the root alone",
            )


def _leads_to_root(bundle: Bundle, certificate: Certificate) -> bool:
    """Check if the certificates of a bundle form a chain from one of them to a root."""
    reached, waiting = set[x509.Certificate](), [certificate]
    while waiting:
        current = waiting.pop()
        if is_root(current):
            return True
        reached.add(current)
        waiting += [each for each in bundle.issuers_of(current) if each not in reached]
    return False


def _notes(
    bundle: Bundle, uploaded: Sequence[Certificate], added: Sequence[Certificate]
) -> Iterator[str]:
    present = [each for each in uploaded if each not in added]
    if present:
        yield f"already present: {quoted_subjects(present)}"
    for each in added:
        if is_root(each) and extension(each, x509.KeyUsage) is None:
            yield f"{label(each)} has no key usage; some servers require keyCertSign"
        if kind := unsupported_key(each):
            yield (
                f"{label(each)} has {kind}: gatecert cannot check certificates that it issued;"
                " gatecert client-ca check refuses them, although the server may accept them"
            )
        if any(other.subject == each.subject for other in bundle.certificates):
            yield (
                f"another client CA has the name {label(each)}: a handshake shows only names, so"
                " gatecert cannot distinguish the two"
            )


# --------------------------------------------------------------------------- selectors


def _chosen(bundle: Bundle, selector: str) -> Certificate:
    """Return the client CA that a selector matches."""
    wanted = _FROM_OPENSSL.sub("", selector.strip())
    digits = wanted.replace(":", "").lower()
    found: list[Certificate] = []
    if len(digits) >= SHORTEST_FINGERPRINT and _FINGERPRINT.fullmatch(digits):
        found = [each for each in bundle.certificates if fingerprint(each).startswith(digits)]
    if not found:
        found = [each for each in bundle.certificates if _plain(wanted) in set(_spellings(each))]
    if len(found) == 1:
        return found[0]
    shown = clean(selector, 200)
    present = "; ".join(
        f"{name_text(each.subject)}, SHA-256 {fingerprint(each)}"
        for each in found or bundle.certificates
    )
    if found:
        raise WrongUsageError(
            f"several client CAs of this gateway match {shown!r}: {present}",
            fix="select one by its fingerprint",
        )
    raise WrongUsageError(
        f"no client CA of this gateway matches {shown!r}; its client CAs: {present or 'none'}",
        fix="give a subject or a SHA-256 fingerprint from gatecert client-ca list",
    )


def _spellings(certificate: Certificate) -> Iterator[str]:
    """Yield a subject as RFC 4514, as old and new OpenSSL write it, and its common name."""
    name = certificate.subject
    parts = [part.rfc4514_string() for part in name.rdns]
    yield _plain(",".join(parts))
    yield _plain(",".join(reversed(parts)))
    yield _plain("/" + "/".join(parts))
    for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield _plain(str(attribute.value))


def _plain(text: str) -> str:
    """Normalize a name: ignore case, and spaces around commas and equals signs."""
    return re.sub(r"\s*([,=])\s*", r"\1", " ".join(text.split())).casefold()
