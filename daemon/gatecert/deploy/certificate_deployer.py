"""The deployment of a certificate version; the best certificate stays in place.

Every certificate takes this path, whether it is self-signed, issued or imported. The previous
version is put back only if the server refuses the new one:

- A listener that completed TLS handshakes before the swap does not any more. Any previous version
  that is still valid is then tried.
- The reload command ran and failed. A previous version is then tried only if it is at least as
  good (``certificate.comparison``).

It stays only if the server accepts it. If neither is proven, the better one is put in place again.
A listener that cannot be reached, is absent or serves something else proves nothing about the new
version, which stays.

A copy that cannot be written is a failure, but a version that is proven nevertheless stays, and
only the copies are tried again. If nothing can be proven, a previous version that is at least as
good is put back.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.deadline import Deadline
from gatecert.deploy.adopted_files import read_adopted_files
from gatecert.deploy.deployer import Deployer, DeploymentResult, DeployTools
from gatecert.deploy.deployment_record import DeploymentRecord
from gatecert.deploy.inventory import Inventory, take_inventory
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.deploy.prune import prune
from gatecert.deploy.reload import environment
from gatecert.deploy.server_files import first_words
from gatecert.errors import CopyError, GatecertError, ReloadError
from gatecert.model import Deployment, FailureKind, Target, repr_of_listener
from gatecert.verify.served_chain import ProbeFailure, ServedChain
from gatecert.verify.verdict import CONFIRMATIONS, prove
from gatecert.verify.verify_command import RUN_TIMEOUT, ProofCommand, run_once

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from gatecert.deploy.live import LiveDirectory
    from gatecert.errors import DeploymentError
    from gatecert.model import EnrolmentState, Probe, Verdict

logger = logging.getLogger(__name__)

SINGLE_ATTEMPT = timedelta(0)
MOST_CONFIRMATIONS = 24  # handshakes, once a listener was found to serve two certificates
BY_COMMAND = "install.verify_command"


class CertificateDeployer(Deployer[StoredCertificate]):
    """Deploys versions to one gateway.

    Args:
        tools: What all deployments share.
        target: The gateway.
        enrolment: Its state: revocation, and untrusted roots that the operator accepted.

    Attributes:
        inventory: The usable versions; kept up to date as versions are put in place and pruned.
        waiting: The generation that waits for its turn on this host; zero if none does.
    """

    file = "live/"

    def __init__(
        self,
        tools: DeployTools,
        target: Target,
        enrolment: EnrolmentState,
        *,
        record: DeploymentRecord | None = None,
        live: LiveDirectory | None = None,
    ) -> None:
        path = tools.store.gateway_directory(target.name) / "deployment.json"
        kept = record or DeploymentRecord(path, kept=tools.records)
        super().__init__(tools, target, kept, live)
        self.waiting = 0
        self.inventory = self.take_inventory(enrolment)

    def take_inventory(self, enrolment: EnrolmentState) -> Inventory:
        """Read every version of the gateway, after one was added."""
        self.inventory = take_inventory(
            self.tools.store,
            self.target,
            self.live.current(),
            enrolment=enrolment,
            roots=self.tools.roots(self.target),
            now=self.tools.now(),
            parsed=self.tools.parsed,
        )
        return self.inventory

    @property
    def wanted(self) -> StoredCertificate | None:
        """The version that ought to be served; None if there is none."""
        return self.inventory.wanted(self.tools.now())

    @property
    def in_turn(self) -> StoredCertificate | None:
        """The version to serve here for now: the wanted one, unless it waits for its turn."""
        return self.inventory.in_turn(self.tools.now(), self.waiting)

    @property
    def deployment(self) -> Deployment | None:
        """The deployment of the version to serve for now; None if there is none."""
        wanted = self.in_turn
        if wanted is None:
            return None
        fresh, known = Deployment(wanted.version.id), self.record.value
        if known is None or known.version != wanted.version.id:
            return fresh
        if known.confirmed is not None and (
            self.inventory.live != wanted or set(known.proven) != set(self.proofs)
        ):
            return fresh
        return known

    def catch_up(self, stored: StoredCertificate) -> None:
        """Write copies that the configuration asks for since this version was proven.

        If that changes anything, or fails, the version is deployed again: the server may have to
        reload.

        Raises:
            StorageError: That cannot be recorded.
        """
        known = self.record.value
        if known is None or known.confirmed is None or known.version != stored.version.id:
            return
        try:
            changed = self.put(stored)
        except GatecertError as error:
            logger.debug("copies out of date gateway=%s error=%s", self.target.name, error)
            changed = True
        if changed:
            self.record.save(Deployment(stored.version.id))

    def ask_command(self, stored: StoredCertificate) -> Probe | None:
        """Run ``install.verify_command`` once; return None if none is configured."""
        command = self._proof_command(stored)
        if command is None:
            return None
        return run_once(command, Deadline.after(RUN_TIMEOUT, self.tools.cancelled))

    # ------------------------------------------------------------------ as a Deployer

    @property
    def is_provable(self) -> bool:
        """True if a listener or a command can verify the certificate."""
        return self.target.install.is_provable

    @property
    def proofs(self) -> tuple[str, ...]:
        """The listeners and the command."""
        return self.target.install.proofs

    def describe(self, content: StoredCertificate) -> str:
        """Name the version."""
        del content
        return f"the certificate of {self.target.display_name}"

    def id_of(self, content: StoredCertificate) -> str:
        """Return the version's id."""
        return content.version.id

    def current_id(self) -> str:
        """Return the version that ``live`` leads to."""
        return self.live.current() or ""

    def put(self, content: StoredCertificate) -> bool:
        """Point ``live`` at the version and write the copies."""
        private_key = self.tools.store.private_key(content.version)
        try:
            return self.live.install(self.target.install, content.version, private_key)
        finally:
            live = self.inventory.find(self.live.current() or "")
            self.inventory = replace(self.inventory, live=live)

    def prove(self, content: StoredCertificate, timeout: timedelta) -> Verdict:
        """Ask the listeners and the command until the version is served."""
        return self._prove(content, timeout, CONFIRMATIONS)

    def verify_once(self, content: StoredCertificate) -> Verdict:
        """Ask the listeners and the command once."""
        return self._prove(
            content, SINGLE_ATTEMPT, MOST_CONFIRMATIONS if self._mixed else CONFIRMATIONS
        )

    def answered(self, answers: Sequence[ServedChain | ProbeFailure]) -> tuple[str, ...]:
        """Name what confirms the version in place now: listeners, and the command."""
        live = self.inventory.live if self.target.install.verify_command else None
        command = self.ask_command(live) if live is not None else None
        confirmed = command is not None and command.matches
        return (*super().answered(answers), *([BY_COMMAND] if confirmed else []))

    def previous(self) -> StoredCertificate | None:
        """Return the recorded previous version if it is still valid."""
        known = self.record.value
        if known is None or known.previous in {"", known.version}:
            return None
        previous = self.inventory.find(known.previous)
        return previous if previous and previous.summary.not_after > self.tools.now() else None

    def may_go_back(self, content: StoredCertificate) -> bool:
        """Tell whether the previous version is at least as good."""
        previous, now = self.previous(), self.tools.now()
        if previous is None:
            return False
        return previous.rank(self.target, now) >= content.rank(self.target, now)

    def ends(self, content: StoredCertificate) -> datetime | None:
        """Return the end of the certificate's validity."""
        return content.summary.not_after

    def is_refused(
        self,
        content: StoredCertificate,
        previous: StoredCertificate,
        error: DeploymentError,
        answers: Sequence[ServedChain | ProbeFailure],
    ) -> bool:
        """Tell whether the server refuses the version; see the module's rules."""
        if isinstance(error, CopyError):
            return self.may_go_back(content)
        if isinstance(error, ReloadError) and error.ran and self.may_go_back(content):
            return True
        before = set(self.record.value.answered) if self.record.value is not None else set()
        failing = {
            repr_of_listener(each.endpoint)
            for each in answers
            if isinstance(each, ProbeFailure) and each.kind is not FailureKind.NAME
        } - {repr_of_listener(each.endpoint) for each in answers if isinstance(each, ServedChain)}
        if not before.isdisjoint(failing):
            return True
        if BY_COMMAND not in before or self.target.install.verify:
            return False
        command = self.ask_command(previous)
        return command is not None and not command.matches

    def keep_or_revert(
        self,
        content: StoredCertificate,
        previous: StoredCertificate,
        error: DeploymentError,
        failure: str | None,
    ) -> DeploymentResult:
        """Keep the previous version if it is proven, else put the new one in place again."""
        del previous
        if failure is None:
            ending = "rolled back: the previous certificate is served again"
            return DeploymentResult(f"{error.message}; {ending}", error, rolled_back=True)
        self.put_without_copies(content)
        ending = (
            f"the previous certificate fails the check as well, so the new one stays: {failure}"
        )
        return DeploymentResult(f"{error.message}; {ending}", error)

    def reads_elsewhere(self) -> str:
        """Name the lines of servers' configurations that name files of another ACME client."""
        adopted = read_adopted_files(self.directory)
        references = adopted.references(self.live.path) if adopted is not None else ()
        return f"{first_words(references)}; then reload it" if references else ""

    def clean_up(self, content: StoredCertificate) -> None:
        """Delete versions that are not needed; never the best one, however old it is."""
        inventory, now = self.inventory, self.tools.now()
        best = (self.in_turn, inventory.wanted(now), inventory.lasting(now), self.previous())
        self.inventory = prune(
            self.tools.store,
            inventory,
            keep=self.target.install.keep_versions,
            needed=[content.version.id, *(each.version.id for each in best if each is not None)],
        )

    def _prove(self, content: StoredCertificate, timeout: timedelta, confirmations: int) -> Verdict:
        return prove(
            self.target.install.verify,
            self.target.hostname,
            content.summary,
            timeout=timeout,
            command=self._proof_command(content),
            confirmations=confirmations,
            cancelled=self.tools.cancelled,
        )

    def _proof_command(self, stored: StoredCertificate) -> ProofCommand | None:
        command = self.target.install.verify_command
        if not command:
            return None
        version = stored.version.id
        variables = environment(self.target.name, self.target.hostname, self.live.path, version)
        return ProofCommand(command, variables, stored.summary.fingerprint)
