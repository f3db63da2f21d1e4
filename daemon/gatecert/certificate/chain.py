"""Checking what an authority or an administrator handed over, before anything touches ``live``.

Pure: nothing here reads a clock, a file or a socket. The rules are in ``leaf`` (the gateway's own
certificate), ``path`` (which issuers are on the way to a root) and ``validation`` (whether that
way holds); this module tells the story, and is what the rest of the program imports.

With trusted roots, a chain that does not end there is refused. Without, it must be sound in
itself; when it ends in a root that this machine does not trust (a staging or private authority),
it is taken and said so.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from gatecert.certificate.certificate_names import label, name_text, short_name
from gatecert.certificate.certification_path import Path, PathFinder
from gatecert.certificate.leaf import check_leaf, find_leaf
from gatecert.certificate.pem import load_roots, split_pem
from gatecert.certificate.rules import ValidationTime
from gatecert.certificate.summary import certificate_id, demands_stapling, summarize
from gatecert.errors import CertificateError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.model import Identifier

__all__ = [
    "CheckedChain",
    "certificate_id",
    "check_issued",
    "choose_chain",
    "is_preferred",
    "left_out_note",
    "load_roots",
    "pem_of",
    "split_pem",
    "staple_note",
    "summarize",
]

CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CheckedChain:
    """A certificate with the intermediates to serve, all found good.

    Attributes:
        certificate: The gateway's certificate, PEM.
        chain: The intermediates in order, PEM, concatenated; may be empty.
        root: The self-signed root, PEM; empty where it is not known. Never served.
        root_name: Common name of whoever issued the last certificate, cleaned.
        notes: Things worth telling the operator, one line each.
    """

    certificate: bytes
    chain: bytes
    root: bytes
    root_name: str
    notes: tuple[str, ...]


def check_issued(  # noqa: PLR0913 - everything that the verdict depends on is passed in
    private_key: bytes,
    fullchain_pem: bytes,
    identifiers: Sequence[Identifier],
    *,
    now: datetime,
    trusted_roots: Sequence[Certificate] | None,
    system_roots: Sequence[Certificate] = (),
    clock_skew: timedelta = CLOCK_SKEW,
) -> CheckedChain:
    """Check a certificate and its issuers, in whatever order they come.

    Args:
        private_key: The key that the certificate has to be for, PEM.
        fullchain_pem: The certificate and its issuers; what does not belong is left out.
        identifiers: The names that have to stand in the certificate, at least one.
        now: Aware UTC.
        trusted_roots: Where the chain has to end; None where any sound chain is taken.
        system_roots: What this machine trusts; decides only on a note.
        clock_skew: How far in the future a certificate may begin.

    Raises:
        CertificateError: Something is not sound; says which certificate, which rule, what to do.
    """
    if not identifiers:
        raise CertificateError(
            "a certificate cannot be checked without a name", fix="give the gateway a hostname"
        )
    clock = ValidationTime(now, clock_skew)
    certificates = list(dict.fromkeys(split_pem(fullchain_pem)))
    leaf = find_leaf(certificates, private_key)
    notes = check_leaf(leaf, identifiers, clock)
    others = [each for each in certificates if each != leaf]
    anchors = system_roots if trusted_roots is None else trusted_roots
    finder = PathFinder(leaf, others, anchors, identifiers[0], clock)
    path = finder.find(trust_required=trusted_roots is not None)
    notes += (*path.notes, *_trust_note(path), *staple_note(leaf), *left_out_note(path, others))
    return CheckedChain(
        certificate=pem_of([leaf]),
        chain=pem_of(path.certificates[1:]),
        root=pem_of([path.root] if path.root else []),
        root_name=short_name(path.certificates[-1].issuer),
        notes=notes,
    )


def choose_chain(candidates: Sequence[CheckedChain], preferred_root: str | None) -> CheckedChain:
    """The chain that ends in the preferred root, else the one the authority gave first.

    Args:
        candidates: The authority's chain, then its alternates (RFC 8555 section 7.4.2).
        preferred_root: Common name of a root, upper or lower case.

    Raises:
        CertificateError: There is no candidate.
    """
    if not candidates:
        raise CertificateError("the authority offers no chain that holds")
    if not preferred_root:
        return candidates[0]
    for candidate in candidates:
        if is_preferred(candidate, preferred_root):
            return candidate
    offered = ", ".join(dict.fromkeys(candidate.root_name for candidate in candidates))
    note = f"no chain ends in '{clean(preferred_root, 120)}'; the authority offers: {offered}"
    return replace(candidates[0], notes=(*candidates[0].notes, note))


def is_preferred(candidate: CheckedChain, preferred_root: str) -> bool:
    """Whether a chain ends in a root of that common name, upper or lower case."""
    return candidate.root_name.casefold() == preferred_root.casefold()


def _trust_note(path: Path) -> tuple[str, ...]:
    """Says so when this machine does not trust the chain."""
    if path.trusted:
        return ()
    end = name_text(path.certificates[-1].issuer)
    note = (
        f"the chain ends in '{end}', which this machine does not trust (a staging or private"
        " authority?): clients need that root"
    )
    return (note,)


def staple_note(leaf: Certificate) -> tuple[str, ...]:
    """Says that clients refuse the certificate where the server does not staple."""
    if not demands_stapling(leaf):
        return ()
    note = (
        "the certificate demands OCSP stapling (Must-Staple, RFC 7633): clients refuse it unless"
        " the server staples a response"
    )
    return (note,)


def left_out_note(path: Path, others: Iterable[Certificate]) -> tuple[str, ...]:
    """Says which certificates are not going to be served."""
    used = {*path.certificates, path.root}
    extra = sorted(label(each) for each in others if each not in used)
    if not extra:
        return ()
    return (clean(f"left out of the chain, as not on the way to its root: {', '.join(extra)}"),)


def pem_of(certificates: Iterable[Certificate]) -> bytes:
    """Certificates as PEM, one after the other."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
