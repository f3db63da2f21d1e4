"""``gatecert enroll``: do what is due now, show progress, exit."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.application import notify_daemon, open_application, select_targets
from gatecert.cli.context import Names, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.progress_lines import ProgressLines
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.model import Mode, OutcomeKind
from gatecert.revocation.check_schedule import revoked_state_of
from gatecert.schedule.due import certificate_in_use

if TYPE_CHECKING:
    from gatecert.app import Application
    from gatecert.model import Outcome, Target

MOST_AT_ONCE = 16


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
            help="How long to wait for one that is being changed.",
        ),
    ] = 60.0,
) -> None:
    """Do what is due now: bootstrap, enrol, renew, deploy. Shows each step."""
    if dry_run and (force or rotate_key or accept_untrusted):
        raise typer.BadParameter(
            "--dry-run changes nothing; it cannot be combined with the other options"
        )
    lines = ProgressLines()
    application = open_application(read_configuration(context), lines)
    targets = select_targets(application, names)
    application.warn_of_listeners()
    if rotate_key:
        targets = tuple(replace(one, key=replace(one.key, reuse=False)) for one in targets)
    occasion = Occasion(
        force=force or rotate_key,
        look_now=True,
        deploy_now=True,
        accept_untrusted=accept_untrusted,
        wait=wait,
    )
    attend = (
        partial(application.pipeline.dry_run, wait=wait)
        if dry_run
        else partial(application.pipeline.attend, occasion=occasion)
    )
    with ThreadPoolExecutor(MOST_AT_ONCE) as pool:
        outcomes = list(pool.map(attend, targets))
    if not dry_run:
        outcomes = list(map(partial(with_earlier_failure, application), targets, outcomes))
    for outcome in outcomes:
        lines.finish(outcome)
    if not dry_run:
        notify_daemon(application, [target.name for target in targets])
    if not all(outcome.settled for outcome in outcomes):
        raise typer.Exit(FAILED)


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
    failures, last = state.failures, state.outcome
    usable = certificate is not None and certificate.not_after > outcome.at
    if target.mode is not Mode.AUTOMATIC or (usable and not revoked_state_of(state, certificate)):
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
