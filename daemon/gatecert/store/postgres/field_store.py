"""CSRs of gateways in the field as a host that orders for them sees them.

No host has a gateway of its own among them: each time it claims the one that is due and most
urgent, and several hosts, or threads of one, do so side by side.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Final

from gatecert.errors import DatabaseError, EnrolmentDamagedError, StorageError
from gatecert.store.postgres import field_rows, halt_rows, lease_rows
from gatecert.store.postgres.field_order import FieldOrder
from gatecert.store.postgres.held_lease import LENGTH, HeldLease, host_clock

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from datetime import datetime
    from uuid import UUID

    from psycopg import Connection

    from gatecert.model.fleet import Urgency
    from gatecert.store.postgres.field_rows import CsrRequest, LastCertificate
    from gatecert.store.postgres.fleet_store import FleetStore

logger = logging.getLogger(__name__)

MOST_NEW: Final = 20  # CSRs that are looked at in one turn
HALT_PAUSE: Final = timedelta(minutes=1)  # until a halted fleet is looked at again
DAMAGE_PAUSE: Final = timedelta(hours=1)  # until damaged rows are


class FieldStore:
    """The CSRs of gateways in the field; threads may share it.

    Args:
        store: The store of this host.
        now: The wall clock, aware UTC.
        lease_length: How long the server gives a lease, in seconds.
    """

    def __init__(
        self, store: FleetStore, now: Callable[[], datetime], *, lease_length: float = LENGTH
    ) -> None:
        self._store = store
        self._now = now
        self._lease_length = lease_length
        self._held: set[UUID] = set()  # leases

    def new_requests(self) -> Sequence[CsrRequest]:
        """Return CSRs that no host has looked at; what is too old is refused or forgotten.

        Raises:
            DatabaseError: The database cannot be used.
        """
        with self._store.database.transaction() as rows:
            field_rows.clean_up(rows)
            return field_rows.new(rows, MOST_NEW)

    def admit(
        self,
        request: CsrRequest,
        name: str,
        urgency: Callable[[LastCertificate | None], Urgency],
    ) -> None:
        """Let a gateway have a certificate for a CSR.

        Args:
            request: The CSR.
            name: The first of its names.
            urgency: Returns how urgent it is, from the newest certificate of the gateway.

        Raises:
            DatabaseError: The database cannot be used.
        """
        gateway = f"{field_rows.PREFIX}{name}"
        with self._store.database.transaction() as rows:
            last = field_rows.last_certificate(rows, gateway)
            field_rows.admit(rows, request, gateway, urgency(last))

    def refuse(self, request: CsrRequest, reason: str) -> None:
        """Answer that there will be no certificate for a CSR.

        Raises:
            DatabaseError: The database cannot be used.
        """
        with self._store.database.transaction() as rows:
            field_rows.refuse(rows, request, reason)

    def claimed(self) -> AbstractContextManager[FieldOrder | None]:
        """Hold the lease of the gateway that is due and most urgent; None if none may be ordered.

        Raises:
            DatabaseError: The database cannot be used.
        """
        return self._holding(lease_rows.claim_most_urgent)

    def left(self) -> AbstractContextManager[FieldOrder | None]:
        """Hold the lease of a gateway for which a process of this host was lost; None if none is.

        Raises:
            DatabaseError: The database cannot be used.
        """
        return self._holding(partial(lease_rows.take_back, held=self._held))

    @contextmanager
    def _holding(
        self, claim: Callable[..., tuple[str, UUID] | None]
    ) -> Iterator[FieldOrder | None]:
        self._store.begin_to_write()
        asked = host_clock()
        with self._store.database.transaction() as rows:
            claimed = claim(rows, self._lease_length, prefix=field_rows.PREFIX)
            order = self._order(rows, *claimed, asked) if claimed is not None else None
            if claimed is not None and order is None:
                lease_rows.release(rows, *claimed)
            if order is not None:
                self._held.add(order.lease.token)  # before the next transaction
        if order is None:
            yield None
            return
        try:
            with order.lease.kept():
                yield order
        finally:
            with suppress(StorageError), self._store.database.transaction() as rows:
                lease_rows.release(rows, order.gateway, order.lease.token)
            self._held.discard(order.lease.token)

    def _renew(self, gateway: str, token: UUID) -> bool:
        with self._store.database.transaction() as rows:
            return lease_rows.renew(rows, gateway, token, self._lease_length)

    def _order(
        self, rows: Connection, gateway: str, token: UUID, asked: float
    ) -> FieldOrder | None:
        """Return the order for the oldest CSR of a gateway; None if none may be placed now."""
        request = field_rows.oldest(rows, gateway)
        if request is None:
            field_rows.postpone(rows, gateway, None)
            return None
        _, not_after = lease_rows.urgency(rows, gateway)
        if halt_rows.read(rows).stops(not_after, self._now()):
            field_rows.postpone(rows, gateway, self._now() + HALT_PAUSE)
            return None
        renew = partial(self._renew, gateway)
        lease = HeldLease(gateway, token, asked, renew, length=self._lease_length)
        try:
            return FieldOrder(
                self._store,
                lease,
                gateway,
                request=request,
                rows=rows,
                now=self._now,
            )
        except StorageError as error:
            if isinstance(error, DatabaseError) and not isinstance(error, EnrolmentDamagedError):
                raise
            logger.error("field order not placed gateway=%s error=%s", gateway, error)  # noqa: TRY400
            field_rows.postpone(rows, gateway, self._now() + DAMAGE_PAUSE)
            return None
