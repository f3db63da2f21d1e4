"""CSRs for certificates that a CA signs outside gatecert, and their keys.

A key is created on the gateway and never leaves its state directory; only the CSR does. It remains
until a certificate for it is imported, whatever CSRs follow: a later CSR does not orphan an earlier
one that the CA is processing.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.custom.member import common_name, require_member
from gatecert.errors import CertificateError, WrongUsageError
from gatecert.model import KeyRequest, Mode
from gatecert.time_format import instant

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.model import Target
    from gatecert.store.protocol import Store

PREFIX = "csr-"


@dataclass(frozen=True, slots=True)
class PendingRequest:
    """A CSR without a certificate yet.

    Attributes:
        key_fingerprint: SHA-256 of the SubjectPublicKeyInfo DER, lower-case hexadecimal.
    """

    request: KeyRequest
    key_fingerprint: str

    def __str__(self) -> str:
        made = instant(self.request.created)
        return f"made {made} with key SHA-256 {self.key_fingerprint}"


@dataclass(frozen=True, slots=True)
class NewRequest:
    """The result of asking for a CSR.

    Attributes:
        is_new: Whether key and CSR were just created.
        outdated: The newest earlier CSR, if it does not match the configuration any more.
    """

    pending: PendingRequest
    is_new: bool
    outdated: PendingRequest | None = None


def pending_requests(store: Store, gateway: str) -> tuple[PendingRequest, ...]:
    """Return every pending CSR, newest first."""
    return tuple(
        PendingRequest(request, key.fingerprint(key.load(request.private_key).public_key()))
        for request in store.requests(gateway)
        if request.id.startswith(PREFIX) and _is_readable(request)
    )


def remove_used_requests(store: Store, gateway: str) -> None:
    """Remove the CSRs whose key has a certificate, including those of before a crash.

    Raises:
        StorageError: A CSR cannot be removed.
    """
    used = {_fingerprint(version.certificate) for version in store.versions(gateway)}
    for each in pending_requests(store, gateway):
        if each.key_fingerprint in used:
            store.remove_request(gateway, each.request.id)


def request(store: Store, target: Target, *, now: datetime, renew: bool) -> NewRequest:
    """Return the pending CSR of a gateway, or create one if none matches the configuration.

    Args:
        store: Store of the pending CSRs; the caller holds the gateway's lock.
        target: The gateway as the member that this host is.
        now: Aware UTC.
        renew: Create a new key and CSR in any case.

    Raises:
        WrongUsageError: The gateway has mode automatic, or is a pair without a member.
        CertificateError: The configuration does not allow a CSR.
        StorageError: The key cannot be written.
    """
    if target.mode is not Mode.CUSTOM:
        raise WrongUsageError(
            f"gateway {target.name} has mode automatic and needs no CSR",
            fix=f"set mode: custom below gateways.{target.name} to import certificates",
        )
    require_member(target)
    remove_used_requests(store, target.name)
    pending = pending_requests(store, target.name)
    matching = next((each for each in pending if _matches(each.request, target)), None)
    if matching is not None and not renew:
        return NewRequest(matching, is_new=False)
    private_key = key.generate(target.key.type)
    made = KeyRequest(
        id=f"{PREFIX}{secrets.token_hex(8)}",
        created=now,
        private_key=private_key,
        csr=_build(private_key, target),
    )
    store.add_request(target.name, made)
    fingerprint = key.fingerprint(key.load(private_key).public_key())
    outdated = pending[0] if pending and matching is None else None
    return NewRequest(PendingRequest(made, fingerprint), is_new=True, outdated=outdated)


def _build(private_key: bytes, target: Target) -> bytes:
    return build_request(
        private_key,
        target.identifiers,
        common_name=common_name(target),
        subject=dict(target.subject),
        usages=True,
    )


def _matches(pending: KeyRequest, target: Target) -> bool:
    """Check whether the configuration still produces the same CSR with the same key type."""
    wanted = x509.load_pem_x509_csr(_build(pending.private_key, target))
    made = x509.load_pem_x509_csr(pending.csr)
    same = made.tbs_certrequest_bytes == wanted.tbs_certrequest_bytes
    return same and key.kind(key.load(pending.private_key)) is target.key.type


def _is_readable(pending: KeyRequest) -> bool:
    try:
        key.load(pending.private_key)
        x509.load_pem_x509_csr(pending.csr).public_key()
    except (CertificateError, ValueError):
        return False
    return True


def _fingerprint(certificate: bytes) -> str:
    try:
        return key.fingerprint(x509.load_pem_x509_certificate(certificate).public_key())
    except ValueError:
        return ""
