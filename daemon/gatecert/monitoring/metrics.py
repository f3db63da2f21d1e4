"""Metrics for Prometheus; changed and read in one event loop.

The samples of a gateway are rendered when its status changes, and joined when Prometheus asks. The
sums are counted then, and prometheus-client renders them and all other metrics. Labels have values
of the configuration only, so their number is bounded.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from gatecert.monitoring import metric_families as families
from gatecert.monitoring.event_metrics import EventMetrics
from gatecert.monitoring.exposition import (
    choose_format,
    encodable,
    gauge,
    heading,
    sample_line,
    text_of,
)
from gatecert.monitoring.fleet_metrics import fleet_metrics
from gatecert.monitoring.gateway_values import GatewayValues, gateway_values
from gatecert.report.gateway_status import Condition

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence

    from prometheus_client import Metric

    from gatecert.model.fleet_report import FleetReport
    from gatecert.report.gateway_status import GatewayStatus
    from gatecert.report.monitoring_status import ReceiverStatus


class Metrics:
    """All metrics.

    Args:
        per_gateway: Whether each gateway has samples of its own.
        version: The version of gatecert.
    """

    def __init__(self, *, per_gateway: bool, version: str) -> None:
        self._version = version
        self._gateways: dict[str, GatewayValues] = {}
        self._lines: dict[str, tuple[bytes, ...]] | None = {} if per_gateway else None
        self._configured = 0
        self._ready = False
        self._fleet: FleetReport | None = None
        self._events = EventMetrics()
        self._receivers: frozenset[str] = frozenset()

    def describe(self, status: GatewayStatus) -> None:
        """Show the status of a gateway instead of its previous one."""
        values = gateway_values(status)
        known = self._gateways.get(status.name)
        if values == known:
            return
        self._gateways[status.name] = values
        if self._lines is not None:
            self._lines[status.name] = tuple(_lines(status.name, values))

    def forget(self, gateway: str) -> None:
        """Show a gateway no longer."""
        self._gateways.pop(gateway, None)
        if self._lines is not None:
            self._lines.pop(gateway, None)

    def describe_daemon(self, *, configured: int, ready: bool) -> None:
        """Show how the daemon is.

        Args:
            configured: The number of gateways of the configuration in force.
            ready: Whether every gateway has something to serve.
        """
        self._configured, self._ready = configured, ready

    def describe_fleet(self, report: FleetReport | None) -> None:
        """Show how the fleet is; None for no fleet."""
        self._fleet = report

    def keep_authorities(self, names: Collection[str]) -> None:
        """Show no other CAs than these, the names of the configuration in force."""
        self._events.keep_authorities([encodable(name) for name in names])

    def describe_receivers(self, statuses: Sequence[ReceiverStatus]) -> None:
        """Show how all receivers of notifications are; others are shown no longer."""
        names = frozenset(encodable(status.name) for status in statuses)
        for name in self._receivers - names:
            self._events.forget_receiver(name)
        self._receivers = names
        for status in statuses:
            self._events.describe_receiver(encodable(status.name), up=not status.problem)

    def measure(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Add a measurement: to a counter, to the histogram, or as the new value of a gauge.

        Args:
            name: One of `Measurement`.
            labels: All labels of that measurement.
            value: The value; zero makes a counter visible before its first event.

        Raises:
            ValueError: There is no such measurement, label or value.
        """
        self._events.measure(name, {key: encodable(text) for key, text in labels.items()}, value)

    def exposition(self, accept: str) -> tuple[str, bytes]:
        """Return the content type and all metrics.

        Args:
            accept: The Accept header of the request; empty for the text format.
        """
        chosen = choose_format(accept)
        # Both formats write the metrics of gateways, which are gauges, in the same way.
        sums = text_of((*self._sums(), *fleet_metrics(self._fleet)))
        parts = [*self._by_family(), sums, chosen.render(self._events.registry)]
        return chosen.content_type, b"".join(parts)

    def _by_family(self) -> Iterator[bytes]:
        """Yield the samples of all gateways, those of a family together."""
        columns = zip(*self._lines.values(), strict=True) if self._lines else ()
        for family, lines in zip(families.GATEWAY_FAMILIES.values(), columns, strict=False):
            yield heading(family) + b"".join(lines)

    def _sums(self) -> Iterator[Metric]:
        """Yield the metrics that count gateways, and those of the daemon."""
        known = self._gateways.values()
        states = Counter(one.state for one in known)
        by_state = {str(state): states[state] for state in Condition}
        yield gauge(families.GATEWAYS, by_state)
        yield gauge(families.NEEDING_ATTENTION, sum(one.needs_attention for one in known))
        yield gauge(families.NOT_SERVED, sum(one.served is False for one in known))
        failed = sum(one.last_attempt_success is False for one in known)
        yield gauge(families.LAST_ATTEMPT_FAILED, failed)
        yield gauge(families.NAME_ELSEWHERE, sum(one.points_here is False for one in known))
        yield gauge(families.REVOKED, sum(one.revoked is True for one in known))
        ends = (one.not_after for one in known if one.not_after is not None)
        yield gauge(families.EARLIEST_NOT_AFTER, min(ends, default=None))
        yield gauge(families.CONFIGURED, self._configured)
        yield gauge(families.KNOWN, len(known))
        yield gauge(families.READY, self._ready)
        yield gauge(families.BUILD_INFO, {self._version: 1})


def _lines(gateway: str, values: GatewayValues) -> Iterator[bytes]:
    """Yield the sample of each metric of a gateway; empty for an unknown value."""
    for field, family in families.GATEWAY_FAMILIES.items():
        value = getattr(values, field)
        yield sample_line(family, gateway, value) if value is not None else b""
