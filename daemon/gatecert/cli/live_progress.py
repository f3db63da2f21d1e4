"""The progress of a command on a terminal, written over in place.

The lines at the bottom show what is being done and waited for; everything else, including log
records, is written above them and stays. Only two control sequences are used (ECMA-48): cursor to a
previous line, and erase to the end of the display.
"""

from __future__ import annotations

import io
import logging
import os
import sys
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from gatecert.cli.output import write_line, write_text
from gatecert.cli.progress_frame import Activity, Count, frame, said_lines
from gatecert.cli.progress_lines import mark_of, outcome_line
from gatecert.model import OutcomeKind
from gatecert.report.terminal import Style, Terminal, cells, control
from gatecert.time_format import ahead

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self, TextIO

    from gatecert.cli.closing import Closing
    from gatecert.errors import GatecertError
    from gatecert.model import Message, Outcome, Stage

REFRESH_SECONDS: Final = 0.1
DEFAULT_HEIGHT: Final = 24
ROWS_KEPT: Final = 2  # rows of the terminal that the live lines leave free


class LiveProgress:
    """Shows the passes of a command on a terminal; see ``cli.display.Display``.

    Args:
        stream: Standard output, a terminal that is not dumb.
        clock: Like ``time.monotonic``.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._lock = threading.RLock()
        self._ended = threading.Event()
        self._activities: dict[str, Activity] = {}
        self._count = Count()
        self._drawn: list[str] = []
        self._turn = 0
        self._thread = threading.Thread(target=self._refresh, name="progress", daemon=True)
        self._log_streams: list[tuple[logging.StreamHandler[TextIO], TextIO]] = []

    def __enter__(self) -> Self:
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream.isatty():
                self._log_streams.append((handler, handler.stream))
                handler.setStream(_Above(self, handler.stream))
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Erase the live lines, except for the last step of the only gateway."""
        self._ended.set()
        self._thread.join()
        with self._lock:
            left = list(self._activities.values())
            self._activities.clear()
            self.draw()
            for each in left:
                self._keep(each, self._clock() - each.stage_since)
        for handler, stream in self._log_streams:
            handler.setStream(stream)

    def expect(self, gateways: int) -> None:
        """Show one line for each gateway instead of its stages if there are several."""
        with self._lock:
            self._count = Count(gateways)

    def __call__(self, gateway: str, stage: Stage, message: Message) -> None:
        """Show a step of a pass."""
        with self._lock:
            now, before = self._clock(), self._activities.get(gateway)
            if before is None:
                self._activities[gateway] = Activity.first(gateway, stage, message, now)
            else:
                self._activities[gateway] = before.followed_by(stage, message, now)
                if stage is not before.stage:
                    self._keep(before, now - before.stage_since)
                elif isinstance(message, str):
                    self._keep(before)
            self.draw()

    def write(self, line: str) -> None:
        """Show a line of the command itself."""
        self.above(lambda: write_line(self._stream, line))

    def finish(self, outcome: Outcome) -> None:
        """Show the outcome of a gateway's pass."""
        with self._lock:
            self._end(outcome.gateway)
            stream = self._stream if outcome.settled else sys.stderr
            self.above(lambda: self._print_outcome(outcome, stream))

    def refuse(self, gateway: str, error: GatecertError) -> None:
        """Show why a gateway's pass was not run."""
        with self._lock:
            self._end(gateway)
            self.above(lambda: _print_wrapped(f"gatecert: {error}", sys.stderr))

    def interrupt(self, gateway: str, state: str) -> None:
        """Show what an interrupted pass left in place."""
        with self._lock:
            self._end(gateway)
            line = f"{gateway}: interrupted: {state}"
            self.above(lambda: _print_wrapped(line, sys.stderr))

    def close(self, closing: Closing) -> None:
        """Show what to do next."""
        terminal = Terminal.of(self._stream)
        colour = Style.GREEN if closing.is_good else Style.YELLOW
        line = f"{terminal.styled(closing.summary, Style.BOLD, colour)} → {closing.next_step}"
        self.above(lambda: _print_wrapped(line, self._stream))

    def above(self, write: Callable[[], object]) -> None:
        """Write lines that stay on the screen, above the live lines."""
        with self._lock:
            self._erase()
            write()
            self.draw()

    def draw(self) -> None:
        """Write the live lines in place of the last ones."""
        with self._lock:
            terminal, height = Terminal.of(self._stream), _rows(self._stream) - ROWS_KEPT
            lines = frame(
                list(self._activities.values()),
                self._count,
                terminal,
                now=self._clock(),
                turn=self._turn,
                height=height,
            )
            if not self._activities:
                lines = []
            if lines == self._drawn:
                return
            text = self._erasure(terminal) + "".join(f"{line}\n" for line in lines)
            self._drawn = lines
            write_text(self._stream, text)

    def _keep(self, step: Activity, seconds: float | None = None) -> None:
        """Leave the last line of the only gateway on the screen."""
        if self._count.total == 1:
            lines = said_lines(step, Terminal.of(self._stream), seconds)
            self.above(lambda: write_text(self._stream, "".join(f"{each}\n" for each in lines)))

    def _end(self, gateway: str) -> None:
        """Take a gateway from the live lines."""
        before = self._activities.pop(gateway, None)
        self._count = Count(self._count.total, self._count.finished + 1)
        if before is not None:
            self._keep(before, self._clock() - before.stage_since)

    def _print_outcome(self, outcome: Outcome, stream: TextIO) -> None:
        terminal = Terminal.of(stream)
        if terminal.width is None:
            write_line(stream, outcome_line(outcome))
            return
        kind = "" if outcome.kind is OutcomeKind.IDLE else f"{outcome.kind}: "
        name = terminal.styled(outcome.gateway, Style.BOLD)
        text = f"{kind}{outcome.detail} ({outcome.seconds:.1f} s)"
        lines = terminal.wrap(text, first=f"{mark_of(outcome, stream)}{name}: ", rest="    ")
        if outcome.fix:
            lines += terminal.wrap(outcome.fix, first="  → ")
        is_alone = self._count.total == 1
        if is_alone and outcome.next_at is not None and outcome.kind is not OutcomeKind.IDLE:
            when = ahead(outcome.next_at, datetime.now(UTC))
            lines += terminal.wrap(f"next: {when}: {outcome.next_action}", first="    ")
        for line in lines:
            write_line(stream, line)

    def _refresh(self) -> None:
        while not self._ended.wait(REFRESH_SECONDS):
            with self._lock:
                self._turn += 1
                self.draw()

    def _erase(self) -> None:
        text = self._erasure(Terminal.of(self._stream))
        self._drawn = []
        write_text(self._stream, text)

    def _erasure(self, terminal: Terminal) -> str:
        """Return what erases the live lines, which a narrower terminal may have wrapped."""
        width = terminal.width or 1
        rows = sum(max(1, -(-cells(line) // width)) for line in self._drawn)
        return control(f"[{rows}F") + control("[J") if rows else ""


class _Above(io.TextIOBase):
    """A stream whose lines appear above the live lines."""

    def __init__(self, display: LiveProgress, stream: TextIO) -> None:
        self._display = display
        self._target = stream

    def write(self, text: str) -> int:
        """Write complete lines, as the handlers of ``logging`` do."""
        self._display.above(lambda: (self._target.write(text), self._target.flush()))
        return len(text)

    def isatty(self) -> bool:
        """Return what the stream is."""
        return self._target.isatty()


def _print_wrapped(line: str, stream: TextIO) -> None:
    for each in Terminal.of(stream).wrap(line, rest="  "):
        write_line(stream, each)


def _rows(stream: TextIO) -> int:
    """Return the height of the terminal, or LINES, which shells set."""
    lines = os.environ.get("LINES", "")
    if lines.isdecimal() and int(lines):
        return int(lines)
    try:
        return os.get_terminal_size(stream.fileno()).lines or DEFAULT_HEIGHT
    except (OSError, ValueError):
        return DEFAULT_HEIGHT
