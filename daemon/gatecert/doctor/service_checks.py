"""Checks of what clients see, of the last deployment and of past attempts. Pure."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gatecert.doctor import codes
from gatecert.errors import (
    CopyError,
    DeploymentError,
    MixedCertificatesError,
    NotServedError,
    ReloadError,
)
from gatecert.model import Action, Identifier, IdentifierType
from gatecert.schedule.due import next_due
from gatecert.schedule.failover import recorded_failure
from gatecert.time_format import instant
from gatecert.verify.served_chain import ProbeFailure, ServedChain
from gatecert.verify.verdict import compare_served_chain
from gatecert.verify.watch import is_mixed, is_silent

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from gatecert.acme.rate_limits import RemainingAllowance
    from gatecert.doctor.facts import GatewayFacts
    from gatecert.doctor.finding import Finding
    from gatecert.model import CertificateSummary


LIMITS_SHOWN = 4
OF_DEPLOYMENT = {
    kind.code
    for kind in (CopyError, DeploymentError, MixedCertificatesError, NotServedError, ReloadError)
}  # reported by the check "deployment"


def served(facts: GatewayFacts) -> Iterator[Finding]:
    """Check what each listener serves to a client that connects by name."""
    if not facts.target.install.is_provable:
        seen = "install.verify lists no listener"
        yield codes.NOT_VERIFIED.found(seen, gateway=facts.name)
    if facts.live is None:
        return
    for answer in facts.by_name:
        finding = _served_finding(answer, facts.live.summary, facts.name)
        if finding.code == codes.NOT_SERVED.name and is_mixed(
            answer, facts.by_name, facts.live.summary
        ):
            finding = codes.MIXED.found(finding.seen, gateway=facts.name)
        yield finding
    if facts.by_command is not None:
        code = codes.SERVED_OK if facts.by_command.matches else codes.PROOF_DENIED
        yield code.found(facts.by_command.detail, gateway=facts.name)


def _served_finding(
    answer: ServedChain | ProbeFailure, summary: CertificateSummary, gateway: str
) -> Finding:
    probe = compare_served_chain(answer, summary)
    if probe.matches:
        code = codes.SERVED_OK
    elif is_silent(answer):
        code = codes.LISTENER_SILENT
    elif probe.fingerprint == summary.fingerprint:
        code = codes.CHAIN_INCOMPLETE
    else:
        code = codes.NOT_SERVED
    return code.found(probe.detail, gateway=gateway)


def by_address(facts: GatewayFacts) -> Iterator[Finding]:
    """Check what a client sees that connects by IP address, and so sends no server name."""
    if facts.live is None:
        return
    named = {answer.endpoint: answer for answer in facts.by_name}
    for answer in facts.by_address:
        by_name = named.get(answer.endpoint)
        if isinstance(by_name, ProbeFailure) or by_name is None:
            continue
        yield _by_address_finding(facts, answer, by_name)


def _by_address_finding(
    facts: GatewayFacts, answer: ServedChain | ProbeFailure, by_name: ServedChain
) -> Finding:
    endpoint = answer.endpoint
    if isinstance(answer, ProbeFailure):
        seen = f"{endpoint} without a server name {answer.detail}"
        return codes.ADDRESS_SHOWS_OTHER.found(seen, gateway=facts.name)
    if answer.fingerprint != by_name.fingerprint:
        shown = answer.name or f"with SHA-256 {answer.fingerprint}"
        seen = f"{endpoint} without a server name serves the certificate {shown}"
        return codes.ADDRESS_SHOWS_OTHER.found(seen, gateway=facts.name)
    address = Identifier(IdentifierType.IP, endpoint.host)
    if facts.live is not None and address in facts.live.summary.identifiers:
        return codes.ADDRESS_OK.found(f"{endpoint.host} is in the certificate", gateway=facts.name)
    seen = f"{endpoint} serves the same certificate, which is not for {endpoint.host}"
    fix = f"let clients connect to {facts.target.display_name}"
    return codes.CONNECT_BY_NAME.found(seen, gateway=facts.name, fix=fix)


def trust(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether this machine trusts the root."""
    root = facts.root
    if root is None:
        return
    if root.certificate is None:
        yield codes.ROOT_UNKNOWN.found(f"the chain ends below {root.name}", gateway=facts.name)
        return
    code = codes.ROOT_OK if root.trusted else codes.ROOT_NOT_TRUSTED
    fix = "" if root.trusted else f"gatecert doctor {facts.name} --export-root FILE"
    yield code.found(f"{root.name}, SHA-256 {root.fingerprint}", gateway=facts.name, fix=fix)


def deployment(facts: GatewayFacts) -> Iterator[Finding]:
    """Report the last deployment."""
    found = facts.situation.deployment
    if found is None:
        return
    if found.confirmed is not None:
        seen = f"version {found.version}, {instant(found.confirmed)}"
        yield codes.DEPLOYMENT_OK.found(seen, gateway=facts.name)
    elif found.error:
        again = f"; next attempt {instant(found.next_attempt)}" if found.next_attempt else ""
        seen = f"{found.failures} failed, last: {found.error}{again}"
        suspect = facts.reload_problem is not None and _shows_another(facts)
        unit = f"the reload unit {facts.reload_problem}" if suspect else ""
        yield codes.DEPLOYMENT_FAILED.found(seen, gateway=facts.name, fix=unit)
    else:
        yield codes.DEPLOYMENT_PENDING.found(f"version {found.version}", gateway=facts.name)


def _shows_another(facts: GatewayFacts) -> bool:
    """Tell whether a listener serves another certificate, which a reload may change."""
    live = facts.live.summary.fingerprint if facts.live is not None else ""
    return any(
        isinstance(answer, ServedChain) and answer.fingerprint != live for answer in facts.by_name
    )


def attempts(facts: GatewayFacts) -> Iterator[Finding]:
    """Report pending orders, rate limits and failed attempts."""
    if not facts.enrols:
        return
    enrolment, outcome = facts.situation.state.enrolment, facts.situation.state.host.outcome
    order, again = enrolment.order, enrolment.next_attempt
    if order is not None:
        seen = f"order of {instant(order.created)} at {order.authority}"
        yield codes.ORDER_PENDING.found(seen, gateway=facts.name)
    yield from _authorities_left(facts)
    waits_for_limits = outcome is not None and outcome.code == codes.BUDGET_SPENT.name
    if outcome and waits_for_limits and again and again > facts.now and not _limits_bind(facts):
        yield codes.BUDGET_SPENT.found(outcome.detail, gateway=facts.name)
    yield from _limits(facts)
    if not enrolment.failures:
        yield codes.ATTEMPTS_OK.found("no failed attempt", gateway=facts.name)
        return
    upcoming = f"; next {instant(again)}" if again else ""
    last = f", last {instant(enrolment.failed_at)}" if enrolment.failed_at else ""
    plural = "attempt" if enrolment.failures == 1 else "attempts"
    seen = f"{enrolment.failures} failed {plural}{last}{upcoming}"
    yield from _last_failure(facts)
    yield codes.ATTEMPTS_FAILED.found(seen, gateway=facts.name)


def _last_failure(facts: GatewayFacts) -> Iterator[Finding]:
    """Report the error of the last failed attempt.

    If a later pass has replaced the outcome, the error is that stored for the authority.
    """
    state = facts.situation.state
    outcome = state.host.outcome
    troubles = [trouble for trouble in state.enrolment.troubles if trouble.failures]
    if outcome is not None and outcome.failed and outcome.code not in OF_DEPLOYMENT:
        seen, fix = f"{instant(outcome.at)}: {outcome.detail}", outcome.fix
    elif troubles:
        last = max(troubles, key=lambda trouble: trouble.at)
        seen, fix = f"{instant(last.at)}: {last.reason}", last.fix
    else:
        return
    yield codes.LAST_ATTEMPT_FAILED.found(seen, gateway=facts.name, fix=fix)


def _authorities_left(facts: GatewayFacts) -> Iterator[Finding]:
    enrolment, authorities = facts.situation.state.enrolment, facts.target.authorities
    for left in enrolment.deferred_authorities(authorities, facts.now):
        seen = f"{left.name}, until {instant(left.until)}: {left.reason}"
        trouble = recorded_failure(left.name, enrolment.troubles, facts.now)
        fix = trouble.fix if trouble is not None else ""
        yield codes.AUTHORITY_LEFT.found(seen, gateway=facts.name, fix=fix)


def _limits(facts: GatewayFacts) -> Iterator[Finding]:
    """Report each authority's rate limits: those that delay the next order, or the lowest."""
    by_authority: dict[str, list[RemainingAllowance]] = {}
    for authority, left in facts.limits:
        by_authority.setdefault(authority, []).append(left)
    for authority, lefts in by_authority.items():
        binding = [left for left in lefts if _binds(left, facts)]
        shown = sorted(binding or lefts, key=lambda left: left.count)[:LIMITS_SHOWN]
        code = codes.BUDGET_SPENT if binding else codes.LIMITS_OK
        seen = f"{authority}: {'; '.join(map(str, shown))}"
        yield code.found(seen, gateway=facts.name)


def _limits_bind(facts: GatewayFacts) -> bool:
    return any(_binds(left, facts) for _, left in facts.limits)


def _binds(left: RemainingAllowance, facts: GatewayFacts) -> bool:
    """Return whether a limit delays the next order."""
    return left.until is not None and left.until > _next_order(facts)


def _next_order(facts: GatewayFacts) -> datetime:
    """Return when the next order is due, whatever failed attempts and limits have delayed it to."""
    state = facts.situation.state
    undelayed = replace(state, enrolment=replace(state.enrolment, next_attempt=None))
    due = next_due(replace(facts.situation, state=undelayed), facts.now)
    return due.at if due.action is Action.ENROL else facts.now
