"""Installed → reloaded → proven; the best certificate stays in place.

One path for every certificate, whoever issued it: bootstrap, authority, administrator. What is to
be served, and what was served before, is written down before anything is touched, so that a crash
in between is picked up by the next pass, which can still put the previous version back. Bringing a
version onto the gateway is retried by itself and never costs an order.

The previous version is put back only where the server has refused the new one:

- A listener that completed TLS handshakes before the swap does so no more. Any previous version
  that is still valid is then tried.
- The reload command ran and failed. A previous version is then tried only if it is at least as
  good (``certificate.comparison``).

It is kept only where the server takes it. Where neither is proven, the better one is put in place
again, and only reload and proof are repeated. A listener that cannot be asked, serves something
else or is not there says nothing of the new version, which stays.

A copy that cannot be written is a failure, and keeps no certificate from being served: where the
version is proven in spite of it, it stays, and the copies alone are tried again. Where nothing can
be proven, a previous version that is at least as good is put back.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from cryptography.x509 import Certificate

from gatecert.certificate.trust import expected_roots
from gatecert.deadline import Deadline
from gatecert.deploy.bring_up import END_THE_OTHER, Exchange, Piece
from gatecert.deploy.inventory import Inventory, StoredCertificate, take_inventory
from gatecert.deploy.live import LiveDirectory
from gatecert.deploy.prune import prune
from gatecert.deploy.reload import environment
from gatecert.errors import (
    CopyError,
    DeploymentError,
    GatecertError,
    MixedCertificatesError,
    ReloadError,
    StorageError,
)
from gatecert.model import (
    Deployment,
    FailureKind,
    GatewayState,
    ListenerOutage,
    Progress,
    Target,
    repr_of_listener,
)
from gatecert.schedule.due import next_deployment, next_listener_check
from gatecert.store.protocol import Store
from gatecert.verify.served_chain import ProbeFailure, ServedChain
from gatecert.verify.verdict import CONFIRMATIONS, probe_listeners, prove
from gatecert.verify.verify_command import RUN_TIMEOUT, ProofCommand, run_once
from gatecert.verify.watch import all_refuse

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.model import Probe, Verdict

logger = logging.getLogger(__name__)

SINGLE_ATTEMPT = timedelta(0)
MOST_CONFIRMATIONS = 24  # handshakes, once a listener was found to serve two certificates
START_OF_SERVER = timedelta(seconds=5)  # after a reload command that may start it
NOT_PROVEN = "is installed, not proven: install.verify names no listener"
BY_COMMAND = "install.verify_command"


@dataclass(frozen=True, slots=True)
class DeploymentResult:
    """How bringing a version onto the gateway ended.

    Attributes:
        detail: One line for the operator.
        error: Why the version is not served; None when it is, or when nothing listens yet.
        rolled_back: Whether the previous version was put back.
        waits: Whether nothing listens yet, and this was known before.
    """

    held: StoredCertificate
    detail: str
    error: GatecertError | None = None
    rolled_back: bool = False
    waits: bool = False


@dataclass(frozen=True, slots=True)
class Deployer:
    """Brings versions onto gateways.

    Attributes:
        progress: Told of each step.
        now: Reads the clock.
        cancelled: Set when gatecert is stopping: a deployment under way is then left as it is, and
            taken up by the next pass.
        roots: What is trusted for a gateway: roots of this machine and of its authorities.
    """

    store: Store
    progress: Progress
    now: Callable[[], datetime]
    cancelled: threading.Event = field(default_factory=threading.Event)
    roots: Callable[[Target], tuple[Certificate, ...]] = lambda _: expected_roots()

    def live(self, target: Target) -> LiveDirectory:
        """The gateway's ``live`` link and what is known of its deployment."""
        return LiveDirectory(self.store.gateway_directory(target.name))

    def inventory(self, target: Target) -> Inventory:
        """Every version of the gateway that can be served."""
        try:
            state = self.store.state(target.name)
        except StorageError:  # said by whoever needs the state; certificates count without it
            state = GatewayState()
        return take_inventory(
            self.store,
            target,
            self.live(target).current(),
            state=state,
            roots=self.roots(target),
            now=self.now(),
        )

    def deployment(self, target: Target, inventory: Inventory) -> Deployment | None:
        """How far the version that ought to be served has come; None when there is none."""
        wanted = inventory.wanted(self.now())
        if wanted is None:
            return None
        deployment = self.live(target).deployment()
        if deployment is None or deployment.version != wanted.version.id:
            return Deployment(wanted.version.id)
        if deployment.confirmed is not None and inventory.live != wanted:
            return Deployment(wanted.version.id)
        if deployment.confirmed is not None and set(deployment.proven) != set(
            target.install.proofs
        ):
            return Deployment(wanted.version.id)  # others are to serve it, who were never asked
        return deployment

    def swap(self, target: Target, held: StoredCertificate, answered: Sequence[str] = ()) -> bool:
        """Let ``live`` lead to a version, without telling the gateway.

        Args:
            target: The gateway.
            held: The version.
            answered: Listeners that complete TLS handshakes now.

        Returns:
            Whether anything had to be changed.

        Raises:
            StorageError: The link could not be changed.
            CopyError: It was changed, but not every copy could be written.
        """
        live = self.live(target)
        known = live.deployment()
        if known is None or known.version != held.version.id:
            known = Deployment(held.version.id)
        current = live.current() or ""
        previous = known.previous if current == held.version.id else current
        live.save_deployment(
            Deployment(
                held.version.id,
                failures=known.failures,
                previous=previous,
                silence=known.silence,
                mixed=known.mixed,
                answered=tuple(sorted({*known.answered, *answered})),
            )
        )
        return self._point(target, held)

    def catch_up(self, target: Target, held: StoredCertificate) -> None:
        """Write what the configuration has come to ask for since this version was proven.

        Where that changes anything, or cannot be done, the version has to be deployed once more:
        the gateway may have to be told.

        Raises:
            StorageError: That cannot be remembered.
        """
        live = self.live(target)
        known = live.deployment()
        if known is None or known.confirmed is None or known.version != held.version.id:
            return
        try:
            changed = self._point(target, held)
        except GatecertError as error:
            logger.debug("not as configured gateway=%s error=%s", target.name, error)
            changed = True
        if changed:
            live.save_deployment(Deployment(held.version.id))

    def deploy(self, target: Target, held: StoredCertificate) -> DeploymentResult:
        """Bring a version onto the gateway and prove it; see the module for what is put back.

        Raises:
            StorageError: Something could not be written; the next pass goes on from there.
        """
        provable = target.install.is_provable
        answers = probe_listeners(target.install.verify, target.hostname)
        nobody_there = all_refuse(answers)
        told, mixed = self._was_told(target, held), self._is_mixed(target)
        try:
            changed, uncopied = self._swap_at_least(target, held, self._answered(target, answers))
            may_wait = not changed or self._can_go_back(target, held)
            if uncopied is not None and not provable and may_wait:
                raise uncopied
            seen = self.verify_once(target, held) if provable and not changed else None
            is_served = seen is not None and seen.served
            if nobody_there and not changed and not is_served and told:
                return self._wait_for_listener(target, held, answers)
            if seen is not None and not is_served and mixed:
                raise MixedCertificatesError(
                    seen.detail, fix=END_THE_OTHER
                )  # a reload was of no use
            patience = START_OF_SERVER if nobody_there else target.install.verify_timeout
            proven = is_served or self._bring_up(target, held, patience)
        except DeploymentError as error:
            if self.cancelled.is_set():
                return DeploymentResult(held, "left in the middle of a deployment", error)
            return self._not_taken(target, held, error, nobody_there=nobody_there)
        if uncopied is not None:
            return self._stay(target, held, uncopied, proven=proven)
        return self._confirm(target, held, "is served" if proven else NOT_PROVEN)

    def verify_once(self, target: Target, held: StoredCertificate) -> Verdict:
        """Ask every listener once what it serves."""
        return prove(
            target.install.verify,
            target.hostname,
            held.summary,
            timeout=SINGLE_ATTEMPT,
            command=self._proof_command(target, held),
            confirmations=MOST_CONFIRMATIONS if self._is_mixed(target) else CONFIRMATIONS,
            cancelled=self.cancelled,
        )

    def ask_command(self, target: Target, held: StoredCertificate) -> Probe | None:
        """Run ``install.verify_command`` once; None where there is none."""
        command = self._proof_command(target, held)
        return (
            run_once(command, Deadline.after(RUN_TIMEOUT, self.cancelled))
            if command is not None
            else None
        )

    def _swap_at_least(
        self, target: Target, held: StoredCertificate, answered: Sequence[str]
    ) -> tuple[bool, CopyError | None]:
        """Swap; whether anything had to be changed, and why a copy could not be written."""
        before = self.live(target).current()
        try:
            return self.swap(target, held, answered), None
        except CopyError as error:
            return before != held.version.id, error

    def _answered(
        self, target: Target, answers: Sequence[ServedChain | ProbeFailure]
    ) -> tuple[str, ...]:
        """Which listeners complete a TLS handshake now, whatever they serve."""
        listeners = [
            repr_of_listener(each.endpoint) for each in answers if isinstance(each, ServedChain)
        ]
        live = self.inventory(target).live if target.install.verify_command else None
        command = self.ask_command(target, live) if live is not None else None
        return (*listeners, *([BY_COMMAND] if command is not None and command.matches else []))

    def _can_go_back(self, target: Target, held: StoredCertificate) -> bool:
        """Whether there is a previous version that is valid and at least as good."""
        previous = self._previous(target)
        return previous is not None and self._is_as_good(target, previous, held)

    def _is_as_good(
        self, target: Target, previous: StoredCertificate, held: StoredCertificate
    ) -> bool:
        now = self.now()
        return previous.rank(target, now) >= held.rank(target, now)

    def _was_told(self, target: Target, held: StoredCertificate) -> bool:
        """Whether the gateway was told of this version before."""
        known = self.live(target).deployment()
        if known is None or known.version != held.version.id:
            return False
        return known.confirmed is not None or known.silence is not None or bool(known.failures)

    def _is_mixed(self, target: Target) -> bool:
        """Whether a listener was found to serve two certificates after the last reload."""
        deployment = self.live(target).deployment()
        return deployment is not None and deployment.mixed

    def _silence(self, target: Target) -> ListenerOutage | None:
        """Since when nothing has listened, as far as is known."""
        deployment = self.live(target).deployment()
        return deployment.silence if deployment is not None else None

    def _point(self, target: Target, held: StoredCertificate) -> bool:
        private_key = self.store.private_key(held.version)
        return self.live(target).install(target.install, held.version, private_key)

    def _point_at_least(self, target: Target, held: StoredCertificate) -> None:
        try:
            self._point(target, held)
        except CopyError as error:
            logger.warning("not every copy gateway=%s error=%s", target.name, error)

    def _piece(self, target: Target, held: StoredCertificate, patience: timedelta) -> Piece:
        """A version as something that the server reads."""
        plan = target.install
        return Piece(
            name=f"version {held.version.id}",
            file="live/",
            live_version=held.version.id,
            put=partial(self._point, target, held),
            prove=partial(
                prove,
                plan.verify,
                target.hostname,
                held.summary,
                timeout=min(patience, plan.verify_timeout),
                command=self._proof_command(target, held),
                cancelled=self.cancelled,
            ),
        )

    def _proof_command(self, target: Target, held: StoredCertificate) -> ProofCommand | None:
        if not target.install.verify_command:
            return None
        live = self.live(target).path
        surroundings = environment(target.name, target.hostname, live, held.version.id)
        return ProofCommand(target.install.verify_command, surroundings, held.summary.fingerprint)

    def _bring_up(self, target: Target, held: StoredCertificate, patience: timedelta) -> bool:
        directory = self.store.gateway_directory(target.name)
        return self._exchange.bring_up(target, directory, self._piece(target, held, patience))

    def _confirm(self, target: Target, held: StoredCertificate, detail: str) -> DeploymentResult:
        self.live(target).save_deployment(
            Deployment(held.version.id, confirmed=self.now(), proven=target.install.proofs)
        )
        self._prune(target, held)
        return DeploymentResult(held, f"the certificate of {target.display_name} {detail}")

    def _prune(self, target: Target, held: StoredCertificate) -> None:
        """Delete versions that nobody needs; never the best one, however old it is."""
        inventory, now = self.inventory(target), self.now()
        best = (inventory.wanted(now), inventory.lasting(now), self._previous(target))
        prune(
            self.store,
            target.name,
            keep=target.install.keep_versions,
            live=held.version.id,
            needed=[one.version.id for one in best if one is not None],
        )

    def _stay(
        self, target: Target, held: StoredCertificate, uncopied: CopyError, *, proven: bool
    ) -> DeploymentResult:
        """Remember that copies are missing of a version that the gateway has taken."""
        self._postpone(target, held, uncopied, previous="")
        self._prune(target, held)
        ending = "it is served all the same" if proven else "the gateway was told all the same"
        return DeploymentResult(held, f"{uncopied.message}; {ending}", uncopied)

    # ------------------------------------------------------------------ what is not proven

    def _not_taken(
        self, target: Target, held: StoredCertificate, error: DeploymentError, *, nobody_there: bool
    ) -> DeploymentResult:
        """Decide what stays in place of a version that is not proven to be served."""
        answers = probe_listeners(target.install.verify, target.hostname)
        excused = not isinstance(error, ReloadError) or error.ran
        if nobody_there and all_refuse(answers) and excused:
            return self._wait_for_listener(target, held, answers, error)
        previous = self._previous(target)
        if previous is not None and self._has_refused(target, held, previous, error, answers):
            return self._roll_back(target, held, previous, error)
        self._postpone(target, held, error)
        self._prune(target, held)
        if self.live(target).current() != held.version.id:
            return DeploymentResult(held, error.message, error)
        ending = "the certificate stays in place, reload and proof are repeated"
        return DeploymentResult(held, f"{error.message}; {ending}", error)

    def _has_refused(
        self,
        target: Target,
        held: StoredCertificate,
        previous: StoredCertificate,
        error: DeploymentError,
        answers: Sequence[ServedChain | ProbeFailure],
    ) -> bool:
        """Whether the server does not take a version, so that the previous one is tried."""
        deployment = self.live(target).deployment()
        before = set(deployment.answered) if deployment is not None else set()
        if isinstance(error, CopyError):
            return self._can_go_back(target, held)
        if isinstance(error, ReloadError) and error.ran and self._can_go_back(target, held):
            return True
        failing = {
            repr_of_listener(each.endpoint)
            for each in answers
            if isinstance(each, ProbeFailure) and each.kind is not FailureKind.NAME
        } - {repr_of_listener(each.endpoint) for each in answers if isinstance(each, ServedChain)}
        if not before.isdisjoint(failing):
            return True
        if BY_COMMAND not in before or target.install.verify:
            return False
        command = self.ask_command(target, previous)
        return command is not None and not command.matches

    def _roll_back(
        self,
        target: Target,
        held: StoredCertificate,
        previous: StoredCertificate,
        error: DeploymentError,
    ) -> DeploymentResult:
        try:
            self._postpone(target, held, error, ends=previous.summary.not_after)
        finally:  # what was served is served again, whether or not that can be written down
            deployed = self._put_back(target, held, previous, error)
        return deployed

    def _put_back(
        self,
        target: Target,
        held: StoredCertificate,
        previous: StoredCertificate,
        error: DeploymentError,
    ) -> DeploymentResult:
        if isinstance(error, CopyError):  # the gateway was not told of the other version
            self._point_at_least(target, previous)
            ending = "rolled back, the gateway was not told of the new certificate"
            return DeploymentResult(held, f"{error.message}; {ending}", error, rolled_back=True)
        directory = self.store.gateway_directory(target.name)
        piece = self._piece(target, previous, target.install.verify_timeout)
        piece = replace(piece, put=partial(self._point_at_least, target, previous))
        second = self._exchange.put_back(target, directory, piece)
        if second is None:
            ending = "rolled back, the previous certificate is served again"
            return DeploymentResult(held, f"{error.message}; {ending}", error, rolled_back=True)
        self._point_at_least(target, held)
        ending = f"the previous certificate is not proven either, the new one stays: {second}"
        return DeploymentResult(held, f"{error.message}; {ending}", error)

    def _wait_for_listener(
        self,
        target: Target,
        held: StoredCertificate,
        answers: Sequence[ServedChain | ProbeFailure],
        error: DeploymentError | None = None,
    ) -> DeploymentResult:
        """Leave a version in place that is proven as soon as something listens."""
        known, now = self._silence(target), self.now()
        listeners = tuple(str(answer.endpoint) for answer in answers)
        what = f"nothing listens at {', '.join(listeners)} yet"
        if isinstance(error, ReloadError):
            what += f" ({error.message})"
        deployment = self.live(target).deployment() or Deployment(held.version.id)
        since = known.since if known is not None and known.since <= now else now
        self.live(target).save_deployment(
            replace(
                deployment,
                next_attempt=next_listener_check(since, now=now),
                silence=ListenerOutage(since, now, listeners, what),
            )
        )
        detail = (
            f"the certificate of {target.display_name} is installed, not proven: {what}; it is"
            " proven as soon as something does"
        )
        return DeploymentResult(held, detail, waits=known is not None)

    def _previous(self, target: Target) -> StoredCertificate | None:
        """What may be put back if the version that was just put in place is not taken."""
        deployment = self.live(target).deployment()
        if deployment is None or deployment.previous in {"", deployment.version}:
            return None
        previous = self.inventory(target).find(deployment.previous)
        return previous if previous and previous.summary.not_after > self.now() else None

    def _postpone(
        self,
        target: Target,
        held: StoredCertificate,
        error: DeploymentError,
        *,
        previous: str | None = None,
        ends: datetime | None = None,
    ) -> None:
        live = self.live(target)
        before = live.deployment() or Deployment(held.version.id)
        failures = 1 + before.failures
        live.save_deployment(
            Deployment(
                held.version.id,
                failures=failures,
                next_attempt=next_deployment(failures, now=self.now(), not_after=ends),
                error=error.message,
                previous=before.previous if previous is None else previous,
                answered=before.answered,
                mixed=isinstance(error, MixedCertificatesError),
            )
        )

    @property
    def _exchange(self) -> Exchange:
        return Exchange(self.progress, self.cancelled)
