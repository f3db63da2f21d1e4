"""Metrics of what happens: orders, requests, roll-backs, restarts, notifications."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from gatecert.measurement import DeliveryResult, Measurement
from gatecert.monitoring import metric_families as families
from gatecert.monitoring.metric_families import Kind

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from gatecert.monitoring.metric_families import Family

PREFIX: Final = "gatecert_"
AUTHORITY: Final = "authority"
REQUEST_BUCKETS: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds


class EventMetrics:
    """Metrics of what happens.

    Attributes:
        registry: Collects them.
    """

    def __init__(self) -> None:
        # Without samples `_created`, which Prometheus does not use by default.
        prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._receiver_up = Gauge(*_declared(families.RECEIVER_UP), registry=self.registry)
        self._measured = {
            family.name.removeprefix(PREFIX): (family, self._new(family))
            for family in families.EVENTS
            if family is not families.RECEIVER_UP
        }
        self._notifications = self._measured[Measurement.NOTIFICATIONS][1]
        self._authorities: dict[str, set[tuple[str, tuple[str, ...]]]] = {}
        self._kept: frozenset[str] | None = None  # names of CAs; None until they are known

    def measure(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Add a measurement; see `gatecert.monitoring.metrics.Metrics`."""
        if name not in self._measured:
            raise ValueError(f"there is no measurement {name!r}")
        authority = labels.get(AUTHORITY)
        if authority and self._kept is not None and authority not in self._kept:
            return  # of a worker of the configuration before
        family, metric = self._measured[name]
        if labels:
            metric = metric.labels(**labels)
        match metric:
            case Counter():
                metric.inc(value)
            case Histogram():
                metric.observe(value)
            case Gauge():
                metric.set(value)
        if authority:
            shown = self._authorities.setdefault(authority, set())
            shown.add((name, tuple(labels[label] for label in family.labels)))

    def keep_authorities(self, names: Collection[str]) -> None:
        """Show no other CAs than these, and no budget until a worker has measured it anew.

        A limit may be off by now; each worker measures all budgets when it starts.
        """
        self._kept = frozenset(names)
        for authority, shown in self._authorities.items():
            for each in [*shown]:
                name, label_values = each
                if authority not in self._kept or name == Measurement.BUDGET_REMAINING:
                    self._measured[name][1].remove(*label_values)
                    shown.discard(each)

    def describe_receiver(self, name: str, *, up: bool) -> None:
        """Show whether a receiver works, and its counters from zero on."""
        self._receiver_up.labels(name).set(up)
        for result in DeliveryResult:
            self._notifications.labels(name, result)

    def forget_receiver(self, name: str) -> None:
        """Show a receiver no longer."""
        self._receiver_up.remove(name)
        for result in DeliveryResult:
            self._notifications.remove(name, result)

    def _new(self, family: Family) -> Counter | Gauge | Histogram:
        match family.kind:
            case Kind.COUNTER:
                return Counter(*_declared(family), registry=self.registry)
            case Kind.HISTOGRAM:
                return Histogram(
                    *_declared(family), buckets=REQUEST_BUCKETS, registry=self.registry
                )
            case Kind.GAUGE:
                return Gauge(*_declared(family), registry=self.registry)


def _declared(family: Family) -> tuple[str, str, tuple[str, ...]]:
    """Return the arguments with which the library declares a metric."""
    return family.name, family.meaning, family.labels
