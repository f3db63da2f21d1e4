"""``gatecert enroll``: do what is due now, with progress, then exit."""

from __future__ import annotations

import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.context import Names, chosen, open_application, options, tell_daemon
from gatecert.cli.output import write_line
from gatecert.report.terminal import has_colours

if TYPE_CHECKING:
    from datetime import datetime
    from typing import TextIO

    from gatecert.app import Application
    from gatecert.model import Outcome, Stage, Target

MOST_AT_ONCE = 16
FAILED = 1
BOLD, GREEN, RED, PLAIN = "\x1b[1m", "\x1b[32m", "\x1b[31m", "\x1b[0m"


class ProgressLines:
    """One line a step, as it happens; marks and colours only for a person.

    The work goes on where nobody reads the lines: what cannot be written is left out.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def __call__(self, gateway: str, stage: Stage, message: str) -> None:
        """Tell of a step."""
        name = f"{BOLD}{gateway}{PLAIN}" if has_colours(sys.stdout) else gateway
        self.tell(f"{name}: {stage}: {message}")

    def ended(self, outcome: Outcome) -> None:
        """Tell how a gateway's pass ended."""
        good = outcome.settled
        stream = sys.stdout if good else sys.stderr
        mark = ""
        if stream.isatty():
            mark = "✓ " if good else "✗ "
        if has_colours(stream):
            mark = f"{GREEN if good else RED}{mark}{PLAIN}"
        line = (
            f"{mark}{outcome.gateway}: {outcome.kind}: {outcome.detail} ({outcome.seconds:.2f} s)"
        )
        if outcome.fix:
            line += f"; {outcome.fix}"
        if outcome.next_at is not None:
            line += f"; next: {outcome.next_action} at {_instant(outcome.next_at)}"
        self._line(line, stream)

    def tell(self, line: str) -> None:
        """Tell of a step that has words of its own."""
        self._line(line, sys.stdout)

    def _line(self, line: str, stream: TextIO) -> None:
        with self._lock:
            write_line(stream, line)


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
            "--rotate-key", help="Order with a new key even where key.reuse keeps the old one."
        ),
    ] = False,
    accept_untrusted: Annotated[
        bool,
        typer.Option(
            "--accept-untrusted",
            help="Take a certificate whose root is not trusted, even in place of a trusted one.",
        ),
    ] = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Try the whole path at the authority's staging directory; install nothing.",
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
    """Do now what is due: bootstrap, enrol, renew, deploy. Shows each step."""
    from gatecert.lifecycle.pipeline import Occasion  # noqa: PLC0415 - --help is quick without it

    if dry_run and (force or rotate_key or accept_untrusted):
        raise typer.BadParameter("--dry-run changes nothing, so it goes without the others")
    given = options(context)
    given.configure_logs(logging.WARNING)
    lines = ProgressLines()
    application = open_application(given.load(), lines)
    targets = chosen(application, names)
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
        outcomes = list(map(partial(still_failing, application), targets, outcomes))
    for outcome in outcomes:
        lines.ended(outcome)
    if not dry_run:
        tell_daemon(application)
    if not all(outcome.settled for outcome in outcomes):
        raise typer.Exit(FAILED)


def still_failing(application: Application, target: Target, outcome: Outcome) -> Outcome:
    """The outcome, or, where a pass had only to wait for the next attempt, what has failed before.

    A gateway that has the certificate it wants suffers from no attempt that failed.

    Raises:
        StorageError: What is known of the gateway cannot be read.
    """
    from gatecert.model import Mode, OutcomeKind  # noqa: PLC0415 - --help is quick without it
    from gatecert.revocation.check_schedule import revoked  # noqa: PLC0415
    from gatecert.schedule.due import certificate_in_use  # noqa: PLC0415

    if outcome.kind is not OutcomeKind.IDLE:
        return outcome
    situation = application.pipeline.memory.situation(target)
    state, certificate = situation.state, certificate_in_use(situation)
    failures, last = state.failures, state.outcome
    usable = certificate is not None and certificate.not_after > outcome.at
    if target.mode is not Mode.AUTOMATIC or (usable and not revoked(state, certificate)):
        return outcome
    if last is not None and last.settled:
        last = None
    if not failures and last is None:
        return outcome
    said = [last.detail] if last is not None else []
    fixes = [last.fix] if last is not None and last.fix else []
    if failures:
        said.insert(0, f"{failures} failed attempt{'' if failures == 1 else 's'}")
        fixes.append(f"gatecert enroll {target.name} --force tries at once")
    return replace(
        outcome,
        detail=", last: ".join(said),
        code=last.code if last is not None else "attempts-failed",
        fix="; ".join(fixes),
    )


def _instant(at: datetime) -> str:
    return at.strftime("%Y-%m-%d %H:%M:%S UTC")
