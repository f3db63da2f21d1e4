"""The check of a client certificate, with every reason against it. Pure.

``cryptography``'s client verifier builds and checks the chain: signatures, dates, basicConstraints,
path length, name constraints, unknown critical extensions. It says little if it finds none, so this
module then follows the issuers again to explain why. It also checks what the verifier does not: key
usages, the client certificate itself, and CRLs. All reasons are given, not only the first: an
expired certificate may also be from another CA.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.x509 import Certificate
from cryptography.x509.verification import (
    Criticality,
    PolicyBuilder,
    Store,
    VerificationError,
)

from gatecert.certificate.certificate_names import label, name_text
from gatecert.certificate.extensions import authority_key_identifier, is_ca
from gatecert.certificate.path_validation import LENIENT, verdict
from gatecert.certificate.rules import (
    check_key,
    check_signature_algorithm,
    is_signed_by,
    unsupported_algorithm,
)
from gatecert.client_ca import client_ca_rules
from gatecert.client_ca.bundle import quoted_subjects
from gatecert.client_ca.crl_files import revocation_result
from gatecert.errors import CertificateError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatecert.client_ca.bundle import Bundle
    from gatecert.client_ca.crl_files import CrlFile

_ISSUERS = LENIENT.require_present(x509.BasicConstraints, Criticality.AGNOSTIC, None)
_USERS = LENIENT
_CANNOT_TELL = "cannot be checked by gatecert: "
_MAX_ISSUERS = 16  # no valid chain is longer


@dataclass(frozen=True, slots=True)
class UserCheckResult:
    """The result of checking a client certificate.

    Attributes:
        user: The certificate.
        reasons: Why it is refused, each to follow "the certificate"; none if it is accepted.
        notes: Notes for the operator, one line each.
        path: The chain from the certificate to its root, if there is one.
    """

    user: Certificate
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    path: tuple[Certificate, ...] = ()

    @property
    def accepted(self) -> bool:
        """True if the gateway accepts the certificate."""
        return not self.reasons

    @property
    def undecided(self) -> bool:
        """True if the only reasons are that gatecert cannot check the certificate."""
        return bool(self.reasons) and all(each.startswith(_CANNOT_TELL) for each in self.reasons)


def check_user(
    certificates: Sequence[Certificate],
    bundle: Bundle,
    crls: Sequence[CrlFile] = (),
    *,
    now: datetime,
) -> UserCheckResult:
    """Check a client certificate as a gateway does.

    Args:
        certificates: The client certificate and what the client sends with it; at least one.
        bundle: The client CAs in place.
        crls: The CRLs.
        now: Aware UTC.
    """
    user = find_user(certificates)
    sent = [each for each in certificates if each != user]
    reasons = [*client_ca_rules.date_problems(user, now=now), *_own_problems(user)]
    path = _path(user, sent, bundle, now=now)
    if not path:
        reasons += _explain(user, sent, bundle, now=now)
    for issuer in path[1:]:
        reasons += (
            f"cannot be trusted: its issuer {label(issuer)} {each}"
            for each in client_ca_rules.date_problems(issuer, now=now)
        )
    notes: list[str] = []
    for certificate, issuer in itertools.pairwise(path):
        found = revocation_result(certificate, issuer, crls, now=now)
        notes += found.notes if crls else ()
        if found.problem:
            whose = "" if certificate == user else f"cannot be trusted: {label(certificate)} "
            reasons.append(f"{whose}{found.problem}")
    return UserCheckResult(user, tuple(reasons), tuple(dict.fromkeys(notes)), path)


def find_user(certificates: Sequence[Certificate]) -> Certificate:
    """Return the certificate that issued none of the others."""
    for each in certificates:
        if not any(each.subject == other.issuer and other != each for other in certificates):
            return each
    return certificates[0]


def _own_problems(user: Certificate) -> Iterator[str]:
    """Yield what is wrong with the client certificate itself."""
    if is_ca(user):
        yield "is a CA certificate (CA:TRUE), not a client certificate"
    if not client_ca_rules.is_for_clients(user):
        yield (
            "is not for TLS clients: its extended key usage lacks clientAuth (ocserv does not check"
            " this, OpenSSL does)"
        )
    if not client_ca_rules.can_sign_handshakes(user):
        yield "cannot be used in a TLS handshake: its key usage lacks digitalSignature"
    for check in (check_key, check_signature_algorithm):
        try:
            check(user, "it:")
        except CertificateError as error:
            yield f"is too weak: {error.message}"


def _path(
    user: Certificate, sent: Sequence[Certificate], bundle: Bundle, *, now: datetime
) -> tuple[Certificate, ...]:
    """Return the chain from the certificate to a root of the bundle; empty if there is none.

    The certificate's own dates are checked separately, so that other reasons are found as well.
    """
    if not bundle.roots:
        return ()
    at = min(max(now, user.not_valid_before_utc), user.not_valid_after_utc)
    try:
        path = _verify(user, sent, bundle, at=at)
    except (VerificationError, ValueError):
        return ()
    if any(any(client_ca_rules.usage_problems(issuer)) for issuer in path[1:]):
        return ()
    return tuple(path)


# --------------------------------------------------------------------------- reasons


def _explain(
    user: Certificate, sent: Sequence[Certificate], bundle: Bundle, *, now: datetime
) -> Iterator[str]:
    """Follow the issuers of a certificate, and yield why they form no chain to a root."""
    current, below = user, 0
    chain = [user]
    for _ in range(_MAX_ISSUERS):
        candidates = [
            each
            for each in (*bundle.certificates, *sent)
            if each.subject == current.issuer and each != current
        ]
        issuer = next(
            (each for each in candidates if is_signed_by(current, each, allow_forgeable=True)), None
        )
        if issuer is None:
            yield _no_issuer(user, current, candidates, bundle)
            return
        problems = [*_issuer_problems(issuer, below, now=now)]
        if problems:
            yield from (
                f"cannot be trusted: its issuer {label(issuer)} {each}" for each in problems
            )
            return
        if client_ca_rules.is_root(issuer):
            yield from _at_root((*chain, issuer), sent, bundle, now=now)
            return
        chain.append(issuer)
        current, below = issuer, below + 1
    yield f"has more than {_MAX_ISSUERS} issuers above it"


def _no_issuer(
    user: Certificate, current: Certificate, candidates: Sequence[Certificate], bundle: Bundle
) -> str:
    """Say why the issuer of a certificate is not found."""
    issuer = name_text(current.issuer)
    whose = "its issuer" if current == user else f"the issuer of {label(current)},"
    identifier = authority_key_identifier(current)
    key = f" (key identifier {identifier})" if identifier else ""
    if candidates:
        return (
            f"was not signed by the gateway's client CA '{issuer}': {whose} has the same name, but"
            f" another key{key}"
        )
    if client_ca_rules.is_root(current):
        return "is self-signed: no client CA issued it"
    roots = quoted_subjects(bundle.roots) or "none yet"
    return (
        f"is from an unknown CA: {whose} '{issuer}'{key} is not among the gateway's client CAs"
        f" ({roots})"
    )


def _issuer_problems(issuer: Certificate, below: int, *, now: datetime) -> Iterator[str]:
    """Yield why an issuer cannot be part of a chain."""
    if not is_ca(issuer):
        yield "is not a CA certificate (basicConstraints lack CA:TRUE)"
    yield from client_ca_rules.usage_problems(issuer)
    yield from client_ca_rules.date_problems(issuer, now=now)
    allowed = client_ca_rules.path_length(issuer)
    if allowed is not None and below > allowed:
        yield f"allows {allowed} intermediates below it, but there are {below}"


def _at_root(
    chain: Sequence[Certificate], sent: Sequence[Certificate], bundle: Bundle, *, now: datetime
) -> Iterator[str]:
    """Yield why a chain is refused although each of its issuers is valid."""
    user, root = chain[0], chain[-1]
    if root not in bundle.roots:
        roots = quoted_subjects(bundle.roots) or "none yet"
        yield (
            f"is from an unknown CA: its root {label(root)} is not among the gateway's client CAs"
            f" ({roots})"
        )
        return
    if kind := unsupported_algorithm(chain):
        yield f"{_CANNOT_TELL}{kind}, which servers may accept"
    elif not any(client_ca_rules.date_problems(user, now=now)):  # these are given already
        yield f"has no valid chain to {label(root)}: {_verdict(user, sent, bundle, now=now)}"


def _verdict(
    user: Certificate, sent: Sequence[Certificate], bundle: Bundle, *, now: datetime
) -> str:
    """Return the verifier's error message."""
    try:
        _verify(user, sent, bundle, at=now)
    except (VerificationError, ValueError) as error:
        return verdict(error)
    return "an issuer in the chain may not issue for TLS clients"


def _verify(
    user: Certificate, sent: Sequence[Certificate], bundle: Bundle, *, at: datetime
) -> list[Certificate]:
    """Build a chain with the verifier.

    Raises:
        VerificationError: There is none.
        ValueError: The verifier does not support the time.
    """
    verifier = (
        PolicyBuilder()
        .store(Store(list(bundle.roots)))
        .time(at)
        .extension_policies(ca_policy=_ISSUERS, ee_policy=_USERS)
        .build_client_verifier()
    )
    return verifier.verify(user, [*sent, *bundle.intermediates]).chain
