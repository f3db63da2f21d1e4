"""The pending order on the disk, so that a restart resumes it instead of ordering again.

Key and CSR are durable, and the order is counted, before it is placed. Its URL is durable before
anything is done for it, so every certificate that the CA has issued can be downloaded and used.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

from gatecert.certificate import key
from gatecert.certificate.request import LONGEST_COMMON_NAME, build_request
from gatecert.model import (
    EnrolmentState,
    GatewayState,
    IdentifierType,
    KeyRequest,
    PendingOrder,
    Target,
)
from gatecert.store.lock import LockLease
from gatecert.store.protocol import Lease, RateLimitUsageStore, Store

if TYPE_CHECKING:
    from gatecert.model import Expenses, LimitReached, Limits, OrderHeld

PREFIX = "order-"
SECOND_PREFIX = f"{PREFIX}second-"


class States(Protocol):
    """The state of the gateway that an order is for."""

    @property
    def state(self) -> GatewayState:
        """The state; StorageError if it cannot be read."""
        ...

    @property
    def lease(self) -> Lease:
        """The right to order for the gateway."""
        ...

    def save_enrolment(self, enrolment: EnrolmentState, *, durably: bool = False) -> None:
        """Save that part; raise StorageError if ``durably`` is set and it cannot be written."""
        ...


@dataclass(slots=True)
class DryRunJournal:
    """A journal in memory, for an order that leaves no trace.

    Attributes:
        store: Counts its requests.
        now: The wall clock, aware UTC.
        lease: Its own, since no other host goes on with this order.
    """

    store: RateLimitUsageStore
    target: Target
    now: Callable[[], datetime]
    lease: Lease = field(default_factory=LockLease)
    _order: PendingOrder | None = None
    _request: KeyRequest | None = None

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        """Return the order that was placed, with its key."""
        if self._order is None or self._request is None:
            return None
        return self._order, self._request

    def new_request(self, *, common_name: bool = False) -> KeyRequest:
        """Make a key and its CSR."""
        private_key = key.generate(self.target.key.type)
        return _new_request(self.target, private_key, self.now(), common_name=common_name)

    def open(
        self, request: KeyRequest, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | OrderHeld | None:
        """Keep the key request in memory and count its requests."""
        self._request = request
        return self.store.count_requests(directory_url, expenses, within)

    def record(self, order: PendingOrder) -> None:
        """Store an order."""
        self._order = order

    def forget(self) -> None:
        """Delete the order and its key request."""
        self._order = self._request = None


@dataclass(slots=True)
class StoreJournal:
    """The journal of one gateway's order, in its state.

    Attributes:
        states: Stores the order; in this process at least, if the disk fails.
        private_key: The key to reuse (PEM); None for a new one.
        second: True for the order of a pair's second certificate.
    """

    store: Store
    states: States
    target: Target
    now: Callable[[], datetime]
    private_key: bytes | None = field(default=None, repr=False)
    second: bool = False

    @property
    def lease(self) -> Lease:
        """The lease of the pass that orders."""
        return self.states.lease

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        """Return the pending order with its key."""
        order = self._order
        if order is None:
            return None
        for request in self.store.requests(self.target.name):
            if request.id == order.request_id:
                return order, request
        self.forget()
        return None

    def new_request(self, *, common_name: bool = False) -> KeyRequest:
        """Make a key, if none is reused, and its CSR."""
        private_key = self.private_key or key.generate(self.target.key.type)
        prefix = SECOND_PREFIX if self.second else PREFIX
        return _new_request(self.target, private_key, self.now(), prefix, common_name=common_name)

    def open(
        self, request: KeyRequest, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | OrderHeld | None:
        """Store the key request of an order and count its requests; see `Store.open_order`."""
        return self.store.open_order(
            self.target.name, request, directory_url, expenses, within, lease=self.lease
        )

    def record(self, order: PendingOrder) -> None:
        """Store an order.

        Raises:
            StorageError: It could not be written; this process still remembers it.
        """
        self._save(order)

    def forget(self) -> None:
        """Delete the order and its key, and keys that a crash left without an order."""
        if self._order is not None:
            self._save(None)
        for request_id in self._keys():
            self.store.remove_request(self.target.name, request_id)

    @property
    def has_keys(self) -> bool:
        """True if there are keys, with or without an order."""
        return any(self._keys())

    def _keys(self) -> Iterator[str]:
        other = None if self.second else self.states.state.enrolment.second_order
        for request in self.store.requests(self.target.name):
            if not request.id.startswith(SECOND_PREFIX if self.second else PREFIX):
                continue
            if other is None or request.id != other.request_id:
                yield request.id

    @property
    def _order(self) -> PendingOrder | None:
        enrolment = self.states.state.enrolment
        return enrolment.second_order if self.second else enrolment.order

    def _save(self, order: PendingOrder | None) -> None:
        enrolment = self.states.state.enrolment
        changed = (
            replace(enrolment, second_order=order)
            if self.second
            else replace(enrolment, order=order)
        )
        self.states.save_enrolment(changed, durably=True)


def _new_request(
    target: Target,
    private_key: bytes,
    now: datetime,
    prefix: str = PREFIX,
    *,
    common_name: bool = False,
) -> KeyRequest:
    names = (name.value for name in target.identifiers if name.type is IdentifierType.DNS)
    fitting = (name for name in names if len(name) <= LONGEST_COMMON_NAME)
    subject = next(fitting, None) if common_name else None
    return KeyRequest(
        id=f"{prefix}{secrets.token_hex(8)}",
        created=now,
        private_key=private_key,
        csr=build_request(private_key, target.identifiers, common_name=subject),
    )
