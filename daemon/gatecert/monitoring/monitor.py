"""The work of the monitor: it knows the gateways, and serves, writes and tells what is configured.

One event loop, which sleeps until the core says something, a client asks, or something is due. What
is not configured is not imported.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import __version__
from gatecert.errors import GatecertError
from gatecert.model import MonitoringPlan
from gatecert.model.fleet_report import FleetReport
from gatecert.monitoring.core_connection import CoreConnection
from gatecert.monitoring.overview import Overview
from gatecert.report import logs
from gatecert.report.gateway_status import GatewayStatus, LastError
from gatecert.report.monitoring_status import NOT_MONITORED, MonitoringStatus
from gatecert.store import storage_errors
from gatecert.supervision.messages import (
    Described,
    FleetSeen,
    Leave,
    Measured,
    Ready,
    Unreadable,
    Watch,
)
from gatecert.supervision.monitoring_file import write_monitoring_status
from gatecert.supervision.plain_values import from_plain
from gatecert.supervision.record_sender import RecordSender

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator, Mapping

    from gatecert.monitoring.listeners import Listeners, WantedListener
    from gatecert.monitoring.metrics import Metrics
    from gatecert.monitoring.notifications import Notifications
    from gatecert.monitoring.page import Page
    from gatecert.monitoring.textfile import Textfile, TextfilePauses
    from gatecert.supervision.messages import Message

logger = logging.getLogger(__name__)

utc_now = partial(datetime.now, UTC)
RETRY_SECONDS: Final = 30.0  # until listeners with problems are tried again
LONGEST_SLEEP: Final = 3600.0  # seconds, for receivers: the wall clock may be set meanwhile


async def run(
    connection: socket.socket, level: int, textfile_pauses: TextfilePauses | None = None
) -> None:
    """Monitor until the core asks to leave or has ended.

    Args:
        connection: The connection to the core.
        level: Log records below it are not sent.
        textfile_pauses: Between two writes of the textfile.
    """
    core = await CoreConnection.over(connection)
    logs.send_to(RecordSender(core), level)
    storage_errors.runs_as_daemon = True
    monitor = Monitor(textfile_pauses)
    tasks = [asyncio.create_task(monitor.receive(core)), asyncio.create_task(monitor.tend())]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    except Exception:
        logger.exception("the monitor cannot go on")
        raise
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await monitor.close()
        await core.close()


class Monitor:
    """Everything that the monitor has.

    Args:
        textfile_pauses: Between two writes of the textfile.
    """

    def __init__(self, textfile_pauses: TextfilePauses | None = None) -> None:
        self._textfile_pauses = textfile_pauses
        self._overview = Overview()
        self._plan = MonitoringPlan("")
        self._is_new = False  # the plan: listeners and receivers are not adapted to it yet
        self._metrics: Metrics | None = None
        self._page: Page | None = None
        self._listeners: Listeners | None = None
        self._notifications: Notifications | None = None
        self._receivers_are_new = False
        self._deliveries: set[asyncio.Task[None]] = set()
        self._textfile: Textfile | None = None
        self._written = NOT_MONITORED
        self._woken = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    async def receive(self, core: CoreConnection) -> None:
        """Handle what the core says, until it asks to leave or has ended."""
        async for message in core.messages():
            if isinstance(message, Leave):
                return
            self._handle(message)
            self._woken.set()

    async def tend(self) -> None:
        """Do what is due, until it is cancelled."""
        while True:
            self._woken.clear()
            if self._is_new:
                self._is_new = False
                await self._keep_listeners()
            elif self._listeners is not None and self._listeners.has_problems:
                await self._listeners.retry()
            self._tell_receivers()
            self._write_textfile()
            self._write_status()
            with suppress(TimeoutError):
                async with asyncio.timeout(self._seconds()):
                    await self._woken.wait()

    async def close(self) -> None:
        """Close listeners, end attempts to tell receivers, and record what was told."""
        for task in self._deliveries:
            task.cancel()
        await asyncio.gather(*self._deliveries, return_exceptions=True)
        if self._notifications is not None:
            self._notifications.close()
        if self._listeners is not None:
            await self._listeners.close()

    # ------------------------------------------------------------------ messages

    def _handle(self, message: Message) -> None:
        match message:
            case Watch(plan=plan) if not plan:
                self._keep_textfile("")
            case Watch():
                self._follow(message)
            case Described(status=status):
                self._describe(from_plain(GatewayStatus, status))
            case Unreadable():
                self._fail(message)
            case Measured(name=name, labels=labels, value=value):
                self._measure(name, labels, value)
            case FleetSeen(report=report):
                self._see_fleet(from_plain(FleetReport, report))
            case Ready(ready=ready):
                self._overview.ready = ready
                self._overview.changed()
        if self._metrics is not None:
            number, ready = len(self._overview.order), self._overview.ready
            self._metrics.describe_daemon(configured=number, ready=ready)

    def _follow(self, watch: Watch) -> None:
        """Work by a new plan."""
        before, self._plan = self._plan, from_plain(MonitoringPlan, watch.plan)
        self._is_new = True
        self._receivers_are_new |= self._plan.receivers != before.receivers
        self._overview.daemon = watch.core
        for name in self._overview.keep(watch.gateways):
            if self._metrics is not None:
                self._metrics.forget(name)
        if self._notifications is not None:
            self._notifications.keep(watch.gateways)
        if not self._plan.has_fleet:
            self._see_fleet(None)
        self._prepare_metrics(before)
        if self._plan.page is None:
            self._page = None
        elif self._page is None:
            from gatecert.monitoring.page import Page

            self._page = Page(self._overview, utc_now)

    def _describe(self, status: GatewayStatus) -> None:
        if status.name in self._overview.names:
            self._overview.describe(status)
            self._show(status)

    def _fail(self, message: Unreadable) -> None:
        at = datetime.fromtimestamp(message.at, UTC)
        error = LastError(message.code, message.problem, message.fix, at)
        known = self._overview.fail(message.gateway, error)
        if known is not None:
            self._show(known)

    def _show(self, status: GatewayStatus) -> None:
        if self._metrics is not None:
            self._metrics.describe(status)
        if self._notifications is not None:
            self._notifications.seen(status)

    def _see_fleet(self, report: FleetReport | None) -> None:
        """Show a fleet, or none any more."""
        if report == self._overview.fleet:
            return
        self._overview.fleet = report
        self._overview.changed()
        if self._metrics is not None:
            self._metrics.describe_fleet(report)

    def _measure(self, name: str, labels: Mapping[str, str], value: float) -> None:
        if self._metrics is not None:
            self._metrics.measure(name, labels, value)

    # ------------------------------------------------------------------ listeners

    async def _keep_listeners(self) -> None:
        """Listen as the plan says."""
        wanted = list(self._wanted_listeners())
        if self._listeners is None:
            if not wanted:
                return
            from gatecert.monitoring.listeners import Listeners

            self._listeners = Listeners(changed=self._woken.set)
        await self._listeners.keep(wanted)

    def _wanted_listeners(self) -> Iterator[WantedListener]:
        from gatecert.monitoring.listeners import WantedListener
        from gatecert.monitoring.metrics_handler import metrics_handler

        if self._metrics is not None and self._plan.metrics is not None:
            handler = metrics_handler(self._metrics)
            for address in self._plan.metrics.listen:
                yield WantedListener("metrics", address, self._plan.metrics.access, handler)
        if self._page is not None and self._plan.page is not None:
            for address in self._plan.page.listen:
                yield WantedListener("page", address, self._plan.page.access, self._page)

    # ------------------------------------------------------------------ metrics

    def _prepare_metrics(self, before: MonitoringPlan) -> None:
        plan, earlier = self._plan.metrics, before.metrics
        self._keep_textfile(plan.textfile if plan is not None else "")
        if plan is None:
            self._metrics = None
            return
        if self._metrics is None or earlier is None or plan.per_gateway != earlier.per_gateway:
            from gatecert.monitoring.metrics import Metrics

            self._metrics = Metrics(per_gateway=plan.per_gateway, version=__version__)
            self._metrics.describe_fleet(self._overview.fleet)
            for status in self._overview.described:
                self._metrics.describe(status)
        self._metrics.keep_authorities(self._plan.authorities)

    def _keep_textfile(self, path: str) -> None:
        """Write to this file only; empty for none."""
        if self._textfile is not None and self._textfile.status.address != path:
            self._textfile.remove()
            self._textfile = None
        if self._textfile is None and path:
            from gatecert.monitoring.textfile import Textfile, TextfilePauses

            self._textfile = Textfile(path, self._textfile_pauses or TextfilePauses())

    def _write_textfile(self) -> None:
        if self._textfile is not None and self._metrics is not None:
            self._textfile.write(self._metrics, self._overview.number, self._loop.time())

    # ------------------------------------------------------------------ notifications

    def _tell_receivers(self) -> None:
        """Start what has to be told to receivers now."""
        if self._receivers_are_new and not self._deliveries:
            self._receivers_are_new = False
            self._prepare_notifications()
        notifications = self._notifications
        if notifications is None or self._receivers_are_new:
            return
        due = notifications.next_at()
        if due is not None and due <= utc_now():
            delivery = asyncio.create_task(notifications.run_due())
            self._deliveries.add(delivery)
            delivery.add_done_callback(self._delivered)

    def _delivered(self, delivery: asyncio.Task[None]) -> None:
        self._deliveries.discard(delivery)
        self._woken.set()

    def _prepare_notifications(self) -> None:
        if self._notifications is not None:
            self._notifications.close()
            self._notifications = None
        if self._plan.receivers:
            from gatecert.monitoring.notifications import Notifications

            directory = Path(self._plan.state_directory)
            self._notifications = Notifications(
                self._plan.receivers, directory, utc_now, measure=self._measure
            )
            self._notifications.keep(self._overview.order)
            for status in self._overview.described:
                self._notifications.seen(status)

    # ------------------------------------------------------------------ status

    def _write_status(self) -> None:
        """Write how metrics, page and notifications are, if that has changed."""
        listeners = self._listeners.statuses() if self._listeners is not None else ()
        textfile = (self._textfile.status,) if self._textfile is not None else ()
        receivers = self._notifications.statuses() if self._notifications is not None else ()
        status = MonitoringStatus((*listeners, *textfile), receivers)
        if self._metrics is not None:
            self._metrics.describe_receivers(receivers)
        if status == self._written:
            return
        self._written = self._overview.monitoring = status
        self._overview.changed()
        try:
            write_monitoring_status(Path(self._plan.state_directory), status)
        except GatecertError as error:
            logger.warning("gatecert status shows no problem of monitoring: %s", error)

    def _seconds(self) -> float | None:
        """Return the seconds until something is due; None for never."""
        instants: list[float] = []
        if self._listeners is not None and self._listeners.has_problems:
            instants.append(RETRY_SECONDS)
        if self._textfile is not None:
            instants.append(self._textfile.due(self._overview.number) - self._loop.time())
        if self._notifications is not None and not self._receivers_are_new:
            due = self._notifications.next_at()
            if due is not None:
                instants += [(due - utc_now()).total_seconds(), LONGEST_SLEEP]
        return max(0.0, min(instants)) if instants else None
