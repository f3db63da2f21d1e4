"""``gatecert dns-record``: the permanent DNS records of dns-persist-01."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.challenge.dns01.persist_record import expected_records
from gatecert.challenge.solver import RecordTester, SelfTest
from gatecert.cli.application import open_application, select_targets
from gatecert.cli.context import Names, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.output import show_lines, write_error
from gatecert.doctor.gather import domain_names
from gatecert.errors import AuthorityError, GatecertError, WrongUsageError
from gatecert.model import Mode
from gatecert.time_format import day

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.app import Application
    from gatecert.model import Target

DNS_PERSIST_01 = "dns-persist-01"


def dns_record(
    context: typer.Context,
    names: Names = None,
    *,
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            metavar="YYYY-MM-DD",
            formats=["%Y-%m-%d"],
            help="Last day on which the records are valid. Default: no end.",
        ),
    ] = None,
) -> None:
    """Print the DNS records to publish for dns-persist-01.

    The output is ready for a zone file. The records name the ACME account, which is registered if
    there is none yet. gatecert check and gatecert doctor check them at every nameserver.
    """
    end = _end(until)
    application = open_application(read_configuration(context))
    failed = False
    for target in _select_targets(application, names):
        for authority in target.authorities:
            try:
                for line in _lines(application, target, authority, end):
                    show_lines(line)
            except GatecertError as error:
                failed = True
                write_error(f"{target.name}: {error}")
    if failed:
        raise typer.Exit(FAILED)


def persistent_record_errors(application: Application, target: Target) -> Iterator[GatecertError]:
    """Check the dns-persist-01 records of a gateway, for each of its authorities.

    Asks every nameserver, and every authority for its directory.
    """
    solver = application.solvers.get(DNS_PERSIST_01)
    if not uses_persistent_records(application, target) or not isinstance(solver, RecordTester):
        return
    for authority in target.authorities:
        try:
            report = application.authorities[authority].check_directory()
            solver.test_records(
                SelfTest(
                    DNS_PERSIST_01,
                    target.name,
                    domain_names(target),
                    report.account_url,
                    report.identities,
                    check_propagation=True,
                )
            )
        except GatecertError as error:
            yield error


def uses_persistent_records(application: Application, target: Target) -> bool:
    """Return whether the gateway is enrolled and may use dns-persist-01."""
    return (
        DNS_PERSIST_01 in target.challenges
        and target.mode is Mode.AUTOMATIC
        and not application.open(target).excluded_region
    )


def _select_targets(application: Application, names: Sequence[str] | None) -> list[Target]:
    """Return the gateways that need records; every gateway that was named must need some.

    Raises:
        WrongUsageError: A named gateway, or every gateway, needs none.
    """
    found: list[Target] = []
    unused: list[Target] = []
    for target in select_targets(application, names):
        if uses_persistent_records(application, target):
            found.append(target)
        elif names or DNS_PERSIST_01 in target.challenges:
            unused.append(target)
    if unused and (names or not found):
        raise _no_record_error(application, unused[0])
    if not found:
        raise WrongUsageError(
            f"no gateway uses the challenge {DNS_PERSIST_01}",
            fix=f"set a gateway's challenge to {DNS_PERSIST_01}",
        )
    return found


def _no_record_error(application: Application, target: Target) -> WrongUsageError:
    """Explain why a gateway needs no record."""
    gateway = f"gateways.{target.name}"
    if target.mode is Mode.CUSTOM:
        return WrongUsageError(
            f"gateway {target.name} is never enrolled, so it needs no record: its mode is custom",
            fix=f"leave it out, or set {gateway}.mode to automatic",
        )
    region = application.open(target).excluded_region
    if region:
        return WrongUsageError(
            f"gateway {target.name} is never enrolled, so it needs no record: it is in region "
            f"{region}",
            fix="leave it out",
        )
    return WrongUsageError(
        f"gateway {target.name} does not use the challenge {DNS_PERSIST_01}",
        fix=f"set {gateway}.challenge to {DNS_PERSIST_01}",
    )


def _lines(
    application: Application, target: Target, authority: str, end: datetime | None
) -> Iterator[str]:
    """Return the records for one authority, below a comment."""
    issuer = application.authorities[authority]
    report = issuer.check_directory()
    if not report.identities:
        raise AuthorityError(
            f"{report.label} does not announce the identities that it uses in records",
            fix="use another challenge with this CA",
        )
    account = issuer.account_url(partial(datetime.now, UTC))
    yield f"; {target.name}: for {report.label}"
    for record in expected_records(domain_names(target), report.identities, account):
        yield record.zone_line(end)


def _end(until: datetime | None) -> datetime | None:
    """Return the end of that day.

    Raises:
        typer.BadParameter: The day has passed.
    """
    if until is None:
        return None
    end = until.replace(hour=23, minute=59, second=59, tzinfo=UTC)
    if end <= datetime.now(UTC):
        raise typer.BadParameter(f"{day(end)} is in the past", param_hint="--until")
    return end
