"""Validation of all names of an order, in parallel (RFC 8555 section 7.5).

The order is polled instead of its authorizations: one request for any number of names. The first
poll comes as soon as the CA has fetched a response, the next ones after 250 ms and growing pauses;
a longer Retry-After is observed. If the CA does not answer for a moment during validation, it is
asked again: giving up would remove the responses while it fetches them.

After a failed validation, a CA may leave the challenge pending with an error, for the client to
retry (section 8.2) instead of failing it. It will not try again by itself, so that is a failure
too. So is a challenge that is still processing, with an error, a few seconds later. A CA may also
leave the order pending although an authorization is invalid, or refuse the request to validate.
The authorizations are fetched every few seconds to find that out.

There is one authorization for each ordered name and none for any other: if a CA asks for anything
else, nothing is published and the order fails.

Unknown challenge types, and tokens that are not base64url text (CVE-2026-40611), are ignored.
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
from gatecert.acme.presentation import (
    MAX_NAMES_LENGTH,
    ChallengeAttempt,
    NameChallenges,
    Presentation,
)
from gatecert.acme.problems import validation_error
from gatecert.acme.protocol import stopping_error
from gatecert.acme.resources import INVALID, PENDING, PROCESSING, VALID, ProblemDocument
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
from gatecert.model import Account, Message, Target, Wait
from gatecert.store.protocol import Lease

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.acme.resources import Authorization, ChallengeOffer, Order
    from gatecert.errors import FailedAttempt
    from gatecert.model import ChallengeChoice, Identifier

logger = logging.getLogger(__name__)

FIRST_PAUSE = 0.25
MAX_PAUSE = 5.0
PAUSE_GROWTH = 1.5
SLICE_SECONDS = 0.25  # how soon a stopping gatecert is noticed
MAX_FAILED_POLLS = 4
AUTHORIZATIONS_SECONDS = 3.0  # between fetches of the authorizations; twice with Retry-After
WITHOUT_TOKEN = {"dns-persist-01"}
BAD_REQUEST, SERVER_ERROR = 400, 500


@dataclass(frozen=True, slots=True)
class PollingPolicy:
    """Polls an order promptly and politely, until a deadline."""

    client: Client
    account: Account
    deadline: Deadline
    now: Callable[[], datetime]
    tell: Callable[[Message], None]

    def poll_until(
        self,
        order: Order,
        done: Callable[[Order], bool],
        pause: Callable[[float], None] | None = None,
        first: float = FIRST_PAUSE,
    ) -> Order:
        """Poll an order until it is done.

        Args:
            order: The order as last seen; its Retry-After counts if it is longer than our pause.
            done: Tells when to stop.
            pause: Waits when there is no Retry-After; may return early.
            first: The first pause in seconds; it grows.

        Raises:
            DeadlineExceededError: It was not done in time; it can be resumed.
        """
        pauses = growing_pauses(first)
        while not done(order):
            shortest = next(pauses)
            if order.retry_after is not None:
                self.wait(max(order.retry_after, shortest))
            elif pause is not None:
                pause(shortest)
            else:
                self.wait(shortest)
            order = self._poll(order.url)
        return order

    def poll_after(self, seconds: float, url: str) -> Order:
        """Poll an order once, after a pause."""
        self.wait(seconds)
        return self._poll(url)

    def poll_once_issued(self, url: str) -> Order:
        """Poll an order once, after the pause in which this CA usually issues a certificate."""
        order = self.poll_after(self.client.issuance.seconds, url)
        self.client.issuance.learn(enough=order.status != PROCESSING)
        return order

    def wait(self, seconds: float) -> None:
        """Wait.

        Raises:
            DeadlineExceededError: The deadline is earlier.
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
                "the next attempt resumes the order"
            )

    def _poll(self, url: str) -> Order:
        failed = 0
        while True:
            try:
                return self.client.order(self.account, url, self.deadline)
            except (AuthorityUnreachableError, RateLimitedError) as error:
                failed += 1
                pause = self._pause_after(error, failed)
                if failed > MAX_FAILED_POLLS or pause >= self.deadline.remaining:
                    raise
                logger.info("polling the order failed, next try in %.1f s: %s", pause, error)
                if isinstance(error, RateLimitedError):
                    self.tell(Wait(f"{self.client.name}, which asks for a pause", pause))
            if not self.client.pause.remaining:  # the next request waits for its end
                self.wait(pause)

    def _pause_after(self, error: AuthorityError, failed: int) -> float:
        if isinstance(error, RateLimitedError) and error.retry_after is not None:
            return max(0.0, (error.retry_after - self.now()).total_seconds())
        return FIRST_PAUSE * 2.0**failed


@dataclass(slots=True)
class _Fetches:
    """The CA's fetches of the responses.

    Attributes:
        missing: The challenges whose response it has not fetched.
        just_completed: Whether it has fetched the last one since the last poll.
        polls: The number of polls that found no verdict after that.
    """

    missing: deque[ChallengeAttempt]
    just_completed: bool = False
    polls: int = 0


@dataclass(frozen=True, slots=True)
class Authorizations:
    """The authorizations of one order."""

    polling: PollingPolicy
    solvers: Mapping[str, Solver]
    target: Target
    tell: Callable[[Message], None]
    budget: Budget
    lease: Lease

    def run(self, order: Order) -> Order:
        """Complete the challenges of a pending order; return the order when no longer pending.

        Raises:
            RateLimitBudgetError: A failed validation would exceed a rate limit now.
            LeaseLostError: Another host may hold the lease; the CA was not asked to validate.
            ChallengeFailedError: A validation failed.
            ChallengeError: A response could not be presented.
        """
        polling = self.polling
        pending = self._pending_names(order)
        names = [each.name for each in pending]
        self.budget.validations(order.url, polling.account.url, names)
        with Presentation(polling.deadline, self.tell) as presentation:
            attempts = presentation.present_all(pending)
            if any(attempt.challenge.type.startswith("dns-") for attempt in attempts):
                # Propagation takes time; the CA counts from the request to validate.
                self.budget.validations(order.url, polling.account.url, names)
            fetches = _Fetches(deque(attempts))
            wait = self._notify(order, attempts, presentation.failures)
            if names:
                listed = clean(", ".join(names), MAX_NAMES_LENGTH)
                ca = polling.client.name
                self.tell(Wait(f"{ca} to validate {listed}", polling.deadline.remaining))
            order = polling.poll_until(
                replace(order, retry_after=wait),
                self._concluded(fetches),
                lambda seconds: self._watch(fetches, seconds),
            )
        if order.status in {INVALID, PENDING}:
            self._raise_if_failed(order, presentation.failures)
        return order

    def _pending_names(self, order: Order) -> list[NameChallenges]:
        """Return the pending names with their challenges; names already valid are left out."""
        if not order.authorizations:
            label = self.polling.client.label
            raise AuthorityUnreachableError(f"{label} lists no authorizations for a pending order")
        every = self._ordered(self._authorizations(order, at_most=len(self.target.identifiers)))
        self._raise_if_any([each for each in every if each.status not in {PENDING, VALID}])
        return [self._challenges_of(each) for each in every if each.status == PENDING]

    def _ordered(self, authorizations: Sequence[Authorization]) -> list[Authorization]:
        """Return the authorizations, one for each ordered name.

        Raises:
            AuthorizationMismatchError: One is for another name, or a second one for a name.
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
            f"{client.label} requires {what}; nothing was published",
            fix=f"check authorities.{client.name}.directory_url; gatecert does not use such a CA",
        )

    def _challenges_of(self, authorization: Authorization) -> NameChallenges:
        choice = self.target.choice(authorization.name)
        attempts: deque[ChallengeAttempt] = deque()
        for kind in choice.kinds:
            solver = self.solvers.get(kind)
            offer = next((each for each in authorization.challenges if each.type == kind), None)
            if solver is not None and offer is not None:
                attempts.append(self._attempt(authorization, offer, solver))
        if attempts:
            return NameChallenges(authorization.name, attempts, self._reason(choice, attempts[0]))
        offered = ", ".join(each.type for each in authorization.challenges) or "nothing"
        raise AuthorityError(
            f"{self.polling.client.label} offers {clean(offered, 200)} for "
            f"{authorization.name}, but {', '.join(choice.kinds) or 'nothing'} is configured",
            fix=self._challenge_fix(authorization.name),
        )

    def _challenge_fix(self, name: str) -> str:
        if self.target.is_looked_up:
            return f"set gateways.{self.target.name}.challenge to a type that the CA offers"
        return f"let the CA take {name} as validated, or configure challenges.dns-01"

    def _reason(self, choice: ChallengeChoice, attempt: ChallengeAttempt) -> str:
        """Say why the first configured challenge type is not used; empty if it is."""
        kind = attempt.challenge.type
        skipped = choice.kinds[: choice.kinds.index(kind)]
        label = self.polling.client.label
        reasons = [f"{label} does not offer {each}" for each in skipped]
        return "; ".join([*([choice.reason] if choice.reason else []), *reasons])

    def _attempt(
        self, authorization: Authorization, offer: ChallengeOffer, solver: Solver
    ) -> ChallengeAttempt:
        client = self.polling.client
        if offer.type not in WITHOUT_TOKEN and not offer.has_safe_token:
            raise AuthorityError(
                f"{client.label} sent a challenge for {authorization.name} whose token "
                f"{clean(offer.token, 60)!r} is not base64url text of sane length; it was not used",
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
        """Ask the CA to validate all challenges; return its longest Retry-After in seconds.

        Raises:
            ChallengeFailedError: The CA says that a challenge has failed.
        """
        client, account = self.polling.client, self.polling.account
        waits = []
        for attempt in attempts:
            if attempt.notified:
                continue
            try:
                waits.append(
                    client.respond_to_challenge(
                        account, attempt.url, self.polling.deadline, self.lease
                    )
                )
            except (RateLimitedError, UserActionRequiredError, AccountMissingError):
                raise
            except ACMEError as error:
                if not BAD_REQUEST <= error.status < SERVER_ERROR:
                    raise
                self._raise_if_failed(order, failures, error=error)
        return max((wait for wait in waits if wait is not None), default=None)

    def _concluded(self, fetches: _Fetches) -> Callable[[Order], bool]:
        """Return a check for an order that is no longer pending, or of which a name has failed."""
        deadline = self.polling.deadline
        last_fetch = deadline.remaining
        stuck_before: set[str] = set()

        def concluded(order: Order) -> bool:
            nonlocal last_fetch, stuck_before
            if fetches.just_completed:
                self.polling.client.verdict.learn(enough=order.status != PENDING)
                fetches.just_completed = False
            if order.status != PENDING:
                return True
            pause = AUTHORIZATIONS_SECONDS * (2 if order.retry_after and not stuck_before else 1)
            if last_fetch - deadline.remaining < pause:
                return False
            last_fetch = deadline.remaining
            authorizations = self._authorizations(order)
            offers = [offer for each in authorizations for offer in each.challenges]
            stuck = {offer.url for offer in offers if offer.is_stuck}
            still_stuck, stuck_before = stuck & stuck_before, stuck
            return (
                bool(still_stuck)
                or any(each.status not in {PENDING, VALID} for each in authorizations)
                or any(offer.has_failed for offer in offers)
            )

        return concluded

    def _watch(self, fetches: _Fetches, seconds: float) -> None:
        """Wait; return early once the CA has fetched all responses and had time to decide."""
        verdict = self.polling.client.verdict
        if not fetches.missing:
            # It is no longer fetches that decide: soon, then later and later.
            fetches.polls += 1
            self.polling.wait(min(seconds, verdict.seconds * 2.0**fetches.polls))
            return
        pause = self.polling.deadline.sooner(seconds)
        while fetches.missing and not pause.passed:
            attempt = fetches.missing[0]
            if attempt.solver.wait_for_request(attempt.challenge, pause.within(SLICE_SECONDS)):
                fetches.missing.popleft()
        fetches.just_completed = not fetches.missing
        self.polling.wait(0.0 if fetches.missing else verdict.seconds)

    def _raise_if_failed(
        self, order: Order, before: Sequence[FailedAttempt], *, error: ACMEError | None = None
    ) -> None:
        refused = [each for each in self._authorizations(order) if each.status != VALID]
        if error is not None:
            problem = ProblemDocument(error.problem_type, error.detail)
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
    """Return an identifier's value for comparison: lower case, addresses normalized."""
    with suppress(ValueError):
        return str(ipaddress.ip_address(identifier.value))
    return identifier.value.lower().rstrip(".")


def growing_pauses(first: float = FIRST_PAUSE) -> Iterator[float]:
    """Yield growing pauses between polls, in seconds."""
    pause = first
    while True:
        yield pause
        pause = min(pause * PAUSE_GROWTH, MAX_PAUSE)
