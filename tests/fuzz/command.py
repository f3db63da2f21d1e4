"""The real command line, in this process: what it prints, and the code it leaves with."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from gatecert.cli import run

if TYPE_CHECKING:
    from collections.abc import Iterator

DOCUMENTED: Final = frozenset({0, 1, 2, 3})


@dataclass(frozen=True)
class Ended:
    """Result of a command."""

    code: int
    output: str
    errors: str


def gatecert(*arguments: str) -> Ended:
    """Run a command; every way in which none may end is a failure."""
    output = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    errors = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    with _as_called(*arguments), redirect_stdout(output), redirect_stderr(errors):
        try:
            run()
        except SystemExit as end:
            code = end.code
    ended = Ended(code if isinstance(code, int) else -1, _written(output), _written(errors))
    assert ended.code in DOCUMENTED, ended
    assert "Traceback" not in ended.errors, ended.errors
    assert "gatecert: unexpected " not in ended.errors, ended.errors
    assert not any("\x00" <= each < "\t" or "\n" < each < " " for each in ended.output), ended
    assert not any("\x00" <= each < "\n" or "\n" < each < " " for each in ended.errors), ended
    if ended.code:
        assert ended.errors.strip() or ended.output.strip(), "it failed, and said nothing"
    return ended


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


@contextmanager
def _as_called(*arguments: str) -> Iterator[None]:
    """Let it look as if the shell had called; put the logs back afterwards."""
    before = sys.argv
    root = logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    sys.argv = ["gatecert", *arguments]
    try:
        yield
    finally:
        sys.argv = before
        root.handlers[:] = handlers
        root.setLevel(level)
