"""Validation of an import; changes nothing.

The certificate is found by its key: that of any pending request, or of a certificate imported
before and since reissued. Files may be in any order and contain more than needed. The error names
the most helpful reason: another member's certificate before a missing key, a missing key before a
missing issuer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from gatecert.certificate import key
from gatecert.certificate.certificate_names import label
from gatecert.certificate.extensions import is_ca
from gatecert.certificate.imported import check_imported
from gatecert.certificate.summary import summarize
from gatecert.custom.member import member_of_request, other_member
from gatecert.custom.signing_requests import pending_requests
from gatecert.errors import CertificateError, WrongUsageError
from gatecert.model import CertificateSummary, IssuedChain, Mode, Origin, Target, Version

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.certificate.upload import Upload
    from gatecert.custom.signing_requests import PendingRequest
    from gatecert.store.protocol import Store


@dataclass(frozen=True, slots=True)
class CheckedImport:
    """A certificate that may be installed.

    Attributes:
        summary: Its summary.
        version: The version of an earlier import of the same certificate, None if it is new.
    """

    issued: IssuedChain
    summary: CertificateSummary
    version: Version | None


@dataclass(frozen=True, slots=True)
class _Match:
    """A key of this gateway, and the gateway as the member of that key."""

    private_key: bytes = field(repr=False)
    target: Target


def check_import(
    store: Store,
    target: Target,
    uploads: Sequence[Upload],
    *,
    now: datetime,
    system_roots: Collection[Certificate],
) -> CheckedImport:
    """Validate the certificates of an import.

    Args:
        store: Store of the pending requests; the caller holds the gateway's lock.
        target: The gateway, as the member given.
        uploads: The certificate file first.
        now: Aware UTC.
        system_roots: The roots that this machine trusts.

    Raises:
        WrongUsageError: The gateway has mode automatic.
        CertificateError: A rule is broken; says which, and what to do.
    """
    if target.mode is not Mode.CUSTOM:
        raise WrongUsageError(
            f"gateway {target.name} has mode automatic: certificates cannot be imported",
            fix=f"set mode: custom below gateways.{target.name} to import certificates",
        )
    certificates = list(dict.fromkeys(_certificates(uploads)))
    match = _match(store, target, certificates)
    checked = check_imported(
        match.private_key,
        certificates,
        match.target.identifiers,
        now=now,
        system_roots=system_roots,
        preferred=uploads[0].certificates(),
    )
    summary = summarize(checked.certificate, checked.chain)
    issued = IssuedChain(
        private_key=match.private_key,
        certificate=checked.certificate,
        chain=checked.chain,
        origin=Origin.IMPORTED,
        root=checked.root,
        notes=checked.notes,
    )
    return CheckedImport(issued, summary, _imported_before(store, target, summary))


def _certificates(uploads: Sequence[Upload]) -> Iterator[Certificate]:
    for upload in uploads:
        yield from upload.certificates()


def _match(store: Store, target: Target, certificates: Sequence[Certificate]) -> _Match:
    """Return the key of one of the certificates, and the gateway as the member of that key."""
    by_key = {key.fingerprint(each.public_key()): each for each in reversed(certificates)}
    pending = pending_requests(store, target.name)
    for each in pending:
        if each.key_fingerprint in by_key:
            found = _Match(each.request.private_key, member_of_request(target, each.request.csr))
            _check_member(found.target, by_key[each.key_fingerprint])
            return found
    for version in _imported(store, target):
        served = x509.load_pem_x509_certificate(version.certificate)
        if key.fingerprint(served.public_key()) in by_key:
            return _Match(store.private_key(version), target)
    device = next((each for each in certificates if not is_ca(each)), certificates[0])
    here = member_of_request(target, pending[0].request.csr) if pending else target
    _check_member(here, device)
    raise _no_key(target, device, pending)


def _check_member(target: Target, certificate: Certificate) -> None:
    """Refuse the certificate of the other host of a pair."""
    other = other_member(target, certificate)
    if other is None:
        return
    here = f"member {target.member}" if target.member else "a host without a CSR of that member"
    raise CertificateError(
        f"the certificate {label(certificate)} belongs to member {other.name}"
        f" ({other.common_name}) of gateway {target.name}, but this host is {here}",
        fix=f"import it on the host of {other.name}, where its CSR was made",
    )


def _no_key(
    target: Target, certificate: Certificate, pending: Sequence[PendingRequest]
) -> CertificateError:
    """Return the error for a certificate whose key was not created here."""
    fingerprint = key.fingerprint(certificate.public_key())
    message = (
        f"the certificate {label(certificate)} (key SHA-256 {fingerprint}) belongs to no key of"
        f" gateway {target.name}"
    )
    if not pending:
        return CertificateError(
            f"{message}: no CSR is pending",
            fix=f"create one with gatecert csr {target.name} and have it signed",
        )
    listed = "; ".join(str(each) for each in pending)
    return CertificateError(
        f"{message}; pending CSRs: {listed}",
        fix=f"give the certificate that was issued for one of them (gatecert csr {target.name}"
        " prints the newest)",
    )


def _imported_before(store: Store, target: Target, wanted: CertificateSummary) -> Version | None:
    """Return the version with exactly this certificate and chain."""
    for version in _imported(store, target):
        if summarize(version.certificate, version.chain) == wanted:
            return version
    return None


def _imported(store: Store, target: Target) -> Iterator[Version]:
    """Yield the imported versions, newest first."""
    for version in store.versions(target.name):
        if version.origin is Origin.IMPORTED:
            yield version
