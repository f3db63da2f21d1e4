"""Notifications to a command of the operator, by the rules of `gatecert.process`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from gatecert import process
from gatecert.deadline import Deadline
from gatecert.errors import clean
from gatecert.monitoring.delivery_answer import Answer
from gatecert.trusted_files import WeakFileError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

LONGEST_NAME: Final = 200  # characters of a command shown
RESERVE: Final = 2.0  # seconds, in which a command that is too slow is killed


def run(command: Sequence[str], message: Mapping[str, object], seconds: float) -> Answer:
    """Run the command with the JSON of the message on standard input; 0 means accepted.

    Args:
        command: Program and arguments.
        message: What is sent.
        seconds: How long it may take.
    """
    name = clean(command[0], LONGEST_NAME)
    program = process.executable(command[0])
    if program is None:
        return _refused(f"the command {name} was not found", f"PATH is {process.PATH}")
    given = f"{json.dumps(message)}\n".encode()
    timeout = max(seconds - RESERVE, seconds / 2)
    try:
        with process.started(
            (program, *command[1:]), process.environment(), given=given
        ) as running:
            in_time = running.wait(Deadline.after(timeout))
    except WeakFileError as error:
        what = f"the command {name} is not run, because another user may change it"
        return _refused(f"{what}: {clean(error.what)}", error.weakness.fix)
    except (OSError, ValueError) as error:
        reason = clean(getattr(error, "strerror", None) or str(error))
        return _refused(f"the command {name} cannot be run: {reason}", "make it executable")
    ending = f": {running.output_tail}" if running.output_tail else ""
    if not in_time:
        what = f"the command {name} was killed after {timeout:g} s{ending}"
        return Answer(accepted=False, problem=what, fix="make it faster, or set timeout")
    if running.status != 0:
        return _refused(f"the command {name} failed ({running.ending}){ending}", "correct it")
    return Answer(accepted=True)


def _refused(problem: str, fix: str) -> Answer:
    return Answer(accepted=False, problem=problem, fix=fix, refused=True)
