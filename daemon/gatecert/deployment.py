"""Installed → reloaded → proven, or the previous version is put back.

One path for every certificate, whoever issued it: bootstrap, authority, administrator. What is to
be served, and what was served before, is written down before anything is touched, so that a crash
in between is picked up by the next pass, which can still put the previous version back. Bringing a
version onto the gateway is retried by itself and never costs an order.

A copy that cannot be written is a failure, and keeps no certificate from being served: where the
version is proven in spite of it, it stays, and the copies alone are tried again. Where nothing can
be proven, the previous version is put back for as long as its certificate has not ended.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from gatecert.deadline import Deadline
from gatecert.errors import CopyError, DeploymentError, GatecertError
from gatecert.exchange import Exchange, Piece
from gatecert.install.hook import environment
from gatecert.install.inventory import Held, Inventory, take_inventory
from gatecert.install.live import LiveDirectory
from gatecert.install.prune import prune
from gatecert.model import Deployment, Progress, Target
from gatecert.schedule.due import next_deployment
from gatecert.store.protocol import Store
from gatecert.verify.command import ONE_RUN, ProofCommand, ask
from gatecert.verify.verdict import prove

if TYPE_CHECKING:
    from gatecert.model import Probe, Verdict

logger = logging.getLogger(__name__)

ONE_LOOK = timedelta(0)
NOT_PROVEN = "is installed, not proven: install.verify names no listener"


@dataclass(frozen=True, slots=True)
class Deployed:
    """How bringing a version onto the gateway ended.

    Attributes:
        detail: One line for the operator.
        error: Why the version is not served; None when it is.
        rolled_back: Whether the previous version was put back.
    """

    held: Held
    detail: str
    error: GatecertError | None = None
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class Deployer:
    """Brings versions onto gateways.

    Attributes:
        progress: Told of each step.
        now: Reads the clock.
        cancelled: Set when gatecert is leaving: a deployment under way is then left as it is, and
            taken up by the next pass.
    """

    store: Store
    progress: Progress
    now: Callable[[], datetime]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def live(self, target: Target) -> LiveDirectory:
        """The gateway's ``live`` link and what is known of its deployment."""
        return LiveDirectory(self.store.gateway_directory(target.name))

    def inventory(self, target: Target) -> Inventory:
        """Every version of the gateway that can be served."""
        live = self.live(target).current()
        return take_inventory(self.store, target.name, live, pair=target.key.second is not None)

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
        return deployment

    def swap(self, target: Target, held: Held) -> bool:
        """Let ``live`` lead to a version, without telling the gateway.

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
            Deployment(held.version.id, failures=known.failures, previous=previous)
        )
        return self._point(target, held)

    def catch_up(self, target: Target, held: Held) -> None:
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

    def deploy(self, target: Target, held: Held) -> Deployed:
        """Bring a version onto the gateway and prove it, or put the previous one back.

        Raises:
            StorageError: Something could not be written; the next pass goes on from there.
        """
        provable = target.install.is_provable
        try:
            changed, uncopied = self._swap_at_least(target, held)
            if uncopied is not None and not provable and not self._is_past_going_back(target):
                raise uncopied
            is_served = not changed and provable and self.look(target, held).served
            proven = is_served or self._bring_up(target, held)
        except DeploymentError as error:
            if self.cancelled.is_set():
                return Deployed(held, "left in the middle of a deployment", error)
            return self._roll_back(target, held, error)
        if uncopied is not None:
            return self._stay(target, held, uncopied, proven=proven)
        return self._confirm(target, held, "is served" if proven else NOT_PROVEN)

    def look(self, target: Target, held: Held) -> Verdict:
        """Ask every listener once what it serves."""
        return prove(
            target.install.verify,
            target.hostname,
            held.summary,
            timeout=ONE_LOOK,
            now=self.now,
            command=self._proof_command(target, held),
            cancelled=self.cancelled,
        )

    def ask_command(self, target: Target, held: Held) -> Probe | None:
        """Run ``install.verify_command`` once; None where there is none."""
        command = self._proof_command(target, held)
        return (
            ask(command, Deadline.after(ONE_RUN, self.cancelled)) if command is not None else None
        )

    def _swap_at_least(self, target: Target, held: Held) -> tuple[bool, CopyError | None]:
        """Swap; whether anything had to be changed, and why a copy could not be written."""
        before = self.live(target).current()
        try:
            return self.swap(target, held), None
        except CopyError as error:
            return before != held.version.id, error

    def _is_past_going_back(self, target: Target) -> bool:
        """Whether what was served before can be served no more: it has ended, or is gone."""
        deployment = self.live(target).deployment()
        if deployment is None or not deployment.previous:
            return False
        previous = self._previous(target)
        return previous is None or previous.summary.not_after <= self.now()

    def _point(self, target: Target, held: Held) -> bool:
        private_key = self.store.private_key(held.version)
        return self.live(target).install(target.install, held.version, private_key)

    def _point_at_least(self, target: Target, held: Held) -> None:
        try:
            self._point(target, held)
        except CopyError as error:
            logger.warning("not every copy gateway=%s error=%s", target.name, error)

    def _piece(self, target: Target, held: Held) -> Piece:
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
                timeout=plan.verify_timeout,
                now=self.now,
                command=self._proof_command(target, held),
                cancelled=self.cancelled,
            ),
        )

    def _proof_command(self, target: Target, held: Held) -> ProofCommand | None:
        if not target.install.verify_command:
            return None
        live = self.live(target).path
        surroundings = environment(target.name, target.hostname, live, held.version.id)
        return ProofCommand(target.install.verify_command, surroundings, held.summary.fingerprint)

    def _bring_up(self, target: Target, held: Held) -> bool:
        directory = self.store.gateway_directory(target.name)
        return self._exchange.bring_up(target, directory, self._piece(target, held))

    def _confirm(self, target: Target, held: Held, detail: str) -> Deployed:
        self.live(target).save_deployment(Deployment(held.version.id, confirmed=self.now()))
        self._prune(target, held)
        return Deployed(held, f"the certificate of {target.display_name} {detail}")

    def _prune(self, target: Target, held: Held) -> None:
        prune(self.store, target.name, keep=target.install.keep_versions, live=held.version.id)

    def _stay(self, target: Target, held: Held, uncopied: CopyError, *, proven: bool) -> Deployed:
        """Remember that copies are missing of a version that the gateway has taken."""
        self._postpone(target, held, uncopied, previous="")
        self._prune(target, held)
        ending = "it is served all the same" if proven else "the gateway was told all the same"
        return Deployed(held, f"{uncopied.message}; {ending}", uncopied)

    def _roll_back(self, target: Target, held: Held, error: DeploymentError) -> Deployed:
        previous = self._previous(target)
        try:
            self._postpone(target, held, error)
        finally:  # what was served is served again, whether or not that can be written down
            deployed = self._put_back(target, held, previous, error)
        return deployed

    def _put_back(
        self, target: Target, held: Held, previous: Held | None, error: DeploymentError
    ) -> Deployed:
        if previous is None or previous == held or previous.summary.not_after <= self.now():
            return Deployed(held, error.message, error)
        directory = self.store.gateway_directory(target.name)
        piece = self._piece(target, previous)
        if not isinstance(error, CopyError):  # the gateway was told of the other version
            piece = replace(piece, put=partial(self._point_at_least, target, previous))
        second = self._exchange.put_back(target, directory, piece)
        ending = "rolled back, the previous certificate is served again"
        if second is not None:
            ending = f"rolled back, but that is not proven either: {second}"
        return Deployed(held, f"{error.message}; {ending}", error, rolled_back=True)

    def _previous(self, target: Target) -> Held | None:
        """What is put back if the version that was just put in place is not taken."""
        deployment = self.live(target).deployment()
        return self.inventory(target).find(deployment.previous) if deployment is not None else None

    def _postpone(
        self, target: Target, held: Held, error: DeploymentError, *, previous: str | None = None
    ) -> None:
        live = self.live(target)
        before = live.deployment() or Deployment(held.version.id)
        failures = 1 + before.failures
        at = next_deployment(failures, now=self.now())
        live.save_deployment(
            Deployment(
                held.version.id,
                failures=failures,
                next_attempt=at,
                error=error.message,
                previous=before.previous if previous is None else previous,
            )
        )

    @property
    def _exchange(self) -> Exchange:
        return Exchange(self.progress, self.cancelled)
