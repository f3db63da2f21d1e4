"""Checking what an administrator imports: stricter than what an authority hands over. Pure.

There is no authority to ask again, so the certificates have to lead all the way to a self-signed
root, which is kept and not served. Names may also be covered by a wildcard (RFC 9525 section 6.3),
since whoever signs a request may well answer it with one. Everything else is as in ``chain``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
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
from gatecert.certificate.leaf import check_leaf, find_leaf
from gatecert.certificate.rules import ValidationTime
from gatecert.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.model import Identifier

FAILED = "Failed verifying the device certificate with the certificate chain"


def check_imported(  # noqa: PLR0913 - everything that the verdict depends on is passed in
    private_key: bytes,
    certificates: Sequence[Certificate],
    identifiers: Sequence[Identifier],
    *,
    now: datetime,
    system_roots: Collection[Certificate],
    preferred: Collection[Certificate] = (),
) -> CheckedChain:
    """Check a certificate and all its issuers, in whatever order they come.

    Args:
        private_key: The key that the certificate has to be for, PEM.
        certificates: What was handed in, without repetition; what does not belong is left out.
        identifiers: The names that the certificate has to be good for, at least one.
        now: Aware UTC.
        system_roots: What this machine trusts; decides only on a note.
        preferred: Those of the certificate's own file: where several are for the key, the only one
            of these is meant.

    Raises:
        CertificateError: Something is not sound; says which certificate, which rule, what to do.
    """
    clock = ValidationTime(now, CLOCK_SKEW)
    leaf = find_leaf(certificates, private_key, preferred)
    _check_names_are_there(leaf)
    notes = check_leaf(leaf, uncovered_names(identifiers, identifiers_of(leaf)), clock)
    others = [each for each in certificates if each != leaf]
    path, root = _find_path(leaf, others, identifiers[0], clock)
    notes += (*path.notes, *staple_note(leaf), *_trust_note(root, system_roots))
    return CheckedChain(
        certificate=pem_of([leaf]),
        chain=pem_of(path.certificates[1:]),
        root=pem_of([root]),
        root_name=short_name(root.subject),
        notes=(*notes, *left_out_note(path, [each for each in others if each != root])),
    )


def key_identifier(certificate: Certificate, *, of_issuer: bool = False) -> str:
    """The key identifier of a certificate or of its issuer (RFC 5280 section 4.2.1), as text."""
    extensions = certificate.extensions
    try:
        if of_issuer:
            found = extensions.get_extension_for_class(x509.AuthorityKeyIdentifier)
            identifier = found.value.key_identifier or b""
        else:
            identifier = extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value.digest
    except x509.ExtensionNotFound:
        identifier = b""
    return identifier.hex(":").upper() or "not stated"


def _find_path(
    leaf: Certificate, others: Sequence[Certificate], name: Identifier, clock: ValidationTime
) -> tuple[Path, Certificate]:
    """The way to a self-signed root that was handed in, and that root."""
    finder = PathFinder(leaf, others, (), name, clock)
    try:
        end = finder.certificate_without_issuer()
        if end is not None:
            raise _missing_issuer(end, others)
        anchors = [each for each in others if finder.is_self_signed(each)]
        path = PathFinder(leaf, others, anchors, name, clock).find(trust_required=True)
    except CertificateError as error:
        raise CertificateError(f"{FAILED}: {error.message}", fix=error.fix) from error
    return path, path.root or finder.roots(path.certificates)[0]


def _missing_issuer(end: Certificate, others: Iterable[Certificate]) -> CertificateError:
    """Which certificate would have continued the chain."""
    wanted = key_identifier(end, of_issuer=True)
    message = (
        f"the certificate of '{name_text(end.issuer)}' (key identifier {wanted}), which"
        f" issued {label(end)}, is missing"
    )
    namesakes = [each for each in others if each.subject == end.issuer]
    if namesakes:
        message += (
            f"; the one with that name that was given has another key (key identifier"
            f" {key_identifier(namesakes[0])}) and did not sign it"
        )
    fix = "add it to the chain file, and every further issuer up to the self-signed root"
    return CertificateError(message, fix=fix)


def _check_names_are_there(leaf: Certificate) -> None:
    """Refuse a certificate without subjectAltName, the commonest slip of a hand-run authority."""
    if identifiers_of(leaf):
        return
    raise CertificateError(
        f"the certificate {label(leaf)} has no name in subjectAltName, where alone clients look:"
        " the names of the CSR were left out when it was signed",
        fix="sign the CSR again with its extensions: openssl x509 -req -copy_extensions copy, or"
        " copy_extensions = copy in the section of openssl ca",
    )


def _trust_note(root: Certificate, system_roots: Collection[Certificate]) -> tuple[str, ...]:
    """Says so when this machine does not trust the root."""
    if root in system_roots:
        return ()
    fingerprint = root.fingerprint(hashes.SHA256()).hex()
    note = (
        f"this machine does not trust the root '{name_text(root.subject)}': clients need it"
        f" (SHA-256 {fingerprint})"
    )
    return (note,)
