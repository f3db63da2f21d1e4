"""Download and check of an issued chain (RFC 8555 section 7.4.2).

A chain is returned only after its key, names, dates and signatures have been checked. If it is
sound but ends in a root that the operator does not trust, the order is kept: the same certificate
is used once ``trusted_roots`` has been corrected, without another order.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from gatecert import regular_files
from gatecert.acme.client import Client
from gatecert.acme.protocol import OrderJournal
from gatecert.acme.responses import GONE
from gatecert.certificate.chain import check_issued, choose_chain, is_preferred
from gatecert.certificate.pem import load_roots
from gatecert.certificate.trust import load_trusted_roots
from gatecert.certificate.trust_anchor import can_anchor
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.deadline import Deadline
from gatecert.errors import (
    ACMEError,
    AuthorityError,
    CertificateError,
    InterruptedOrderError,
    clean,
)
from gatecert.model import Account, KeyRequest, PendingOrder, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

    from gatecert.acme.resources import Download, Order
    from gatecert.certificate.chain import CheckedChain

logger = logging.getLogger(__name__)

MAX_ORDER_AGE: Final = timedelta(days=1)
"""Maximum age of an order that is resumed.

Restarts, power cuts and a CA's outage are usually over by then; a new order costs one of the CA's
limit; and the certificates with the shortest lifetime are renewed two days before they expire, so
one day is left.
"""

MAX_REFUSED_ORDER_AGE: Final = MAX_ORDER_AGE / 2
"""How long a certificate from an untrusted root is downloaded again, so that correcting
``trusted_roots`` costs no order; after that, another certificate is ordered."""

MAX_ALTERNATES = 5


def is_older(order: PendingOrder, age: timedelta, now: datetime) -> bool:
    """Check the age of an order; a clock that was set back counts as well."""
    return abs(now - order.created) >= age


@dataclass(frozen=True, slots=True)
class ChainDownload:
    """The chain of one order: its download and its checks."""

    settings: AuthoritySettings
    client: Client
    account: Account
    target: Target
    journal: OrderJournal
    deadline: Deadline
    now: Callable[[], datetime]

    def check_roots(self) -> None:
        """Check that a chain could end in the trusted roots.

        Raises:
            CertificateError: They cannot be read, or none is a valid CA certificate.
        """
        roots = self._trusted_roots()
        if roots is None or any(can_anchor(root, self.now()) for root in roots):
            return
        raise CertificateError(
            f"{self.settings.trusted_roots}: no chain can end in these certificates, as each has"
            " expired or is no CA certificate; nothing was ordered",
            fix=f"put the CA's current root into authorities.{self.settings.name}.trusted_roots",
        )

    def fetch(self, order: Order, request: KeyRequest) -> CheckedChain:
        """Download the chain of a valid order and check it.

        Raises:
            AuthorityError: It cannot be downloaded.
            CertificateError: It is not sound, or ends in an untrusted root.
        """
        return self._check(self._download(order), request)

    def _order_is_older(self, age: timedelta) -> bool:
        stored = self.journal.pending()
        return stored is not None and is_older(stored[0], age, self.now())

    def _download(self, order: Order) -> Download:
        """Download the certificate; drop the order if it is lost, or too old."""
        try:
            return self.client.download(self.account, order.certificate, self.deadline)
        except InterruptedOrderError:
            raise
        except AuthorityError as error:
            lost = isinstance(error, ACMEError) and error.status in GONE
            if lost or self._order_is_older(MAX_ORDER_AGE):
                logger.info("certificate is lost gateway=%s %s", self.target.name, error)
                self.journal.forget()
            raise

    def _check(self, download: Download, request: KeyRequest) -> CheckedChain:
        """Check the downloaded chain, and alternate chains if they may be preferable."""
        roots = self._trusted_roots()
        preferred = self.settings.preferred_root
        found: list[CheckedChain] = []
        refused: CertificateError | None = None
        try:
            found.append(self._check_chain(download.fullchain, request, roots))
        except CertificateError as error:
            if roots is None or not self._is_sound(download, request):
                self.journal.forget()
                raise
            refused = error
        satisfied = bool(found) and (not preferred or is_preferred(found[0], preferred))
        for chain in () if satisfied else self._alternates(download):
            try:
                found.append(self._check_chain(chain, request, roots))
            except CertificateError as error:
                logger.info("alternate chain refused gateway=%s %s", self.target.name, error)
            if found and (not preferred or is_preferred(found[-1], preferred)):
                break
        if refused is not None and not found:
            if self._order_is_older(MAX_REFUSED_ORDER_AGE):
                self.journal.forget()
            raise refused
        return choose_chain(found, preferred)

    def _is_sound(self, download: Download, request: KeyRequest) -> bool:
        try:
            self._check_chain(download.fullchain, request, None)
        except CertificateError:
            return False
        return True

    def _check_chain(
        self, fullchain: bytes, request: KeyRequest, roots: Sequence[x509.Certificate] | None
    ) -> CheckedChain:
        return check_issued(
            request.private_key or request.csr,
            fullchain,
            self.target.identifiers,
            now=self.now(),
            trusted_roots=roots,
            system_roots=load_trusted_roots() if roots is None else (),
        )

    def _alternates(self, download: Download) -> Iterator[bytes]:
        for url in download.alternates[:MAX_ALTERNATES]:
            try:
                yield self.client.download(self.account, url, self.deadline).fullchain
            except InterruptedOrderError:
                raise
            except AuthorityError as error:
                logger.info("alternate chain skipped gateway=%s %s", self.target.name, error)

    def _trusted_roots(self) -> Sequence[x509.Certificate] | None:
        path = self.settings.trusted_roots
        if path is None:
            return None
        try:
            return load_roots(regular_files.read(path))
        except (OSError, CertificateError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise CertificateError(
                f"{path}: the trusted roots cannot be read: {clean(reason, 200)}",
                fix=f"correct authorities.{self.settings.name}.trusted_roots",
            ) from error
