"""The orders of a host's store: intents, and the requests that the whole fleet counts.

Whatever is written to the rows is in this host's files before it is committed, so that it can be
sent again (``sending_again``).
"""

from __future__ import annotations

import logging
import time
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from gatecert.errors import DatabaseError
from gatecert.model import LimitReached, OrderHeld
from gatecert.model.fleet import usable_limits
from gatecert.store.postgres import expense_rows, intent_rows, lease_rows, turn_rows
from gatecert.store.postgres.fleet_leases import FleetLeases, RefusedError

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path
    from uuid import UUID

    from psycopg import Connection

    from gatecert.model import (
        CountedBy,
        Expenses,
        GroupUse,
        KeyRequest,
        Limits,
        RequestGroup,
        RequestKind,
    )
    from gatecert.model.fleet import Urgency
    from gatecert.store.postgres.fleet_leases import FleetAccess
    from gatecert.store.protocol import Lease

logger = logging.getLogger(__name__)

TOLD_AGAIN: Final = 3600.0  # seconds; another host may have said that nothing is due
KEPT: Final = " (a tenth of the limit is kept for urgent orders)"


class FleetOrders(FleetLeases):
    """Files and rows of orders; see ``store.protocol.Store``."""

    def __init__(self, state_directory: Path, access: FleetAccess) -> None:
        super().__init__(state_directory, access)
        self._scheduled: dict[str, tuple[tuple[Urgency, datetime | None], float]] = {}  # as told

    def open_order(  # noqa: PLR0913 - see Store
        self,
        gateway: str,
        intent: KeyRequest,
        directory_url: str,
        expenses: Expenses,
        within: Limits,
        *,
        lease: Lease,
    ) -> LimitReached | OrderHeld | None:
        """Store an intent and count its requests, here and in the rows, or neither.

        It needs a turn at the CA, and a tenth of each limit is kept for urgent orders. The requests
        that follow an order may use all of the limits: it is worth finishing.

        Without the database, only the reserved order is opened, as an exempt replacement.

        Raises:
            DatabaseAwayError: It is another order, or not exempt.
            LeaseLostError: Another host has the lease.
        """
        lease.check()
        wanted = replace(intent, directory_url=directory_url)
        order = self._reserved.placing(gateway)
        if order is not None:
            order.check(gateway, directory_url, expenses)
            reached = super().count_requests(directory_url, expenses, within)
            if reached is None:
                self._reserved.use(gateway, intent.id)
                self.add_request(gateway, replace(wanted, generation=order.generation))
            return reached
        expense_rows.look_up_groups(expenses)
        try:
            with self._sending_again(), self._fenced(gateway) as (rows, token):
                opened = self._open(rows, gateway, token, wanted, expenses=expenses, within=within)
                if isinstance(opened, OrderHeld):
                    return opened
                request, counted = opened
                self.add_request(gateway, request)
                self._count_own(directory_url, counted, within)
                self._ordered[gateway] = request.generation
        except RefusedError as refused:
            self._remove_own_request(gateway, intent.id)
            return refused.reached
        return None

    def open_csr(
        self,
        gateway: str,
        token: UUID,
        intent: KeyRequest,
        expenses: Expenses,
        within: Limits,
    ) -> LimitReached | OrderHeld | None:
        """Open an order whose key is elsewhere, under the lease with that token; see `open_order`.

        Raises:
            LeaseLostError: Another host has the lease.
        """
        expense_rows.look_up_groups(expenses)
        try:
            with self._sending_again(), self.database.transaction() as rows:
                opened = self._open(rows, gateway, token, intent, expenses=expenses, within=within)
                if isinstance(opened, OrderHeld):
                    return opened
                self._count_own(intent.directory_url, opened[1], within)
        except RefusedError as refused:
            return refused.reached
        return None

    def _open(  # noqa: PLR0913 - see open_csr
        self,
        rows: Connection,
        gateway: str,
        token: UUID,
        intent: KeyRequest,
        *,
        expenses: Expenses,
        within: Limits,
    ) -> tuple[KeyRequest, Expenses] | OrderHeld:
        """Take a turn, store an intent and count its requests, in the rows.

        Returns:
            The intent with its generation, and the requests as counted; or why there is no turn.

        Raises:
            LeaseLostError: Another host has the lease.
            RefusedError: A limit forbids the order, or the CA wants none for now.
        """
        lease_rows.fence(rows, gateway, token)
        priority, not_after = lease_rows.urgency(rows, gateway)
        if not intent_rows.is_open(rows, gateway, intent.id):
            now = _locked(rows, intent.directory_url)
            held = turn_rows.halted(rows, not_after, now)
            most = within.most_orders
            if held is None and most is not None:
                held = turn_rows.take(rows, gateway, priority, intent.directory_url, most)
            if held is not None:
                return held
        opened = intent_rows.open_intent(rows, gateway, token, intent, self._keys)
        usable, note = usable_limits(within, priority), "" if priority.is_urgent else KEPT
        return opened, _counted(rows, intent.directory_url, expenses, usable, note=note)

    def schedule(self, gateway: str, urgency: Urgency, due: datetime | None) -> None:
        """Tell the other hosts, unless this process has told the same lately, or lags behind."""
        known, again_at = self._scheduled.get(gateway, (None, 0.0))
        if known == (urgency, due) and time.monotonic() < again_at:
            return
        with self.database.transaction() as rows:
            if lease_rows.generation(rows, gateway) > self._own_generation(gateway):
                return
            lease_rows.schedule(rows, gateway, urgency, due)
        self._scheduled[gateway] = (urgency, due), time.monotonic() + TOLD_AGAIN

    def _forget_schedules(self) -> None:
        """Forget which schedules were told: the server may have lost them."""
        self._scheduled.clear()

    def pause_orders(self, directory_url: str, pause: timedelta) -> None:
        """Let no host place an order at a CA for a while."""
        try:
            with self.database.transaction() as rows:
                turn_rows.pause(rows, directory_url, pause)
        except DatabaseError as error:
            logger.info("pause not told to other hosts url=%s error=%s", directory_url, error)

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """Return the open intents of all hosts and the other key requests of this one.

        While this host orders without the database, they are its own.
        """
        own = self.own_requests(gateway)
        if gateway in self._unshared or self._reserved.placing(gateway):
            return own
        try:
            with self.database.transaction() as rows:
                shared = intent_rows.read(rows, gateway, self._keys)
        except DatabaseError:
            return own
        self._ordered[gateway] = max((each.generation for each in shared), default=0)
        found = [*shared, *(request for request in own if not request.generation)]
        return tuple(sorted(found, key=lambda each: (each.created, each.id), reverse=True))

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Remove a key request, or close an intent.

        Raises:
            LeaseLostError: Another host orders for the gateway.
        """
        if gateway in self._held:
            with self._fenced(gateway) as (rows, token):
                lease_rows.fence(rows, gateway, token)
                intent_rows.close(rows, gateway, request_id)
        elif gateway not in self._unshared and not self._reserved.placing(gateway):
            try:
                with self.database.transaction() as rows:
                    intent_rows.close_free(rows, gateway, request_id)
            except DatabaseError as error:
                logger.info("intent not closed gateway=%s error=%s", gateway, error)
        self._remove_own_request(gateway, request_id)

    def count_requests(
        self, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | None:
        """Count requests in the rows and in this host's own file, or in neither.

        Without the database, those of a reserved order are counted in the file.

        If this fails in between, they are sent to the rows later, and validations that have
        succeeded count as failed: rather too many than too few.
        """
        expense_rows.look_up_groups(expenses)
        try:
            with self._sending_again(), self.database.transaction() as rows:
                counted = _counted(rows, directory_url, expenses, within)
                self._count_own(directory_url, counted, within)
        except RefusedError as refused:
            return refused.reached
        except DatabaseError:
            if not self._reserved.covers(directory_url, expenses):
                raise
            return self._own_limit(directory_url, expenses, within)
        return None

    def _count_own(self, directory_url: str, counted: Expenses, within: Limits) -> None:
        """Count requests in this host's own file, before they are committed."""
        reached = self._own_limit(directory_url, counted, within)
        if reached is not None:
            raise RefusedError(reached)

    def _own_limit(
        self, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | None:
        """Count requests in this host's own file, unless a limit forbids them."""
        self._again.note_directory(directory_url)
        return super().count_requests(directory_url, expenses, within)

    def instants(
        self,
        directory_url: str,
        group: RequestGroup,
        *,
        since: datetime,
        now: datetime,
        count: int,
    ) -> list[datetime]:
        """Return from when the requests of all hosts count."""
        with self.database.transaction() as rows:
            past = expense_rows.ExpenseRows(rows, directory_url)
            return past.instants(group, since=since, now=now, count=count)

    def number_counted(self, directory_url: str, kind: RequestKind) -> int:
        """Return how many requests may be counted."""
        del directory_url, kind
        return expense_rows.MANY

    def busiest_groups(  # noqa: PLR0913 - see RateLimitUsageStore
        self,
        directory_url: str,
        kind: RequestKind,
        by: CountedBy,
        *,
        since: datetime,
        now: datetime,
        full: int,
    ) -> list[GroupUse]:
        """Return how busy the groups are in which this cluster has requests."""
        with self.database.transaction() as rows:
            past = expense_rows.ExpenseRows(rows, directory_url)
            return past.busiest_groups(kind, by, since=since, now=now, full=full)


def _locked(rows: Connection, directory_url: str) -> datetime:
    """Let no other host order at a CA until the transaction ends; return the server's time.

    Raises:
        RefusedError: The CA wants no orders for now.
    """
    now = expense_rows.ExpenseRows(rows, directory_url).lock()
    paused = turn_rows.paused(rows, directory_url, now)
    if paused is not None:
        raise RefusedError(paused)
    return now


def _counted(
    rows: Connection, directory_url: str, expenses: Expenses, within: Limits, *, note: str = ""
) -> Expenses:
    """Count requests in the rows; return them as counted.

    Raises:
        RefusedError: A limit forbids them; its reason ends with the note.
    """
    counted = expense_rows.count(rows, directory_url, expenses, within)
    if isinstance(counted, LimitReached):
        raise RefusedError(replace(counted, reason=counted.reason + note))
    return counted
