"""The manual pages are correct, and man shows them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

PAGES = sorted((Path(__file__).resolve().parents[2] / "docs/man").iterdir())


def html(page: Path) -> str:
    return subprocess.run(
        ["mandoc", "-Thtml", page], capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_mandoc_finds_nothing_to_complain_about(page: Path) -> None:
    checked = subprocess.run(
        ["mandoc", "-Tlint", "-Wall", page], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_a_reader_sees_commands_keys_and_codes() -> None:
    config, command = (" ".join(shown.split()) for shown in map(html, PAGES))
    assert "<b>hostname</b> (DNS name, required)" in config
    for part in (">EXIT STATUS</a>", ">client-ca add</h2>", "--config", "<b>SIGHUP</b>"):
        assert part in command
