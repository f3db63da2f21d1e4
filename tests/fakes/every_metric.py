"""Metrics with samples of every family."""

from __future__ import annotations

from dataclasses import replace

from tests.fakes.gateway_statuses import BOSTON, EVERY_STATE, FULL, NOW

from gatecert.measurement import DeliveryResult, Measurement, OrderResult
from gatecert.model import OutcomeKind, PastOutcome
from gatecert.model.fleet import FleetHalt
from gatecert.model.fleet_report import FleetReport
from gatecert.monitoring.metrics import Metrics
from gatecert.report.monitoring_status import ReceiverStatus

RENEWED = PastOutcome(NOW, OutcomeKind.RENEWED, "renewed", "", NOW)
MOVED = replace(BOSTON, name="moved", points_here=False, history=(RENEWED,))

FLEET = FleetReport(
    NOW, hosts=3, silent=("gw-c",), behind=1, in_flight={"le": 2}, halt=FleetHalt(paused_since=NOW)
)


def every_metric(*, per_gateway: bool = True) -> Metrics:
    """Return metrics of gateways in every state, with every measurement."""
    metrics = Metrics(per_gateway=per_gateway, version="0.1.0")
    for status in (*EVERY_STATE, FULL, MOVED):
        metrics.describe(status)
    metrics.describe_fleet(FLEET)
    metrics.describe_daemon(configured=len(EVERY_STATE) + 2, ready=True)
    metrics.describe_receivers([ReceiverStatus("mail"), ReceiverStatus("chat", problem="refused")])
    authority = {"authority": "le"}
    metrics.measure(Measurement.ORDERS, {**authority, "result": OrderResult.ISSUED}, 1)
    metrics.measure(Measurement.REQUEST_SECONDS, authority, 0.3)
    metrics.measure(Measurement.BUDGET_REMAINING, {**authority, "limit": "orders"}, 299)
    metrics.measure(Measurement.ROLLBACKS, {}, 1)
    metrics.measure(Measurement.WORKER_RESTARTS, {}, 1)
    metrics.measure(
        Measurement.NOTIFICATIONS, {"receiver": "mail", "result": DeliveryResult.DELIVERED}, 1
    )
    return metrics
