"""Each command on a page exists, with each option that the page gives it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gatecert.cli.command_line import app
from gatecert.cli.lazy_group import COMMANDS, imported

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typer._click.core import Command

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
GENERATED = {"commands.md"}
FENCED = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"^(?: {4}|\t).*$", re.MULTILINE)
SPAN = re.compile(r"`([^`]+)`")
USE = re.compile(
    r"^ *(?:\$ )?(?:sudo )?gatecert ((?:-c \S+ )?[a-z][a-z-]*\b[^#|;&\n\\)]*)", re.MULTILINE
)


def code(text: str) -> Iterator[str]:
    """Yield what is code on a page."""
    blocks = [*FENCED.findall(text), *INDENTED.findall(FENCED.sub("", text))]
    yield from blocks
    yield from (" ".join(span.split()) for span in SPAN.findall(FENCED.sub("", text)))


def uses(path: Path) -> set[str]:
    text = path.read_text("utf-8")
    return {use for part in code(text) for use in USE.findall(part)}


def problem(use: str) -> str | None:
    """Return what is wrong with the arguments of gatecert, if anything."""
    words = re.sub(r"^-c \S+ ", "", use).split()
    name, rest = words[0], words[1:]
    if name not in COMMANDS:
        return f"no command {name}"
    command: Command = imported(name)
    if isinstance(command, TyperGroup) and rest and not rest[0].startswith("-"):
        below = command.commands.get(rest[0])
        if below is None:
            return f"no command {name} {rest[0]}"
        command = below
    known = options(command) | options(get_command(app)) | {"-h", "--help"}
    given = {re.sub(r"[=\[].*", "", word).rstrip(",:.") for word in rest if word.startswith("-")}
    unknown = {option for option in given - known if len(option) > 1}
    return f"{name} has no {', '.join(sorted(unknown))}" if unknown else None


def options(command: Command) -> set[str]:
    return {
        option
        for parameter in command.params
        for option in (*parameter.opts, *parameter.secondary_opts)
    }


def test_every_command_and_option_on_a_page_exists() -> None:
    found = {path: uses(path) for path in PAGES if path.name not in GENERATED}
    assert sum(map(len, found.values())) > 100
    wrong = [
        f"{path.relative_to(ROOT)}: gatecert {use.strip()}: {why}"
        for path, several in found.items()
        for use in sorted(several)
        if (why := problem(use)) is not None
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("use", "expected"),
    [
        ("enroll boston --force", None),
        ("-c other.yaml client-ca add boston --help", None),
        ("renew boston", "no command renew"),
        ("client-ca rename", "no command client-ca rename"),
        ("status --chekc", "status has no --chekc"),
    ],
)
def test_a_mistake_is_found(use: str, expected: str | None) -> None:
    assert problem(use) == expected
