"""No change to the disk is missing among the points: Python itself reports every one (PEP 578).

Writing to an open file and syncing are not reported; those are calls of ``os`` that only
``store.durable`` and the note in a lock make, each in a step, as the source is searched to prove.
"""

from __future__ import annotations

import ast
import os
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.survival.operations import OPERATIONS, Operation

import gatecert
from gatecert.store import durable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.survival.scene import Scene

SOURCE = Path(gatecert.__file__).parent
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
CHANGES = {
    "os.rename",
    "os.remove",
    "os.rmdir",
    "os.mkdir",
    "os.link",
    "os.symlink",
    "os.chmod",
    "os.chown",
    "os.truncate",
}
# What is no state: times tell ocserv to read again, and are set without further ado.
UNREPORTED = {"write", "fsync", "fdatasync", "sendfile", "copy_file_range", "pwrite", "writev"}


@dataclass
class Watcher:
    """Hears of every change below a directory, and of every step."""

    directory: str = ""
    step: tuple[str, Path] | None = None
    changes: int = 0
    stray: list[str] = field(default_factory=list)

    def hear(self, event: str, arguments: tuple[object, ...]) -> None:
        """An audit hook."""
        if not self.directory or not self._changes(event, arguments):
            return
        paths = [str(os.fsdecode(each)) for each in arguments if isinstance(each, str | bytes)]
        described = [path for path in paths if path.startswith(self.directory)]
        if not described and not isinstance(arguments[0], int):
            return
        self.changes += 1
        expected = str(self.step[1]) if self.step is not None else "nothing"
        if described and not any(_is_about(path, expected) for path in described):
            self.stray.append(f"{event} {described} after the step {self.step}")

    def reach(self, name: str, path: Path) -> None:
        """The calls of every step."""
        self.step = (name, path)

    def _changes(self, event: str, arguments: tuple[object, ...]) -> bool:
        if event == "open":
            flags = arguments[2]
            return isinstance(flags, int) and bool(flags & WRITING)
        return event in CHANGES


def _is_about(path: str, step: str) -> bool:
    """Compare paths: removing a directory also removes its content."""
    return path == step or path.startswith(f"{step}/")


WATCHER = Watcher()
sys.addaudithook(WATCHER.hear)  # for as long as this process lives, so it is told when to listen


@contextmanager
def watched(directory: Path) -> Iterator[Watcher]:
    WATCHER.directory, WATCHER.step, WATCHER.changes, WATCHER.stray = str(directory), None, 0, []
    durable.on_step = WATCHER.reach
    try:
        yield WATCHER
    finally:
        WATCHER.directory = ""


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_change_of_the_state_is_a_step(operation: Operation, scene: Scene) -> None:
    operation.arrange(scene)
    with watched(scene.state) as watcher:
        operation.carry_out(scene, scene.house())
    assert watcher.changes > 10  # it does hear
    assert not watcher.stray, "\n".join(watcher.stray)


def test_a_change_beside_the_steps_is_heard(scene: Scene) -> None:
    with watched(scene.state) as watcher:
        (scene.state / "stray").touch()
    assert len(watcher.stray) == 1


def test_nothing_is_written_or_synced_outside_a_step() -> None:
    """In store and install, ``os.write`` and its like stand inside a ``with … step(…)``."""
    places = []
    for path in [*SOURCE.glob("store/*.py"), *SOURCE.glob("install/*.py")]:
        tree = ast.parse(path.read_text("utf-8"))
        places += [f"{path.name}:{line}" for line in _writes(tree, inside=False)]
    assert places == []


def _writes(node: ast.AST, *, inside: bool) -> Iterator[int]:
    if isinstance(node, ast.With):
        inside = inside or any("step(" in ast.unparse(item) for item in node.items)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        function = node.func
        is_os = isinstance(function.value, ast.Name) and function.value.id == "os"
        if is_os and function.attr in UNREPORTED and not inside:
            yield node.lineno
        if function.attr in {"write_bytes", "write_text"} and not inside:
            yield node.lineno
    for child in ast.iter_child_nodes(node):
        yield from _writes(child, inside=inside)
