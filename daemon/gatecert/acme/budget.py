"""What we allow ourselves at one authority: asked before anything is sent, and kept on the disk.

``limits`` has the rules; here they meet the store, which all processes of a state directory share.
Time is the authority's, as far as it has said what time it is there: whoever sets this machine's
clock neither gains nor loses anything.
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
    without_validations,
)
from gatecert.errors import RateLimitBudgetError
from gatecert.model import CountedRequest, Limits, RateLimitUsage, RequestKind
from gatecert.store.protocol import RateLimitUsageStore
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.acme.rate_limits import RemainingAllowance, Wait

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Budget:
    """What may still be asked of one authority.

    Attributes:
        label: How messages call the authority.
        name: Its name in the configuration.
        now: The wall clock, aware UTC.
        ahead: How far that is ahead of the authority's; None if unknown.
    """

    store: RateLimitUsageStore
    directory_url: str
    limits: Limits
    label: str
    name: str
    now: Callable[[], datetime]
    ahead: Callable[[], timedelta | None] = lambda: None

    def account(self) -> None:
        """An account is about to be made.

        Raises:
            RateLimitBudgetError: Not now.
        """
        self._spend([CountedRequest(RequestKind.ACCOUNT, self._time())])

    def order(self, account: str, names: Sequence[str]) -> None:
        """An order is about to be placed; sees that it could be brought to its end as well.

        Raises:
            RateLimitBudgetError: Not now.
        """
        now = self._time()
        later = [
            CountedRequest(RequestKind.CERTIFICATE, now, names=tuple(names)),
            *self._validations("", account, names),
        ]
        self._spend([CountedRequest(RequestKind.ORDER, now, account=account)], later)

    def may_replace(self, names: Sequence[str]) -> None:
        """An order that replaces a certificate is about to be placed.

        Raises:
            RateLimitBudgetError: There were too many of late.
        """
        self._spend([], [CountedRequest(RequestKind.REPLACEMENT, self._time(), names=tuple(names))])

    def replacement(self, order: str, names: Sequence[str]) -> None:
        """A certificate is about to be issued that replaces another; see `certificate`."""
        request = CountedRequest(RequestKind.REPLACEMENT, self._time(), order, names=tuple(names))
        self._spend([request], validated=order)

    def remaining_allowances(
        self, account: str, names: Sequence[str]
    ) -> tuple[RemainingAllowance, ...]:
        """What is left for an order; nothing is spent by asking.

        Raises:
            StorageError: What was spent cannot be read.
        """
        now = self._time()
        wanted = [
            CountedRequest(RequestKind.ORDER, now, account=account),
            CountedRequest(RequestKind.CERTIFICATE, now, names=tuple(names)),
            *self._validations("", account, names),
        ]
        known = remaining_allowances(
            self.store.rate_limit_usage(self.directory_url), wanted, self.limits, now
        )
        return tuple(
            each if each.until is None else replace(each, until=self._here(each.until))
            for each in known
        )

    def validations(self, order: str, account: str, names: Sequence[str]) -> None:
        """Names are about to be validated, which may fail.

        Raises:
            RateLimitBudgetError: Not now.
        """
        self._spend(self._validations(order, account, names))

    def certificate(self, order: str, names: Sequence[str]) -> None:
        """A certificate is about to be issued: the validations before it have not failed.

        Raises:
            RateLimitBudgetError: Not now.
        """
        request = CountedRequest(RequestKind.CERTIFICATE, self._time(), order, names=tuple(names))
        self._spend([request], validated=order)

    def _validations(self, order: str, account: str, names: Sequence[str]) -> list[CountedRequest]:
        return [
            CountedRequest(
                RequestKind.VALIDATION,
                self._time(),
                f"{order} {name}" if order else "",
                account,
                (name,),
            )
            for name in names
        ]

    def _spend(
        self,
        wanted: Sequence[CountedRequest],
        later: Sequence[CountedRequest] = (),
        *,
        validated: str = "",
    ) -> None:
        now = self._time()
        waits: list[Wait] = []

        def change(before: RateLimitUsage) -> RateLimitUsage:
            wait = required_wait(before, [*wanted, *later], self.limits, now)
            if wait is not None:
                waits.append(wait)
                return with_future_noticed(
                    before, now
                )  # from when on a clock that was set back is known
            after = record_requests(before, wanted, self.limits, now)
            return without_validations(after, validated) if validated else after

        self.store.update_rate_limit_usage(self.directory_url, change)
        if waits:
            raise self._error(waits[0])

    def _time(self) -> datetime:
        """What time it is at the authority."""
        return self.now() - (self.ahead() or timedelta(0))

    def _here(self, instant: datetime) -> datetime:
        """An instant at the authority, by this machine's clock."""
        return instant + (self.ahead() or timedelta(0))

    def _error(self, wait: Wait) -> RateLimitBudgetError:
        until = self._here(wait.until)
        logger.info(
            "budget spent authority=%s until=%s reason=%r",
            self.name,
            until.isoformat(timespec="seconds"),
            wait.reason,
        )
        return RateLimitBudgetError(
            f"{self.label} allows no more {wait.reason}; nothing was sent, it goes on at "
            f"{instant(until)}",
            until=until,
            fix=f"nothing, unless its limits are others: then set authorities.{self.name}.limits",
        )
