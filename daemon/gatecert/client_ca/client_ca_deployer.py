"""The deployment of a bundle of client CAs.

The file that the server reads always exists, with or without a CA in it (``client_ca.bundle``),
because a server that is configured to request client certificates does not start without it.

A change is recorded first, and the previous bundle is kept until the change is proven or rolled
back, so that the next pass completes what a crash interrupted. If a listener answers but does not
request the new client CAs, or the reload fails, the bundle is rolled back. If nothing listens, it
stays in place until a listener accepts connections and proves it.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.client_ca.bundle import Bundle
from gatecert.client_ca.bundle_files import BundleFiles
from gatecert.deploy.deployer import Deployer, DeploymentResult, DeployTools
from gatecert.deploy.deployment_record import DeploymentRecord
from gatecert.errors import DeploymentError, GatecertError, NotServedError
from gatecert.model import Deployment, ListenerOutage, Target
from gatecert.schedule.spread import next_instant
from gatecert.verify.client_ca_request import expect_client_cas
from gatecert.verify.verdict import probe_listeners, prove_with
from gatecert.verify.watch import is_silent

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatecert.model import Verdict
    from gatecert.store.kept_files import KeptFiles
    from gatecert.verify.served_chain import ProbeFailure, ServedChain
    from gatecert.verify.verdict import Comparison

logger = logging.getLogger(__name__)

PROVEN = "every listener requests certificates of exactly these client CAs"
NOT_PROVEN = "the bundle is in place, not proven: install.verify names no listener"
SAME_NAMES = ", as far as a handshake shows: the CAs have the same names as before"


class ClientCADeployer(Deployer[Bundle]):
    """Deploys bundles of client CAs to one gateway.

    Args:
        tools: What all deployments share.
        target: The gateway.
        bundles: The bundles that this process has read.

    Attributes:
        files: The bundle's files.
    """

    def __init__(
        self, tools: DeployTools, target: Target, bundles: KeptFiles[Bundle] | None = None
    ) -> None:
        directory = tools.store.gateway_directory(target.name)
        self.files = BundleFiles(directory, target.install.key_group, bundles)
        record = DeploymentRecord(
            self.files.deployment_path, self.files.make_directory, tools.records
        )
        super().__init__(tools, target, record)
        self.file = f"{self.files.path} (ca-cert of ocserv, ssl_client_certificate of nginx)"

    @property
    def is_needed(self) -> bool:
        """True if the gateway requests client certificates, or did."""
        return self.target.client_authentication is not None or self.files.exists()

    def ensure(self) -> None:
        """Write a bundle without a CA if there is no file for the server to read.

        Raises:
            StorageError: It cannot be written.
        """
        if not self.files.exists():
            self.files.write(self.files.read(), now=self.tools.now())
            logger.info("no client CAs yet gateway=%s path=%s", self.target.name, self.files.path)

    def change(self, bundle: Bundle) -> DeploymentResult:
        """Replace the bundle in force, if the server accepts the new one.

        Raises:
            StorageError: It cannot be written; the bundle in force is unchanged.
        """
        self.ensure()
        before = self.files.previous() or self.files.read()  # the first of two unproven changes
        self.record.save(Deployment(bundle.id))
        self.files.keep_previous(before, now=self.tools.now())
        return self.deploy(bundle)

    def settle(self) -> DeploymentResult | None:
        """Complete an unproven change, or check that a proven one is still in force.

        Returns:
            How it ended; None if nothing was due.

        Raises:
            StorageError: A file cannot be read or written.
        """
        known, at = self.record.value, self.next_attempt()
        if known is None or at is None or self.tools.now() < at:
            return None
        if known.confirmed is not None:
            return self._watch(known)
        bundle = self.files.read()
        if known.version != bundle.id:
            self.files.forget_previous()  # the change had not begun
        return self.deploy(bundle)

    def next_attempt(self) -> datetime | None:
        """Return when a change is completed, or a proven one checked again; None if neither is.

        Raises:
            StorageError: The record cannot be read.
        """
        known, now, plan = self.record.value, self.tools.now(), self.target.install
        if known is None:
            return None
        if known.confirmed is None:
            return known.next_attempt or now
        if not plan.verify:
            return None
        last = known.confirmed if known.silence is None else max(known.confirmed, known.silence.at)
        return now if last > now else next_instant(self.target.name, last, plan.watch)

    def _watch(self, known: Deployment) -> DeploymentResult | None:
        """Check that the listeners still request the client CAs; reload if not.

        A listener that does not answer is reported by the watch over the server certificate
        (``verify.watch``).
        """
        now, plan = self.tools.now(), self.target.install
        bundle = self.files.read()
        compare = _requests(bundle)
        answers = probe_listeners(plan.verify, self.target.hostname)
        answering = [answer for answer in answers if not is_silent(answer)]
        wrong = [probe.detail for probe in map(compare, answering) if not probe.matches]
        if not wrong:
            silent = [answer for answer in answers if is_silent(answer)]
            confirmed = Deployment(bundle.id, confirmed=now)
            self.record.save(_silent(known, silent, now=now) if silent else confirmed)
            return None
        drift = "; ".join(wrong)
        logger.warning("drift gateway=%s %s", self.target.name, drift)
        self.record.save(Deployment(bundle.id))
        result = self.deploy(bundle)
        if result.error is not None:
            return replace(result, detail=f"{result.detail} (it was proven before)")
        return replace(result, detail=f"{drift}; after a reload {result.detail}")

    # ------------------------------------------------------------------ as a Deployer

    @property
    def is_provable(self) -> bool:
        """True if a listener can prove a bundle."""
        return bool(self.target.install.verify)

    @property
    def proofs(self) -> tuple[str, ...]:
        """Nothing: the watch asks every listener that is configured."""
        return ()

    def describe(self, content: Bundle) -> str:
        """Name the bundle."""
        del content
        return "the bundle of client CAs"

    def id_of(self, content: Bundle) -> str:
        """Return the bundle's id."""
        return content.id

    def current_id(self) -> str:
        """Return the id of the bundle in place."""
        return self.files.read().id

    def put(self, content: Bundle) -> bool:
        """Write the bundle unless it is in place."""
        if self.current_id() == content.id:
            return False
        self.files.write(content, now=self.tools.now())
        return True

    def prove(self, content: Bundle, timeout: timedelta) -> Verdict:
        """Ask the listeners until they request certificates of these client CAs."""
        return prove_with(
            _requests(content),
            self.target.install.verify,
            self.target.hostname,
            timeout=timeout,
            cancelled=self.tools.cancelled,
        )

    def verify_once(self, content: Bundle) -> Verdict:
        """Ask the listeners once."""
        return self.prove(content, timedelta(0))

    def previous(self) -> Bundle | None:
        """Return the bundle before the change in progress."""
        return self.files.previous()

    def is_refused(
        self,
        content: Bundle,
        previous: Bundle,
        error: DeploymentError,
        answers: Sequence[ServedChain | ProbeFailure],
    ) -> bool:
        """Roll back every change that is not proven."""
        del error, answers
        return content.id != previous.id

    def keep_or_revert(
        self, content: Bundle, previous: Bundle, error: DeploymentError, failure: str | None
    ) -> DeploymentResult:
        """Keep the previous bundle; its proof is repeated if it fails."""
        del content
        self.files.forget_previous()
        if failure is None:
            self.record.save(Deployment(previous.id, confirmed=self.tools.now()))
            ending = "rolled back: the previous client CAs are requested again"
        else:
            self.record.save(Deployment(previous.id))
            self.postpone(previous, DeploymentError(failure))
            ending = f"rolled back, but the listener still fails the check: {failure}"
        if not previous.certificates:
            ending = "rolled back: no client CA is accepted, as before"
        return DeploymentResult(f"{error.message}; {ending}", error, rolled_back=True)

    def confirm(self, content: Bundle, *, proven: bool) -> DeploymentResult:
        """Record that the bundle is in force."""
        before = self.files.previous()
        self.files.forget_previous()
        super().confirm(content, proven=proven)
        detail = PROVEN if proven else NOT_PROVEN
        if proven and before is not None and before.id != content.id:
            detail += SAME_NAMES if _names(before) == _names(content) else ""
        return DeploymentResult(detail)

    def waiting_error(self, detail: str) -> GatecertError:
        """Return an error: the change is not proven until a listener answers."""
        return NotServedError(
            detail, fix=f"start the server; it reads {self.files.path}, and the proof is repeated"
        )


def _requests(bundle: Bundle) -> Comparison:
    return expect_client_cas(bundle.root_names, bundle.intermediate_names)


def _silent(
    known: Deployment, silent: Sequence[ServedChain | ProbeFailure], *, now: datetime
) -> Deployment:
    since = known.silence.since if known.silence is not None else now
    listeners = tuple(str(answer.endpoint) for answer in silent)
    detail = f"nothing answers at {', '.join(listeners)}"
    return replace(known, silence=ListenerOutage(since, now, listeners, detail))


def _names(bundle: Bundle) -> tuple[frozenset[str], frozenset[str]]:
    return bundle.root_names, bundle.intermediate_names
