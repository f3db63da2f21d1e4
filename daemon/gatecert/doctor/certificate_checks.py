"""Checks of the certificate, of pending CSRs and of client CAs. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from cryptography import x509

from gatecert.certificate import key
from gatecert.certificate.certificate_names import uncovered_names
from gatecert.custom.missing_names import missing_names_warning
from gatecert.doctor import codes
from gatecert.errors import StateError
from gatecert.model import Mode
from gatecert.schedule.due import LATEST_RENEWAL, certificate_in_use
from gatecert.time_format import ago, instant
from gatecert.verify.client_ca_request import expect_client_cas
from gatecert.verify.watch import is_silent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.doctor.facts import GatewayFacts
    from gatecert.doctor.finding import Finding
    from gatecert.model import CertificateSummary, KeyRequest, Target

BOOTSTRAP_TIME = timedelta(minutes=10)
WARN_BEFORE = timedelta(days=30)
SHOWN_DIGITS = 16  # of a fingerprint


def certificate(facts: GatewayFacts) -> Iterator[Finding]:
    """Check the installed certificate: issuer, end and names."""
    if facts.live is None:
        yield codes.CERTIFICATE_MISSING.found(
            "live points to no usable certificate", gateway=facts.name
        )
        return
    summary = facts.live.summary
    seen = (
        f"{summary.subject or summary.identifiers[0]}, issued by {summary.issuer}, {_end(summary)}"
    )
    code = codes.CERTIFICATE_OK
    if summary.not_after <= facts.now:
        code = codes.CERTIFICATE_EXPIRED
    elif not summary.is_bootstrap and summary.not_after - facts.now < _warning_time(facts, summary):
        code = codes.CERTIFICATE_ENDS_SOON
    yield code.found(seen, gateway=facts.name)
    missing = _missing_names(facts.target, summary)
    if missing:
        seen = f"{', '.join(missing)} not in {', '.join(map(str, summary.identifiers))}"
        yield codes.CERTIFICATE_NAMES.found(
            seen, gateway=facts.name, fix=missing_names_warning(facts.target, summary)[1]
        )


def _missing_names(target: Target, summary: CertificateSummary) -> list[str]:
    """Return names that are not in the certificate; in an imported one, a wildcard covers names."""
    if target.mode is Mode.CUSTOM:
        return list(map(str, uncovered_names(target.identifiers, summary.identifiers)))
    return [str(name) for name in target.identifiers if name not in summary.identifiers]


def _warning_time(facts: GatewayFacts, summary: CertificateSummary) -> timedelta:
    """Return how long before the end a new certificate is overdue."""
    if facts.target.mode is Mode.CUSTOM:
        return WARN_BEFORE
    return summary.lifetime * LATEST_RENEWAL


def _end(summary: CertificateSummary) -> str:
    return f"expires {instant(summary.not_after)}"


def revocation(facts: GatewayFacts) -> Iterator[Finding]:
    """Report the last check of the CRLs; nothing before the first check."""
    if facts.live is None:
        return
    known = facts.situation.state.enrolment.revocation_of(facts.live.summary)
    if known is None:
        return
    if known.revoked is not None:
        seen = f"{known.words}, according to {known.source}"
        yield codes.CERTIFICATE_REVOKED.found(seen, gateway=facts.name)
    elif known.problem:
        yield codes.REVOCATION_UNKNOWN.found(known.problem, gateway=facts.name, fix=known.fix)
    elif known.checked is not None:
        seen = f"not listed in {known.source} on {instant(known.checked)}"
        yield codes.REVOCATION_OK.found(seen, gateway=facts.name)


def bootstrap(facts: GatewayFacts) -> Iterator[Finding]:
    """Check whether the bootstrap certificate is still served after ten minutes, and why."""
    live = facts.live
    if live is None or not live.summary.is_bootstrap or facts.situation.excluded_region:
        return
    if facts.target.mode is Mode.CUSTOM:
        seen = "the bootstrap certificate is installed"
        yield codes.BOOTSTRAP_UNTIL_IMPORT.found(seen, gateway=facts.name)
        return
    created = live.version.created or live.summary.not_before
    made = f"bootstrap certificate made {ago(created, facts.now)}"
    if facts.now - created < BOOTSTRAP_TIME:
        yield codes.BOOTSTRAP_YOUNG.found(made, gateway=facts.name)
        return
    yield codes.BOOTSTRAP_STILL.found(f"{made}; {_reason_for_bootstrap(facts)}", gateway=facts.name)


def _reason_for_bootstrap(facts: GatewayFacts) -> str:
    """Return why there is no other certificate, according to the last pass."""
    if certificate_in_use(facts.situation) is not None:
        return "a certificate was issued, but could not be put into service"
    outcome = facts.situation.state.host.outcome
    if outcome is None:
        return "no attempt to enrol yet"
    if facts.situation.state.enrolment.failures and outcome.failed:
        return "the last attempt failed, as shown below"
    code = f" [{outcome.code}]" if outcome.code else ""
    return f"last pass, {instant(outcome.at)}: {outcome.detail}{code}"


def requests(facts: GatewayFacts) -> Iterator[Finding]:
    """Report CSRs that wait for their certificate."""
    for request in facts.requests:
        yield codes.REQUEST_PENDING.found(
            f"CSR of {instant(request.created)}, key SHA-256 {_key(request)}",
            gateway=facts.name,
            fix=f"gatecert import {facts.name}, once it is signed",
        )


def _key(request: KeyRequest) -> str:
    try:
        csr = x509.load_pem_x509_csr(request.csr)
    except ValueError:
        return "unknown"
    return key.fingerprint(csr.public_key())[:SHOWN_DIGITS]


def client_ca(facts: GatewayFacts) -> Iterator[Finding]:
    """Check the client CAs, who is locked out, and whether listeners ask for the client CAs."""
    bundle = facts.client_ca
    if isinstance(bundle, StateError):
        yield codes.CLIENT_CA_UNREADABLE.found(bundle.message, gateway=facts.name, fix=bundle.fix)
        return
    configured = facts.target.client_authentication is not None
    if not bundle.certificates and configured:
        seen = "client_authentication is configured, but there is no client CA"
        fix = f"gatecert client-ca add {facts.name} FILE"
        yield codes.CLIENT_CA_MISSING.found(seen, gateway=facts.name, fix=fix)
    with_warnings = {each.key for each in facts.client_ca_warnings}
    for authority in bundle.client_cas():
        if authority.fingerprint not in with_warnings:
            seen = f"'{authority.subject}' expires {instant(authority.not_after)}"
            yield codes.CLIENT_CA_OK.found(seen, gateway=facts.name)
    for each in facts.client_ca_warnings:
        code = codes.BY_CLIENT_CA_WARNING[each.kind, each.days == 0]
        yield code.found(each.words, gateway=facts.name, fix=each.fix)
    if configured or bundle.certificates:
        check = expect_client_cas(bundle.root_names, bundle.intermediate_names)
        for answer in facts.by_name:
            if not is_silent(answer):
                probe = check(answer)
                code = codes.CLIENT_CA_ASKED if probe.matches else codes.CLIENT_CA_NOT_ASKED
                yield code.found(probe.detail, gateway=facts.name)
