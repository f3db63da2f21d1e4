"""YAML 1.1 parsed into text, lists and mappings, each with its line.

Every scalar stays text, and only the schema interprets it: ``region: no`` is not a boolean, and
``22:22`` is not a base-60 number. Anchors, aliases and merge keys (``<<``) work. A file must not
contain several documents, tags or repeated keys, nor expand without limit through aliases.

The tree is built from events and not by PyYAML's composer, which recurses without limits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

from gatecert.config.written import Written
from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain] | None"

MOST_NODES: Final = 1_000_000
DEEPEST: Final = 32
EMPTY: Final = frozenset({"", "~", "null", "Null", "NULL"})  # YAML 1.1, type null
MERGE: Final = "<<"
_LONGEST_NAME: Final = 80
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class LimitError(ValueError):
    """The file is nested too deeply or has too many values.

    Attributes:
        line: The line, counted from 1.
    """

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


@dataclass(slots=True)
class Node:
    """A value of the file with its line.

    Attributes:
        value: Text or None, nodes by position, or nodes by key.
        line: Counted from 1, over all files of the configuration.
        key_lines: The lines of the keys of a mapping.
        size: Number of nodes in it, itself included, with aliases expanded.
        height: Number of levels below it, with aliases expanded.
        is_null: Whether ``null`` or ``~`` is written, and not just no value.
    """

    value: str | list[Node] | dict[str, Node] | None
    line: int
    key_lines: dict[str, int] = field(default_factory=dict)
    size: int = 1
    height: int = 0
    is_null: bool = False

    def plain(self) -> Plain:
        """Return the value without its lines."""
        match self.value:
            case list(items):
                return [item.plain() for item in items]
            case dict(entries):
                return {key: entry.plain() for key, entry in entries.items()}
            case scalar:
                return scalar


def build(
    written: str, directory: Path, lines_before: int = 0
) -> tuple[Node | None, list[tuple[int, str]]]:
    """Parse YAML.

    Args:
        written: The text of a file.
        directory: Where relative paths in it start.
        lines_before: Added to the lines of the nodes, so that they tell the file as well.

    Returns:
        The root, None where the file is empty; and the errors, each with its line in this file.

    Raises:
        yaml.YAMLError: It is not valid YAML.
        LimitError: It is nested too deeply or has too many values.
    """
    builder = _Builder(yaml.parse(written, Loader=_Loader), directory, lines_before)
    return builder.document(), builder.problems


def _collection(
    value: list[Node] | dict[str, Node],
    line: int,
    key_lines: dict[str, int],
    children: Collection[Node],
) -> Node:
    """Return a list or mapping node with its size and height."""
    size = 1 + sum(child.size for child in children)
    height = 1 + max((child.height for child in children), default=0)
    return Node(value, line, key_lines, size, height)


class _Builder:
    """Builds the tree from PyYAML's events and records what a configuration must not contain."""

    def __init__(self, events: Iterator[yaml.Event], directory: Path, lines_before: int) -> None:
        self.problems: list[tuple[int, str]] = []
        self._events = events
        self._directory = directory
        self._lines_before = lines_before
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        """Return the root of the only document."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._complain(event, "a second document starts here; write only one")
                    break
                root = self._node(next(self._events), 0)
        return root

    def _line(self, event: yaml.Event) -> int:
        """Return the line of an event over all files."""
        return _line(event) + self._lines_before

    def _complain(self, event: yaml.Event, what: str) -> None:
        self.problems.append((_line(event), what))

    def _node(self, event: yaml.Event, depth: int) -> Node:
        """Return the node that an event starts."""
        node = self._new_node(event, depth)
        if depth + node.height > DEEPEST:
            raise _refusal(event, f"nested deeper than {DEEPEST} levels")
        if node.size > MOST_NODES:
            raise _refusal(event, f"more than {MOST_NODES} values, with aliases expanded")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag not in {None, "!"}:
                tag = clean(str(event.tag), _LONGEST_NAME)
                self._complain(
                    event,
                    f"the tag {tag} is not allowed; write the plain value, or put text that starts "
                    "with ! in quotes",
                )
            if event.anchor is not None:
                self._anchors[event.anchor] = node
        return node

    def _new_node(self, event: yaml.Event, depth: int) -> Node:
        if depth > DEEPEST:  # before descending, not only on return
            raise _refusal(event, f"nested deeper than {DEEPEST} levels")
        match event:
            case yaml.ScalarEvent(value=value, style=style):
                if not style and value in EMPTY:
                    return Node(None, self._line(event), is_null=bool(value))
                return Node(Written(value, self._directory), self._line(event))
            case yaml.SequenceStartEvent():
                return self._sequence(self._line(event), depth)
            case yaml.MappingStartEvent():
                return self._mapping(self._line(event), depth)
        return self._alias(event)

    def _alias(self, event: yaml.Event) -> Node:
        """Return the node that an alias refers to, at the alias's own line."""
        name = str(getattr(event, "anchor", ""))
        target = self._anchors.get(name)
        if target is None:
            named = clean(name, _LONGEST_NAME)
            self._complain(
                event,
                f"the alias *{named} has no anchor before it in this file; put text that "
                "starts with * in quotes",
            )
            return Node(None, self._line(event))
        return replace(target, line=self._line(event))

    def _sequence(self, line: int, depth: int) -> Node:
        items = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            items.append(self._node(event, depth + 1))
        return _collection(items, line, {}, items)

    def _mapping(self, line: int, depth: int) -> Node:
        entries: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        merged: list[dict[str, Node]] = []
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            value = self._node(next(self._events), depth + 1)
            if not isinstance(key.value, str):
                hint = "; put text that starts with { in quotes" if key.value is not None else ""
                self._complain(event, f"a key must be plain text{hint}")
            elif key.value == MERGE:
                merged.extend(self._sources(event, value))
            elif key.value in entries:
                name = clean(key.value, _LONGEST_NAME)
                first = key_lines[key.value] - self._lines_before
                self._complain(
                    event, f"the key {name} is already written in line {first}; leave one out"
                )
            else:
                name = str(key.value)
                entries[name], key_lines[name] = value, key.line
        for source in merged:
            for name, node in source.items():
                if name not in entries:
                    entries[name], key_lines[name] = node, node.line
        return _collection(entries, line, key_lines, entries.values())

    def _sources(self, event: yaml.Event, value: Node) -> list[dict[str, Node]]:
        """Return the mappings of a merge key, the first with the highest precedence."""
        nodes = value.value if isinstance(value.value, list) else [value]
        mappings = [node.value for node in nodes if isinstance(node.value, dict)]
        if len(mappings) < len(nodes):
            self._complain(event, "<< takes a mapping, or a list of mappings")
        return mappings


def _line(event: yaml.Event) -> int:
    """Return the line of an event in its file, counted from 1."""
    return event.start_mark.line + 1 if event.start_mark else 1


def _refusal(event: yaml.Event, what: str) -> LimitError:
    return LimitError(_line(event), what)
