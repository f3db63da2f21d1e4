"""Rate limits of a CA, and the requests that count against them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

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


@dataclass(frozen=True, slots=True)
class Limits:
    """The rate limits of a CA; None for no limit.

    Attributes:
        new_accounts: From this host.
        orders: Per account.
        certificates: Per registered domain.
        duplicates: Certificates for exactly the same names.
        replacements: Duplicates that replace the previous one, which CAs do not count.
        failed_validations: Per name and account.
    """

    new_accounts: RateLimit | None = None
    orders: RateLimit | None = None
    certificates: RateLimit | None = None
    duplicates: RateLimit | None = None
    replacements: RateLimit | None = None
    failed_validations: RateLimit | None = None


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
