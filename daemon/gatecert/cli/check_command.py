"""``gatecert check``: is the configuration good?"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from gatecert import container
from gatecert.certificate.trust import read_roots
from gatecert.certificate.trust_anchor import can_anchor
from gatecert.cli.application import open_application
from gatecert.cli.context import options, read_configuration
from gatecert.cli.dns_record_command import DNS_PERSIST_01, is_used, persistent_record_errors
from gatecert.cli.exit_codes import FAILED, WRONG_USAGE
from gatecert.config.advice import advice
from gatecert.config.existence import problems
from gatecert.config.targets import targets
from gatecert.doctor.listener_checks import listener_finding, open_listeners
from gatecert.errors import ResolutionError
from gatecert.model import Mode
from gatecert.resolve.gateway_addresses import own_addresses
from gatecert.resolve.region import excluded_region, exclusion_reason
from gatecert.resolve.shared_hostname import custom_mode_advice

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.schema import Configuration
    from gatecert.doctor.finding import Finding
    from gatecert.model import Target


def check(context: typer.Context) -> None:
    """Read the configuration, report everything wrong with it, and say what it will do.

    What it names (commands, directories, files, users, groups) has to exist, and no other user of
    this machine may be able to answer challenges in gatecert's place. Records for dns-persist-01,
    which you publish, are looked for at every nameserver.
    """
    given = options(context)
    configuration = read_configuration(context)
    found = targets(configuration)
    listeners = _open_listeners(configuration, found)
    wrong = [str(problem) for problem in problems(Path(given.config), configuration)]
    wrong += [
        f"{given.config}: {what}"
        for what in (
            *_missing_agreements(configuration, found),
            *_useless_roots(configuration),
            *(f"{each.seen}: {each.meaning}; {each.fix}" for each in listeners if each.fails),
        )
    ]
    for complaint in wrong:
        typer.echo(f"gatecert: {complaint}", err=True)
    if wrong:
        raise typer.Exit(WRONG_USAGE)
    count = "1 gateway" if len(found) == 1 else f"{len(found)} gateways"
    typer.echo(f"{given.config}: good, {count}")
    for listener in listeners:
        typer.echo(f"  note: {listener.seen}: {listener.meaning}")
    for target in found:
        typer.echo(f"  {target.name}: {_intention(configuration, target)}")
        for note in _advice(configuration, target):
            typer.echo(f"    note: {note}")
    _check_records(configuration, found)


def _open_listeners(configuration: Configuration, found: tuple[Target, ...]) -> list[Finding]:
    """Where another user of this machine could answer challenges."""
    enrolled = _enrolled(configuration, found)
    return [listener_finding(each) for each in open_listeners(configuration.challenges, enrolled)]


def _enrolled(configuration: Configuration, found: tuple[Target, ...]) -> list[Target]:
    """The gateways that are ever enrolled."""
    excluded = configuration.excluded_regions
    return [
        target
        for target in found
        if target.mode is Mode.AUTOMATIC and not excluded_region(target, excluded)
    ]


def _check_records(configuration: Configuration, found: tuple[Target, ...]) -> None:
    """See that the records stand which were to be published once."""
    if not any(DNS_PERSIST_01 in target.challenges for target in found):
        return
    application = open_application(configuration)
    failed = False
    for target in filter(partial(is_used, application), found):
        faults = list(persistent_record_errors(application, target))
        for fault in faults:
            typer.echo(f"gatecert: {target.name}: {fault}", err=True)
        if not faults:
            typer.echo(f"  {target.name}: its {DNS_PERSIST_01} records stand at every nameserver")
        failed = failed or bool(faults)
    if failed:
        raise typer.Exit(FAILED)


def _missing_agreements(configuration: Configuration, found: tuple[Target, ...]) -> Iterator[str]:
    """Those asked for an account; nobody is for a gateway that is never enrolled."""
    enrolled = _enrolled(configuration, found)
    used = {name for target in enrolled for name in target.authorities}
    for name in sorted(used):
        if not configuration.authorities[name].terms_of_service_agreed:
            yield (
                f"authorities.{name}.terms_of_service_agreed: is not set, so no account can be "
                "made; read the authority's terms of service and set it to true"
            )


def _useless_roots(configuration: Configuration) -> Iterator[str]:
    """Trusted roots in which no chain can end, so that every certificate would be refused."""
    for name, authority in configuration.authorities.items():
        if authority.trusted_roots is None:
            continue
        if not any(
            can_anchor(root, datetime.now(UTC))
            for root in read_roots([authority.trusted_roots], None)
        ):
            yield (
                f"authorities.{name}.trusted_roots: no chain can end in the certificates of "
                f"{authority.trusted_roots}, all of which have ended or are no authority's; put "
                "the authority's current root there"
            )


def _intention(configuration: Configuration, target: Target) -> str:

    region = excluded_region(target, configuration.excluded_regions)
    if target.mode is Mode.CUSTOM:
        return f"{target.display_name}, certificate imported by you"
    if region:
        return f"{target.display_name}, {exclusion_reason(region, target)}"
    authorities = ", then ".join(target.authorities)
    return f"{target.display_name}, enrolled with {authorities} by {', '.join(target.challenges)}"


def _advice(configuration: Configuration, target: Target) -> Iterator[str]:

    if target.mode is Mode.AUTOMATIC:
        yield from advice(target, configuration)
    if target.members and (reason := _pair_advice(target)):
        yield reason
    if not target.install.is_provable:
        yield "install.verify is empty, so nothing proves that the certificate is served"
    if not target.install.reload:
        yield "install.reload is empty, so " + container.fix_for(
            host=f"gatecert-reload@{target.name}.path has to be enabled, or the gateway has to "
            "notice new certificates by itself (docs/systemd.md)",
            container="the gateway's container has to watch its volume (docs/container.md)",
        )


def _pair_advice(target: Target) -> str:

    try:
        behind_nat = own_addresses(()).behind_nat
    except ResolutionError:
        behind_nat = False  # what is recommended does not hang on it
    return custom_mode_advice(target, behind_nat=behind_nat)
