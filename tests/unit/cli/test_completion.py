"""Candidates for the word that an operator is typing."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gatecert.cli.command_line import app
from gatecert.cli.completion import SHELLS, candidates
from gatecert.cli.completion_scripts import FILES, SCRIPTS
from gatecert.cli.options import COMPLETION_VARIABLE

SHOW_IMPORTS = """
import sys
from gatecert.__main__ import main
try:
    main()
finally:
    print("MODULES", *(name for name in sys.modules))
"""


@pytest.fixture
def configuration(tmp_path: Path) -> str:
    path = tmp_path / "config.yaml"
    path.write_text(
        "include: [more.yaml]\n"
        "authorities: {letsencrypt: {}, zerossl: {}}\n"
        "gateways:\n"
        "  boston: {hostname: 7}\n"
        "  hq: {members: {primary: {}, spare: {}}}\n",
        "utf-8",
    )
    (tmp_path / "more.yaml").write_text("gateways: {berlin: {}}\n", "utf-8")
    return str(path)


def values(*words: str, typed_in: str = "zsh") -> list[str]:
    return [value for kind, value, _ in candidates(app, words, typed_in) if kind == "plain"]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["status", "b"], ["berlin", "boston"]),
        (["status", "boston", "b"], ["berlin"]),
        (["check", "--explain", "h"], ["hq"]),
        (["csr", "hq", "--member", ""], ["primary", "spare"]),
        (["account", "rollover", "z"], ["zerossl"]),
        (["client-ca", "list", "bo"], ["boston"]),
    ],
)
def test_names_come_from_the_configuration(
    words: list[str], expected: list[str], configuration: str
) -> None:
    assert values("-c", configuration, *words) == expected
    command, *rest = words
    assert values(command, "-c", configuration, *rest) == expected
    assert values("--config", "=", configuration, *words, typed_in="bash") == expected


def test_an_unreadable_configuration_is_an_error_for_nobody(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "gatecert", "-c", str(tmp_path / "missing"), "status", "b"],
        env={**os.environ, COMPLETION_VARIABLE: "bash"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (finished.returncode, finished.stdout, finished.stderr) == (0, "", "")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["en"], ["enroll"]),
        (["help", "en"], ["enroll"]),
        (["client-ca", "re"], ["remove"]),
        (["enroll", "--dr"], ["--dry-run"]),
        (["revoke", "hq", "--by", ""], ["account", "certificate"]),
        (["revoke", "hq", "--reason", "s"], ["superseded"]),
        (["init", "--server", "ng"], ["nginx"]),
        (["init", "--authority", "lets"], ["letsencrypt", "letsencrypt-staging"]),
        (["init", "--challenge", "http"], ["http-01"]),
        (["status", "--check=t"], ["trusted"]),
        (["completion", ""], list(SHELLS)),
        (["renew", "xyz"], []),
    ],
)
def test_commands_options_and_values(words: list[str], expected: list[str]) -> None:
    assert values(*words) == expected


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        (["-c", "/etc/"], "file"),
        (["status", "-c", "/etc/"], "file"),
        (["import", "hq", "--chain", ""], "file"),
        (["client-ca", "add", "hq", "ca"], "file"),
        (["adopt", "/etc/lets"], "directory"),
    ],
)
def test_paths_are_completed_by_the_shell(words: list[str], kind: str) -> None:
    assert candidates(app, words, "fish") == [(kind, words[-1], "")]


@pytest.mark.parametrize(
    ("words", "joined"),
    [
        (["status", "--check", "="], ["serving", "trusted"]),
        (["status", "--check", "=", "t"], ["trusted"]),
    ],
)
def test_bash_splits_words_at_equals_signs(words: list[str], joined: list[str]) -> None:
    assert values(*words, typed_in="bash") == joined


def test_only_the_module_of_the_command_is_imported() -> None:
    finished = subprocess.run(
        [sys.executable, "-c", SHOW_IMPORTS, "profile", "--"],
        env={**os.environ, COMPLETION_VARIABLE: "fish"},
        capture_output=True,
        text=True,
        check=True,
    )
    *lines, last = finished.stdout.splitlines()
    modules = set(last.split())
    assert any(line.startswith("plain\t--output\t") for line in lines)
    assert {each for each in modules if each.endswith("_command")} == {
        "gatecert.cli.profile_command"
    }
    assert modules.isdisjoint({"rich", "acme", "cryptography", "dns"})


def test_scripts_are_those_of_the_package() -> None:
    assert SCRIPTS.keys() == FILES.keys() == set(SHELLS)
    directory = Path(__file__).parents[3] / "packaging" / "completions"
    for shell, name in FILES.items():
        assert (directory / name).read_text("utf-8") == SCRIPTS[shell]
