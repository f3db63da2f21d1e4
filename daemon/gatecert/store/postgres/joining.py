"""A host joins its cluster: what it has goes to the rows where the cluster has nothing yet.

Nothing in the rows is replaced, except for the state of attempts that failed before the cluster had
a certificate. Each step may be repeated: a transaction sends what is missing, and the files are
marked after it, so that a host that was interrupted finds out what is its own.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Final, NamedTuple

from gatecert.container import fix_for
from gatecert.errors import HostTwiceError, StateError
from gatecert.model import EnrolmentState
from gatecert.model.fleet import LONGEST_PERIOD
from gatecert.store.file_store import FileStore
from gatecert.store.postgres import (
    account_rows,
    enrolment_rows,
    expense_rows,
    intent_rows,
    lease_rows,
    version_rows,
)
from gatecert.store.postgres.held_lease import lost
from gatecert.store.postgres.host_rows import IS_LIVE, SILENT
from gatecert.time_format import duration

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from datetime import datetime

    from psycopg import Connection

    from gatecert.model import KeyRequest, PendingOrder, Version
    from gatecert.store.postgres.fleet_store import FleetStore

CLOCK_TOLERANCE: Final = timedelta(minutes=1)


class Source(Enum):
    """The origin of what is shared from now on."""

    NONE = "none"
    """There is nothing yet."""
    SENT = "sent"
    """This host has sent its own."""
    SAME = "same"
    """The cluster has what this host has."""
    CLUSTER = "cluster"
    """The cluster had it before, and this host's own is left aside."""


class JoinedGateway(NamedTuple):
    """A gateway that is shared from now on.

    Attributes:
        generation: Of its newest certificate; zero without one.
        orders: How many open orders of this host were sent.
    """

    source: Source
    generation: int = 0
    orders: int = 0


class Joining:
    """Sends what a host has.

    Args:
        store: Its store.
    """

    def __init__(self, store: FleetStore) -> None:
        self._store = store
        self._keys = store.sealing_keys
        self._own = FileStore(store.directory)

    def check(self, gateways: Iterable[str], *, now: datetime, daemon_runs: bool) -> None:
        """Check, before anything is sent, that this host can be in the cluster.

        Args:
            gateways: Whose keys this host has to open.
            now: Its time, aware UTC.
            daemon_runs: Whether its daemon runs, which signs with the same name.

        Raises:
            StateError: Its clock differs from the server's.
            HostTwiceError: Another host has its name, and is live.
            SealingKeyMissingError: It cannot open what is there.
            DatabaseError: It cannot log in.
        """
        with self._store.database.transaction() as rows:
            if not daemon_runs:
                _check_name_is_free(rows)
            for authority in account_rows.authorities(rows):
                account_rows.read(rows, authority, self._keys)
                account_rows.next_key(rows, authority, self._keys)
            _check_clock(now, expense_rows.clock(rows))
        for gateway in gateways:
            with self._store.database.transaction() as rows:
                version_rows.newer(rows, gateway, 0, self._keys)
                intent_rows.read(rows, gateway, self._keys)

    def account(self, authority: str) -> Source:
        """Send the account at a CA, unless the cluster has one.

        Raises:
            StorageError: It cannot be sent, or another host has just sent one.
        """
        own, next_key = self._own.account(authority), self._own.next_key(authority)
        with self._store.database.transaction() as rows:
            shared = account_rows.read(rows, authority, self._keys)
            if shared is not None:
                is_own = own is not None and own.private_key == shared.private_key
                return Source.SAME if is_own else Source.CLUSTER
            if own is None:
                return Source.NONE
            account_rows.write(rows, authority, own, self._keys, None)
            if next_key is not None:
                account_rows.write_next_key(rows, authority, next_key, self._keys)
        return Source.SENT

    def requests(self, directory_url: str, *, now: datetime) -> int:
        """Send the requests to a CA that a limit may still count; return how many.

        Raises:
            StorageError: They cannot be sent.
        """
        own = self._own.counted_requests(directory_url)
        recent = [each for each in own if each.at > now - LONGEST_PERIOD]
        if recent:
            with self._store.database.transaction() as rows:
                counted = expense_rows.ExpenseRows(rows, directory_url)
                counted.lock()
                counted.insert(expense_rows.identified(rows, recent))
        return len(recent)

    def gateway(
        self, name: str, live: Version | None, own_accounts: Collection[str]
    ) -> JoinedGateway:
        """Send state, certificate and open orders of a gateway, unless the cluster has any.

        A certificate is sent with its state of enrolment, in place of what hosts without one have
        written: their attempts that failed.

        Args:
            name: Its name; the caller holds its lock.
            live: Its certificate of a CA in use; None without one.
            own_accounts: CAs at which the cluster has the account of this host: the others know
                nothing of its orders.

        Raises:
            LeaseLostError: Another host orders for it at the moment.
            StorageError: It cannot be sent.
        """
        enrolment = self._own.state(name).enrolment
        requests = {request.id: request for request in self._own.requests(name)}
        sent = 0
        with self._store.database.transaction() as rows:
            lease_rows.enter(rows, name)
            if not lease_rows.is_free(rows, name):
                raise lost(name)
            before = _replaceable(rows, name, live)
            if before is not None:
                if live is not None:
                    version_rows.insert(rows, name, 1, self._store.issued(live), self._keys)
                kept = [
                    order if _is_known(order, own_accounts, requests) else None
                    for order in (enrolment.order, enrolment.second_order)
                ]
                for order in filter(None, kept):
                    self._send_order(rows, name, order, requests[order.request_id])
                    sent += 1
                known = replace(enrolment, order=kept[0], second_order=kept[1])
                if known != before.state:
                    enrolment_rows.write_over(rows, name, known, before)
            newest = version_rows.newer(rows, name, 0, self._keys)
            intents = intent_rows.read(rows, name, self._keys)
        for intent in intents:
            if intent.id in requests:
                self._own.number_request(name, intent)
        is_new = before is not None
        if newest is None:
            has_sent = is_new and (sent or enrolment != EnrolmentState())
            return JoinedGateway(Source.SENT if has_sent else Source.NONE, orders=sent)
        own = version_rows.fingerprint_of(live.certificate) if live is not None else ""
        if live is None or own != newest.fingerprint:
            return JoinedGateway(Source.CLUSTER, newest.generation)
        self._own.number_version(live, newest.generation)
        return JoinedGateway(Source.SENT if is_new else Source.SAME, newest.generation, sent)

    def _send_order(
        self, rows: Connection, name: str, order: PendingOrder, request: KeyRequest
    ) -> None:
        last = max(lease_rows.generation(rows, name), intent_rows.last_generation(rows, name))
        intent = replace(request, generation=last + 1, directory_url=order.directory_url)
        intent_rows.insert(rows, name, intent, self._keys)


def _is_known(
    order: PendingOrder | None, own_accounts: Collection[str], requests: Collection[str]
) -> bool:
    """Tell whether an order can be finished: with the account that placed it, and its key."""
    return order is not None and order.authority in own_accounts and order.request_id in requests


def _replaceable(
    rows: Connection, name: str, live: Version | None
) -> enrolment_rows.EnrolmentRow | None:
    """Return the state of enrolment that this host replaces; None if that of the cluster is kept.

    The cluster keeps it if a host has sent or ordered a certificate. Without one, a host with a
    certificate replaces what others have written, and a host without one writes only the first.
    """
    if lease_rows.generation(rows, name) or intent_rows.last_generation(rows, name):
        return None
    before = enrolment_rows.read(rows, name)
    return before if live is not None or before is enrolment_rows.NEW else None


def _check_clock(now: datetime, server: datetime) -> None:
    if abs(now - server) <= CLOCK_TOLERANCE:
        return
    direction = "ahead of" if now > server else "behind"
    raise StateError(
        f"the clock of this host is {duration(abs(now - server))} {direction} that of the fleet's"
        " database: nothing was sent",
        fix=fix_for(
            host="set the clock and keep it synchronised by NTP (timedatectl set-ntp true)",
            container="set the clock of the container's host and keep it synchronised by NTP",
        ),
    )


def _check_name_is_free(rows: Connection) -> None:
    row = rows.execute(
        f"SELECT cluster, name FROM host WHERE name = own_host() AND {IS_LIVE}",  # noqa: S608 - a constant
        SILENT,
    ).fetchone()
    if row is not None:
        raise HostTwiceError(
            f"a daemon was in the fleet as host {row[1]} of cluster {row[0]} within the last two"
            " minutes, and none runs here: nothing was sent",
            fix="give each host a name and a certificate of its own (fleet.host), or wait two"
            " minutes if this host's daemon has just been stopped",
        )
