"""An enrolment (RFC 8555 section 7.4): from a target to a checked chain.

    place the order, or resume the pending one → authorize → finalize → download → check

- *Resumed, not repeated.* Key and CSR are stored before an order is placed, its URL right after. An
  interrupted enrolment resumes the order in whatever state it is. An order that has failed, expired
  or vanished is dropped, as is one that is not valid after `MAX_ORDER_AGE`, or whose certificate
  still cannot be downloaded: a CA that has lost track of it would block us until nothing valid is
  served.
- *In parallel.* All names of an order are validated at the same time, and every response is removed
  however its validation ended (``authorizations.py``).
- *Within the rate limits.* Requests that the CA counts are counted here first (``budget.py``), and
  not sent if they would exceed a limit. Orders with ``replaces`` are exempt (RFC 9773).
- *Prompt and polite.* Retry-After is observed. After finalize, the order is polled once as soon as
  this CA usually has the certificate (``learned_pause.py``); from then on, Retry-After applies.
- *Nothing is trusted.* A chain is returned only after its key, names, dates and signatures have
  been checked (``issued_chain.py``).
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gatecert.acme.authorizations import FIRST_PAUSE, Authorizations, PollingPolicy, growing_pauses
from gatecert.acme.budget import Budget
from gatecert.acme.client import Client
from gatecert.acme.directory_check import profile_refusal
from gatecert.acme.issued_chain import MAX_ORDER_AGE, ChainDownload, is_older
from gatecert.acme.problems import problem_error
from gatecert.acme.protocol import OrderJournal
from gatecert.acme.resources import INVALID, PENDING, PROCESSING, READY, VALID
from gatecert.acme.responses import GONE
from gatecert.challenge.solver import Solver
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.deadline import Deadline
from gatecert.errors import (
    ACMEError,
    AuthorityError,
    AuthorityServerError,
    AuthorizationMismatchError,
    ChallengeFailedError,
    ForbiddenKeyError,
    InterruptedOrderError,
    RateLimitedError,
    clean,
)
from gatecert.http.fetcher import resolve_url
from gatecert.model import (
    Account,
    IssuedChain,
    KeyRequest,
    Message,
    Origin,
    PendingOrder,
    Progress,
    Stage,
    Target,
    Wait,
)
from gatecert.time_format import instant

if TYPE_CHECKING:
    from gatecert.acme.resources import Order

logger = logging.getLogger(__name__)

SHORTEST_PAUSE_TOLD = 1.0  # seconds
READY_POLL_SECONDS = 1.0  # from finalize to polling an order that is still ready

# Boulder's errors for a key that was revoked for keyCompromise, or that is weak.
KEY_PROBLEMS = {"badCSR", "badPublicKey"}
_KEY_FORBIDDEN = re.compile(
    r"\bkey\b.*\b(forbidden|compromised|revoked|blocked|weak)", re.IGNORECASE
)

# Errors after which an order is placed again without ``replaces`` (RFC 9773 section 5).
_REPLACES_REFUSED = {"alreadyReplaced", "malformed", "unauthorized", "notFound"}
_CONFLICT = 409


@dataclass(frozen=True, slots=True)
class Enrolment:
    """One enrolment of one target with one authority."""

    settings: AuthoritySettings
    client: Client
    budget: Budget
    account: Account
    solvers: Mapping[str, Solver]
    target: Target
    journal: OrderJournal
    progress: Progress
    deadline: Deadline
    now: Callable[[], datetime]

    def run(self, replaces: str) -> IssuedChain:
        """Obtain a checked chain; see `Issuer.obtain`."""
        self._chain.check_roots()  # do not order what would be refused later
        self._tell_pause()
        order, request, replaces = self._resume() or self._place(replaces)
        while order.status != VALID or not order.certificate:
            self._tell_pause()
            match order.status:
                case "valid":  # but this response has no certificate URL
                    order = self._polling.poll_until(
                        self._polling.poll_once_issued(order.url),
                        lambda it: bool(it.certificate) or it.status != VALID,
                    )
                case "pending":
                    order = self._validate(order)
                case "ready":
                    self._count_certificate(order, replaces)
                    order = self._finalize(order, request)
                case "processing":
                    self._tell(self._issuance())
                    order = self._polling.poll_until(
                        order,
                        lambda it: it.status != PROCESSING,
                        first=min(self.client.issuance.seconds, FIRST_PAUSE),
                    )
                case _:
                    raise self._failed(order)
        return self._fetch(order, request)

    # ------------------------------------------------------------------ the order

    def _resume(self) -> tuple[Order, KeyRequest, str] | None:
        """Return the pending order if it can still yield the certificate in time.

        Returns:
            The order, its key request, and the CertID that it replaces.
        """
        stored = self.journal.pending()
        if stored is None:
            return None
        pending, request = stored
        pending = replace(pending, url=resolve_url(self.settings.directory_url, pending.url) or "")
        too_old = is_older(pending, MAX_ORDER_AGE, self.now())
        if not self._fits(pending):
            logger.info("pending order no longer fits gateway=%s", self.target.name)
            self.journal.forget()
            return None
        try:
            order = self.client.order(self.account, pending.url, self.deadline)
        except InterruptedOrderError:
            raise
        except RateLimitedError:
            if too_old:
                self.journal.forget()
            raise
        except AuthorityError as error:
            if not too_old and not _is_refused(error):
                raise
            logger.info("pending order is gone gateway=%s %s", self.target.name, error)
        else:
            if order.status in ({VALID} if too_old else {PENDING, READY, PROCESSING, VALID}):
                self._tell(f"resuming the order of {instant(pending.created)}")
                return order, request, pending.replaces
            logger.info("pending order gateway=%s status=%s", self.target.name, order.status)
        self.journal.forget()
        return None

    def _fits(self, pending: PendingOrder) -> bool:
        return (
            pending.authority == self.settings.name
            and pending.directory_url == self.settings.directory_url
            and set(pending.identifiers) == set(self.target.identifiers)
        )

    def _place(self, replaces: str) -> tuple[Order, KeyRequest, str]:
        """Place an order; return the same as `_resume`."""
        profile = self._profile()
        if not self.client.directory(self.deadline).renewal_info:
            replaces = ""
        request = self.journal.new_request(common_name=self.settings.subject_common_name)
        try:
            order, replaces = self._new_order(request, profile, replaces)
        except AuthorityError:
            self.journal.forget()
            raise
        self.journal.record(
            PendingOrder(
                authority=self.settings.name,
                directory_url=self.settings.directory_url,
                url=order.url,
                request_id=request.id,
                identifiers=self.target.identifiers,
                created=self.now(),
                replaces=replaces,
            )
        )
        logger.info("order placed gateway=%s url=%s", self.target.name, order.url)
        self._tell(f"order placed with {self.client.label}")
        return order, request, replaces

    def _new_order(self, request: KeyRequest, profile: str, replaces: str) -> tuple[Order, str]:
        """Place an order; return it with the CertID that the CA accepted as replaced."""
        names = self.target.identifiers
        if replaces:
            self.budget.open_replacement(self.journal, request, self._names)
            try:
                order = self.client.new_order(
                    self.account,
                    names,
                    self.deadline,
                    profile=profile,
                    replaces=replaces,
                    lease=self.journal.lease,
                )
            except ACMEError as error:
                if error.problem_type not in _REPLACES_REFUSED and error.status != _CONFLICT:
                    raise
                logger.info("replaces refused gateway=%s %s", self.target.name, error)
            except AuthorityServerError as error:  # Pebble's answer to an unknown CertID
                logger.info("replaces not understood gateway=%s %s", self.target.name, error)
            else:
                return self._checked(order), replaces
        self.budget.open_order(self.journal, request, self.account.url, self._names)
        order = self.client.new_order(
            self.account, names, self.deadline, profile=profile, lease=self.journal.lease
        )
        return self._checked(order), ""

    def _checked(self, order: Order) -> Order:
        """Return a new order if it has the requested names.

        Raises:
            AuthorizationMismatchError: It has other names.
        """
        if order.names and order.names != {name.lower() for name in self._names}:
            others = clean(", ".join(sorted(order.names.difference(self._names))), 200)
            raise AuthorizationMismatchError(
                f"{self.client.label} returned an order for other names than requested"
                f" ({others or 'fewer'}); nothing was published",
                fix=f"check authorities.{self.settings.name}.directory_url",
            )
        return order

    @property
    def _names(self) -> list[str]:
        return sorted(identifier.value for identifier in self.target.identifiers)

    def _profile(self) -> str:
        wanted = self.settings.profile
        if wanted is None:
            return ""
        directory = self.client.directory(self.deadline)
        refusal = profile_refusal(self.settings, directory, self.client.label)
        if refusal is not None:
            raise refusal
        if wanted.name in directory.profiles:
            return wanted.name
        name = clean(wanted.name, 100)
        self._tell(f"{self.client.label} has no profile {name!r}; using its default")
        return ""

    def _failed(self, order: Order) -> ACMEError | AuthorityError:
        """Drop an order that will never be valid; return the error to raise."""
        self.journal.forget()
        if order.status == INVALID and order.error is not None:
            return problem_error(order.error, name=self.settings.name, authority=self.client.label)
        return AuthorityError(
            f"{self.client.label} reports the order as {clean(order.status, 40)!r} without a reason"
        )

    # ------------------------------------------------------------------ its stages

    @property
    def _chain(self) -> ChainDownload:
        return ChainDownload(
            self.settings,
            self.client,
            self.account,
            self.target,
            self.journal,
            self.deadline,
            self.now,
        )

    @property
    def _polling(self) -> PollingPolicy:
        return PollingPolicy(self.client, self.account, self.deadline, self.now, self._tell)

    def _validate(self, order: Order) -> Order:
        validation = Authorizations(
            self._polling,
            self.solvers,
            self.target,
            self._tell,
            self.budget,
            self.journal.lease,
        )
        try:
            return validation.run(order)
        except (ChallengeFailedError, AuthorizationMismatchError):
            self.journal.forget()
            raise

    def _count_certificate(self, order: Order, replaces: str) -> None:
        """Count the certificate that is about to be issued."""
        if replaces:
            self.budget.replacement(order.url, self._names)
        else:
            self.budget.certificate(order.url, self._names)

    def _finalize(self, order: Order, request: KeyRequest) -> Order:
        """Send the CSR, again while the order stays ready; return the order."""
        self._tell("names validated, requesting the certificate")
        self._tell(self._issuance())
        pauses = growing_pauses(READY_POLL_SECONDS)
        while order.status == READY:
            order = self._send_csr(order, request)
            if order.status == PROCESSING:
                order = self._polling.poll_once_issued(order.url)
            if order.status == READY:
                pause = max(order.retry_after or 0.0, next(pauses))
                order = self._polling.poll_after(pause, order.url)
        return order

    def _send_csr(self, order: Order, request: KeyRequest) -> Order:
        try:
            return self.client.finalize(
                self.account, order, request.csr, self.deadline, self.journal.lease
            )
        except ACMEError as error:
            if error.problem_type == "orderNotReady":
                return order
            if error.problem_type in KEY_PROBLEMS and _KEY_FORBIDDEN.search(error.detail):
                self.journal.forget()
                raise ForbiddenKeyError(
                    error.problem_type,
                    error.detail,
                    status=error.status,
                    fix="order with a new key: gatecert enroll --rotate-key",
                    authority=self.client.label,
                ) from error
            raise

    def _fetch(self, order: Order, request: KeyRequest) -> IssuedChain:
        checked = self._chain.fetch(order, request)
        logger.info("certificate issued gateway=%s order=%s", self.target.name, order.url)
        self._tell(f"certificate issued by {self.client.label}")
        return IssuedChain(
            private_key=request.private_key,
            certificate=checked.certificate,
            chain=checked.chain,
            origin=Origin.AUTHORITY,
            root=checked.root,
            authority=self.settings.name,
            order_url=order.url,
            notes=checked.notes,
        )

    def _tell_pause(self) -> None:
        """Say that the next request waits because the CA asked for a pause."""
        seconds = self.client.pause.remaining
        if seconds >= SHORTEST_PAUSE_TOLD:
            self._tell(Wait(f"{self.client.name}, which asks for a pause", seconds))

    def _issuance(self) -> Wait:
        """Return the wait for the certificate."""
        return Wait(f"{self.client.name} to issue the certificate", self.deadline.remaining)

    def _tell(self, message: Message) -> None:
        self.progress(self.target.name, Stage.ORDER, message)


def _is_refused(error: AuthorityError) -> bool:
    """Check for an error that says there is no such order, or none of this account."""
    return isinstance(error, ACMEError) and (
        error.status in {403, *GONE} or error.problem_type == "malformed"
    )
