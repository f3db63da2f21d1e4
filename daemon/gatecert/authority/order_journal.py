"""The order that is under way, on the disk: a restart resumes it instead of ordering again.

Key and CSR are durable before the order is placed, the order's URL before anything is done for it,
so that a certificate which the authority has issued can always be fetched and used.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from gatecert.certificate import key
from gatecert.certificate.request import build_request
from gatecert.model import KeyRequest, PendingOrder, Target
from gatecert.store.protocol import Store

PREFIX = "order-"


@dataclass(slots=True)
class StoreJournal:
    """The journal of one gateway's order; an ``OrderJournal`` for an enrolment.

    Attributes:
        private_key: The key to go on using (PEM); None for a new one.
    """

    store: Store
    target: Target
    now: Callable[[], datetime]
    private_key: bytes | None = field(default=None, repr=False)

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        """The order that was placed and not brought to an end, with its key."""
        order = self.store.state(self.target.name).order
        if order is None:
            return None
        for request in self.store.requests(self.target.name):
            if request.id == order.request_id:
                return order, request
        self.forget()
        return None

    def new_request(self) -> KeyRequest:
        """A key and its CSR, durable.

        Raises:
            StorageError: They could not be written; nothing may be ordered.
        """
        private_key = self.private_key or key.generate(self.target.key.type)
        request = KeyRequest(
            id=f"{PREFIX}{secrets.token_hex(8)}",
            created=self.now(),
            private_key=private_key,
            csr=build_request(private_key, self.target.identifiers, common_name=None),
        )
        self.store.add_request(self.target.name, request)
        return request

    def record(self, order: PendingOrder) -> None:
        """Remember that an order was placed.

        Raises:
            StorageError: It could not be written.
        """
        state = self.store.state(self.target.name)
        self.store.save_state(self.target.name, replace(state, order=order))

    def forget(self) -> None:
        """The order is of no more use; its key goes with it, as do keys that never got an order."""
        state = self.store.state(self.target.name)
        if state.order is not None:
            self.store.save_state(self.target.name, replace(state, order=None))
        for request in self.store.requests(self.target.name):
            if request.id.startswith(PREFIX):
                self.store.remove_request(self.target.name, request.id)
