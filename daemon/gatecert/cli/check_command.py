"""``gatecert check``: validate the configuration."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final
from urllib.parse import urlsplit

import typer

from gatecert.cli.application import open_application
from gatecert.cli.context import find, read_document
from gatecert.cli.dns_record_command import (
    DNS_PERSIST_01,
    persistent_record_errors,
    uses_persistent_records,
)
from gatecert.cli.exit_codes import FAILED, WRONG_USAGE
from gatecert.cli.options import options
from gatecert.cli.output import show_lines, write_error
from gatecert.config.advice import advice
from gatecert.config.configuration_finding import Finding as KeyFinding
from gatecert.config.effective_settings import effective_settings
from gatecert.config.load import validate
from gatecert.config.schema.ddns import AS_DNS_01
from gatecert.config.schema.fleet_settings import FleetSettings
from gatecert.config.targets import targets
from gatecert.deploy.reload_unit import read_reload_units
from gatecert.doctor.configuration_problems import configuration_problems
from gatecert.doctor.listener_checks import listener_finding, open_listeners
from gatecert.doctor.reload_checks import reload_notes
from gatecert.errors import ResolutionError
from gatecert.model import Mode, RecordKind
from gatecert.report.terminal import Terminal
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.region import excluded_region, exclusion_reason
from gatecert.resolve.shared_hostname import unreached_members_advice
from gatecert.store.layout import Layout
from gatecert.time_format import day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.document import Document
    from gatecert.config.schema import Configuration
    from gatecert.deploy.reload_unit import ReloadUnit
    from gatecert.doctor.finding import Finding
    from gatecert.model import Target

FLEET: Final = "fleet"
FLEET_PAGE: Final = "docs/configuration.md#fleet"
WIDEST: Final = 60  # columns of a setting; the origins of longer ones are not aligned


def check(
    context: typer.Context,
    *,
    explain: Annotated[
        str,
        typer.Option(
            "--explain",
            metavar="NAME",
            help="Show every setting of this gateway and where it comes from, and nothing else; "
            "fleet shows those of the fleet.",
        ),
    ] = "",
) -> None:
    """Validate the configuration and show what it does.

    Checks that the commands, directories, files, users and groups in it exist, that its settings
    can work, that no server may read secrets, that no other user of this machine can answer
    challenges, and that every nameserver has the records for dns-persist-01.
    """
    given = options(context)
    document = read_document(context)
    configuration = validate(document)
    if explain:
        _explain(document, configuration, explain)
        return
    found = targets(configuration)
    listeners = _open_listeners(configuration, found)
    known = configuration_problems(document, configuration, datetime.now(UTC))
    terms = document.all_problems(_terms_not_agreed(configuration, found))
    found_problems = list(map(str, document.in_order((*known.missing, *known.unworkable, *terms))))
    found_problems += [
        f"{given.config}: {each.seen}: {each.meaning}; {each.fix}"
        for each in listeners
        if each.fails
    ]
    for problem in found_problems:
        write_error(problem)
    if found_problems:
        raise typer.Exit(WRONG_USAGE)
    if not given.quiet:
        _show(given.config, document, configuration, found, listeners)
    _check_records(configuration, found)


def _show(
    path: str,
    document: Document,
    configuration: Configuration,
    found: tuple[Target, ...],
    listeners: list[Finding],
) -> None:
    """Show what a good configuration does."""
    count = "1 gateway" if len(found) == 1 else f"{len(found)} gateways"
    show_lines(f"{path}: good, {count}")
    terminal = Terminal.of(sys.stdout)
    for note in document.notes:
        _say(terminal, note, "  note: ")
    for listener in listeners:
        _say(terminal, f"{listener.seen}: {listener.meaning}", "  note: ")
    reload_units = read_reload_units([target.name for target in found if not target.install.reload])
    if configuration.fleet is not None:
        _say(terminal, _fleet(configuration.fleet), f"  {FLEET}: ", "    ")
    for target in found:
        publisher = _publisher(configuration, target.name)
        _say(terminal, _plan(configuration, target) + publisher, f"  {target.name}: ", "    ")
        for note in _advice(configuration, target, reload_units.get(target.name)):
            _say(terminal, note, "    note: ")


def _say(terminal: Terminal, text: str, first: str, rest: str | None = None) -> None:
    for line in terminal.wrap(text, first=first, rest=rest):
        show_lines(line)


def _explain(document: Document, configuration: Configuration, name: str) -> None:
    """Show the settings of a gateway, or of the fleet unless a gateway has this name."""
    fleet = configuration.fleet
    if name == FLEET and name not in configuration.gateways:
        if fleet is None:
            known = ", ".join(FleetSettings.model_fields)
            show_lines(
                f"fleet: none, so this host shares nothing; settings: {known} ({FLEET_PAGE})"
            )
            return
        settings = list(effective_settings(document, (FLEET,), fleet))
    else:
        gateway = find("gateway", configuration.gateways, name)
        settings = list(effective_settings(document, ("gateways", name), gateway))
    lines = [f"{setting.key}: {setting.value}" for setting in settings]
    width = min(max(map(len, lines)), WIDEST)
    show_lines(name)
    for line, setting in zip(lines, settings, strict=True):
        show_lines(f"  {line:<{width}}  {setting.origin}")


def _open_listeners(configuration: Configuration, found: tuple[Target, ...]) -> list[Finding]:
    """Find listeners where another user of this machine could answer challenges."""
    enrolled = _enrolled(configuration, found)
    return [listener_finding(each) for each in open_listeners(configuration, enrolled)]


def _enrolled(configuration: Configuration, found: tuple[Target, ...]) -> list[Target]:
    """Return the gateways that are enrolled automatically."""
    excluded = configuration.excluded_regions
    return [
        target
        for target in found
        if target.mode is Mode.AUTOMATIC and not excluded_region(target, excluded)
    ]


def _check_records(configuration: Configuration, found: tuple[Target, ...]) -> None:
    """Check the records of gateways that use dns-persist-01 at every nameserver."""
    if not any(DNS_PERSIST_01 in target.challenges for target in found):
        return
    application = open_application(configuration)
    failed = False
    for target in filter(partial(uses_persistent_records, application), found):
        errors = list(persistent_record_errors(application, target))
        for error in errors:
            write_error(f"{target.name}: {error}")
        if not errors:
            show_lines(f"  {target.name}: every nameserver has its {DNS_PERSIST_01} records")
        failed = failed or bool(errors)
    if failed:
        raise typer.Exit(FAILED)


def _terms_not_agreed(
    configuration: Configuration, found: tuple[Target, ...]
) -> Iterator[KeyFinding]:
    """Find authorities of enrolled gateways whose terms of service are not agreed to."""
    enrolled = _enrolled(configuration, found)
    used = {name for target in enrolled for name in target.authorities}
    for name in sorted(used):
        if not configuration.authorities[name].terms_of_service_agreed:
            what = (
                "is not set, so no account can be registered; read the CA's terms of service and "
                "set it to true"
            )
            yield KeyFinding(("authorities", name, "terms_of_service_agreed"), what)


def _plan(configuration: Configuration, target: Target) -> str:
    region = excluded_region(target, configuration.excluded_regions)
    if target.mode is Mode.CUSTOM:
        return f"{target.display_name}, certificate imported by you"
    if region:
        return f"{target.display_name}, {exclusion_reason(region, target)}"
    authorities = ", then ".join(target.authorities)
    by = ", ".join(target.challenges)
    how = f"by {by}" if by else "as validated there"
    looked_up = "" if target.is_looked_up else ", not looked up"
    return f"{target.display_name}{looked_up}, enrolled with {authorities} {how}"


def _fleet(fleet: FleetSettings) -> str:
    """Return the place of this host, its login with the end of its certificate, and its orders."""
    from gatecert.config.fleet_host import fleet_host  # noqa: PLC0415 - only with a fleet
    from gatecert.doctor.fleet_files import login_ends  # noqa: PLC0415 - as above

    login = fleet_host(fleet).database
    servers = ", ".join(map(str, fleet.database.hosts))
    issue = fleet.issue
    orders = (
        f"; orders for gateways in the field below {' and '.join(issue.domains)}" if issue else ""
    )
    return (
        f"host {fleet.host} of cluster {fleet.cluster}, ring {fleet.ring}; database {login.name} "
        f"on {servers} as {login.user}, until {day(login_ends(fleet.database))}{orders}"
    )


def _publisher(configuration: Configuration, name: str) -> str:
    """Return who publishes the addresses of a gateway, to be appended; empty for nobody."""
    ddns = configuration.gateways[name].ddns
    if ddns is None:
        return ""
    dns_01 = configuration.challenges.dns_01
    provider = dns_01.provider if ddns.provider == AS_DNS_01 and dns_01 else ddns.provider
    service = ddns.service or (urlsplit(ddns.url).hostname if ddns.url else "")
    return f"; its address is published by {service or provider} (ddns)"


def _address_advice(configuration: Configuration, target: Target) -> Iterator[str]:
    """Warn of a host that does not know the address that it is to publish."""
    ddns = configuration.gateways[target.name].ddns
    if ddns is None or ddns.source is not None or target.addresses:
        return
    if RecordKind.A in ddns.records and own_addresses(()).behind_nat:
        yield (
            "this host has only private IPv4 addresses, so ddns publishes none; set"
            f" gateways.{target.name}.ddns.source, for example {{resolver: opendns}}"
        )


def _advice(
    configuration: Configuration, target: Target, reload_unit: ReloadUnit | None
) -> Iterator[str]:
    if target.mode is Mode.AUTOMATIC:
        yield from advice(target, configuration)
    yield from _address_advice(configuration, target)
    if target.members and configuration.fleet is None and (reason := _pair_advice(target)):
        yield reason
    if not target.install.is_provable:
        yield "install.verify is empty, so gatecert cannot prove that the certificate is served"
    if not target.install.reload:
        directory = Layout(configuration.state_directory.absolute()).gateway(target.name)
        yield from reload_notes(target.name, reload_unit, directory)


def _pair_advice(target: Target) -> str:
    try:
        behind_nat = own_addresses(()).behind_nat
    except ResolutionError:
        behind_nat = False  # the advice does not depend on it
    return unreached_members_advice(target, behind_nat=behind_nat)
