"""One file of a configuration as YAML: read with limits, every value with its line."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from gatecert import container
from gatecert.config import yaml_syntax
from gatecert.config.tree import LimitError, Node, build
from gatecert.errors import ConfigurationError, Problem

LARGEST_FILE: Final = 64 << 20  # bytes; more is an accident


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file that is valid YAML.

    Attributes:
        root: A mapping; None if nothing is written in the file.
        lines_before: Number of lines of the files before it.
        length: Number of characters, which no file has more lines than.
        problems: What YAML allows and a configuration does not, such as a repeated key.
    """

    path: Path
    root: Node | None
    lines_before: int
    length: int
    problems: tuple[Problem, ...] = ()

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
    return parse(path, text(path, contents(path)), lines_before)


def parse(path: Path, written: str, lines_before: int = 0) -> SourceFile:
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
    return SourceFile(path, root, lines_before, len(written), problems)


def refusal(path: Path, what: str, line: int | None = None) -> ConfigurationError:
    """Return the error for a file that cannot be used at all."""
    return ConfigurationError([Problem(f"{path}:{line}" if line else str(path), "", what)])


def contents(path: Path) -> bytes:
    """Return the contents of a regular file of at most 64 MiB that others cannot write.

    Raises:
        ConfigurationError: It cannot be read, or is no such file.
    """
    try:
        mode = path.stat().st_mode  # checked first: opening a FIFO could block without limit
        if stat.S_ISDIR(mode):
            raise refusal(path, "is a directory; name the file in it")
        if not stat.S_ISREG(mode):
            raise refusal(path, "is not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
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
    if mode & stat.S_IWOTH:
        raise refusal(path, "is world-writable, and it names commands; run chmod o-w on it")
    if len(content) > LARGEST_FILE:
        raise refusal(path, "is larger than 64 MiB; this is not a gatecert configuration")
    return content


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
