"""Requests for certificates that somebody else signs: keys that wait on the disk.

A key is made on the gateway and never leaves its state directory; what goes out is the request. It
stays until a certificate for it is imported, however many others are made meanwhile: a later
request does not orphan an earlier one that is already at the authority.
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
    """A request that waits for its certificate.

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
    """The answer to somebody who asks for a request.

    Attributes:
        is_new: Whether key and request were made just now.
        outdated: The newest request there was, if it does not fit the configuration any more.
    """

    pending: PendingRequest
    is_new: bool
    outdated: PendingRequest | None = None


def pending_requests(store: Store, gateway: str) -> tuple[PendingRequest, ...]:
    """Every request that waits, newest first."""
    return tuple(
        PendingRequest(request, key.fingerprint(key.load(request.private_key).public_key()))
        for request in store.requests(gateway)
        if request.id.startswith(PREFIX) and _is_readable(request)
    )


def remove_used_requests(store: Store, gateway: str) -> None:
    """Remove the requests whose key has got its certificate, also those of before a crash.

    Raises:
        StorageError: They cannot be removed.
    """
    used = {_fingerprint(version.certificate) for version in store.versions(gateway)}
    for each in pending_requests(store, gateway):
        if each.key_fingerprint in used:
            store.remove_request(gateway, each.request.id)


def request(store: Store, target: Target, *, now: datetime, renew: bool) -> NewRequest:
    """The pending request of a gateway; a new one where there is none that fits.

    Args:
        store: Where keys wait; the gateway's lock has to be held.
        target: As the member that this host is.
        now: Aware UTC.
        renew: Make a new key and request in any case.

    Raises:
        WrongUsageError: The gateway is no custom one, or a pair without a member.
        CertificateError: The configuration makes no request.
        StorageError: The key cannot be written.
    """
    if target.mode is not Mode.CUSTOM:
        raise WrongUsageError(
            f"gateway {target.name} is enrolled by itself (mode: automatic) and needs no request",
            fix=f"set mode: custom below gateways.{target.name} to bring a certificate of your own",
        )
    require_member(target)
    remove_used_requests(store, target.name)
    pending = pending_requests(store, target.name)
    fitting = next((each for each in pending if _fits(each.request, target)), None)
    if fitting is not None and not renew:
        return NewRequest(fitting, is_new=False)
    private_key = key.generate(target.key.type)
    made = KeyRequest(
        id=f"{PREFIX}{secrets.token_hex(8)}",
        created=now,
        private_key=private_key,
        csr=_build(private_key, target),
    )
    store.add_request(target.name, made)
    fingerprint = key.fingerprint(key.load(private_key).public_key())
    outdated = pending[0] if pending and fitting is None else None
    return NewRequest(PendingRequest(made, fingerprint), is_new=True, outdated=outdated)


def _build(private_key: bytes, target: Target) -> bytes:
    return build_request(
        private_key,
        target.identifiers,
        common_name=common_name(target),
        subject=dict(target.subject),
        usages=True,
    )


def _fits(pending: KeyRequest, target: Target) -> bool:
    """Whether the configuration would still make the same request of the same kind of key."""
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
