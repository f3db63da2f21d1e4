"""Measurements of one CA: its orders, and what is left of its rate limits.

Measuring never fails an order, and does nothing where nothing is measured.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from time import monotonic
from typing import TYPE_CHECKING, Final

from gatecert.errors import (
    GatecertError,
    InterruptedOrderError,
    LeaseLostError,
    RateLimitBudgetError,
)
from gatecert.measurement import Measure, Measurement, OrderResult, no_measure
from gatecert.model import Limits
from gatecert.store.counting_rules import LIMITED
from gatecert.store.protocol import RateLimitUsageStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.model import GroupUse, RateLimit

logger = logging.getLogger(__name__)

MOST_LOOKED_AT: Final = 100  # groups that have reached the usual limit
SHARE: Final = 20  # of the time of many orders, one part goes to measuring the budget


@dataclass(slots=True, eq=False)
class AuthorityMeasurements:
    """Measurements of one CA.

    Attributes:
        limits: Returns the CA's limits for certificates of a lifetime; None if it is unknown.
        lifetime_of: Returns the lifetime of the certificate for these names; None if unknown. It
            is asked once for each.
    """

    name: str
    directory_url: str
    store: RateLimitUsageStore
    limits: Callable[[timedelta | None], Limits]
    measure: Measure = no_measure
    lifetime_of: Callable[[Sequence[str]], timedelta | None] = lambda _: None
    _lifetimes: dict[tuple[str, ...], timedelta | None] = field(default_factory=dict)
    _rests_until: float = 0.0

    @contextmanager
    def order(self, now: Callable[[], datetime]) -> Iterator[None]:
        """Measure an order and what it leaves of the limits.

        One that is not sent, or that is interrupted and will be resumed, has no result yet.

        Args:
            now: The CA's clock.
        """
        try:
            yield
        except (InterruptedOrderError, LeaseLostError):
            raise
        except RateLimitBudgetError:
            self._rests_until = 0.0
            raise
        except GatecertError:
            self._measure_order(OrderResult.FAILED, 1)
            raise
        else:
            self._measure_order(OrderResult.ISSUED, 1)
        finally:
            begin = monotonic()
            if begin >= self._rests_until:
                self.budget(now())
                self._rests_until = begin + SHARE * (monotonic() - begin)

    def budget(self, now: datetime) -> None:
        """Measure what is left of each limit, where the least is left.

        Args:
            now: The CA's time.
        """
        if self.measure is no_measure:
            return
        for result in OrderResult:  # so that the counters are there before the first order
            self._measure_order(result, 0)
        try:
            for limit, count in self._remaining(now).items():
                labels = {"authority": self.name, "limit": limit}
                self.measure(Measurement.BUDGET_REMAINING, labels, count)
        except GatecertError as error:
            logger.debug("budget not measured authority=%s %s", self.name, error)

    def _measure_order(self, result: OrderResult, number: int) -> None:
        self.measure(Measurement.ORDERS, {"authority": self.name, "result": result}, number)

    def _remaining(self, now: datetime) -> dict[str, int]:
        """Return how much is left of each limit for the group with the least left."""
        usual, found = self.limits(None), {}
        for limit, limited in LIMITED.items():
            allowance: RateLimit | None = getattr(usual, limit)
            if allowance is not None:
                groups = self.store.busiest_groups(
                    self.directory_url,
                    limited.kind,
                    limited.by,
                    since=allowance.begin(now),
                    now=now,
                    full=allowance.count,
                )
                found[limit] = self._least(limit, allowance.count, groups)
        return found

    def _least(self, limit: str, usual: int, groups: Sequence[GroupUse]) -> int:
        """Return how much is left of a limit for the group with the least left.

        Args:
            limit: The limit.
            usual: Its usual allowance; short-lived certificates may exceed it.
            groups: Its busiest groups.
        """
        left = [usual]
        for group in sorted(groups, key=lambda group: -group.used)[:MOST_LOOKED_AT]:
            allowed = usual
            if group.used >= usual:
                allowed = getattr(self.limits(self._lifetime(group.names)), limit).count
            left.append(max(0, allowed - group.used))
        return min(left)

    def _lifetime(self, names: tuple[str, ...]) -> timedelta | None:
        if names not in self._lifetimes:
            self._lifetimes[names] = self.lifetime_of(names)
        return self._lifetimes[names]
