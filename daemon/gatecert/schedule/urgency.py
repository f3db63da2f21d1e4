"""Decide how urgent an order is, for gateways that share the limits of a CA. Pure.

The most urgent goes first: a revoked certificate, then one that has ended or has under a tenth of
its lifetime left, then a gateway without a certificate for its names, then a renewal. Of two with
the same priority, the one whose certificate ends sooner goes first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.model.fleet import Priority, Urgency
from gatecert.revocation.check_schedule import revoked_state_of
from gatecert.schedule.due import certificate_in_use, is_renewal

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.model import CertificateSummary
    from gatecert.schedule.due import Situation

ENDING_SHARE: Final = 10  # one part in so many of the lifetime


def urgency(situation: Situation, now: datetime) -> Urgency:
    """Return how urgent the next order of a gateway is."""
    certificate = certificate_in_use(situation)
    if certificate is None:
        return Urgency(Priority.NONE)
    ending = ending_from(certificate)
    enrolment = situation.state.enrolment
    revoked = (revoked_state_of(enrolment, each) for each in (certificate, situation.live))
    if any(state is not None for state in revoked):
        priority = Priority.REVOKED
    elif now >= ending:
        priority = Priority.ENDING
    else:
        priority = Priority.RENEWAL if is_renewal(situation) else Priority.NONE
    return Urgency(priority, certificate.not_after, ending)


def ending_from(certificate: CertificateSummary) -> datetime:
    """Return from when on a certificate has under a tenth of its lifetime left."""
    return certificate.not_after - certificate.lifetime / ENDING_SHARE
