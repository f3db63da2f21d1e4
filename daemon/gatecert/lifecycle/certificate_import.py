"""Import a certificate that another CA signed: checked → stored → installed → proven.

Nothing changes unless every check passes (``custom.import_check``) and the certificate is not
worse than the one in use (``certificate.comparison``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gatecert.certificate.comparison import rank, rejection_of
from gatecert.certificate.trust import load_trusted_roots, trust_of
from gatecert.custom.import_check import CheckedImport, check_import
from gatecert.custom.signing_requests import remove_used_requests
from gatecert.deploy.parsed_versions import StoredCertificate
from gatecert.lifecycle.gateway_pass import Pass
from gatecert.model import Outcome, OutcomeKind, Stage
from gatecert.time_format import day

if TYPE_CHECKING:
    from gatecert.certificate.upload import Upload
    from gatecert.model import Version


@dataclass(frozen=True, slots=True)
class CertificateImport:
    """Imports certificates for gateways with ``mode: custom``.

    Attributes:
        deploy: Deploys a version.
    """

    deploy: Callable[[Pass, StoredCertificate], Outcome]

    def run(self, current: Pass, uploads: Sequence[Upload]) -> Outcome:
        """Import a certificate; see `Pipeline.import_certificate`."""
        checked = check_import(
            current.store,
            current.target,
            uploads,
            now=current.now(),
            system_roots=load_trusted_roots(),
        )
        if checked.version is None:
            return self._import(current, checked)
        return self._import_again(current, checked, checked.version)

    def _import(self, current: Pass, checked: CheckedImport) -> Outcome:
        _refuse_worse(current, checked)
        summary = checked.summary
        current.tell(
            Stage.CHECK,
            f"{summary.subject} from {summary.issuer}, until {day(summary.not_after)}",
        )
        for note in checked.issued.notes:
            current.tell(Stage.CHECK, f"note: {note}")
        current.store.check_writable()
        stored = current.keep(checked.issued)
        deployed = self.deploy(current, stored)
        remove_used_requests(current.store, current.target.name)
        return deployed if deployed.failed else replace(deployed, kind=OutcomeKind.IMPORTED)

    def _import_again(self, current: Pass, checked: CheckedImport, version: Version) -> Outcome:
        """Change nothing, unless the gateway ought to serve the certificate and does not.

        A certificate that was followed by another is imported again only if the gateway refused
        the other one: a repeated import must not undo a renewal.
        """
        wanted, deployment = current.wanted, current.deployer.deployment
        confirmed = deployment is not None and deployment.confirmed is not None
        said = f"this certificate was imported before, as version {version.id}"
        if wanted is None or wanted.version.id != version.id:
            if not confirmed:
                return self._import(current, checked)
            newer = wanted.version.id if wanted is not None else "none"
            detail = f"{said}; version {newer} has replaced it"
            return current.outcome(OutcomeKind.IDLE, detail)
        if confirmed:
            return current.outcome(OutcomeKind.IDLE, f"{said}; nothing was changed")
        return self.deploy(current, wanted)


def _refuse_worse(current: Pass, checked: CheckedImport) -> None:
    """Refuse a certificate that is worse than the one in use; nothing is written yet.

    Raises:
        InferiorCertificateError: It is worse.
    """
    target, now = current.target, current.now()
    best, issued = current.wanted, checked.issued
    trust = trust_of(issued.certificate, issued.chain, current.roots, now=now)
    accepted = current.occasion.accept_untrusted and not trust.trusted
    ranked = rank(
        checked.summary,
        replace(trust, trusted=trust.trusted or accepted),
        revoked=False,
        target=target,
        now=now,
    )
    if best is not None and ranked < best.rank(target, now):
        raise rejection_of(
            checked.summary,
            trust,
            ranked,
            best.rank(target, now),
            other_ends=best.summary.not_after,
        )
    if accepted:
        current.accept_root(trust.root)
