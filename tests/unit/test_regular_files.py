"""Only regular files of a limited size are read, and nothing in their place can hang the reader."""

from __future__ import annotations

import ast
import os
import socket
from pathlib import Path

import pytest

import gatecert
from gatecert.regular_files import IrregularFileError, TooLargeError, opened, read

SOURCES = Path(gatecert.__file__).parent

# Every other place that opens a file, and why it may
EXCEPTIONS = {
    "regular_files.py": {"os.open": "opens files for reading"},
    "cli/child_process.py": {"os.fdopen": "of a pipe that it made"},
    "cli/completion.py": {"open": "/dev/null"},
    "cli/import_command.py": {"open": "descriptors that the operator passes, such as pipes"},
    "cli/output.py": {"open": "/dev/null", "os.open": "/dev/null"},
    "deploy/copies.py": {"os.open": "reads copies without links", "os.fdopen": "of such a copy"},
    "monitoring/deliver.py": {"os.open": "/dev/null", "os.fdopen": "of standard output"},
    "monitoring/rendering.py": {"read_text": "files of gatecert itself"},
    "process.py": {"os.fdopen": "of a file in memory that it made"},
    "store/durable.py": {"os.open": "writes files"},
    "store/lock.py": {"os.open": "creates and locks files"},
    "store/directory_walk.py": {
        "os.open": "opens directories, and files in an open directory",
        "os.fdopen": "of such a file",
    },
    "store/operator_files.py": {
        "os.open": "writes to what the operator names",
        "os.fdopen": "of a descriptor that the operator passes",
    },
    "store/state_directory.py": {"os.open": "creates empty files"},
    "supervision/spawn.py": {"os.open": "of the kernel's record of a worker, kept open"},
}


def test_what_is_no_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
    (tmp_path / "zero").symlink_to("/dev/zero")
    refused = {}
    for name in ("pipe", "socket", "zero", "."):
        with pytest.raises(IrregularFileError) as raised:
            read(tmp_path / name)
        refused[name] = raised.value.strerror
    assert refused == {
        "pipe": "it is not a regular file",
        "socket": "it is not a regular file",
        "zero": "it is not a regular file",
        ".": "it is a directory",
    }


def test_links_are_followed_where_they_may_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"content")
    (tmp_path / "link").symlink_to("file")
    assert read(tmp_path / "link") == b"content"
    with (
        pytest.raises(IrregularFileError, match="it is a symbolic link"),
        opened(tmp_path / "link", follow_links=False),
    ):
        pass


def test_a_loop_is_an_error_of_the_system(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OSError, match="Too many levels of symbolic links"):
        read(tmp_path / "loop")


@pytest.mark.parametrize("name", ["none", "null\0character"])
def test_a_missing_file_is_missing(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / name)


@pytest.mark.parametrize("size", [4, 1 << 40])
def test_the_size_is_limited(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.touch()
    os.truncate(path, size)
    assert len(read(path, 4)) == 4 if size == 4 else True
    with pytest.raises(TooLargeError, match="it has more than 3 bytes"):
        read(path, 3)


def test_files_of_the_kernel_are_read() -> None:
    assert read(Path("/proc/self/stat")).startswith(str(os.getpid()).encode())


def test_nothing_else_opens_files() -> None:
    found: dict[str, set[str]] = {}
    for path in SOURCES.rglob("*.py"):
        names = set(_openings(ast.parse(path.read_text("utf-8"))))
        if names:
            found[str(path.relative_to(SOURCES))] = names
    assert found == {path: set(reasons) for path, reasons in EXCEPTIONS.items()}


def _openings(tree: ast.Module) -> list[str]:
    """Return what opens a file; calls of ``Path.open`` have a mode, other methods ``open`` not."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id="os"), attr="open" | "fdopen")):
                found.append(f"os.{node.func.attr}")  # type: ignore[attr-defined]
            case ast.Call(func=ast.Name(id="open")):
                found.append("open")
            case ast.Call(
                func=ast.Attribute(value=ast.Name(id="io"), attr="open" | "FileIO" | "open_code")
            ):
                found.append("open")
            case ast.Call(func=ast.Attribute(attr="open"), args=[ast.Constant(value=str()), *_]):
                found.append("open")
            case ast.Call(func=ast.Attribute(attr="read_bytes")):
                found.append("read_bytes")
            case ast.Call(func=ast.Attribute(attr="read_text"), args=[ast.Constant(), *_]):
                found.append("read_text")
            case ast.Call(func=ast.Attribute(attr="read_text"), args=[]):
                found.append("read_text")
    return found
