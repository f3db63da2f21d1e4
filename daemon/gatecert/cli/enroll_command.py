"""``gatecert enroll``: do what is due now, show progress, exit."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.application import notify_daemon, open_application, select_targets
from gatecert.cli.closing import closing_of, interrupted
from gatecert.cli.context import Names, read_configuration
from gatecert.cli.display import open_display
from gatecert.cli.exit_codes import FAILED, HELD, INTERRUPTED
from gatecert.cli.options import options
from gatecert.cli.passes import run_passes
from gatecert.errors import LockTimeoutError
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.model import Mode, OutcomeKind
from gatecert.revocation.check_schedule import revoked_state_of
from gatecert.schedule.due import certificate_in_use

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.app import Application
    from gatecert.cli.closing import Closing
    from gatecert.cli.display import Display
    from gatecert.cli.passes import PassesRun
    from gatecert.model import Outcome, Target


def enroll(  # noqa: PLR0913 - the options of the command
    context: typer.Context,
    names: Names = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Order a new certificate even if none is due.")
    ] = False,
    rotate_key: Annotated[
        bool,
        typer.Option(
            "--rotate-key", help="Order with a new key even if key.reuse keeps the old one."
        ),
    ] = False,
    accept_untrusted: Annotated[
        bool,
        typer.Option(
            "--accept-untrusted",
            help="Install a certificate with an untrusted root even in place of a trusted one.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Order from the CA's staging directory; install nothing.",
        ),
    ] = False,
    wait: Annotated[
        float,
        typer.Option(
            "--wait",
            metavar="SECONDS",
            min=0,
            help="How long to wait for one that is being changed.",
        ),
    ] = 60.0,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print an event a line as JSON; see docs/enroll.md.")
    ] = False,
) -> None:
    """Do what is due now: bootstrap, enrol, renew, deploy. Shows each step."""
    if dry_run and (force or rotate_key or accept_untrusted):
        raise typer.BadParameter(
            "--dry-run changes nothing; it cannot be combined with the other options"
        )
    occasion = Occasion(
        force=force or rotate_key,
        look_now=True,
        deploy_now=True,
        accept_untrusted=accept_untrusted,
        wait=wait,
    )
    configuration = read_configuration(context)
    cancelled = threading.Event()
    with open_display(options(context), as_json=as_json) as display:
        application = open_application(configuration, display, cancelled)
        targets = select_targets(application, names)
        application.warn_of_listeners()
        if rotate_key:
            targets = tuple(replace(one, key=replace(one.key, reuse=False)) for one in targets)
        code = enrol(application, targets, display, cancelled, occasion=occasion, dry_run=dry_run)
    if code:
        raise typer.Exit(code)


def enrol(  # noqa: PLR0913 - what the passes depend on
    application: Application,
    targets: Sequence[Target],
    display: Display,
    cancelled: threading.Event,
    *,
    occasion: Occasion,
    dry_run: bool = False,
) -> int:
    """Run a pass over each gateway, tell the daemon, and show what to do next.

    Args:
        application: Was opened with ``display`` and ``cancelled``.
        targets: The gateways.
        display: Shows progress, outcomes and the last line.
        cancelled: Set by Ctrl-C.
        occasion: Of the passes.
        dry_run: Only order at staging directories.

    Returns:
        The exit code.
    """
    attend = partial(_attend, application, occasion=occasion, dry_run=dry_run)
    ran = run_passes(application, targets, attend, display, cancelled)
    if not dry_run:
        notify_daemon(application, [target.name for target in targets])
    code = _exit_code(ran)
    display.close(_closing(application, targets, ran, code, dry_run=dry_run))
    if ran.still_running:  # threads that do not stop would keep the process
        display.__exit__(None, None, None)
        sys.stdout.flush()
        os._exit(code)
    return code


def _attend(
    application: Application, target: Target, *, occasion: Occasion, dry_run: bool
) -> Outcome:
    if dry_run:
        return application.pipeline.dry_run(target, wait=occasion.wait)
    outcome = application.pipeline.attend(target, occasion)
    return with_earlier_failure(application, target, outcome)


def _exit_code(ran: PassesRun) -> int:
    if ran.interrupted:
        return INTERRUPTED
    if any(isinstance(error, LockTimeoutError) for error in ran.errors.values()):
        return HELD
    return FAILED if ran.errors or not all(each.settled for each in ran.outcomes) else 0


def _closing(
    application: Application,
    targets: Sequence[Target],
    ran: PassesRun,
    code: int,
    *,
    dry_run: bool,
) -> Closing:
    if ran.interrupted:
        return interrupted(ran.unfinished, exit_code=code)
    locked = [name for name, error in ran.errors.items() if isinstance(error, LockTimeoutError)]
    custom = [each for each in targets if each.mode is Mode.CUSTOM]
    return closing_of(
        ran.outcomes,
        refused=[name for name in ran.errors if name not in locked],
        locked=locked,
        without_import=[each.name for each in custom if _waits_for_import(application, each)],
        daemon_runs=application.store.daemon_pid() is not None,
        dry_run=dry_run,
        exit_code=code,
    )


def _waits_for_import(application: Application, target: Target) -> bool:
    live = application.open(target).live
    return live is None or live.summary.is_bootstrap


def with_earlier_failure(application: Application, target: Target, outcome: Outcome) -> Outcome:
    """Return the outcome, or the earlier failure if the pass only waits for the next attempt.

    A gateway that has a usable certificate does not fail because of earlier attempts.

    Raises:
        StorageError: The state of the gateway cannot be read.
    """
    if outcome.kind is not OutcomeKind.IDLE:
        return outcome
    situation = application.pipeline.open(target).situation
    state, certificate = situation.state, certificate_in_use(situation)
    failures, last = state.enrolment.failures, state.host.outcome
    usable = certificate is not None and certificate.not_after > outcome.at
    if target.mode is not Mode.AUTOMATIC or (
        usable and not revoked_state_of(state.enrolment, certificate)
    ):
        return outcome
    if last is not None and last.settled:
        last = None
    if not failures and last is None:
        return outcome
    details = [last.detail] if last is not None else []
    fixes = [last.fix] if last is not None and last.fix else []
    if failures:
        details.insert(0, f"{failures} failed attempt{'' if failures == 1 else 's'}")
        fixes.append(f"gatecert enroll {target.name} --force retries at once")
    return replace(
        outcome,
        detail=", last: ".join(details),
        code=last.code if last is not None else "attempts-failed",
        fix="; ".join(fixes),
    )
