"""When to warn that a certificate ends which nobody but a person can renew. Pure.

An imported certificate is never renewed by gatecert. Its end is warned of 30, 14, 7, 3 and 1 days
before, and once it has come; each warning is given once, however often gatecert is started.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.model import CertificateSummary, ExpiryNotice, GatewayState, Mode, Target
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator

THRESHOLDS = (30, 14, 7, 3, 1, 0)  # days before the end
DAY = timedelta(days=1)


def due_expiry_warning(
    target: Target, state: GatewayState, live: CertificateSummary | None, now: datetime
) -> ExpiryNotice | None:
    """The warning that is due now; None where there is none, or it has been given."""
    if live is None or not _is_watched(target, live):
        return None
    passed = [days for days, at in _instants(live) if at <= now]
    if not passed:
        return None
    given = state.expiry_notice
    if given and given.fingerprint == live.fingerprint and given.days <= passed[-1]:
        return None
    return ExpiryNotice(live.fingerprint, passed[-1])


def next_expiry_warning(
    target: Target, live: CertificateSummary | None, now: datetime
) -> tuple[datetime, str] | None:
    """When the next warning comes, and which one in words."""
    if live is None or not _is_watched(target, live):
        return None
    for days, at in _instants(live):
        if at > now:
            left = f"ends in {_days(days)}" if days else "has ended"
            return at, f"a warning that the imported certificate {left}"
    return None


def expiry_warning(
    target: Target, live: CertificateSummary | None, now: datetime
) -> tuple[str, str]:
    """What is to be said of the certificate's end now, and what to do; empty before the first."""
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
    return f"the imported certificate ends in {left}, on {end}; it is not renewed by itself", fix


def _is_watched(target: Target, live: CertificateSummary) -> bool:
    return target.mode is Mode.CUSTOM and not live.is_bootstrap


def _instants(live: CertificateSummary) -> Iterator[tuple[int, datetime]]:
    for days in THRESHOLDS:
        yield days, live.not_after - days * DAY


def _days(count: int) -> str:
    if count == 0:
        return "less than a day"
    return f"{count} day{'' if count == 1 else 's'}"
