"""What a listener showed when it was asked: certificates, or why there are none.

Both are values. A listener that cannot be reached is the gateway's state, not an error of ours.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256

from gatecert.errors import clean
from gatecert.model import Endpoint, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.x509 import Certificate, Name

# Nothing there speaks TLS, or nothing speaks at all.
SILENT: Final = {
    FailureKind.NAME,
    FailureKind.REFUSED,
    FailureKind.UNREACHABLE,
    FailureKind.TIMEOUT,
    FailureKind.RESET,
}


@dataclass(frozen=True, slots=True)
class ServedChain:
    """What a listener served.

    Attributes:
        fingerprint: SHA-256 of the leaf's DER, lower-case hexadecimal.
        chain_fingerprints: The same for every further certificate, as sent.
        subject: The leaf's, RFC 4514 text, cleaned.
        issuer: The leaf's, RFC 4514 text, cleaned.
        not_after: When the leaf ends.
        ends_in_root: Whether the last certificate sent names itself as its issuer.
        requested_client_cas: The client CAs that the listener names in its certificate request, RFC
            4514 text; empty for any CA, None where it requests no client certificate.
        algorithm: The only kind of key that the client took, ``ecdsa`` or ``rsa``; empty for any.
    """

    endpoint: Endpoint
    fingerprint: str
    chain_fingerprints: tuple[str, ...]
    subject: str
    issuer: str
    not_after: datetime
    ends_in_root: bool
    requested_client_cas: tuple[str, ...] | None = None
    algorithm: str = ""


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """Why a listener showed no certificate.

    Attributes:
        detail: What happened, for the operator; follows the endpoint's name in a sentence.
        algorithm: The only kind of key that the client took, ``ecdsa`` or ``rsa``; empty for any.
    """

    endpoint: Endpoint
    kind: FailureKind
    detail: str
    algorithm: str = ""


def describe(
    endpoint: Endpoint,
    certificates: Sequence[Certificate],
    requested_client_cas: Iterable[Name] | None = None,
) -> ServedChain:
    """Keep of a handshake what comparison and operator need.

    Args:
        endpoint: Which listener it was.
        certificates: What it served, the leaf first.
        requested_client_cas: The client CAs in its certificate request; None without a request.
    """
    leaf, *others = certificates
    last = certificates[-1]
    return ServedChain(
        endpoint=endpoint,
        fingerprint=leaf.fingerprint(SHA256()).hex(),
        chain_fingerprints=tuple(other.fingerprint(SHA256()).hex() for other in others),
        subject=clean(leaf.subject.rfc4514_string()),
        issuer=clean(leaf.issuer.rfc4514_string()),
        not_after=leaf.not_valid_after_utc,
        ends_in_root=last.subject == last.issuer,
        requested_client_cas=None
        if requested_client_cas is None
        else tuple(name.rfc4514_string() for name in requested_client_cas),
    )
