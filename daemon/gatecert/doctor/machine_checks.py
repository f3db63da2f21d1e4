"""Checks of what is common to all gateways: files, disk, daemon, authorities, clock. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from gatecert.acme.directory_check import DirectoryReport
from gatecert.certificate.chain import CLOCK_SKEW
from gatecert.doctor import codes
from gatecert.doctor.listener_checks import listener_finding
from gatecert.errors import (
    AuthorityError,
    AuthorityUnreachableError,
    DeadlineExceededError,
    ExternalAccountRequiredError,
    InsecureURLError,
)
from gatecert.time_format import duration

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.doctor.facts import MachineFacts
    from gatecert.doctor.finding import Finding

CLOCK_TOLERANCE = timedelta(minutes=1)
LONGEST_LEAD = timedelta(days=1)  # no public certificate lives much shorter
MIBIBYTE = 1 << 20


def configuration(machine: MachineFacts) -> Iterator[Finding]:
    """The configuration, which was read before anything else."""
    count = "1 gateway" if machine.gateways == 1 else f"{machine.gateways} gateways"
    for problem in machine.missing:
        yield codes.NAMED_MISSING.found(str(problem))
    if machine.missing:
        return
    yield codes.CONFIGURATION_OK.found(f"{machine.configuration}: {count}")


def listeners(machine: MachineFacts) -> Iterator[Finding]:
    """Whether another user of this machine could answer challenges."""
    yield from map(listener_finding, machine.open_listeners)
    if not machine.open_listeners:
        yield codes.LISTENERS_OK.found("gatecert listens on no port that any user may bind")


def files(machine: MachineFacts) -> Iterator[Finding]:
    """Who may read keys, and write what gatecert believes."""
    for exposure in machine.exposures:
        code = codes.KEY_EXPOSED
        if exposure.path == machine.configuration:
            code = codes.CONFIGURATION_EXPOSED
        elif exposure.foreign:
            code = codes.FILES_FOREIGN
        yield code.found(f"{exposure.path} {exposure.what}", fix=exposure.fix)
    if not machine.exposures:
        yield codes.FILES_OK.found(f"{machine.configuration} and {machine.state_directory}")


def state(machine: MachineFacts) -> Iterator[Finding]:
    """Room, and a file that was written, fsynced and read back."""
    if machine.storage is not None:
        error = machine.storage
        yield codes.STATE_UNWRITABLE.found(error.message, fix=error.fix)
    else:
        room = "" if machine.free is None else f", {machine.free // MIBIBYTE} MiB left"
        yield codes.STATE_OK.found(f"{machine.state_directory}: written and read back{room}")


def daemon(machine: MachineFacts) -> Iterator[Finding]:
    """Whether anybody looks after the gateways."""
    if machine.daemon is None:
        yield codes.DAEMON_STOPPED.found(f"nobody holds {machine.state_directory}")
    else:
        yield codes.DAEMON_OK.found(f"process {machine.daemon} holds {machine.state_directory}")


def authorities(machine: MachineFacts) -> Iterator[Finding]:
    """Whether this machine is online: its authorities answer, and as authorities do."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport):
            yield codes.AUTHORITY_OK.found(f"{report.label} answers, and its directory is sound")
        else:
            yield directory_failure(report)


def directory_failure(error: AuthorityError) -> Finding:
    """What an authority that cannot be asked comes to."""
    match error:
        case InsecureURLError():
            code = codes.AUTHORITY_INSECURE
        case AuthorityUnreachableError() | DeadlineExceededError():
            code = codes.AUTHORITY_UNREACHABLE
        case _:
            code = codes.AUTHORITY
    return code.found(error.message, fix=error.fix)


def clock(machine: MachineFacts) -> Iterator[Finding]:
    """This machine's clock beside the authorities'."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport):
            yield clock_finding(report)


def clock_finding(report: DirectoryReport, tolerance: timedelta = CLOCK_SKEW) -> Finding:
    """Compare the clocks.

    Args:
        report: What was found of the authority.
        tolerance: How far this clock may be behind until a certificate that is issued now would
            not be valid yet.
    """
    ahead = report.clock_ahead
    if ahead is None:
        return codes.CLOCK_UNKNOWN.found(f"{report.label} sent no Date")
    if abs(ahead) <= CLOCK_TOLERANCE:
        return codes.CLOCK_OK.found(f"within a minute of {report.label}")
    direction = "ahead of" if ahead > timedelta(0) else "behind"
    seen = f"this clock is {duration(abs(ahead))} {direction} that of {report.label}"
    if ahead > LONGEST_LEAD or -ahead > tolerance:
        return codes.CLOCK_WRONG.found(seen)
    return codes.CLOCK_OFF.found(seen)


def terms(machine: MachineFacts) -> Iterator[Finding]:
    """Whether there is an account, or one may be made."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport):
            yield terms_finding(report)


def terms_finding(report: DirectoryReport) -> Finding:
    """Whether the authority's terms stand in the way of an account."""
    if report.refusal is not None:
        bound = isinstance(report.refusal, ExternalAccountRequiredError)
        code = codes.BINDING_MISSING if bound else codes.TERMS_NOT_AGREED
        return code.found(report.refusal.message, fix=report.refusal.fix)
    if report.account_url:
        return codes.TERMS_OK.found(f"account {report.account_url}")
    return codes.TERMS_OK.found(f"{report.label}: its terms are agreed to, or it has none")


def profiles(machine: MachineFacts) -> Iterator[Finding]:
    """Whether authorities have the profiles that are asked for."""
    for report in machine.directory_reports.values():
        if isinstance(report, DirectoryReport) and report.profile:
            yield profile_finding(report)


def profile_finding(report: DirectoryReport) -> Finding:
    """Whether an order would get its profile."""
    refusal = report.profile_refusal
    if refusal is not None:
        return codes.PROFILE_MISSING.found(refusal.message, fix=refusal.fix)
    return codes.PROFILE_OK.found(f"{report.label}: {report.profile or 'no profile is asked for'}")
