"""The reference of commands: complete, and without what is hidden."""

from __future__ import annotations

import re

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from gatecert.cli import exit_codes
from gatecert.cli.command_line import app
from gatecert.cli.command_reference import BAR, text
from gatecert.cli.lazy_group import COMMANDS, imported

PAGE = text()
HEADINGS = re.findall(r"^### (.+)$", PAGE, re.MULTILINE)


def hidden() -> set[str]:
    group = get_command(app)
    assert isinstance(group, TyperGroup)
    return {name for name, command in group.commands.items() if command.hidden}


def test_every_command_that_is_not_hidden_has_a_section() -> None:
    alone = [heading for heading in HEADINGS if " " not in heading]
    assert alone == [name for name in COMMANDS if name not in hidden()]


@pytest.mark.parametrize("name", COMMANDS)
def test_sub_commands_have_sections_behind_their_group(name: str) -> None:
    command = imported(name)
    below = command.commands if isinstance(command, TyperGroup) else {}
    wanted = [f"{name} {each}" for each, found in below.items() if not found.hidden]
    assert [heading for heading in HEADINGS if heading.startswith(f"{name} ")] == wanted


def test_options_have_rows_and_pages_are_links() -> None:
    assert "\n| `-c, --config FILE` | Configuration file. " in PAGE
    assert "\n| `NAME` | " in PAGE
    assert "[docs/status.md](status.md)" in PAGE
    assert "--help`" not in PAGE.partition("## Options")[2]


def test_every_exit_code_is_described() -> None:
    codes = {value for value in vars(exit_codes).values() if isinstance(value, int)}
    assert codes | {0} == set(exit_codes.MEANINGS)
    for code, meaning in exit_codes.MEANINGS.items():
        assert f"| `{code}` | {meaning.replace('|', BAR)} |" in PAGE
