"""Detect what an output stream can show (width, colours, symbols), fit text to it, and clean it.

Text may come from a file that another user wrote, a CA, a server or a certificate. `CleanStream`
therefore writes no control character (ECMA-48 5.2, 5.3), no character that reorders or hides others
(Unicode UAX #9, general category Cf) and no surrogate, whichever code printed it. Only the
sequences of `control` reach the terminal: they carry a random number of this process, which no text
from outside contains. `one_line` does the same for a value or a line, in which a line feed is not
the program's own either.

Code writes symbols in Unicode; `Terminal.wrap` and `Terminal.plain` replace them by ASCII where the
terminal cannot show them. Everything is written without colours and without moving the cursor to a
file, a pipe, a dumb terminal, or where NO_COLOR (no-color.org) asks for it.
"""

from __future__ import annotations

import codecs
import io
import os
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final, cast

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
_MARK: Final = f"\x1b{int.from_bytes(os.urandom(8))}"
_SEQUENCE: Final = re.compile(f"{_MARK}(\\[[0-9;?]*[A-Za-z])")


class Style(StrEnum):
    """A colour or weight, as the parameter of SGR (ECMA-48 8.3.117)."""

    BOLD = "1"
    DIM = "2"
    RED = "31"
    GREEN = "32"
    YELLOW = "33"


class _Visible(dict[int, int]):
    """A table for ``str.translate``: a space in place of everything that is not printable."""

    def __missing__(self, character: int) -> int:
        return character if chr(character).isprintable() else ord(" ")


_IN_LINE: Final = _Visible()
_IN_TEXT: Final = _Visible({ord("\n"): ord("\n"), ord("\t"): ord("\t")})


def control(sequence: str) -> str:
    """Return a control sequence (ECMA-48 5.4, from ``[`` on) for a `CleanStream`."""
    return _MARK + sequence


def one_line(text: str) -> str:
    """Return text with a space in place of each character that is not printable."""
    return _cleaned(text, _IN_LINE, _MARK)


def _cleaned(text: str, table: _Visible, begin: str) -> str:
    """Translate text; put ``begin`` in front of the control sequences of this process."""
    text, *rest = _SEQUENCE.split(text)
    found = [text.translate(table)]
    for sequence, after in zip(rest[::2], rest[1::2], strict=True):
        found += (begin, sequence, after.translate(table))
    return "".join(found)


class CleanStream(io.TextIOBase):
    """A stream that writes printable text, line feeds, tabs, and the sequences of `control`.

    Args:
        target: Where to write.
    """

    errors = "backslashreplace"

    def __init__(self, target: TextIO) -> None:
        self._target = target

    @classmethod
    def around(cls, stream: TextIO) -> TextIO:
        """Return a clean stream that writes to this one."""
        clean = stream if isinstance(stream, cls) else cls(stream)
        return cast("TextIO", clean)

    def write(self, text: str) -> int:
        """Write text."""
        self._target.write(_cleaned(text, _IN_TEXT, "\x1b"))
        return len(text)

    def flush(self) -> None:
        """Pass on what was written."""
        self._target.flush()

    def fileno(self) -> int:
        """Return the descriptor."""
        return self._target.fileno()

    def isatty(self) -> bool:
        """Return whether it is a terminal."""
        return self._target.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override] # typeshed has an attribute
        """The encoding."""
        return self._target.encoding


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
        if not (self.colours and wanted and text):
            return text
        return f"{control(f'[{wanted}m')}{text}{control('[0m')}"

    def plain(self, text: str) -> str:
        """Return text on one line, with ASCII in place of symbols that the terminal cannot show."""
        text = one_line(text)
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
    text = _SEQUENCE.sub("", text) if "\x1b" in text else text
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
