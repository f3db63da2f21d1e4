from __future__ import annotations

import fcntl
import io
import os
import pty
import struct
import termios
from typing import TYPE_CHECKING

import pytest

from gatecert.report.terminal import CleanStream, Style, Terminal, cells, control, one_line, pad

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TextIO

NARROW = Terminal(width=24)
PLAIN_ASCII = Terminal(width=24, has_unicode=False)
COLOURED = Terminal(width=24, colours=True)


def pipe(encoding: str = "utf-8") -> TextIO:
    return io.TextIOWrapper(io.BytesIO(), encoding=encoding)


@pytest.fixture
def screen() -> Iterator[TextIO]:
    """A pseudo-terminal of 97 columns."""
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 97, 0, 0))
    with os.fdopen(follower, "w", encoding="utf-8") as stream:
        yield stream
    os.close(leader)


def test_a_terminal_has_its_own_width(screen: TextIO) -> None:
    found = Terminal.of(screen, {"TERM": "xterm"})
    assert found.width == 97
    assert found.is_live
    assert found.has_unicode


def test_lines_are_no_wider_than_people_read_and_never_too_narrow(screen: TextIO) -> None:
    assert Terminal.of(screen, {"COLUMNS": "300"}).width == 120
    assert Terminal.of(screen, {"COLUMNS": "3"}).width == 20


def test_a_dumb_terminal_is_not_written_over(screen: TextIO) -> None:
    assert not Terminal.of(screen, {"TERM": "dumb"}).is_live
    assert not Terminal.of(screen, {}).is_live


def test_a_pipe_gets_whole_lines() -> None:
    assert Terminal.of(pipe(), {}) == Terminal(width=None)
    assert Terminal.of(pipe(), {"COLUMNS": "80"}) == Terminal(width=None)


def test_a_terminal_of_unknown_size_has_the_usual_one(screen: TextIO) -> None:
    fcntl.ioctl(screen.fileno(), termios.TIOCSWINSZ, struct.pack("HHHH", 0, 0, 0, 0))
    assert Terminal.of(screen, {"COLUMNS": "many"}).width == 80


@pytest.mark.parametrize(
    ("environment", "encoding", "has_unicode"),
    [
        ({}, "utf-8", True),
        ({"LANG": "de_DE.UTF-8"}, "utf-8", True),
        ({"LC_ALL": "C"}, "utf-8", False),
        ({"LC_ALL": "C.UTF-8", "LANG": "C"}, "utf-8", True),
        ({"LANG": "C", "LC_CTYPE": "C.UTF-8"}, "utf-8", False),
        ({"LANG": "C", "LC_CTYPE": "en_GB.UTF-8"}, "utf-8", True),
        ({"LANG": "POSIX"}, "utf-8", False),
        ({}, "iso8859-15", False),
        ({}, "ascii", False),
        ({"TERM": "linux"}, "utf-8", False),
    ],
)
def test_symbols_need_utf_8(
    environment: dict[str, str],
    encoding: str,
    has_unicode: bool,  # noqa: FBT001
) -> None:
    assert Terminal.of(pipe(encoding), environment).has_unicode is has_unicode


def test_lines_break_between_words_and_align_with_the_text() -> None:
    lines = NARROW.wrap("the CA refused the order of vpn.example.com today", first="  → ")
    assert lines == [
        "  → the CA refused the",
        "    order of",
        "    vpn.example.com",
        "    today",
    ]


def test_the_beginning_of_other_lines_can_be_given() -> None:
    assert NARROW.wrap("one two three four five six", first="error: ", rest="> ") == [
        "error: one two three",
        "> four five six",
    ]


def test_a_word_longer_than_a_line_is_kept_whole() -> None:
    url = "https://ca.example/unpause?jwt=abcdef"
    assert NARROW.wrap(f"see {url} now", first="- ") == ["- see", f"  {url}", "  now"]
    assert NARROW.wrap(url, first="- ") == [f"- {url}"]


def test_a_wide_label_does_not_squeeze_the_text() -> None:
    assert NARROW.wrap("one two three", first="a label too wide ")[1:] == ["  three"]


def test_without_a_width_nothing_is_wrapped() -> None:
    text = "word " * 100
    assert Terminal().wrap(text) == [text.strip()]


def test_an_empty_text_is_one_line() -> None:
    assert NARROW.wrap("", first="label ") == ["label"]


HOSTILE = [
    *(chr(number) for number in (*range(32), *range(0x7F, 0xA0))),
    *"\u061c\u200b\u200c\u200d\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2060",
    *"\u2066\u2067\u2068\u2069\ufeff\U000e0041\ud800\udcff",
]


def written(text: str) -> str:
    """Return what a terminal receives."""
    screen = io.StringIO()
    CleanStream.around(screen).write(text)
    return screen.getvalue()


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
def test_no_value_controls_the_terminal_or_hides_text(character: str) -> None:
    assert one_line(f"a{character}b") == "a b"
    assert written(f"a{character}b") == ("a b" if character not in "\n\t" else f"a{character}b")


def test_what_a_person_reads_is_kept() -> None:
    text = "Zürich, Αθήνα, 東京: ✓ → “x”"
    assert written(one_line(text)) == text


def test_only_the_program_itself_moves_the_cursor() -> None:
    own = control("[2J")
    assert written(one_line(f"{own}\x1b[2J\n")) == "\x1b[2J [2J "
    assert cells(f"{own}a") == 1


@pytest.mark.parametrize("imitated", [control("[1m")[1:], control("]0;x")], ids=["torn", "title"])
def test_a_broken_sequence_is_text(imitated: str) -> None:
    assert "\x1b" not in written(imitated)


def test_a_clean_stream_is_not_cleaned_twice() -> None:
    once = CleanStream.around(io.StringIO())
    assert CleanStream.around(once) is once


def test_styles_take_no_columns_and_need_colours() -> None:
    word = COLOURED.styled("refused", Style.BOLD, Style.RED)
    assert written(word) == "\x1b[1;31mrefused\x1b[0m"
    assert cells(word) == 7
    assert NARROW.styled("refused", Style.RED) == "refused"
    assert COLOURED.styled("refused", None) == "refused"
    assert COLOURED.wrap(f"the order was {word} yes") == [f"the order was {word}", "yes"]


def test_symbols_become_ascii() -> None:
    assert PLAIN_ASCII.plain("✓ a · b → c…") == "+ a - b -> c..."
    assert PLAIN_ASCII.wrap("✗ no", first="→ ") == ["-> x no"]
    assert PLAIN_ASCII.spinner(5) == "/"
    assert NARROW.spinner(10) == NARROW.spinner(0)


def test_an_ellipsis_takes_the_place_of_words() -> None:
    assert NARROW.with_ellipsis("serves its certificate,") == "serves its certificate,…"
    assert NARROW.with_ellipsis("serves its certificate, x") == "serves its certificate,…"
    assert PLAIN_ASCII.with_ellipsis("serves its certificate,") == "serves its..."
    assert Terminal(width=20).with_ellipsis("https://ca.example/unpause") == (
        "https://ca.example/unpause…"
    )


def test_wide_characters_take_two_columns() -> None:
    assert cells("北京") == 4
    assert pad("北京", 6) == "北京  "
    assert not Terminal(width=3).fits("北京")
