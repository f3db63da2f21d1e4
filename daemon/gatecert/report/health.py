"""The health check of ``gatecert status --check``: what is wrong, at one of two levels. Pure."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING

from gatecert.model import Mode
from gatecert.report.attention import fact, level
from gatecert.report.gateway_status import Condition

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatecert.report.gateway_status import GatewayStatus


class HealthLevel(StrEnum):
    """The demand of a health check, besides a running daemon.

    SERVING: every gateway has a certificate that has not expired; a restart may help otherwise.
    TRUSTED: and every automatic gateway serves a trusted one, proven by a handshake. A gateway that
    is never enrolled because of its region is exempt.
    """

    SERVING = "serving"
    TRUSTED = "trusted"


UNFIT = {Condition.EXPIRED, Condition.EMPTY}


def health_problems(
    statuses: Sequence[GatewayStatus], daemon: int | None, wanted: HealthLevel, now: datetime
) -> list[str]:
    """Return what is wrong, one line each; empty if nothing."""
    problems = ["daemon not running"] if daemon is None else []
    for one in statuses:
        if one.state in UNFIT:
            problems.append(f"{one.name}: {one.words}")
        elif wanted is HealthLevel.TRUSTED and not _is_trusted(one):
            why = fact(one, now) if level(one).needs_a_person else one.words
            problems.append(f"{one.name}: {one.state}: {why}")
    return problems


def health_summary(statuses: Sequence[GatewayStatus]) -> str:
    """Return the line of a healthy system at the level "trusted"."""
    trusted = sum(one.state is Condition.TRUSTED for one in statuses)
    ends = [one.not_after for one in statuses if one.not_after is not None]
    first = f", the first certificate expires {min(ends):%Y-%m-%d}" if ends else ""
    return f"{trusted} of {len(statuses)} gateways trusted and served{first}"


def _is_trusted(one: GatewayStatus) -> bool:
    is_exempt = one.mode is not Mode.AUTOMATIC or one.state is Condition.SKIPPED
    return is_exempt or one.state is Condition.TRUSTED
