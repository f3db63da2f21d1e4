"""Insertion of entries into the text of a configuration file; everything else stays as it is.

PyYAML's events carry positions, so that new lines are put in between the existing ones: comments,
order, quotes and spacing of the file are kept to the byte. The caller parses the result and
compares it with what was wanted: YAML that this module does not know (an alias instead of a
section, tabs …) is noticed there, and never written.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import yaml

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

INDENT: Final = 2
DEEPEST_NAMED: Final = 2  # the file, and its sections
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_COMMENT = re.compile(r"[ ]*#")


@dataclass(slots=True)
class _Value:
    """The position of a value.

    Attributes:
        start: Its first character.
        end: The end of its text, without comments after it.
        is_mapping: Whether it is a mapping, and not an alias to one.
        is_flow: Whether it is written in braces.
        column: The column of its keys.
        entries: Its values by key; those of the file and of its sections only.
    """

    start: int
    end: int
    is_mapping: bool = False
    is_flow: bool = False
    column: int = 0
    entries: dict[str, _Value] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Tell whether nothing is written."""
        return self.start == self.end


def insert(written: str, sections: Mapping[str, Mapping[str, object]]) -> str:
    """Add entries to sections at the top level; a missing section is added at the end.

    Args:
        written: The text of the file, in valid YAML.
        sections: The new entries of each section, by name.
    """
    for section, entries in sections.items():
        if entries:
            written = _with_entries(written, section, entries)
    return written


def as_text(entries: Mapping[str, object], column: int = 0) -> str:
    """Return entries as YAML, one line after the other, indented."""
    text = yaml.safe_dump(
        dict(entries), default_flow_style=None, sort_keys=False, allow_unicode=True, width=1 << 16
    )
    return "".join(f"{' ' * column}{line}\n" for line in text.splitlines())


def as_line(entries: Mapping[str, object]) -> str:
    """Return entries as a flow mapping on one line."""
    return yaml.safe_dump(
        dict(entries), default_flow_style=True, sort_keys=False, allow_unicode=True, width=1 << 16
    ).rstrip("\n")


def _with_entries(written: str, section: str, entries: Mapping[str, object]) -> str:
    """Add entries to one section."""
    root = _positions(written)
    if root is None:
        return _appended(written, len(written), as_text({section: entries}))
    if root.is_flow:
        return _in_braces(written, root, section, entries)
    known = root.entries.get(section)
    if known is None:
        end = _after_comments(written, root.end, root.column, at_least=root.column)
        return _appended(written, end, as_text({section: entries}, root.column))
    if known.is_flow:
        return _behind_last(written, known, entries)
    if known.is_mapping:
        column = known.column
    else:  # an empty section, or null: the keys come below it
        column = root.column + INDENT
        written = written[: known.start] + written[known.end :]
        known.end = known.start
    end = _after_comments(written, known.end, root.column, at_least=column)
    blank = "\n" if _has_blank_lines(written[known.start : known.end]) else ""
    return _spliced(written, end, blank + as_text(entries, column))


def _in_braces(written: str, root: _Value, section: str, entries: Mapping[str, object]) -> str:
    """Add entries to a section of a file that is one flow mapping."""
    known = root.entries.get(section)
    if known is None:
        return _behind_last(written, root, {section: entries})
    if known.is_flow:
        return _behind_last(written, known, entries)
    return f"{written[: known.start]} {as_line(entries)}{written[known.end :]}"


def _behind_last(written: str, mapping: _Value, entries: Mapping[str, object]) -> str:
    """Add entries behind the last one of a flow mapping."""
    inner = as_line(entries)[1:-1]
    if mapping.entries:
        end = max(each.end for each in mapping.entries.values())
        return f"{written[:end]}, {inner}{written[end:]}"
    opened = written.index("{", mapping.start) + 1
    return f"{written[:opened]}{inner}{written[opened:]}"


def _appended(written: str, end: int, text: str) -> str:
    """Add a section of its own, with a blank line before it."""
    before = written[:end]
    is_first = not before.strip() or before.rstrip().endswith("---")
    return _spliced(written, end, text if is_first or before.endswith("\n\n") else "\n" + text)


def _spliced(written: str, end: int, text: str) -> str:
    """Insert whole lines, with the line ends of the file."""
    newline = "\r\n" if "\r\n" in written else "\n"
    before = written[:end]
    if before and not before.endswith("\n"):
        before += newline
    return before + text.replace("\n", newline) + written[end:]


def _has_blank_lines(text: str) -> bool:
    return any(not line.strip() for line in text.splitlines())


def _after_comments(written: str, end: int, column: int, *, at_least: int) -> int:
    """Return the start of the first line behind a value and the comments that belong to it.

    Args:
        written: The text.
        end: The end of the value.
        column: The column of the section's key.
        at_least: A comment below the value belongs to it from this column on.
    """
    ends_line = end > 0 and written[end - 1] == "\n"  # a block scalar ends with its last line
    position = found = end if ends_line else _next_line(written, end)
    while position < len(written):
        line = written[position : _next_line(written, position)]
        if _COMMENT.match(line):
            indentation = len(line) - len(line.lstrip(" "))
            if indentation < at_least and indentation <= column < at_least:
                break
            found = position + len(line)
        elif line.strip():
            break
        position += len(line)
    return found


def _next_line(written: str, position: int) -> int:
    """Return the start of the next line, or the end of the text."""
    return written.find("\n", position) + 1 or len(written)


def _positions(written: str) -> _Value | None:
    """Return the positions of the sections and of their entries; None if nothing is written."""
    events = yaml.parse(written, Loader=_Loader)
    for event in events:
        if isinstance(event, yaml.DocumentStartEvent):
            root = _value(next(events), events, 0)
            return None if root.is_empty else root
    return None


def _value(event: yaml.Event, events: Iterator[yaml.Event], depth: int) -> _Value:
    """Return the position of the value that an event starts."""
    value = _Value(*_span(event))
    if not isinstance(event, yaml.CollectionStartEvent):
        return value
    value.is_flow = bool(event.flow_style)
    value.is_mapping = isinstance(event, yaml.MappingStartEvent)
    if value.is_mapping and depth < DEEPEST_NAMED:
        ending = _read_entries(value, events, depth)
    else:
        ending = _skip(value, events)
    if value.is_flow:
        value.end = _span(ending)[1]
    return value


def _read_entries(value: _Value, events: Iterator[yaml.Event], depth: int) -> yaml.Event:
    """Read the entries of a mapping, up to its end."""
    first = True
    while not isinstance(event := next(events), yaml.MappingEndEvent):
        if first and event.start_mark is not None:
            value.column, first = event.start_mark.column, False
        key = _value(event, events, DEEPEST_NAMED)
        below = _value(next(events), events, depth + 1)
        value.entries[str(getattr(event, "value", len(value.entries)))] = below
        value.end = max(value.end, key.end, below.end)
    return event


def _skip(value: _Value, events: Iterator[yaml.Event]) -> yaml.Event:
    """Read what is below a value, up to its end."""
    open_collections = 1
    for event in events:
        if isinstance(event, yaml.CollectionStartEvent):
            open_collections += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            open_collections -= 1
            if not open_collections:
                return event
        # The end of a block collection is an empty place behind the comments that follow.
        start, end = _span(event)
        if start < end or isinstance(event, yaml.ScalarEvent):
            value.end = max(value.end, end)
    raise ValueError("the YAML ends early")  # PyYAML has raised an error of its own before


def _span(event: yaml.Event) -> tuple[int, int]:
    """Return the first character of an event and the one behind it."""
    if event.start_mark is None or event.end_mark is None:  # PyYAML sets both
        raise ValueError("an event of the YAML has no position")
    return event.start_mark.index, event.end_mark.index
