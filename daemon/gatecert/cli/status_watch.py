"""``gatecert status --watch``: the status again and again.

On a terminal it takes the place of what was shown before, on the alternate screen, so that the
scrollback stays as it was; the last status remains after the end. In a pipe or a file, and on a
dumb terminal, it is printed again only if something has changed.
"""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Final

from gatecert.cli.output import show_lines
from gatecert.report.gateway_status import GatewayStatus
from gatecert.report.monitoring_status import NOT_MONITORED, MonitoringStatus
from gatecert.report.terminal import Terminal, control, one_line
from gatecert.time_format import instant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType
    from typing import TextIO

INTERVAL: Final = 1.0  # seconds
SHARE: Final = 9  # parts of the time spent waiting, to each part spent reading many gateways

ENTER: Final = b"\x1b[?1049h\x1b[?25l"  # the alternate screen, without a cursor
LEAVE: Final = b"\x1b[?25h\x1b[?1049l"
TOP: Final = control("[H")
END_OF_LINE: Final = control("[K")  # erases the rest of the line
END_OF_SCREEN: Final = control("[J")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The status of the gateways at one time."""

    statuses: tuple[GatewayStatus, ...]
    daemon: int | None
    now: datetime
    monitoring: MonitoringStatus = NOT_MONITORED

    @property
    def lasting(self) -> object:
        """The facts that change only if something happens, not as time passes."""
        return (
            self.daemon,
            self.monitoring.problems,
            [
                replace(
                    one,
                    days_left=None,
                    served_at=None,
                    revocation=None,
                    next_at=one.next_at if one.next_at and one.next_at > self.now else None,
                    fleet=None,
                )
                for one in self.statuses
            ],
            [one.fleet.words for one in self.statuses if one.fleet is not None],
        )


def watch_status(
    read: Callable[[], Snapshot], lines: Callable[[Snapshot, Terminal], list[str]]
) -> None:
    """Show the status until SIGINT, which is the usual end, SIGTERM or SIGHUP.

    Args:
        read: Reads the status now.
        lines: Returns the status as lines for a terminal.
    """
    stream = sys.stdout
    with _until_a_signal():
        if not Terminal.of(stream).is_live:
            _print_changes(stream, read, lines)
        shown: list[str] = []
        try:
            with _alternate_screen(stream):
                while True:
                    began = time.monotonic()
                    terminal = Terminal.of(stream)
                    shown = _fitting(lines(read(), terminal), terminal)
                    stream.write(_picture(shown))
                    stream.flush()
                    _pause(began)
        finally:
            show_lines(*shown)


def _print_changes(
    stream: TextIO, read: Callable[[], Snapshot], lines: Callable[[Snapshot, Terminal], list[str]]
) -> None:
    before: Snapshot | None = None
    while True:
        began = time.monotonic()
        seen = read()
        if before is None or seen.lasting != before.lasting:
            begin = [] if before is None else [""]
            show_lines(*begin, instant(seen.now), *lines(seen, Terminal.of(stream)))
            before = seen
        _pause(began)


def _fitting(lines: list[str], terminal: Terminal) -> list[str]:
    """Return as many lines as fit on the screen."""
    height = max(2, shutil.get_terminal_size().lines)
    if len(lines) <= height:
        return lines
    more = f"… {len(lines) - height + 1} more lines; gatecert status shows all"
    return [*lines[: height - 1], terminal.plain(more)]


def _picture(lines: list[str]) -> str:
    """Return what draws the lines over the previous ones."""
    return TOP + "\n".join(f"{line}{END_OF_LINE}" for line in map(one_line, lines)) + END_OF_SCREEN


def _pause(began: float) -> None:
    """Wait before the next reading, longer if one takes long."""
    time.sleep(max(INTERVAL, SHARE * (time.monotonic() - began)))


@contextmanager
def _alternate_screen(stream: TextIO) -> Iterator[None]:
    """Use the alternate screen, except while SIGTSTP (Ctrl-Z) has suspended this process."""
    descriptor = stream.fileno()

    def suspend(_number: int, _frame: FrameType | None) -> None:
        os.write(descriptor, LEAVE)  # the stream may be in the middle of a write
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, suspend)
        os.write(descriptor, ENTER)

    before = signal.signal(signal.SIGTSTP, suspend)
    os.write(descriptor, ENTER)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
        stream.flush()
        os.write(descriptor, LEAVE)


@contextmanager
def _until_a_signal() -> Iterator[None]:
    """End the block at SIGINT, SIGTERM or SIGHUP, after its clean-up."""

    def end(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    kept = {each: signal.signal(each, end) for each in (signal.SIGTERM, signal.SIGHUP)}
    try:
        yield
    except KeyboardInterrupt:
        pass
    finally:
        for each, handler in kept.items():
            signal.signal(each, handler)
