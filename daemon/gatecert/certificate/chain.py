"""Validation of what a CA or an administrator provided, before anything touches ``live``.

Pure: nothing here reads a clock, a file or a socket. The rules are in ``leaf`` (the gateway's own
certificate), ``certification_path`` (which issuers lead to a root) and ``path_validation`` (whether
that path is valid).

With trusted roots, a chain that does not end there is refused. Without, it must be valid in
itself; where it ends in a root that this machine does not trust (a staging or private CA), it is
accepted with a note.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.serialization import Encoding

from gatecert.certificate.certificate_names import label, name_text, short_name
from gatecert.certificate.certification_path import Path, PathFinder
from gatecert.certificate.leaf import check_leaf, find_leaf
from gatecert.certificate.pem import split_pem
from gatecert.certificate.rules import ValidationTime
from gatecert.certificate.summary import demands_stapling
from gatecert.errors import CertificateError, clean

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.model import Identifier


CLOCK_SKEW = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class CheckedChain:
    """A validated certificate with the intermediates to serve.

    Attributes:
        certificate: The gateway's certificate, PEM.
        chain: The intermediates in order, PEM, concatenated; may be empty.
        root: The self-signed root, PEM; empty where it is not known. Never served.
        root_name: Common name of the issuer of the last certificate, cleaned.
        notes: Notes for the operator, one line each.
    """

    certificate: bytes
    chain: bytes
    root: bytes
    root_name: str
    notes: tuple[str, ...]


def check_issued(  # noqa: PLR0913 - pure: every input is a parameter
    holder: bytes,
    fullchain_pem: bytes,
    identifiers: Sequence[Identifier],
    *,
    now: datetime,
    trusted_roots: Sequence[Certificate] | None,
    system_roots: Sequence[Certificate] = (),
    clock_skew: timedelta = CLOCK_SKEW,
) -> CheckedChain:
    """Validate a certificate and its issuers, in any order.

    Args:
        holder: The private key of the certificate, or the CSR that it has signed; PEM.
        fullchain_pem: The certificate and its issuers; unrelated certificates are left out.
        identifiers: The names that the certificate must contain, at least one.
        now: Aware UTC.
        trusted_roots: The roots that the chain must end in; None accepts any valid chain.
        system_roots: The roots that this machine trusts; without one, a note is added.
        clock_skew: How far in the future a certificate may begin.

    Raises:
        CertificateError: A rule is broken; says which certificate, which rule, what to do.
    """
    if not identifiers:
        raise CertificateError(
            "cannot validate a certificate without a name", fix="give the gateway a hostname"
        )
    time = ValidationTime(now, clock_skew)
    certificates = list(dict.fromkeys(split_pem(fullchain_pem)))
    leaf = find_leaf(certificates, holder)
    notes = check_leaf(leaf, identifiers, time)
    others = [each for each in certificates if each != leaf]
    anchors = system_roots if trusted_roots is None else trusted_roots
    finder = PathFinder(leaf, others, anchors, identifiers[0], time)
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
    """Return the chain that ends in the preferred root, else the CA's default chain.

    Args:
        candidates: The CA's default chain, then its alternates (RFC 8555 section 7.4.2).
        preferred_root: Common name of a root, case-insensitive.

    Raises:
        CertificateError: There is no candidate.
    """
    if not candidates:
        raise CertificateError("the CA offers no valid chain")
    if not preferred_root:
        return candidates[0]
    for candidate in candidates:
        if is_preferred(candidate, preferred_root):
            return candidate
    offered = ", ".join(dict.fromkeys(candidate.root_name for candidate in candidates))
    note = f"no chain ends in '{clean(preferred_root, 120)}'; the CA offers: {offered}"
    return replace(candidates[0], notes=(*candidates[0].notes, note))


def is_preferred(candidate: CheckedChain, preferred_root: str) -> bool:
    """Check whether a chain ends in a root with this common name, case-insensitive."""
    return candidate.root_name.casefold() == preferred_root.casefold()


def _trust_note(path: Path) -> tuple[str, ...]:
    """Return a note where this machine does not trust the chain."""
    if path.trusted:
        return ()
    end = name_text(path.certificates[-1].issuer)
    note = (
        f"the chain ends in '{end}', which this machine does not trust (staging or private CA?):"
        " clients need that root"
    )
    return (note,)


def staple_note(leaf: Certificate) -> tuple[str, ...]:
    """Return a note where clients refuse the certificate unless the server staples."""
    if not demands_stapling(leaf):
        return ()
    note = (
        "the certificate requires OCSP stapling (Must-Staple, RFC 7633): clients refuse it unless"
        " the server staples a response"
    )
    return (note,)


def left_out_note(path: Path, others: Iterable[Certificate]) -> tuple[str, ...]:
    """Return a note that names the certificates that are not served."""
    used = {*path.certificates, path.root}
    extra = sorted(label(each) for each in others if each not in used)
    if not extra:
        return ()
    return (clean(f"not served, because not on the path to the root: {', '.join(extra)}"),)


def pem_of(certificates: Iterable[Certificate]) -> bytes:
    """Return certificates as concatenated PEM."""
    return b"".join(each.public_bytes(Encoding.PEM) for each in certificates)
