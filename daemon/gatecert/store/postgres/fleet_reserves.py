"""Reserved orders of a host: one a gateway, for the time without the database.

It is in the row of the gateway (``reserve_rows``), and in a file of the host once that was
acknowledged, with a copy of the account. What was ordered by it is sent to the rows after the next
connection, and of two certificates the one that ends later is for all.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.model import RequestKind
from gatecert.model.fleet import Replacement
from gatecert.store import durable, json_record
from gatecert.store.file_store import FileStore
from gatecert.store.postgres import (
    account_rows,
    halt_rows,
    intent_rows,
    lease_rows,
    reserve_rows,
    version_rows,
)
from gatecert.store.postgres.fleet_store import FleetStore

if TYPE_CHECKING:
    from collections.abc import Sequence

    from psycopg import Connection

    from gatecert.model import Account, Expenses, Version

logger = logging.getLogger(__name__)

OF_REPLACEMENTS: Final = {RequestKind.REPLACEMENT, RequestKind.VALIDATION}


@dataclass(frozen=True, slots=True)
class ReservedOrder:
    """The contents of ``reserve.json``.

    Attributes:
        generation: Of its certificate.
        directory_url: The CA's directory.
        request: Id of its key request; empty until it is placed.
    """

    generation: int
    replacement: Replacement
    directory_url: str
    request: str = ""

    def covers(self, directory_url: str, expenses: Expenses) -> bool:
        """Tell whether requests are those of this order."""
        return directory_url == self.directory_url and all(
            each.kind in OF_REPLACEMENTS and set(each.names) <= set(self.replacement.names)
            for each in expenses.counted
        )


class FleetReserves(FleetStore):
    """Files and rows of reserved orders; see ``store.protocol.Store``."""

    def reserve_order(self, gateway: str, replacement: Replacement | None) -> None:
        """Have an order reserved for this host, and keep what it takes to place it."""
        known = self._reserved(gateway)
        if not self.place.reserve or replacement is None:
            if known is not None:
                self._give_back(gateway)
            return
        with self.database.transaction() as rows:
            account = account_rows.read(rows, replacement.authority, self._keys)
            halted = halt_rows.read(rows).since is not None
            if account is None or halted:
                given: int | None = 0
            else:
                held = known.generation if known is not None and not known.request else 0
                given = reserve_rows.give(rows, gateway, self._own_generation(gateway), held)
        if given is None:
            return
        if not given:
            if known is not None:
                self._give_back(gateway)
        elif account is not None:
            self._keep(gateway, ReservedOrder(given, replacement, account.directory_url), account)

    def _keep(self, gateway: str, order: ReservedOrder, account: Account) -> None:
        """Keep an order that the rows have acknowledged; the account first."""
        authority = order.replacement.authority
        if FileStore.account(self, authority) != account:
            FileStore.save_account(self, authority, account)
        if self._reserved(gateway) != order:
            json_record.write_record(self._layout.reserve(gateway), order)

    def _give_back(self, gateway: str) -> None:
        with self.database.transaction() as rows:
            reserve_rows.give_back(rows, gateway)
        durable.remove_file(self._layout.reserve(gateway))

    def _reserved(self, gateway: str) -> ReservedOrder | None:
        return json_record.read_record(self._layout.reserve(gateway), ReservedOrder)

    def _send_again(self, rows: Connection) -> None:
        """Write again also what is reserved for this host."""
        super()._send_again(rows)
        if not self._writes:
            return
        for gateway in self._shared_gateways():
            with self._or_later(f"the reserved order of gateway {gateway}"):
                order = self._reserved(gateway)
                if order is not None:
                    reserve_rows.write_again(rows, gateway, order.generation)

    def _is_behind(self, rows: Connection, gateway: str, own: Sequence[Version]) -> bool:
        """Send what was ordered without the database also past a later order that ends sooner."""
        order, known = self._reserved(gateway), version_rows.known(rows, gateway)
        if (
            order is not None
            and order.request
            and own[0].generation == order.generation < known.number
            and known.not_after is not None
            and known.not_after < version_rows.leaf(own[0].certificate).not_valid_after_utc
            and lease_rows.is_free(rows, gateway)
        ):
            following = intent_rows.next_generation(rows, gateway, known.number)
            logger.warning("version sent past gateway=%s generation=%d", gateway, known.number)
            version_rows.insert(rows, gateway, following, self.issued(own[0]), self._keys)
        return super()._is_behind(rows, gateway, own)
