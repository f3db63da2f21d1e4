"""Rate limits of a CA: what they are, and what is left of them.

The defaults are Let's Encrypt's: 10 new accounts per host in 3 hours, 300 orders per account in
3 hours, 50 certificates per registered domain and 5 for the same set of names in 7 days, 5 failed
validations per name and account in an hour. ``store.counting_rules`` says how requests count.

- *No certificate expires because of a limit.* Certificates that live one day need more than five a
  week: unless the operator set a limit, a certificate may be renewed twice as often as its lifetime
  requires.
- Renewals that name the replaced certificate by CertID (RFC 9773) are exempt at the CA.
  `REPLACEMENTS` is our own limit against a CA that wrongly wants each certificate replaced right
  after issuance.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING

from gatecert.model import RateLimit
from gatecert.store.counting_rules import group_limits
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.model import CountedRequest, Limits
    from gatecert.store.protocol import RateLimitUsageStore

REPLACEMENTS = RateLimit(5, timedelta(days=1))
RENEWALS_A_LIFE = 4  # twice as often as at half of the lifetime, the earliest setting


@dataclass(frozen=True, slots=True)
class RemainingAllowance:
    """The remaining allowance of one limit.

    Attributes:
        what: The requests that the limit counts.
        count: How many more are allowed now.
        until: When the next one is allowed; None while one is allowed now.
    """

    what: str
    count: int
    allowance: RateLimit
    until: datetime | None = None

    def __str__(self) -> str:
        if self.until is not None:
            return f"no more {self.what} until {instant(self.until)}"
        allowance = self.allowance
        return f"{self.count} of {allowance.count} {self.what} left in {allowance.period_text}"


def for_lifetime(allowance: RateLimit | None, lifetime: timedelta | None) -> RateLimit | None:
    """Raise a limit on certificates to what this lifetime needs."""
    if allowance is None or not lifetime:
        return allowance
    needed = ceil(RENEWALS_A_LIFE * allowance.period / lifetime)
    return replace(allowance, count=max(allowance.count, needed))


def remaining_allowances(
    store: RateLimitUsageStore,
    directory_url: str,
    wanted: Sequence[CountedRequest],
    limits: Limits,
    now: datetime,
) -> Iterator[RemainingAllowance]:
    """Yield what is left of each limit that applies.

    Args:
        store: Has the past requests.
        directory_url: The CA's directory.
        wanted: The requests to send.
        limits: The CA's limits.
        now: The CA's time, aware UTC.

    Raises:
        StorageError: The past requests cannot be read.
    """
    for request in wanted:
        number = store.number_counted(directory_url, request.kind)
        for limit in group_limits(request, limits, number):
            allowance = limit.allowance
            instants = store.instants(
                directory_url,
                limit.group,
                since=allowance.begin(now),
                now=now,
                count=allowance.count,
            )
            reached = limit.reached(instants)
            until = reached.until if reached is not None else None
            yield RemainingAllowance(limit.what, allowance.count - len(instants), allowance, until)
