"""The alert rules, as Prometheus reads them."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.process import program

FOLDER = Path(__file__).resolve().parents[2] / "packaging/monitoring"


def promtool(*arguments: str | Path) -> None:
    command = [program("promtool"), *map(str, arguments)]
    finished = subprocess.run(command, capture_output=True, text=True, check=False)
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_the_rules_are_valid() -> None:
    promtool("check", "rules", "--lint-fatal", FOLDER / "gatecert.rules.yml")


@pytest.mark.parametrize("name", sorted(path.name for path in FOLDER.glob("*.test.yml")))
def test_alerts_fire_and_end(name: str) -> None:
    promtool("test", "rules", FOLDER / name)
