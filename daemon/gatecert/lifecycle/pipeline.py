"""One pass over a gateway: config → due → resolve → order → deploy → verify → report.

This module alone knows the order of the stages. Each path reads like the line above:

- ``_bootstrap``: no usable certificate → a self-signed one, in place at once.
- ``_enrol``: due → names point here → checks pass → ordered → installed → proven.
- ``import_certificate``: uploaded → checked → installed → proven (``certificate_import.py``).
- ``host_exchange``: obtained by another host → copied, then deployed like any other, and reported.
- ``_watch_listeners``: proven before, something else served now → reloaded → proven again.
- ``_deploy``: installed → reloaded → proven; the best certificate stays in place (``deploy/``).

It alone turns an error into an `Outcome`; the failure of one gateway never affects another. A
failed deployment is retried without limit and never costs an order.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate

from gatecert.acme.protocol import Authority
from gatecert.certificate.bootstrap import bootstrap
from gatecert.certificate.comparison import rejection_of
from gatecert.certificate.trust import load_trusted_roots
from gatecert.deploy.certificate_deployer import CertificateDeployer
from gatecert.deploy.deployer import DeployTools
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.deploy.reload_unit import ReloadUnit
from gatecert.doctor.codes import BY_RESOLUTION
from gatecert.doctor.finding import Finding
from gatecert.errors import (
    DatabaseError,
    DeploymentError,
    GatecertError,
    InterruptedOrderError,
    LeaseLostError,
    OrderHeldError,
    RateLimitBudgetError,
    StorageError,
    WorkerLostError,
)
from gatecert.lifecycle import host_exchange, reserving, shared_schedule
from gatecert.lifecycle.certificate_import import CertificateImport
from gatecert.lifecycle.client_cas import ClientCAs
from gatecert.lifecycle.dry_run import DryRun
from gatecert.lifecycle.failures import (
    failure,
    not_ordered,
    obstructed,
    postponed,
)
from gatecert.lifecycle.gateway_pass import ROUTINE, Occasion, Pass, PassContext, Weight
from gatecert.lifecycle.observation import Observer
from gatecert.lifecycle.ordering import Obstacle, Ordering
from gatecert.lifecycle.record_keeping import Keeper, RecordKeeping
from gatecert.lifecycle.revocation_watch import RevocationWatch
from gatecert.lifecycle.state_cache import StateCache
from gatecert.measurement import Measure, no_measure
from gatecert.model import (
    Action,
    Due,
    EnrolmentState,
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
from gatecert.schedule.due import is_renewal, next_due
from gatecert.store.protocol import HostStore
from gatecert.time_format import day, instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.certificate.upload import Upload
    from gatecert.model import Deployment, Resolution
    from gatecert.schedule.due import Situation

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Pipeline:
    """Runs passes over gateways; thread-safe, one gateway a thread.

    Attributes:
        authorities: By their name in the configuration.
        look_interval: How often a name that does not point here is looked up.
        cancelled: Set when gatecert stops; an order in progress is kept and resumed later.
        obstacles: Finds what makes an order certain to fail.
        lists: Looks certificates up in CRLs; None looks nowhere.
        roots: Returns the roots that are trusted for a gateway.
        reload_unit: Returns the systemd unit that reloads a gateway's server, as in `DeployTools`.
        new_deployer: Makes the certificate deployer of a pass.
        keeper: Returns what keeps the address records of a gateway with dynamic DNS.
        measure: Gets what deployments measure.
        seen: Is given each pass that has ended, while its gateway is still locked.
        states: The state of every gateway.
    """

    store: HostStore
    resolver: AddressResolver
    authorities: Mapping[str, Authority]
    progress: Progress
    now: Callable[[], datetime]
    look_interval: timedelta = timedelta(seconds=30)
    excluded_regions: tuple[str, ...] = ("cn",)
    cancelled: threading.Event = field(default_factory=threading.Event)
    random: random.Random = field(default_factory=random.SystemRandom)
    obstacles: Callable[[Target, str, StoredCertificate | None], Finding | None] = lambda *_: None
    lists: RevocationLookup | None = None
    roots: Callable[[Target], tuple[Certificate, ...]] = lambda _: load_trusted_roots()
    reload_unit: Callable[[str], ReloadUnit | None] = lambda _: None
    new_deployer: Callable[[DeployTools, Target, EnrolmentState], CertificateDeployer] = (
        CertificateDeployer
    )
    keeper: Callable[[Target], Keeper] | None = None
    measure: Measure = no_measure
    seen: Callable[[Pass], None] | None = None
    states: StateCache = field(init=False)
    client_cas: ClientCAs = field(init=False)
    ordering: Ordering = field(init=False)
    _context: PassContext = field(init=False)
    _observer: Observer = field(init=False)
    _revocation: RevocationWatch = field(init=False)

    def __post_init__(self) -> None:
        self.states = StateCache(self.store, self.now)
        self.client_cas = ClientCAs()
        self.ordering = Ordering(self.authorities, self.progress, self.cancelled, self.obstacles)
        self._context = PassContext(
            DeployTools(
                self.store,
                self.progress,
                self.now,
                self.cancelled,
                self.roots,
                reload_unit=self.reload_unit,
                measure=self.measure,
            ),
            self.states,
            self.excluded_regions,
            self.random,
            self.authorities,
            self.new_deployer,
        )
        self._observer = Observer(
            self.resolver, self.authorities, self.look_interval, self.cancelled
        )
        self._revocation = RevocationWatch(self.lists, self.random, self.cancelled)

    def open(self, target: Target, occasion: Occasion = ROUTINE) -> Pass:
        """Open a pass over a gateway without its lock: to read, or for a command that locks."""
        return self._context.open(target, occasion)

    # ------------------------------------------------------------------ a pass

    def prepare(self, target: Target) -> Outcome | None:
        """Give the gateway something to serve, without network traffic and without waiting.

        Returns:
            What was done; None if there was a certificate already.

        Raises:
            LockTimeoutError: Another process is changing this gateway.
            GatecertError: There is no certificate to serve, and none could be made.
        """
        current = self.open(target)
        with self.store.lock_gateway(target.name, "making a bootstrap certificate", wait=0):
            outcome = self._prepare_certificate(current)
            self._observer.warn_of_names(current)
            if target.client_authentication is not None:
                current.client_cas.ensure()
        return outcome

    def attend(self, target: Target, occasion: Occasion = ROUTINE) -> Outcome:
        """Do what is due for a gateway; return how it ended and what comes next.

        Raises:
            LockTimeoutError: Another process is changing this gateway.
        """
        started, current = time.monotonic(), self.open(target, occasion)
        try:
            with current.lock("running a pass"):
                outcome = self._guarded(current, self._pass)
                host_exchange.report(current)
                shared_schedule.tell(current)
                reserving.reserve(current)
                outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
                return self._finish(current, outcome)
        except StorageError as error:
            return self._finish(current, failure(current, error))

    def count_loss(self, target: Target, reason: str) -> Outcome:
        """Count a failure for a gateway during whose pass the process was lost.

        Returns:
            The outcome, with the instant of the next attempt.

        Raises:
            LockTimeoutError: Another process is changing this gateway.
        """
        current = self.open(target)
        error = WorkerLostError(
            f"the process that worked on this gateway was lost: {reason}",
            fix="no action needed; if it is lost again, report it with the lines of the log",
        )
        with self.store.lock_gateway(target.name, "counting a failure", wait=0):
            outcome = self._finish(current, failure(current, error))
            paused = current.last_known.enrolment.next_attempt or outcome.wake_at
            return replace(outcome, wake_at=paused)

    def dry_run(self, target: Target, *, wait: float) -> Outcome:
        """Try to enrol at staging directories (``dry_run.py``); change nothing.

        Raises:
            LockTimeoutError: Another process is changing this gateway.
        """
        return DryRun(self.ordering, self.resolver).run(self.open(target, Occasion(wait=wait)))

    def import_certificate(
        self,
        target: Target,
        uploads: Sequence[Upload],
        *,
        wait: float,
        accept_untrusted: bool = False,
    ) -> Outcome:
        """Import a certificate if every check passes.

        Args:
            target: The gateway, as the member of the pair that this host is.
            uploads: The certificate's file first.
            wait: Seconds to wait for another process that is changing the gateway.
            accept_untrusted: Accept a root that is not trusted, even in place of a trusted one.

        Raises:
            CertificateError: A check failed, or it is worse than the one in use; nothing changed.
            WrongUsageError: The gateway accepts no imports.
            StorageError: It cannot be stored; nothing changed.
            LockTimeoutError: Another process is changing this gateway.
        """
        started = time.monotonic()
        occasion = Occasion(accept_untrusted=accept_untrusted, wait=wait)
        current = self.open(target, occasion)
        with current.lock("importing a certificate"):
            outcome = CertificateImport(self._deploy).run(current, uploads)
            outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
            return current.finish(outcome)

    def _pass(self, current: Pass) -> Outcome:
        current.is_unfinished = True
        if current.occasion.look_now:
            self.states.held_back.pop(current.target.name, None)
        if current.held_back_until is not None:
            return current.outcome(OutcomeKind.IDLE, "the state cannot be written for now")
        current.retry_save()
        refused = host_exchange.receive(current)
        self._settle_order(current)
        self._accept_untrusted(current)
        if self.keeper is not None:
            RecordKeeping(self.keeper).tend(current)
        self._observer.refresh_renewal_info(current)
        self._revocation.look_before_reuse(current)
        self._do_what_is_due(current)
        if not current.outcomes:
            self._observer.watch_names(current)
            self._watch_listeners(current)
        self._observer.warn_of_expiry(current)
        self.client_cas.tend(current)
        if self._revocation.look(current):
            self._do_what_is_due(current)
        current.add(Weight.EXCHANGE, refused)
        current.is_unfinished, current.is_complete = False, True
        return self._report(current)

    def _finish(self, current: Pass, outcome: Outcome) -> Outcome:
        """Complete and save an outcome; have the pass seen."""
        outcome = current.finish(outcome)
        if self.seen is not None:
            self.seen(current)
        return outcome

    def _report(self, current: Pass) -> Outcome:
        """Choose the outcome of a pass: an excluded region, what was done, or what comes next."""
        outcome, region = current.heaviest, current.excluded_region
        if region and (outcome is None or not outcome.failed):
            return current.outcome(OutcomeKind.SKIPPED, exclusion_reason(region, current.target))
        return outcome or _nothing_due(current)

    def _do_what_is_due(self, current: Pass) -> None:
        """Do what is due, one action after the other, each at most once."""
        done: set[Action] = set()
        before: Deployment | None = None
        while not self.cancelled.is_set():
            situation = current.situation
            before = before or situation.deployment
            if current.occasion.deploy_now and before and situation.deployment == before:
                # It failed before this pass, and was not retried in it.
                situation = replace(situation, deployment=replace(before, next_attempt=None))
            due = _due(current, situation, done)
            if due.at > current.now() or due.action in done:
                break
            done.add(due.action)
            logger.debug(
                "due gateway=%s action=%s reason=%s", current.target.name, due.action, due.reason
            )
            self._do(current, due.action, situation)

    def _do(self, current: Pass, action: Action, situation: Situation) -> None:
        match action:
            case Action.BOOTSTRAP:
                current.add(Weight.DEPLOYMENT, self._bootstrap(current))
            case Action.DEPLOY:
                current.add(Weight.DEPLOYMENT, self._deploy(current))
            case Action.ENROL:
                # A failure becomes an outcome here, so that what else is due is still done.
                enrolled = self._guarded(current, lambda each: self._enrol(each, situation))
                current.add(Weight.ENROLMENT, enrolled)

    def _guarded(self, current: Pass, stage: Callable[[Pass], Outcome]) -> Outcome:
        """Turn any error into an outcome: the failure of one gateway never affects another."""
        try:
            return stage(current)
        except InterruptedOrderError as error:
            return current.outcome(OutcomeKind.WAITING, error.message)
        except (LeaseLostError, OrderHeldError, DatabaseError) as error:
            return not_ordered(current, error)
        except RateLimitBudgetError as error:
            return postponed(current, error)
        except GatecertError as error:
            return failure(current, error)
        except Exception as error:
            logger.exception("unexpected error gateway=%s", current.target.name)
            return failure(current, GatecertError(f"unexpected error: {error!r}"))

    # ------------------------------------------------------------------ bootstrap

    def _prepare_certificate(self, current: Pass) -> Outcome | None:
        wanted = current.in_turn
        if current.live is None and wanted is not None:
            return self._restore(current, wanted)
        due = next_due(current.situation, current.now())
        if due.action is Action.BOOTSTRAP and due.at <= current.now():
            return self._bootstrap(current)
        if current.live is not None and current.live == wanted:
            current.deployer.catch_up(current.live)
        return None

    def _bootstrap(self, current: Pass) -> Outcome:
        target = current.target
        issued = bootstrap(target.identifiers, now=current.now(), key_policy=target.key)
        self._place(current, current.keep(issued))
        return current.outcome(
            OutcomeKind.BOOTSTRAPPED, "a self-signed bootstrap certificate is in place"
        )

    def _restore(self, current: Pass, wanted: StoredCertificate) -> Outcome:
        self._place(current, wanted)
        version = wanted.version.id
        logger.warning("restored gateway=%s version=%s", current.target.name, version)
        detail = f"live led to no usable certificate; version {version} is in place again"
        return current.outcome(OutcomeKind.BOOTSTRAPPED, detail)

    def _place(self, current: Pass, stored: StoredCertificate) -> None:
        """Put a version in place; its deployment follows in the same pass."""
        try:
            current.deployer.swap(stored)
        except DeploymentError as error:
            logger.warning(
                "not everything in place gateway=%s error=%s", current.target.name, error
            )

    # ------------------------------------------------------------------ enrolment

    def _enrol(self, current: Pass, situation: Situation) -> Outcome:
        self.store.check_writable()
        if current.target.is_looked_up:
            resolution = self._observer.resolve(current)
            if not resolution.allows_order(renewing=is_renewal(situation)):
                return _waiting(current, resolution)
        before = current.in_use
        shared_schedule.tell(current)
        with current.ordering():
            issued = self.ordering.obtain(current)
            if isinstance(issued, Obstacle):
                return obstructed(current, issued.finding, issued.again)
            stored = current.keep(issued)
            self._forget_order(current)
        for note in issued.notes:
            logger.warning("note gateway=%s %s", current.target.name, note)
        if current.occasion.accept_untrusted:
            _accept_root(current, stored)
        _refuse_worse(current, stored)
        with suppress(DatabaseError):
            host_exchange.await_turn(current)
        if current.wait is not None:
            return current.outcome(OutcomeKind.WAITING, current.wait.reason, fix=current.wait.fix)
        deployed = self._deploy(current, stored)
        if deployed.kind is not OutcomeKind.DEPLOYED:
            return deployed
        if before is None:
            return replace(deployed, kind=OutcomeKind.ENROLLED)
        detail, end = deployed.detail, stored.summary.not_after
        if end < before.not_after:
            sooner = f"it expires on {day(end)}, sooner than the previous one"
            logger.warning("expires sooner gateway=%s %s", current.target.name, sooner)
            detail += f"; {sooner} ({day(before.not_after)})"
        return replace(deployed, kind=OutcomeKind.RENEWED, detail=detail)

    def _accept_untrusted(self, current: Pass) -> None:
        """Accept the root of the newest certificate if only that keeps it out of use."""
        if not current.occasion.accept_untrusted:
            return
        from_ca = (each for each in current.inventory.stored if not each.summary.is_bootstrap)
        newest = next(from_ca, None)
        if newest is not None and newest != current.wanted:
            _accept_root(current, newest)

    def _settle_order(self, current: Pass) -> None:
        """Close an order whose certificate was stored just before a crash.

        Another host that orders now does that itself. Without the database, a later pass does it.
        """
        if not self._has_finished_order(current):
            return
        with suppress(LeaseLostError, DatabaseError), current.ordering():
            if current.state.enrolment.order is not None:
                self._forget_order(current)
            else:
                self.ordering.forget(current)

    def _has_finished_order(self, current: Pass) -> bool:
        """Tell whether an order was left whose certificate is stored, or a part of one."""
        enrolment = current.state.enrolment
        if enrolment.order is None:
            return enrolment.second_order is not None or self.ordering.journal(current).has_keys
        url = enrolment.order.url
        return any(version.order_url == url for version in current.inventory.versions)

    def _forget_order(self, current: Pass) -> None:
        """Forget the order and earlier failures: the certificate is stored."""
        current.update_enrolment(
            failures=0,
            failed_at=None,
            next_attempt=None,
            order=None,
            renewal=None,
            challenge_failures=(),
        )
        self.ordering.forget(current)

    # ------------------------------------------------------------------ deployment

    def _watch_listeners(self, current: Pass) -> None:
        """Reload a gateway that no longer serves what was proven."""
        drift = self._observer.watch_listeners(current)
        if not drift:
            return
        current.tell(Stage.VERIFY, drift)
        deployed = self._deploy(current)
        if deployed.kind is OutcomeKind.DEPLOYED:
            detail = f"{drift}; after a reload {deployed.detail} again"
            outcome = replace(deployed, detail=detail, code="drift")
        else:
            outcome = replace(deployed, detail=f"{deployed.detail} (it was served before)")
        current.add(Weight.WATCH, outcome)

    def _deploy(self, current: Pass, stored: StoredCertificate | None = None) -> Outcome:
        stored = stored or current.in_turn
        if stored is None:
            raise StorageError(f"gateway {current.target.name} has no usable certificate")
        result = current.deployer.deploy(stored)
        if result.waits:
            return current.outcome(OutcomeKind.IDLE, result.detail)
        if result.error is None:
            return current.outcome(OutcomeKind.DEPLOYED, result.detail)
        if self.cancelled.is_set():
            return current.outcome(OutcomeKind.WAITING, result.detail)
        return current.outcome(
            OutcomeKind.ROLLED_BACK if result.rolled_back else OutcomeKind.FAILED,
            result.detail,
            code=result.error.code,
            fix=result.error.fix,
        )


def _waiting(current: Pass, resolution: Resolution) -> Outcome:
    """Wait until the names point here; say why dynamic DNS does not make them."""
    code = BY_RESOLUTION[resolution.kind]
    ddns = current.state.host.ddns
    problem = ddns.problem if ddns is not None else None
    if problem is None:
        return current.outcome(OutcomeKind.WAITING, resolution.detail, code=code.name, fix=code.fix)
    # Without the advice of the look-up, which is about another dynamic-DNS client.
    detail = f"{problem.detail}; {resolution.detail.partition(';')[0]}"
    return current.outcome(OutcomeKind.WAITING, detail, code=problem.code, fix=problem.fix)


def _due(current: Pass, situation: Situation, done: set[Action]) -> Due:
    if current.occasion.look_now and Action.ENROL not in done:
        host = replace(situation.state.host, next_look=None, obstruction=None)
        situation = replace(situation, state=replace(situation.state, host=host))
    enrollable = situation.target.mode is Mode.AUTOMATIC and not situation.excluded_region
    forced = current.occasion.force and not done - {Action.BOOTSTRAP}
    if forced and enrollable and situation.live is not None:
        return Due(Action.ENROL, current.now(), "requested by the operator")
    return next_due(situation, current.now())


def _nothing_due(current: Pass) -> Outcome:
    target, live = current.target, current.live
    if target.mode is Mode.CUSTOM and live is not None and live.summary.is_bootstrap:
        detail = (
            f"waits for a certificate: run gatecert csr {target.name}, have the CSR signed, then"
            f" gatecert import {target.name}"
        )
        return current.outcome(OutcomeKind.IDLE, detail)
    if current.wait is not None:
        return current.outcome(OutcomeKind.IDLE, current.wait.reason, fix=current.wait.fix)
    due = next_due(current.situation, current.now())
    detail = f"nothing is due until {instant(due.at)} ({due.action}: {due.reason})"
    return current.outcome(OutcomeKind.IDLE, detail)


def _refuse_worse(current: Pass, stored: StoredCertificate) -> None:
    """Keep a new certificate from replacing a better one.

    Raises:
        InferiorCertificateError: Another version is better.
    """
    best, now = current.wanted, current.now()
    new = current.inventory.find(stored.version.id)
    if best is None or new is None or best.version.id == new.version.id:
        return
    raise rejection_of(
        new.summary,
        new.trust,
        new.rank(current.target, now),
        best.rank(current.target, now),
        other_ends=best.summary.not_after,
    )


def _accept_root(current: Pass, stored: StoredCertificate) -> None:
    found = current.inventory.find(stored.version.id)
    if (
        found is not None
        and found.trust.chain_complete
        and not found.trust.trusted
        and not found.accepted
    ):
        current.accept_root(found.trust.root)
