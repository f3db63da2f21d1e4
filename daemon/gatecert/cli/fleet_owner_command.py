"""``gatecert fleet migrate`` and ``init``: what the owner of a fleet's database does."""
# ruff: noqa: PLC0415 - large libraries, which other commands of the group do not need

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.context import readable_configuration
from gatecert.cli.options import options
from gatecert.cli.output import show_lines, show_text
from gatecert.config.names import safe_name
from gatecert.config.values import BadValueError
from gatecert.errors import WrongUsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.config.schema import Configuration, FleetSettings
    from gatecert.store.postgres.owner import NewHost, Owner


def not_empty(context: typer.Context, parameter: typer.CallbackParam, value: str) -> str:
    """Refuse an empty value, which a shell variable that is not set leaves.

    Raises:
        typer.BadParameter: It was written on the command line.
    """
    source = context.get_parameter_source(parameter.name or "")
    if not value and source is not None and source.name == "COMMANDLINE":
        raise typer.BadParameter("is empty; set the shell variable, or leave the option out")
    return value


Database = Annotated[
    str,
    typer.Option(
        "--database",
        metavar="URL",
        callback=not_empty,
        help="Login of the owner, without a password. Default: the database of the configuration.",
    ),
]


def migrate(
    context: typer.Context,
    *,
    database: Database = "",
    sql: Annotated[
        bool, typer.Option("--sql", help="Print the SQL for an empty database, and do nothing.")
    ] = False,
) -> None:
    """Create the schema of the fleet's database, or bring it up to date.

    Logs in as the owner, as psql does: by the socket, or with the password in ~/.pgpass. Hosts of
    this release and of the one before can work with the result.
    """
    if sql:
        from gatecert.store.postgres.migration import migration_sql

        show_text(migration_sql())
        return
    _migrate(owner_login(database, None if database else fleet_section(context, "name --database")))


def init(
    context: typer.Context,
    hosts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="HOST[=ROLE]",
            help="Hosts of the cluster, each with the common name of its client certificate if "
            "that is another name; this host if omitted.",
        ),
    ] = None,
    *,
    cluster: Annotated[
        str,
        typer.Option(
            "--cluster",
            metavar="CLUSTER",
            callback=not_empty,
            help="Name. Default: that of the configuration.",
        ),
    ] = "",
    ring: Annotated[
        int, typer.Option("--ring", metavar="N", min=1, max=100, help="Ring of the hosts.")
    ] = 1,
    database: Database = "",
) -> None:
    """Prepare the fleet's database: its schema, a cluster, and a role for each host.

    Logs in as the owner, as gatecert fleet migrate does. Run it again to add hosts.
    """
    from gatecert.store.postgres.pg_hba import hosts_line

    complete = database and cluster and hosts
    fleet = None if complete else fleet_section(context, "name --database, --cluster and the hosts")
    name = checked_name(cluster) if cluster or fleet is None else fleet.cluster
    new = [_this_host(fleet)] if fleet is not None and not hosts else _hosts(hosts or [], ring)
    owner = owner_login(database, fleet)
    _migrate(owner)
    for host, former in zip(new, owner.add_hosts(name, new), strict=True):
        role = f"{host.role} (was {former})" if former else host.role
        show_lines(f"host {host.name} of cluster {name}, ring {host.ring}: role {role}")
    show_lines(
        f"pg_hba.conf of each server needs, in front of other lines: {hosts_line(owner.database)}"
    )


def _migrate(owner: Owner) -> None:
    before, after = owner.migrate()
    schema = f"database {owner.database}: schema {after}"
    if before == after:
        show_lines(f"{schema} is up to date")
    else:
        show_lines(f"{schema}, migrated from {before}" if before else f"{schema}, new")


def fleet_section(context: typer.Context, otherwise: str) -> FleetSettings:
    """Return the section of the configuration.

    Args:
        context: The context of the command.
        otherwise: What to do on a host without the section.

    Raises:
        WrongUsageError: There is none, or no configuration that this user may read.
    """
    configuration = readable_configuration(context)
    if configuration is None:
        raise WrongUsageError(
            f"{options(context).config} does not exist, or this user may not read it",
            fix=f"{otherwise}, or name the file with -c",
        )
    return required_fleet(configuration, otherwise)


def required_fleet(configuration: Configuration, otherwise: str = "") -> FleetSettings:
    """Return the section ``fleet``.

    Args:
        configuration: The configuration.
        otherwise: What to do instead of adding the section; empty if nothing helps.

    Raises:
        WrongUsageError: There is none.
    """
    fleet = configuration.fleet
    if fleet is None:
        fix = "add it as docs/fleet.md shows"
        raise WrongUsageError(
            "the configuration has no fleet", fix=f"{fix}, or {otherwise}" if otherwise else fix
        )
    return fleet


def checked_name(written: str) -> str:
    """Return the name of a cluster or host as it was written on the command line."""
    try:
        return safe_name(written)
    except BadValueError as error:
        raise typer.BadParameter(str(error)) from error


def _hosts(written: Sequence[str], ring: int) -> list[NewHost]:
    """Return the hosts of the command line; a role has the name of its host by default."""
    from gatecert.store.postgres.owner import NewHost

    hosts = []
    for each in written:
        name, equals, role = each.partition("=")
        if equals and not role:
            raise typer.BadParameter(f"{each} has no role; write {name}=ROLE, or {name}")
        hosts.append(NewHost(checked_name(name), role or name, ring))
    return hosts


def _this_host(fleet: FleetSettings) -> NewHost:
    from gatecert.config.fleet_host import fleet_host
    from gatecert.store.postgres.owner import NewHost

    return NewHost(fleet.host, fleet_host(fleet).database.user, fleet.ring)


def owner_login(database: str, fleet: FleetSettings | None) -> Owner:
    """Return the owner's login.

    Args:
        database: As written on the command line; empty for the servers of the configuration.
        fleet: The section of the configuration; None if the command line says everything.
    """
    from gatecert.store.postgres.owner import Owner

    usual = {}
    if fleet is not None:
        servers = fleet.database.hosts
        usual = {
            "host": ",".join(server.host for server in servers),
            "port": ",".join(str(server.port) for server in servers),
            "dbname": fleet.database.name,
            "sslrootcert": str(fleet.database.ca_bundle),
        }
    return Owner(database, usual)
