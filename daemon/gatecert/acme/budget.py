"""The rate-limit budget at one CA: checked before anything is sent, and kept on the disk.

``rate_limits`` has the rules; this module applies them to the store, which all processes of a state
directory share. Time is the CA's, as far as its Date headers have told it: setting this machine's
clock changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.acme.rate_limits import (
    record_requests,
    remaining_allowances,
    required_wait,
    with_future_noticed,
    without_stale,
)
from gatecert.errors import RateLimitBudgetError
from gatecert.model import CountedRequest, Limits, RequestKind
from gatecert.store.protocol import RateLimitUsageStore
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.acme.rate_limits import RemainingAllowance, Wait
    from gatecert.model import UsageChange
    from gatecert.store.usage_index import UsageIndex

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Budget:
    """The remaining allowance at one CA.

    Attributes:
        label: The CA in messages.
        name: Its name in the configuration.
        now: The wall clock, aware UTC.
        ahead: How far the wall clock is ahead of the CA's; None if unknown.
    """

    store: RateLimitUsageStore
    directory_url: str
    limits: Limits
    label: str
    name: str
    now: Callable[[], datetime]
    ahead: Callable[[], timedelta | None] = lambda: None

    def account(self) -> None:
        """Count a new account.

        Raises:
            RateLimitBudgetError: It would exceed a rate limit now.
        """
        self._count([CountedRequest(RequestKind.ACCOUNT, self._ca_time())])

    def order(self, account: str, names: Sequence[str]) -> None:
        """Count an order; check that its validations and certificate are within the limits too.

        Raises:
            RateLimitBudgetError: It would exceed a rate limit now.
        """
        now = self._ca_time()
        later = [
            CountedRequest(RequestKind.CERTIFICATE, now, names=tuple(names)),
            *self._validations("", account, names),
        ]
        self._count([CountedRequest(RequestKind.ORDER, now, account=account)], later)

    def may_replace(self, names: Sequence[str]) -> None:
        """Check whether an order may replace a certificate; count nothing.

        Raises:
            RateLimitBudgetError: There were too many replacements recently.
        """
        self._count(
            [], [CountedRequest(RequestKind.REPLACEMENT, self._ca_time(), names=tuple(names))]
        )

    def replacement(self, order: str, names: Sequence[str]) -> None:
        """Count a certificate that replaces another; see `certificate`."""
        request = CountedRequest(
            RequestKind.REPLACEMENT, self._ca_time(), order, names=tuple(names)
        )
        self._count([request], validated=order)

    def remaining_allowances(
        self, account: str, names: Sequence[str]
    ) -> tuple[RemainingAllowance, ...]:
        """Return what is left of each limit for an order; count nothing.

        Raises:
            StorageError: The usage cannot be read.
        """
        now = self._ca_time()
        wanted = [
            CountedRequest(RequestKind.ORDER, now, account=account),
            CountedRequest(RequestKind.CERTIFICATE, now, names=tuple(names)),
            *self._validations("", account, names),
        ]
        allowances = self.store.rate_limit_usage(
            self.directory_url,
            lambda usage: remaining_allowances(usage, wanted, self.limits, now),
        )
        return tuple(
            each if each.until is None else replace(each, until=self._to_local(each.until))
            for each in allowances
        )

    def validations(self, order: str, account: str, names: Sequence[str]) -> None:
        """Count validations, each of which may fail.

        Raises:
            RateLimitBudgetError: They would exceed a rate limit now.
        """
        self._count(self._validations(order, account, names))

    def certificate(self, order: str, names: Sequence[str]) -> None:
        """Count a certificate; the order's validations succeeded, so they no longer count.

        Raises:
            RateLimitBudgetError: It would exceed a rate limit now.
        """
        request = CountedRequest(
            RequestKind.CERTIFICATE, self._ca_time(), order, names=tuple(names)
        )
        self._count([request], validated=order)

    def _validations(self, order: str, account: str, names: Sequence[str]) -> list[CountedRequest]:
        return [
            CountedRequest(
                RequestKind.VALIDATION,
                self._ca_time(),
                f"{order} {name}" if order else "",
                account,
                (name,),
            )
            for name in names
        ]

    def _count(
        self,
        wanted: Sequence[CountedRequest],
        later: Sequence[CountedRequest] = (),
        *,
        validated: str = "",
    ) -> None:
        now = self._ca_time()
        waits: list[Wait] = []

        def change(usage: UsageIndex) -> UsageChange | None:
            wait = required_wait(usage, [*wanted, *later], self.limits, now)
            if wait is None:
                return record_requests(usage, wanted, now, validated=validated)
            waits.append(wait)
            return with_future_noticed(usage, now)

        self.store.update_rate_limit_usage(
            self.directory_url,
            change,
            lambda usage: without_stale(usage.requests, self.limits, now),
        )
        if waits:
            raise self._error(waits[0])

    def _ca_time(self) -> datetime:
        """Return the CA's time."""
        return self.now() - (self.ahead() or timedelta(0))

    def _to_local(self, instant: datetime) -> datetime:
        """Convert an instant of the CA's clock to this machine's."""
        return instant + (self.ahead() or timedelta(0))

    def _error(self, wait: Wait) -> RateLimitBudgetError:
        until = self._to_local(wait.until)
        logger.info(
            "budget spent authority=%s until=%s reason=%r",
            self.name,
            until.isoformat(timespec="seconds"),
            wait.reason,
        )
        return RateLimitBudgetError(
            f"{self.label} allows no more {wait.reason}; nothing was sent; gatecert continues at "
            f"{instant(until)}",
            until=until,
            fix=f"no action needed; set authorities.{self.name}.limits if this CA's differ",
        )
