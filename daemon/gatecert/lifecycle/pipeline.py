"""The story of a pass: config → due → resolve → order → install → verify → report.

This module alone knows the order of the stages. Each path reads like the sentence above:

- ``_bootstrap``: nothing usable is there → a self-signed certificate, in place at once.
- ``_enrol``: due → the names point here → nothing is in the way → ordered → installed → proven.
- ``import_certificate``: handed in → checked → installed → proven (``certificate_import.py``).
- ``_put_right``: proven once, and now something else is served → reloaded → proven again.
- ``_deploy``: installed → reloaded → proven, the best certificate staying in place
  (``deploy/deployer.py``).

It alone turns an error into an `Outcome`; what one gateway suffers never reaches another. A failed
deployment is retried by itself and never costs an order.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from gatecert.acme.protocol import Authority
from gatecert.certificate.bootstrap import bootstrap
from gatecert.certificate.comparison import rejection_of
from gatecert.client_ca.client_ca_deployer import ClientCADeployer
from gatecert.deploy.deployer import Deployer
from gatecert.deploy.inventory import StoredCertificate
from gatecert.doctor.codes import BY_RESOLUTION
from gatecert.doctor.finding import Finding
from gatecert.doctor.preconditions import no_preconditions
from gatecert.errors import (
    DeploymentError,
    GatecertError,
    InterruptedOrderError,
    RateLimitBudgetError,
    StorageError,
)
from gatecert.lifecycle.certificate_import import CertificateImport
from gatecert.lifecycle.client_cas import ClientCAs
from gatecert.lifecycle.dry_run import DryRun
from gatecert.lifecycle.gateway_state import GatewayStates
from gatecert.lifecycle.observation import Observer
from gatecert.lifecycle.ordering import Obstacle, Ordering
from gatecert.lifecycle.revocation_watch import RevocationWatch
from gatecert.model import (
    Action,
    Due,
    Mode,
    Outcome,
    OutcomeKind,
    Progress,
    Stage,
    Target,
)
from gatecert.resolve.lookup import AddressResolver
from gatecert.resolve.region import exclusion_reason
from gatecert.revocation.crl_lookup import RevocationLookup
from gatecert.schedule.due import (
    Situation,
    certificate_in_use,
    is_renewal,
    next_due,
)
from gatecert.store.protocol import Store
from gatecert.time_format import day, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.certificate.upload import Upload
    from gatecert.model import Deployment

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Occasion:
    """What called for a pass.

    Attributes:
        force: Order a new certificate whether or not one is due.
        look_now: Ask DNS and the authority's renewal information again at once.
        deploy_now: Do not wait to bring a certificate onto the gateway that it has not taken.
        accept_untrusted: Take a certificate whose root nobody expects, even in place of a trusted
            one.
        wait: Seconds to wait for somebody else who is changing the gateway.
    """

    force: bool = False
    look_now: bool = False
    deploy_now: bool = False
    accept_untrusted: bool = False
    wait: float = 0.0


@dataclass(slots=True)
class Pipeline:
    """Runs passes over gateways; safe to use from several threads, one gateway each.

    Attributes:
        authorities: By their name in the configuration.
        cancelled: Set when the process has to leave; an order is then left to be resumed.
        obstacles: Finds what an order is certain to fail of, before it is placed.
        lists: Looks certificates up in revocation lists; None looks nowhere.
        memory: What is known of the gateways.
        client_authorities: Looks after the authorities of users' certificates.
        ordering: Obtains certificates.
        observer: Looks at names, renewal information and ends.
        revocation: Looks whether certificates were revoked.
    """

    store: Store
    deployer: Deployer
    resolver: AddressResolver
    authorities: Mapping[str, Authority]
    progress: Progress
    now: Callable[[], datetime]
    look_interval: timedelta = timedelta(seconds=30)
    excluded_regions: tuple[str, ...] = ("cn",)
    cancelled: threading.Event = field(default_factory=threading.Event)
    random: random.Random = field(default_factory=random.SystemRandom)
    obstacles: Callable[[Target, str, StoredCertificate | None], Finding | None] = no_preconditions
    lists: RevocationLookup | None = None
    memory: GatewayStates = field(init=False)
    client_authorities: ClientCAs = field(init=False)
    observer: Observer = field(init=False)
    ordering: Ordering = field(init=False)
    revocation: RevocationWatch = field(init=False)

    def __post_init__(self) -> None:
        self.memory = GatewayStates(
            self.store,
            self.deployer,
            self.now,
            self.excluded_regions,
            self.random,
            self.authorities,
        )
        self.observer = Observer(
            memory=self.memory,
            resolver=self.resolver,
            authorities=self.authorities,
            progress=self.progress,
            now=self.now,
            look_interval=self.look_interval,
            cancelled=self.cancelled,
        )
        self.ordering = Ordering(
            self.memory,
            self.authorities,
            self.progress,
            self.now,
            self.cancelled,
            self.obstacles,
        )
        self.revocation = RevocationWatch(
            self.memory, self.lists, self.now, self.random, self.cancelled
        )
        self.client_authorities = ClientCAs(
            store=self.store,
            memory=self.memory,
            admission=ClientCADeployer(self.store, self.progress, self.now, self.cancelled),
            progress=self.progress,
            now=self.now,
        )

    # ------------------------------------------------------------------ a pass

    def prepare(self, target: Target) -> Outcome | None:
        """Give the gateway something to serve, without any network traffic and without waiting.

        Returns:
            What was done; None when there was something already.

        Raises:
            LockTimeoutError: Somebody else is changing this gateway.
            GatecertError: There is nothing to serve and nothing could be made.
        """
        with self.store.lock_gateway(target.name, "making a bootstrap certificate", wait=0):
            outcome = self._prepare_certificate(target)
            self.observer.warn_of_names(target)
            if target.client_authentication is not None:
                self.client_authorities.admission.ensure(target)
        return outcome

    def _prepare_certificate(self, target: Target) -> Outcome | None:
        inventory = self.deployer.inventory(target)
        wanted = inventory.wanted(self.now())
        if inventory.live is None and wanted is not None:
            return self._restore(target, wanted)
        due = next_due(self.memory.situation(target, inventory), self.now())
        if due.action is Action.BOOTSTRAP and due.at <= self.now():
            return self._bootstrap(target)
        if inventory.live is not None and inventory.live == wanted:
            self.deployer.catch_up(target, wanted)
        return None

    def attend(self, target: Target, occasion: Occasion = Occasion()) -> Outcome:
        """Do what is due for a gateway, and say how it ended and what comes next.

        Raises:
            LockTimeoutError: Somebody else is changing this gateway.
        """
        started = time.monotonic()
        try:
            with self.store.lock_gateway(target.name, "looking after it", wait=occasion.wait):
                outcome = self._guarded(target, lambda: self._pass(target, occasion))
                outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
                return self.memory.remember(target, outcome)
        except StorageError as error:
            return self.memory.remember(target, self.memory.failure(target, error))

    def dry_run(self, target: Target, *, wait: float) -> Outcome:
        """Try to enrol at staging directories (``dry_run.py``); nothing is changed.

        Raises:
            LockTimeoutError: Somebody else is changing this gateway.
        """
        return DryRun(self.ordering, self.resolver).run(target, wait=wait)

    def _pass(self, target: Target, occasion: Occasion) -> Outcome:
        if occasion.look_now:
            self.memory.held_back.pop(target.name, None)
        if self.memory.is_held_back(target):
            return self.memory.outcome(
                target, OutcomeKind.IDLE, "the state could not be written just now"
            )
        self.memory.save_at_last(target)
        self._settle_order(target)
        if occasion.accept_untrusted:
            self._accept_untrusted(target)
        self.observer.refresh_renewal_info(target, at_once=occasion.look_now)
        self.revocation.look_before_reuse(target)
        outcome = self._do_what_is_due(target, occasion)
        if outcome is None:
            self.observer.watch_names(target, at_once=occasion.look_now)
            outcome = self._watch(target, occasion)
        self.observer.warn_of_end(target)
        tended = self.client_authorities.tend(target)
        outcome = outcome or tended
        if self.revocation.look(target, at_once=occasion.look_now):
            outcome = self._do_what_is_due(target, occasion) or outcome
        region = self.memory.excluded_region(target)
        if region and (outcome is None or not outcome.failed):
            return self.memory.outcome(
                target, OutcomeKind.SKIPPED, exclusion_reason(region, target)
            )
        return outcome or self._nothing_due(target)

    def _do_what_is_due(self, target: Target, occasion: Occasion) -> Outcome | None:
        """Do one thing after the other, each at most once; None when nothing was due."""
        outcome: Outcome | None = None
        done: set[Action] = set()
        before: Deployment | None = None
        while not self.cancelled.is_set():
            situation = self.memory.situation(target)
            before = before or situation.deployment
            if occasion.deploy_now and before is not None and situation.deployment == before:
                # Tried before this pass, and not in it.
                situation = replace(situation, deployment=replace(before, next_attempt=None))
            due = self._due(situation, occasion, done)
            if due.at > self.now() or due.action in done:
                break
            done.add(due.action)
            logger.debug("due gateway=%s action=%s reason=%s", target.name, due.action, due.reason)
            ended = self._do(due.action, target, situation, occasion)
            # How enrolment ended is the news, whatever was put right after it.
            if outcome is None or Action.ENROL not in done or due.action is Action.ENROL:
                outcome = ended
        return outcome

    def _do(
        self, action: Action, target: Target, situation: Situation, occasion: Occasion
    ) -> Outcome:
        match action:
            case Action.BOOTSTRAP:
                return self._bootstrap(target)
            case Action.ENROL:
                # A failure is an outcome at once, so that what else is due is still done.
                return self._guarded(target, lambda: self._enrol(target, situation, occasion))
            case Action.DEPLOY:
                return self._deploy(target)
            case Action.NONE:
                return self._nothing_due(target)

    def _guarded(self, target: Target, stage: Callable[[], Outcome]) -> Outcome:
        """Turn any error into an outcome: what one gateway suffers never reaches another."""
        try:
            return stage()
        except InterruptedOrderError as error:
            return self.memory.outcome(target, OutcomeKind.WAITING, error.message)
        except RateLimitBudgetError as error:
            return self.memory.postponed(target, error)
        except GatecertError as error:
            return self.memory.failure(target, error)
        except Exception as error:
            logger.exception("unexpected error gateway=%s", target.name)
            return self.memory.failure(target, GatecertError(f"unexpected error: {error!r}"))

    def _due(self, situation: Situation, occasion: Occasion, done: set[Action]) -> Due:
        if occasion.look_now and Action.ENROL not in done:
            situation = replace(
                situation, state=replace(situation.state, next_look=None, obstruction=None)
            )
        enrollable = situation.target.mode is Mode.AUTOMATIC and not situation.excluded_region
        if (
            occasion.force
            and enrollable
            and situation.live is not None
            and not done - {Action.BOOTSTRAP}
        ):
            return Due(Action.ENROL, self.now(), "asked for by the operator")
        return next_due(situation, self.now())

    def _nothing_due(self, target: Target) -> Outcome:
        live = self.deployer.inventory(target).live
        if target.mode is Mode.CUSTOM and live is not None and live.summary.is_bootstrap:
            return self.memory.outcome(
                target,
                OutcomeKind.IDLE,
                "waits for the certificate that you bring: gatecert csr "
                f"{target.name}, then gatecert import {target.name}",
            )
        _, due = self.memory.next_wake(target)
        return self.memory.outcome(
            target,
            OutcomeKind.IDLE,
            f"nothing is due until {instant(due.at)} ({due.action}: {due.reason})",
        )

    # ------------------------------------------------------------------ bootstrap

    def _bootstrap(self, target: Target) -> Outcome:
        issued = bootstrap(target.identifiers, now=self.now(), key_policy=target.key)
        self._place(target, self.memory.keep(target, issued))
        return self.memory.outcome(
            target, OutcomeKind.BOOTSTRAPPED, "a self-signed bootstrap certificate is in place"
        )

    def _restore(self, target: Target, wanted: StoredCertificate) -> Outcome:
        self._place(target, wanted)
        detail = f"live led to nothing usable; version {wanted.version.id} is in place again"
        logger.warning("restored gateway=%s version=%s", target.name, wanted.version.id)
        return self.memory.outcome(target, OutcomeKind.BOOTSTRAPPED, detail)

    def _place(self, target: Target, held: StoredCertificate) -> None:
        """Put a version in place; what the gateway makes of it is the deployment's, right after."""
        try:
            self.deployer.swap(target, held)
        except DeploymentError as error:
            logger.warning("not everything in place gateway=%s error=%s", target.name, error)

    # ------------------------------------------------------------------ enrolment

    def _enrol(self, target: Target, situation: Situation, occasion: Occasion) -> Outcome:
        self.store.check_writable()
        resolution = self.observer.resolve(target)
        if not resolution.allows_order(renewing=is_renewal(situation)):
            code = BY_RESOLUTION[resolution.kind]
            return self.memory.outcome(
                target, OutcomeKind.WAITING, resolution.detail, code=code.name, fix=code.fix
            )
        before = certificate_in_use(situation)
        issued = self.ordering.obtain(target, situation, afresh=occasion.force)
        if isinstance(issued, Obstacle):
            return self.memory.obstructed(target, issued.finding, issued.again)
        held = self.memory.keep(target, issued)
        self._enrolled(target)
        for note in issued.notes:
            logger.warning("note gateway=%s %s", target.name, note)
        if occasion.accept_untrusted:
            self._accept_root(target, held)
        self._refuse_worse(target, held)
        deployed = self._deploy(target, held)
        if deployed.kind is not OutcomeKind.DEPLOYED:
            return deployed
        if before is None:
            return replace(deployed, kind=OutcomeKind.ENROLLED)
        detail = deployed.detail
        if held.summary.not_after < before.not_after:
            sooner = f"it ends on {day(held.summary.not_after)}, sooner than the one before"
            logger.warning("ends sooner gateway=%s %s", target.name, sooner)
            detail += f"; {sooner} ({day(before.not_after)})"
        return replace(deployed, kind=OutcomeKind.RENEWED, detail=detail)

    def _refuse_worse(self, target: Target, held: StoredCertificate) -> None:
        """Keep a new certificate out of the place of a better one.

        Raises:
            InferiorCertificateError: The gateway is better off with another version.
        """
        inventory, now = self.deployer.inventory(target), self.now()
        best, new = inventory.wanted(now), inventory.find(held.version.id)
        if best is None or new is None or best.version.id == new.version.id:
            return
        raise rejection_of(
            new.summary,
            new.trust,
            new.rank(target, now),
            best.rank(target, now),
            other_ends=best.summary.not_after,
        )

    def _accept_untrusted(self, target: Target) -> None:
        """Accept the root of the newest certificate, where that alone keeps it out of use."""
        inventory = self.deployer.inventory(target)
        wanted = inventory.wanted(self.now())
        newest = next((one for one in inventory.held if not one.summary.is_bootstrap), None)
        if newest is not None and newest != wanted:
            self._accept_root(target, newest)

    def _accept_root(self, target: Target, held: StoredCertificate) -> None:
        found = self.deployer.inventory(target).find(held.version.id)
        if found is None or found.trust.trusted or found.accepted or not found.trust.chain_complete:
            return
        self.memory.accept_root(target, found.trust.root)

    def _settle_order(self, target: Target) -> None:
        """Bring an order to its end whose certificate reached the disk just before a crash."""
        order = self.memory.state(target).order
        if order is None:
            if self.memory.state(target).second_order is not None:
                self.ordering.journal(target, second=True).forget()
            self.ordering.journal(target).forget_keys()
            return
        if any(version.order_url == order.url for version in self.store.versions(target.name)):
            self._enrolled(target)

    def _enrolled(self, target: Target) -> None:
        """Forget the order and the failures before it: its certificate is on the disk."""
        state = self.memory.state(target)
        cleared = replace(
            state,
            failures=0,
            failed_at=None,
            next_attempt=None,
            order=None,
            renewal=None,
            challenge_failures=(),
        )
        self.memory.save(target, cleared)
        self.ordering.forget(target)

    # ------------------------------------------------------------------ import

    def import_certificate(
        self,
        target: Target,
        uploads: Sequence[Upload],
        *,
        wait: float,
        accept_untrusted: bool = False,
    ) -> Outcome:
        """Take over a certificate that an administrator hands in, if everything about it is right.

        Args:
            target: The gateway, as the member of the pair that this host is.
            uploads: The certificate's file first.
            wait: Seconds to wait for somebody else who is changing the gateway.
            accept_untrusted: Take it even in place of one that is trusted.

        Raises:
            CertificateError: It is not right, or worse than what is in use; nothing has been
                changed.
            WrongUsageError: The gateway takes no certificates.
            StorageError: It cannot be kept; nothing has been changed.
            LockTimeoutError: Somebody else is changing this gateway.
        """
        return CertificateImport(
            self.store,
            self.memory,
            self.deployer,
            self.progress,
            self.now,
            self._deploy,
            accept_untrusted=accept_untrusted,
        ).run(target, uploads, wait=wait)

    # ------------------------------------------------------------------ drift

    def _watch(self, target: Target, occasion: Occasion) -> Outcome | None:
        """See that what was proven to be served still is; None when there is nothing to tell."""
        drift = self.observer.watch_listeners(target, at_once=occasion.look_now)
        return self._put_right(target, drift) if drift else None

    def _put_right(self, target: Target, drift: str) -> Outcome:
        """Reload a gateway that serves something else; an alarm where that does not help."""
        self._tell(target, Stage.VERIFY, drift)
        deployed = self._deploy(target)
        if deployed.kind is OutcomeKind.DEPLOYED:
            detail = f"{drift}; after a reload {deployed.detail} again"
            return replace(deployed, detail=detail, code="drift")
        return replace(deployed, detail=f"{deployed.detail} (it was served before)")

    # ------------------------------------------------------------------ deployment

    def _deploy(self, target: Target, held: StoredCertificate | None = None) -> Outcome:
        held = held or self.deployer.inventory(target).wanted(self.now())
        if held is None:
            raise StorageError(f"gateway {target.name} has no certificate that can be used")
        deployed = self.deployer.deploy(target, held)
        if deployed.waits:
            return self.memory.outcome(target, OutcomeKind.IDLE, deployed.detail)
        if deployed.error is None:
            return self.memory.outcome(target, OutcomeKind.DEPLOYED, deployed.detail)
        if self.cancelled.is_set():
            return self.memory.outcome(target, OutcomeKind.WAITING, deployed.detail)
        return self.memory.outcome(
            target,
            OutcomeKind.ROLLED_BACK if deployed.rolled_back else OutcomeKind.FAILED,
            deployed.detail,
            code=deployed.error.code,
            fix=deployed.error.fix,
        )

    def _tell(self, target: Target, stage: Stage, message: str) -> None:
        self.progress(target.name, stage, message)
