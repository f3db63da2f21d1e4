"""Plans of metrics, the status page and notifications.

The worker makes a `MonitoringPlan` of the configuration. The core hands it on to the monitor, a
process of its own, which never reads the configuration.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import StrEnum


class Event(StrEnum):
    """The events that a receiver is told of."""

    FAILED = "failed"
    NOT_SERVED = "not-served"
    ROLLED_BACK = "rolled-back"
    DRIFT = "drift"
    NAME_MOVED = "name-moved"
    ENDS_SOON = "ends-soon"
    REVOKED = "revoked"
    BUDGET_SPENT = "budget-spent"
    CLIENT_AUTHORITY_ENDS = "client-authority-ends"
    RECOVERED = "recovered"


class Severity(StrEnum):
    """The severity of an event, the least first."""

    WARNING = "warning"
    CRITICAL = "critical"


@dataclass(frozen=True, slots=True)
class WebAccess:
    """Access to a listener, by the conventions of Prometheus exporters.

    Attributes:
        certificate: File with the server's certificate chain, PEM; empty for no TLS.
        key: File with its key.
        client_authorities: File with the CAs of client certificates; empty if none are asked for.
        require_client: Whether a client certificate is required.
        minimum_version: ``TLS12`` or ``TLS13``.
        users: bcrypt hash of the password, by name; empty for no authentication.
        headers: Sent with each response.
    """

    certificate: str = ""
    key: str = ""
    client_authorities: str = ""
    require_client: bool = False
    minimum_version: str = "TLS12"
    users: dict[str, str] = field(default_factory=dict, repr=False)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MetricsPlan:
    """Metrics for Prometheus.

    Attributes:
        listen: Each ``address:port`` or ``unix:/path``.
        textfile: File for the node_exporter; empty for none.
        per_gateway: Whether each gateway has samples of its own.
    """

    listen: tuple[str, ...] = ()
    textfile: str = ""
    per_gateway: bool = True
    access: WebAccess = WebAccess()


@dataclass(frozen=True, slots=True)
class PagePlan:
    """The status page.

    Attributes:
        listen: Each ``address:port`` or ``unix:/path``.
    """

    listen: tuple[str, ...] = ()
    access: WebAccess = WebAccess()


class ReceiverKind(StrEnum):
    """The kind of a receiver: its key in the configuration."""

    APPRISE = "url_file"
    COMMAND = "command"
    WEBHOOK = "webhook_file"


@dataclass(frozen=True, slots=True)
class ReceiverPlan:
    """A receiver of notifications, and what it is told when.

    Attributes:
        name: Unique among receivers.
        file: File with the URL, of an Apprise URL or a webhook.
        command: Of a command.
        events: What it is told of.
        severity: The least severity that it is told of.
        failures: Failed attempts in a row from which on ``failed`` is told.
        ends_within: Time before the end of a certificate or client CA from which on it is told.
        group: How long events are collected into one message.
        remind: Until the first reminder; each later one waits twice as long.
        quiet_from: Minute of the day (local time) at which quiet hours begin; -1 for none.
        quiet_until: Minute of the day at which they end; only critical events are told meanwhile.
        timeout: Of one attempt.
    """

    name: str
    kind: ReceiverKind
    file: str = field(default="", repr=False)
    command: tuple[str, ...] = ()
    events: tuple[Event, ...] = tuple(Event)
    severity: Severity = Severity.WARNING
    failures: int = 3
    ends_within: timedelta = timedelta(days=14)
    group: timedelta = timedelta(seconds=60)
    remind: timedelta = timedelta(days=1)
    quiet_from: int = -1
    quiet_until: int = -1
    timeout: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class MonitoringPlan:
    """Everything that the monitor does.

    Attributes:
        authorities: Names of the CAs, for which there are metrics.
        has_fleet: Whether hosts share a database, of which the follower reports.
    """

    state_directory: str
    metrics: MetricsPlan | None = None
    page: PagePlan | None = None
    receivers: tuple[ReceiverPlan, ...] = ()
    authorities: tuple[str, ...] = ()
    has_fleet: bool = False

    @property
    def is_needed(self) -> bool:
        """True if there is anything to do."""
        return self.metrics is not None or self.page is not None or bool(self.receivers)
