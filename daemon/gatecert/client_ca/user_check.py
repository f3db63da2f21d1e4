"""Whether a user certificate is accepted, and if not, why. Pure.

``cryptography``'s validator for clients decides on the path: signatures, dates, basicConstraints,
path length, name constraints, unknown critical extensions. It looks for a path and says little when
there is none, so the way upwards is then walked again, for the words. Usages, and everything about
the user's own certificate, are judged here; so are revocation lists, which the validator does not
know. All reasons are given, not only the first: a certificate that has ended may be another
authority's as well.
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
_CANNOT_TELL = "cannot be judged here: "
_MOST_STEPS = 16  # no honest chain is longer


@dataclass(frozen=True, slots=True)
class UserCheckResult:
    """What becomes of a user certificate.

    Attributes:
        user: The certificate that was judged.
        reasons: Why it is refused, each as it follows "the certificate"; none if it is accepted.
        notes: Things worth telling the operator, one line each.
        path: From the certificate to its root, where there is a path.
    """

    user: Certificate
    reasons: tuple[str, ...]
    notes: tuple[str, ...] = ()
    path: tuple[Certificate, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the gateway would take it."""
        return not self.reasons

    @property
    def undecided(self) -> bool:
        """Whether nothing speaks against it but that this program cannot judge it."""
        return bool(self.reasons) and all(each.startswith(_CANNOT_TELL) for each in self.reasons)


def check_user(
    certificates: Sequence[Certificate],
    bundle: Bundle,
    lists: Sequence[CrlFile] = (),
    *,
    now: datetime,
) -> UserCheckResult:
    """Judge a user certificate as a gateway does.

    Args:
        certificates: The user's, and whatever the client sends along; at least one.
        bundle: The authorities in force.
        lists: Revocation lists.
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
        found = revocation_result(certificate, issuer, lists, now=now)
        notes += found.notes if lists else ()
        if found.problem:
            whose = "" if certificate == user else f"cannot be trusted: {label(certificate)} "
            reasons.append(f"{whose}{found.problem}")
    return UserCheckResult(user, tuple(reasons), tuple(dict.fromkeys(notes)), path)


def find_user(certificates: Sequence[Certificate]) -> Certificate:
    """The certificate that issued none of the others."""
    for each in certificates:
        if not any(each.subject == other.issuer and other != each for other in certificates):
            return each
    return certificates[0]


def _own_problems(user: Certificate) -> Iterator[str]:
    """What is wrong with the certificate itself."""
    if is_ca(user):
        yield "is an authority's (CA:TRUE), not a user's"
    if not client_ca_rules.is_for_clients(user):
        yield (
            "is not for TLS clients: its extended key usage lacks clientAuth (ocserv does not look"
            " at that, OpenSSL does)"
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
    """The way from the certificate to a root of the bundle; empty where none holds.

    The certificate's own dates are judged apart, so that more than they can be said of it.
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


# --------------------------------------------------------------------------- why there is no path


def _explain(
    user: Certificate, sent: Sequence[Certificate], bundle: Bundle, *, now: datetime
) -> Iterator[str]:
    """Walk upwards as far as it goes, and say what is in the way there."""
    current, below = user, 0
    way = [user]
    for _ in range(_MOST_STEPS):
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
            yield from _at_root((*way, issuer), sent, bundle, now=now)
            return
        way.append(issuer)
        current, below = issuer, below + 1
    yield f"has more than {_MOST_STEPS} issuers above it"


def _no_issuer(
    user: Certificate, current: Certificate, candidates: Sequence[Certificate], bundle: Bundle
) -> str:
    """Why the way ends at a certificate that is no root."""
    issuer = name_text(current.issuer)
    whose = "its issuer" if current == user else f"the issuer of {label(current)},"
    identifier = authority_key_identifier(current)
    key = f" (key identifier {identifier})" if identifier else ""
    if candidates:
        return (
            f"was not signed by the authority '{issuer}' that this gateway knows: {whose} has the"
            f" same name, but another key{key}"
        )
    if client_ca_rules.is_root(current):
        return "is self-signed: no authority vouches for it"
    known = quoted_subjects(bundle.roots) or "none yet"
    return (
        f"is of an unknown authority: {whose} '{issuer}'{key} is not among the gateway's"
        f" authorities ({known})"
    )


def _issuer_problems(issuer: Certificate, below: int, *, now: datetime) -> Iterator[str]:
    """Why an issuer on the way does not vouch for anybody."""
    if not is_ca(issuer):
        yield "is no authority's certificate (basicConstraints lack CA:TRUE)"
    yield from client_ca_rules.usage_problems(issuer)
    yield from client_ca_rules.date_problems(issuer, now=now)
    allowed = client_ca_rules.path_length(issuer)
    if allowed is not None and below > allowed:
        yield f"allows {allowed} intermediates below it, but there are {below}: too long a path"


def _at_root(
    way: Sequence[Certificate], sent: Sequence[Certificate], bundle: Bundle, *, now: datetime
) -> Iterator[str]:
    """What is in the way although every issuer from the user up to a root is good."""
    user, root = way[0], way[-1]
    if root not in bundle.roots:
        known = quoted_subjects(bundle.roots) or "none yet"
        yield (
            f"is of an unknown authority: its root {label(root)} is not among the gateway's"
            f" authorities ({known})"
        )
        return
    if kind := unsupported_algorithm(way):
        yield f"{_CANNOT_TELL}{kind}, which servers may take all the same"
    elif not any(
        client_ca_rules.date_problems(user, now=now)
    ):  # else that is why, and it is said already
        yield f"does not hold under {label(root)}: {_verdict(user, sent, bundle, now=now)}"


def _verdict(
    user: Certificate, sent: Sequence[Certificate], bundle: Bundle, *, now: datetime
) -> str:
    """The validator's own words."""
    try:
        _verify(user, sent, bundle, at=now)
    except (VerificationError, ValueError) as error:
        return verdict(error)
    return "one of the issuers on the way may not issue for TLS clients"


def _verify(
    user: Certificate, sent: Sequence[Certificate], bundle: Bundle, *, at: datetime
) -> list[Certificate]:
    """Let the validator look for a path.

    Raises:
        VerificationError: It finds none.
        ValueError: It cannot judge at that time.
    """
    verifier = (
        PolicyBuilder()
        .store(Store(list(bundle.roots)))
        .time(at)
        .extension_policies(ca_policy=_ISSUERS, ee_policy=_USERS)
        .build_client_verifier()
    )
    return verifier.verify(user, [*sent, *bundle.intermediates]).chain
