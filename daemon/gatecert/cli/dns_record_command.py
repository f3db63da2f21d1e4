"""``gatecert dns-record``: what to publish once, so that control is shown over names for good."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.challenge.dns01.persist_record import expected_records
from gatecert.challenge.solver import RecordTester, SelfTest
from gatecert.cli.application import chosen, open_application
from gatecert.cli.context import Names, read_configuration
from gatecert.cli.exit_codes import FAILED
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
            help="Last day on which the record is valid; by default it does not expire.",
        ),
    ] = None,
) -> None:
    """Print the records to publish for dns-persist-01, ready for a zone file.

    They name the account at the authority, which is made if there is none yet. Whether they stand
    at every nameserver is told by gatecert check and gatecert doctor.
    """
    end = _end(until)
    application = open_application(read_configuration(context))
    failed = False
    for target in _using(application, names):
        for authority in target.authorities:
            try:
                for line in _lines(application, target, authority, end):
                    typer.echo(line)
            except GatecertError as error:
                failed = True
                typer.echo(f"gatecert: {target.name}: {error}", err=True)
    if failed:
        raise typer.Exit(FAILED)


def persistent_record_errors(application: Application, target: Target) -> Iterator[GatecertError]:
    """What is wrong with the records of a gateway that have to stand, at each of its authorities.

    It is looked at every nameserver, and at every authority's directory.
    """
    solver = application.solvers.get(DNS_PERSIST_01)
    if not is_used(application, target) or not isinstance(solver, RecordTester):
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


def is_used(application: Application, target: Target) -> bool:
    """Whether control over the gateway's names may be shown by records that stay."""
    return (
        DNS_PERSIST_01 in target.challenges
        and target.mode is Mode.AUTOMATIC
        and not application.pipeline.memory.excluded_region(target)
    )


def _using(application: Application, names: Sequence[str] | None) -> list[Target]:
    """The gateways that need records; those that were named have to.

    Raises:
        WrongUsageError: One of them, or all, do not.
    """
    found: list[Target] = []
    unused: list[Target] = []
    for target in chosen(application, names):
        if is_used(application, target):
            found.append(target)
        elif names or DNS_PERSIST_01 in target.challenges:
            unused.append(target)
    if unused and (names or not found):
        raise _needs_none(application, unused[0])
    if not found:
        raise WrongUsageError(
            f"no gateway shows control over its names by {DNS_PERSIST_01}",
            fix=f"set a gateway's challenge to {DNS_PERSIST_01}",
        )
    return found


def _needs_none(application: Application, target: Target) -> WrongUsageError:
    """Why there is no record for a gateway."""
    gateway = f"gateways.{target.name}"
    if target.mode is Mode.CUSTOM:
        return WrongUsageError(
            f"gateway {target.name} is never enrolled, so it needs no record: its mode is custom",
            fix=f"leave it out, or set {gateway}.mode to automatic",
        )
    region = application.pipeline.memory.excluded_region(target)
    if region:
        return WrongUsageError(
            f"gateway {target.name} is never enrolled, so it needs no record: it is in region "
            f"{region}",
            fix="leave it out",
        )
    return WrongUsageError(
        f"gateway {target.name} shows control over its names in another way",
        fix=f"set {gateway}.challenge to {DNS_PERSIST_01}",
    )


def _lines(
    application: Application, target: Target, authority: str, end: datetime | None
) -> Iterator[str]:
    """The records for one authority, below a comment."""
    issuer = application.authorities[authority]
    report = issuer.check_directory()
    if not report.identities:
        raise AuthorityError(
            f"{report.label} does not say how it calls itself in records",
            fix="use another kind of challenge with this authority",
        )
    account = issuer.account_url(partial(datetime.now, UTC))
    yield f"; {target.name}: for {report.label}"
    for wanted in expected_records(domain_names(target), report.identities, account):
        yield wanted.record_until(end).zone_line


def _end(until: datetime | None) -> datetime | None:
    """The end of that day.

    Raises:
        typer.BadParameter: It has been.
    """
    if until is None:
        return None
    end = until.replace(hour=23, minute=59, second=59, tzinfo=UTC)
    if end <= datetime.now(UTC):
        raise typer.BadParameter(f"{day(end)} has been", param_hint="--until")
    return end
