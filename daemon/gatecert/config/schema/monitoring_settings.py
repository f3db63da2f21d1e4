"""``metrics``, ``page`` and ``notify``: what an operator is shown and told."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from pydantic import Field

from gatecert.config.addresses import WebListener
from gatecert.config.paths import AnyFile, Command, SecretFile
from gatecert.config.schema.base import Settings, choice
from gatecert.config.values import DayTimes, Duration, Switch, Text
from gatecert.model import Event, Severity

LISTEN = (
    "Addresses to listen on: `127.0.0.1:{port}`, or `unix:/path` of a socket. Without TLS and "
    "passwords, everybody who can connect reads it."
)
WEB_CONFIG = (
    "File with TLS certificate and passwords, in the web configuration format of Prometheus "
    "exporters. Default: neither."
)


class MetricsSettings(Settings):
    """Metrics for Prometheus."""

    listen: tuple[WebListener, ...] = Field(default=(), description=LISTEN.format(port=9876))
    textfile: AnyFile | None = Field(
        default=None,
        description="File for the textfile collector of the node_exporter, ending in .prom; "
        "instead of a listener, or beside it.",
    )
    per_gateway: Switch = Field(
        default=True,
        description="Whether each gateway has metrics of its own. The sums are always there.",
    )
    web_config: AnyFile | None = Field(default=None, description=WEB_CONFIG)


class PageSettings(Settings):
    """The status page."""

    listen: tuple[WebListener, ...] = Field(default=(), description=LISTEN.format(port=9877))
    web_config: AnyFile | None = Field(default=None, description=WEB_CONFIG)


class ReceiverSettings(Settings):
    """A receiver of notifications: url_file, webhook_file or command."""

    name: Text | None = Field(
        default=None,
        description="Name in status and logs. Default: url-1, webhook-2, command-3, by its place.",
    )
    url_file: SecretFile | None = Field(
        default=None,
        description="File with a URL of Apprise (mailto://, slack://, tgram://, ntfy:// and a "
        "hundred more), or `credential:NAME`.",
    )
    webhook_file: SecretFile | None = Field(
        default=None,
        description="File with the URL to which JSON is posted, or `credential:NAME`.",
    )
    command: Command = Field(
        default=(), description="Command that gets the JSON of a webhook on standard input."
    )
    events: tuple[Annotated[Event, *choice(Event)], ...] = Field(
        default=tuple(Event), description="Events that it is told of. Default: all."
    )
    severity: Annotated[Severity, *choice(Severity)] = Field(
        default=Severity.WARNING, description="The least severity that it is told of."
    )
    failures: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=3, description="Failed attempts in a row from which on `failed` is told."
    )
    ends_within: Duration = Field(
        default=timedelta(days=14),
        description="Time before the end of a certificate or client CA from which on it is told; "
        "for a short-lived certificate at most a fifth of its lifetime.",
    )
    group: Duration = Field(
        default=timedelta(minutes=1),
        description="How long events of all gateways are collected into one message.",
    )
    remind: Duration = Field(
        default=timedelta(days=1),
        description="Time until the first reminder of what is still wrong; each later one waits "
        "twice as long, up to 30 days.",
    )
    quiet_hours: DayTimes | None = Field(
        default=None,
        description="Hours in which only critical events are told, such as 22:00-07:00, in the "
        "time zone of this host; the others follow afterwards.",
    )
    timeout: Duration = Field(
        default=timedelta(seconds=30), description="Timeout of one attempt to tell it."
    )
