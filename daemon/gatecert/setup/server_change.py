"""Changes of a server's own files: backed up, tested by the server, taken back if it refuses.

Every file is replaced atomically and keeps its owner and mode. Whatever fails, the files are as
they were before, and the server has not been told to read them.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeAlias

from gatecert import process
from gatecert.deadline import Deadline
from gatecert.errors import DeploymentError, GatecertError
from gatecert.store import operator_files
from gatecert.trusted_files import WeakFileError

if TYPE_CHECKING:
    from gatecert.setup.server_plan import Edit

logger = logging.getLogger(__name__)

LONGEST_RUN: Final = 90.0  # seconds for one command
NEW_MODE: Final = 0o644  # of a server's file


class Finished(NamedTuple):
    """The end of a command.

    Attributes:
        status: Its exit status; None if it could not run or took too long.
        output: The end of its output, on one line.
    """

    status: int | None
    output: str

    @property
    def succeeded(self) -> bool:
        """Tell whether it ended with exit status 0."""
        return self.status == 0


Run: TypeAlias = Callable[[Sequence[str]], Finished]


class ServerRefusedError(DeploymentError):
    """A change that the server refused; it is taken back."""

    code = "server-refused"


def run_command(argv: Sequence[str]) -> Finished:
    """Run a command, found on a plain PATH, without a shell."""
    program = process.executable(argv[0])
    if program is None:
        return Finished(None, f"{argv[0]}: there is no such program")
    try:
        with process.started([program, *argv[1:]], process.environment()) as running:
            if not running.wait(Deadline.after(LONGEST_RUN)):
                return Finished(None, f"{argv[0]} took longer than {LONGEST_RUN:.0f} s")
            return Finished(running.status, running.output_tail)
    except WeakFileError as error:
        why = f"is not run, because another user may change it: {error.what};"
        return Finished(None, f"{argv[0]} {why} {error.weakness.fix}")
    except OSError as error:
        return Finished(None, f"{argv[0]}: {error.strerror or error}")


@dataclass(slots=True)
class ServerChange:
    """A change of a server's files that can be taken back.

    Attributes:
        run: Runs a command.
        backed_up: The files that need no backup, because an earlier change has made one.
        backups: The copies of the old files.
    """

    run: Run = run_command
    backed_up: set[Path] = field(default_factory=set)
    backups: list[Path] = field(default_factory=list)
    _before: list[tuple[Path, bytes | None]] = field(default_factory=list)
    _undo: list[tuple[str, ...]] = field(default_factory=list)

    def make(
        self,
        edits: Sequence[Edit],
        commands: Sequence[tuple[tuple[str, ...], tuple[str, ...]]] = (),
        touched: Sequence[Path] = (),
        tests: Sequence[Sequence[str]] = (),
    ) -> None:
        """Change the files, and have the server test them.

        Args:
            edits: The files to change.
            commands: Commands that change more, each with the one that takes it back.
            touched: The files that the commands change.
            tests: The server's tests.

        Raises:
            GatecertError: Something failed, and everything is as it was.
        """
        try:
            for edit in edits:
                self._replace(edit)
            for path in touched:
                self._keep(path)
            for command, undo in commands:
                self._execute(command, undo)
            for test in tests:
                self._test(test)
        except BaseException:
            self.take_back()
            raise

    def take_back(self) -> None:
        """Put the old files back, and remove the backups that are no longer needed."""
        for undo in reversed(self._undo):
            if not (ended := self.run(undo)).succeeded:
                logger.warning("cannot take back command=%s %s", " ".join(undo), ended.output)
        kept: list[Path] = []
        for path, before in reversed(self._before):
            try:
                if before is None:
                    operator_files.remove(path)
                else:
                    operator_files.replace(path, operator_files.read(path), before)
            except GatecertError as error:
                logger.warning("cannot put back path=%s %s", path, error)
                kept += [each for each in self.backups if each.parent == path.parent]
        for backup in self.backups:
            if backup not in kept:
                operator_files.remove(backup)
        self.backups, self._before, self._undo = kept, [], []

    def _replace(self, edit: Edit) -> None:
        before = _bytes(edit.before) if edit.before is not None else None
        if before is not None:
            self._back_up(edit.path)
        operator_files.replace(edit.path, before, _bytes(edit.after), mode=NEW_MODE)
        self._before.append((edit.path, before))

    def _back_up(self, path: Path) -> None:
        if path not in self.backed_up:
            self.backups.append(operator_files.back_up(path))

    def _keep(self, path: Path) -> None:
        self._back_up(path)
        self._before.append((path, operator_files.read(path)))

    def _test(self, test: Sequence[str]) -> None:
        ended = self.run(test)
        if not ended.succeeded:
            raise ServerRefusedError(
                f"{' '.join(test)} refuses the changed files: {ended.output}",
                fix="every file is as it was; correct what it complains about, and run this "
                "again, or put the lines in yourself",
            )

    def _execute(self, command: Sequence[str], undo: tuple[str, ...]) -> None:
        ended = self.run(command)
        if not ended.succeeded:
            raise ServerRefusedError(
                f"{' '.join(command)} failed: {ended.output}",
                fix="every file is as it was; put the lines in yourself",
            )
        if undo:
            self._undo.append(undo)


def _bytes(text: str) -> bytes:
    """Return the bytes of a file that ``host_reader.read_text`` has read."""
    return text.encode("utf-8", "surrogateescape")
