"""``gatecert doctor``: diagnose problems, in the order in which to fix them."""

from __future__ import annotations

import logging
import os
import stat
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.application import monitoring_status, open_application, select_targets
from gatecert.cli.context import Names, read_configuration
from gatecert.cli.exit_codes import FAILED, WRONG_USAGE
from gatecert.cli.options import options
from gatecert.cli.output import show_lines, show_text
from gatecert.config.include import read
from gatecert.deploy.reload_unit import read_reload_units
from gatecert.doctor import codes, report
from gatecert.doctor.checks import Result, run_checks
from gatecert.doctor.configuration_problems import configuration_problems
from gatecert.doctor.diagnosis_text import diagnosis_text
from gatecert.doctor.gather import FactSources, gather_gateway_facts, gather_machine_facts
from gatecert.doctor.listener_checks import open_listeners
from gatecert.errors import ConfigurationError, GatecertError, StorageError
from gatecert.model.cluster_view import ClusterView
from gatecert.report.terminal import Terminal
from gatecert.store.operator_files import open_output
from gatecert.store.storage_errors import reason

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from gatecert.app import Application
    from gatecert.doctor.facts import GatewayFacts, MachineFacts
    from gatecert.model import Target

MOST_AT_ONCE = 16
READABLE = 0o644  # a root is for everybody


def doctor(
    context: typer.Context,
    names: Names = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; see docs/doctor.md.")
    ] = False,
    everything: Annotated[
        bool, typer.Option("--all", help="Show the checks that passed, too.")
    ] = False,
    export_root: Annotated[
        Path | None,
        typer.Option(
            "--export-root",
            metavar="FILE",
            help="Write the root that clients must trust, PEM.",
        ),
    ] = None,
) -> None:
    """Diagnose problems and suggest fixes. Exits with 1 if a check fails."""
    given = options(context)
    try:
        configuration = read_configuration(context, logging.ERROR)
    except ConfigurationError as error:
        _print(_configuration_results(error), (), as_json=as_json, everything=everything)
        raise typer.Exit(WRONG_USAGE) from error
    with _opened(export_root) as descriptor:
        application = open_application(configuration)
        machine, gateways = gather_facts(
            application, Path(given.config), select_targets(application, names)
        )
        if descriptor is not None:
            _export(descriptor, report.roots_pem(gateways))

    results = run_checks(machine, gateways)
    _print(results, gateways, as_json=as_json, everything=everything)
    if any(result.finding.severity == "failure" for result in results):
        raise typer.Exit(FAILED)


def gather_facts(
    application: Application, configuration: Path, targets: Sequence[Target]
) -> tuple[MachineFacts, tuple[GatewayFacts, ...]]:
    """Gather facts about the machine, then about all gateways in parallel."""
    cluster = application.store.cluster_view([target.name for target in targets])
    asked_at = datetime.now(UTC)  # when the database has just told its time
    passes = {target.name: application.open(target) for target in targets}
    enrolling = [target for target in targets if not passes[target.name].excluded_region]
    sources = FactSources(
        store=application.store,
        state_directory=application.configuration.state_directory.absolute(),
        authorities=application.authorities,
        solvers=application.solvers,
        resolver=application.resolver,
        now=partial(datetime.now, UTC),
        ask_command=lambda target, stored: passes[target.name].deployer.ask_command(stored),
        reload_units=read_reload_units(
            [target.name for target in targets if not target.install.reload]
        ),
    )
    known = configuration_problems(read(configuration), application.configuration, sources.now())
    found = gather_machine_facts(sources, configuration, application.targets.values(), enrolling)
    machine = replace(
        found,
        monitoring=monitoring_status(application, found.daemon),
        missing=known.missing,
        unworkable=known.unworkable,
        cluster=cluster,
        clock_ahead=asked_at - cluster.at if isinstance(cluster, ClusterView) else None,
        open_listeners=open_listeners(application.configuration, enrolling),
    )

    def gather(target: Target) -> GatewayFacts:
        current = passes[target.name]
        return gather_gateway_facts(sources, current.situation, current.live, machine)

    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        return machine, tuple(pool.map(gather, targets))


def _configuration_results(error: ConfigurationError) -> tuple[Result, ...]:
    return tuple(
        Result(
            "configuration",
            (codes.CONFIGURATION_EXPOSED if problem.exposed else codes.CONFIGURATION).found(
                str(problem)
            ),
        )
        for problem in error.problems
    )


# --------------------------------------------------------------------- the root


@contextmanager
def _opened(path: Path | None) -> Iterator[int | None]:
    """Open a file for writing as the user who runs the command, before root is dropped.

    Raises:
        GatecertError: The file cannot be opened.
    """
    if path is None:
        yield None
        return
    with ExitStack() as opened:
        try:
            output = open_output(path.absolute(), mode=READABLE)
            descriptor = opened.enter_context(output)
        except StorageError as error:
            raise GatecertError(
                f"{path}: cannot be written: {reason(error)}", fix=error.fix
            ) from error
        yield descriptor


def _export(descriptor: int, pem: bytes) -> None:
    if not pem:
        raise GatecertError(
            "no root is known, so nothing was written",
            fix="gatecert doctor explains why; the root is known once a certificate was issued",
        )
    if stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.ftruncate(descriptor, 0)
    os.write(descriptor, pem)


# --------------------------------------------------------------------- output


def _print(
    results: Sequence[Result],
    gateways: Sequence[GatewayFacts],
    *,
    as_json: bool,
    everything: bool,
) -> None:
    if as_json:
        show_text(report.as_json(results, gateways, now=datetime.now(UTC)))
        return
    show_lines(*diagnosis_text(results, Terminal.of(sys.stdout), everything=everything))
