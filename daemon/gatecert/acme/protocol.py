"""The interface between the pipeline and an authority; ``issuer.Issuer`` speaks ACME."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from gatecert.errors import InterruptedOrderError

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from gatecert.model import (
        CertificateSummary,
        Expenses,
        IssuedChain,
        KeyRequest,
        LimitReached,
        Limits,
        OrderHeld,
        PendingOrder,
        Progress,
        RenewalInfo,
        Target,
    )
    from gatecert.store.protocol import Lease


def stopping_error() -> InterruptedOrderError:
    """Make the error raised by every operation that a stopping gatecert interrupts."""
    return InterruptedOrderError("gatecert is stopping; the order resumes at the next start")


class OrderJournal(Protocol):
    """Storage for the pending order and its key."""

    @property
    def lease(self) -> Lease:
        """The right to order, looked at right before anything is sent that changes an order."""
        ...

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        """Return the pending order with its key request."""
        ...

    def new_request(self, *, common_name: bool = False) -> KeyRequest:
        """Make a key and its CSR; nothing is stored.

        Args:
            common_name: Put the first DNS name that fits into the subject's common name.
        """
        ...

    def open(
        self, request: KeyRequest, directory_url: str, expenses: Expenses, within: Limits
    ) -> LimitReached | OrderHeld | None:
        """Store the key request of an order and count its requests; see `Store.open_order`.

        Raises:
            StorageError: Nothing may be ordered.
        """
        ...

    def record(self, order: PendingOrder) -> None:
        """Store an order durably."""
        ...

    def forget(self) -> None:
        """Delete the order and its key request."""
        ...


class Authority(Protocol):
    """Issues certificates and suggests when to renew them."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def staging(self) -> Authority | None:
        """The staging environment; None if unknown."""
        ...

    def obtain(  # noqa: PLR0913 - see Issuer.obtain
        self,
        target: Target,
        journal: OrderJournal,
        *,
        progress: Progress,
        now: Callable[[], datetime],
        replaces: str = "",
        lifetime: timedelta | None = None,
        cancelled: threading.Event | None = None,
    ) -> IssuedChain:
        """Obtain a certificate for a target; the order stays in the journal.

        Raises:
            GatecertError: No certificate was obtained; see `gatecert.acme.issuer.Issuer.obtain`.
        """
        ...

    def renewal_info(
        self,
        summary: CertificateSummary,
        *,
        now: Callable[[], datetime],
        previous: RenewalInfo | None = None,
        cancelled: threading.Event | None = None,
    ) -> RenewalInfo:
        """Ask when to renew a certificate; an error also yields renewal information."""
        ...
