"""The entries of ``include``: files, and shell patterns of files."""

from __future__ import annotations

import os
from dataclasses import dataclass
from glob import escape, glob
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gatecert import trusted_files
from gatecert.config.document import key_path
from gatecert.config.paths import file_pattern
from gatecert.config.values import A_LIST, BadValueError
from gatecert.errors import Problem

if TYPE_CHECKING:
    from gatecert.config.source_file import SourceFile

INCLUDE: Final = "include"
MAGIC: Final = frozenset("*?[")


class IncludeError(ValueError):
    """An entry of ``include`` that cannot be followed; the text follows its key."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of ``include``.

    Attributes:
        where: ``file:line`` of the entry.
        key: ``include[0]`` …
        directory: The directory of the file in which it stands.
        pattern: A path or a shell pattern, relative to the directory.
    """

    where: str
    key: str
    directory: Path
    pattern: str

    def problem(self, what: str) -> Problem:
        """Return a problem with the entry."""
        return Problem(self.where, self.key, what)

    def paths(self) -> list[Path]:
        """Return the file, or those that match the pattern, in the order of their names.

        Raises:
            IncludeError: The directory of a pattern cannot be searched, or must not be.
        """
        if MAGIC.isdisjoint(self.pattern):
            return [self.directory / self.pattern]
        fixed = self.directory
        for part in Path(self.pattern).parent.parts:
            if not MAGIC.isdisjoint(part):
                break
            fixed /= part
        _check_directory(fixed)
        pattern = os.path.join(escape(str(self.directory)), self.pattern)  # noqa: PTH118 - a pattern
        return [Path(each) for each in sorted(glob(pattern))]  # noqa: PTH207 - may be absolute


def _check_directory(directory: Path) -> None:
    """Check that a pattern finds all files of a directory, and only those of its owner."""
    try:
        with os.scandir(directory):
            found = trusted_files.weakness(directory)
    except FileNotFoundError:
        return
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise IncludeError(f"{directory} cannot be read: {reason}") from error
    if found is not None:
        what = f"{directory} {found}, and its files name commands that gatecert runs; {found.fix}"
        raise IncludeError(what)


def entries(file: SourceFile) -> tuple[list[Entry], list[Problem]]:
    """Return what a file includes, and the entries with errors."""
    root = file.root.value if file.root is not None else None
    node = root.get(INCLUDE) if isinstance(root, dict) else None
    if node is None or node.value is None:
        return [], []
    if not isinstance(node.value, list):
        return [], [Problem(file.where(node.line), INCLUDE, A_LIST)]
    found: list[Entry] = []
    problems: list[Problem] = []
    for index, item in enumerate(node.value):
        where, key = file.where(item.line), key_path((INCLUDE, index))
        try:
            found.append(Entry(where, key, file.path.parent, file_pattern(item.plain())))
        except BadValueError as error:
            problems.append(Problem(where, key, str(error)))
    return found, problems
