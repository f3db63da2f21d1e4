"""Export: what the hosts of a cluster share, as the plain files of one host.

With these files the host goes on without a fleet: with the same account, from the same state, and
with the open order and its key, so that nothing is ordered twice.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from gatecert.errors import LeaseLostError
from gatecert.model.fleet import LONGEST_PERIOD
from gatecert.store.file_store import FileStore
from gatecert.store.postgres import (
    account_rows,
    enrolment_rows,
    expense_rows,
    intent_rows,
    lease_rows,
)

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from gatecert.model import GatewayState, KeyRequest
    from gatecert.store.postgres.fleet_store import FleetStore


@dataclass(frozen=True, slots=True)
class ExportedGateway:
    """A gateway whose files are whole.

    Attributes:
        generation: Of the newest certificate that the hosts share; zero without one.
        orders: How many open orders were taken along.
    """

    name: str
    generation: int
    orders: int


class Export:
    """Writes plain files.

    Args:
        store: The store of this host.
        directory: A state directory: this host's own, or an empty one.
        with_orders: Whether open orders are taken along, or left to other hosts.
    """

    def __init__(self, store: FleetStore, directory: Path, *, with_orders: bool = True) -> None:
        self._store = store
        self._keys = store.sealing_keys
        self._own, self._files = FileStore(store.directory), FileStore(directory)
        self._with_orders = with_orders

    def gateway(self, name: str, *, now: datetime, key_group: str | None = None) -> ExportedGateway:
        """Export a gateway, whose lock the caller holds.

        Args:
            name: Its name.
            now: Aware UTC.
            key_group: Of its versions.

        Raises:
            LeaseLostError: Another host orders for it at the moment.
            SealingKeyMissingError: This host cannot open a key.
            StorageError: A row is damaged, the database is away, or a file cannot be written.
        """
        if self._store.is_unshared(name):
            if self._files.directory != self._own.directory:
                self._copy_own(name, key_group)
                self._files.save_state(name, self._own.state(name))
            return ExportedGateway(name, 0, 0)
        with self._store.database.transaction() as rows:
            if not lease_rows.is_free(rows, name):
                raise LeaseLostError(
                    f"another host orders for gateway {name} at the moment, so it is not exported",
                    fix="run the command again in two minutes",
                )
            generation = lease_rows.generation(rows, name)
            enrolment = enrolment_rows.read(rows, name)
            intents = intent_rows.read(rows, name, self._keys)
        self._store.copy_version(name, now=now, key_group=key_group)
        if self._files.directory != self._own.directory:
            self._copy_own(name, key_group)
        orders = intents if self._with_orders else ()
        self._write_requests(name, orders)
        state = self._own.state(name)
        if enrolment is not enrolment_rows.NEW:
            # An order that this host has placed without the database is in its files only.
            own, shared = state.enrolment.order, enrolment.state
            if shared.order is None and own and own.request_id in {each.id for each in intents}:
                shared = replace(shared, order=own)
            state = replace(state, enrolment=shared)
        self._files.save_state(name, state if self._with_orders else _without_orders(state))
        return ExportedGateway(name, generation, len(orders))

    def _copy_own(self, name: str, key_group: str | None) -> None:
        """Copy what only this host has: all versions, and requests of imported certificates."""
        for version in reversed(self._own.versions(name)):
            created = version.created or datetime.min.replace(tzinfo=UTC)
            issued = self._own.issued(version)
            self._files.add_version(name, issued, now=created, key_group=key_group)
        for request in self._own.requests(name):
            if not request.generation:
                self._files.add_request(name, request)

    def _write_requests(self, name: str, orders: Sequence[KeyRequest]) -> None:
        """Write the keys of open orders, and remove those of orders that are closed."""
        kept = {request.id for request in orders}
        for request in orders:
            self._files.add_request(name, request)
        for request in self._files.requests(name):
            if request.generation and request.id not in kept:
                self._files.remove_request(name, request.id)

    def accounts(self) -> list[str]:
        """Export the accounts of the cluster; return the names of their CAs.

        Raises:
            SealingKeyMissingError: This host cannot open a key.
            StorageError: A row is damaged, the database is away, or a file cannot be written.
        """
        with self._store.database.transaction() as rows:
            names = account_rows.authorities(rows)
            accounts = {name: account_rows.read(rows, name, self._keys) for name in names}
            following = {name: account_rows.next_key(rows, name, self._keys) for name in names}
        for name, account in accounts.items():
            if account is None:
                continue
            self._files.save_account(name, account)
            next_key = following[name]
            if next_key is None:
                self._files.remove_next_key(name)
            else:
                self._files.save_next_key(name, next_key)
        return names

    def counted_requests(self, directory_urls: Sequence[str], *, now: datetime) -> int:
        """Export the requests of the cluster that a limit may still count.

        Args:
            directory_urls: The directories of the CAs.
            now: Aware UTC.

        Returns:
            How many a limit may count now.
        """
        total = 0
        for directory_url in directory_urls:
            own = self._own.counted_requests(directory_url)
            with self._store.database.transaction() as rows:
                others = expense_rows.counted_by_others(rows, directory_url, now - LONGEST_PERIOD)
            if self._files.directory != self._own.directory:
                others = [*own, *others]
            if others:
                self._files.take_over_requests(directory_url, others)
            counted = self._files.counted_requests(directory_url)
            total += sum(request.at > now - LONGEST_PERIOD for request in counted)
        return total


def _without_orders(state: GatewayState) -> GatewayState:
    return replace(state, enrolment=replace(state.enrolment, order=None, second_order=None))
