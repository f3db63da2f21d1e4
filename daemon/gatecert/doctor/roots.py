"""Find the root of a chain, and whether this machine trusts it. Pure.

A root that this machine trusts comes first, whichever certificate of the chain it issued: clients
with the same trust store need no other. Otherwise it is the root that was stored when the chain was
issued or imported; clients need that root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.hashes import SHA256

from gatecert.certificate.certificate_names import name_text
from gatecert.doctor.facts import Root

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.x509 import Certificate


def find_root(
    chain: Sequence[Certificate], stored: Iterable[Certificate], trusted: Sequence[Certificate]
) -> Root:
    """Return the root of a chain.

    Args:
        chain: The gateway's certificate, then its intermediates.
        stored: Roots that came with it.
        trusted: Roots that this machine trusts.
    """
    for certificate in reversed(chain):
        for root in trusted:
            if certificate == root or _issued(certificate, root):
                return _root(root, trusted=True)
    for root in stored:
        if any(_issued(certificate, root) for certificate in chain):
            return _root(root, trusted=False)
    return Root(name_text(chain[-1].issuer))


def _root(certificate: Certificate, *, trusted: bool) -> Root:
    return Root(
        name=name_text(certificate.subject),
        certificate=certificate,
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        trusted=trusted,
    )


def _issued(child: Certificate, issuer: Certificate) -> bool:
    """Whether one certificate signed another: by name, by key identifiers, by signature."""
    if child.issuer != issuer.subject or _key_identifiers_differ(child, issuer):
        return False
    try:
        child.verify_directly_issued_by(issuer)
    except (InvalidSignature, UnsupportedAlgorithm, TypeError, ValueError):
        return False
    return True


def _key_identifiers_differ(child: Certificate, issuer: Certificate) -> bool:
    """Whether the child names another key than the issuer's (RFC 5280 section 4.2.1.1)."""
    try:
        wanted = child.extensions.get_extension_for_class(x509.AuthorityKeyIdentifier).value
        found = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    except x509.ExtensionNotFound:
        return False
    return wanted.key_identifier is not None and wanted.key_identifier != found.digest
