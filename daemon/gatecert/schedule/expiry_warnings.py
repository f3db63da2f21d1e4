"""Warnings before an imported certificate ends. Pure.

gatecert does not renew an imported certificate. It warns 30, 14, 7, 3 and 1 days before the end,
and at the end. Each warning is given once, across restarts.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import CertificateSummary, ExpiryNotice, HostState, Mode, Target
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator

THRESHOLDS = (30, 14, 7, 3, 1, 0)  # days before the end
DAY = timedelta(days=1)


def due_expiry_warning(
    target: Target, host: HostState, live: CertificateSummary | None, now: datetime
) -> ExpiryNotice | None:
    """Return the warning that is due now; None if there is none, or it has been given."""
    if live is None or not _is_watched(target, live):
        return None
    passed = [days for days, at in _instants(live) if at <= now]
    if not passed:
        return None
    given = host.expiry_notice
    if given and given.fingerprint == live.fingerprint and given.days <= passed[-1]:
        return None
    return ExpiryNotice(live.fingerprint, passed[-1])


def next_expiry_warning(
    target: Target, live: CertificateSummary | None, now: datetime
) -> tuple[datetime, str] | None:
    """Return the time of the next warning, and a description."""
    if live is None or not _is_watched(target, live):
        return None
    for days, at in _instants(live):
        if at > now:
            left = f"ends in {_days(days)}" if days else "has ended"
            return at, f"warning: the imported certificate {left}"
    return None


def expiry_warning(
    target: Target, live: CertificateSummary | None, now: datetime
) -> tuple[str, str]:
    """Return the current warning and its fix; empty before the first one."""
    if live is None or not _is_watched(target, live) or now < live.not_after - THRESHOLDS[0] * DAY:
        return "", ""
    end = instant(live.not_after)
    fix = (
        f"gatecert csr {target.name} --renew, have it signed, and gatecert import {target.name}"
        " --certificate FILE --chain FILE"
    )
    if live.not_after <= now:
        return f"the imported certificate ended on {end}: clients refuse the gateway", fix
    left = _days((live.not_after - now) // DAY)
    return f"the imported certificate ends in {left}, on {end}; gatecert does not renew it", fix


def _is_watched(target: Target, live: CertificateSummary) -> bool:
    return target.mode is Mode.CUSTOM and not live.is_bootstrap


def _instants(live: CertificateSummary) -> Iterator[tuple[int, datetime]]:
    for days in THRESHOLDS:
        yield days, live.not_after - days * DAY


def _days(count: int) -> str:
    if count == 0:
        return "less than a day"
    return f"{count} day{'' if count == 1 else 's'}"
