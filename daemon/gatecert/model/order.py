"""Orders (RFC 8555): from a key to an issued chain, and the state that survives a crash."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gatecert.model.certificate import Origin
from gatecert.model.identifier import Identifier


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A private key that has no certificate yet.

    Attributes:
        id: Name of its directory below ``requests/``.
        private_key: PEM; empty if a gateway in the field keeps it.
        csr: Certificate signing request, PEM.
        generation: Of the certificate that is ordered for all hosts of a cluster; zero for a
            request of this host only.
        directory_url: Where it is ordered, with a generation.
    """

    id: str
    created: datetime
    private_key: bytes = field(repr=False)
    csr: bytes
    generation: int = 0
    directory_url: str = ""


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order that has been placed and is not finished.

    Attributes:
        authority: Name of the authority in the configuration.
        directory_url: Its directory, so that no order is resumed at another CA.
        url: The order's URL (RFC 8555 section 7.4).
        request_id: The key request with its key and CSR.
        replaces: CertID of the certificate that the order replaces (RFC 9773).
    """

    authority: str
    directory_url: str
    url: str
    request_id: str
    identifiers: tuple[Identifier, ...]
    created: datetime
    replaces: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """An ACME account (RFC 8555 section 7.1.2).

    Attributes:
        private_key: Account key, PEM (PKCS #8).
        url: Account URL; empty where only the key is known.
        directory_url: The directory of its CA.
    """

    private_key: bytes = field(repr=False)
    url: str = ""
    directory_url: str = ""
    contact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuedChain:
    """A key with its validated certificate and the certificates of its issuers.

    Attributes:
        private_key: PEM; empty if a gateway in the field keeps it.
        certificate: The leaf, PEM.
        chain: The intermediates, PEM, concatenated, the leaf's issuer first; may be empty.
        root: The self-signed root where it is known, PEM; kept, never served.
        authority: Name of the authority in the configuration, empty otherwise.
        order_url: The URL of its order, empty for bootstrap and imports.
        notes: Notes for the operator, one line each.
        second: The chain of the other key algorithm that belongs to it.
        is_urgent: Whether it replaces a revoked certificate, so that no host waits with it.
    """

    private_key: bytes = field(repr=False)
    certificate: bytes
    chain: bytes
    origin: Origin
    root: bytes = b""
    authority: str = ""
    order_url: str = ""
    notes: tuple[str, ...] = ()
    second: IssuedChain | None = None
    is_urgent: bool = False


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A TXT record that answers a challenge.

    Attributes:
        name: Lower-case A-labels without a trailing dot, aliases followed.
        value: Its text; not secret, since anyone may look it up.
        zone: The zone of the record, written like the name.
    """

    name: str
    value: str
    zone: str


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A TXT record that may exist in the DNS and has to be removed.

    Attributes:
        id: Name of its entry in the journal.
        at: When its publication began.
        abandoned: Whether no process uses it any more: its process ended or gave up.
    """

    id: str
    record: TextRecord
    at: datetime
    abandoned: bool = False
