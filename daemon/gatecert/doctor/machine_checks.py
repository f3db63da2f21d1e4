"""Checks of what is common to all gateways: files, disk, daemon, authorities, clock. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.acme.directory_check import DirectoryReport
from gatecert.certificate.chain import CLOCK_SKEW
from gatecert.doctor import codes, fleet_codes
from gatecert.doctor.listener_checks import listener_finding
from gatecert.errors import (
    AuthorityError,
    AuthorityUnreachableError,
    ClientCertificateError,
    DatabaseError,
    DeadlineExceededError,
    ExternalAccountRequiredError,
    InsecureURLError,
    SealingKeyMissingError,
    StateError,
)
from gatecert.time_format import day, duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.doctor.facts import MachineFacts
    from gatecert.doctor.finding import Finding

CLOCK_TOLERANCE = timedelta(minutes=1)
CLIENT_CERTIFICATE_WARNING = timedelta(days=30)  # at most, before its end
LONGEST_LEAD = timedelta(days=1)  # no public certificate is valid for much less
MIBIBYTE = 1 << 20


def configuration(machine: MachineFacts) -> Iterator[Finding]:
    """Check that everything named in the configuration exists and that its settings can work."""
    count = "1 gateway" if machine.gateways == 1 else f"{machine.gateways} gateways"
    for problem in machine.missing:
        yield codes.NAMED_MISSING.found(str(problem))
    for problem in machine.unworkable:
        yield codes.UNWORKABLE.found(str(problem))
    if machine.missing or machine.unworkable:
        return
    yield codes.CONFIGURATION_OK.found(f"{machine.configuration}: {count}")


def listeners(machine: MachineFacts) -> Iterator[Finding]:
    """Check whether another user of this machine could answer challenges."""
    yield from map(listener_finding, machine.open_listeners)
    if not machine.open_listeners:
        yield codes.LISTENERS_OK.found("gatecert listens on no port that any user can bind")


def files(machine: MachineFacts) -> Iterator[Finding]:
    """Check who can read keys and write files that gatecert trusts."""
    for exposure in machine.exposures:
        code = codes.FILES_FOREIGN if exposure.wrong_owner else codes.KEY_EXPOSED
        yield code.found(f"{exposure.path} {exposure.problem}", fix=exposure.fix)
    if not machine.exposures:
        yield codes.FILES_OK.found(f"{machine.configuration} and {machine.state_directory}")


def state(machine: MachineFacts) -> Iterator[Finding]:
    """Check that a file can be written, fsynced and read back, and the free space."""
    if machine.storage is not None:
        error = machine.storage
        yield codes.STATE_UNWRITABLE.found(error.message, fix=error.fix)
    else:
        free = "" if machine.free is None else f", {machine.free // MIBIBYTE} MiB free"
        yield codes.STATE_OK.found(
            f"{machine.state_directory}: test file written and read back{free}"
        )


def daemon(machine: MachineFacts) -> Iterator[Finding]:
    """Check that the daemon runs."""
    if machine.daemon is None:
        yield codes.DAEMON_STOPPED.found("daemon not running")
    else:
        yield codes.DAEMON_OK.found(f"running (process {machine.daemon})")


def monitoring(machine: MachineFacts) -> Iterator[Finding]:
    """Report the listeners and receivers of the running daemon."""
    for what, fix in machine.monitoring.problems:
        yield codes.MONITORING_FAILS.found(what, fix=fix)
    listeners, receivers = machine.monitoring.listeners, machine.monitoring.receivers
    if (listeners or receivers) and not machine.monitoring.problems:
        names = (f"{each.purpose} at {each.address}" for each in listeners)
        told = (f"notifications to {each.name}" for each in receivers)
        yield codes.MONITORING_OK.found(", ".join((*names, *told)))


def authorities(machine: MachineFacts) -> Iterator[Finding]:
    """Check that each authority answers with a valid directory."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport):
            yield codes.AUTHORITY_OK.found(f"{report.label} answers with a valid directory")
        elif not isinstance(report, DatabaseError):  # a finding of the cluster
            yield directory_failure(report)


def directory_failure(error: AuthorityError | StateError) -> Finding:
    """Return the finding for an authority whose directory or account cannot be used."""
    match error:
        case SealingKeyMissingError():
            code = fleet_codes.SEALING_KEY_MISSING
        case StateError():
            code = codes.STATE_UNWRITABLE
        case InsecureURLError():
            code = codes.AUTHORITY_INSECURE
        case ClientCertificateError():
            code = codes.CLIENT_CERTIFICATE
        case AuthorityUnreachableError() | DeadlineExceededError():
            code = codes.AUTHORITY_UNREACHABLE
        case _:
            code = codes.AUTHORITY
    return code.found(error.message, fix=error.fix)


def client_certificates(machine: MachineFacts) -> Iterator[Finding]:
    """Report when the client certificates for authorities end."""
    for report in machine.directory_reports.values():
        if not isinstance(report, DirectoryReport) or report.client_certificate is None:
            continue
        begin = report.client_certificate.not_valid_before_utc
        end = report.client_certificate.not_valid_after_utc
        soon = end - min(CLIENT_CERTIFICATE_WARNING, (end - begin) / 3)
        code = codes.CLIENT_CERTIFICATE_OK
        if machine.now >= soon:
            code = codes.CLIENT_CERTIFICATE_ENDS_SOON
        yield code.found(f"the client certificate for {report.label} ends on {day(end)}")


def clock(machine: MachineFacts) -> Iterator[Finding]:
    """Compare this machine's clock with the authorities' clocks."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport):
            yield clock_finding(report)


def clock_finding(report: DirectoryReport, tolerance: timedelta = CLOCK_SKEW) -> Finding:
    """Compare this machine's clock with that of an authority.

    Args:
        report: The authority's directory.
        tolerance: How far this clock may be behind before a certificate issued now is not yet
            valid.
    """
    ahead = report.clock_ahead
    if ahead is None:
        return codes.CLOCK_UNKNOWN.found(f"{report.label} sent no Date header")
    if abs(ahead) <= CLOCK_TOLERANCE:
        return codes.CLOCK_OK.found(f"within a minute of the clock of {report.label}")
    direction = "ahead of" if ahead > timedelta(0) else "behind"
    seen = f"this clock is {duration(abs(ahead))} {direction} that of {report.label}"
    if ahead > LONGEST_LEAD or -ahead > tolerance:
        return codes.CLOCK_WRONG.found(seen)
    return codes.CLOCK_OFF.found(seen)


def terms(machine: MachineFacts) -> Iterator[Finding]:
    """Check that there is an account, or that one can be registered."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport):
            yield terms_finding(report)


def terms_finding(report: DirectoryReport) -> Finding:
    """Return whether the authority's terms or external account binding prevent an account."""
    if report.refusal is not None:
        bound = isinstance(report.refusal, ExternalAccountRequiredError)
        code = codes.BINDING_MISSING if bound else codes.TERMS_NOT_AGREED
        return code.found(report.refusal.message, fix=report.refusal.fix)
    if report.account_url:
        return codes.TERMS_OK.found(f"account {report.account_url}")
    return codes.TERMS_OK.found(f"{report.label}: terms of service agreed to, or none")


def profiles(machine: MachineFacts) -> Iterator[Finding]:
    """Check that authorities offer the configured profiles."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport) and report.profile:
            yield profile_finding(report)


def profile_finding(report: DirectoryReport) -> Finding:
    """Return whether the authority offers the configured profile."""
    refusal = report.profile_refusal
    if refusal is not None:
        return codes.PROFILE_MISSING.found(refusal.message, fix=refusal.fix)
    return codes.PROFILE_OK.found(f"{report.label}: {report.profile or 'no profile configured'}")
