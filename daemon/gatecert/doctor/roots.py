"""Find the root of a chain, and whether this machine trusts it. Pure.

A root that this machine trusts comes first, whichever certificate of the chain it issued: clients
with the same trust store need no other. Otherwise it is the root that was stored when the chain was
issued or imported; clients need that root.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.hashes import SHA256

from gatecert.certificate.certificate_names import name_text
from gatecert.certificate.rules import is_signed_by
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
            if certificate == root or is_signed_by(certificate, root):
                return _root(root, trusted=True)
    for root in stored:
        if any(is_signed_by(certificate, root) for certificate in chain):
            return _root(root, trusted=False)
    return Root(name_text(chain[-1].issuer))


def _root(certificate: Certificate, *, trusted: bool) -> Root:
    return Root(
        name=name_text(certificate.subject),
        certificate=certificate,
        fingerprint=certificate.fingerprint(SHA256()).hex(),
        trusted=trusted,
    )
