"""Certificates for gateways in the field, which keep their keys: from a CSR to a chain, in rows.

    handed in by a relay → names allowed? → due and most urgent → ordered by dns-01 → answered

There is no pass: nothing is deployed here, and no host has such a gateway of its own. A turn looks
at new CSRs and orders for one gateway; several turns run side by side, in all hosts that issue. The
CA is told which certificate the new one replaces (RFC 9773), so that a renewal counts towards no
limit.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Final

from gatecert.acme.protocol import Authority
from gatecert.certificate.request import requested_names
from gatecert.errors import (
    ACMEError,
    CertificateError,
    DatabaseError,
    GatecertError,
    InterruptedOrderError,
    LeaseLostError,
    OrderHeldError,
    RateLimitBudgetError,
    WorkerLostError,
)
from gatecert.lifecycle import field_admission
from gatecert.model import Progress, Target
from gatecert.schedule.due import next_attempt
from gatecert.store.postgres.field_store import FieldStore

if TYPE_CHECKING:
    from gatecert.model import CertificateSummary, Identifier
    from gatecert.model.fleet import Urgency
    from gatecert.store.postgres.field_order import FieldOrder
    from gatecert.store.postgres.field_rows import CsrRequest, LastCertificate

logger = logging.getLogger(__name__)

OF_THE_CSR: Final = {"badCSR", "badPublicKey", "rejectedIdentifier"}  # the next order fails as well


@dataclass(slots=True)
class FieldIssuer:
    """Orders for gateways in the field; thread-safe, one gateway a thread.

    Attributes:
        authority: The CA.
        domains: Domains below which they are, A-labels.
        excluded_regions: Region codes (ISO 3166).
        cancelled: Set when gatecert stops; an order in progress is kept and resumed later.
    """

    store: FieldStore
    authority: Authority
    domains: Sequence[str]
    excluded_regions: Sequence[str]
    progress: Progress
    now: Callable[[], datetime]
    random: Random
    cancelled: threading.Event
    _problem: str = field(default="", init=False)  # why the database could not be used last

    def turn(self) -> bool:
        """Look at new CSRs, and order for one gateway; return whether one was due."""
        try:
            for request in self.store.new_requests():
                self._look_at(request)
            with self.store.claimed() as order:
                self._problem = ""
                if order is not None:
                    self._obtain(order)
                return order is not None
        except InterruptedOrderError:
            return False
        except (DatabaseError, LeaseLostError) as error:
            if error.message != self._problem:
                logger.warning("no certificates for gateways in the field: %s", error)
            self._problem = error.message
            return False

    def count_loss(self, reason: str) -> None:
        """Count a failed order for each gateway for which a process of this host was lost."""
        error = WorkerLostError(f"the process that ordered for this gateway was lost: {reason}")
        try:
            is_left = True
            while is_left:
                with self.store.left() as order:
                    is_left = order is not None
                    if order is not None:
                        self._failed(order, error)
        except (DatabaseError, LeaseLostError) as problem:
            logger.warning("a lost process was not counted in the field: %s", problem)

    def _look_at(self, request: CsrRequest) -> None:
        """Admit a CSR, or refuse it before anything is sent."""
        try:
            reason = self._admit(request)
        except CertificateError as error:
            reason = error.message
        except GatecertError:
            raise
        except Exception as error:
            logger.exception("unexpected error relay=%s csr=%s", request.relay, request.id)
            reason = f"unexpected {type(error).__name__}"  # the log has the rest
        if reason:
            logger.warning("CSR refused relay=%s csr=%s %s", request.relay, request.id, reason)
            self.store.refuse(request, reason)

    def _admit(self, request: CsrRequest) -> str:
        """Admit a CSR; return why that may not be, empty if it may."""
        identifiers = requested_names(request.csr)
        reason = field_admission.refusal(identifiers, self.domains, self.excluded_regions)
        if not reason:
            urgency = partial(self._urgency, identifiers)
            self.store.admit(request, identifiers[0].value, urgency)
        return reason

    def _urgency(self, identifiers: Sequence[Identifier], last: LastCertificate | None) -> Urgency:
        return field_admission.urgency(_summary(last), identifiers, self.now())

    def _obtain(self, order: FieldOrder) -> None:
        """Order, and answer the CSR; no error keeps others from being answered."""
        try:
            self._answer(order)
        except (InterruptedOrderError, DatabaseError, LeaseLostError):
            raise
        except GatecertError as error:
            self._failed(order, error)
        except Exception as error:
            logger.exception("unexpected error gateway=%s", order.gateway)
            self._failed(order, GatecertError(f"unexpected error: {error!r}"))

    def _answer(self, order: FieldOrder) -> None:
        identifiers = requested_names(order.request.csr)
        target = Target(
            name=order.gateway,
            identifiers=identifiers,
            display_name=identifiers[0].value,
            authorities=(self.authority.name,),
            challenges=("dns-01",),
            is_looked_up=False,
        )
        replaced = _summary(order.last)
        if order.last is not None and order.last.authority != self.authority.name:
            replaced = None  # another CA does not know it
        replaces = replaced.certificate_id if replaced is not None else ""
        issued = self.authority.obtain(
            target,
            order,
            replaces=replaces,
            lifetime=replaced.lifetime if replaced is not None else None,
            progress=self.progress,
            cancelled=self.cancelled,
            now=self.now,
        )
        order.install(issued)
        logger.info("CSR answered gateway=%s replaces=%s", order.gateway, replaces or "nothing")

    def _failed(self, order: FieldOrder, error: GatecertError) -> None:
        """Refuse a CSR for which no order succeeds; else say when the next one is placed."""
        now, before = self.now(), order.enrolment
        if isinstance(error, ACMEError) and error.problem_type in OF_THE_CSR:
            logger.warning("CSR refused gateway=%s %s", order.gateway, error)
            order.refuse(error.message)
            return
        if isinstance(error, RateLimitBudgetError | OrderHeldError):
            failures, at = before.failures, error.until
        else:
            failures = before.failures + 1
            last = _summary(order.last)
            at = next_attempt(
                failures,
                now=now,
                random=self.random,
                not_after=last.not_after if last is not None else None,
                retry_after=error.retry_after if isinstance(error, ACMEError) else None,
            )
        logger.warning("CSR waits gateway=%s until=%s %s", order.gateway, at.isoformat(), error)
        order.save(replace(before, failures=failures, failed_at=now, next_attempt=at))


def _summary(last: LastCertificate | None) -> CertificateSummary | None:
    return field_admission.summary_of(last.certificate) if last is not None else None
