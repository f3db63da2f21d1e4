"""Taking over a certificate that an administrator hands in: checked → kept → installed → proven.

Nothing is changed unless every check passes (``custom.import_check``) and the certificate is not
worse than the one in use (``certificate.comparison``).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING

from gatecert.certificate.comparison import rank, rejection_of
from gatecert.certificate.trust import system_roots, trust_of
from gatecert.custom.import_check import CheckedImport, check_import
from gatecert.custom.signing_requests import remove_used_requests
from gatecert.deploy.deployer import Deployer
from gatecert.deploy.inventory import StoredCertificate
from gatecert.lifecycle.gateway_state import GatewayStates
from gatecert.model import Outcome, OutcomeKind, Progress, Stage, Target
from gatecert.store.protocol import Store
from gatecert.time_format import day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.certificate.upload import Upload
    from gatecert.model import Version


@dataclass(frozen=True, slots=True)
class CertificateImport:
    """Takes over certificates for gateways with ``mode: custom``.

    Attributes:
        deploy: Brings a version onto the gateway.
        accept_untrusted: Whether a root that is not trusted is accepted.
    """

    store: Store
    memory: GatewayStates
    deployer: Deployer
    progress: Progress
    now: Callable[[], datetime]
    deploy: Callable[[Target, StoredCertificate], Outcome]
    accept_untrusted: bool = False

    def run(self, target: Target, uploads: Sequence[Upload], *, wait: float) -> Outcome:
        """Take over a certificate; see `Pipeline.import_certificate`."""
        started = time.monotonic()
        with self.store.lock_gateway(target.name, "importing a certificate", wait=wait):
            accepted = check_import(
                self.store, target, uploads, now=self.now(), system_roots=system_roots()
            )
            if accepted.version is not None:
                outcome = self._take_again(target, accepted, accepted.version)
            else:
                outcome = self._take(target, accepted)
            outcome = replace(outcome, seconds=round(time.monotonic() - started, 3))
            return self.memory.remember(target, outcome)

    def _refuse_worse(self, target: Target, accepted: CheckedImport) -> None:
        """Refuse a certificate that is worse than the one in use; nothing is on the disk yet.

        Raises:
            InferiorCertificateError: It is.
        """
        inventory, now = self.deployer.inventory(target), self.now()
        best, issued = inventory.wanted(now), accepted.issued
        trust = trust_of(issued.certificate, issued.chain, self.deployer.roots(target), now=now)
        accepts = self.accept_untrusted and not trust.trusted
        worth = rank(
            accepted.summary,
            replace(trust, trusted=trust.trusted or accepts),
            revoked=False,
            target=target,
            now=now,
        )
        if best is not None and worth < best.rank(target, now):
            other, ends = best.rank(target, now), best.summary.not_after
            raise rejection_of(accepted.summary, trust, worth, other, other_ends=ends)
        if accepts:
            self.memory.accept_root(target, trust.root)

    def _take(self, target: Target, accepted: CheckedImport) -> Outcome:
        self._refuse_worse(target, accepted)
        end = accepted.summary.not_after
        self._tell(
            target,
            f"{accepted.summary.subject} from {accepted.summary.issuer}, until {day(end)}",
        )
        for note in accepted.issued.notes:
            self._tell(target, f"note: {note}")
        self.store.check_writable()
        held = self.memory.keep(target, accepted.issued)
        deployed = self.deploy(target, held)
        remove_used_requests(self.store, target.name)
        return deployed if deployed.failed else replace(deployed, kind=OutcomeKind.IMPORTED)

    def _take_again(self, target: Target, accepted: CheckedImport, version: Version) -> Outcome:
        """Change nothing, unless the gateway does not serve it yet although it ought to.

        One that has been followed by another is taken anew only where the gateway has refused the
        other: a file that is handed in again and again must not undo a renewal.
        """
        inventory = self.deployer.inventory(target)
        wanted = inventory.wanted(self.now())
        deployment = self.deployer.deployment(target, inventory)
        confirmed = deployment is not None and deployment.confirmed is not None
        said = f"this certificate was imported before, as version {version.id}"
        if wanted is None or wanted.version.id != version.id:
            if not confirmed:
                return self._take(target, accepted)
            newer = wanted.version.id if wanted is not None else "none"
            return self.memory.outcome(
                target, OutcomeKind.IDLE, f"{said}; version {newer} has taken its place"
            )
        if confirmed:
            return self.memory.outcome(target, OutcomeKind.IDLE, f"{said}; nothing was changed")
        return self.deploy(target, wanted)

    def _tell(self, target: Target, message: str) -> None:
        self.progress(target.name, Stage.CHECK, message)
