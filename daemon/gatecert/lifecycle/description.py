"""Describe gateways: their status, from what a pass knows and the state directory."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gatecert.acme.order_journal import PREFIX
from gatecert.custom.missing_names import missing_names_warning
from gatecert.errors import GatecertError
from gatecert.model import Mode
from gatecert.report import status as report
from gatecert.report.gateway_status import ClientAuthenticationStatus
from gatecert.resolve.region import exclusion_reason
from gatecert.schedule.due import next_due
from gatecert.schedule.expiry_warnings import expiry_warning
from gatecert.time_format import instant

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.lifecycle.client_cas import ClientCAs
    from gatecert.lifecycle.gateway_pass import Pass
    from gatecert.model import CertificateSummary, DatabaseProblem, Target
    from gatecert.model.cluster_view import ClusterView
    from gatecert.report.gateway_status import GatewayStatus


def describe(
    current: Pass,
    client_cas: ClientCAs,
    now: datetime,
    cluster: ClusterView | DatabaseProblem | None = None,
) -> GatewayStatus:
    """Return the status of the gateway of a pass.

    Args:
        current: The pass.
        client_cas: Checks the CAs of client certificates.
        now: Current time.
        cluster: What this host sees of its cluster, or why it sees nothing; None without one.

    Raises:
        StorageError: Its state or its certificates cannot be read.
    """
    target, situation, live = current.target, current.situation, current.live
    region = situation.excluded_region
    facts = report.StatusFacts(
        target=target,
        state=situation.state,
        live=(live.version, live.summary) if live is not None else None,
        deployment=situation.deployment,
        due=next_due(situation, now),
        trusted=live is not None and live.trust.trusted,
        excluded_region=region,
        explanation=exclusion_reason(region, target) if region else "",
        warning=_pending_import(current, situation.live) or _warning(target, situation.live, now),
        client_authentication=client_authentication_status(current, client_cas, now),
        cluster=cluster,
    )
    return report.gateway_status(facts, now)


def _pending_import(current: Pass, live: CertificateSummary | None) -> tuple[str, str] | None:
    """Return what a gateway in custom mode waits for, and the fix; None if nothing."""
    target, store = current.target, current.context.tools.store
    if target.mode is not Mode.CUSTOM or live is None or not live.is_bootstrap:
        return None
    name = target.name
    requests = [each for each in store.requests(name) if not each.id.startswith(PREFIX)]
    if requests:
        made = max(each.created for each in requests)
        what = f"waits for the certificate of its CSR, made {instant(made)}"
        first = f"have the CSR signed (gatecert csr {name} prints it)"
    else:
        what = "waits for an imported certificate"
        first = f"make a CSR with gatecert csr {name}, have it signed"
    return what, f"{first}, then: gatecert import {name} --certificate FILE --chain FILE"


def _warning(target: Target, live: CertificateSummary | None, now: datetime) -> tuple[str, str]:
    """Return problems of the certificate that only an operator can fix, and the first fix."""
    warnings = [
        each
        for each in (expiry_warning(target, live, now), missing_names_warning(target, live))
        if each[0]
    ]
    return "; ".join(what for what, _ in warnings), warnings[0][1] if warnings else ""


def client_authentication_status(
    current: Pass, client_cas: ClientCAs, now: datetime
) -> ClientAuthenticationStatus | None:
    """Return the status of client authentication; None where it is not configured."""
    if not current.client_cas.is_needed:
        return None
    try:
        found = client_cas.overview(current)
    except GatecertError as error:
        path = current.client_cas.files.path
        return ClientAuthenticationStatus(
            str(path), (), asked=None, asked_at=None, error=str(error), warnings=()
        )
    if found is None:
        return None
    return report.client_authentication_status(
        found.path,
        found.authorities,
        found.deployment,
        found.warnings,
        proven=bool(current.target.install.verify),
        now=now,
    )
