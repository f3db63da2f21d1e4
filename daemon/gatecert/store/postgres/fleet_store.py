"""The store of a host that shares its gateways with others: files, and rows of PostgreSQL.

Every host keeps a whole `FileStore` and serves from it; the rows have what the hosts of a cluster
share. `FleetStore` overrides what is shared: who may order, the state of enrolment, orders, newest
versions, accounts, counted requests, challenge tokens and TXT records. A module of this package has
the rows of each.
"""

from __future__ import annotations

import logging
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from gatecert.errors import DatabaseAwayError, DatabaseError, EnrolmentDamagedError
from gatecert.model import DatabaseProblem
from gatecert.store.postgres import (
    account_rows,
    cluster_rows,
    deployment_rows,
    halt_rows,
    lease_rows,
    record_rows,
    reserve_rows,
    token_rows,
)
from gatecert.store.postgres.database import PAUSE, Database
from gatecert.store.postgres.fleet_leases import FleetAccess
from gatecert.store.postgres.fleet_orders import FleetOrders
from gatecert.store.postgres.fleet_states import FleetStates
from gatecert.store.postgres.fleet_versions import FleetVersions
from gatecert.store.postgres.held_lease import LENGTH
from gatecert.store.postgres.reserved_orders import ReservedOrder
from gatecert.store.postgres.sealing import read_sealing_keys

if TYPE_CHECKING:
    from collections.abc import Collection
    from contextlib import AbstractContextManager
    from datetime import datetime
    from pathlib import Path

    from psycopg import Connection

    from gatecert.deadline import Deadline
    from gatecert.model import (
        Account,
        DeploymentOutcome,
        PublishedRecord,
        RollOut,
        TextRecord,
    )
    from gatecert.model.cluster_view import ClusterView
    from gatecert.model.fleet import FleetHost, Replacement
    from gatecert.store.protocol import Lease

logger = logging.getLogger(__name__)

ANSWERED_WITHIN: Final = 10.0  # seconds that the other hosts get to acknowledge a token
ANSWERS_POLLED: Final = 0.2  # seconds between two looks at what they have acknowledged


class FleetStore(FleetOrders, FleetVersions, FleetStates):
    """All persistent state of a host of a fleet; see ``store.protocol.HostStore``.

    Args:
        state_directory: As for `FileStore`.
        place: This host's place in the fleet.
        unshared: The gateways of which each host has a certificate of its own: what is known of
            them, and of their requests and versions, stays on the host.
        lease_length: How long the server gives a lease, in seconds.
        pause: Seconds after a failed connection in which none is tried.

    Raises:
        SealingKeyMissingError: A sealing key cannot be read.

    Attributes:
        place: See above.
        database: The connection to the fleet's database.
        shared: The gateways that this host shares; None if they are not known.
    """

    def __init__(
        self,
        state_directory: Path,
        place: FleetHost,
        *,
        unshared: Collection[str] = (),
        lease_length: float = LENGTH,
        pause: float = PAUSE,
    ) -> None:
        database = Database(place, after_connect=self._send_again, pause=pause)
        keys = read_sealing_keys(place.sealing_keys)
        super().__init__(state_directory, FleetAccess(database, keys, lease_length, unshared))
        self.place = place
        self.shared: Collection[str] | None = None
        self._life = uuid4()
        self._account_keys: dict[str, bytes] = {}  # as last read or written
        self._told: dict[str, tuple[int, DeploymentOutcome, str]] = {}  # of deployments
        self._answered_by: dict[tuple[str, str], float] = {}  # until when hosts may acknowledge

    def _send_again(self, rows: Connection) -> None:
        """Write again, and tell again what was told: a server that took over may have lost it.

        Nothing is due any more for gateways that it no longer shares.
        """
        self._told.clear()
        self._forget_schedules()
        if not self._writes:
            return
        self._again.send(rows)
        if self.shared is not None:
            lease_rows.keep_scheduled(rows, self.shared)
        for gateway in self._again.shared_gateways():
            with self._again.or_later(f"the reserved order of gateway {gateway}"):
                self._reserved.send_again(rows, gateway)

    # ------------------------------------------------------------------ deployments

    def report_deployment(
        self, gateway: str, generation: int, outcome: DeploymentOutcome, reason: str = ""
    ) -> None:
        """Tell the other hosts how this one fares, unless this process has told it already."""
        told = generation, outcome, reason
        if gateway in self._unshared or self._told.get(gateway) == told:
            return
        with self.database.transaction() as rows:
            deployment_rows.enter_ring(rows, self.place.ring)
            deployment_rows.write(rows, gateway, *told)
        self._told[gateway] = told

    def roll_out(self, gateway: str, generation: int) -> RollOut | None:
        """Return how far a generation has come, and tell the ring of this host."""
        if gateway in self._unshared:
            return None
        with self.database.transaction() as rows:
            deployment_rows.enter_ring(rows, self.place.ring)
            return deployment_rows.roll_out(rows, gateway, generation, self.place.ring)

    def cluster_view(self, gateways: Collection[str]) -> ClusterView | DatabaseProblem:
        """Return what this host sees of its cluster, or why it sees nothing.

        Args:
            gateways: Their names; all that are shared are read in one transaction.
        """
        shared = [name for name in gateways if name not in self._unshared]
        try:
            with self.database.transaction() as rows:
                session = self.database.session
                assert session is not None  # noqa: S101 - there is a connection
                return cluster_rows.read(rows, session, shared, self._keys)
        except DatabaseError as error:
            known = self._known_problem(gateways)
            since = known.since if known is not None else None
            return DatabaseProblem(since, error.code, error.message, error.fix)

    def spare_database(self, gateways: Collection[str]) -> None:
        """Answer from the files at once if a pass has found that the database cannot be used."""
        known = self._known_problem(gateways)
        if known is not None:
            self.database.rest(DatabaseAwayError(known.detail, fix=known.fix))

    def _known_problem(self, gateways: Collection[str]) -> DatabaseProblem | None:
        """Return what a pass over one of the gateways has found wrong with the whole database."""
        found = (self._own_state(name).host.database for name in gateways)
        own = EnrolmentDamagedError.code
        return next((each for each in found if each is not None and each.code != own), None)

    # ------------------------------------------------------------------ accounts

    def account(self, authority: str) -> Account | None:
        """Return the account that the cluster shares; its copy for a reserved order."""
        try:
            with self.database.transaction() as rows:
                account = account_rows.read(rows, authority, self._keys)
        except DatabaseError:
            if not self._reserved.are_placed_at(authority):
                raise
            return super().account(authority)
        if account is not None:
            self._account_keys[authority] = account.private_key
        return account

    def save_account(self, authority: str, account: Account) -> None:
        """Write the account that the cluster shares, unless another host has written one."""
        with self.database.transaction() as rows:
            before = self._account_keys.get(authority)
            account_rows.write(rows, authority, account, self._keys, before)
        self._account_keys[authority] = account.private_key

    def next_key(self, authority: str) -> bytes | None:
        """Return the new key (PEM) of an unfinished rollover; a reserved order goes without."""
        try:
            with self.database.transaction() as rows:
                return account_rows.next_key(rows, authority, self._keys)
        except DatabaseError:
            if not self._reserved.are_placed_at(authority):
                raise
        return None

    def save_next_key(self, authority: str, private_key: bytes) -> None:
        """Write the new key of a rollover."""
        with self.database.transaction() as rows:
            account_rows.write_next_key(rows, authority, private_key, self._keys)

    def remove_next_key(self, authority: str) -> None:
        """Remove the new key of a rollover; none is no error."""
        with self.database.transaction() as rows:
            account_rows.write_next_key(rows, authority, None, self._keys)

    def retire_account(self, authority: str) -> None:
        """Set a deactivated account aside; none is no error."""
        with self.database.transaction() as rows:
            account_rows.retire(rows, authority)

    # ------------------------------------------------------------------ reserved orders

    def reserve_order(self, gateway: str, replacement: Replacement | None) -> None:
        """Have an order reserved for this host, and keep what it takes to place it."""
        known = self._reserved.read(gateway)
        given: int | None = 0
        if self.place.reserve and replacement is not None:
            with self.database.transaction() as rows:
                account = account_rows.read(rows, replacement.authority, self._keys)
                if account is not None and halt_rows.read(rows).since is None:
                    held = known.generation if known is not None and not known.request else 0
                    given = reserve_rows.give(rows, gateway, self._own_generation(gateway), held)
            if given and account is not None:  # the account first
                if super().account(replacement.authority) != account:
                    super().save_account(replacement.authority, account)
                order = ReservedOrder(given, replacement, account.directory_url)
                self._reserved.keep(gateway, order)
        if given == 0 and known is not None:
            with self.database.transaction() as rows:
                reserve_rows.give_back(rows, gateway)
            self._reserved.forget(gateway)

    def reserved_lease(
        self, gateway: str, certificate_id: str
    ) -> AbstractContextManager[Lease] | None:
        """Hold the right to place the order once, or to go on with it."""
        order = self._reserved.read(gateway)
        if not self.place.reserve or order is None:
            return None
        if order.replacement.certificate_id != certificate_id:
            return None
        if order.generation <= self._own_generation(gateway):
            return None
        if order.request and order.request not in {each.id for each in self.own_requests(gateway)}:
            return None
        return self._reserved.placed(gateway, order)

    # ------------------------------------------------------------------ challenges

    def put_token(self, kind: str, token: str, key_authorization: str) -> None:
        """Store a token for this host and for the others."""
        super().put_token(kind, token, key_authorization)
        with self._reserved.if_there():
            with self.database.transaction() as rows:
                token_rows.write(rows, kind, token, key_authorization, self._life)
            self._answered_by[kind, token] = time.monotonic() + ANSWERED_WITHIN

    def wait_for_hosts(self, kind: str, token: str, deadline: Deadline) -> tuple[str, ...]:
        """Wait until all live hosts have acknowledged a token; return those that have not."""
        until = self._answered_by.get((kind, token), 0.0)
        with self._reserved.if_there():
            while True:
                with self.database.transaction() as rows:
                    missing = token_rows.missing_hosts(rows, kind, token)
                if not missing or deadline.passed or time.monotonic() >= until:
                    return missing
                deadline.wait(ANSWERS_POLLED)
        return ()

    def remove_token(self, kind: str, token: str) -> None:
        """Remove a token; unknown ones and those of other hosts are no error."""
        super().remove_token(kind, token)
        self._answered_by.pop((kind, token), None)
        with self._reserved.if_there(), self.database.transaction() as rows:
            token_rows.remove(rows, kind, token)

    def add_record(self, record: TextRecord, *, now: datetime) -> PublishedRecord:
        """Store a record that this host is about to publish.

        While a reserved order is placed, this host alone withdraws it.
        """
        published = super().add_record(record, now=now)
        if not self._reserved.are_placed:
            with self.database.transaction() as rows:
                record_rows.write(rows, published, self._life)
        return published

    def records(self) -> tuple[PublishedRecord, ...]:
        """Return the records of all hosts; those of hosts that are dead count as abandoned."""
        shared: list[PublishedRecord] = []
        with suppress(DatabaseError), self.database.transaction() as rows:
            shared = record_rows.read(rows)
        # The files afterwards: a row of this host without a file counts as abandoned.
        own = {record.id: record for record in super().records()}
        found = [*own.values(), *(record for record in shared if record.id not in own)]
        return tuple(sorted(found, key=lambda record: (record.at, record.id)))

    def abandon_record(self, published: PublishedRecord) -> None:
        """Leave the withdrawal of a record to any host."""
        if any(record.id == published.id for record in super().records()):
            super().abandon_record(published)
        with self._reserved.if_there(), self.database.transaction() as rows:
            record_rows.abandon(rows, published.id)

    def remove_record(self, published: PublishedRecord) -> None:
        """Remove a withdrawn record; unknown ones are no error."""
        with self._reserved.if_there(), self.database.transaction() as rows:
            record_rows.remove(rows, published.id)
        super().remove_record(published)
