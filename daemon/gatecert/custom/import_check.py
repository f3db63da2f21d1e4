"""Whether what an administrator hands in can be taken; nothing is changed here.

The certificate is found by its key: that of any request that still waits, or of a certificate
that was imported before and has been issued anew. Files may come in any order and hold more than is
needed. What cannot be taken is refused with the reason that helps most: the other member's
certificate before a missing key, a missing key before a missing issuer.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cryptography import x509

from gatecert.certificate import key
from gatecert.certificate.certificate_names import label
from gatecert.certificate.chain import summarize
from gatecert.certificate.extensions import is_ca
from gatecert.certificate.imported import check_imported
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
        summary: What it says.
        version: The version that it was imported as before, None if it is new.
    """

    issued: IssuedChain
    summary: CertificateSummary
    version: Version | None


@dataclass(frozen=True, slots=True)
class _Match:
    """A key of this gateway with its certificate."""

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
    """Check what was handed in.

    Args:
        store: Where keys wait; the gateway's lock has to be held.
        target: The gateway, as the member that was named.
        uploads: The certificate's file first.
        now: Aware UTC.
        system_roots: What this machine trusts.

    Raises:
        WrongUsageError: The gateway takes no certificates.
        CertificateError: It cannot be taken; says why and what to do.
    """
    if target.mode is not Mode.CUSTOM:
        raise WrongUsageError(
            f"gateway {target.name} is enrolled by itself (mode: automatic): it takes no imports",
            fix=f"set mode: custom below gateways.{target.name} to bring a certificate of your own",
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
    """The key of one of the certificates, and the gateway as the member that the key is of."""
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
    """Refuse the certificate of the other host of a pair, as what it is."""
    other = other_member(target, certificate)
    if other is None:
        return
    here = f"member {target.member}" if target.member else "a host without a request of that member"
    raise CertificateError(
        f"the certificate {label(certificate)} is that of member {other.name}"
        f" ({other.common_name}) of gateway {target.name}, and this host is {here}",
        fix=f"import it on the host of {other.name}, where its CSR was made",
    )


def _no_key(
    target: Target, certificate: Certificate, pending: Sequence[PendingRequest]
) -> CertificateError:
    """The refusal of a certificate whose key was not made here."""
    fingerprint = key.fingerprint(certificate.public_key())
    message = (
        f"the certificate {label(certificate)} (key SHA-256 {fingerprint}) belongs to no key of"
        f" gateway {target.name}"
    )
    if not pending:
        return CertificateError(
            f"{message}: no CSR is pending",
            fix=f"make one with gatecert csr {target.name}, and have that signed",
        )
    listed = "; ".join(str(each) for each in pending)
    return CertificateError(
        f"{message}; pending CSRs: {listed}",
        fix=f"give the certificate that was made of one of them (gatecert csr {target.name} prints"
        " the newest)",
    )


def _imported_before(store: Store, target: Target, wanted: CertificateSummary) -> Version | None:
    """The version that holds just this certificate with just this chain."""
    for version in _imported(store, target):
        if summarize(version.certificate, version.chain) == wanted:
            return version
    return None


def _imported(store: Store, target: Target) -> Iterator[Version]:
    """The versions that an administrator has imported, newest first."""
    for version in store.versions(target.name):
        if version.origin is Origin.IMPORTED:
            yield version
