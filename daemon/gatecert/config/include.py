"""A configuration file, and the files that it includes.

``include`` names files and shell patterns of files, relative to the file in which it stands. Each
file is read once, however often it is named.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gatecert.config.document import Document
from gatecert.config.include_entry import IncludeError, entries
from gatecert.config.merged_files import merge_files
from gatecert.config.source_file import read_file, refusal
from gatecert.errors import ConfigurationError, Problem
from gatecert.garbage_collection import without_garbage_collection

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.config.include_entry import Entry
    from gatecert.config.source_file import SourceFile

MOST_FILES: Final = 20_000
LONGEST_CHAIN: Final = 8  # files that include one another

Identity = tuple[int, int]  # device and inode
NOT_YET: Final = (-1, -1)  # of a file that does not exist


@without_garbage_collection()
def read(path: Path, *, most_files: int = MOST_FILES) -> Document:
    """Read a configuration file, and what it includes.

    Raises:
        ConfigurationError: A file cannot be read, or is not a single YAML mapping.
    """
    return complete(read_file(path), most_files)


def complete(main: SourceFile, most_files: int = MOST_FILES) -> Document:
    """Read what a file includes. The file itself may be one that has not been written yet.

    Raises:
        ConfigurationError: A file cannot be read, or is not a single YAML mapping.
    """
    if main.root is None:
        raise refusal(main.path, "is empty; start from config.example.yaml")
    reader = _Reader(most_files)
    reader.add(main, _identity(main.path) if main.path.exists() else NOT_YET)
    if reader.refused:
        raise ConfigurationError(list(dict.fromkeys(reader.refused)))
    root, contradictions = merge_files(reader.files, main.root)
    problems = (*reader.problems, *contradictions)
    return Document(root, tuple(reader.files), problems, tuple(reader.notes))


def _identity(path: Path) -> Identity:
    status = path.stat()
    return status.st_dev, status.st_ino


class _Reader:
    """Reads files, and records what is wrong with them.

    Attributes:
        files: Each file, followed by those that it includes.
        refused: Why files cannot be used at all.
        problems: What is wrong in files that can be used.
        notes: Patterns that match no file.
    """

    def __init__(self, most_files: int) -> None:
        self.files: list[SourceFile] = []
        self.refused: list[Problem] = []
        self.problems: list[Problem] = []
        self.notes: list[str] = []
        self._most_files = most_files
        self._seen: set[Identity] = set()
        self._open: dict[Identity, Path] = {}  # the files that include the present one
        self._lines = 0

    def add(self, file: SourceFile, identity: Identity) -> None:
        """Add a file, and then those that it includes."""
        self.files.append(file)
        self._lines += file.length + 1
        self._seen.add(identity)
        self._open[identity] = file.path
        found, problems = entries(file)
        self.problems += (*file.problems, *problems)
        for entry in found:
            self._follow(entry)
        del self._open[identity]

    def _follow(self, entry: Entry) -> None:
        """Add the files that an entry names."""
        try:
            paths = entry.paths()
        except IncludeError as error:
            self.refused.append(entry.problem(str(error)))
            return
        if len(self.files) + len(paths) > self._most_files:
            what = f"more than {self._most_files} files; write several gateways into each"
            self.refused.append(entry.problem(what))
            return
        if not paths:
            self.notes.append(str(entry.problem(f"no file matches {entry.pattern}")))
        for path in paths:
            try:
                self._add_path(path)
            except IncludeError as error:
                self.refused.append(entry.problem(str(error)))
            except ConfigurationError as error:
                self.refused += error.problems

    def _add_path(self, path: Path) -> None:
        """Add a file unless it has been read already.

        Raises:
            IncludeError: It does not exist, is a directory, or includes itself.
            ConfigurationError: It cannot be read.
        """
        try:
            identity = _identity(path)
        except FileNotFoundError as error:
            broken = f"{path} is a symbolic link to a file that does not exist"
            raise IncludeError(
                broken if path.is_symlink() else f"there is no file {path}"
            ) from error
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise IncludeError(f"{path} cannot be read: {reason}") from error
        if identity in self._open:
            chain = list(self._open)
            between = [str(self._open[each]) for each in chain[chain.index(identity) + 1 :]]
            way = f" by way of {', '.join(between)}" if between else ""
            raise IncludeError(f"{path} includes itself{way}; leave one of these entries out")
        if identity in self._seen:
            return
        if path.is_dir():
            raise IncludeError(f"{path} is a directory; write {path.name}/*.yaml for its files")
        if len(self._open) == LONGEST_CHAIN:
            raise IncludeError(f"{path} is included by more than {LONGEST_CHAIN} files in a row")
        self.add(read_file(path, self._lines), identity)
