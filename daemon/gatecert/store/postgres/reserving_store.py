"""The store of a host that may place one order without the database: the one reserved for it.

While it does, its key, its requests and its certificate are in the files of this host only, as is
what is learnt of the state (``fleet_states``). The file of what is reserved says that the order was
placed before it is: without the database there is no second one.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.errors import DatabaseAwayError, DatabaseError
from gatecert.model import Origin
from gatecert.store import json_record
from gatecert.store.file_store import FileStore
from gatecert.store.lock import LockLease
from gatecert.store.postgres.database import PAUSE
from gatecert.store.postgres.fleet_leases import RefusedError
from gatecert.store.postgres.fleet_reserves import FleetReserves
from gatecert.store.postgres.held_lease import LENGTH

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from gatecert.deadline import Deadline
    from gatecert.model import (
        Account,
        Expenses,
        IssuedChain,
        KeyRequest,
        LimitReached,
        Limits,
        OrderHeld,
        PublishedRecord,
        TextRecord,
        Version,
    )
    from gatecert.model.fleet import FleetHost
    from gatecert.store.postgres.fleet_reserves import ReservedOrder
    from gatecert.store.protocol import Lease

logger = logging.getLogger(__name__)


class ReservingStore(FleetReserves):
    """All persistent state of a host of a fleet; see ``store.protocol.HostStore``."""

    def __init__(
        self,
        state_directory: Path,
        place: FleetHost,
        *,
        unshared: Collection[str] = (),
        lease_length: float = LENGTH,
        pause: float = PAUSE,
    ) -> None:
        super().__init__(
            state_directory, place, unshared=unshared, lease_length=lease_length, pause=pause
        )
        self._placing: dict[str, ReservedOrder] = {}  # without the database

    # ------------------------------------------------------------------ its order

    def reserved_lease(
        self, gateway: str, certificate_id: str
    ) -> AbstractContextManager[Lease] | None:
        """Hold the right to place the order once, or to go on with it."""
        order = self._reserved(gateway)
        if not self.place.reserve or order is None:
            return None
        if order.replacement.certificate_id != certificate_id:
            return None
        if order.generation <= self._own_generation(gateway):
            return None
        if order.request and order.request not in {
            each.id for each in FileStore.requests(self, gateway)
        }:
            return None
        return self._without_database(gateway, order)

    @contextmanager
    def _without_database(self, gateway: str, order: ReservedOrder) -> Iterator[LockLease]:
        self._placing[gateway] = order
        try:
            yield LockLease()
        finally:
            del self._placing[gateway]

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
        """Open an order; without the database only the reserved one, as an exempt replacement.

        Raises:
            DatabaseAwayError: It is another order, or not exempt.
        """
        order = self._placing.get(gateway)
        if order is None:
            return super().open_order(gateway, intent, directory_url, expenses, within, lease=lease)
        lease.check()
        if order.request or expenses.counted or directory_url != order.directory_url:
            raise DatabaseAwayError(
                f"the fleet's database is away, and only one order that replaces the certificate of"
                f" gateway {gateway} at {order.replacement.authority} was reserved: nothing else is"
                f" ordered",
                fix="start the database",
            )
        reached = FileStore.count_requests(self, directory_url, expenses, within)
        if reached is not None:
            return reached
        logger.warning("reserved order used gateway=%s generation=%d", gateway, order.generation)
        self._placing[gateway] = placed = replace(order, request=intent.id)
        json_record.write_record(self._layout.reserve(gateway), placed)
        numbered = replace(intent, generation=order.generation, directory_url=directory_url)
        self.add_request(gateway, numbered)
        return None

    def add_version(
        self, gateway: str, issued: IssuedChain, *, now: datetime, key_group: str | None = None
    ) -> Version:
        """Write a version; that of a reserved order is sent after the next connection."""
        order = self._placing.get(gateway)
        if order is None or issued.origin is not Origin.AUTHORITY:
            return super().add_version(gateway, issued, now=now, key_group=key_group)
        issued = replace(issued, is_urgent=self._replaces_revoked(gateway))
        return self.add_generation(gateway, issued, order.generation, now=now, key_group=key_group)

    def requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """Return the key requests; those of this host while it orders without the database."""
        return self.own_requests(gateway) if gateway in self._placing else super().requests(gateway)

    def remove_request(self, gateway: str, request_id: str) -> None:
        """Remove a key request."""
        if gateway in self._placing:
            self._remove_own_request(gateway, request_id)
        else:
            super().remove_request(gateway, request_id)

    def count_requests(
        self, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | None:
        """Count requests; without the database those of a reserved order in this host's file."""
        try:
            return super().count_requests(directory_url, expenses, within)
        except DatabaseError:
            orders = tuple(self._placing.values())  # other threads place some
            if not any(each.covers(directory_url, expenses) for each in orders):
                raise
        try:
            self._count_own(directory_url, expenses, within)
        except RefusedError as refused:
            return refused.reached
        return None

    # ------------------------------------------------------------------ what it takes

    def account(self, authority: str) -> Account | None:
        """Return the account; without the database, the copy for a reserved order."""
        try:
            return super().account(authority)
        except DatabaseError:
            if not self._places_at(authority):
                raise
        return FileStore.account(self, authority)

    def next_key(self, authority: str) -> bytes | None:
        """Return the new key of an unfinished rollover, which waits for the database."""
        try:
            return super().next_key(authority)
        except DatabaseError:
            if not self._places_at(authority):
                raise
        return None

    def _places_at(self, authority: str) -> bool:
        orders = tuple(self._placing.values())
        return any(each.replacement.authority == authority for each in orders)

    @contextmanager
    def _if_there(self) -> Iterator[None]:
        """Go on without the database while a reserved order is placed."""
        try:
            yield
        except DatabaseError:
            if not self._placing:
                raise

    def put_token(self, kind: str, token: str, key_authorization: str) -> None:
        """Store a token, for this host at least."""
        with self._if_there():
            super().put_token(kind, token, key_authorization)

    def wait_for_hosts(self, kind: str, token: str, deadline: Deadline) -> tuple[str, ...]:
        """Wait for the other hosts; without the database, they cannot answer."""
        with self._if_there():
            return super().wait_for_hosts(kind, token, deadline)
        return ()

    def remove_token(self, kind: str, token: str) -> None:
        """Remove a token."""
        with self._if_there():
            super().remove_token(kind, token)

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        """Store a record; while a reserved order is placed, this host alone withdraws it."""
        if self._placing:
            return FileStore.add_record(self, record, now=now)
        return super().add_record(record, now=now)

    def abandon_record(self, published: PublishedRecord) -> None:
        """Leave the withdrawal of a record to this host at least."""
        with self._if_there():
            super().abandon_record(published)

    def remove_record(self, published: PublishedRecord) -> None:
        """Remove a withdrawn record."""
        with self._if_there():
            super().remove_record(published)
            return
        FileStore.remove_record(self, published)
