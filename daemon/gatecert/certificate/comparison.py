"""Which of two certificates a gateway is better off with. Pure.

Enrolment, import, restoring, rolling back and pruning all ask here, so that nothing worse ever
takes the place of something better. The criteria, most important first:

1. Clients connect without a warning: valid, trusted, for the gateway's hostname.
2. Valid and issued by a CA. A self-signed certificate and one that has ended are worth the same.
3. For the hostname, trusted, not revoked, with a whole chain, for every configured name, of the
   configured kinds of key, without Must-Staple (RFC 7633), which a server that does not staple
   cannot keep.
4. The time left, up to a day. Of two certificates that last for more than a day, neither is better:
   then the newer one is used, which is what a renewal is for.
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
    """Where the chain of a certificate leads.

    Attributes:
        trusted: Whether it ends in an expected root, or in one of this machine's.
        root: Name of the issuer of its last certificate, RFC 4514 text; empty if not known.
        whole: Whether no issuer is missing and every signature holds.
    """

    trusted: bool = False
    root: str = ""
    whole: bool = True


UNKNOWN = Trust()


class CertificateRank(NamedTuple):
    """What a certificate is worth to a gateway; a greater one is better."""

    accepted: bool
    valid_and_issued: bool
    has_hostname: bool
    trusted: bool
    unrevoked: bool
    whole: bool
    has_every_name: bool
    has_kinds_of_key: bool
    without_must_staple: bool
    time_left: timedelta


def rank(
    summary: CertificateSummary, trust: Trust, *, revoked: bool, target: Target, now: datetime
) -> CertificateRank:
    """Judge a certificate whose private key is at hand.

    Args:
        summary: The certificate.
        trust: Where its chain leads.
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
        whole=trust.whole,
        has_every_name=not missing,
        has_kinds_of_key=target.key.is_satisfied_by(summary),
        without_must_staple=not summary.must_staple,
        time_left=min(summary.not_after - now, ENOUGH_TIME),
    )


def rejection_of(
    summary: CertificateSummary,
    trust: Trust,
    worth: CertificateRank,
    other: CertificateRank,
    *,
    other_ends: datetime,
) -> InferiorCertificateError:
    """Say why a certificate does not take the place of a better one.

    Args:
        summary: The certificate that is worse.
        trust: Where its chain leads.
        worth: What it is worth.
        other: What the better one is worth.
        other_ends: When the better one ends.
    """
    facts = (
        name for name in CertificateRank._fields if name != "accepted"
    )  # which follows from the others
    differs = next(name for name in facts if getattr(worth, name) != getattr(other, name))
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
            f"the new certificate ends at {instant(summary.not_after)}, sooner than"
            f" the one in use, which stays until {instant(other_ends)}",
            fix="ask the CA why its certificates end so soon (the profile?)",
        )
    return InferiorCertificateError(
        f"the new certificate is worse than the one in use ({DEFECTS.get(differs, differs)}),"
        f" which stays until {instant(other_ends)}"
    )


DEFECTS = {
    "has_hostname": "it is not for the gateway's hostname",
    "valid_and_issued": "it is self-signed, or has ended",
    "unrevoked": "it was revoked",
    "whole": "its chain is incomplete",
    "has_every_name": "it is not for every configured name",
    "has_kinds_of_key": "a certificate for each of two keys is wanted",
    "without_must_staple": "it demands OCSP stapling (Must-Staple)",
}
