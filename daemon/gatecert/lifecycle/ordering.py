"""Obtain a certificate: from which authority, with which key, replacing which certificate.

Authorities are asked in the order of the configuration, except those set aside after a refusal or
repeated failures (``schedule.failover``). If an authority is set aside now, the next one is asked
in the same pass; without a valid certificate, or with ``--force``, after the first failure. A new
certificate is declared to replace the one in use (RFC 9773) only at the authority that issued it.

The checks of ``doctor.preconditions`` run before an order. If one of them is certain to make the
order fail, no order is placed; if it concerns one authority only, the next one is asked.

After a failed validation the next attempt is made at the authority's staging directory first, if
one is known, so that a repeated failure does not count against the production limits.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.acme.order_journal import DryRunJournal, StoreJournal
from gatecert.acme.protocol import Authority
from gatecert.certificate import key
from gatecert.challenge.challenge_order import choose_challenges
from gatecert.deploy.parsed_versions import StoredCertificate
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
    DatabaseError,
    ForbiddenKeyError,
    GatecertError,
    InterruptedOrderError,
    LeaseLostError,
    OrderHeldError,
)
from gatecert.model import AuthorityFailure, Progress, Stage, Target
from gatecert.revocation.check_schedule import must_change_key
from gatecert.schedule.due import is_urgent
from gatecert.schedule.failover import (
    after_failure,
    after_success,
    authorities_to_try,
    recorded_failure,
    skipped_until,
)

if TYPE_CHECKING:
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import CertificateSummary, IssuedChain

logger = logging.getLogger(__name__)

# Findings that may concern one authority only
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
    """A finding that makes an order certain to fail.

    Attributes:
        again: How long until the check is repeated.
    """

    finding: Finding
    again: timedelta


@dataclass(frozen=True, slots=True)
class Ordering:
    """Obtains certificates.

    Attributes:
        authorities: By their name in the configuration.
        progress: Called at each step of an order.
        cancelled: Set when gatecert stops; an order in progress is kept and resumed later.
        obstacles: Finds what makes an order certain to fail.
    """

    authorities: Mapping[str, Authority]
    progress: Progress
    cancelled: threading.Event
    obstacles: Callable[[Target, str, StoredCertificate | None], Finding | None]

    def obtain(self, current: Pass) -> IssuedChain | Obstacle:
        """Obtain a certificate, or return what makes an order certain to fail.

        With ``--force``, the order in progress and earlier refusals are forgotten.

        Raises:
            GatecertError: No certificate was issued; from the last authority that was asked.
        """
        force = current.occasion.force
        known = [authority.name for authority in self.known(current)]
        if force:
            self.forget(current)
            current.update_enrolment(troubles=())
        urgent = force or is_urgent(current.situation, current.now())
        troubles = current.state.enrolment.troubles
        names = authorities_to_try(known, troubles, current.now(), urgent=urgent)
        failed: GatecertError | None = None
        for name, following in zip(names, (*names[1:], None), strict=True):
            try:
                issued = self._obtain_from(current, self.authorities[name])
            except (LeaseLostError, OrderHeldError, DatabaseError):
                raise  # no failure of this authority, and no reason to ask another
            except GatecertError as error:
                set_aside = self._record_failure(current, name, error, urgent=urgent)
                if not set_aside or following is None:
                    raise
                reason, failed = error.message, error
            else:
                if not isinstance(issued, Obstacle):
                    troubles = after_success(current.state.enrolment.troubles, name)
                    current.update_enrolment(troubles=troubles)
                    return issued
                of_one = issued.finding.code in OF_ONE_AUTHORITY
                if not of_one or (following is None and failed is None):
                    return issued
                reason = issued.finding.seen
                self._record_obstacle(current, name, issued)
                if following is None and failed is not None:
                    raise failed  # it may end sooner than the obstacle here
            logger.warning(
                "authority set aside gateway=%s name=%s %s", current.target.name, name, reason
            )
            current.tell(Stage.ORDER, f"{reason}; trying {following} instead")
        raise AssertionError("a loop over at least one authority returns or raises")

    def known(self, current: Pass) -> list[Authority]:
        """Return the authorities that a gateway may use, in order.

        Raises:
            AuthorityError: None is configured.
        """
        found = [self.authorities[name] for name in current.authorities]
        if not found:
            raise AuthorityError(
                f"gateway {current.target.name} has no CA to enrol with",
                fix="configure one below authorities",
            )
        return found

    def journal(self, current: Pass, *, second: bool = False) -> StoreJournal:
        """Open the journal of the order in progress, with the key to reuse if one is wanted.

        Args:
            current: The pass.
            second: Whether the order is for a pair's second certificate.
        """
        target = current.target
        if second and target.key.second is not None:
            target = replace(target, key=replace(target.key, type=target.key.second))
        private_key = _key_to_reuse(current, target) if target.key.reuse else None
        return StoreJournal(current.store, current, target, current.now, private_key, second=second)

    def forget(self, current: Pass) -> None:
        """Forget the order in progress and its keys."""
        if current.state.enrolment.second_order is not None:
            self.journal(current, second=True).forget()
        self.journal(current).forget()

    def obstacle(self, current: Pass, authority: Authority) -> Obstacle | None:
        """Check what makes an order certain to fail; change nothing.

        Raises:
            AuthorityError: The authority cannot be reached.
        """
        finding = self.obstacles(current.target, authority.name, current.wanted)
        return (
            Obstacle(finding, finding.recheck_after) if finding and finding.recheck_after else None
        )

    def dry_run(self, current: Pass, staging: Authority) -> IssuedChain:
        """Obtain a certificate from a staging directory and keep nothing of it.

        Raises:
            GatecertError: No certificate was issued.
        """
        return staging.obtain(
            _with_choices(current, current.target),
            DryRunJournal(current.store, current.target, current.now),
            progress=self.progress,
            cancelled=self.cancelled,
            now=current.now,
        )

    def _obtain_from(self, current: Pass, authority: Authority) -> IssuedChain | Obstacle:
        target, journal = current.target, self.journal(current)
        obstacle = self._obstacle_to_new_order(current, authority)
        if obstacle is not None:
            return obstacle
        trouble = recorded_failure(authority.name, current.state.enrolment.troubles, current.now())
        if trouble is not None and trouble.validation_failed and journal.pending() is None:
            self._try_staging(current, authority)
        current.tell(Stage.ORDER, f"ordering from {authority.name}")
        replaced = _issued_by(current, authority)
        issued = self._order(current, authority, target, journal, replaced)
        if target.key.second is None:
            return issued
        current.tell(Stage.ORDER, f"ordering the second certificate ({target.key.second})")
        second = replace(target, key=replace(target.key, type=target.key.second, second=None))
        replaced = replaced.second if replaced is not None else None
        journal = self.journal(current, second=True)
        return replace(issued, second=self._order(current, authority, second, journal, replaced))

    def _obstacle_to_new_order(self, current: Pass, authority: Authority) -> Obstacle | None:
        """Check for obstacles unless an order is in progress, which is resumed in any case."""
        order = current.state.enrolment.order
        if order is not None and order.authority == authority.name:
            return None
        obstacle = self.obstacle(current, authority)
        if obstacle is None:
            current.update_host(obstruction=None)
        return obstacle

    def _order(
        self,
        current: Pass,
        authority: Authority,
        target: Target,
        journal: StoreJournal,
        replaced: CertificateSummary | None,
    ) -> IssuedChain:
        """Place an order, or resume the one in progress; once more if the key is refused.

        Args:
            current: The pass.
            authority: Where to order.
            target: The gateway, with the type of key to use.
            journal: Keeps the order.
            replaced: The certificate that the new one replaces at this authority; None if none.
        """

        def attempt(journal: StoreJournal) -> IssuedChain:
            return authority.obtain(
                _with_choices(current, target),
                journal,
                replaces=replaced.certificate_id if replaced is not None else "",
                lifetime=replaced.lifetime if replaced is not None else None,
                progress=self.progress,
                cancelled=self.cancelled,
                now=current.now,
            )

        try:
            return attempt(journal)
        except ForbiddenKeyError as error:
            if journal.private_key is None:
                raise
            logger.warning("key refused, ordering with a new one gateway=%s %s", target.name, error)
            current.tell(Stage.ORDER, f"{error.message}; using a new key")
            return attempt(replace(journal, private_key=None))

    def _try_staging(self, current: Pass, authority: Authority) -> None:
        """Repeat a failed validation at the staging directory.

        Raises:
            ChallengeFailedError: It fails there as well.
            ChallengeError: A response cannot be presented.
            InterruptedOrderError: gatecert is stopping.
        """
        staging = authority.staging
        if staging is None:
            return
        current.tell(Stage.ORDER, f"the last validation failed: trying {staging.name} first")
        try:
            self.dry_run(current, staging)
        except (ChallengeFailedError, ChallengeError, InterruptedOrderError):
            raise
        except GatecertError as error:
            logger.warning(
                "staging attempt failed for another reason; continuing with production"
                " gateway=%s %s",
                current.target.name,
                error,
            )

    def _record_failure(
        self, current: Pass, name: str, error: GatecertError, *, urgent: bool
    ) -> bool:
        """Record a failure; return whether the authority is set aside for it."""
        known, now = current.last_known, current.now()
        troubles = after_failure(known.enrolment.troubles, name, error, now, urgent=urgent)
        current.save(replace(known, enrolment=replace(known.enrolment, troubles=troubles)))
        return skipped_until(name, troubles, now) is not None

    def _record_obstacle(self, current: Pass, name: str, obstacle: Obstacle) -> None:
        now = current.now()
        trouble = AuthorityFailure(name, now, 0, now + obstacle.again, obstacle.finding.seen)
        others = after_success(current.state.enrolment.troubles, name)
        current.update_enrolment(troubles=(*others, trouble))


def _key_to_reuse(current: Pass, target: Target) -> bytes | None:
    """Return the key (PEM) in use that has the wanted type, from either half of a pair."""
    stored = current.wanted
    if stored is None or stored.summary.is_bootstrap:
        return None
    if must_change_key(current.state.enrolment, stored.summary):
        return None
    halves = (False, True) if stored.summary.second is not None else (False,)
    keys = [current.store.private_key(stored.version, second=half) for half in halves]
    return next((each for each in keys if key.kind(key.load(each)) == target.key.type), None)


def _issued_by(current: Pass, authority: Authority) -> CertificateSummary | None:
    """Return the certificate to renew if this authority issued it."""
    in_use = current.in_use
    stored = next((each for each in current.inventory.stored if each.summary == in_use), None)
    return in_use if stored is not None and stored.version.authority == authority.name else None


def _with_choices(current: Pass, target: Target) -> Target:
    """Return the target with the challenge types to try for each name, after earlier failures."""
    return replace(target, choices=choose_challenges(target, current.state))
