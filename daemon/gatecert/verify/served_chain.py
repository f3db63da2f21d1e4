"""The result of a handshake with a listener: its certificates, or the reason for their absence.

Both are values: an unreachable listener is a state of the gateway, not an error of gatecert.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Final

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import DuplicateExtension, UnsupportedGeneralNameType

from gatecert.certificate.certificate_names import identifiers_of
from gatecert.errors import clean
from gatecert.model import Endpoint, FailureKind

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from cryptography.x509 import Certificate, Name

NAMES_SHOWN: Final = 3

# No TLS peer answered.
SILENT: Final = {
    FailureKind.NAME,
    FailureKind.REFUSED,
    FailureKind.UNREACHABLE,
    FailureKind.TIMEOUT,
    FailureKind.RESET,
}


@dataclass(frozen=True, slots=True)
class ServedChain:
    """A certificate chain that a listener served.

    Attributes:
        fingerprint: SHA-256 of the leaf's DER, lower-case hexadecimal.
        chain_fingerprints: Those of the further certificates, as sent.
        name: The leaf's first subject alternative names, else its subject; cleaned.
        issuer: The leaf's issuer, RFC 4514 text, cleaned.
        not_after: The end of the leaf's validity.
        ends_in_root: Whether the last certificate sent names itself as its issuer.
        requested_client_cas: The client CAs that the listener names in its certificate request, RFC
            4514 text; empty for any CA, None where it requests no client certificate.
        algorithm: The only key type that the client accepted, ``ecdsa`` or ``rsa``; empty for any.
    """

    endpoint: Endpoint
    fingerprint: str
    chain_fingerprints: tuple[str, ...]
    name: str
    issuer: str
    not_after: datetime
    ends_in_root: bool
    requested_client_cas: tuple[str, ...] | None = None
    algorithm: str = ""


@dataclass(frozen=True, slots=True)
class ProbeFailure:
    """The reason why a listener showed no certificate.

    Attributes:
        detail: A description for the operator; follows the endpoint's name in a sentence.
        algorithm: The only key type that the client accepted, ``ecdsa`` or ``rsa``; empty for any.
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
    """Extract from a handshake what the comparison and the operator need.

    Args:
        endpoint: The listener.
        certificates: The certificates it served, leaf first.
        requested_client_cas: The client CAs in its certificate request; None without a request.
    """
    leaf, *others = certificates
    last = certificates[-1]
    return ServedChain(
        endpoint=endpoint,
        fingerprint=leaf.fingerprint(SHA256()).hex(),
        chain_fingerprints=tuple(other.fingerprint(SHA256()).hex() for other in others),
        name=_name(leaf),
        issuer=clean(leaf.issuer.rfc4514_string()),
        not_after=leaf.not_valid_after_utc,
        ends_in_root=last.subject == last.issuer,
        requested_client_cas=None
        if requested_client_cas is None
        else tuple(name.rfc4514_string() for name in requested_client_cas),
    )


def _name(leaf: Certificate) -> str:
    """Return the first subject alternative names of a certificate, else its subject."""
    names: list[str] = []
    with suppress(ValueError, DuplicateExtension, UnsupportedGeneralNameType):
        names = [identifier.value for identifier in identifiers_of(leaf)]
    more = f" and {len(names) - NAMES_SHOWN} more" if len(names) > NAMES_SHOWN else ""
    return clean(", ".join(names[:NAMES_SHOWN]) + more or leaf.subject.rfc4514_string())
