"""Measurements of the worker and the core, which the monitor shows as metrics.

A part that measures gets a `Measure`, and calls it with a name of `Measurement`, labels and a
value. The worker's sends each through the core to the monitor. It never raises, never waits and
may be called by any thread. `no_measure` stands for it where nothing is measured.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import TypeAlias

Measure: TypeAlias = Callable[[str, Mapping[str, str], float], None]
"""Takes a name, labels (name to value) and a value."""


class Measurement(StrEnum):
    """The measurements: the names of metrics without ``gatecert_``.

    ORDERS: Orders that ended; labels ``authority`` and ``result`` (`OrderResult`).
    REQUEST_SECONDS: Duration of one ACME request, in seconds; label ``authority``.
    BUDGET_REMAINING: Requests that a rate limit still allows; labels ``authority`` and ``limit``, a
        key of ``authorities.NAME.limits``, or ``replacements``.
    ROLLBACKS: Contents that a gateway's server refused, and that were put back.
    WORKER_RESTARTS: Workers that ended unexpectedly and were replaced.
    NOTIFICATIONS: Attempts to tell a receiver; labels ``receiver`` and ``result``
        (`DeliveryResult`).
    """

    ORDERS = "orders_total"
    REQUEST_SECONDS = "authority_request_duration_seconds"
    BUDGET_REMAINING = "budget_remaining"
    ROLLBACKS = "deploy_rollbacks_total"
    WORKER_RESTARTS = "worker_restarts_total"
    NOTIFICATIONS = "notifications_total"


class OrderResult(StrEnum):
    """The end of an order."""

    ISSUED = "issued"
    FAILED = "failed"


class DeliveryResult(StrEnum):
    """The end of an attempt to notify."""

    DELIVERED = "delivered"
    FAILED = "failed"


def no_measure(name: str, labels: Mapping[str, str], value: float) -> None:
    """Measure nothing."""
