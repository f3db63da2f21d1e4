"""The authorities of users' certificates: in place → reloaded → proven, or put back.

The same path as a certificate's (``deploy.bring_up``), with one more rule: the file that the server
reads always exists, with or without a CA in it (``client_ca.bundle``), because a server that is
configured to demand certificates does not start without it.

A change is written down before anything is touched, and what was before is forgotten before its end
is written down. So the next pass ends what a crash left half done, wherever that was: it proves the
new bundle, or goes back to the one before.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from gatecert.client_ca.bundle_files import BundleFiles
from gatecert.deploy.bring_up import Exchange, Piece
from gatecert.deploy.live import LiveDirectory
from gatecert.errors import DeploymentError, GatecertError, NotServedError
from gatecert.model import Deployment, Progress
from gatecert.schedule.due import next_deployment
from gatecert.store.protocol import Store
from gatecert.verify.client_ca_request import expect_client_cas
from gatecert.verify.verdict import probe_listeners, prove_with
from gatecert.verify.watch import all_refuse, is_silent

if TYPE_CHECKING:
    from gatecert.client_ca.bundle import Bundle
    from gatecert.model import Target, Verdict

logger = logging.getLogger(__name__)

PROVEN = "every listener asks for certificates of exactly these authorities"
NOT_PROVEN = "the bundle is in place, not proven: install.verify names no listener"
SAME_NAMES = (
    ", as far as can be seen: their names are the same as before, and a handshake shows no more"
)


@dataclass(frozen=True, slots=True)
class ClientCADeploymentResult:
    """How bringing a bundle onto a gateway ended.

    Attributes:
        detail: One line for the operator.
        error: Why the server does not ask for its authorities; None when it does.
        rolled_back: Whether the bundle before was put back.
    """

    detail: str
    error: GatecertError | None = None
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class ClientCADeployer:
    """Brings the authorities of users onto gateways.

    Attributes:
        progress: Told of each step.
        now: Reads the clock.
        cancelled: Set when gatecert is stopping.
    """

    store: Store
    progress: Progress
    now: Callable[[], datetime]
    cancelled: threading.Event = field(default_factory=threading.Event)

    def files(self, target: Target) -> BundleFiles:
        """Where the bundle of a gateway is."""
        directory = self.store.gateway_directory(target.name)
        return BundleFiles(directory, target.install.key_group)

    def concerns(self, target: Target) -> bool:
        """Whether anything is to be looked after."""
        return target.client_authentication is not None or self.files(target).exists()

    def ensure(self, target: Target) -> None:
        """See that there is a file for the server to read.

        Raises:
            StorageError: It cannot be written.
        """
        files = self.files(target)
        if not files.exists():
            files.write(files.read(), now=self.now())
            logger.info("nobody is admitted yet gateway=%s path=%s", target.name, files.path)

    def change(self, target: Target, bundle: Bundle) -> ClientCADeploymentResult:
        """Let another bundle take the place of the one in force, if the server follows.

        Raises:
            StorageError: It cannot be written; the bundle in force is as it was.
        """
        self.ensure(target)
        files = self.files(target)
        before = files.previous() or files.read()  # of two changes in a row, the first is unproven
        files.save_deployment(Deployment(bundle.id))
        files.keep_previous(before, now=self.now())
        if not before.certificates and all_refuse(
            probe_listeners(target.install.verify, target.hostname)
        ):
            files.write(bundle, now=self.now())
            error = NotServedError(
                "the bundle is in place, but nothing listens that could be asked for it",
                fix=f"start the server; it reads {files.path}, and is asked again by itself",
            )
            files.forget_previous()
            self._postpone(target, bundle, error)
            return ClientCADeploymentResult(error.message, error)
        return self._carry_out(target, bundle, before)

    def settle(self, target: Target) -> ClientCADeploymentResult | None:
        """End what was left unproven, if it is time to; None where nothing was done.

        Raises:
            StorageError: It cannot be read or written.
        """
        files = self.files(target)
        deployment = files.deployment()
        if deployment is None:
            return None
        if deployment.confirmed is not None:
            return self._watch(target, deployment.confirmed)
        if deployment.next_attempt is not None and self.now() < deployment.next_attempt:
            return None
        bundle, before = files.read(), files.previous()
        if before is not None and deployment.version != bundle.id:
            files.forget_previous()  # the change had not begun yet
            before = None
        if target.install.verify and self.verify_once(target, bundle).served:
            return self._confirm(target, bundle, PROVEN)
        return self._carry_out(target, bundle, before)

    def _watch(self, target: Target, confirmed: datetime) -> ClientCADeploymentResult | None:
        """See now and then that what was proven to be asked for still is, and put it right.

        A listener that is silent asks nobody for anything: that is told by the watch over the
        server's own certificate (``verify.watch``).
        """
        now, plan = self.now(), target.install
        if not plan.verify or confirmed <= now < confirmed + plan.watch:
            return None
        files = self.files(target)
        bundle = files.read()
        judge = expect_client_cas(bundle.root_names, bundle.intermediate_names)
        answers = probe_listeners(plan.verify, target.hostname)
        audible = [answer for answer in answers if not is_silent(answer)]
        wrong = [probe.detail for probe in map(judge, audible) if not probe.matches]
        if not wrong:
            if len(audible) == len(answers):
                files.save_deployment(Deployment(bundle.id, confirmed=now))
            return None
        drift = "; ".join(wrong)
        logger.warning("drift gateway=%s %s", target.name, drift)
        files.save_deployment(Deployment(bundle.id))
        admitted = self._carry_out(target, bundle, None)
        if admitted.error is not None:
            return replace(admitted, detail=f"{admitted.detail} (it was asked for before)")
        return replace(admitted, detail=f"{drift}; after a reload {admitted.detail}")

    def verify_once(self, target: Target, bundle: Bundle) -> Verdict:
        """Ask every listener once of whom it wants certificates."""
        return self._prove(target, bundle, timeout=timedelta(0))

    def _carry_out(
        self, target: Target, bundle: Bundle, before: Bundle | None
    ) -> ClientCADeploymentResult:
        directory = self.store.gateway_directory(target.name)
        piece = self._piece(target, bundle)
        try:
            if before is not None:
                piece.put()
            proven = self._exchange.bring_up(target, directory, piece)
        except DeploymentError as error:
            if self.cancelled.is_set():
                return ClientCADeploymentResult("left in the middle of a change", error)
            if before is None:
                self._postpone(target, bundle, error)
                return ClientCADeploymentResult(error.message, error)
            return self._roll_back(target, before, error)
        detail = PROVEN if proven else NOT_PROVEN
        if proven and before is not None and _names(before) == _names(bundle):
            detail += SAME_NAMES
        return self._confirm(target, bundle, detail)

    def _roll_back(
        self, target: Target, before: Bundle, error: DeploymentError
    ) -> ClientCADeploymentResult:
        files = self.files(target)
        directory = self.store.gateway_directory(target.name)
        second = self._exchange.put_back(target, directory, self._piece(target, before))
        files.forget_previous()
        if second is None:
            files.save_deployment(Deployment(before.id, confirmed=self.now()))
            ending = "rolled back, the authorities before are asked for again"
        else:
            self._postpone(target, before, DeploymentError(second))
            ending = f"rolled back, but that is not proven either: {second}"
        if not before.certificates:
            ending = "rolled back: nobody is admitted with a certificate, as before"
        return ClientCADeploymentResult(f"{error.message}; {ending}", error, rolled_back=True)

    def _confirm(self, target: Target, bundle: Bundle, detail: str) -> ClientCADeploymentResult:
        files = self.files(target)
        files.forget_previous()
        files.save_deployment(Deployment(bundle.id, confirmed=self.now()))
        return ClientCADeploymentResult(detail)

    def _postpone(self, target: Target, bundle: Bundle, error: GatecertError) -> None:
        files = self.files(target)
        known = files.deployment()
        failures = 1 + (known.failures if known and known.version == bundle.id else 0)
        at = next_deployment(failures, now=self.now())
        files.save_deployment(
            Deployment(bundle.id, failures=failures, next_attempt=at, error=error.message)
        )

    def _piece(self, target: Target, bundle: Bundle) -> Piece:
        files = self.files(target)
        directory = self.store.gateway_directory(target.name)
        return Piece(
            name="the authorities before",
            file=f"{files.path} (ca-cert of ocserv, ssl_client_certificate of nginx)",
            live_version=LiveDirectory(directory).current() or "",
            put=lambda: files.write(bundle, now=self.now()),
            prove=partial(self._prove, target, bundle, timeout=target.install.verify_timeout),
        )

    def _prove(self, target: Target, bundle: Bundle, *, timeout: timedelta) -> Verdict:
        return prove_with(
            expect_client_cas(bundle.root_names, bundle.intermediate_names),
            target.install.verify,
            target.hostname,
            timeout=timeout,
            cancelled=self.cancelled,
        )

    @property
    def _exchange(self) -> Exchange:
        return Exchange(self.progress, self.cancelled)


def _names(bundle: Bundle) -> tuple[frozenset[str], frozenset[str]]:
    return bundle.root_names, bundle.intermediate_names
