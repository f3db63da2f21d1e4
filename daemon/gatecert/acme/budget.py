"""The rate-limit budget at one CA: checked before anything is sent, and kept on the disk.

This module says which requests an order costs; the store, which all processes of a state directory
share, checks the limits and counts the requests in one step. Time is the CA's, as far as its Date
headers have told it: setting this machine's clock changes nothing.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.acme.rate_limits import remaining_allowances
from gatecert.errors import OrderHeldError, RateLimitBudgetError
from gatecert.model import (
    CountedRequest,
    Expenses,
    KeyRequest,
    Limits,
    OrderHeld,
    RequestKind,
)
from gatecert.store.protocol import RateLimitUsageStore
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.acme.protocol import OrderJournal
    from gatecert.acme.rate_limits import RemainingAllowance
    from gatecert.model import LimitReached

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
        now = self.ca_time()
        self._count(Expenses(now, (CountedRequest(RequestKind.ACCOUNT, now),)))

    def open_order(
        self, journal: OrderJournal, request: KeyRequest, account: str, names: Sequence[str]
    ) -> None:
        """Store the key request of an order and count the order, in one step.

        It may have been stored as that of a replacement, which the CA refused.

        Raises:
            RateLimitBudgetError: The order, its validations or its certificate would exceed a rate
                limit now; nothing is left of the order.
            OrderHeldError: Other orders of the fleet go first, or it is halted; nothing is left.
        """
        self._open(journal, request, self._order(account, names))

    def open_replacement(
        self, journal: OrderJournal, request: KeyRequest, names: Sequence[str]
    ) -> None:
        """Store the key request of an order that replaces a certificate; count nothing.

        Raises:
            RateLimitBudgetError: There were too many replacements recently; nothing is left of the
                order.
            OrderHeldError: See `open_order`.
        """
        now = self.ca_time()
        replacement = CountedRequest(RequestKind.REPLACEMENT, now, names=tuple(names))
        self._open(journal, request, Expenses(now, following=(replacement,)))

    def replacement(self, order: str, names: Sequence[str]) -> None:
        """Count a certificate that replaces another; see `certificate`."""
        self._count_certificate(RequestKind.REPLACEMENT, order, names)

    def remaining_allowances(
        self, account: str, names: Sequence[str]
    ) -> tuple[RemainingAllowance, ...]:
        """Return what is left of each limit for an order; count nothing.

        Raises:
            StorageError: The usage cannot be read.
        """
        now = self.ca_time()
        wanted = [
            CountedRequest(RequestKind.ORDER, now, account=account),
            CountedRequest(RequestKind.CERTIFICATE, now, names=tuple(names)),
            *_validations(now, account, names),
        ]
        return tuple(
            each if each.until is None else replace(each, until=self._to_local(each.until))
            for each in remaining_allowances(
                self.store, self.directory_url, wanted, self.limits, now
            )
        )

    def validations(self, order: str, account: str, names: Sequence[str]) -> None:
        """Count validations, each of which may fail.

        Raises:
            RateLimitBudgetError: They would exceed a rate limit now.
        """
        now = self.ca_time()
        self._count(Expenses(now, _validations(now, account, names, order)))

    def certificate(self, order: str, names: Sequence[str]) -> None:
        """Count a certificate; the order's validations succeeded, so they no longer count.

        Raises:
            RateLimitBudgetError: It would exceed a rate limit now.
        """
        self._count_certificate(RequestKind.CERTIFICATE, order, names)

    def _count_certificate(self, kind: RequestKind, order: str, names: Sequence[str]) -> None:
        now = self.ca_time()
        request = CountedRequest(kind, now, order, names=tuple(names))
        self._count(Expenses(now, (request,), validated=order))

    def _order(self, account: str, names: Sequence[str]) -> Expenses:
        now = self.ca_time()
        return Expenses(
            now,
            (CountedRequest(RequestKind.ORDER, now, account=account),),
            (
                CountedRequest(RequestKind.CERTIFICATE, now, names=tuple(names)),
                *_validations(now, account, names),
            ),
        )

    def _open(self, journal: OrderJournal, request: KeyRequest, expenses: Expenses) -> None:
        self._check(journal.open(request, self.directory_url, expenses, self.limits))

    def _count(self, expenses: Expenses) -> None:
        self._check(self.store.count_requests(self.directory_url, expenses, self.limits))

    def ca_time(self) -> datetime:
        """Return the CA's time."""
        return self.now() - (self.ahead() or timedelta(0))

    def _to_local(self, instant: datetime) -> datetime:
        """Convert an instant of the CA's clock to this machine's."""
        return instant + (self.ahead() or timedelta(0))

    def _check(self, reached: LimitReached | OrderHeld | None) -> None:
        if reached is None:
            return
        if isinstance(reached, OrderHeld):
            raise OrderHeldError(
                f"the order at {self.name} waits {reached.reason}",
                until=self.now() + reached.pause,
                fix=reached.fix,
            )
        until = self._to_local(reached.until)
        logger.info(
            "budget spent authority=%s until=%s reason=%r",
            self.name,
            until.isoformat(timespec="seconds"),
            reached.reason,
        )
        raise RateLimitBudgetError(
            f"{self.label} allows no more {reached.reason}; nothing was sent; gatecert continues at"
            f" {instant(until)}",
            until=until,
            fix=f"no action needed; set authorities.{self.name}.limits if this CA's differ",
        )


def _validations(
    now: datetime, account: str, names: Sequence[str], order: str = ""
) -> tuple[CountedRequest, ...]:
    """Return the validations of an order; they have no id as long as the order has no URL."""
    return tuple(
        CountedRequest(
            RequestKind.VALIDATION, now, f"{order} {name}" if order else "", account, (name,)
        )
        for name in names
    )
