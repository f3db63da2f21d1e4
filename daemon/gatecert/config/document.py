"""The configuration file as YAML: read with limits, every value with its line."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import yaml

from gatecert import container
from gatecert.config.tree import LimitError, Node, Plain, build
from gatecert.errors import ConfigurationError, Problem, clean

if TYPE_CHECKING:
    from gatecert.config.configuration_finding import Location

LARGEST_FILE: Final = 64 << 20  # bytes; more is an accident


@dataclass(frozen=True, slots=True)
class Document:
    """A configuration file that is valid YAML.

    Attributes:
        problems: What YAML allows and a configuration does not, such as a repeated key.
    """

    path: Path
    root: Node
    problems: tuple[Problem, ...] = ()

    def plain(self) -> dict[str, Plain]:
        """Return the keys and values without their lines."""
        value = self.root.plain()
        return value if isinstance(value, dict) else {}

    def line(self, location: Location) -> int:
        """Return the line of a key or list item, or of the nearest enclosing one."""
        node, line = self.root, self.root.line
        for step in location:
            if isinstance(node.value, dict) and step in node.value:
                line, node = node.key_lines[str(step)], node.value[str(step)]
            elif isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
                node = node.value[step]
                line = node.line
            else:
                break
        return line

    def problem(self, location: Location, what: str) -> Problem:
        """Return a problem with the value at a location."""
        return Problem(f"{self.path}:{self.line(location)}", key_path(location), what)


def key_path(location: Location) -> str:
    """Return a location as operators write it: ``gateways.boston.install.verify[0]``."""
    steps = (f"[{step}]" if isinstance(step, int) else f".{clean(step, 80)}" for step in location)
    return "".join(steps).removeprefix(".")


def read(path: Path) -> Document:
    """Read a configuration file.

    Raises:
        ConfigurationError: It cannot be read, or is not a single YAML mapping.
    """
    written = _text(path)
    try:
        root, complaints = build(written)
    except LimitError as error:
        raise _refusal(path, f"cannot be read: {error}", error.line) from error
    except yaml.MarkedYAMLError as error:
        raise _refusal(path, _syntax(error), _line(error)) from error
    except yaml.reader.ReaderError as error:
        line = written[: written.find(chr(error.character))].count("\n") + 1
        what = f"is not a text file: it contains the control character U+{error.character:04X}"
        raise _refusal(path, what, line) from error
    problems = tuple(Problem(f"{path}:{line}", "", what) for line, what in complaints)
    if root is None or root.value is None:
        raise _refusal(path, "is empty; start from config.example.yaml")
    if not isinstance(root.value, dict):
        kind = "a list" if isinstance(root.value, list) else "plain text"
        raise _refusal(path, f"holds {kind}; write keys and values, as in config.example.yaml")
    return Document(path, root, problems)


def _refusal(path: Path, what: str, line: int | None = None) -> ConfigurationError:
    """Return the error for a file that cannot be used at all."""
    return ConfigurationError([Problem(f"{path}:{line}" if line else str(path), "", what)])


def _text(path: Path) -> str:
    """Return the text of a regular file of at most 64 MiB that others cannot write."""
    try:
        mode = path.stat().st_mode  # checked first: opening a FIFO could block without limit
        if stat.S_ISDIR(mode):
            raise _refusal(path, "is a directory; name the file in it")
        if not stat.S_ISREG(mode):
            raise _refusal(path, "is not a regular file")
        with path.open("rb") as file:
            content = file.read(LARGEST_FILE + 1)
    except FileNotFoundError as error:
        raise _refusal(
            path, "does not exist; start from config.example.yaml, or name the file with -c"
        ) from error
    except PermissionError as error:
        raise _refusal(
            path,
            "cannot be read: permission denied; "
            + container.fix_for(
                host="run it with sudo, or let this user read it",
                container=f"let user {os.geteuid()} of the container read the file that is mounted",
            ),
        ) from error
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise _refusal(path, f"cannot be read: {reason}") from error
    if mode & stat.S_IWOTH:
        raise _refusal(path, "is world-writable, and it names commands; run chmod o-w on it")
    if len(content) > LARGEST_FILE:
        raise _refusal(path, "is larger than 64 MiB; this is not a gatecert configuration")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _refusal(path, "is not UTF-8 text; save it as UTF-8", line) from error


def _line(error: yaml.MarkedYAMLError) -> int | None:
    """Return the line of a PyYAML error."""
    mark = error.problem_mark or error.context_mark
    return mark.line + 1 if mark else None


def _syntax(error: yaml.MarkedYAMLError) -> str:
    """Describe a syntax error without the line itself, which may hold a secret."""
    problem = error.problem or "not YAML"
    if "tab character" in problem or "'\\t'" in problem:
        problem += "; indent with spaces, never tabs"
    elif "cannot start any token" in problem:
        problem += "; quote text that starts with a special character"
    elif "mapping values are not allowed" in problem:
        problem += "; quote text that contains ': ', and check the indentation"
    return f"cannot be read as YAML: {clean(problem)}"
