"""Detect what an output stream can show (width, colours, symbols), and fit text to it.

Code writes symbols in Unicode; `Terminal.wrap` and `Terminal.plain` replace them by ASCII where the
terminal cannot show them. Everything is written without colours and without moving the cursor to a
file, a pipe, a dumb terminal, or where NO_COLOR (no-color.org) asks for it.
"""

from __future__ import annotations

import codecs
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import TextIO

WIDEST: Final = 120  # columns; longer lines are hard to read
NARROWEST: Final = 20
USUAL: Final = 80  # of a terminal that does not know its size, such as a serial line
ASCII: Final = str.maketrans({"✓": "+", "✗": "x", "·": "-", "→": "->", "…": "...", "—": "-"})
SPINNER: Final = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
ASCII_SPINNER: Final = "|/-\\"

_ONE_COLUMN: Final = dict.fromkeys(ASCII, "?")
_SGR: Final = re.compile("\x1b\\[[0-9;]*m")


class Style(StrEnum):
    """A colour or weight, as the parameter of SGR (ECMA-48 8.3.117)."""

    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"


def has_colours(stream: TextIO) -> bool:
    """Return whether the stream is a terminal with colours that NO_COLOR (no-color.org) allows."""
    return stream.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"


@dataclass(frozen=True, slots=True)
class Terminal:
    """The abilities of a stream.

    Attributes:
        width: Columns; None if lines are not wrapped, because programs such as grep read them.
        colours: Whether to use colours.
        has_unicode: Whether symbols beyond ASCII can be shown.
        is_live: Whether lines can be written over: a terminal that is not dumb.
    """

    width: int | None = None
    colours: bool = False
    has_unicode: bool = True
    is_live: bool = False

    @classmethod
    def of(cls, stream: TextIO, environment: Mapping[str, str] = os.environ) -> Terminal:
        """Return what a stream can show now."""
        return cls(
            width=_width(stream, environment),
            colours=has_colours(stream),
            has_unicode=_has_unicode(stream, environment),
            is_live=stream.isatty() and environment.get("TERM", "dumb") != "dumb",
        )

    def styled(self, text: str, *styles: Style | None) -> str:
        """Return text in these styles, unchanged without colours."""
        wanted = ";".join(style for style in styles if style is not None)
        return f"\x1b[{wanted}m{text}\x1b[0m" if self.colours and wanted and text else text

    def plain(self, text: str) -> str:
        """Return text with ASCII in place of the symbols that the terminal cannot show."""
        return text if self.has_unicode else text.translate(ASCII)

    def spinner(self, turn: int) -> str:
        """Return the picture of a spinner at its nth turn."""
        pictures = SPINNER if self.has_unicode else ASCII_SPINNER
        return pictures[turn % len(pictures)]

    def wrap(self, text: str, *, first: str = "", rest: str | None = None) -> list[str]:
        """Return text as lines that fit, broken only between words.

        A word longer than a line, such as a URL, keeps its own line.

        Args:
            text: May contain styled words.
            first: Begins the first line.
            rest: Begins every other line; by default spaces as wide as ``first``.
        """
        line = self.plain(first)
        rest = " " * cells(line) if rest is None else self.plain(rest)
        if self.width is not None and cells(rest) > self.width // 2:
            rest = "  "
        lines, used, is_empty = [], cells(line), True
        for word in self.plain(text).split():
            length = cells(word)
            if not is_empty and self.width is not None and used + 1 + length > self.width:
                lines.append(line.rstrip())
                line, used, is_empty = rest, cells(rest), True
            line += word if is_empty else f" {word}"
            used += length + (not is_empty)
            is_empty = False
        return [*lines, line.rstrip()]

    def fits(self, text: str) -> bool:
        """Return whether a text fits on one line."""
        return self.width is None or cells(self.plain(text)) <= self.width

    def with_ellipsis(self, line: str) -> str:
        """Return a line with … at its end, in place of as many words as that needs."""
        mark = self.plain("…")
        while not self.fits(line + mark) and " " in line.strip():
            line = line[: line.rindex(" ")].rstrip()
        return line + mark


def cells(text: str) -> int:
    """Return how many columns a text takes: styles none, wide characters (CJK) two."""
    text = _SGR.sub("", text) if "\x1b" in text else text
    if text.isascii() or text.translate(_ONE_COLUMN).isascii():
        return len(text)
    from rich.cells import cell_len  # noqa: PLC0415 - only names in other scripts need it

    return cell_len(text)


def pad(text: str, width: int) -> str:
    """Return text filled with spaces to a number of columns."""
    return text + " " * (width - cells(text))


def _width(stream: TextIO, environment: Mapping[str, str]) -> int | None:
    """Return the columns of a terminal, or COLUMNS; None for a pipe or a file."""
    if not stream.isatty():
        return None
    columns = environment.get("COLUMNS", "")
    width = int(columns) if columns.isdecimal() else 0
    if not width:
        try:
            width = os.get_terminal_size(stream.fileno()).columns
        except (OSError, ValueError):
            width = 0
    return max(NARROWEST, min(width or USUAL, WIDEST))


def _has_unicode(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Return whether the encoding is UTF-8, and neither the locale nor the console is ASCII only.

    Python writes UTF-8 in the C locale, even where the operator chose that locale (PEP 538, 540).
    The font of a Linux console has no check mark.
    """
    try:
        encoding = codecs.lookup(stream.encoding or "ascii").name
    except LookupError:
        return False
    chosen = environment.get("LC_ALL", "")
    if not chosen and environment.get("LC_CTYPE", "C.UTF-8") in {"", "C.UTF-8"}:
        chosen = environment.get("LANG", "")  # PEP 538 sets LC_CTYPE where LANG is C
    return (
        encoding == "utf-8" and chosen not in {"C", "POSIX"} and environment.get("TERM") != "linux"
    )
