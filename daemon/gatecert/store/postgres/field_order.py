"""The order for a CSR of a gateway in the field: a journal in rows, without a key.

It is as safe as that of a gateway of this host: the CSR is stored before it is ordered for, the
requests are counted in one transaction with its intent under the lease, and a host that takes over
finishes the same order.
"""

from __future__ import annotations

import secrets
from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.model import EnrolmentState, KeyRequest, PendingOrder
from gatecert.store.postgres import enrolment_rows, field_rows, intent_rows, version_rows

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from psycopg import Connection

    from gatecert.model import Expenses, IssuedChain, LimitReached, Limits, OrderHeld
    from gatecert.store.postgres.field_rows import CsrRequest, LastCertificate
    from gatecert.store.postgres.fleet_store import FleetStore
    from gatecert.store.postgres.held_lease import HeldLease


class FieldOrder:
    """An order under the lease of its gateway; see ``acme.protocol.OrderJournal``.

    Args:
        store: The store of this host.
        lease: The right to order.
        gateway: The gateway's name.
        request: The CSR to be answered.
        rows: A transaction, to read what is known of the gateway.
        now: The wall clock, aware UTC.

    Attributes:
        gateway: See above.
        request: See above.
        lease: See above.
        last: The certificate that the new one replaces; None for the first one.
        enrolment: The state of enrolment.
    """

    def __init__(  # noqa: PLR0913 - what is ordered, by which right, and what is known of it
        self,
        store: FleetStore,
        lease: HeldLease,
        gateway: str,
        *,
        request: CsrRequest,
        rows: Connection,
        now: Callable[[], datetime],
    ) -> None:
        self.lease = lease
        self.gateway = gateway
        self.request = request
        self.last: LastCertificate | None = field_rows.last_certificate(rows, gateway)
        self.enrolment: EnrolmentState = enrolment_rows.read(rows, gateway).state
        self._intents = intent_rows.csrs(rows, gateway)
        self._store = store
        self._now = now

    # ------------------------------------------------------------------ the journal

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        """Return the order in progress; one for an earlier CSR is dropped."""
        order = self.enrolment.order
        if order is None:
            return None
        if self._intents.get(order.request_id) == self.request.csr:
            return order, self._key_request(order.request_id)
        self.forget()
        return None

    def new_request(self, *, common_name: bool = False) -> KeyRequest:
        """Return the CSR, with the id of the intent that a host has left without an order."""
        del common_name  # the gateway decides
        left = (id_ for id_, csr in self._intents.items() if csr == self.request.csr)
        return self._key_request(next(left, f"order-{secrets.token_hex(8)}"))

    def open(
        self, request: KeyRequest, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | OrderHeld | None:
        """Store the intent and count its requests in one step; see `Store.open_order`.

        Raises:
            LeaseLostError: Another host has the lease.
        """
        self.lease.check()
        wanted = replace(request, directory_url=directory_url)
        reached = self._store.open_csr(self.gateway, self.lease.token, wanted, expenses, within)
        if reached is None:
            self._intents[request.id] = request.csr
        return reached

    def record(self, order: PendingOrder) -> None:
        """Store an order."""
        self.save(replace(self.enrolment, order=order))

    def forget(self) -> None:
        """Drop the order, and close its intent."""
        with self._store.database.transaction() as rows:
            self._write(rows, replace(self.enrolment, order=None))
            for id_ in self._intents:
                intent_rows.close(rows, self.gateway, id_)
        self._intents.clear()

    # ------------------------------------------------------------------ the end

    def install(self, issued: IssuedChain) -> None:
        """Store the chain as the newest version, answer the CSR with it, and end the lease."""
        fullchain = issued.certificate + issued.chain
        with self._store.database.transaction() as rows:
            enrolment_rows.write(rows, self.gateway, EnrolmentState(), self.lease.token)
            version_rows.install(
                rows, self.gateway, self.lease.token, issued, self._store.sealing_keys
            )
            field_rows.deliver(rows, self.request, self.gateway, fullchain)

    def refuse(self, reason: str) -> None:
        """Answer that there will be no certificate for this CSR."""
        with self._store.database.transaction() as rows:
            self._write(rows, EnrolmentState())
            field_rows.refuse(rows, self.request, reason)
            for id_ in self._intents:
                intent_rows.close(rows, self.gateway, id_)
            field_rows.postpone(rows, self.gateway, None)
            field_rows.proceed(rows, self.gateway)

    def save(self, enrolment: EnrolmentState) -> None:
        """Write the state of enrolment; the next attempt is due when it says."""
        with self._store.database.transaction() as rows:
            self._write(rows, enrolment)
            if enrolment.next_attempt is not None:
                field_rows.postpone(rows, self.gateway, enrolment.next_attempt)

    def _write(self, rows: Connection, enrolment: EnrolmentState) -> None:
        enrolment_rows.write(rows, self.gateway, enrolment, self.lease.token)
        self.enrolment = enrolment

    def _key_request(self, id_: str) -> KeyRequest:
        return KeyRequest(id_, self._now(), private_key=b"", csr=self.request.csr)
