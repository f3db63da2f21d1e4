"""Convert a page of Markdown to a manual page (man(7)), so that every text is written once.

Sections keep their order. Text in front of the first section becomes the description. A table
becomes a list of tagged paragraphs: the first cell is the tag, the last one the text, and cells
between them stand in parentheses behind the tag. Links keep their text. HTML is left out.
"""

from __future__ import annotations

import re
import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable, Iterator, Sequence

    from markdown_it.token import Token

MARKDOWN = MarkdownIt("commonmark").enable("table")
CHARACTERS = {
    "\\": r"\e", "-": r"\-", "'": r"\(aq", "`": r"\(ga", "^": r"\(ha", "~": r"\(ti", "…": "...",
}  # fmt: skip
PLACEHOLDER = re.compile(r"\b[A-Z][A-Z-]*\b")
REFERENCE = re.compile(r"\b([a-z][\w-]*)(\(\d\))")
WIDTH = 78  # of input lines; mandoc's limit is 80


@dataclass(frozen=True)
class Heading:
    """Name, section, summary and version of a manual page, and its last section."""

    name: str
    section: int
    summary: str
    version: str
    see_also: str


def manual_page(markdown: str, heading: Heading, date: dt.date) -> str:
    """Return the manual page of a page of Markdown."""
    name = heading.name
    tokens = MARKDOWN.parse(markdown)
    lines = [
        '.\\" Made by `make docs` from a page of docs/; change that.',
        f'.TH {name.upper()} {heading.section} {date} "gatecert {heading.version}"',
        ".nh",  # no hyphenation, and no wider spaces: many words are to be copied
        ".ad l",
        ".SH NAME",
        f"{_literal(name)} \\- {heading.summary}",
        *_blocks(tokens),
        ".SH SEE ALSO",
        *_filled(_reference(_prose(heading.see_also))),
    ]
    return "\n".join(_tidy(lines)) + "\n"


def _blocks(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield the lines of the page's body."""
    position, described = 0, False
    while position < len(tokens):
        token = tokens[position]
        end = _end(tokens, position)
        inside = tokens[position + 1 : end]
        match token.type:
            case "heading_open" if token.tag != "h1":
                described = True
                yield _section(token.tag, inside[0])
            case "heading_open" | "html_block":
                pass
            case _:
                if not described:
                    yield ".SH DESCRIPTION"
                    described = True
                yield from _block(token, inside, ".PP")
        position = end + 1


def _end(tokens: Sequence[Token], start: int) -> int:
    """Return the position of the token that closes a block."""
    depth = 0
    for position in range(start, len(tokens)):
        depth += tokens[position].nesting
        if depth == 0:
            return position
    raise ValueError(f"{tokens[start].type} is not closed")


def _section(tag: str, title: Token) -> str:
    """Return a section's title: in capitals, unless it is the name of a key or a command."""
    code = any(child.type == "code_inline" for child in title.children or ())
    text = "".join(child.content for child in title.children or ())
    if tag == "h2":
        return f'.SH "{_literal(text if code else text.upper())}"'
    return f'.SS "{_literal(text)}"'


def _block(token: Token, inside: Sequence[Token], lead: str) -> Iterator[str]:
    """Yield the lines of a block that the macro ``lead`` begins."""
    match token.type:
        case "paragraph_open":
            yield lead
            yield from _filled(_inline(inside[0]))
        case "code_block" | "fence":
            yield from [lead, ".RS 4", ".nf"]
            yield from map(_protected, map(_literal, token.content.rstrip("\n").split("\n")))
            yield from [".fi", ".RE"]
        case "bullet_list_open" | "ordered_list_open":
            yield from _list(inside)
        case "table_open":
            yield from _table(inside)
        case _:
            raise ValueError(f"no rule for {token.type}")


def _list(items: Sequence[Token]) -> Iterator[str]:
    """Yield a list: a bullet or number in front of the first paragraph of each item."""
    position = 0
    while position < len(items):
        item, end = items[position], _end(items, position)
        lead = f".IP {item.info}. 4" if item.info else r".IP \(bu 2"
        first = position + 1
        while first < end:
            last = _end(items, first)
            yield from _block(items[first], items[first + 1 : last], lead)
            lead, first = '.IP ""', last + 1
        position = end + 1


def _table(tokens: Sequence[Token]) -> Iterator[str]:
    """Yield a table as a list of tagged paragraphs."""
    rows: list[list[Token]] = []
    for token in tokens:
        if token.type == "tr_open":
            rows.append([])
        elif token.type == "inline":
            rows[-1].append(token)
    titles, *entries = rows
    for tag, *between, text in entries:
        notes = [
            f"default {shown}" if title.content == "Default" and shown != "required" else shown
            for title, cell in zip(titles[1:], between, strict=False)
            if (shown := _inline(cell))
        ]
        yield ".TP"
        yield _protected(_inline(tag) + (f" ({', '.join(notes)})" if notes else ""))
        yield from _filled(_inline(text))


def _inline(token: Token) -> str:
    """Return the text of a paragraph or cell, with fonts."""
    shown: dict[str, Callable[[str], str]] = {"code_inline": _code, "text": _prose}
    fonts = {"strong_open": r"\fB", "em_open": r"\fI", "strong_close": r"\fR", "em_close": r"\fR"}
    text, target = "", ""
    for child in token.children or ():
        if child.type in shown:
            text += shown[child.type](child.content)
        elif child.type in {"softbreak", "hardbreak"}:
            text += " "
        elif child.type == "link_open":
            target = str(child.attrs["href"])
        elif child.type == "link_close" and target.startswith("http"):
            text += f" ({_literal(target)})"
        else:
            text += fonts.get(child.type, "")
    return _reference(text)


def _code(text: str) -> str:
    """Return code in bold, and the placeholders of a command or an option in italics."""
    bold = _literal(text)
    if text.startswith(("-", "gatecert ")):
        bold = PLACEHOLDER.sub(r"\\fI\g<0>\\fB", bold)
    return rf"\fB{bold}\fR"


def _prose(text: str) -> str:
    """Return prose, with minus signs in front of options and hyphens elsewhere."""
    return _literal(text).replace(r"\-", "-").replace("--", r"\-\-")


def _reference(text: str) -> str:
    """Show references to manual pages with the name in bold."""
    return REFERENCE.sub(r"\\fB\1\\fR\2", text)


def _literal(text: str) -> str:
    """Return text that troff shows as it is."""
    shown = "".join(CHARACTERS.get(character, character) for character in text)
    return re.sub(r"[^\x00-\x7f]", lambda match: f"\\[u{ord(match[0]):04X}]", shown)


def _filled(text: str) -> Iterator[str]:
    """Yield the lines of a paragraph; a sentence starts on a line of its own."""
    for sentence in re.split(r"(?<=[.:;]) +(?=[A-Z\\])", text):
        wrapped = textwrap.wrap(sentence, WIDTH, break_long_words=False, break_on_hyphens=False)
        yield from map(_protected, wrapped)


def _protected(line: str) -> str:
    """Return a line that troff does not take for a request."""
    return rf"\&{line}" if line.startswith((".", "'")) else line


def _tidy(lines: Sequence[str]) -> Iterator[str]:
    """Yield the lines without paragraph macros behind the title of a section."""
    for before, line in zip(("", *lines), lines, strict=False):
        if not (line == ".PP" and before.startswith((".SH", ".SS"))):
            yield line
