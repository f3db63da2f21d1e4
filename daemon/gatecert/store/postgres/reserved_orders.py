"""The orders that are reserved for this host, one a gateway, for the time without the database.

Each is in the row of its gateway (``reserve_rows``), and in a file of the host once that was
acknowledged. The file says that the order was placed before it is: without the database there is
no second one. While it is placed, its key, its requests and its certificate are in the files of
this host only, as is what is learnt of the state (``fleet_states``). They are sent to the rows
after the next connection, and of two certificates the one that ends later is for all.
"""

from __future__ import annotations

import logging
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from gatecert.errors import DatabaseAwayError, DatabaseError
from gatecert.model import RequestKind
from gatecert.model.fleet import Replacement
from gatecert.store import durable, json_record
from gatecert.store.lock import LockLease
from gatecert.store.postgres import reserve_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

    from gatecert.model import Expenses
    from gatecert.store.layout import Layout

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

    def check(self, gateway: str, directory_url: str, expenses: Expenses) -> None:
        """Check that an order is this one, not yet placed, and exempt as a replacement.

        Raises:
            DatabaseAwayError: It is not.
        """
        if self.request or expenses.counted or directory_url != self.directory_url:
            raise DatabaseAwayError(
                f"the fleet's database is away, and only one order that replaces the certificate of"
                f" gateway {gateway} at {self.replacement.authority} was reserved: nothing else is"
                f" ordered",
                fix="start the database",
            )


class ReservedOrders:
    """The files of reserved orders, and which of them are placed without the database.

    Args:
        layout: The paths of the files.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._placing: dict[str, ReservedOrder] = {}

    def read(self, gateway: str) -> ReservedOrder | None:
        """Return what is reserved for this host; None if nothing is."""
        return json_record.read_record(self._layout.reserve(gateway), ReservedOrder)

    def keep(self, gateway: str, order: ReservedOrder) -> None:
        """Keep an order that the rows have acknowledged."""
        if self.read(gateway) != order:
            json_record.write_record(self._layout.reserve(gateway), order)

    def forget(self, gateway: str) -> None:
        """Remove what is reserved; nothing is no error."""
        durable.remove_file(self._layout.reserve(gateway))

    def send_again(self, rows: Connection, gateway: str) -> None:
        """Write again what is reserved for this host."""
        order = self.read(gateway)
        if order is not None:
            reserve_rows.write_again(rows, gateway, order.generation)

    # ------------------------------------------------------------------ without the database

    @contextmanager
    def placed(self, gateway: str, order: ReservedOrder) -> Iterator[LockLease]:
        """Allow to place an order, or to go on with it, without the database."""
        self._placing[gateway] = order
        try:
            yield LockLease()
        finally:
            del self._placing[gateway]

    def placing(self, gateway: str) -> ReservedOrder | None:
        """Return the order of a gateway while it is placed; None if none is."""
        return self._placing.get(gateway)

    def use(self, gateway: str, request: str) -> None:
        """Note that the order is placed, durably."""
        order = self._placing[gateway]
        logger.warning("reserved order used gateway=%s generation=%d", gateway, order.generation)
        self._placing[gateway] = placed = replace(order, request=request)
        json_record.write_record(self._layout.reserve(gateway), placed)

    def covers(self, directory_url: str, expenses: Expenses) -> bool:
        """Tell whether requests are those of an order that is placed."""
        orders = tuple(self._placing.values())  # other threads place some
        return any(each.covers(directory_url, expenses) for each in orders)

    def are_placed_at(self, authority: str) -> bool:
        """Tell whether an order is placed at a CA."""
        orders = tuple(self._placing.values())
        return any(each.replacement.authority == authority for each in orders)

    @property
    def are_placed(self) -> bool:
        """True while any order is placed."""
        return bool(self._placing)

    @contextmanager
    def if_there(self) -> Iterator[None]:
        """Go on without the database while an order is placed."""
        try:
            yield
        except DatabaseError:
            if not self._placing:
                raise
