"""``gatecert fleet status``: the whole fleet, or a host's cluster, in some lines."""
# ruff: noqa: PLC0415 - large libraries, which other commands of the group do not need

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.context import read_configuration, readable_configuration
from gatecert.cli.fleet_owner_command import not_empty
from gatecert.cli.fleet_status_report import FleetAuthority, overview_document, show_overview
from gatecert.cli.output import show_text
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.config.well_known import PUBLIC_CAS
from gatecert.errors import WrongUsageError
from gatecert.model import Limits
from gatecert.report.gateway_status import as_document

if TYPE_CHECKING:
    from collections.abc import Mapping

    from gatecert.config.schema import Configuration
    from gatecert.config.schema.fleet_settings import FleetSettings
    from gatecert.model.fleet_overview import FleetOverview


def status(
    context: typer.Context,
    *,
    database: Annotated[
        str,
        typer.Option(
            "--database",
            metavar="URL",
            callback=not_empty,
            help="Login of an observer or of the owner, without a password, to see the whole "
            "fleet. Default: the login of this host, which sees its cluster.",
        ),
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON; see docs/fleet.md.")] = False,
) -> None:
    """Show the gateways, orders and hosts of a fleet as the database knows them.

    Changes nothing. CAs and their limits are those of the configuration, if there is one
    that this user may read.
    """
    configuration = readable_configuration(context) if database else read_configuration(context)
    authorities = _authorities(configuration)
    limits = {url: each.limits for url, each in authorities.items()}
    if database:
        from gatecert.store.postgres.owner import Owner

        overview = Owner(database, {}).overview(limits)
    else:
        overview = _of_cluster(_fleet(configuration), limits)
    if as_json:
        show_text(as_document(overview_document(overview, authorities)))
    else:
        show_overview(overview, authorities)


def _fleet(configuration: Configuration | None) -> FleetSettings:
    if configuration is None or configuration.fleet is None:
        raise WrongUsageError(
            "the configuration has no fleet",
            fix="add it as docs/fleet.md shows, or name a login by --database",
        )
    return configuration.fleet


def _authorities(configuration: Configuration | None) -> Mapping[str, FleetAuthority]:
    """Return the CAs by the URL of their directories: those configured, and public ones."""
    usual = LimitSettings()
    known = {
        each.directory_url: FleetAuthority(
            name, Limits(certificates=usual.certificates, orders=usual.orders)
        )
        for name, each in PUBLIC_CAS.items()
    }
    if configuration is not None:
        for name, settings in configuration.authorities.items():
            limits = Limits(
                certificates=settings.limits.certificates, orders=settings.limits.orders
            )
            known[settings.directory_url] = FleetAuthority(name, limits, settings.most_orders)
    return known


def _of_cluster(fleet: FleetSettings, limits: Mapping[str, Limits]) -> FleetOverview:
    """Return what the login of this host sees."""
    from gatecert.config.fleet_host import fleet_host
    from gatecert.store.postgres import overview_rows
    from gatecert.store.postgres.database import Database

    database = Database(fleet_host(fleet))
    try:
        with database.transaction() as rows:
            return overview_rows.read(rows, database.server, limits)
    finally:
        database.close()
