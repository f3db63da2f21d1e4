"""All metrics: names, types, labels and meanings. docs/metrics.md is made from them.

Names follow https://prometheus.io/docs/practices/naming/; times are Unix time, 1 and 0 stand for
true and false. The metrics of a gateway are made from a `GatewayValues`, all others are objects of
the library.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Kind(StrEnum):
    """The type of a metric."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


@dataclass(frozen=True, slots=True)
class Family:
    """A metric with its samples' labels.

    Attributes:
        meaning: One sentence, shown to Prometheus and in docs/metrics.md.
    """

    name: str
    meaning: str
    labels: tuple[str, ...] = ()
    kind: Kind = Kind.GAUGE


def _of_gateway(name: str, meaning: str) -> Family:
    return Family(name, meaning, ("gateway",))


GATEWAY_FAMILIES: Final = {
    "not_after": _of_gateway(
        "gatecert_certificate_not_after_timestamp_seconds",
        "End of the installed certificate, the bootstrap certificate included.",
    ),
    "not_before": _of_gateway(
        "gatecert_certificate_not_before_timestamp_seconds",
        "Beginning of the installed certificate.",
    ),
    "served": _of_gateway(
        "gatecert_certificate_served",
        "Whether a TLS handshake proved the installed certificate at every listener; absent if "
        "unknown.",
    ),
    "trusted": _of_gateway(
        "gatecert_certificate_trusted",
        "Whether the certificate is proven by a TLS handshake and ends in a trusted root; 0 for a "
        "bootstrap certificate.",
    ),
    "revoked": _of_gateway(
        "gatecert_certificate_revoked",
        "Whether the installed certificate is revoked; absent if unknown.",
    ),
    "last_attempt_success": _of_gateway(
        "gatecert_last_attempt_success",
        "Whether the last attempt to obtain or deploy a certificate succeeded, or what had failed "
        "is in order again; absent before the first.",
    ),
    "failures": _of_gateway(
        "gatecert_consecutive_failures", "Failed attempts to obtain a certificate, in a row."
    ),
    "points_here": _of_gateway(
        "gatecert_name_points_here",
        "Whether every name of the gateway resolves to it; absent if unknown.",
    ),
    "next_action": _of_gateway(
        "gatecert_next_action_timestamp_seconds",
        "When gatecert acts next for the gateway; absent if only a person or an event helps.",
    ),
    "needs_attention": _of_gateway(
        "gatecert_needs_attention", "Whether the gateway needs a person, as gatecert status shows."
    ),
    "client_authority_not_after": _of_gateway(
        "gatecert_client_authority_not_after_timestamp_seconds",
        "End of the gateway's first client CA to end; absent without client CAs.",
    ),
}
"""By the field of `gatecert.monitoring.gateway_values.GatewayValues`."""

GATEWAYS: Final = Family(
    "gatecert_gateways", "Gateways in each state of gatecert status.", ("state",)
)
NEEDING_ATTENTION: Final = Family(
    "gatecert_gateways_needing_attention", "Gateways that need a person."
)
NOT_SERVED: Final = Family(
    "gatecert_gateways_not_served", "Gateways whose installed certificate is not served."
)
LAST_ATTEMPT_FAILED: Final = Family(
    "gatecert_gateways_last_attempt_failed", "Gateways whose last attempt failed."
)
NAME_ELSEWHERE: Final = Family(
    "gatecert_gateways_name_elsewhere", "Gateways of which a name does not resolve to them."
)
REVOKED: Final = Family(
    "gatecert_gateways_revoked", "Gateways whose installed certificate is revoked."
)
EARLIEST_NOT_AFTER: Final = Family(
    "gatecert_earliest_not_after_timestamp_seconds",
    "End of the first installed certificate to end; absent if there is none.",
)
CONFIGURED: Final = Family(
    "gatecert_gateways_configured", "Gateways of the configuration in force."
)
KNOWN: Final = Family(
    "gatecert_gateways_known",
    "Gateways that were looked at since the start; the sums count these.",
)
READY: Final = Family(
    "gatecert_ready", "Whether every gateway has something to serve, as systemd is told."
)
FLEET_DATABASE_UP: Final = Family(
    "gatecert_fleet_database_up", "Whether this host can use the fleet's database."
)
FLEET_DATABASE_SINCE: Final = Family(
    "gatecert_fleet_database_since_timestamp_seconds",
    "Since when it can, or cannot; no later than the start of the daemon's part that follows it.",
)
FLEET_HOSTS: Final = Family(
    "gatecert_fleet_hosts",
    "Hosts of the cluster that give signs of life (live), and that do not (silent).",
    ("state",),
)
FLEET_BEHIND: Final = Family(
    "gatecert_fleet_gateways_behind",
    "Gateways whose newest certificate of the cluster this host is not proven to serve.",
)
FLEET_IN_FLIGHT: Final = Family(
    "gatecert_fleet_orders_in_flight",
    "Orders of the cluster in progress, by all of its hosts.",
    ("authority",),
)
FLEET_HALTED: Final = Family(
    "gatecert_fleet_halted",
    "Whether the whole fleet is halted by an operator (pause) or by roll-backs (brake).",
    ("by",),
)
BUILD_INFO: Final = Family("gatecert_build_info", "1, with the version of gatecert.", ("version",))

ORDERS: Final = Family(
    "gatecert_orders_total",
    "Orders that ended, by result: issued or failed.",
    ("authority", "result"),
    Kind.COUNTER,
)
REQUEST_SECONDS: Final = Family(
    "gatecert_authority_request_duration_seconds",
    "Duration of each ACME request, failed ones included.",
    ("authority",),
    Kind.HISTOGRAM,
)
BUDGET_REMAINING: Final = Family(
    "gatecert_budget_remaining",
    "Requests that a rate limit of the CA still allows, where the least is left; as of the last "
    "order or start of the worker.",
    ("authority", "limit"),
)
ROLLBACKS: Final = Family(
    "gatecert_deploy_rollbacks_total",
    "Deployments after which the previous certificate or client CAs were put back.",
    kind=Kind.COUNTER,
)
WORKER_RESTARTS: Final = Family(
    "gatecert_worker_restarts_total",
    "Workers that ended unexpectedly and were replaced.",
    kind=Kind.COUNTER,
)
NOTIFICATIONS: Final = Family(
    "gatecert_notifications_total",
    "Attempts to notify, by result: delivered or failed.",
    ("receiver", "result"),
    Kind.COUNTER,
)
RECEIVER_UP: Final = Family(
    "gatecert_notification_receiver_up",
    "Whether the receiver accepted the last notification, or none waits for it.",
    ("receiver",),
)

SUMS: Final = (
    GATEWAYS,
    NEEDING_ATTENTION,
    NOT_SERVED,
    LAST_ATTEMPT_FAILED,
    NAME_ELSEWHERE,
    REVOKED,
    EARLIEST_NOT_AFTER,
    CONFIGURED,
    KNOWN,
    READY,
    BUILD_INFO,
)
FLEET: Final = (  # only with a fleet; the last five only while its database can be used
    FLEET_DATABASE_UP,
    FLEET_DATABASE_SINCE,
    FLEET_HOSTS,
    FLEET_BEHIND,
    FLEET_IN_FLIGHT,
    FLEET_HALTED,
)
EVENTS: Final = (
    ORDERS,
    REQUEST_SECONDS,
    BUDGET_REMAINING,
    ROLLBACKS,
    WORKER_RESTARTS,
    NOTIFICATIONS,
    RECEIVER_UP,
)
ALL: Final = (*GATEWAY_FAMILIES.values(), *SUMS, *FLEET, *EVENTS)
