"""Notifications: what the receivers are told, never twice and never lost over a restart.

A message gets an id and is recorded in ``STATE/notifications.json`` before it is sent, its result
after that. If the monitor ends in between, the next one sends it again with the same id. A receiver
that does not accept it gets it again after a minute, then at doubling intervals up to an hour.

If the record cannot be written (a full disk), messages are sent all the same: told twice after a
restart is better than not told of a disk that is full.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import secrets
import socket
from datetime import timedelta
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Final

from gatecert.errors import StorageError
from gatecert.measurement import DeliveryResult, Measurement
from gatecert.model import Severity
from gatecert.monitoring.delivery import ChildDelivery
from gatecert.monitoring.gateway_problems import Past, next_change
from gatecert.monitoring.notification_state import (
    FILE_NAME,
    LARGEST,
    NotificationState,
    ReceiverState,
    decode,
    encode,
)
from gatecert.monitoring.receivers import Receiver
from gatecert.report.monitoring_status import ReceiverStatus
from gatecert.store import durable
from gatecert.store.damaged_files import DamagedRecordError, quarantine, read_file

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from datetime import datetime, tzinfo
    from pathlib import Path

    from gatecert.model import ReceiverPlan
    from gatecert.monitoring.delivery import Deliver
    from gatecert.monitoring.delivery_answer import Answer
    from gatecert.monitoring.notification_state import Outgoing, Told
    from gatecert.report.gateway_status import GatewayStatus

    Measure = Callable[[str, Mapping[str, str], float], None]

logger = logging.getLogger(__name__)

PRIVATE_FILE: Final = 0o600
SAVE_PAUSE: Final = timedelta(seconds=10)  # what many gateways change is written at once


def _no_measure(name: str, labels: Mapping[str, str], value: float) -> None:
    """Measure nothing."""


class Notifications:
    """Tells receivers what is wrong with gateways. For one event loop.

    Args:
        receivers: Who is told.
        state_directory: Where the record is.
        now: Returns the current time.
        deliver: Sends a message.
        measure: Gets the result of each attempt.
        host: Name of this machine in messages.
        zone: Time zone of quiet hours; None for this machine's.
    """

    def __init__(  # noqa: PLR0913 - what it works with
        self,
        receivers: Sequence[ReceiverPlan],
        state_directory: Path,
        now: Callable[[], datetime],
        *,
        deliver: Deliver | None = None,
        measure: Measure = _no_measure,
        host: str = "",
        zone: tzinfo | None = None,
    ) -> None:
        self._path = state_directory / FILE_NAME
        self._now = now
        self._deliver = deliver or ChildDelivery()
        self._measure = measure
        self._host = host or socket.gethostname()
        known = read_state(self._path)
        self._past = known.gateways
        kept = kept_states(receivers, known.receivers)
        self._receivers = {plan.name: Receiver(plan, kept[plan.name], zone) for plan in receivers}
        for receiver in self._receivers.values():
            receiver.look(now())
        self._statuses: dict[str, GatewayStatus] = {}
        self._looks: list[tuple[datetime, str]] = []  # a heap, when time alone changes something
        self._look_at: dict[str, datetime | None] = {}
        self._busy: set[str] = set()
        self._save_at: datetime | None = None
        self._is_unwritable = False

    # ------------------------------------------------------------------ what happens

    def seen(self, status: GatewayStatus) -> None:
        """Note the status of a gateway, after each pass."""
        now = self._now()
        before = self._past.get(status.name, Past())
        changed = False
        for receiver in self._receivers.values():
            changed |= receiver.seen(status, before, now)
        after = before.with_status(status)
        self._past[status.name] = after
        self._look_later(status, now)
        if changed or after != before:
            self._save_soon(now)

    def forget(self, gateway: str) -> None:
        """Forget a gateway that is no longer configured; nothing more is told of it."""
        changed = self._past.pop(gateway, None) is not None
        self._statuses.pop(gateway, None)
        self._look_at.pop(gateway, None)
        for receiver in self._receivers.values():
            changed |= receiver.forget(gateway)
        if changed:
            self._save_soon(self._now())

    def keep(self, gateways: Iterable[str]) -> None:
        """Forget every gateway but these, also those that an earlier monitor knew."""
        kept = set(gateways)
        for name in set(self._past) - kept:
            self.forget(name)

    def measured(self, name: str, labels: Mapping[str, str], value: float) -> None:
        """Ignore a measurement: the status says what matters."""

    # ------------------------------------------------------------------ what is due

    def next_at(self) -> datetime | None:
        """Return when `run_due` may have something to do."""
        now = self._now()
        times = [
            each.next_at(now) for name, each in self._receivers.items() if name not in self._busy
        ]
        look = self._looks[0][0] if self._looks else None
        times += [self._save_at, look]
        return min((each for each in times if each is not None), default=None)

    async def run_due(self) -> None:
        """Send what is due. May run several times at once; each receiver gets one at a time."""
        now = self._now()
        self._look_again(now)
        due = []
        for name, receiver in self._receivers.items():
            if name not in self._busy:
                message = receiver.outgoing(_new_id(), self._host, now)
                if message is not None:
                    due.append((name, receiver, message))
        save_at = self._save_at
        if due or (save_at is not None and not now < save_at <= now + SAVE_PAUSE):
            self._save(now)
        self._busy |= {name for name, _, _ in due}
        try:
            await asyncio.gather(*(self._send(*each) for each in due))
        finally:
            self._busy -= {name for name, _, _ in due}

    def _look_later(self, status: GatewayStatus, now: datetime) -> None:
        """Remember when a certificate begins to end soon, which no pass may notice in time."""
        self._statuses[status.name] = status
        plans = [each.plan for each in self._receivers.values()]
        changes = [at for plan in plans if (at := next_change(status, plan, now)) is not None]
        at = min(changes, default=None)
        if at is not None and at != self._look_at.get(status.name):
            heappush(self._looks, (at, status.name))
        self._look_at[status.name] = at

    def _look_again(self, now: datetime) -> None:
        """Look at the gateways whose time has come."""
        while self._looks and self._looks[0][0] <= now:
            at, name = heappop(self._looks)
            if self._look_at.get(name) == at:
                self._look_at[name] = None
                self.seen(self._statuses[name])

    def statuses(self) -> tuple[ReceiverStatus, ...]:
        """Return how each receiver is."""
        return receiver_statuses(self._receivers.values(), self._now())

    def close(self) -> None:
        """Record what is not recorded yet; nothing is told any more."""
        if self._save_at is not None:
            self._save(self._now())

    # ------------------------------------------------------------------ sending

    async def _send(self, name: str, receiver: Receiver, message: Outgoing) -> None:
        """Send one message, and record what came of it."""
        try:
            answer = await self._deliver(receiver.plan, message)
            self._note(name, receiver, answer)
        except Exception:  # the other receivers, and the monitor, go on
            logger.exception("unexpected error receiver=%s", name)
            receiver.failed("unexpected error", "see the log", self._now(), refused=False)
        finally:
            self._busy.discard(name)
        self._save(self._now())

    def _note(self, name: str, receiver: Receiver, answer: Answer) -> None:
        now = self._now()
        result = DeliveryResult.DELIVERED if answer.accepted else DeliveryResult.FAILED
        self._measure(Measurement.NOTIFICATIONS, {"receiver": name, "result": result}, 1.0)
        if answer.accepted:
            if receiver.accepted(now):
                logger.info("notifications work again receiver=%s", name)
            return
        is_first = receiver.failed(
            answer.problem, answer.fix, now, refused=answer.refused, accepted=answer.urls
        )
        logger.log(
            logging.WARNING if is_first else logging.DEBUG,
            "notification not accepted receiver=%s why=%s fix=%s",
            name,
            answer.problem,
            answer.fix,
        )

    # ------------------------------------------------------------------ record

    def _save_soon(self, now: datetime) -> None:
        if self._save_at is None:
            self._save_at = now + SAVE_PAUSE

    def _save(self, now: datetime) -> None:
        """Write the record; a failure is logged once, and tried again."""
        states = {name: each.state for name, each in self._receivers.items()}
        data = encode(NotificationState(self._past, states))
        try:
            durable.write_file(self._path, data, mode=PRIVATE_FILE)
        except StorageError as error:
            if not self._is_unwritable:
                logger.warning(
                    "what receivers were told is not recorded, and may be told again after a "
                    "restart: %s",
                    error,
                )
            self._is_unwritable = True
            self._save_at = now + SAVE_PAUSE
            return
        self._is_unwritable = False
        self._save_at = None


def read_state(path: Path) -> NotificationState:
    """Return the record; an empty one if there is none.

    After a damaged one was set aside, everything that is wrong is told again: rather that than
    silence.
    """
    try:
        return _read(path)
    except DamagedRecordError as error:
        quarantine(path, str(error))
    except StorageError as error:
        logger.warning("what receivers were told is unknown, and is told again: %s", error)
    return NotificationState()


def known_state(path: Path) -> NotificationState:
    """Return the record for a command beside the daemon, which sets a damaged one aside.

    Raises:
        StorageError: It cannot be read.
    """
    try:
        return _read(path)
    except DamagedRecordError:
        return NotificationState()


def _read(path: Path) -> NotificationState:
    data = read_file(path, largest=LARGEST)
    return NotificationState() if data is None else decode(data)


def receiver_statuses(receivers: Iterable[Receiver], now: datetime) -> tuple[ReceiverStatus, ...]:
    """Return how receivers are."""
    found = []
    for each in receivers:
        state, next_at = each.state, each.next_at(now)
        waits = state.outgoing is not None or (bool(state.failures) and next_at is not None)
        found.append(
            ReceiverStatus(
                each.plan.name,
                state.told_at,
                int(waits),
                state.problem if state.has_problem else "",
                state.fix if state.has_problem else "",
                state.failing_since if state.has_problem else None,
                next_at if waits else None,
            )
        )
    return tuple(found)


def kept_states(
    plans: Sequence[ReceiverPlan], known: Mapping[str, ReceiverState]
) -> dict[str, ReceiverState]:
    """Return what each receiver was told, of the events that it is still told of.

    A name alone does not make it the same one: by default, it is that of a place in the
    configuration, where another receiver may be by now.
    """
    left, kept = dict(known), {}
    for plan in plans:
        if plan.name in left and left[plan.name].identity in {"", _identity(plan)}:
            kept[plan.name] = left.pop(plan.name)
    for plan in plans:
        same = [name for name, each in left.items() if each.identity == _identity(plan)]
        if plan.name not in kept:
            kept[plan.name] = left.pop(same[0]) if same else ReceiverState()
        state = kept[plan.name]
        state.identity = _identity(plan)
        state.told = {key: each for key, each in state.told.items() if _is_for(plan, each)}
    return kept


def _is_for(plan: ReceiverPlan, each: Told) -> bool:
    """Tell whether a receiver is told of a problem, or was told when it was worse."""
    severities = {Severity.WARNING, each.severity, each.told_severity}
    return each.event in plan.events and plan.severity in severities


def _identity(plan: ReceiverPlan) -> str:
    """Return a digest of what a receiver is, whatever its name."""
    what = json.dumps((plan.kind, plan.file, plan.command))
    return hashlib.sha256(what.encode()).hexdigest()[:16]


def _new_id() -> str:
    return secrets.token_hex(16)
