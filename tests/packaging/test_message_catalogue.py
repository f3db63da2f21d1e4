"""systemd accepts the package's message catalogue, and finds each entry."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from gatecert.doctor.message_catalogue import catalogued_codes
from gatecert.outcome_kinds import OutcomeKind
from gatecert.report.message_ids import message_id

if TYPE_CHECKING:
    from pathlib import Path


def journalctl(root: Path, *arguments: str) -> str:
    """Run journalctl on the catalogue below a directory; it says what it does not accept."""
    command = ["journalctl", f"--root={root}", "--no-pager", *arguments]
    finished = subprocess.run(command, capture_output=True, text=True, check=True)
    assert finished.stderr == ""
    return finished.stdout


@pytest.fixture(scope="module")
def root(tree: Path) -> Path:
    """The files of the package, with the catalogue's database."""
    journalctl(tree, "--update-catalog")
    return tree


def test_systemd_lists_every_entry(root: Path) -> None:
    listed = {line.split(maxsplit=1)[0] for line in journalctl(root, "--list-catalog").splitlines()}
    assert listed == {message_id(name) for name in (*OutcomeKind, *catalogued_codes())}


def test_systemd_shows_an_entry(root: Path) -> None:
    shown = journalctl(root, "--dump-catalog", message_id("challenge-failed"))
    assert "Subject: Gateway @GATECERT_GATEWAY@: challenge-failed" in shown
    assert "What to do: let the CA reach the gateway" in shown
