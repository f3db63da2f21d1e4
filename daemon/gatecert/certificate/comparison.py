"""Compare two certificates for a gateway. Pure.

Enrolment, import, restore, rollback and pruning all use this comparison, so that a worse
certificate never replaces a better one. The criteria, most important first:

1. Clients connect without a warning: valid, trusted, for the gateway's hostname.
2. Valid and issued by a CA. A self-signed certificate and an expired one rank the same.
3. For the hostname, trusted, not revoked, with a complete chain, for every configured name, of the
   configured key types, without Must-Staple (RFC 7633), which a server that does not staple
   cannot satisfy.
4. The time left, up to a day. Two certificates that are valid for more than a day rank the same:
   the newer one is used, as a renewal requires.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from gatecert.certificate.certificate_names import uncovered_names
from gatecert.errors import InferiorCertificateError, ShortLivedError, UntrustedRootError
from gatecert.time_format import instant

if TYPE_CHECKING:
    from gatecert.model import CertificateSummary, Target

ENOUGH_TIME = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Trust:
    """The end of a certificate's chain.

    Attributes:
        trusted: Whether it ends in one of ``trusted_roots`` or of this machine's roots.
        root: Name of the issuer of the last certificate, RFC 4514 text; empty if not known.
        chain_complete: Whether no issuer is missing and every signature is valid.
    """

    trusted: bool = False
    root: str = ""
    chain_complete: bool = True


UNKNOWN = Trust()


class CertificateRank(NamedTuple):
    """The rank of a certificate for a gateway; greater is better."""

    accepted: bool
    valid_and_issued: bool
    has_hostname: bool
    trusted: bool
    unrevoked: bool
    chain_complete: bool
    has_every_name: bool
    has_key_types: bool
    without_must_staple: bool
    time_left: timedelta


def rank(
    summary: CertificateSummary, trust: Trust, *, revoked: bool, target: Target, now: datetime
) -> CertificateRank:
    """Rank a certificate whose private key is available.

    Args:
        summary: The certificate.
        trust: The end of its chain.
        revoked: Whether the CA has revoked it, as far as is known.
        target: The gateway that serves it.
        now: Aware UTC.
    """
    missing = uncovered_names(target.identifiers, summary.identifiers)
    has_hostname = target.identifiers[0] not in missing
    valid = now < summary.not_after
    return CertificateRank(
        accepted=valid and trust.trusted and has_hostname,
        valid_and_issued=valid and not summary.is_bootstrap,
        has_hostname=has_hostname,
        trusted=trust.trusted,
        unrevoked=not revoked,
        chain_complete=trust.chain_complete,
        has_every_name=not missing,
        has_key_types=target.key.is_satisfied_by(summary),
        without_must_staple=not summary.must_staple,
        time_left=min(summary.not_after - now, ENOUGH_TIME),
    )


def rejection_of(
    summary: CertificateSummary,
    trust: Trust,
    own: CertificateRank,
    other: CertificateRank,
    *,
    other_ends: datetime,
) -> InferiorCertificateError:
    """Return the error for a certificate that must not replace a better one.

    Args:
        summary: The worse certificate.
        trust: The end of its chain.
        own: Its rank.
        other: The rank of the better certificate.
        other_ends: The end of validity of the better certificate.
    """
    # `accepted` follows from the others.
    facts = (name for name in CertificateRank._fields if name != "accepted")
    differs = next(name for name in facts if getattr(own, name) != getattr(other, name))
    if differs == "trusted" and other.trusted:
        return UntrustedRootError(
            f"the new certificate's chain ends in '{trust.root or summary.issuer}', which neither"
            " trusted_roots nor this machine trusts; the trusted certificate stays in use until"
            f" {instant(other_ends)}",
            fix="if clients have that root, add it to trusted_roots of the authority; to use the"
            " certificate as it is, run the command with --accept-untrusted",
        )
    if differs == "time_left":
        return ShortLivedError(
            f"the new certificate expires at {instant(summary.not_after)}, before the"
            f" one in use, which stays until {instant(other_ends)}",
            fix="ask the CA why its certificates expire so soon (the profile?)",
        )
    return InferiorCertificateError(
        f"the new certificate is worse than the one in use ({DEFECTS.get(differs, differs)}),"
        f" which stays until {instant(other_ends)}"
    )


DEFECTS = {
    "has_hostname": "it is not for the gateway's hostname",
    "valid_and_issued": "it is self-signed or expired",
    "unrevoked": "it was revoked",
    "chain_complete": "its chain is incomplete",
    "has_every_name": "it is not for every configured name",
    "has_key_types": "the configuration requires a certificate for each of two keys",
    "without_must_staple": "it requires OCSP stapling (Must-Staple)",
}
