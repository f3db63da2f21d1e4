"""YAML 1.1 read into text, lists and mappings, each with its line.

Every scalar stays text, and the schema alone says what it means: ``region: no`` is not a switch,
and ``22:22`` is no number to base 60. Anchors, aliases and merge keys (``<<``) work. What a file
must not do: hold several documents, carry tags, repeat a key, or grow by aliases beyond measure.

The tree is built from events rather than by PyYAML's composer, which recurses and counts nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeAlias

import yaml

from gatecert.errors import clean

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

Plain: TypeAlias = "str | list[Plain] | dict[str, Plain] | None"

MOST_NODES: Final = 50_000
DEEPEST: Final = 32
EMPTY: Final = frozenset({"", "~", "null", "Null", "NULL"})  # YAML 1.1, type null
MERGE: Final = "<<"
_LONGEST_NAME: Final = 80
_Loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class LimitError(ValueError):
    """The file is nested or grown beyond what is sensible.

    Attributes:
        line: Where, counted from 1.
    """

    def __init__(self, line: int, what: str) -> None:
        super().__init__(what)
        self.line = line


@dataclass(slots=True)
class Node:
    """A value of the file and where it stands.

    Attributes:
        value: Text or None, nodes by position, or nodes by key.
        line: Counted from 1.
        key_lines: Where the keys of a mapping stand.
        size: Nodes in it, itself included, each alias counted as what it stands for.
        height: Levels below it, counted in the same way.
    """

    value: str | list[Node] | dict[str, Node] | None
    line: int
    key_lines: dict[str, int] = field(default_factory=dict)
    size: int = 1
    height: int = 0

    def plain(self) -> Plain:
        """The value without its lines."""
        match self.value:
            case list(items):
                return [item.plain() for item in items]
            case dict(entries):
                return {key: entry.plain() for key, entry in entries.items()}
            case scalar:
                return scalar


def build(written: str) -> tuple[Node | None, list[tuple[int, str]]]:
    """Read YAML.

    Returns:
        The root, None where there is nothing at all; and what is wrong, each with its line.

    Raises:
        yaml.YAMLError: It cannot be read to its end.
        LimitError: It is far too deep, or far too much.
    """
    builder = _Builder(yaml.parse(written, Loader=_Loader))
    return builder.document(), builder.problems


def _collection(
    value: list[Node] | dict[str, Node],
    line: int,
    key_lines: dict[str, int],
    children: Collection[Node],
) -> Node:
    """A list or mapping, measured."""
    size = 1 + sum(child.size for child in children)
    height = 1 + max((child.height for child in children), default=0)
    return Node(value, line, key_lines, size, height)


class _Builder:
    """Builds the tree from PyYAML's events; what a file may not do becomes a problem."""

    def __init__(self, events: Iterator[yaml.Event]) -> None:
        self.problems: list[tuple[int, str]] = []
        self._events = events
        self._anchors: dict[str, Node] = {}

    def document(self) -> Node | None:
        """The root of the only document."""
        root: Node | None = None
        for event in self._events:
            if isinstance(event, yaml.DocumentStartEvent):
                if root is not None:
                    self._complain(event, "a second document starts here; write only one")
                    break
                root = self._node(next(self._events), 0)
        return root

    def _complain(self, event: yaml.Event, what: str) -> None:
        self.problems.append((_line(event), what))

    def _node(self, event: yaml.Event, depth: int) -> Node:
        """The node that an event starts."""
        node = self._new_node(event, depth)
        if depth + node.height > DEEPEST:
            raise _refusal(event, f"nested deeper than {DEEPEST} levels")
        if node.size > MOST_NODES:
            raise _refusal(event, f"more than {MOST_NODES} values, aliases counted in full")
        if isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent):
            if event.tag not in {None, "!"}:
                tag = clean(str(event.tag), _LONGEST_NAME)
                self._complain(event, f"the tag {tag} is not allowed; write the plain value")
            if event.anchor is not None:
                self._anchors[event.anchor] = node
        return node

    def _new_node(self, event: yaml.Event, depth: int) -> Node:
        if depth > DEEPEST:  # found before going down, and not only on the way up
            raise _refusal(event, f"nested deeper than {DEEPEST} levels")
        match event:
            case yaml.ScalarEvent(value=value, style=style):
                return Node(None if not style and value in EMPTY else value, _line(event))
            case yaml.SequenceStartEvent():
                return self._sequence(_line(event), depth)
            case yaml.MappingStartEvent():
                return self._mapping(_line(event), depth)
        return self._alias(event)

    def _alias(self, event: yaml.Event) -> Node:
        """The node that an alias stands for, at the alias's own line."""
        name = str(getattr(event, "anchor", ""))
        target = self._anchors.get(name)
        if target is None:
            named = clean(name, _LONGEST_NAME)
            self._complain(event, f"the alias *{named} has no anchor before it")
            return Node(None, _line(event))
        return Node(target.value, _line(event), target.key_lines, target.size, target.height)

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
                self._complain(event, "a key must be plain text")
            elif key.value == MERGE:
                merged.extend(self._sources(event, value))
            elif key.value in entries:
                name, first = clean(key.value, _LONGEST_NAME), key_lines[key.value]
                self._complain(event, f"the key {name} is already written in line {first}")
            else:
                entries[key.value], key_lines[key.value] = value, key.line
        for source in merged:
            for name, node in source.items():
                if name not in entries:
                    entries[name], key_lines[name] = node, node.line
        return _collection(entries, line, key_lines, entries.values())

    def _sources(self, event: yaml.Event, value: Node) -> list[dict[str, Node]]:
        """The mappings that a merge key names, the first of them the strongest."""
        nodes = value.value if isinstance(value.value, list) else [value]
        mappings = [node.value for node in nodes if isinstance(node.value, dict)]
        if len(mappings) < len(nodes):
            self._complain(event, "<< takes a mapping, or a list of mappings")
        return mappings


def _line(event: yaml.Event) -> int:
    """The line that an event starts in, counted from 1."""
    return event.start_mark.line + 1 if event.start_mark else 1


def _refusal(event: yaml.Event, what: str) -> LimitError:
    return LimitError(_line(event), what)
