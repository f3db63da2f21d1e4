"""Passes of a command over many gateways at once, with their progress; Ctrl-C ends them cleanly.

Ctrl-C tells the passes to stop, as a stop of the daemon does: they withdraw their challenges, keep
their orders, and leave whole files. A second Ctrl-C, or `GRACE_SECONDS`, ends the wait for them.
"""

from __future__ import annotations

import signal
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final

from gatecert.deadline import Deadline
from gatecert.errors import GatecertError
from gatecert.model import Outcome, OutcomeKind
from gatecert.time_format import day

if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Sequence
    from types import FrameType
    from typing import Self

    from gatecert.app import Application
    from gatecert.cli.display import Display
    from gatecert.model import Target

MOST_AT_ONCE: Final = 16
SLICE_SECONDS: Final = 0.1  # how soon Ctrl-C is noticed
GRACE_SECONDS: Final = 10.0  # for passes that are told to stop


@dataclass(slots=True)
class PassesRun:
    """The results of passes.

    Attributes:
        outcomes: Of the passes that ended, in the order in which they ended.
        errors: By gateway, why its pass could not be run.
        unfinished: Gateways whose passes were interrupted or not begun.
        still_running: Whether a pass has not stopped in time.
        interrupted: Whether Ctrl-C stopped them.
    """

    outcomes: list[Outcome] = field(default_factory=list)
    errors: dict[str, GatecertError] = field(default_factory=dict)
    unfinished: list[str] = field(default_factory=list)
    still_running: bool = False
    interrupted: bool = False


class _Interrupts:
    """Counts SIGINT while this context is open; the first one stops the passes.

    Args:
        cancelled: Is set by the first one.
    """

    def __init__(self, cancelled: threading.Event) -> None:
        self.count = 0
        self._cancelled = cancelled
        self._before = signal.getsignal(signal.SIGINT)

    def __enter__(self) -> Self:
        if self._before is not signal.SIG_IGN:  # as nohup(1) and shells set it
            signal.signal(signal.SIGINT, self._add)
        return self

    def __exit__(self, *exception: object) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _add(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.count += 1
        self._cancelled.set()


def run_passes(  # noqa: PLR0913 - what the passes depend on
    application: Application,
    targets: Sequence[Target],
    attend: Callable[[Target], Outcome],
    display: Display,
    cancelled: threading.Event,
    *,
    most_at_once: int = MOST_AT_ONCE,
    grace: float = GRACE_SECONDS,
) -> PassesRun:
    """Run a pass over each gateway, and show it.

    Args:
        application: Knows the state of gateways.
        targets: The gateways.
        attend: Runs one pass.
        display: Shows progress and outcomes.
        cancelled: Set to stop the passes; the application knows it.
        most_at_once: The number of passes side by side.
        grace: Seconds for passes that are told to stop.
    """
    result, left = PassesRun(), None
    display.expect(len(targets))
    pool = ThreadPoolExecutor(most_at_once, "pass")
    with _Interrupts(cancelled) as interrupts:
        begin = partial(_begin, attend, cancelled)
        passes = {pool.submit(begin, target): target for target in targets}
        pending = set(passes)
        while pending and (left is None or not (left.passed or interrupts.count > 1)):
            done, pending = wait(pending, SLICE_SECONDS, FIRST_COMPLETED)
            for each in (each for each in passes if each in done):
                _add(application, passes[each], each, result, display, stopped=interrupts.count > 0)
            if interrupts.count and left is None:
                left = Deadline.after(grace)
    result.still_running = bool(pending)
    for each in (each for each in passes if each in pending):
        _leave(application, passes[each], result, display)
    result.interrupted = bool(result.unfinished)
    pool.shutdown(wait=not pending, cancel_futures=True)
    return result


def _begin(
    attend: Callable[[Target], Outcome], cancelled: threading.Event, target: Target
) -> Outcome | None:
    """Run a pass unless gatecert is stopping."""
    return None if cancelled.is_set() else attend(target)


def _add(  # noqa: PLR0913 - a pass, and where it is shown
    application: Application,
    target: Target,
    ended: Future[Outcome | None],
    result: PassesRun,
    display: Display,
    *,
    stopped: bool,
) -> None:
    """Add a pass that has ended, or was stopped."""
    try:
        outcome = ended.result()
    except GatecertError as error:
        if stopped:
            _leave(application, target, result, display)
            return
        result.errors[target.name] = error
        display.refuse(target.name, error)
        return
    if outcome is None or (stopped and outcome.kind in {OutcomeKind.WAITING, OutcomeKind.IDLE}):
        _leave(application, target, result, display)
        return
    result.outcomes.append(outcome)
    display.finish(outcome)


def _leave(application: Application, target: Target, result: PassesRun, display: Display) -> None:
    """Add a pass that was interrupted or not begun."""
    result.unfinished.append(target.name)
    display.interrupt(target.name, state_of(application, target))


def state_of(application: Application, target: Target) -> str:
    """Return what an interrupted pass left in place, in words."""
    try:
        current = application.open(target)
        live, order = current.live, current.state.enrolment.order
        deployment = current.situation.deployment
    except GatecertError as error:
        return f"its state cannot be read: {error}"
    if live is None:
        what = "has no certificate yet"
    elif live.summary.is_bootstrap:
        what = "keeps its bootstrap certificate"
    else:
        what = f"keeps its certificate, which ends {day(live.summary.not_after)}"
    if order is not None:
        return f"{what}; its order is kept"
    if deployment is not None and deployment.confirmed is None:
        return f"{what}; its deployment is not finished"
    return what
