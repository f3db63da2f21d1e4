"""The table of commands: summaries, lazy imports, suggestions."""

from __future__ import annotations

import subprocess
import sys

import pytest

from gatecert.cli.lazy_group import COMMANDS, imported

SHOW_IMPORTS = """
import sys
sys.argv = ["gatecert", *sys.argv[1:]]
from gatecert.__main__ import main
try:
    main()
finally:
    print("MODULES", *(name for name in sys.modules if name.startswith("gatecert.")))
"""


def modules_after(*arguments: str) -> set[str]:
    finished = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTS, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    return set(finished.stdout.splitlines()[-1].split()[1:])


@pytest.mark.parametrize("name", COMMANDS)
def test_summary_is_the_first_sentence_of_the_command(name: str) -> None:
    text = " ".join((imported(name).help or "").split())
    assert text.startswith(COMMANDS[name].summary)


@pytest.mark.parametrize("arguments", [("--help",), ("--version",), ("statsu",)])
def test_no_command_module_is_imported_unless_chosen(arguments: tuple[str, ...]) -> None:
    modules = modules_after(*arguments)
    assert "gatecert.cli" in modules
    assert not {each for each in modules if each.endswith("_command")}
    assert "gatecert.app" not in modules
    assert "gatecert.config" not in modules


def test_only_the_chosen_command_is_imported() -> None:
    modules = modules_after("profile", "--help")
    assert {each for each in modules if each.endswith("_command")} == {
        "gatecert.cli.profile_command"
    }


def test_unknown_command_suggests_the_nearest() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "gatecert", "statsu"], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 2
    assert "No such command 'statsu'. Did you mean 'status'? See" in finished.stderr


def test_help_names_arguments_without_types_and_braces() -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "gatecert", "client-ca", "add", "--help"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "client-ca add [OPTIONS] NAME FILE\n" in finished.stdout
    assert "  NAME  Gateway name." in finished.stdout
