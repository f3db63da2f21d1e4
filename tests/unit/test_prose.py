"""`docs/prose` finds the words that readers should not meet, and reports where they stand."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROSE = Path(__file__).resolve().parents[2] / "docs" / "prose"


def check(path: Path, text: str) -> subprocess.CompletedProcess[str]:
    path.write_text(text, "utf-8")
    return subprocess.run(
        [sys.executable, str(PROSE), str(path)], capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(
    ("name", "text", "line"),
    [
        ("page.md", "# Page\n\nIt renews for\never.\n", 3),
        ("code.py", '"""Code."""\n\nERROR = f"staging of no use: {1}"\n', 3),
        ("code.py", '"""Code."""\n\n# Trouble of\n# its own.\n', 3),
        ("code.py", '"""What it does."""\n', 1),
        ("code.py", '"""Code."""\n\n\ndef sum() -> None:\n    """Whether it sums."""\n', 5),
        ("a.conf", "key = value\n# told to leave\n", 2),
    ],
)
def test_a_planted_mistake_is_found(tmp_path: Path, name: str, text: str, line: int) -> None:
    checked = check(tmp_path / name, text)
    assert checked.returncode == 1
    assert checked.stderr.startswith(f"{tmp_path / name}:{line}: ")
    assert len(checked.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.md", "```\nsleep for ever\n```\nSet `for ever`.\n"),
        ("code.py", '"""Return the sum."""\n\nKEY = "patience"\n'),
        ("a.conf", "patience = 3\n# a comment\n"),
    ],
)
def test_code_is_not_prose(tmp_path: Path, name: str, text: str) -> None:
    checked = check(tmp_path / name, text)
    assert (checked.returncode, checked.stderr) == (0, "")
