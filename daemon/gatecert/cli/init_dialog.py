"""The questions and the output of ``gatecert init``."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Final, TypeVar

import typer

from gatecert.cli.output import write_line
from gatecert.config.values import BadValueError
from gatecert.errors import WrongUsageError
from gatecert.report.terminal import Style, Terminal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

Value = TypeVar("Value")
LABEL: Final = 11  # columns of the names of facts


class Dialog:
    """Asks and tells on the terminal; without questions, a missing answer is wrong usage.

    Args:
        asks: Whether questions may be asked.
        quiet: Whether to show nothing but what the operator has to do.
    """

    def __init__(self, *, asks: bool, quiet: bool = False) -> None:
        self.asks = asks
        self._quiet = quiet
        self._terminal = Terminal.of(sys.stdout)

    # ------------------------------------------------------------------ questions

    def ask(
        self, question: str, option: str, parse: Callable[[object], Value], default: str = ""
    ) -> Value:
        """Ask until the answer is valid; return it.

        Args:
            question: The question, without its mark.
            option: The option that answers it.
            parse: Parses the answer; raises BadValueError.
            default: The answer to an empty line; empty if there is none.

        Raises:
            WrongUsageError: No questions may be asked, and there is no default.
        """
        if not self.asks:
            if not default:
                raise WrongUsageError(f"{option} is missing: {question.lower()}?")
            return parse(default)

        def value(text: str) -> Value:
            try:
                return parse(text)
            except BadValueError as error:
                raise typer.BadParameter(str(error)) from error

        answer: Value = typer.prompt(question, default=default or None, value_proc=value)
        return answer

    def choose(self, question: str, option: str, choices: Sequence[tuple[str, str]]) -> str:
        """Ask for one of several; return its name.

        Args:
            question: The question.
            option: The option that answers it.
            choices: The name and the description of each.

        Raises:
            WrongUsageError: No questions may be asked.
        """
        names = [name for name, _ in choices]
        if not self.asks:
            raise WrongUsageError(f"{option} is missing: {question.lower()}: {', '.join(names)}?")
        for number, (name, description) in enumerate(choices, 1):
            self.line(f"  {number}. {name}: {description}")

        def parse(value: object) -> str:
            text = str(value).strip()
            if text.isdecimal() and 1 <= int(text) <= len(names):
                return names[int(text) - 1]
            if text in names:
                return text
            raise BadValueError(f"is not one of {', '.join(names)}")

        return self.ask(question, option, parse)

    def confirm(self, question: str) -> bool:
        """Ask for yes or no; yes if no questions may be asked."""
        return not self.asks or typer.confirm(question, default=True)

    # ------------------------------------------------------------------ output

    def line(self, text: str = "") -> None:
        """Print a line."""
        if not self._quiet:
            self._write(text)

    def _write(self, text: str) -> None:
        write_line(sys.stdout, self._terminal.plain(text))

    def heading(self, text: str) -> None:
        """Print a heading, after an empty line."""
        self.line()
        self.line(self._terminal.styled(text, Style.BOLD))

    def fact(self, name: str, value: str) -> None:
        """Print a fact with its name."""
        for line in self._terminal.wrap(value, first=f"  {name:<{LABEL}}"):
            self.line(line)

    def verbatim(self, lines: Iterable[str]) -> None:
        """Print lines of a file, indented."""
        for line in lines:
            self.line(f"    {line}")

    def step(self, text: str) -> None:
        """Print a step that is done."""
        mark = self._terminal.styled(self._terminal.plain("✓"), Style.GREEN)
        for line in self._terminal.wrap(text, first=f"{mark} ", rest="  "):
            self.line(line)

    def hint(self, text: str) -> None:
        """Print something that may help, unless only problems are wanted."""
        if not self._quiet:
            self.note(text)

    def note(self, text: str) -> None:
        """Print something that the operator should know or do."""
        for line in self._terminal.wrap(text, first=self._terminal.plain("→ "), rest="  "):
            self._write(line)
