"""Several files of a configuration, put together as one.

Mappings are merged. Everything else, and each gateway and authority, may be written in one file
only. A key without a value counts as not written.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.config.document import Document, key_path
from gatecert.config.include_entry import INCLUDE
from gatecert.config.tree import Node
from gatecert.errors import Problem

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.config.configuration_finding import Location
    from gatecert.config.source_file import SourceFile

NAMED: Final = frozenset({"gateways", "authorities"})  # whose entries stand in one file each


def merge_files(files: Sequence[SourceFile], root: Node) -> tuple[Node, list[Problem]]:
    """Return the keys of all files, and what several files contradict each other in.

    Args:
        files: All files, in their order.
        root: The keys of the first file.
    """
    more = [_without_include(file.root) for file in files[1:] if file.root is not None]
    if not more:
        return root, []
    merge = _Merge(Document(root, tuple(files)))
    return merge.of([root, *more], ()), merge.problems


def _without_include(root: Node) -> Node:
    """Return the keys of an included file that apply to the whole configuration."""
    entries = root.value if isinstance(root.value, dict) else {}
    kept = {key: node for key, node in entries.items() if key != INCLUDE}
    return Node(kept, root.line, root.key_lines)


class _Merge:
    """Merges nodes and records the contradictions."""

    def __init__(self, written: Document) -> None:
        self.problems: list[Problem] = []
        self._written = written

    def of(self, nodes: Sequence[Node], location: Location) -> Node:
        """Return a mapping with the entries of several."""
        found: dict[str, list[tuple[Node, int]]] = {}
        for node in nodes:
            if isinstance(node.value, dict):
                for key, below in node.value.items():
                    found.setdefault(key, []).append((below, node.key_lines[key]))
        entries: dict[str, Node] = {}
        key_lines: dict[str, int] = {}
        for key, candidates in found.items():
            written = [each for each in candidates if each[0].value is not None] or candidates[:1]
            entries[key], key_lines[key] = written[0]
            if len(written) > 1:
                entries[key] = self._one(written, (*location, key))
        return Node(entries, nodes[0].line, key_lines)

    def _one(self, written: Sequence[tuple[Node, int]], location: Location) -> Node:
        """Return what is written several times, as one."""
        nodes = [node for node, _ in written]
        is_named = len(location) > 1 and location[0] in NAMED
        if not is_named and all(isinstance(node.value, dict) for node in nodes):
            return self.of(nodes, location)
        first = self._written.where(written[0][1])
        for _, line in written[1:]:
            what = f"is already written in {first}; write it once"
            self.problems.append(Problem(self._written.where(line), key_path(location), what))
        return nodes[0]
