"""What is known of gateways: their state on the disk, and what could not be written there.

A disk that cannot be written must not make gatecert forget within the process: what could not be
saved still counts until it can be, and the gateway is held back for a while. It gives way to what
a command has written meanwhile, an order above all. State that is there but cannot be read is not
taken for none: nothing is done and nothing written until it can be. An instant or an outcome is
worth only as much as the clock at the time, so nothing here trusts one far ahead.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Container
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.challenge.challenge_order import with_failures
from gatecert.deploy.deployer import Deployer
from gatecert.errors import (
    ACMEError,
    ChallengeError,
    ChallengeFailedError,
    GatecertError,
    InferiorCertificateError,
    RateLimitBudgetError,
    StorageError,
    UserActionRequiredError,
)
from gatecert.model import GatewayState, Mode, OrderBlocker, Origin, Outcome, OutcomeKind
from gatecert.resolve.region import excluded_region
from gatecert.revocation.check_schedule import is_final, revocation_state_of
from gatecert.schedule.due import (
    Situation,
    certificate_in_use,
    effective_retry_after,
    is_urgent,
    next_attempt,
    next_due,
    next_obstruction_check,
    next_watch,
    worse_certificate_pause,
)
from gatecert.schedule.failover import next_available
from gatecert.store.protocol import Store

if TYPE_CHECKING:
    from gatecert.deploy.inventory import Inventory, StoredCertificate
    from gatecert.doctor.finding import Finding
    from gatecert.model import Due, IssuedChain, Target

logger = logging.getLogger(__name__)

STORAGE_PAUSE = timedelta(seconds=30)
UNTIL_A_PERSON_ACTED = timedelta(days=1)  # who acts sooner says so: gatecert enroll --force


@dataclass(slots=True)
class GatewayStates:
    """The state of every gateway, and the outcomes that go into it.

    Attributes:
        now: Reads the clock.
        authorities: Names of those that can be asked.
        unsaved: Gateways whose state could not be written, so that ``known`` counts, and what the
            disk held when it was last read.
        held_back: Gateways for which nothing is tried before an instant, since nothing can be kept.
        known: State as it was last read or written.
    """

    store: Store
    deployer: Deployer
    now: Callable[[], datetime]
    excluded_regions: tuple[str, ...] = ("cn",)
    random: random.Random = field(default_factory=random.SystemRandom)
    authorities: Container[str] = ()
    unsaved: dict[str, GatewayState] = field(default_factory=dict)
    held_back: dict[str, datetime] = field(default_factory=dict)
    known: dict[str, GatewayState] = field(default_factory=dict)

    # ------------------------------------------------------------------ what is known

    def state(self, target: Target) -> GatewayState:
        """What is remembered of a gateway.

        Raises:
            StorageError: It is there but cannot be read.
        """
        self._give_way(target)
        if target.name not in self.unsaved:
            self.known[target.name] = self.store.state(target.name)
        return self.known[target.name]

    def last_known(self, target: Target) -> GatewayState:
        """The same, or what it was before, for a failure counts even where it cannot be read."""
        try:
            return self.state(target)
        except StorageError:
            return self.known.get(target.name, GatewayState())

    def save(self, target: Target, state: GatewayState, *, durably: bool = False) -> None:
        """Remember, on the disk or, while that is impossible, in this process.

        Raises:
            StorageError: It is remembered in this process only, and ``durably`` was asked for.
        """
        before = self.known.get(target.name, GatewayState())
        self.known[target.name] = state
        try:
            self.store.save_state(target.name, state)
        except StorageError as error:
            self.unsaved.setdefault(target.name, before)
            logger.error("state not saved gateway=%s error=%s", target.name, error)  # noqa: TRY400
            if durably:
                raise
        else:
            self.unsaved.pop(target.name, None)

    def save_at_last(self, target: Target) -> None:
        """Write what could not be written before."""
        self._give_way(target)
        if target.name in self.unsaved:
            self.save(target, self.known[target.name])

    def _give_way(self, target: Target) -> None:
        """Forget what could not be written where a command has written something since."""
        if target.name not in self.unsaved:
            return
        try:
            found = self.store.state(target.name)
        except StorageError:
            return
        if found not in (self.unsaved[target.name], self.known[target.name]):
            del self.unsaved[target.name]
            logger.warning("somebody else has changed the state gateway=%s", target.name)

    def inherit(self, before: GatewayStates) -> None:
        """Go on with what could not be written under the configuration before."""
        self.unsaved |= before.unsaved
        self.held_back |= before.held_back
        self.known |= before.known

    def accept_root(self, target: Target, root: str) -> None:
        """Take certificates from an untrusted root for trusted ones from now on.

        Args:
            target: The gateway.
            root: The root's name, RFC 4514 text.
        """
        logger.warning("accepts an untrusted root gateway=%s root=%s", target.name, root)
        state = self.state(target)
        self.save(target, replace(state, accepted_roots=(*state.accepted_roots, root)))

    def keep(self, target: Target, issued: IssuedChain) -> StoredCertificate:
        """Write a new version, durably, and read it back.

        Raises:
            StorageError: It cannot be written, or not be read back.
        """
        version = self.store.add_version(
            target.name, issued, now=self.now(), key_group=target.install.key_group
        )
        held = self.deployer.inventory(target).find(version.id)
        if held is None:
            raise StorageError(f"{version.directory}: what was written cannot be read back")
        return held

    def situation(self, target: Target, inventory: Inventory | None = None) -> Situation:
        """Everything that decides what a gateway needs; changes nothing."""
        inventory = inventory or self.deployer.inventory(target)
        wanted = inventory.wanted(self.now())
        return Situation(
            target=target,
            state=self.state(target),
            live=inventory.live.summary if inventory.live is not None else None,
            deployment=self.deployer.deployment(target, inventory),
            newest=wanted.summary if wanted is not None and wanted != inventory.live else None,
            issued=_issued(inventory),
            excluded_region=self.excluded_region(target),
        )

    def excluded_region(self, target: Target) -> str:
        """The region because of which there is no enrolment, where there would be one."""
        if target.mode is not Mode.AUTOMATIC:
            return ""
        return excluded_region(target, self.excluded_regions)

    def next_wake(self, target: Target) -> tuple[datetime, Due]:
        """When the gateway wants to be looked at again, and what is due next."""
        situation = self.situation(target)
        due = next_due(situation, self.now())
        watch = next_watch(situation, self.now())
        instants = [due.at, *([watch] if watch is not None else [])]
        if situation.state.next_look is not None:
            instants.append(situation.state.next_look)
        if situation.state.renewal is not None and certificate_in_use(situation) is not None:
            instants.append(situation.state.renewal.next_fetch)
        revocation_state = revocation_state_of(situation.state, certificate_in_use(situation))
        if (
            revocation_state is not None
            and revocation_state.next_look > self.now()
            and not is_final(revocation_state)
        ):
            instants.append(revocation_state.next_look)
        return min(instants), due

    # ------------------------------------------------------------------ outcomes

    def outcome(
        self, target: Target, kind: OutcomeKind, detail: str, *, code: str = "", fix: str = ""
    ) -> Outcome:
        """An outcome of now."""
        return Outcome(target.name, self.now(), kind, detail, code=code, fix=fix)

    def failure(self, target: Target, error: GatecertError) -> Outcome:
        """Count a failure and say when the next attempt comes.

        A disk that cannot be written is no failure of enrolment: it is tried again soon, and
        enrolment goes on where it was as soon as there is room. Of several authorities, the time
        that the last one asked for is not waited for where another may be asked before.
        """
        now = self.now()
        failed = self.outcome(
            target, OutcomeKind.FAILED, error.message, code=error.code, fix=error.fix
        )
        if isinstance(error, StorageError):
            self.held_back[target.name] = now + STORAGE_PAUSE
            return failed
        state = self.last_known(target)
        not_after = self._end_if_known(target)
        wait = _not_before(error, now, not_after)
        at = next_attempt(
            state.failures + 1,
            now=now,
            random=self.random,
            not_after=not_after,
            retry_after=self._until_any(target, state, wait) if wait is not None else None,
        )
        attempts = (
            error.attempts if isinstance(error, ChallengeError | ChallengeFailedError) else ()
        )
        self.save(
            target,
            replace(
                state,
                failures=state.failures + 1,
                failed_at=now,
                next_attempt=at,
                challenge_failures=with_failures(state.challenge_failures, attempts, now=now),
            ),
        )
        return failed

    def obstructed(self, target: Target, finding: Finding, again: timedelta) -> Outcome:
        """Remember what stands in the way of an order; no attempt was made, so none is counted."""
        now = self.now()
        in_use = certificate_in_use(self.situation(target))
        not_after = in_use.not_after if in_use is not None else None
        until = next_obstruction_check(again, now=now, not_after=not_after)
        state = replace(self.state(target), obstruction=OrderBlocker(finding.code, now, until))
        self.save(target, state)
        detail = f"{finding.seen}; {finding.meaning}"
        return self.outcome(target, OutcomeKind.FAILED, detail, code=finding.code, fix=finding.fix)

    def clear(self, target: Target) -> None:
        """Nothing stands in the way of an order any more."""
        state = self.state(target)
        if state.obstruction is not None:
            self.save(target, replace(state, obstruction=None))

    def postponed(self, target: Target, error: RateLimitBudgetError) -> Outcome:
        """Wait until an authority's limits allow more, which is no failure.

        Of several authorities, until any of them may be asked.
        """
        state, now = self.state(target), self.now()
        at = self._until_any(target, state, error.until)
        if at != error.until:
            end = self._end_if_known(target)
            soon = next_attempt(1, now=now, random=self.random, not_after=end)
            at = min(error.until, max(effective_retry_after(at, now, end), soon))
        self.save(target, replace(state, failed_at=now, next_attempt=at))
        return self.outcome(
            target, OutcomeKind.WAITING, error.message, code=error.code, fix=error.fix
        )

    def _until_any(self, target: Target, state: GatewayState, until: datetime) -> datetime:
        """The instant that an authority asked for, or when another may be asked before it."""
        names = [name for name in target.authorities if name in self.authorities]
        if len(names) <= 1:
            return until
        try:
            urgent = is_urgent(self.situation(target), self.now())
        except StorageError:
            urgent = False
        return min(until, next_available(names, state.troubles, self.now(), urgent=urgent))

    def _end_if_known(self, target: Target) -> datetime | None:
        try:
            in_use = certificate_in_use(self.situation(target))
        except StorageError:
            return None
        return in_use.not_after if in_use is not None else None

    def is_held_back(self, target: Target) -> bool:
        """Whether nothing should be tried for now, because nothing could be kept."""
        until = self.held_back.get(target.name)
        return until is not None and self.now() < until <= self.now() + STORAGE_PAUSE

    def remember(self, target: Target, outcome: Outcome) -> Outcome:
        """Complete an outcome with what comes next, and keep it if it is news."""
        try:
            wake, due = self.next_wake(target)
            if self.is_held_back(target):
                wake = max(wake, self.held_back[target.name])
            outcome = replace(
                outcome,
                next_action=f"{due.action}: {due.reason}",
                next_at=max(wake, due.at),
                wake_at=wake,
            )
            if outcome.kind is not OutcomeKind.IDLE:
                self.save(target, replace(self.state(target), outcome=outcome))
        except StorageError as error:
            logger.error("state not read gateway=%s error=%s", target.name, error)  # noqa: TRY400
            again = self.now() + STORAGE_PAUSE
            outcome = replace(
                outcome, next_action="none: the state is read again", next_at=again, wake_at=again
            )
        return outcome


def _not_before(error: GatecertError, now: datetime, not_after: datetime | None) -> datetime | None:
    """The instant before which another attempt is certain to fail, or is unwelcome."""
    if isinstance(error, InferiorCertificateError):  # the CA issues them, and counts them
        return now + worse_certificate_pause(now, not_after)
    if isinstance(error, UserActionRequiredError):
        return max(now + UNTIL_A_PERSON_ACTED, error.retry_after or now)
    return error.retry_after if isinstance(error, ACMEError) else None


def _issued(inventory: Inventory) -> tuple[datetime, ...]:
    """When a CA issued the certificates that are kept, in use or not, the newest first."""
    return tuple(
        held.version.created
        for held in inventory.held
        if held.version.origin is Origin.AUTHORITY and held.version.created is not None
    )
