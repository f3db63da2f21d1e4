"""``gatecert fleet``: gateways and hosts that share names, and the limits of a CA."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gatecert.cli.context import find, read_configuration
from gatecert.cli.fleet_export_command import export
from gatecert.cli.fleet_halt_command import pause, resume
from gatecert.cli.fleet_join_command import join
from gatecert.cli.fleet_leave_command import leave
from gatecert.cli.fleet_owner_command import init, migrate
from gatecert.cli.fleet_plan_report import FleetPlan, plan_document, show_plan
from gatecert.cli.fleet_reseal_command import reseal
from gatecert.cli.fleet_status_command import status
from gatecert.cli.output import show_text
from gatecert.config.names import host_name
from gatecert.config.targets import targets
from gatecert.config.values import (
    LONGEST_DURATION,
    BadValueError,
    duration,
    duration_text,
    whole_number,
)
from gatecert.errors import WrongUsageError
from gatecert.model import Limits, Mode
from gatecert.report.gateway_status import as_document
from gatecert.resolve.region import excluded_region
from gatecert.schedule.due import usual_remaining
from gatecert.schedule.enrolment_plan import DAY, enrolment_plan
from gatecert.store.request_groups import registered_domain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import timedelta

    from gatecert.config.schema import Configuration

MOST: Final = 1_000_000  # certificates below one domain
SHORTEST_LIFETIME: Final = 2 * DAY
LIFETIMES: Final = f"allowed: 2d to {duration_text(LONGEST_DURATION)}"

app = typer.Typer(
    help="Share names and limits between hosts: database, hosts, plan.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)


app.command("init")(init)
app.command("migrate")(migrate)
app.command("status")(status)
app.command("join")(join)
app.command("leave")(leave)
app.command("export")(export)
app.command("reseal")(reseal)
app.command("pause")(pause)
app.command("resume")(resume)


@app.command("plan")
def plan(
    context: typer.Context,
    counts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DOMAIN=NUMBER",
            help="Certificates below a registered domain; the configured gateways if omitted.",
        ),
    ] = None,
    *,
    authority: Annotated[
        str,
        typer.Option("--authority", metavar="AUTHORITY", help="CA name. Default: the first one."),
    ] = "",
    lifetime: Annotated[
        str,
        typer.Option("--lifetime", metavar="DURATION", help="Lifetime of the certificates."),
    ] = "90d",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; see docs/fleet.md.")] = False,
) -> None:
    """Show how long first certificates take within the limits of a CA, and the busiest day.

    Assumes that no gateway has a certificate yet. Reads the configuration and nothing else, and
    changes nothing.
    """
    configuration = read_configuration(context)
    if not configuration.authorities:
        raise WrongUsageError(
            "the configuration has no CA, so no limits are known",
            fix="add one to authorities, as docs/authorities.md shows",
        )
    name = authority or next(iter(configuration.authorities))
    settings = find("authority", configuration.authorities, name).limits
    life = _lifetime(lifetime)
    renew_after = life * (1 - usual_remaining(life))
    by_domain = _given(counts) if counts else _configured(configuration, name)
    limits = Limits(certificates=settings.certificates, orders=settings.orders)
    found = FleetPlan(
        name, datetime.now(UTC), life, renew_after, enrolment_plan(by_domain, limits, renew_after)
    )
    if as_json:
        show_text(as_document(plan_document(found)))
    else:
        show_plan(found)


def _lifetime(written: str) -> timedelta:
    try:
        lifetime = duration(written)
    except BadValueError as error:
        raise typer.BadParameter(f"--lifetime: {error}; {LIFETIMES}") from error
    if lifetime < SHORTEST_LIFETIME:
        what = f"{written} is too short to plan by days"
        raise typer.BadParameter(f"--lifetime: {what}; {LIFETIMES}")
    return lifetime


def _given(counts: Sequence[str]) -> Mapping[str, int]:
    """Return the number of certificates by registered domain, as written."""
    below: Counter[str] = Counter()
    for each in counts:
        written, _, number = each.partition("=")
        try:
            domain, count = host_name(written), whole_number(number)
        except BadValueError as error:
            what = f"write at most {MOST:,}, as in ddns.example=1000"
            raise typer.BadParameter(f"{each}: {error}; {what}") from error
        if count > MOST:
            raise typer.BadParameter(f"{each}: at most {MOST:,} can be planned")
        gateway = f"gateway.{domain}"
        registered = registered_domain(gateway)
        if registered == gateway:  # each name has a registered domain of its own
            below.update(f"gateway-{number}.{domain}" for number in range(count))
        else:
            below[registered] += count
    return below


def _configured(configuration: Configuration, authority: str) -> Mapping[str, int]:
    """Return the number of certificates of the gateways that are enrolled with a CA first.

    A certificate for names below several domains counts below the one that most share.
    """
    enrolled = [
        (2 if target.key.second is not None else 1, domains)
        for target in targets(configuration)
        if target.mode is Mode.AUTOMATIC and target.authorities[0] == authority
        if not excluded_region(target, configuration.excluded_regions)
        if (domains := {registered_domain(each.value) for each in target.identifiers})
    ]
    shared = Counter(domain for _, domains in enrolled for domain in domains)
    below: Counter[str] = Counter()
    for certificates, domains in enrolled:
        below[max(domains, key=lambda domain: (shared[domain], domain))] += certificates
    return below
