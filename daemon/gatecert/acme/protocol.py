"""What the pipeline needs of an authority; ``issue.Issuer`` is the one that speaks ACME."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable
    from datetime import datetime, timedelta

    from gatecert.acme.enrolment import OrderJournal
    from gatecert.model import CertificateSummary, IssuedChain, Progress, RenewalInfo, Target


class Authority(Protocol):
    """Issues certificates, and says when it would like them to be renewed."""

    @property
    def name(self) -> str:
        """Its name in the configuration."""
        ...

    @property
    def staging(self) -> Authority | None:
        """Where one may try the same without harm; None where no such place is known."""
        ...

    def obtain(  # noqa: PLR0913 - the pipeline's side of the story
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
            GatecertError: There is none; see `gatecert.acme.issuer.Issuer.obtain`.
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
        """When the authority would like a certificate to be renewed; errors are answers too."""
        ...
