"""The timeline of a certificate: issued, proven, renewed, expired, and now between them. Pure.

Positions are percentages of the way from the certificate's beginning to its end, or to now if it
has expired. `gatecert.monitoring.page` draws them.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from gatecert.model import Action, Mode
from gatecert.report.attention import SELF_SIGNED, step_words
from gatecert.time_format import ago, ahead, calendar_day, short_duration

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.report.gateway_status import GatewayStatus

WHOLE: Final = 100.0
ENROLMENT: Final = f"{Action.ENROL}:"  # begins the next action of a renewal


class Milestone(StrEnum):
    """The event at a point of the timeline."""

    ISSUED = "issued"
    PROVEN = "proven"
    UNSERVED = "unserved"
    NOW = "now"
    RENEWS = "renews"
    ENDS = "ends"


@dataclass(frozen=True, slots=True)
class Mark:
    """A point of the timeline.

    Attributes:
        position: From 0 to 100.
        words: Milestone and time for people.
    """

    kind: Milestone
    position: float
    words: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """The timeline of a certificate.

    Attributes:
        used: The part of its lifetime that has passed, from 0 to 100.
        renews: Position of the next renewal; None if none is planned.
        end: When it ends, in few words.
        words: All of it in one short line.
    """

    used: float
    renews: float | None
    end: str
    words: str


def timeline(one: GatewayStatus, now: datetime) -> Timeline | None:
    """Return the timeline of the installed certificate; None if there is none."""
    if one.not_before is None or one.not_after is None:
        return None
    renews = _renewal(one)
    words = f"issued {calendar_day(one.not_before, now)}"
    if renews is not None:
        words += f", renews {calendar_day(renews, now)}"
    left = one.not_after - now
    ended = "ended" if left <= timedelta(0) else "ends"
    return Timeline(
        used=_position(now, one, now),
        renews=None if renews is None else _position(renews, one, now),
        end=f"ends in {short_duration(left)}" if ended == "ends" else "ended",
        words=f"{words}, {ended} {calendar_day(one.not_after, now)}",
    )


def marks(one: GatewayStatus, now: datetime) -> list[Mark]:
    """Return every milestone of the installed certificate, the earliest first."""
    return sorted(_marks(one, now), key=lambda mark: mark.position)


def _marks(one: GatewayStatus, now: datetime) -> Iterator[Mark]:
    if one.not_before is None or one.not_after is None:
        return
    found = [(Milestone.ISSUED, one.not_before, f"issued {ago(one.not_before, now)}")]
    if one.served_at is not None and one.served is not None:
        seen = ago(one.served_at, now)
        found.append(
            (Milestone.PROVEN, one.served_at, f"proven {seen}")
            if one.served
            else (Milestone.UNSERVED, one.served_at, f"not served, seen {seen}")
        )
    found.append((Milestone.NOW, now, "now"))
    renews = _renewal(one)
    if renews is not None:
        found.append((Milestone.RENEWS, renews, f"{step_words(one)} {ahead(renews, now)}"))
    end = one.not_after
    ends = f"ends {ahead(end, now)}" if end > now else f"ended {ago(end, now)}"
    found.append((Milestone.ENDS, end, ends))
    for kind, moment, words in found:
        yield Mark(kind, _position(moment, one, now), words)


def _renewal(one: GatewayStatus) -> datetime | None:
    """Return when the certificate is renewed; None if nobody knows."""
    if one.mode is not Mode.AUTOMATIC or one.state in SELF_SIGNED:
        return None
    return one.next_at if one.next_action.startswith(ENROLMENT) else None


def _position(moment: datetime, one: GatewayStatus, now: datetime) -> float:
    """Return where a moment is, from 0 to 100."""
    if one.not_before is None or one.not_after is None:
        return 0.0
    length = (max(one.not_after, now) - one.not_before).total_seconds()
    since = (moment - one.not_before).total_seconds()
    return min(max(since / length, 0.0), 1.0) * WHOLE if length > 0 else WHOLE
