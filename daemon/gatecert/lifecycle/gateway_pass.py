"""A pass over one gateway: everything that it knows, gathered once under the gateway's lock.

``state.json`` and the inventory of versions are read when they are first needed, handed down to
every stage, and refreshed after each write. No stage reads them again.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Callable, Container
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import timedelta
from enum import IntEnum
from functools import partial
from typing import TYPE_CHECKING

from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.client_ca_deployer import ClientCADeployer
from gatecert.deploy.certificate_deployer import CertificateDeployer
from gatecert.deploy.deployer import DeployTools
from gatecert.errors import DatabaseAwayError, LeaseLostError, StorageError, WorkerLostError
from gatecert.lifecycle import wake
from gatecert.lifecycle.state_cache import STORAGE_PAUSE, StateCache
from gatecert.model import (
    EnrolmentState,
    GatewayState,
    Mode,
    Origin,
    Outcome,
    OutcomeKind,
    Stage,
    Target,
    with_outcome,
)
from gatecert.resolve.region import excluded_region
from gatecert.schedule.due import Situation, certificate_in_use, next_due
from gatecert.schedule.reserve import may_be_used
from gatecert.store.kept_files import KeptFiles

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager
    from datetime import datetime

    from cryptography.x509 import Certificate

    from gatecert.deploy.inventory import Inventory
    from gatecert.deploy.parsed_versions import StoredCertificate
    from gatecert.model import CertificateSummary, Due, IssuedChain, Message, RollOutWait
    from gatecert.store.protocol import HostStore, Lease

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """The occasion of a pass.

    Attributes:
        force: Order a new certificate whether or not one is due.
        look_now: Look up names, renewal information, CRLs, client CAs and their users at once.
        deploy_now: Retry a failed deployment at once.
        accept_untrusted: Accept a root that is not trusted, even in place of a trusted one.
        wait: Seconds to wait for another process that is changing the gateway.
    """

    force: bool = False
    look_now: bool = False
    deploy_now: bool = False
    accept_untrusted: bool = False
    wait: float = 0.0


ROUTINE = Occasion()
UNFINISHED_PAUSE = timedelta(minutes=1)
IN_ORDER_AGAIN = "what had failed is in order again"


class Weight(IntEnum):
    """The weight of an outcome: a pass reports its heaviest outcome, and the last of equals."""

    CLIENT_CA = 1
    WATCH = 2
    DEPLOYMENT = 3
    ENROLMENT = 4
    EXCHANGE = 5


@dataclass(frozen=True, slots=True)
class PassContext:
    """The context of all passes of this process.

    Attributes:
        tools: For deployments; also the store, the clock and the progress of everything else.
        states: The state of every gateway.
        authorities: Names of the configured authorities.
        new_deployer: Makes the deployer of one pass.
        bundles: The bundles of client CAs that this process has read.
    """

    tools: DeployTools
    states: StateCache
    excluded_regions: tuple[str, ...] = ("cn",)
    random: random.Random = field(default_factory=random.SystemRandom)
    authorities: Container[str] = ()
    new_deployer: Callable[[DeployTools, Target, EnrolmentState], CertificateDeployer] = (
        CertificateDeployer
    )
    bundles: KeptFiles[Bundle] = field(default_factory=KeptFiles)

    def open(self, target: Target, occasion: Occasion = ROUTINE) -> Pass:
        """Begin a pass; nothing is read yet."""
        return Pass(self, target, occasion)


class NoLease:
    """The lease of a pass that holds none."""

    def check(self) -> None:
        """Refuse.

        Raises:
            LeaseLostError: Always.
        """
        raise LeaseLostError("this pass may not order: it does not hold the gateway's lease")


class Pass:
    """Everything that one pass over one gateway knows.

    Args:
        context: What all passes share.
        target: The gateway.
        occasion: What called for the pass.

    Attributes:
        outcomes: How each stage ended, in order.
        is_unfinished: Whether an error ended the pass before its last stage.
        is_complete: Whether every stage has ended, which a command that does one thing never says.
        client_cas_failed: Whether the client CAs could not be looked after.
        lease: The right to order, which is held in `ordering` only.
    """

    def __init__(self, context: PassContext, target: Target, occasion: Occasion) -> None:
        self.context = context
        self.target = target
        self.occasion = occasion
        self.outcomes: list[tuple[Weight, Outcome]] = []
        self.is_unfinished = False
        self.is_complete = False
        self.client_cas_failed = False
        self.lease: Lease = NoLease()
        # In Python 3.11, a cached_property lets only one pass at a time fill it.
        self._state: GatewayState | None = None
        self._deployer: CertificateDeployer | None = None
        self._client_cas: ClientCADeployer | None = None

    def now(self) -> datetime:
        """Read the clock; orders and deployments take minutes."""
        return self.context.tools.now()

    def tell(self, stage: Stage, message: Message) -> None:
        """Report progress, one line."""
        self.context.tools.progress(self.target.name, stage, message)

    def lock(self, purpose: str) -> AbstractContextManager[None]:
        """Hold the gateway's lock while changing it; wait as long as the occasion allows.

        Raises:
            LockTimeoutError: The other holder took longer.
        """
        return self.store.lock_gateway(
            self.target.name,
            purpose,
            wait=self.occasion.wait,
            tell=partial(self.tell, Stage.LOCK),
            cancelled=self.context.tools.cancelled,
        )

    @contextmanager
    def ordering(self) -> Iterator[None]:
        """Hold the gateway's lease: no other host orders for it meanwhile.

        Without the database, the order that is reserved for this host may be placed in the end.

        Raises:
            LeaseLostError: Another host holds it, or has changed the state since it was read.
            DatabaseError: The database is away, and nothing may be ordered without it.
        """
        with ExitStack() as held:
            try:
                self.lease = held.enter_context(self.store.lease(self.target.name))
            except DatabaseAwayError:
                reserved = self._reserved_lease()
                if reserved is None:
                    raise
                self.lease = held.enter_context(reserved)
                self.tell(Stage.ORDER, "the database is away: placing the reserved order")
            try:
                yield
            finally:
                self.lease = NoLease()

    def _reserved_lease(self) -> AbstractContextManager[Lease] | None:
        in_use = self.in_use
        if in_use is None or not may_be_used(self.state.host.database, in_use, self.now()):
            return None
        return self.store.reserved_lease(self.target.name, in_use.certificate_id)

    @property
    def store(self) -> HostStore:
        """The store of versions, requests and accounts."""
        return self.context.tools.store

    @property
    def random(self) -> random.Random:
        """Source of jitter."""
        return self.context.random

    @property
    def authorities(self) -> list[str]:
        """Names of the authorities that the gateway may use and that are configured, in order."""
        known = self.context.authorities
        return [name for name in self.target.authorities if name in known]

    @property
    def roots(self) -> tuple[Certificate, ...]:
        """The roots that are trusted for the gateway."""
        return self.context.tools.roots(self.target)

    # ------------------------------------------------------------------ state

    @property
    def state(self) -> GatewayState:
        """The gateway's state.

        Raises:
            StorageError: It exists but cannot be read.
        """
        if self._state is None:
            self._state = self.context.states.load(self.target.name)
        return self._state

    @property
    def last_known(self) -> GatewayState:
        """The state, or what it was when it could last be read."""
        try:
            return self.state
        except StorageError:
            return self.context.states.last_known(self.target.name)

    def save(self, state: GatewayState, *, durably: bool = False) -> None:
        """Save the state if it changed.

        Raises:
            StorageError: It is saved in this process only, and ``durably`` is asked for.
        """
        if state == self._state and not durably:
            return
        self._state = state
        if self._deployer is not None:
            inventory = self._deployer.inventory
            self._deployer.inventory = inventory.with_enrolment(state.enrolment)
            self._deployer.waiting = self._waiting
        self.context.states.save(self.target.name, state, durably=durably)

    def save_enrolment(self, enrolment: EnrolmentState, *, durably: bool = False) -> None:
        """Save the part of the state that hosts share, if it changed; see `save`."""
        self.save(replace(self.state, enrolment=enrolment), durably=durably)

    def update_enrolment(self, **changes: object) -> None:
        """Change fields of the part of the state that hosts share, and save it."""
        self.save_enrolment(replace(self.state.enrolment, **changes))  # type: ignore[arg-type]

    def update_host(self, **changes: object) -> None:
        """Change fields of the part of the state that is this host's, and save it."""
        host = replace(self.state.host, **changes)  # type: ignore[arg-type] # names of its fields
        self.save(replace(self.state, host=host))

    def retry_save(self) -> None:
        """Save what a pass before could not save."""
        self.context.states.retry(self.target.name)

    def hold_back(self) -> None:
        """Try nothing for a while, since no result could be stored."""
        self.context.states.hold_back(self.target.name)

    @property
    def held_back_until(self) -> datetime | None:
        """The instant before which nothing is tried; None if there is none."""
        return self.context.states.held_back_until(self.target.name)

    # ------------------------------------------------------------------ certificates

    @property
    def deployer(self) -> CertificateDeployer:
        """Deploys versions; holds the inventory of this pass."""
        if self._deployer is None:
            tools, enrolment = self.context.tools, self._readable_enrolment
            self._deployer = self.context.new_deployer(tools, self.target, enrolment)
            self._deployer.waiting = self._waiting
        return self._deployer

    @property
    def client_cas(self) -> ClientCADeployer:
        """Deploys bundles of client CAs."""
        if self._client_cas is None:
            bundles = self.context.bundles
            self._client_cas = ClientCADeployer(self.context.tools, self.target, bundles)
        return self._client_cas

    @property
    def inventory(self) -> Inventory:
        """The versions of the gateway."""
        return self.deployer.inventory

    @property
    def live(self) -> StoredCertificate | None:
        """The version that ``live`` leads to; None if it leads to no usable one."""
        return self.inventory.live

    @property
    def wanted(self) -> StoredCertificate | None:
        """The version that ought to be served; None if there is none."""
        return self.deployer.wanted

    @property
    def in_turn(self) -> StoredCertificate | None:
        """The version to serve here for now: the wanted one, unless it waits for its turn."""
        return self.deployer.in_turn

    @property
    def in_use(self) -> CertificateSummary | None:
        """The certificate that renewal is about; None if there is only a self-signed one."""
        return certificate_in_use(self.situation)

    @property
    def _readable_enrolment(self) -> EnrolmentState:
        """The state of enrolment; empty if it cannot be read: certificates count without it."""
        try:
            return self.state.enrolment
        except StorageError:
            return EnrolmentState()

    @property
    def wait(self) -> RollOutWait | None:
        """The reason why the newest generation is not installed here now; None if it may be."""
        try:
            wait = self.state.host.roll_out
        except StorageError:
            return None
        return wait if wait is not None and self.now() < wait.until else None

    @property
    def _waiting(self) -> int:
        """The generation that waits for its turn on this host; zero if none does."""
        return self.wait.generation if self.wait is not None else 0

    def keep(self, issued: IssuedChain) -> StoredCertificate:
        """Write a new version durably and read it back.

        Raises:
            StorageError: It cannot be written or not be read back.
        """
        version = self.store.add_version(
            self.target.name, issued, now=self.now(), key_group=self.target.install.key_group
        )
        stored = self.deployer.take_inventory(self._readable_enrolment).find(version.id)
        if stored is None:
            path = self.store.version_directory(version)
            raise StorageError(f"{path}: the new version cannot be read back")
        return stored

    def accept_root(self, root: str) -> None:
        """Accept certificates from an untrusted root from now on.

        Args:
            root: The root's name, RFC 4514 text.
        """
        logger.warning("accepts an untrusted root gateway=%s root=%s", self.target.name, root)
        self.update_enrolment(accepted_roots=(*self.state.enrolment.accepted_roots, root))

    # ------------------------------------------------------------------ what is due

    @property
    def situation(self) -> Situation:
        """Everything that decides what is due."""
        wanted, inventory = self.wanted, self.inventory
        live = inventory.live
        return Situation(
            target=self.target,
            state=self.state,
            live=live.summary if live is not None else None,
            deployment=self.deployer.deployment,
            newest=wanted.summary if wanted is not None and wanted != live else None,
            issued=_issued(inventory),
            excluded_region=self.excluded_region,
        )

    @property
    def excluded_region(self) -> str:
        """The region for which the gateway is not enrolled; empty if it is."""
        if self.target.mode is not Mode.AUTOMATIC:
            return ""
        return excluded_region(self.target, self.context.excluded_regions)

    def next_wake(self) -> tuple[datetime, Due]:
        """Return when the next pass has to begin, and what is due next."""
        situation, now = self.situation, self.now()
        due, until = next_due(situation, now), self.held_back_until
        if until is not None:
            return until, due
        if self.is_unfinished:
            return now + UNFINISHED_PAUSE, due
        instants = [due.at, *wake.looks(situation, self.inventory, now)]
        if self.renewal_info_due is not None:
            instants.append(self.renewal_info_due)
        if self.client_cas_failed:
            instants.append(now + wake.CLIENT_CA_RETRY)
        else:
            instants += wake.client_cas(self.client_cas, now)
        return min(instants), due

    @property
    def renewal_info_due(self) -> datetime | None:
        """When to fetch renewal information (RFC 9773); None if there is none to fetch."""
        stored = self.wanted
        if stored is None or not self._has_renewal_info(stored):
            return None
        return wake.renewal_info(self.state.enrolment, stored.summary, self.now())

    def _has_renewal_info(self, stored: StoredCertificate) -> bool:
        """Tell whether a CA is asked when to renew this version (RFC 9773)."""
        return (
            self.target.mode is Mode.AUTOMATIC
            and self.target.renewal.renewal_info
            and bool(stored.summary.certificate_id)
            and stored.version.authority in self.context.authorities
            and not self.excluded_region
        )

    # ------------------------------------------------------------------ outcomes

    def outcome(self, kind: OutcomeKind, detail: str, *, code: str = "", fix: str = "") -> Outcome:
        """Make an outcome of this instant."""
        return Outcome(self.target.name, self.now(), kind, detail, code=code, fix=fix)

    def add(self, weight: Weight, outcome: Outcome | None) -> None:
        """Add the outcome of a stage; None adds nothing."""
        if outcome is not None:
            self.outcomes.append((weight, outcome))

    @property
    def heaviest(self) -> Outcome | None:
        """The outcome to report; None if no stage did anything."""
        found = max(reversed(self.outcomes), key=lambda each: each[0], default=None)
        return found[1] if found is not None else None

    def finish(self, outcome: Outcome) -> Outcome:
        """Complete an outcome with what comes next, and save it unless nothing was done."""
        try:
            at, due = self.next_wake()
            outcome = replace(
                outcome,
                next_action=f"{due.action}: {due.reason}",
                next_at=max(at, due.at),
                wake_at=at,
            )
            last = self.state.host
            if outcome.kind is not OutcomeKind.IDLE:
                history = with_outcome(last.history, outcome)
                self.update_host(outcome=outcome, history=history)
            elif last.outcome and last.outcome.kind is OutcomeKind.FAILED and self.is_complete:
                is_lost = last.outcome.code == WorkerLostError.code
                if is_lost:
                    self._forget_loss(last.outcome)
                if is_lost or (due.at > self.now() and not self._still_fails):
                    well = replace(outcome, detail=IN_ORDER_AGAIN)
                    self.update_host(outcome=well, history=with_outcome(last.history, well))
            if self.context.states.is_unsaved(self.target.name):
                again = min(at, self.now() + STORAGE_PAUSE)
                outcome = replace(outcome, wake_at=again)
        except StorageError as error:
            logger.error("state not read gateway=%s error=%s", self.target.name, error)  # noqa: TRY400
            again = self.now() + STORAGE_PAUSE
            action = "none: the state is read again"
            outcome = replace(outcome, next_action=action, next_at=again, wake_at=again)
        return outcome

    @property
    def _still_fails(self) -> bool:
        """Tell whether an attempt, a check or a deployment that failed is still to be repeated."""
        state, records = self.state, (self.deployer.record, self.client_cas.record)
        waits = state.host.obstruction is not None or state.host.database is not None
        unproven = any(each.value is not None and each.value.error for each in records)
        return waits or unproven or state.enrolment.failures > 0

    def _forget_loss(self, lost: Outcome) -> None:
        """Forget the loss of a process: nothing was due, so it has had no consequence.

        An attempt that has failed since, on another host, counts on.
        """
        if self.state.enrolment.failed_at == lost.at:
            self.update_enrolment(failures=0, failed_at=None, next_attempt=None)


def _issued(inventory: Inventory) -> tuple[datetime, ...]:
    """Return when an authority issued the stored certificates, newest first."""
    return tuple(
        each.version.created
        for each in inventory.stored
        if each.version.origin is Origin.AUTHORITY and each.version.created is not None
    )
