"""Rate limits of a CA, and the requests that count against them.

A request reaches the CA later than it is counted here, with varying delay, so every period is
extended by `IN_TRANSIT`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

IN_TRANSIT = timedelta(minutes=5)  # as long as an order may take

_UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
    ("second", timedelta(seconds=1)),
)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """At most ``count`` in any ``period``."""

    count: int
    period: timedelta

    def __str__(self) -> str:
        return f"{self.count} in {self.period_text}"

    @property
    def period_text(self) -> str:
        """The period in words: "3 hours"."""
        unit, length = next((each for each in _UNITS if self.period >= each[1]), _UNITS[-1])
        number = self.period / length
        return f"{number:g} {unit}{'' if number == 1 else 's'}"

    def begin(self, now: datetime) -> datetime:
        """Return the instant up to which requests no longer count."""
        return now - (self.period + IN_TRANSIT)

    def end(self, instant: datetime) -> datetime:
        """Return the instant from which a request no longer counts."""
        return instant + self.period + IN_TRANSIT


@dataclass(frozen=True, slots=True)
class Limits:
    """The rate limits of a CA; None for no limit.

    Attributes:
        new_accounts: From this host; in a fleet, from the hosts of its cluster.
        orders: Per account.
        certificates: Per registered domain.
        duplicates: Certificates for exactly the same names.
        replacements: Duplicates that replace the previous one, which CAs do not count.
        failed_validations: Per name and account.
        most_orders: Orders in progress at the same time, by all hosts of a fleet together; a
            process alone keeps it by itself (``acme.load_limit``).
    """

    new_accounts: RateLimit | None = None
    orders: RateLimit | None = None
    certificates: RateLimit | None = None
    duplicates: RateLimit | None = None
    replacements: RateLimit | None = None
    failed_validations: RateLimit | None = None
    most_orders: int | None = field(default=None, kw_only=True)


class RequestKind(StrEnum):
    """The kinds of requests that count against rate limits."""

    ACCOUNT = "account"
    ORDER = "order"
    CERTIFICATE = "certificate"
    REPLACEMENT = "replacement"
    VALIDATION = "validation"


@dataclass(frozen=True, slots=True)
class CountedRequest:
    """A request to a CA that counts against its rate limits.

    Attributes:
        at: When; if the clock was set back, the latest instant known before.
        noticed: The clock's time when ``at`` was found to be in the future; None if it was not.
        id: The order or attempt, so that retries count once; may be empty.
        account: URL of the account.
        names: The names in the request.
    """

    kind: RequestKind
    at: datetime
    id: str = ""
    account: str = ""
    names: tuple[str, ...] = ()
    noticed: datetime | None = None


class CountedBy(StrEnum):
    """The groupings of requests, in each of which a limit counts some together."""

    ALL = "all"
    ACCOUNT = "account"
    ACCOUNT_AND_NAMES = "account-and-names"
    NAMES = "names"
    REGISTERED_DOMAIN = "registered-domain"


@dataclass(frozen=True, slots=True)
class RequestGroup:
    """The requests that a limit counts together, as a key that every store can look up.

    Attributes:
        value: The account, names or domain that they share; see `request_groups.groups_of`.
    """

    kind: RequestKind
    by: CountedBy
    value: str = ""


@dataclass(frozen=True, slots=True)
class GroupLimit:
    """A limit on one group of requests.

    Attributes:
        what: The requests in messages: "certificates below example.com".
    """

    allowance: RateLimit
    group: RequestGroup
    what: str

    def reached(self, instants: Sequence[datetime]) -> LimitReached | None:
        """Return until when the limit forbids another request; None if it allows one.

        Args:
            instants: From when the newest requests of the group count, oldest first, without those
                that no longer count, and no more than the allowance.
        """
        if len(instants) < self.allowance.count:
            return None
        return LimitReached(self.allowance.end(instants[0]), f"{self.what}: {self.allowance}")


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Until when a limit forbids a request, and the limit in words."""

    until: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class OrderHeld:
    """A reason of the fleet, no limit of the CA, for which an order is not placed now.

    Attributes:
        pause: After which it may be tried again.
        reason: Completes "the order waits …", one line.
        fix: What to do about it, one line.
    """

    pause: timedelta
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class GroupUse:
    """The use of a limit by one group.

    Attributes:
        used: How many of its requests count now.
        names: The names in the latest of them.
    """

    used: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Expenses:
    """Requests to a CA that are sent together, or not at all.

    Attributes:
        now: The CA's time, aware UTC.
        counted: The requests, counted before they are sent.
        following: Requests that will follow; the limits must allow them too.
        validated: URL of an order none of whose validations has failed, so that they no longer
            count; may be empty.
    """

    now: datetime
    counted: tuple[CountedRequest, ...] = ()
    following: tuple[CountedRequest, ...] = ()
    validated: str = ""


@dataclass(frozen=True, slots=True)
class UsageChange:
    """Changes of the counted requests to one CA that are made at once.

    Attributes:
        clock: The clock's time, with which requests in the future are marked; None marks none.
        counted: Requests to count; one with the id of an earlier request replaces it.
        validated: URL of an order whose validations no longer count; may be empty.
    """

    clock: datetime | None = None
    counted: tuple[CountedRequest, ...] = ()
    validated: str = ""
