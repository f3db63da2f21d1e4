"""When to warn that an authority of users ends. Pure.

With it end all certificates that it has issued, whatever they say themselves, and a successor has
to reach every user: hence the first warning comes three months before.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.model import ClientCA
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime


THRESHOLDS: Final = (90, 30, 14, 7, 3, 1, 0)  # days before the end
DAY: Final = timedelta(days=1)
FIX: Final = (
    "have its successor sign the users' certificates anew, and add that:"
    " gatecert client-ca add {gateway} FILE"
)


@dataclass(frozen=True, slots=True)
class CAExpiry:
    """An authority that ends soon, or has ended.

    Attributes:
        days: The threshold that has passed, in days before the end; 0 once it has ended.
        words: In words.
    """

    authority: ClientCA
    days: int
    words: str


def endings(authorities: Iterable[ClientCA], *, now: datetime) -> tuple[CAExpiry, ...]:
    """The authorities for which a threshold has passed."""
    found = []
    for authority in authorities:
        passed = [days for days in THRESHOLDS if authority.not_after - days * DAY <= now]
        if passed:
            found.append(CAExpiry(authority, passed[-1], _words(authority, now=now)))
    return tuple(found)


def _words(authority: ClientCA, *, now: datetime) -> str:
    end = instant(authority.not_after)
    who = f"the authority '{authority.subject}' of user certificates"
    if authority.not_after <= now:
        return f"{who} ended on {end}: no certificate of its users is accepted any more"
    days = (authority.not_after - now) // DAY
    left = "less than a day" if days == 0 else f"{days} day{'' if days == 1 else 's'}"
    return f"{who} ends in {left}, on {end}"
