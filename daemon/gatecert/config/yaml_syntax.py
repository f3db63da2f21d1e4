"""Explanations of YAML syntax errors: the line to change, and how.

A parser reports where it cannot continue, which is often a line below the mistake, in the terms of
its grammar. The rules below look at that line and at the last one above it. No explanation repeats
a value, which may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, TypeAlias

from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    import yaml

Explanation: TypeAlias = "tuple[int, str]"  # the index of a line, and the text

BRACKETS: Final = {"sequence": ("[", "]"), "mapping": ("{", "}")}
_CAUSES: Final = (
    ("could not find expected ':'", "this line or the one above lacks a colon or a quote"),
    ("expected node content", "put text that starts with a comma, a colon or a bracket in quotes"),
    ("values are not allowed", "put text that contains a colon in quotes, check the indentation"),
)
_OTHER_CAUSE: Final = "check colons, quotes and the indentation of this line and the one above"
SAME_COLUMN: Final = "all keys of a group start in the same column"
_LONGEST_KEY: Final = 40

_TAB: Final = re.compile(r" *\t")
_OTHER_SPACE: Final = re.compile(r"[ \t]*([\u00a0\u1680\u2000-\u200b\u202f\u205f\u3000\ufeff])")
_NO_SPACE: Final = re.compile(r"\s*([A-Za-z][\w.-]*):(?=\S)(?!//|\d+\s*$)")
_NO_SPACE_IN_LIST: Final = re.compile(r"\s*-[^\s-]")
_WITH_VALUE: Final = re.compile(r"\s*(?:- +)*[^\s:#]+:\s+[^\s#]")
_LIST_ITEM: Final = re.compile(r"\s*-(?:\s|$)")
_COLON: Final = re.compile(r":(?:\s|$)")
_EQUALS: Final = re.compile(r"\s*([A-Za-z][\w.-]*)\s*=")
_VALUE: Final = re.compile(r"\s*(?:- +)*(?:[^\s:#]+:\s+)?(.*)")
_QUOTED: Final = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*')(.*)""")


@dataclass(frozen=True, slots=True)
class _Place:
    """The place where the parser stopped; lines and columns count from 0.

    Attributes:
        lines: The file.
        line: The line where the parser stopped.
        begin: The line of what it was parsing.
    """

    lines: Sequence[str]
    line: int
    column: int
    begin: int
    problem: str
    context: str

    def text(self, line: int) -> str:
        return self.lines[line] if 0 <= line < len(self.lines) else ""

    @property
    def here(self) -> str:
        return self.text(self.line)

    @property
    def character(self) -> str:
        return self.here[self.column : self.column + 1]

    @property
    def above(self) -> int:
        """The last line above with anything but a comment; -1 if there is none."""
        line = self.line - 1
        while line >= 0 and self.lines[line].lstrip()[:1] in {"", "#"}:
            line -= 1
        return line


def explain(error: yaml.MarkedYAMLError, written: str) -> tuple[int | None, str]:
    """Return the line of a mistake, counted from 1, and what to change there.

    Args:
        error: The error of the parser.
        written: The text of the file.
    """
    mark = error.problem_mark or error.context_mark
    problem = error.problem or "not YAML"
    if mark is None:
        return None, clean(problem)
    begin = (error.context_mark or mark).line
    lines = written.splitlines()
    place = _Place(lines, mark.line, mark.column, begin, problem, error.context or "")
    for rule in _RULES:
        found = rule(place)
        if found is not None:
            return found[0] + 1, found[1]
    return mark.line + 1, _in_general(problem)


def _in_general(problem: str) -> str:
    """Add to a problem of the parser what most often causes it."""
    causes = (cause for words, cause in _CAUSES if words in problem)
    return f"{clean(problem)}; {next(causes, _OTHER_CAUSE)}"


def missing_space(written: str) -> str:
    """Return how to separate a key and its value, if the space between them is missing."""
    found = _NO_SPACE.match(written)
    if found is not None:
        key = clean(found[1], _LONGEST_KEY)
        return f"a space is missing after the colon; write {key}: and then the value"
    if _NO_SPACE_IN_LIST.match(written):
        return "a space is missing after the hyphen of a list; write - and then the value"
    return ""


# --------------------------------------------------------------------- the rules, in order


def _indented_by_tab(place: _Place) -> Explanation | None:
    for line in (place.line, place.above):
        if _TAB.match(place.text(line)):
            return line, "a tab indents this line; indent with spaces, never tabs"
    return None


def _indented_by_other_space(place: _Place) -> Explanation | None:
    for line in (place.line, place.above):
        if found := _OTHER_SPACE.match(place.text(line)):
            what = f"the special space U+{ord(found[1]):04X} indents this line"
            return line, f"{what}; indent with the space bar"
    return None


def _special_start(place: _Place) -> Explanation | None:
    starts = {"while scanning an alias": "*", "while scanning an anchor": "&"}
    character = starts.get(place.context, place.character)
    if place.context in starts or (character and "cannot start any token" in place.problem):
        example = ', as in "*.example.com"' if character == "*" else ""
        return place.line, f"text that starts with {character} must be in quotes{example}"
    if place.context == "while scanning a block scalar":
        return place.line, "text that starts with | or > must be in quotes"
    if "directive" in place.context:
        return place.line, "a line must not start with %; indent it, and write text in quotes"
    return None


def _escape(place: _Place) -> Explanation | None:
    if "escape" not in place.problem and "hexdecimal" not in place.problem:
        return None
    return place.line, "a backslash has a meaning in double quotes; use single quotes instead"


def _open_quote(place: _Place) -> Explanation | None:
    if place.context != "while scanning a quoted scalar":
        return None
    return place.begin, "the quote that opens here is not closed; add the second one"


def _no_space(place: _Place) -> Explanation | None:
    """Find a key or a list item that is not separated from its value."""
    lines = [place.begin] if place.context == "while scanning a simple key" else []
    for line in (*lines, place.above):
        if what := missing_space(place.text(line)):
            return line, what
    return None


def _no_colon(place: _Place) -> Explanation | None:
    """Find a key without a colon."""
    if place.context == "while scanning a simple key":
        line = place.begin
    elif "mapping values are not allowed" in place.problem:
        line = place.above
    else:
        return None
    text = place.text(line)
    if not text.strip() or _COLON.search(text) or _LIST_ITEM.match(text):
        return None
    if found := _EQUALS.match(text):
        key = clean(found[1], _LONGEST_KEY)
        return line, f"the key is not followed by a colon; write {key}: and not {key} ="
    return line, "the key is not followed by a colon"


def _unclosed_bracket(place: _Place) -> Explanation | None:
    kind = place.context.removeprefix("while parsing a flow ")
    if kind not in BRACKETS:
        return None
    opening, closing = BRACKETS[kind]
    if place.character in {"]", "}"}:
        what = f"{place.character} does not close the {opening} of line {place.begin + 1}"
        return place.line, f"{what}; write {closing}"
    if place.line > place.begin:
        return place.begin, f"the {opening} that opens here is not closed; add {closing}"
    return place.line, f"a comma or {closing} is missing after the {opening} of this line"


def _two_values(place: _Place) -> Explanation | None:
    """Find a colon in a value, and a line that is indented below a value."""
    if "mapping values are not allowed" not in place.problem:
        return None
    first = _COLON.search(place.here)
    if first is not None and place.column > first.start():
        return place.line, "the value contains a colon and a space; put the value in quotes"
    return _below_a_value(place)


def _below_a_value(place: _Place) -> Explanation | None:
    above = place.text(place.above)
    if not _WITH_VALUE.match(above) or _width(place.here) <= _width(above):
        return None
    what = f"this line is indented below line {place.above + 1}, which has a value already"
    return place.line, f"{what}; {SAME_COLUMN}"


def _width(line: str) -> int:
    """Return the number of spaces at the beginning of a line."""
    return len(line) - len(line.lstrip(" "))


def _closing_bracket(place: _Place) -> Explanation | None:
    if place.character not in {"]", "}"}:
        return None
    return place.line, f"{place.character} closes nothing; leave it out, or put the value in quotes"


def _text_after_quote(place: _Place) -> Explanation | None:
    """Find a quote that is not closed in its line, and text after one that is."""
    for line in range(place.line, max(place.begin, 0) - 1, -1):
        value = _VALUE.match(place.text(line))
        if value is None or value[1][:1] not in {'"', "'"}:
            continue
        quoted = _QUOTED.match(value[1])
        if quoted is None:
            return line, "the quote that opens here is not closed in this line; add the second one"
        if quoted[2].strip() and not quoted[2].lstrip().startswith(("#", ":", ",", "]", "}")):
            return line, "text follows the closing quote; put the whole value in quotes"
    return None


def _indentation(place: _Place) -> Explanation | None:
    if place.context not in {"while parsing a block mapping", "while parsing a block collection"}:
        return None
    if found := _below_a_value(place):
        return found
    what = "the indentation of this line fits no line above"
    return place.line, f"{what}; {SAME_COLUMN}, and so do all hyphens of a list"


_RULES: Final[tuple[Callable[[_Place], Explanation | None], ...]] = (
    _indented_by_tab,
    _indented_by_other_space,
    _special_start,
    _escape,
    _open_quote,
    _no_space,
    _no_colon,
    _unclosed_bracket,
    _two_values,
    _text_after_quote,
    _closing_bracket,
    _indentation,
)
