"""The pending order on the disk, so that a restart resumes it instead of ordering again.

Key and CSR are durable before the order is placed, and the order's URL before anything is done for
it, so that every certificate that the CA has issued can be downloaded and used.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol

from gatecert.certificate import key
from gatecert.certificate.request import LONGEST_COMMON_NAME, build_request
from gatecert.model import GatewayState, IdentifierType, KeyRequest, PendingOrder, Target
from gatecert.store.protocol import Store

PREFIX = "order-"
SECOND_PREFIX = f"{PREFIX}second-"


class States(Protocol):
    """The state of the gateway that an order is for."""

    @property
    def state(self) -> GatewayState:
        """The state; StorageError if it cannot be read."""
        ...

    def save(self, state: GatewayState, *, durably: bool = False) -> None:
        """Save the state; raise StorageError if ``durably`` is set and it cannot be written."""
        ...


@dataclass(slots=True)
class DryRunJournal:
    """A journal in memory, for an order that leaves no trace.

    Attributes:
        now: The wall clock, aware UTC.
    """

    target: Target
    now: Callable[[], datetime]
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
        self._request = _new_request(self.target, private_key, self.now(), common_name=common_name)
        return self._request

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

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        """Return the pending order with its key."""
        order = self._order(self.states.state)
        if order is None:
            return None
        for request in self.store.requests(self.target.name):
            if request.id == order.request_id:
                return order, request
        self.forget()
        return None

    def new_request(self, *, common_name: bool = False) -> KeyRequest:
        """Make a key and its CSR, both durable.

        Raises:
            StorageError: They could not be written; nothing may be ordered.
        """
        private_key = self.private_key or key.generate(self.target.key.type)
        prefix = SECOND_PREFIX if self.second else PREFIX
        request = _new_request(
            self.target, private_key, self.now(), prefix, common_name=common_name
        )
        self.store.add_request(self.target.name, request)
        return request

    def record(self, order: PendingOrder) -> None:
        """Store an order.

        Raises:
            StorageError: It could not be written; this process still remembers it.
        """
        state = self.states.state
        self.states.save(self._with(state, order), durably=True)

    def forget(self) -> None:
        """Delete the order and its key, and keys without an order."""
        state = self.states.state
        if self._order(state) is not None:
            self.states.save(self._with(state, None), durably=True)
        self.forget_keys()

    def forget_keys(self) -> None:
        """Delete keys without an order, such as those left by a crash."""
        other = None if self.second else self.states.state.second_order
        for request in self.store.requests(self.target.name):
            if not request.id.startswith(SECOND_PREFIX if self.second else PREFIX):
                continue
            if other is None or request.id != other.request_id:
                self.store.remove_request(self.target.name, request.id)

    def _order(self, state: GatewayState) -> PendingOrder | None:
        return state.second_order if self.second else state.order

    def _with(self, state: GatewayState, order: PendingOrder | None) -> GatewayState:
        if self.second:
            return replace(state, second_order=order)
        return replace(state, order=order)


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
