"""Proving control of every name of an order (RFC 8555 section 7.5), all names at the same time.

The order is looked at instead of its authorizations: one request for any number of names. The first
look comes as soon as the authority has fetched a response, the next ones after 250 ms and ever
longer pauses; a Retry-After that is longer is waited for, one that is not makes us no less patient.
While validations run, an authority that does not answer for a moment is asked again: giving up
would take the responses away under its eyes.

An authority that was not convinced may leave the challenge pending, with an error, for the client
to ask once more (section 8.2) instead of giving it up; it will never look again by itself, so that
is a failure as well. So is one that is still processing, with an error, a few seconds later. It may
also leave the order pending whose authorization is invalid, or refuse to be told that a response is
in place. Every few seconds the authorizations are looked at to find that out.

There is one authorization for each name that was ordered, and none for any other: an authority that
wants anything else proven is refused before anything is published.

Challenge types that are not known to us, and tokens that are no base64url text (CVE-2026-40611),
are left alone.
"""

from __future__ import annotations

import ipaddress
import logging
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gatecert.acme.budget import Budget
from gatecert.acme.client import Client
from gatecert.acme.presentation import ChallengeAttempt, NameChallenges, Presentation
from gatecert.acme.problems import validation_error
from gatecert.acme.resources import INVALID, PENDING, VALID, ProblemDocument
from gatecert.acme.transport import stopping_error
from gatecert.challenge.solver import Challenge, Solver
from gatecert.deadline import Deadline
from gatecert.errors import (
    AccountMissingError,
    ACMEError,
    AuthorityError,
    AuthorityUnreachableError,
    AuthorizationMismatchError,
    DeadlineExceededError,
    RateLimitedError,
    UserActionRequiredError,
    clean,
)
from gatecert.model import Account, Target

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.acme.resources import Authorization, ChallengeOffer, Order
    from gatecert.errors import FailedAttempt
    from gatecert.model import ChallengeChoice, Identifier

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.25
LONGEST_PAUSE = 5.0
PAUSE_GROWTH = 1.5
SETTLE_SECONDS = 0.02  # from fetching a response to having judged it
SLICE_SECONDS = 0.25  # how soon a stopping gatecert is noticed
MOST_MISSED_LOOKS = 4
AUTHORIZATIONS_SECONDS = 3.0  # until the authorizations are looked at; twice where told to wait
WITHOUT_TOKEN = {"dns-persist-01"}
BAD_REQUEST, SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True)
class PollingPolicy:
    """Looks at an order again and again, promptly, politely, and not for ever."""

    client: Client
    account: Account
    deadline: Deadline
    now: Callable[[], datetime]

    def poll_until(
        self,
        order: Order,
        done: Callable[[Order], bool],
        pause: Callable[[float], None] | None = None,
    ) -> Order:
        """Look at an order until it is done.

        Args:
            order: As it was seen last; its Retry-After counts, where it is longer than our pause.
            done: Whether to stop.
            pause: How to let an unprescribed pause go by; it may end early.

        Raises:
            DeadlineExceededError: It was not done in time; it can be taken up again.
        """
        ever_longer = growing_pauses()
        while not done(order):
            shortest = next(ever_longer)
            if order.retry_after is not None:
                self.wait(max(order.retry_after, shortest))
            elif pause is not None:
                pause(shortest)
            else:
                self.wait(shortest)
            order = self._look(order.url)
        return order

    def poll_after(self, seconds: float, url: str) -> Order:
        """Look at an order once, after a while."""
        self.wait(seconds)
        return self._look(url)

    def wait(self, seconds: float) -> None:
        """Let that time go by.

        Raises:
            DeadlineExceededError: There is less time than that.
            InterruptedOrderError: gatecert is stopping.
        """
        enough = seconds < self.deadline.remaining
        if enough:
            self.deadline.wait(seconds)
        if self.deadline.interrupted:
            raise stopping_error()
        if not enough:
            raise DeadlineExceededError(
                f"{self.client.label} needs more time than an order may take; "
                "the order goes on at the next attempt"
            )

    def _look(self, url: str) -> Order:
        missed = 0
        while True:
            try:
                return self.client.order(self.account, url, self.deadline)
            except (AuthorityUnreachableError, RateLimitedError) as error:
                missed += 1
                pause = self._pause_after(error, missed)
                if missed > MOST_MISSED_LOOKS or pause >= self.deadline.remaining:
                    raise
                logger.info("order looked at in vain, once more in %.1f s: %s", pause, error)
            self.wait(pause)

    def _pause_after(self, error: AuthorityError, missed: int) -> float:
        if isinstance(error, RateLimitedError) and error.retry_after is not None:
            return max(0.0, (error.retry_after - self.now()).total_seconds())
        return FIRST_PAUSE * 2.0**missed


@dataclass(frozen=True, slots=True)
class Authorizations:
    """Proves control of the names of one order."""

    polling: PollingPolicy
    solvers: Mapping[str, Solver]
    target: Target
    tell: Callable[[str], None]
    budget: Budget

    def run(self, order: Order) -> Order:
        """Meet the challenges of a pending order; the order as it is when no longer pending.

        Raises:
            RateLimitBudgetError: Not now: if it failed, that would be once too often.
            ChallengeFailedError: The authority did not accept a response.
            ChallengeError: A response could not be presented.
        """
        polling = self.polling
        pending = self._pending_names(order)
        names = [each.name for each in pending]
        self.budget.validations(order.url, polling.account.url, names)
        with Presentation(polling.deadline, self.tell) as presentation:
            attempts = presentation.present_all(pending)
            if any(attempt.challenge.type.startswith("dns-") for attempt in attempts):
                # Records take their time to be seen; the authority counts when it is told.
                self.budget.validations(order.url, polling.account.url, names)
            unseen = deque(attempts)
            wait = self._notify(order, attempts, presentation.failures)
            order = polling.poll_until(
                replace(order, retry_after=wait),
                self._concluded(),
                lambda seconds: self._watch(unseen, seconds),
            )
        if order.status in {INVALID, PENDING}:
            self._raise_if_refused(order, presentation.failures)
        return order

    def _pending_names(self, order: Order) -> list[NameChallenges]:
        """What has to be proven, and how it may be; nothing for a name that is proven already."""
        if not order.authorizations:
            label = self.polling.client.label
            raise AuthorityUnreachableError(f"{label} lists no authorization of a pending order")
        every = self._ordered(self._authorizations(order, at_most=len(self.target.identifiers)))
        self._raise_if_any([each for each in every if each.status not in {PENDING, VALID}])
        return [self._challenges_of(each) for each in every if each.status == PENDING]

    def _ordered(self, authorizations: Sequence[Authorization]) -> list[Authorization]:
        """The authorizations, each for a name that was ordered, which none other is for.

        Raises:
            AuthorizationMismatchError: One is not.
        """
        left = {_canonical(name): name for name in self.target.identifiers}
        found = []
        for each in authorizations:
            value = _canonical(each.identifier)
            wildcard = f"*.{value.removeprefix('*.')}"
            names = (wildcard,) if each.wildcard else (value, wildcard)
            name = next((name for name in names if name in left), None)
            if name is None:
                raise self._mismatch(f"control of {clean(each.name, 100)}, which was not ordered")
            identifier = left.pop(name)
            found.append(
                replace(
                    each,
                    identifier=replace(identifier, value=identifier.value.removeprefix("*.")),
                    wildcard=identifier.is_wildcard,
                )
            )
        return found

    def _mismatch(self, what: str) -> AuthorizationMismatchError:
        client = self.polling.client
        return AuthorizationMismatchError(
            f"{client.label} demands {what}; nothing was published",
            fix=f"check authorities.{client.name}.directory_url; such an authority is not used",
        )

    def _challenges_of(self, authorization: Authorization) -> NameChallenges:
        choice = self.target.choice(authorization.name)
        attempts: deque[ChallengeAttempt] = deque()
        for kind in choice.kinds:
            solver = self.solvers.get(kind)
            offer = next((each for each in authorization.challenges if each.type == kind), None)
            if solver is not None and offer is not None:
                attempts.append(self._accept(authorization, offer, solver))
        if attempts:
            return NameChallenges(authorization.name, attempts, self._reason(choice, attempts[0]))
        offered = ", ".join(each.type for each in authorization.challenges) or "nothing"
        raise AuthorityError(
            f"{self.polling.client.label} offers {clean(offered, 200)} to prove control of "
            f"{authorization.name}, but {', '.join(choice.kinds) or 'nothing'} is configured",
            fix=f"set gateways.{self.target.name}.challenge to a kind that it offers",
        )

    def _reason(self, choice: ChallengeChoice, attempt: ChallengeAttempt) -> str:
        """Why a name is not proven by the first kind that is configured; empty where it is."""
        kind = attempt.challenge.type
        passed_over = choice.kinds[: choice.kinds.index(kind)]
        label = self.polling.client.label
        reasons = [f"{label} does not offer {each}" for each in passed_over]
        return "; ".join([*([choice.reason] if choice.reason else []), *reasons])

    def _accept(
        self, authorization: Authorization, offer: ChallengeOffer, solver: Solver
    ) -> ChallengeAttempt:
        client = self.polling.client
        if offer.type not in WITHOUT_TOKEN and not offer.has_safe_token:
            raise AuthorityError(
                f"{client.label} sent a challenge for {authorization.name} whose token "
                f"{clean(offer.token, 60)!r} is no base64url text of sane length; nothing was done",
                fix=f"check authorities.{client.name}.directory_url",
            )
        challenge = Challenge(
            type=offer.type,
            identifier=authorization.identifier,
            token="" if offer.type in WITHOUT_TOKEN else offer.token,
            key_authorization=""
            if offer.type in WITHOUT_TOKEN
            else client.key_authorization(self.polling.account, offer.token),
            account_url=self.polling.account.url,
            wildcard=authorization.wildcard,
            issuer_domain_names=offer.issuer_domain_names,
        )
        return ChallengeAttempt(challenge, solver, offer.url, notified=offer.status != PENDING)

    def _notify(
        self, order: Order, attempts: Sequence[ChallengeAttempt], failures: Sequence[FailedAttempt]
    ) -> float | None:
        """Tell the authority that all is in place; its longest Retry-After in seconds.

        Raises:
            ChallengeFailedError: It answers that the challenge has failed.
        """
        client, account = self.polling.client, self.polling.account
        waits = []
        for attempt in attempts:
            if attempt.notified:
                continue
            try:
                waits.append(
                    client.respond_to_challenge(account, attempt.url, self.polling.deadline)
                )
            except (RateLimitedError, UserActionRequiredError, AccountMissingError):
                raise
            except ACMEError as error:
                if not BAD_REQUEST <= error.status < SERVER_ERROR:
                    raise
                self._raise_if_refused(order, failures, told=error)
        return max((wait for wait in waits if wait is not None), default=None)

    def _concluded(self) -> Callable[[Order], bool]:
        """What tells that an order needs no further look, or that a name of it has failed."""
        deadline = self.polling.deadline
        last_look = deadline.remaining
        stuck_before: set[str] = set()

        def concluded(order: Order) -> bool:
            nonlocal last_look, stuck_before
            if order.status != PENDING:
                return True
            pause = AUTHORIZATIONS_SECONDS * (2 if order.retry_after and not stuck_before else 1)
            if last_look - deadline.remaining < pause:
                return False
            last_look = deadline.remaining
            every = self._authorizations(order)
            offers = [offer for each in every for offer in each.challenges]
            stuck = {offer.url for offer in offers if offer.is_stuck}
            still_stuck, stuck_before = stuck & stuck_before, stuck
            return (
                bool(still_stuck)
                or any(each.status not in {PENDING, VALID} for each in every)
                or any(offer.has_failed for offer in offers)
            )

        return concluded

    def _watch(self, unseen: deque[ChallengeAttempt], seconds: float) -> None:
        """Let a pause go by, shorter if the authority comes to see all responses meanwhile."""
        if not unseen:
            self.polling.wait(seconds)
            return
        pause = self.polling.deadline.sooner(seconds)
        while unseen and not pause.passed:
            attempt = unseen[0]
            if attempt.solver.wait_for_request(attempt.challenge, pause.within(SLICE_SECONDS)):
                unseen.popleft()
        self.polling.wait(0.0 if unseen else SETTLE_SECONDS)

    def _raise_if_refused(
        self, order: Order, before: Sequence[FailedAttempt], *, told: ACMEError | None = None
    ) -> None:
        refused = [each for each in self._authorizations(order) if each.status != VALID]
        if told is not None:
            problem = ProblemDocument(told.problem_type, told.detail)
            refused = [each.with_problem(problem) for each in refused]
        self._raise_if_any(refused, before)

    def _raise_if_any(
        self, failed: Sequence[Authorization], before: Sequence[FailedAttempt] = ()
    ) -> None:
        if failed:
            client = self.polling.client
            error = validation_error(failed, name=client.name, authority=client.label)
            error.attempts = (*before, *error.attempts)
            raise error

    def _authorizations(self, order: Order, *, at_most: int | None = None) -> list[Authorization]:
        polling = self.polling
        if at_most is not None and len(order.authorizations) > at_most:
            raise self._mismatch(f"{len(order.authorizations)} authorizations for {at_most} names")
        return [
            polling.client.authorization(polling.account, url, polling.deadline)
            for url in order.authorizations
        ]


def _canonical(identifier: Identifier) -> str:
    """The value of an identifier as it is compared: lower case, addresses in one form."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(identifier.value))
    return identifier.value.lower().rstrip(".")


def growing_pauses(first: float = FIRST_PAUSE) -> Iterator[float]:
    """Ever longer pauses, in seconds, between one look and the next."""
    pause = first
    while True:
        yield pause
        pause = min(pause * PAUSE_GROWTH, LONGEST_PAUSE)
