"""Log lines on a terminal, in the journal and in a file."""

from __future__ import annotations

import io
import logging
import os
import re
from typing import TYPE_CHECKING

import pytest

from gatecert.report import logs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def _logging_as_before() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:], root.level = handlers, level


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_file_lines_have_time_and_level() -> None:
    stream = io.StringIO()
    logs.configure(logging.INFO, stream)
    logging.getLogger("gatecert").warning("name gateway=%s", "boston")
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ WARNING name gateway=boston\n", stream.getvalue()
    )


def test_a_message_never_forges_a_second_entry() -> None:
    stream = io.StringIO()
    logs.configure(logging.INFO, stream)
    logging.getLogger("gatecert").warning("%s", "first\n2026-01-01T00:00:00Z INFO forged")
    assert len(stream.getvalue().splitlines()) == 1


def test_a_traceback_never_forges_a_second_entry() -> None:
    stream = io.StringIO()
    logs.configure(logging.INFO, stream)
    error = ValueError("bad\n2026-01-01T00:00:00Z INFO forged\x0b2026-01-01T00:00:00Z INFO forged")
    logging.getLogger("gatecert").error("unexpected", exc_info=error)
    _, *rest = stream.getvalue().split("\n")[:-1]
    assert all(line.startswith("  ") for line in rest)


def test_terminal_shows_errors_in_colour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Terminal()
    logs.configure(logging.INFO, stream)
    logging.getLogger("gatecert").error("bad")
    logging.getLogger("gatecert").info("good")
    bad, good = stream.getvalue().splitlines()
    assert bad.startswith("\x1b[31m")
    assert "\x1b" not in good


@pytest.mark.parametrize(("name", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_color_disables_colours(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, value)
    stream = Terminal()
    logs.configure(logging.INFO, stream)
    logging.getLogger("gatecert").error("bad")
    assert "\x1b" not in stream.getvalue()


def test_journal_lines_have_priorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "journal"
    with path.open("w") as stream:
        status = os.fstat(stream.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{status.st_dev}:{status.st_ino}")
        logs.configure(logging.INFO, stream)
        logging.getLogger("gatecert").info("ready")
        try:
            int("a bug")
        except ValueError:
            logging.getLogger("gatecert").exception("unexpected")
    first, *rest = path.read_text().splitlines()
    assert first == "<6>ready"
    assert rest[0] == "<3>unexpected"
    assert all(line.startswith("<3>") for line in rest)
    assert rest[-1].startswith("<3>  ValueError: invalid literal")


def test_verbose_libraries_log_warnings_only() -> None:
    stream = io.StringIO()
    logs.configure(logging.DEBUG, stream)
    for name in logs.VERBOSE_LIBRARIES:
        logging.getLogger(f"{name}.client").debug("payload")
    assert stream.getvalue() == ""
