"""The story of an enrolment (RFC 8555 section 7.4), from a target to a checked chain.

    place the order, or take up the pending one → authorize → finalise → download → check

- *Resumed, not repeated.* Key and CSR are kept before an order is placed, its URL at once after.
  Whatever interrupts us, the next attempt takes the same order up in whatever state it is by then.
  An order that has failed, expired or vanished is forgotten, for it cannot be revived. So is one
  that after `LONGEST_ORDER` still is not valid, or whose certificate still cannot be fetched: an
  authority that has lost track of it would keep it for ever, until nothing valid is served.
- *All at once.* Every name of an order is validated at the same time, and a response is taken away
  again however its validation ended (``validation.py``).
- *Within the limits.* Whatever the authority counts is counted here first (``budget.py``), and what
  would exceed its limits is not sent. Orders that carry ``replaces`` are exempt (RFC 9773).
- *Prompt and polite.* A Retry-After is waited for. The one that comes with the answer to
  finalisation is about asking *again*: one first look is taken right away, since most authorities
  have the certificate in hand by then; after that, it holds.
- *Nothing is trusted.* A chain is returned only when key, names, dates and signatures have been
  checked. If it is sound but ends in a root that the operator does not want, the order is kept:
  the same certificate will do once ``trusted_roots`` is right, and none is ordered in vain.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final, Protocol

from gatecert.acme.authorizations import Authorizations, PollingPolicy, growing_pauses
from gatecert.acme.budget import Budget
from gatecert.acme.client import Client
from gatecert.acme.directory_check import profile_refusal
from gatecert.acme.problems import problem_error
from gatecert.acme.resources import INVALID, PENDING, PROCESSING, READY, VALID
from gatecert.acme.responses import GONE
from gatecert.certificate.chain import check_issued, choose_chain, is_preferred, load_roots
from gatecert.certificate.trust import system_roots
from gatecert.certificate.trust_anchor import can_anchor
from gatecert.challenge.solver import Solver
from gatecert.config.schema.authority import AuthoritySettings
from gatecert.deadline import Deadline
from gatecert.errors import (
    ACMEError,
    AuthorityError,
    AuthorityServerError,
    AuthorizationMismatchError,
    CertificateError,
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
    Origin,
    PendingOrder,
    Progress,
    Stage,
    Target,
)
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from cryptography import x509

    from gatecert.acme.resources import Download, Order
    from gatecert.certificate.chain import CheckedChain

logger = logging.getLogger(__name__)

LONGEST_ORDER: Final = timedelta(days=1)
"""How long an order is taken up again, from when it was placed.

Restarts, power cuts and an authority's bad hours are over by then; a new order costs one of what
the authority allows; and the shortest-lived certificates are renewed two days before their end, of
which one is left.
"""

LONGEST_REFUSED_ORDER: Final = LONGEST_ORDER / 2
"""How long a certificate from an unexpected root is fetched again, so that correcting
``trusted_roots`` costs no order; then the authority is asked for another certificate."""

FIRST_LOOK_SECONDS = 0.04  # from finalisation to the first look
FIRST_REST_SECONDS = 1.0  # from finalisation to the look at an order that stays ready all the same
MOST_ALTERNATES = 5

# What Boulder answers to a key that was revoked for keyCompromise, or that is weak.
KEY_PROBLEMS = {"badCSR", "badPublicKey"}
_KEY_FORBIDDEN = re.compile(
    r"\bkey\b.*\b(forbidden|compromised|revoked|blocked|weak)", re.IGNORECASE
)

# Problems after which an order is placed again without ``replaces`` (RFC 9773 section 5).
_REPLACES_REFUSED = {"alreadyReplaced", "malformed", "unauthorized", "notFound"}
_CONFLICT = 409


class OrderJournal(Protocol):
    """Where the order that is under way is remembered, with its key."""

    def pending(self) -> tuple[PendingOrder, KeyRequest] | None:
        """The order that was recorded last and not forgotten, with its key request."""
        ...

    def new_request(self, *, common_name: bool = False) -> KeyRequest:
        """Make a key and its CSR, durable when this returns.

        Args:
            common_name: Whether the first DNS name that fits is the subject's common name.
        """
        ...

    def record(self, order: PendingOrder) -> None:
        """Remember an order, durably."""
        ...

    def forget(self) -> None:
        """The order and its key request are of no more use."""
        ...


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
        """From a target to a checked chain; see `Issuer.obtain`."""
        self._check_roots()  # what would be refused later is not ordered
        order, request = self._take_up() or self._place(replaces)
        while order.status != VALID or not order.certificate:
            match order.status:
                case "valid":  # the certificate is there, and the next answer says where
                    order = self._polling.poll_until(
                        self._polling.poll_after(FIRST_LOOK_SECONDS, order.url),
                        lambda it: bool(it.certificate) or it.status != VALID,
                    )
                case "pending":
                    order = self._validate(order)
                case "ready":
                    self._count_certificate(order)
                    order = self._finalize(order, request)
                case "processing":
                    order = self._polling.poll_until(order, lambda it: it.status != PROCESSING)
                case _:
                    raise self._failed(order)
        return self._fetch(order, request)

    # ------------------------------------------------------------------ the order

    def _take_up(self) -> tuple[Order, KeyRequest] | None:
        """The pending order, if it can still become what is wanted, in time."""
        kept = self.journal.pending()
        if kept is None:
            return None
        pending, request = kept
        pending = replace(pending, url=resolve_url(self.settings.directory_url, pending.url) or "")
        late = self._is_late(pending)
        if not self._fits(pending):
            logger.info("pending order no longer fits gateway=%s", self.target.name)
            self.journal.forget()
            return None
        try:
            order = self.client.order(self.account, pending.url, self.deadline)
        except InterruptedOrderError:
            raise
        except RateLimitedError:
            if late:
                self.journal.forget()
            raise
        except AuthorityError as error:
            if not late and not _is_refused(error):
                raise
            logger.info("pending order is gone gateway=%s %s", self.target.name, error)
        else:
            if order.status in ({VALID} if late else {PENDING, READY, PROCESSING, VALID}):
                self._tell(f"going on with the order of {instant(pending.created)}")
                return order, request
            logger.info("pending order gateway=%s status=%s", self.target.name, order.status)
        self.journal.forget()
        return None

    def _fits(self, pending: PendingOrder) -> bool:
        return (
            pending.authority == self.settings.name
            and pending.directory_url == self.settings.directory_url
            and set(pending.identifiers) == set(self.target.identifiers)
        )

    def _is_late(self, pending: PendingOrder) -> bool:
        """Whether it should have come to its end; by a clock that was set back by days as well."""
        return abs(self.now() - pending.created) >= LONGEST_ORDER

    def _place(self, replaces: str) -> tuple[Order, KeyRequest]:
        profile = self._profile()
        if not self.client.directory(self.deadline).renewal_info:
            replaces = ""
        request = self.journal.new_request(common_name=self.settings.subject_common_name)
        try:
            order, replaces = self._new_order(profile, replaces)
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
        return order, request

    def _new_order(self, profile: str, replaces: str) -> tuple[Order, str]:
        """The new order, and which certificate the authority knows that it replaces."""
        names = self.target.identifiers
        if replaces:
            self.budget.may_replace(self._names)
            try:
                order = self.client.new_order(
                    self.account, names, self.deadline, profile=profile, replaces=replaces
                )
            except ACMEError as error:
                if error.problem_type not in _REPLACES_REFUSED and error.status != _CONFLICT:
                    raise
                logger.info("replaces refused gateway=%s %s", self.target.name, error)
            except AuthorityServerError as error:  # perhaps over what is replaced, as Pebble
                logger.info("replaces not understood gateway=%s %s", self.target.name, error)
            else:
                return self._checked(order), replaces
        self.budget.order(self.account.url, self._names)
        order = self.client.new_order(self.account, names, self.deadline, profile=profile)
        return self._checked(order), ""

    def _checked(self, order: Order) -> Order:
        """A new order, which is for the names that were asked for.

        Raises:
            AuthorizationMismatchError: It is for others.
        """
        if order.names and order.names != {name.lower() for name in self._names}:
            others = clean(", ".join(sorted(order.names.difference(self._names))), 200)
            raise AuthorizationMismatchError(
                f"{self.client.label} answers with an order for other names than were asked for"
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
        self._tell(f"{self.client.label} has no profile {name!r}: its choice is taken")
        return ""

    def _failed(self, order: Order) -> ACMEError | AuthorityError:
        """What to raise for an order that will never be valid; it is forgotten."""
        self.journal.forget()
        if order.status == INVALID and order.error is not None:
            return problem_error(order.error, name=self.settings.name, authority=self.client.label)
        return AuthorityError(
            f"{self.client.label} says that the order is {clean(order.status, 40)!r}, and not why"
        )

    # ------------------------------------------------------------------ its stages

    @property
    def _polling(self) -> PollingPolicy:
        return PollingPolicy(self.client, self.account, self.deadline, self.now)

    def _validate(self, order: Order) -> Order:
        validation = Authorizations(
            self._polling, self.solvers, self.target, self._tell, self.budget
        )
        try:
            return validation.run(order)
        except (ChallengeFailedError, AuthorizationMismatchError):
            self.journal.forget()
            raise

    def _count_certificate(self, order: Order) -> None:
        """Count what is about to be issued."""
        pending = self.journal.pending()
        if pending is not None and pending[0].replaces:
            self.budget.replacement(order.url, self._names)
        else:
            self.budget.certificate(order.url, self._names)

    def _finalize(self, order: Order, request: KeyRequest) -> Order:
        """Hand in the CSR, again where the order stays ready; what has become of it."""
        self._tell("names proven, asking for the certificate")
        ever_longer = growing_pauses(FIRST_REST_SECONDS)
        while order.status == READY:
            order = self._hand_in(order, request)
            if order.status == PROCESSING:
                order = self._polling.poll_after(FIRST_LOOK_SECONDS, order.url)
            if order.status == READY:
                rest = max(order.retry_after or 0.0, next(ever_longer))
                order = self._polling.poll_after(rest, order.url)
        return order

    def _hand_in(self, order: Order, request: KeyRequest) -> Order:
        try:
            return self.client.finalize(self.account, order, request.csr, self.deadline)
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
        download = self._download(order)
        checked = self._check(download, request)
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

    def _download(self, order: Order) -> Download:
        """What was issued; an order whose certificate is lost, or late, is forgotten."""
        try:
            return self.client.download(self.account, order.certificate, self.deadline)
        except InterruptedOrderError:
            raise
        except AuthorityError as error:
            kept = self.journal.pending()
            lost = isinstance(error, ACMEError) and error.status in GONE
            if lost or (kept is not None and self._is_late(kept[0])):
                logger.info("certificate is lost gateway=%s %s", self.target.name, error)
                self.journal.forget()
            raise

    # ------------------------------------------------------------------ the chain

    def _check(self, download: Download, request: KeyRequest) -> CheckedChain:
        """Check what was downloaded, and its alternate chains where they may be wanted."""
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
            kept = self.journal.pending()
            if kept is not None and abs(self.now() - kept[0].created) >= LONGEST_REFUSED_ORDER:
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
            request.private_key,
            fullchain,
            self.target.identifiers,
            now=self.now(),
            trusted_roots=roots,
            system_roots=system_roots() if roots is None else (),
        )

    def _alternates(self, download: Download) -> Iterator[bytes]:
        for url in download.alternates[:MOST_ALTERNATES]:
            try:
                yield self.client.download(self.account, url, self.deadline).fullchain
            except InterruptedOrderError:
                raise
            except AuthorityError as error:
                logger.info("alternate chain passed over gateway=%s %s", self.target.name, error)

    def _check_roots(self) -> None:
        """See that a chain could end in the trusted roots.

        Raises:
            CertificateError: They cannot be read, or none of them is an authority's and valid.
        """
        roots = self._trusted_roots()
        if roots is None or any(can_anchor(root, self.now()) for root in roots):
            return
        raise CertificateError(
            f"{self.settings.trusted_roots}: no chain can end in these certificates, all of which"
            " have ended or are no authority's; nothing was ordered",
            fix=f"put the authority's current root into authorities.{self.settings.name}"
            ".trusted_roots",
        )

    def _trusted_roots(self) -> Sequence[x509.Certificate] | None:
        path = self.settings.trusted_roots
        if path is None:
            return None
        try:
            return load_roots(path.read_bytes())
        except (OSError, CertificateError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise CertificateError(
                f"{path}: the roots that chains must end in cannot be read: {clean(reason, 200)}",
                fix=f"correct authorities.{self.settings.name}.trusted_roots",
            ) from error

    def _tell(self, message: str) -> None:
        self.progress(self.target.name, Stage.ORDER, message)


def _is_refused(error: AuthorityError) -> bool:
    """Whether the authority says that there is no such order, or none of ours."""
    return isinstance(error, ACMEError) and (
        error.status in {403, *GONE} or error.problem_type == "malformed"
    )
