"""Versions that all hosts of a cluster install: a row for each generation.

The row, the end of the lease and the end of the order are one transaction. A host that sees a newer
generation than it has copies it, and checks that the key fits: a mistaken or forged row never
becomes a version. Chains and roots are the same for many versions, so each is stored once.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from psycopg.types.json import Jsonb

from gatecert.errors import StorageError
from gatecert.model import IssuedChain, Origin
from gatecert.store import pem_files
from gatecert.store.postgres import intent_rows, lease_rows
from gatecert.store.postgres.damaged_rows import damaged
from gatecert.store.postgres.sealing import is_key_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from uuid import UUID

    from psycopg import Connection

    from gatecert.store.postgres.sealing import SealingKeys

INSERT = """
INSERT INTO version (gateway, generation, fingerprint, not_after, details, certificate, chain, root,
  sealed_key, second_certificate, second_chain, second_root, sealed_second_key)
VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""

INSERT_ISSUER = "INSERT INTO issuer (digest, pem) VALUES (%s, %s) ON CONFLICT DO NOTHING"

INSTALL = """
UPDATE gateway SET generation = %(generation)s, not_after = %(not_after)s, due = NULL,
  lease = NULL, lease_host = NULL, lease_until = NULL
WHERE name = %(gateway)s AND generation < %(generation)s
"""

KNOWN = """
SELECT gateway.generation, version.fingerprint, version.not_after
FROM gateway LEFT JOIN version ON version.gateway = gateway.name
  AND version.generation = gateway.generation AND version.cluster = gateway.cluster
WHERE gateway.name = %s
"""

NEWEST = """
SELECT generation, fingerprint, created, details,
  certificate,
  (SELECT pem FROM issuer WHERE digest = chain),
  (SELECT pem FROM issuer WHERE digest = root),
  sealed_key,
  second_certificate,
  (SELECT pem FROM issuer WHERE digest = second_chain),
  (SELECT pem FROM issuer WHERE digest = second_root),
  sealed_second_key
FROM version WHERE gateway = %s AND generation > %s ORDER BY generation DESC LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class KnownGeneration:
    """The newest generation of a gateway.

    Attributes:
        number: Zero without any.
        fingerprint: SHA-256 of its certificate, hexadecimal; None if its row is lost.
        not_after: End of its certificate; None likewise.
    """

    number: int = 0
    fingerprint: str | None = None
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class SharedVersion:
    """A version that another host may have obtained.

    Attributes:
        fingerprint: SHA-256 of the certificate, hexadecimal.
    """

    generation: int
    fingerprint: str
    created: datetime
    issued: IssuedChain


def install(
    connection: Connection, gateway: str, token: UUID, issued: IssuedChain, keys: SealingKeys
) -> int:
    """Add a version, close its order, and end the lease; return its generation.

    Earlier generations are deleted: every host that has one keeps it in its files.

    Args:
        connection: In a transaction.
        gateway: Its name.
        token: The lease.
        issued: The version.
        keys: Seal its keys.

    Raises:
        LeaseLostError: Another host has taken the lease.
    """
    newest = lease_rows.fence(connection, gateway, token)
    generation = intent_rows.last_generation(connection, gateway)
    if generation <= newest:  # the intent is lost
        generation = intent_rows.next_generation(connection, gateway, newest)
    insert(connection, gateway, generation, issued, keys)
    for table in ("version", "intent"):
        connection.execute(
            f"DELETE FROM {table} WHERE gateway = %s AND generation < %s",  # noqa: S608 - constants
            (gateway, generation),
        )
    return generation


def insert(
    connection: Connection, gateway: str, generation: int, issued: IssuedChain, keys: SealingKeys
) -> None:
    """Add a version, which ends its order and, as the newest, the lease; once a generation.

    A host without the lease looks before whether another one holds it (`lease_rows.is_free`).
    """
    certificate, second = leaf(issued.certificate), issued.second
    connection.execute(
        INSERT,
        (
            gateway,
            generation,
            fingerprint_of(issued.certificate),
            certificate.not_valid_after_utc,
            Jsonb(
                {
                    "authority": issued.authority,
                    "order_url": issued.order_url,
                    "notes": list(issued.notes),
                    "is_urgent": issued.is_urgent,
                }
            ),
            *_half(connection, issued, keys),
            *(_half(connection, second, keys) if second else (None,) * 4),
        ),
    )
    connection.execute(
        INSTALL,
        {
            "gateway": gateway,
            "generation": generation,
            "not_after": certificate.not_valid_after_utc,
        },
    )
    intent_rows.close_up_to(connection, gateway, generation)


def known(connection: Connection, gateway: str) -> KnownGeneration:
    """Return the newest generation of a gateway, without the keys."""
    row = connection.execute(KNOWN, (gateway,)).fetchone()
    return KnownGeneration() if row is None else KnownGeneration(*row)


def newer(
    connection: Connection, gateway: str, than: int, keys: SealingKeys
) -> SharedVersion | None:
    """Return the newest version if its generation is greater than one.

    Raises:
        SealingKeyMissingError: Its key is sealed with a key that this host does not have.
        StorageError: It is damaged, or its key does not fit.
    """
    row = connection.execute(NEWEST, (gateway, than)).fetchone()
    if row is None:
        return None
    generation, fingerprint, created, details, *halves = row
    first, second = halves[:4], halves[4:]
    what = f"generation {generation} of gateway {gateway}"
    issued = _opened(what, first, details, keys)
    if second[0] is not None:
        issued = replace(issued, second=_opened(f"the second half of {what}", second, {}, keys))
    if fingerprint_of(issued.certificate) != fingerprint:
        raise damaged(what, "its fingerprint is that of another certificate")
    return SharedVersion(generation, fingerprint, created, issued)


def leaf(certificate: bytes) -> x509.Certificate:
    """Parse the leaf of a version, PEM.

    Raises:
        StorageError: It is damaged.
    """
    try:
        return x509.load_pem_x509_certificate(certificate)
    except ValueError as error:
        raise _unusable() from error


def fingerprint_of(certificate: bytes) -> str:
    """Return the SHA-256 fingerprint of a leaf, hexadecimal.

    Args:
        certificate: PEM.
    """
    return leaf(certificate).fingerprint(hashes.SHA256()).hex()


def _half(
    connection: Connection, issued: IssuedChain, keys: SealingKeys
) -> tuple[str, bytes | None, bytes | None, bytes | None]:
    """Return certificate, digests of chain and root, and sealed key if there is one, for a row."""
    chain, root = (_enter_issuer(connection, pem) for pem in (issued.chain, issued.root))
    sealed = keys.seal(issued.private_key) if issued.private_key else None
    return _text(issued.certificate), chain, root, sealed


def _enter_issuer(connection: Connection, pem: bytes) -> bytes | None:
    """Store a chain or root unless it is stored; return its digest, None if it is empty."""
    text = _text(pem)
    if not text:
        return None
    digest = sha256(text.encode()).digest()
    connection.execute(INSERT_ISSUER, (digest, text))
    return digest


def _opened(
    what: str, half: Sequence[Any], details: Mapping[str, object], keys: SealingKeys
) -> IssuedChain:
    """Return a chain with its key, both checked."""
    certificate, chain, root, sealed = half
    private_key, encoded = keys.open(sealed, f"the key of {what}"), certificate.encode()
    if not is_key_of(private_key, encoded):
        raise damaged(what, "its key does not fit its certificate")
    if chain and not pem_files.has_certificates(chain.encode()):
        raise damaged(what, "its chain is no certificate")
    notes = details.get("notes")
    return IssuedChain(
        private_key,
        encoded,
        (chain or "").encode(),
        Origin.AUTHORITY,
        (root or "").encode(),
        authority=str(details.get("authority", "")),
        order_url=str(details.get("order_url", "")),
        notes=tuple(map(str, notes)) if isinstance(notes, list) else (),
        is_urgent=details.get("is_urgent") is True,
    )


def _text(pem: bytes) -> str:
    """Return certificates as the text of a row.

    Raises:
        StorageError: They are damaged.
    """
    whole = pem_files.joined(pem)
    if not whole.isascii() or b"\0" in whole:
        raise _unusable()
    return whole.decode("ascii")


def _unusable() -> StorageError:
    return StorageError(
        "a certificate in the files of this host is damaged, so it is not shared",
        fix="no action needed: gatecert uses or makes an intact version instead",
    )
