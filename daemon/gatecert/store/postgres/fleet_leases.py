"""The leases of a host's store: without one, nothing is ordered for a gateway.

A lease is refused to a host that has yet to see what another one has done: it would order from an
old state.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

from gatecert.errors import LeaseLostError, StorageError
from gatecert.store import json_record
from gatecert.store.file_store import FileStore
from gatecert.store.postgres import enrolment_rows, lease_rows
from gatecert.store.postgres.held_lease import HeldLease, host_clock, lost
from gatecert.store.postgres.reserved_orders import ReservedOrders
from gatecert.store.postgres.sending_again import SendingAgain

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path
    from threading import Event
    from uuid import UUID

    from psycopg import Connection

    from gatecert.model import GatewayState, KeyRequest, LimitReached, Wait
    from gatecert.store.postgres.database import Database
    from gatecert.store.postgres.enrolment_rows import EnrolmentRow
    from gatecert.store.postgres.sealing import SealingKeys


@dataclass(frozen=True, slots=True)
class RemovedGeneration:
    """The greatest generation that was removed from this host, and is not copied again."""

    generation: int


class FleetAccess(NamedTuple):
    """Access to what the hosts share.

    Attributes:
        database: The connection to the fleet's database.
        keys: Seal private keys before they leave the host.
        lease_length: How long the server gives a lease, in seconds.
        unshared: The gateways of which each host has a certificate of its own.
    """

    database: Database
    keys: SealingKeys
    lease_length: float
    unshared: Collection[str]


class FleetLeases(FileStore):
    """Files, and the right to change what the hosts of a cluster share.

    Each subclass has one kind of what is shared, and none overrides a method of another.

    Args:
        state_directory: As for `FileStore`.
        access: To what the hosts share.

    Attributes:
        database: The connection to the fleet's database.
    """

    def __init__(self, state_directory: Path, access: FleetAccess) -> None:
        super().__init__(state_directory)
        self.database = access.database
        self._keys = access.keys
        self._lease_length = access.lease_length
        self._unshared = frozenset(access.unshared)
        self._ordered: dict[str, int] = {}  # generation of the last intent that was seen
        self._held: dict[str, HeldLease] = {}  # until the version is installed, or lost
        self._enrolments: dict[str, EnrolmentRow] = {}  # as last read or written
        self._lockers: dict[str, int] = {}  # the thread that holds each gateway's lock
        self._reserved = ReservedOrders(self._layout)
        self._again = SendingAgain(self)
        self._writes = False  # whether this process may write, and not only read
        self._beginning = threading.Lock()

    @property
    def sealing_keys(self) -> SealingKeys:
        """The keys with which private keys are sealed before they leave the host."""
        return self._keys

    def is_unshared(self, gateway: str) -> bool:
        """Tell whether each host has a certificate of its own for a gateway."""
        return gateway in self._unshared

    def begin_to_write(self) -> None:
        """Send again what a server may have lost, from now on after every connection.

        It is the first step of whatever writes: an open connection is replaced by one on which
        that comes first. A process that only reads sends nothing.
        """
        with self._beginning:
            if not self._writes:
                self._writes = True
                self.database.close()

    @contextmanager
    def lock_gateway(
        self,
        gateway: str,
        purpose: str,
        *,
        wait: float,
        tell: Callable[[Wait], None] | None = None,
        cancelled: Event | None = None,
    ) -> Iterator[None]:
        """Hold a gateway's lock while changing it; see `begin_to_write`."""
        self.begin_to_write()
        with super().lock_gateway(gateway, purpose, wait=wait, tell=tell, cancelled=cancelled):
            self._lockers[gateway] = threading.get_ident()
            try:
                yield
            finally:
                del self._lockers[gateway]

    @contextmanager
    def lease(self, gateway: str) -> Iterator[HeldLease]:
        """Hold the right to order, which a thread renews until the version is installed.

        It is refused to a host that has yet to see what another one has done.
        """
        self.begin_to_write()
        asked = host_clock()
        with self.database.transaction() as rows:
            token = lease_rows.claim(rows, gateway, self._lease_length)
            if token is None:
                raise lost(gateway)
            self._check_up_to_date(rows, gateway)
        renew = partial(self._renew, gateway)
        held = HeldLease(gateway, token, asked, renew, length=self._lease_length)
        self._held[gateway] = held
        try:
            with held.kept():
                yield held
        finally:
            self._held.pop(gateway, None)
            with suppress(StorageError), self.database.transaction() as rows:
                lease_rows.release(rows, gateway, token)

    def _renew(self, gateway: str, token: UUID) -> bool:
        with self.database.transaction() as rows:
            return lease_rows.renew(rows, gateway, token, self._lease_length)

    def _check_up_to_date(self, rows: Connection, gateway: str) -> None:
        """Refuse to order from what another host has changed since it was read here."""
        seen, now = self._enrolments.get(gateway), enrolment_rows.read(rows, gateway)
        generation = lease_rows.generation(rows, gateway)
        if generation > self._own_generation(gateway) or (seen and seen.text != now.text):
            raise LeaseLostError(
                f"another host of the cluster may have ordered for gateway {gateway} since this one"
                f" has looked, so this one orders nothing before it has seen the result",
                fix="no action needed: this host installs what the other one obtains",
            )

    def _own_generation(self, gateway: str) -> int:
        """Return the newest generation that this host has had; zero without any."""
        had = self._removed_generation(gateway)
        return max(had, *(version.generation for version in self.versions(gateway)), 0)

    def _removed_generation(self, gateway: str) -> int:
        path = self._layout.removed_generation(gateway)
        record = json_record.read_record(path, RemovedGeneration)
        return record.generation if record is not None else 0

    def _own_state(self, gateway: str) -> GatewayState:
        """Return the state in the file of this host."""
        return super().state(gateway)

    def own_requests(self, gateway: str) -> tuple[KeyRequest, ...]:
        """Return the key requests of this host, with its copies of intents."""
        return super().requests(gateway)

    def _remove_own_request(self, gateway: str, request_id: str) -> None:
        super().remove_request(gateway, request_id)

    @contextmanager
    def _fenced(self, gateway: str) -> Iterator[tuple[Connection, UUID]]:
        """Yield rows in a transaction, and the lease that every write has to compare.

        Raises:
            LeaseLostError: This host does not hold the lease, or not any more.
        """
        held = self._held.get(gateway)
        if held is None or not held.is_held:
            raise lost(gateway)
        try:
            with self.database.transaction() as rows:
                yield rows, held.token
        except LeaseLostError:
            held.end()
            raise

    @contextmanager
    def _sending_again(self) -> Iterator[None]:
        """Connect anew after a failure: what is in the files by now is sent to the rows at once."""
        self.begin_to_write()
        try:
            yield
        except (LeaseLostError, RefusedError):
            raise
        except BaseException:
            self.database.close()
            raise


class RefusedError(Exception):
    """A limit forbids requests, so a transaction is rolled back."""

    def __init__(self, reached: LimitReached) -> None:
        self.reached = reached
        super().__init__(reached.reason)
