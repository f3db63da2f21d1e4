"""The metrics as Prometheus's own tool reads them: syntax, names, units and help texts."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from tests.fakes.every_metric import every_metric
from tests.fakes.gateway_statuses import BOSTON

from gatecert.monitoring.metrics import Metrics
from gatecert.monitoring.textfile import write_textfile

if TYPE_CHECKING:
    from pathlib import Path

HOSTILE = 'a"b\\c\nd\\n{e="f"} 1\u2028\x85\r\x1b[31m<script>é😀'


def complaints(text: bytes) -> str:
    """Return what promtool says of metrics; empty if they are sound."""
    checked = subprocess.run(
        ["promtool", "check", "metrics"], input=text, capture_output=True, check=False
    )
    said = (checked.stdout + checked.stderr).decode()
    assert bool(said) == bool(checked.returncode), said
    return said


def test_the_check_finds_errors() -> None:
    assert "counter metrics should have" in complaints(b"# TYPE orders counter\norders 1\n")
    assert "parsing error" in complaints(b'a{b="c"d"} 1\n')


@pytest.mark.parametrize("per_gateway", [True, False])
def test_every_metric_is_sound(*, per_gateway: bool, tmp_path: Path) -> None:
    file = tmp_path / "gatecert.prom"
    write_textfile(file, every_metric(per_gateway=per_gateway))
    assert not complaints(file.read_bytes())


def test_nothing_known_is_sound() -> None:
    metrics = Metrics(per_gateway=True, version="0.1.0")
    assert not complaints(metrics.exposition("")[1])


def test_hostile_names_are_sound() -> None:
    metrics = every_metric()
    metrics.describe(replace(BOSTON, name=HOSTILE))
    assert not complaints(metrics.exposition("")[1])
