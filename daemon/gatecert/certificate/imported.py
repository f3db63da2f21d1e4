"""Validation of imported certificates: stricter than for issued ones. Pure.

No CA can be asked again, so the certificates must lead to a self-signed root, which is kept and
not served. A wildcard may cover a name (RFC 9525 section 6.3), since a CA may answer a request
with one. Everything else is as in ``chain``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives import hashes

from gatecert.certificate.certificate_names import (
    identifiers_of,
    label,
    name_text,
    short_name,
    uncovered_names,
)
from gatecert.certificate.certification_path import Path, PathFinder
from gatecert.certificate.chain import (
    CLOCK_SKEW,
    CheckedChain,
    left_out_note,
    pem_of,
    staple_note,
)
from gatecert.certificate.extensions import (
    authority_key_identifier,
    subject_key_identifier,
)
from gatecert.certificate.leaf import check_leaf, find_leaf
from gatecert.certificate.rules import ValidationTime
from gatecert.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.model import Identifier

FAILED = "Failed verifying the device certificate with the certificate chain"


def check_imported(  # noqa: PLR0913 - pure: every input is a parameter
    private_key: bytes,
    certificates: Sequence[Certificate],
    identifiers: Sequence[Identifier],
    *,
    now: datetime,
    system_roots: Collection[Certificate],
    preferred: Collection[Certificate] = (),
) -> CheckedChain:
    """Validate a certificate and all its issuers, in any order.

    Args:
        private_key: The key of the certificate, PEM.
        certificates: The certificates given, without repetition; unrelated ones are left out.
        identifiers: The names that the certificate must cover, at least one.
        now: Aware UTC.
        system_roots: The roots that this machine trusts; without one, a note is added.
        preferred: The certificates of the certificate file: of several for the key, the only one
            among these is used.

    Raises:
        CertificateError: A rule is broken; says which certificate, which rule, what to do.
    """
    time = ValidationTime(now, CLOCK_SKEW)
    leaf = find_leaf(certificates, private_key, preferred)
    _check_names_are_there(leaf)
    notes = check_leaf(leaf, uncovered_names(identifiers, identifiers_of(leaf)), time)
    others = [each for each in certificates if each != leaf]
    path, root = _find_path(leaf, others, identifiers[0], time)
    notes += (*path.notes, *staple_note(leaf), *_trust_note(root, system_roots))
    return CheckedChain(
        certificate=pem_of([leaf]),
        chain=pem_of(path.certificates[1:]),
        root=pem_of([root]),
        root_name=short_name(root.subject),
        notes=(*notes, *left_out_note(path, [each for each in others if each != root])),
    )


def _find_path(
    leaf: Certificate, others: Sequence[Certificate], name: Identifier, time: ValidationTime
) -> tuple[Path, Certificate]:
    """Return the path to one of the self-signed roots given, and that root."""
    finder = PathFinder(leaf, others, (), name, time)
    try:
        end = finder.certificate_without_issuer()
        if end is not None:
            raise _missing_issuer(end, others)
        anchors = [each for each in others if finder.is_self_signed(each)]
        path = PathFinder(leaf, others, anchors, name, time).find(trust_required=True)
    except CertificateError as error:
        raise CertificateError(f"{FAILED}: {error.message}", fix=error.fix) from error
    return path, path.root or finder.roots(path.certificates)[0]


def _missing_issuer(end: Certificate, others: Iterable[Certificate]) -> CertificateError:
    """Return the error that names the missing certificate."""
    wanted = authority_key_identifier(end) or "not stated"
    message = (
        f"the certificate of '{name_text(end.issuer)}' (key identifier {wanted}), which"
        f" issued {label(end)}, is missing"
    )
    namesakes = [each for each in others if each.subject == end.issuer]
    if namesakes:
        message += (
            f"; the given certificate of that name has another key (key identifier"
            f" {subject_key_identifier(namesakes[0]) or 'not stated'}) and did not sign it"
        )
    fix = "add it and every further issuer up to the self-signed root to the chain file"
    return CertificateError(message, fix=fix)


def _check_names_are_there(leaf: Certificate) -> None:
    """Refuse a certificate without subjectAltName, a common mistake of manually run CAs."""
    if identifiers_of(leaf):
        return
    raise CertificateError(
        f"the certificate {label(leaf)} has no name in subjectAltName, the only place where"
        " clients look: the names of the CSR were left out when it was signed",
        fix="sign the CSR again with its extensions: openssl x509 -req -copy_extensions copy, or"
        " copy_extensions = copy in the section of openssl ca",
    )


def _trust_note(root: Certificate, system_roots: Collection[Certificate]) -> tuple[str, ...]:
    """Return a note where this machine does not trust the root."""
    if root in system_roots:
        return ()
    fingerprint = root.fingerprint(hashes.SHA256()).hex()
    note = (
        f"this machine does not trust the root '{name_text(root.subject)}': clients need it"
        f" (SHA-256 {fingerprint})"
    )
    return (note,)
