"""From a gateway that is due to a certificate: which authority, with which key, replacing what.

The first authority of the configuration that was not left for its refusals or failures is asked
(``schedule.failover``); when it is left now, the next one is asked at once, in the same pass: after
its first failure where there is no certificate to go on with, or the operator wants one now. What
an authority has issued is its own affair: only there is a new certificate said to replace it
(RFC 9773).

What an order is certain to fail of is looked for first, and nothing is placed where it is found
(``doctor.preconditions``). An obstacle that only one authority has is a reason to ask the next.

After a validation has failed, the next attempt is made at the authority's staging directory first,
if one is known: what fails there is not asked for in earnest, where failures are counted.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.acme.order_journal import DryRunJournal, StoreJournal
from gatecert.acme.protocol import Authority
from gatecert.certificate import key
from gatecert.challenge.challenge_order import choose_challenges
from gatecert.deploy.inventory import StoredCertificate
from gatecert.doctor.codes import (
    BINDING_MISSING,
    CAA_FORBIDS,
    PROFILE_MISSING,
    RECORD_NOT_VISIBLE,
    TERMS_NOT_AGREED,
)
from gatecert.doctor.finding import Finding
from gatecert.errors import (
    AuthorityError,
    ChallengeError,
    ChallengeFailedError,
    ForbiddenKeyError,
    GatecertError,
    InterruptedOrderError,
)
from gatecert.lifecycle.gateway_state import GatewayStates
from gatecert.model import AuthorityFailure, Progress, Stage, Target
from gatecert.revocation.check_schedule import must_change_key
from gatecert.schedule.due import certificate_in_use, is_urgent
from gatecert.schedule.failover import (
    after_failure,
    after_success,
    authorities_to_try,
    current_trouble,
    skipped_until,
)

if TYPE_CHECKING:
    from gatecert.model import CertificateSummary, IssuedChain
    from gatecert.schedule.due import Situation

logger = logging.getLogger(__name__)

# Obstacles that another authority need not have.
OF_ONE_AUTHORITY = {
    code.name
    for code in (
        BINDING_MISSING,
        CAA_FORBIDS,
        PROFILE_MISSING,
        RECORD_NOT_VISIBLE,
        TERMS_NOT_AGREED,
    )
}


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands in the way of an order.

    Attributes:
        again: How long until it is looked for again.
    """

    finding: Finding
    again: timedelta


@dataclass(frozen=True, slots=True)
class Ordering:
    """Obtains certificates from whichever authority stands.

    Attributes:
        authorities: By their name in the configuration.
        cancelled: Set when the process has to leave; an order is then left to be resumed.
        obstacles: Finds what an order is certain to fail of, before it is placed.
    """

    memory: GatewayStates
    authorities: Mapping[str, Authority]
    progress: Progress
    now: Callable[[], datetime]
    cancelled: threading.Event
    obstacles: Callable[[Target, str, StoredCertificate | None], Finding | None]

    def obtain(
        self, target: Target, situation: Situation, *, afresh: bool
    ) -> IssuedChain | Obstacle:
        """Obtain a certificate, or say what stands in the way.

        Args:
            target: What for.
            situation: What there is.
            afresh: Whether to forget the order under way and what authorities have refused before.

        Raises:
            GatecertError: There is none; of the last authority that could be asked for one.
        """
        known = [authority.name for authority in self.known(target)]
        if afresh:
            self.forget(target)
            self.memory.save(target, replace(self.memory.state(target), troubles=()))
        urgent = afresh or is_urgent(situation, self.now())
        names = authorities_to_try(
            known, self.memory.state(target).troubles, self.now(), urgent=urgent
        )
        failed: GatecertError | None = None
        for name, following in zip(names, (*names[1:], None), strict=True):
            try:
                issued = self._obtain_from(self.authorities[name], target, situation)
            except GatecertError as error:
                left = self._note_failure(target, name, error, urgent=urgent)
                if not left or following is None:
                    raise
                reason, failed = error.message, error
            else:
                if not isinstance(issued, Obstacle):
                    self._note_success(target, name)
                    return issued
                of_one = issued.finding.code in OF_ONE_AUTHORITY
                if not of_one or (following is None and failed is None):
                    return issued
                reason = issued.finding.seen
                self._note_obstacle(target, name, issued)
                if following is None and failed is not None:
                    raise failed  # which may be over sooner than what stands in the way here
            logger.warning("authority left gateway=%s name=%s %s", target.name, name, reason)
            self._tell(target, f"{reason}; {following} is asked instead")
        raise AssertionError("a loop over at least one authority returns or raises")

    def known(self, target: Target) -> list[Authority]:
        """The authorities that a gateway may use, in their order.

        Raises:
            AuthorityError: There is none.
        """
        found = [self.authorities[name] for name in target.authorities if name in self.authorities]
        if not found:
            raise AuthorityError(
                f"gateway {target.name} has no authority to enrol with",
                fix="name one in the configuration below authorities",
            )
        return found

    def forget(self, target: Target) -> None:
        """What is under way is of no more use."""
        if self.memory.state(target).second_order is not None:
            self.journal(target, second=True).forget()
        self.journal(target).forget()

    def journal(self, target: Target, *, second: bool = False) -> StoreJournal:
        """Where the order is kept, with the key to go on using where that is wanted.

        Args:
            target: What the order is for.
            second: Whether it is that of a pair's second certificate.
        """
        if second and target.key.second is not None:
            target = replace(target, key=replace(target.key, type=target.key.second))
        private_key = self._key_to_keep(target) if target.key.reuse else None
        return StoreJournal(
            self.memory.store, self.memory, target, self.now, private_key, second=second
        )

    def _key_to_keep(self, target: Target) -> bytes | None:
        """The key (PEM) in use that is of the type that is wanted, from either half of a pair."""
        held = self.memory.deployer.inventory(target).wanted(self.now())
        if (
            held is None
            or held.summary.is_bootstrap
            or must_change_key(self.memory.state(target), held.summary)
        ):
            return None
        halves = (False, True) if held.summary.second is not None else (False,)
        keys = [self.memory.store.private_key(held.version, second=half) for half in halves]
        return next((each for each in keys if key.kind(key.load(each)) == target.key.type), None)

    def _obtain_from(
        self, authority: Authority, target: Target, situation: Situation
    ) -> IssuedChain | Obstacle:
        journal = self.journal(target)
        obstacle = self._obstacle(target, authority)
        if obstacle is not None:
            return obstacle
        trouble = current_trouble(authority.name, situation.state.troubles, self.now())
        if trouble is not None and trouble.validation_failed and journal.pending() is None:
            self._dry_run(authority, target)
        self._tell(target, f"ordering from {authority.name}")
        held = self._in_use(target, situation)
        theirs = held is not None and held.version.authority == authority.name
        in_use = held.summary if held is not None and theirs else None
        issued = self._place(authority, target, journal, in_use)
        if target.key.second is None:
            return issued
        self._tell(target, f"ordering the second certificate ({target.key.second})")
        second = replace(target, key=replace(target.key, type=target.key.second, second=None))
        in_use = in_use.second if in_use is not None else None
        of_second = self.journal(target, second=True)
        return replace(issued, second=self._place(authority, second, of_second, in_use))

    def _place(
        self,
        authority: Authority,
        target: Target,
        journal: StoreJournal,
        in_use: CertificateSummary | None,
    ) -> IssuedChain:
        """Bring an order to its end; the one that is under way, if there is one.

        Args:
            authority: Whom to ask.
            target: What for.
            journal: Where the order is remembered.
            in_use: The certificate that it replaces, if the same authority has issued that.
        """
        try:
            return self._obtain(authority, target, journal, in_use)
        except ForbiddenKeyError as error:
            if journal.private_key is None:
                raise
            logger.warning("key refused, ordered with a new one gateway=%s %s", target.name, error)
            self._tell(target, f"{error.message}; a new key is used")
            return self._obtain(authority, target, replace(journal, private_key=None), in_use)

    def _obtain(
        self,
        authority: Authority,
        target: Target,
        journal: StoreJournal,
        in_use: CertificateSummary | None,
    ) -> IssuedChain:
        return authority.obtain(
            self._with_choices(target),
            journal,
            replaces=in_use.certificate_id if in_use is not None else "",
            lifetime=in_use.lifetime if in_use is not None else None,
            progress=self.progress,
            cancelled=self.cancelled,
            now=self.now,
        )

    def obstacle(self, target: Target, authority: Authority) -> Obstacle | None:
        """What an order is certain to fail of; changes nothing.

        Raises:
            AuthorityError: The authority cannot be reached.
        """
        held = self.memory.deployer.inventory(target).wanted(self.now())
        finding = self.obstacles(target, authority.name, held)
        return (
            Obstacle(finding, finding.recheck_after) if finding and finding.recheck_after else None
        )

    def dry_run(self, staging: Authority, target: Target) -> IssuedChain:
        """Obtain a certificate of which nothing is kept.

        Raises:
            GatecertError: There is none.
        """
        return staging.obtain(
            self._with_choices(target),
            DryRunJournal(target, self.now),
            progress=self.progress,
            cancelled=self.cancelled,
            now=self.now,
        )

    def _obstacle(self, target: Target, authority: Authority) -> Obstacle | None:
        """The same; an order that is under way is taken up in any case."""
        order = self.memory.state(target).order
        if order is not None and order.authority == authority.name:
            return None
        obstacle = self.obstacle(target, authority)
        if obstacle is None:
            self.memory.clear(target)
        return obstacle

    def _dry_run(self, authority: Authority, target: Target) -> None:
        """Try at the staging directory what has failed in earnest.

        Raises:
            ChallengeFailedError: It fails there too.
            ChallengeError: A response cannot be presented.
            InterruptedOrderError: gatecert is stopping.
        """
        staging = authority.staging
        if staging is None:
            return
        self._tell(target, f"the last validation failed: trying at {staging.name} first")
        try:
            self.dry_run(staging, target)
        except (ChallengeFailedError, ChallengeError, InterruptedOrderError):
            raise
        except GatecertError as error:
            logger.warning("staging of no use gateway=%s %s", target.name, error)

    def _with_choices(self, target: Target) -> Target:
        """The same, with the challenge types to try for each name after what has failed."""
        return replace(target, choices=choose_challenges(target, self.memory.state(target)))

    def _in_use(self, target: Target, situation: Situation) -> StoredCertificate | None:
        """The version whose certificate is to be renewed."""
        summary = certificate_in_use(situation)
        held = self.memory.deployer.inventory(target).held
        return next((one for one in held if one.summary == summary), None)

    def _note_failure(
        self, target: Target, name: str, error: GatecertError, *, urgent: bool
    ) -> bool:
        """Remember a failure; whether the authority is left for it."""
        state, now = self.memory.last_known(target), self.now()
        troubles = after_failure(state.troubles, name, error, now, urgent=urgent)
        if troubles != state.troubles:
            self.memory.save(target, replace(state, troubles=troubles))
        return skipped_until(name, troubles, now) is not None

    def _note_obstacle(self, target: Target, name: str, obstacle: Obstacle) -> None:
        state, now = self.memory.state(target), self.now()
        until = now + obstacle.again
        trouble = AuthorityFailure(name, now, 0, until, obstacle.finding.seen)
        troubles = (*after_success(state.troubles, name), trouble)
        self.memory.save(target, replace(state, troubles=troubles))

    def _note_success(self, target: Target, name: str) -> None:
        state = self.memory.state(target)
        troubles = after_success(state.troubles, name)
        if troubles != state.troubles:
            self.memory.save(target, replace(state, troubles=troubles))

    def _tell(self, target: Target, message: str) -> None:
        self.progress(target.name, Stage.ORDER, message)
