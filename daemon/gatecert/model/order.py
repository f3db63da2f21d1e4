"""What: the way from a key to an issued chain (RFC 8555), and what outlives a crash on it."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from gatecert.model.certificate import Origin
from gatecert.model.identifier import Identifier


@dataclass(frozen=True, slots=True)
class KeyRequest:
    """A private key that waits for its certificate.

    Attributes:
        id: Name of its directory below ``requests/``.
        csr: Certificate signing request, PEM.
    """

    id: str
    created: datetime
    private_key: bytes = field(repr=False)
    csr: bytes


@dataclass(frozen=True, slots=True)
class PendingOrder:
    """An order that has been placed and not yet been brought to an end.

    Attributes:
        authority: Name of the authority in the configuration.
        directory_url: Its directory, so that an order is never resumed elsewhere.
        url: The order's URL (RFC 8555 section 7.4).
        request_id: The key request whose key and CSR belong to it.
        replaces: CertID of the certificate that the authority was told it replaces (RFC 9773).
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
        url: Account URL; empty when only the key is known.
        directory_url: The authority it was made at.
    """

    private_key: bytes = field(repr=False)
    url: str = ""
    directory_url: str = ""
    contact: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class IssuedChain:
    """A key with its certificate and the certificates of its issuers, checked.

    Attributes:
        certificate: The leaf, PEM.
        chain: The intermediates, PEM, concatenated, the leaf's issuer first; may be empty.
        root: The self-signed root where it is known, PEM; kept, never served.
        authority: Name of the authority in the configuration, empty otherwise.
        order_url: Where it came from, empty for bootstrap and imports.
        notes: Things worth telling the operator, one line each.
        second: The one of the other algorithm that goes with it.
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


@dataclass(frozen=True, slots=True)
class TextRecord:
    """A TXT record that answers a challenge.

    Attributes:
        name: Where it stands: lower-case A-labels without a final dot, aliases followed.
        value: Its text; no secret, since everybody may look it up.
        zone: The zone it stands in, written like the name.
    """

    name: str
    value: str
    zone: str


@dataclass(frozen=True, slots=True)
class PublishedRecord:
    """A TXT record that may stand in the DNS and has to be withdrawn.

    Attributes:
        id: Name of its entry in the journal.
        at: When it was about to be published.
        abandoned: Whether nobody works with it any more: its process is gone, or gave it up.
    """

    id: str
    record: TextRecord
    at: datetime
    abandoned: bool = False
