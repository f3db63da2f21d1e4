"""Decide whether a host may place, without the database, the order that is reserved for it. Pure.

It may after 24 hours without the database, with under a tenth of the lifetime of its certificate
left. A server that answers, but refuses this host, is no database that is away.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.errors import DatabaseAwayError
from gatecert.schedule.urgency import ending_from

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.model import CertificateSummary, DatabaseProblem

AWAY_FOR: Final = timedelta(hours=24)


def may_be_used(
    problem: DatabaseProblem | None, certificate: CertificateSummary, now: datetime
) -> bool:
    """Tell whether the reserved order may be placed.

    Args:
        problem: What this host has found wrong with the database, and since when; None: nothing.
        certificate: The one in use.
        now: Aware UTC.
    """
    if problem is None or problem.since is None or problem.code != DatabaseAwayError.code:
        return False
    return now - problem.since >= AWAY_FOR and now >= ending_from(certificate)
