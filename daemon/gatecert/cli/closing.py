"""The last line of ``enroll``: how it went, and what to do next."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert import container
from gatecert.model import OutcomeKind

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.model import Outcome

MOST_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class Closing:
    """The end of a command.

    Attributes:
        summary: How it went.
        next_step: What to do next.
        is_good: Whether every gateway is in order.
        exit_code: The exit code of the command.
    """

    summary: str
    next_step: str
    is_good: bool
    exit_code: int

    def __str__(self) -> str:
        """Return the line."""
        return f"{self.summary} → {self.next_step}"


def closing_of(  # noqa: PLR0913 - what the line depends on
    outcomes: Sequence[Outcome],
    *,
    refused: Sequence[str] = (),
    locked: Sequence[str] = (),
    without_import: Sequence[str] = (),
    daemon_runs: bool,
    dry_run: bool = False,
    exit_code: int = 0,
) -> Closing:
    """Return the closing line of passes that were all run.

    Args:
        outcomes: The outcomes of the passes.
        refused: Gateways whose pass could not be run.
        locked: Gateways that another process was changing all the time.
        without_import: Gateways that wait for an administrator's certificate.
        daemon_runs: Whether a daemon manages the gateways.
        dry_run: Whether nothing was to be changed.
        exit_code: The exit code of the command.
    """
    failed = [*(each.gateway for each in outcomes if each.failed), *refused]
    waiting = [each.gateway for each in outcomes if not each.settled and not each.failed]
    total = len(outcomes) + len(refused) + len(locked)
    if not total:
        step = "gatecert init sets one up"
        return Closing("No gateway is configured.", step, is_good=True, exit_code=exit_code)
    if failed:
        summary = f"{failed[0]} failed." if total == 1 else f"{len(failed)} of {total} failed."
        step = f"{_command('doctor', failed)} says what is wrong and how to mend it"
        return Closing(summary, step, is_good=False, exit_code=exit_code)
    if locked:
        summary = _are(locked, "is locked", "are locked")
        step = f"when the other gatecert has finished: {_command('enroll', locked)}"
        return Closing(summary, step, is_good=False, exit_code=exit_code)
    if waiting:
        summary = _are(waiting, "waits", "wait")
        again = f"{_command('enroll', waiting)}{' --dry-run' if dry_run else ''}"
        step = f"do what is said above, then {again}"
        if daemon_runs and not dry_run:
            step = "do what is said above; the running daemon then continues by itself"
        return Closing(summary, step, is_good=False, exit_code=exit_code)
    return Closing(
        _summary(outcomes, dry_run=dry_run),
        _good_step(outcomes, without_import, daemon_runs=daemon_runs, dry_run=dry_run),
        is_good=True,
        exit_code=exit_code,
    )


def interrupted(unfinished: Sequence[str], *, exit_code: int) -> Closing:
    """Return the closing line after Ctrl-C."""
    return Closing(
        "Interrupted; every file is whole.",
        f"{_command('enroll', unfinished)} continues where this stopped",
        is_good=False,
        exit_code=exit_code,
    )


def _summary(outcomes: Sequence[Outcome], *, dry_run: bool) -> str:
    if dry_run:
        return "The dry run succeeded; nothing was changed."
    worked = sum(each.kind is not OutcomeKind.IDLE for each in outcomes)
    if not worked:
        return "Nothing was due."
    return "Done." if len(outcomes) == 1 else f"Done: {worked} of {len(outcomes)} had work."


def _good_step(
    outcomes: Sequence[Outcome],
    without_import: Sequence[str],
    *,
    daemon_runs: bool,
    dry_run: bool,
) -> str:
    if dry_run:
        return (
            f"{_command('enroll', [each.gateway for each in outcomes])} orders the real certificate"
        )
    if without_import:
        return f"gatecert csr {without_import[0]} prints the CSR to have signed"
    if daemon_runs:
        return "the running daemon renews by itself; nothing is left to do"
    return container.fix_for(
        host="start the daemon, which renews by itself: systemctl enable --now gatecert"
        " (or gatecert run)",
        container="start the container with gatecert run, which renews by itself",
    )


def _command(name: str, gateways: Sequence[str]) -> str:
    """Return a command for these gateways, or for all if they are many."""
    return " ".join(("gatecert", name, *(gateways if len(gateways) <= MOST_NAMED else ())))


def _are(names: Sequence[str], one: str, several: str) -> str:
    if len(names) == 1:
        return f"{names[0]} {one}."
    return f"{len(names)} gateways {several}."
