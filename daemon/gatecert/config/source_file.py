"""One file of a configuration as YAML: read with limits, every value with its line."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from gatecert import container, regular_files, trusted_files
from gatecert.config import yaml_syntax
from gatecert.config.tree import LimitError, Node, build
from gatecert.errors import ConfigurationError, Problem
from gatecert.regular_files import IrregularFileError, TooLargeError

if TYPE_CHECKING:
    from collections.abc import Collection

    from gatecert.trusted_files import Weakness

LARGEST_FILE: Final = 64 << 20  # bytes; more is an accident


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that is valid YAML.

    Attributes:
        root: A mapping; None if nothing is written in the file.
        lines_before: Number of lines of the files before it.
        length: Number of characters, which no file has more lines than.
        status: Of the file that was read; None for text that is not written yet.
        problems: What YAML allows and a configuration does not, such as a repeated key.
    """

    path: Path
    root: Node | None
    lines_before: int
    length: int
    problems: tuple[Problem, ...] = ()
    status: os.stat_result | None = None

    def where(self, line: int) -> str:
        """Return ``file:line`` of a line over all files."""
        return f"{self.path}:{line - self.lines_before}"


def read_file(path: Path, lines_before: int = 0) -> SourceFile:
    """Read a file.

    Args:
        path: The file; relative paths in it start at its directory.
        lines_before: Added to the lines of the nodes.

    Raises:
        ConfigurationError: It cannot be read, or is not a single YAML mapping.
    """
    content, status = _read(path)
    if why := _complaint(trusted_files.weakness_of(path, status)):
        raise refusal(path, why, exposed=True)
    return parse(path, text(path, content), lines_before, status)


def parse(
    path: Path, written: str, lines_before: int = 0, status: os.stat_result | None = None
) -> SourceFile:
    """Parse the text of a file; see ``read_file`` for the arguments and errors."""
    try:
        root, complaints = build(written, path.absolute().parent, lines_before)
    except LimitError as error:
        raise refusal(path, f"cannot be read: {error}", error.line) from error
    except yaml.MarkedYAMLError as error:
        line, what = yaml_syntax.explain(error, written)
        raise refusal(path, f"cannot be read as YAML: {what}", line) from error
    except yaml.reader.ReaderError as error:
        line = written[: written.find(chr(error.character))].count("\n") + 1
        what = f"is not a text file: it contains the control character U+{error.character:04X}"
        raise refusal(path, what, line) from error
    if root is not None and not isinstance(root.value, dict | None):
        if isinstance(root.value, str) and (what := yaml_syntax.missing_space(root.value)):
            raise refusal(path, what, root.line - lines_before)
        kind = "a list" if isinstance(root.value, list) else "plain text"
        raise refusal(path, f"holds {kind}; write keys and values, as in config.example.yaml")
    problems = tuple(Problem(f"{path}:{line}", "", what) for line, what in complaints)
    root = root if root is not None and root.value is not None else None
    return SourceFile(path, root, lines_before, len(written), problems, status)


def refusal(
    path: Path, what: str, line: int | None = None, *, exposed: bool = False
) -> ConfigurationError:
    """Return the error for a file that cannot be used at all; see ``Problem``."""
    where = f"{path}:{line}" if line else str(path)
    return ConfigurationError([Problem(where, "", what, exposed=exposed)])


def contents(path: Path) -> bytes:
    """Return the contents of a regular file of at most 64 MiB that only this user can change.

    Raises:
        ConfigurationError: It cannot be read, or is no such file.
    """
    content, status = _read(path)
    if why := untrusted(path, status, trusted_files.trusted_users()):
        raise refusal(path, why, exposed=True)
    return content


def untrusted(path: Path, status: os.stat_result, users: Collection[int]) -> str:
    """Return how somebody else can change a file, and the fix; empty if nobody can.

    Args:
        path: The file.
        status: Of the file that was read.
        users: The users who may own it.
    """
    found = trusted_files.weakness_of(path, status, users) or trusted_files.weakness(path, users)
    return _complaint(found)


def _complaint(found: Weakness | None) -> str:
    return f"{found}, and it names commands that gatecert runs; {found.fix}" if found else ""


def _read(path: Path) -> tuple[bytes, os.stat_result]:
    """Return the contents and the status of a regular file.

    Raises:
        ConfigurationError: It cannot be read, or is no regular file of at most 64 MiB.
    """
    try:
        with regular_files.opened(path, follow_links=True) as descriptor:
            return regular_files.read_on(descriptor, LARGEST_FILE), os.fstat(descriptor)
    except TooLargeError as error:
        what = "is larger than 64 MiB; this is not a gatecert configuration"
        raise refusal(path, what) from error
    except IrregularFileError as error:
        what = "is a directory; name the file in it" if path.is_dir() else "is not a regular file"
        raise refusal(path, what) from error
    except FileNotFoundError as error:
        raise refusal(
            path, "does not exist; start from config.example.yaml, or name the file with -c"
        ) from error
    except PermissionError as error:
        raise refusal(
            path,
            "cannot be read: permission denied; "
            + container.fix_for(
                host="run it with sudo, or let this user read it",
                container=f"let user {os.geteuid()} of the container read the file that is mounted",
            ),
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise refusal(path, f"cannot be read: {reason}") from error


def text(path: Path, content: bytes) -> str:
    """Decode the contents of a file, without a byte order mark.

    Raises:
        ConfigurationError: It is not UTF-8.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise refusal(path, "is not UTF-8 text; save it as UTF-8", line) from error
