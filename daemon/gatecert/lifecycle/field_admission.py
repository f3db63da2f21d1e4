"""Rules for CSRs of gateways in the field: which names may be ordered, and how urgently. Pure.

A relay lets a gateway ask for its own names only. An attacker with the relay, or its login, still
gets no certificate for a name outside the domains that are set aside for gateways in the field.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.certificate.summary import summarize
from gatecert.config.names import host_name
from gatecert.config.regions import first_excluded
from gatecert.config.values import BadValueError
from gatecert.errors import CertificateError, clean
from gatecert.model import IdentifierType
from gatecert.model.fleet import Priority, Urgency
from gatecert.schedule.urgency import ending_from

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatecert.model import CertificateSummary, Identifier

MOST_NAMES = 100  # that Let's Encrypt and others put into a certificate


def refusal(
    identifiers: Sequence[Identifier], domains: Sequence[str], excluded_regions: Sequence[str]
) -> str:
    """Return why nothing is ordered for these names, one line; empty if it may be.

    Args:
        identifiers: The names of a CSR.
        domains: Domains below which gateways in the field are, A-labels.
        excluded_regions: Region codes (ISO 3166, any case), as configured.
    """
    if not identifiers:
        return "the CSR has no name"
    if len(identifiers) > MOST_NAMES:
        return f"the CSR has more than {MOST_NAMES} names"
    for identifier in identifiers:
        if not _is_below(identifier, domains):
            name = clean(identifier.value, 255)
            return f"{name} is not a host name below {' or '.join(domains)} (fleet.issue.domains)"
    region = first_excluded("", identifiers, excluded_regions)
    return f"region {region} is never enrolled" if region else ""


def urgency(
    last: CertificateSummary | None, identifiers: Sequence[Identifier], now: datetime
) -> Urgency:
    """Return how urgent the certificate for a CSR is.

    Args:
        last: The newest certificate of the gateway; None if it has none.
        identifiers: The names of the CSR.
        now: Aware UTC.
    """
    if last is None:
        return Urgency(Priority.NONE)
    ending = ending_from(last)
    priority = Priority.RENEWAL if last.covers(tuple(identifiers)) else Priority.NONE
    if now >= ending:
        priority = Priority.ENDING
    return Urgency(priority, last.not_after, ending)


def summary_of(certificate: bytes) -> CertificateSummary | None:
    """Return the summary of a stored certificate, PEM; None if it is damaged."""
    try:
        return summarize(certificate)
    except CertificateError:
        return None


def _is_below(identifier: Identifier, domains: Sequence[str]) -> bool:
    """Tell whether it is a host name below one of the domains, and no wildcard."""
    name = identifier.value
    try:
        is_name = identifier.type is IdentifierType.DNS and host_name(name) == name
    except BadValueError:
        return False
    is_below = any(name.endswith(f".{domain}") for domain in domains)
    return is_name and is_below and not identifier.is_wildcard
