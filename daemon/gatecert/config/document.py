"""A configuration as written: one or more files, every value with its file and line."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from gatecert.config.source_file import SourceFile
from gatecert.config.tree import Node
from gatecert.errors import Problem, clean

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from gatecert.config.configuration_finding import Finding, Location
    from gatecert.config.tree import Plain

BELOW_A_NAME: Final = 2  # steps to a gateway, from the top


@dataclass(frozen=True, slots=True)
class Document:
    """All files of a configuration, put together.

    Attributes:
        root: The keys of all files. Lines are counted over all files, in their order.
        files: The file that was named first, and then those that it includes.
        problems: What YAML allows and a configuration does not, such as a repeated key.
        notes: What is no error but worth knowing, one line each.
    """

    root: Node
    files: tuple[SourceFile, ...]
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def path(self) -> Path:
        """The file that was named first."""
        return self.files[0].path

    def plain(self) -> dict[str, Plain]:
        """Return the keys and values without their lines."""
        value = self.root.plain()
        return value if isinstance(value, dict) else {}

    def where(self, line: int) -> str:
        """Return ``file:line`` of a line over all files."""
        after = bisect_right(self.files, line - 1, key=lambda file: file.lines_before)
        return self.files[after - 1].where(line)

    def line(self, location: Location) -> int:
        """Return the line of a key or list item, or of the nearest enclosing one."""
        return self._walk(location).line

    def origin(self, location: Location) -> tuple[Location, int, bool]:
        """Find the key that a value comes from: its own, or the one in ``defaults``.

        Returns:
            The key; the line of it, or of the nearest one around it; and whether it is written.
        """
        own = self._walk(location)
        complete = own.depth == len(location) and own.has_value
        is_shared = location[:1] == ("gateways",) and len(location) > BELOW_A_NAME
        if is_shared and not complete:
            shared: Location = ("defaults", *location[BELOW_A_NAME:])
            other = self._walk(shared)
            ended = other.depth == len(shared) and other.has_value
            if ended or other.depth + 1 > max(own.depth, BELOW_A_NAME):  # one step deeper
                return shared, other.line, ended
        return location, own.line, complete

    def problem(self, location: Location, what: str) -> Problem:
        """Return a problem with the value at a location."""
        found, line, _ = self.origin(location)
        return Problem(self.where(line), key_path(found), what)

    def all_problems(self, findings: Iterable[Finding]) -> list[Problem]:
        """Return the problems of findings; those of ``defaults`` once, not for every gateway."""
        found: dict[object, Problem] = {}
        for finding in findings:
            problem = self.problem(finding.location, finding.what)
            is_shared = finding.location[:1] == ("gateways",) and problem.key.startswith("defaults")
            found.setdefault((problem.where, problem.key) if is_shared else problem, problem)
        return list(found.values())

    def in_order(self, problems: Iterable[Problem]) -> list[Problem]:
        """Return problems, each once, in the order of the files and their lines."""
        place = {str(file.path): index for index, file in enumerate(self.files)}

        def position(problem: Problem) -> tuple[int, int]:
            path, _, line = problem.where.rpartition(":")
            return place[path], int(line)

        return sorted(dict.fromkeys(problems), key=position)

    def _walk(self, location: Location) -> _Reached:
        """Follow a location as far as it is written."""
        node, line, depth = self.root, self.root.line, 0
        for step in location:
            if isinstance(node.value, dict) and step in node.value:
                line, node = node.key_lines[str(step)], node.value[str(step)]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.line
            else:
                break
            depth += 1
        return _Reached(line, depth, has_value=node.value is not None or node.is_null)


class _Reached(NamedTuple):
    """The end of a location, as far as it is written.

    Attributes:
        line: Its line.
        depth: Number of steps that are written.
        has_value: Whether there is a value, ``null`` included.
    """

    line: int
    depth: int
    has_value: bool


def key_path(location: Location) -> str:
    """Return a location as operators write it: ``gateways.boston.install.verify[0]``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{clean(step, 80)}" for step in location)
    return "".join(steps).removeprefix(".")
