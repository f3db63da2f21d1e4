"""``gatecert status``: what each gateway serves, and what happens next."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from typer.core import TyperCommand

from gatecert.cli.application import monitoring_status, open_application, select_targets
from gatecert.cli.context import PATTERN, Names, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.output import show_lines, show_text, write_error
from gatecert.cli.status_watch import Snapshot, watch_status
from gatecert.report.gateway_status import as_json as status_json
from gatecert.report.health import HealthLevel, health_problems, health_summary
from gatecert.report.status_details import status_details
from gatecert.report.status_list import status_list
from gatecert.report.terminal import Terminal

if TYPE_CHECKING:
    from collections.abc import Sequence

    from typer._click.core import Context

    from gatecert.app import Application
    from gatecert.model import Target


class StatusCommand(TyperCommand):
    """A command whose option ``--check`` may have a value, behind ``=`` only."""

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Give ``--check`` its value, so that it does not take a gateway's name for one."""
        end = args.index("--") if "--" in args else len(args)
        options = [
            f"--check={HealthLevel.SERVING}" if each == "--check" else each for each in args[:end]
        ]
        return super().parse_args(ctx, options + args[end:])


app = typer.Typer(add_completion=False, rich_markup_mode=None)


@app.command("status", cls=StatusCommand)
def status(
    context: typer.Context,
    names: Names = None,
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; see docs/status.md.")
    ] = False,
    check: Annotated[
        HealthLevel | None,
        typer.Option(
            "--check",
            metavar="[=serving|trusted]",
            show_choices=False,
            help="Print problems only; exit with 1 unless the daemon runs and every gateway has a "
            "certificate that has not expired (serving) or, if automatic, serves a trusted one.",
        ),
    ] = None,
    watch: Annotated[
        bool, typer.Option("--watch", help="Show changes as they happen, until Ctrl-C.")
    ] = False,
) -> None:
    """Show what each gateway serves and what happens next.

    Problems come first. The name of one gateway shows its details.
    """
    given = {"--watch": watch, "--json": as_json, "--check": check is not None}
    _refuse_several([option for option, is_given in given.items() if is_given])
    application = open_application(read_configuration(context))
    targets = select_targets(application, names)
    is_single = len(targets) == 1 and bool(names) and PATTERN.isdisjoint("".join(names or ()))
    if watch:
        watch_status(
            lambda: _snapshot(application, targets),
            lambda seen, terminal: _lines(seen, terminal, is_single=is_single),
        )
        return
    seen = _snapshot(application, targets)
    if check is not None:
        _check(seen, check)
    elif as_json:
        shown = status_json(
            seen.statuses, now=seen.now, daemon=seen.daemon, monitoring=seen.monitoring
        )
        show_text(shown)
    else:
        terminal = Terminal.of(sys.stdout)
        show_lines(*_lines(seen, terminal, is_single=is_single))


def _refuse_several(options: Sequence[str]) -> None:
    if len(options) > 1:
        raise typer.BadParameter(f"{' and '.join(options)} cannot be used together")


def _snapshot(application: Application, targets: Sequence[Target]) -> Snapshot:
    """Read the status of the gateways now."""
    now = datetime.now(UTC)
    names = [target.name for target in targets]
    application.store.spare_database(names)
    cluster = application.store.cluster_view(names)
    statuses = tuple(application.describe(application.open(target), cluster) for target in targets)
    daemon = application.store.daemon_pid()
    return Snapshot(statuses, daemon, now, monitoring_status(application, daemon))


def _lines(seen: Snapshot, terminal: Terminal, *, is_single: bool) -> list[str]:
    if is_single:
        return status_details(seen.statuses[0], seen.daemon, seen.now, terminal)
    return status_list(seen.statuses, seen.daemon, seen.now, terminal, seen.monitoring)


def _check(seen: Snapshot, wanted: HealthLevel) -> None:
    """Exit with 1 if something is wrong."""
    problems = health_problems(seen.statuses, seen.daemon, wanted, seen.now)
    for problem in problems:
        write_error(problem)
    if problems:
        raise typer.Exit(FAILED)
    if wanted is HealthLevel.TRUSTED:
        show_lines(health_summary(seen.statuses))
