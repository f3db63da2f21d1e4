"""Adding authorities to a bundle and taking them out. Pure: what is given stays as it is.

What is added has to be right as a whole, or nothing of it is taken. What is taken out takes along
the intermediates that lead to no root without it.
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


SHORTEST_FINGERPRINT: Final = 8  # hexadecimal digits that are taken for one
_FINGERPRINT: Final = re.compile(r"[0-9a-f]+")
_FROM_OPENSSL: Final = re.compile(
    r"^(sha-?256\s+fingerprint=|sha-?256:|subject=)\s*", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Change:
    """A bundle that is to take the place of another.

    Attributes:
        added: What is new in it.
        removed: What is no longer in it.
        notes: Things worth telling the operator, one line each.
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
    lists: Collection[CrlFile] = (),
    *,
    now: datetime,
) -> Change:
    """Take over authorities that are handed in.

    Args:
        bundle: What there is.
        uploaded: The certificates of one file, at least one.
        lists: Revocation lists; decide only on a note.
        now: Aware UTC.

    Raises:
        CertificateError: One of them is none, or not right; nothing is to be changed.
    """
    _check_repetition(uploaded)
    added = tuple(each for each in uploaded if each not in bundle.certificates)
    if not added:
        are = "is already an authority" if len(uploaded) == 1 else "are already authorities"
        raise CertificateError(
            f"{quoted_subjects(uploaded)} {are} of this gateway's users",
            fix="gatecert client-ca list shows all of them; give a certificate that is new",
        )
    for each in added:
        if is_placeholder(each):
            raise CertificateError(
                f"{label(each)} is gatecert's own placeholder, from which nobody has a certificate",
                fix="give the authority that signs the users' certificates",
            )
        check_client_ca(each, now=now)
    changed = Bundle((*bundle.certificates, *added))
    _check_roots(changed, added)
    notes = [*_notes(bundle, uploaded, added)]
    notes += (found for each in added if (found := missing_crl(each, lists, now=now)))
    return Change(changed, added=added, notes=tuple(notes))


def remove(bundle: Bundle, selector: str) -> Change:
    """Take out an authority, and the intermediates that lead to no root without it.

    Args:
        bundle: What there is.
        selector: A fingerprint (SHA-256, or enough of its beginning) or a subject.

    Raises:
        WrongUsageError: None or several are meant.
    """
    chosen = _chosen(bundle, selector)
    left = Bundle(tuple(each for each in bundle.certificates if each != chosen))
    kept = Bundle(tuple(each for each in left.certificates if _leads_to_root(left, each)))
    orphans = tuple(each for each in left.certificates if each not in kept.certificates)
    notes = []
    if orphans:
        notes.append(f"removed with it, as no root is left for them: {quoted_subjects(orphans)}")
    if not kept.certificates:
        notes.append("no authority is left: nobody can log in with a certificate any more")
    return Change(kept, removed=(chosen, *orphans), notes=tuple(notes))


def _check_repetition(uploaded: Sequence[Certificate]) -> None:
    """Refuse a file in which a certificate stands twice."""
    for number, each in enumerate(uploaded):
        if each in uploaded[:number]:
            raise CertificateError(
                f"{label(each)} stands twice in the file: nothing of it is taken",
                fix="leave each certificate in it once, and see that none is missing",
            )


def _check_roots(bundle: Bundle, added: Sequence[Certificate]) -> None:
    """Refuse an intermediate whose root is not there."""
    for each in added:
        if not _leads_to_root(bundle, each):
            raise CertificateError(
                f"{label(each)} is not self-signed, and the root above it is missing: the"
                f" certificate of '{name_text(each.issuer)}' is neither in the file nor among the"
                " gateway's authorities",
                fix="put the root into the same file, or give the root alone",
            )


def _leads_to_root(bundle: Bundle, certificate: Certificate) -> bool:
    """Whether the certificates of a bundle lead from one of them to a root."""
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
    known = [each for each in uploaded if each not in added]
    if known:
        yield f"already there: {quoted_subjects(known)}"
    for each in added:
        if is_root(each) and extension(each, x509.KeyUsage) is None:
            yield f"{label(each)} has no key usage; some servers want keyCertSign said"
        if kind := unsupported_key(each):
            yield (
                f"{label(each)} has {kind}: gatecert cannot judge certificates below it, so check"
                " accepts none of them, whatever the server does"
            )
        if any(other.subject == each.subject for other in bundle.certificates):
            yield (
                f"there is another authority by the name {label(each)}: a handshake shows names"
                " only, so it cannot tell the two apart"
            )


# --------------------------------------------------------------------------- which is meant


def _chosen(bundle: Bundle, selector: str) -> Certificate:
    """The one authority that is meant."""
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
    every = "; ".join(
        f"{name_text(each.subject)}, SHA-256 {fingerprint(each)}"
        for each in found or bundle.certificates
    )
    if found:
        raise WrongUsageError(
            f"several authorities of this gateway's users are called {shown!r}: {every}",
            fix="name the fingerprint",
        )
    raise WrongUsageError(
        f"no authority of this gateway's users is called {shown!r}: there is {every or 'none'}",
        fix="name a subject or a SHA-256 fingerprint as gatecert client-ca list shows it",
    )


def _spellings(certificate: Certificate) -> Iterator[str]:
    """The ways in which a subject is written: RFC 4514, OpenSSL old and new, its common name."""
    name = certificate.subject
    parts = [part.rfc4514_string() for part in name.rdns]
    yield _plain(",".join(parts))
    yield _plain(",".join(reversed(parts)))
    yield _plain("/" + "/".join(parts))
    for attribute in name.get_attributes_for_oid(NameOID.COMMON_NAME):
        yield _plain(str(attribute.value))


def _plain(text: str) -> str:
    """A name without what people and programs write differently: case, and space around , and =."""
    return re.sub(r"\s*([,=])\s*", r"\1", " ".join(text.split())).casefold()
