"""``gatecert status``: what each gateway serves, and what happens next."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.acme.order_journal import PREFIX
from gatecert.cli.application import open_application, select_targets
from gatecert.cli.context import Names, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.custom.missing_names import missing_names_warning
from gatecert.errors import GatecertError
from gatecert.model import Mode
from gatecert.report import status as report
from gatecert.report.terminal import has_colours
from gatecert.resolve.region import exclusion_reason
from gatecert.schedule.due import next_due
from gatecert.schedule.expiry_warnings import expiry_warning
from gatecert.time_format import instant, time_left

if TYPE_CHECKING:
    from gatecert.app import Application
    from gatecert.model import CertificateSummary, Target
    from gatecert.report.status import (
        ClientAuthenticationStatus,
        GatewayStatus,
        RevocationStatus,
    )

GOOD = {"trusted", "private-root"}
BAD = {"expired", "revoked", "failing", "not-served", "mixed", "silent", "empty"}
UNFIT = {"expired", "empty"}


def status(
    context: typer.Context,
    names: Names = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; see docs/status.md.")
    ] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Print problems only; exit with 1 unless the daemon runs and every gateway has a "
            "certificate that has not expired.",
        ),
    ] = False,
) -> None:
    """Show what each gateway serves and what happens next."""
    application = open_application(read_configuration(context))
    now = datetime.now(UTC)
    found = [
        gateway_status(application, target, now) for target in select_targets(application, names)
    ]
    daemon = application.store.daemon_pid()
    if check:
        _check(found, daemon)
    elif as_json:
        typer.echo(report.as_json(found, now=now, daemon=daemon))
    else:
        _show(found, daemon, now)


def gateway_status(application: Application, target: Target, now: datetime) -> GatewayStatus:
    """Return the status of a gateway."""
    current = application.open(target)
    situation, live = current.situation, current.live
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
        warning=_pending_import(application, target, situation.live)
        or _warning(target, situation.live, now),
        client_authentication=client_authentication_status(application, target, now),
    )
    return report.gateway_status(facts, now)


def _pending_import(
    application: Application, target: Target, live: CertificateSummary | None
) -> tuple[str, str] | None:
    """Return what a gateway in custom mode waits for, and the fix; None if nothing."""
    if target.mode is not Mode.CUSTOM or live is None or not live.is_bootstrap:
        return None
    name = target.name
    requests = [each for each in application.store.requests(name) if not each.id.startswith(PREFIX)]
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
    application: Application, target: Target, now: datetime
) -> ClientAuthenticationStatus | None:
    """Return the status of client authentication; None where it is not configured."""
    current = application.open(target)
    if not current.client_cas.is_needed:
        return None
    try:
        found = application.client_cas.overview(current)
    except GatecertError as error:
        path = current.client_cas.files.path
        return report.ClientAuthenticationStatus(
            str(path), (), asked=None, asked_at=None, error=str(error), warnings=()
        )
    if found is None:
        return None
    return report.client_authentication_status(
        found.path,
        found.authorities,
        found.deployment,
        found.warnings,
        proven=bool(target.install.verify),
        now=now,
    )


def _check(found: list[GatewayStatus], daemon: int | None) -> None:
    """Exit with 1 if the daemon does not run or a gateway has no valid certificate."""
    problems = [f"{one.name}: {one.words}" for one in found if one.state in UNFIT]
    if daemon is None:
        problems.insert(0, "daemon not running")
    for problem in problems:
        typer.echo(f"gatecert: {problem}", err=True)
    if problems:
        raise typer.Exit(FAILED)


def _show(found: list[GatewayStatus], daemon: int | None, now: datetime) -> None:

    colours = has_colours(sys.stdout)
    running = f"running (process {daemon})" if daemon is not None else "not running"
    typer.echo(f"gatecert daemon: {running}")
    for one in found:
        colour = "green" if one.state in GOOD else "red" if one.state in BAD else "yellow"
        name, state = typer.style(one.name, bold=True), typer.style(one.state, fg=colour)
        typer.echo(f"\n{name}  {state}  {one.words}", color=colours)
        rows = _rows(one, now)
        width = max(len(label) for label, _ in rows)
        for label, text in rows:
            typer.echo(f"  {label:<{width}}  {text}")


def _rows(one: GatewayStatus, now: datetime) -> list[tuple[str, str]]:
    rows = [("hostname", one.hostname), *_certificate(one, now)]
    if one.served is not None:
        rows.append(("served", _served(one)))
    if one.detail:
        rows.append(("last", one.detail))
    if one.next_at is not None:
        rows.append(("next", f"{one.next_action}, {instant(one.next_at)}"))
    rows += [
        ("challenge", f"{planned.name} by {planned.kind}, because {planned.reason}")
        for planned in one.challenges
        if planned.reason
    ]
    rows += [
        ("CA", f"{left.name} is skipped until {instant(left.until)}: {left.reason}")
        for left in one.authorities_left
    ]
    if one.warning:
        rows += [("warning", one.warning), ("fix", one.warning_fix)]
    if one.client_authentication is not None:
        rows += _client_authentication(one.client_authentication, now)
    if one.last_error is not None:
        rows.append(("error", f"{one.last_error.message} [{one.last_error.code}]"))
        if one.last_error.fix:
            rows.append(("fix", one.last_error.fix))
    return rows


def _certificate(one: GatewayStatus, now: datetime) -> list[tuple[str, str]]:
    """Return the rows about the certificate."""
    rows = []
    if one.names:
        rows += [("names", ", ".join(one.names)), ("issuer", one.issuer)]
    if one.not_after is not None:
        rows.append(("expires", f"{instant(one.not_after)}, {time_left(one.not_after, now)}"))
    if one.second is not None:
        end = f"expires {instant(one.second.not_after)}"
        rows.append(("second", f"{one.second.algorithm.upper()}, {one.second.issuer}, {end}"))
    if one.revocation is not None and (one.revocation.revoked or one.revocation.problem):
        rows.append(("revoked", _revoked(one.revocation)))
    return rows


def _client_authentication(
    status: ClientAuthenticationStatus, now: datetime
) -> list[tuple[str, str]]:
    """Return the rows about client authentication."""
    rows = [
        ("client CA", f"{each.subject}, {time_left(each.not_after, now)}")
        for each in status.authorities
        if each.is_root
    ] or [("client CA", "none: no client is accepted")]
    if status.asked and status.asked_at is not None:
        rows.append(("requested", f"yes, proven {instant(status.asked_at)}"))
    if status.error:
        rows.append(("requested", f"no: {status.error}"))
    rows += [("warning", warning) for warning in status.warnings]
    return rows


def _revoked(revocation: RevocationStatus) -> str:
    if revocation.revoked and revocation.revoked_at is not None:
        since = instant(revocation.revoked_at)
        return f"on {since} ({revocation.reason}), according to {revocation.source}"
    return f"unknown: {revocation.problem}"


def _served(one: GatewayStatus) -> str:
    if one.served and one.served_at is not None:
        return f"yes, proven {instant(one.served_at)}"
    seen = f" ({instant(one.served_at)})" if one.served_at is not None else ""
    return f"no{seen}: {one.served_detail}" if one.served_detail else f"no{seen}"
