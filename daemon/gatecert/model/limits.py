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
    """What counts against an authority's limits."""

    ACCOUNT = "account"
    ORDER = "order"
    CERTIFICATE = "certificate"
    REPLACEMENT = "replacement"
    VALIDATION = "validation"


@dataclass(frozen=True, slots=True)
class CountedRequest:
    """Something that was asked of an authority, or is about to be.

    Attributes:
        at: When; where the clock had been set back, the latest instant known until then.
        noticed: What the clock said when ``at`` was found to lie in the future; None where it was
            not.
        id: What it was for, so that it counts once however often it is tried again; may be empty.
        account: URL of the account.
        names: The names that it was about.
    """

    kind: RequestKind
    at: datetime
    id: str = ""
    account: str = ""
    names: tuple[str, ...] = ()
    noticed: datetime | None = None


@dataclass(frozen=True, slots=True)
class RateLimitUsage:
    """All that was asked of one authority lately, oldest first."""

    expenses: tuple[CountedRequest, ...] = ()
