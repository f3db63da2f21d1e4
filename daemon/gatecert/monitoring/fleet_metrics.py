"""Metrics of a fleet, from the last report of the follower. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.monitoring import metric_families as families
from gatecert.monitoring.exposition import encodable, gauge

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client import Metric

    from gatecert.model.fleet_report import FleetReport


def fleet_metrics(report: FleetReport | None) -> Iterator[Metric]:
    """Yield the metrics of a fleet; none with files alone.

    While the database cannot be used, nothing is known of the rest.
    """
    if report is None:
        return
    yield gauge(families.FLEET_DATABASE_UP, report.is_up)
    yield gauge(families.FLEET_DATABASE_SINCE, report.since.timestamp())
    if not report.is_up:
        return
    silent, halt = len(report.silent), report.halt
    yield gauge(families.FLEET_HOSTS, {"live": report.hosts - silent, "silent": silent})
    yield gauge(families.FLEET_BEHIND, report.behind)
    in_flight = {encodable(name): number for name, number in report.in_flight.items()}
    yield gauge(families.FLEET_IN_FLIGHT, in_flight)
    halts = {"pause": halt.paused_since is not None, "brake": halt.brake_since is not None}
    yield gauge(families.FLEET_HALTED, halts)
