"""Figures with their targets, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING

import psutil
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: Shown in the table.
        unit: Of the samples and the target.
        samples: All measurements, in their order.
        target: The required value; None for a comparison only.
        at_least: True if more is better.
    """

    name: str
    unit: str
    samples: Sequence[float]
    target: float | None = None
    at_least: bool = False

    @property
    def value(self) -> float:
        """The median."""
        return median(self.samples)

    @property
    def met(self) -> bool | None:
        """True if the target is met; None without a target."""
        if self.target is None:
            return None
        return self.value >= self.target if self.at_least else self.value <= self.target


@dataclass(slots=True)
class Report:
    """All figures of a run."""

    figures: list[Figure] = field(default_factory=list)
    peers: dict[str, str] = field(default_factory=dict)

    def add(self, figure: Figure) -> Figure:
        """Add a figure and return it."""
        self.figures.append(figure)
        return figure

    def write(self, path: Path) -> None:
        """Write everything as JSON, every sample included."""
        document = {
            "version": 1,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                "processors": psutil.cpu_count(),
                "memory_bytes": psutil.virtual_memory().total,
                "system": platform.platform(),
                "python": platform.python_version(),
            },
            "versions": {"gatecert": version("gatecert"), **self.peers},
            "figures": [
                {
                    **asdict(figure),
                    "samples": [round(sample, 4) for sample in figure.samples],
                    "median": round(figure.value, 4),
                    "met": figure.met,
                }
                for figure in self.figures
            ],
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")

    def show(self, console: Console) -> None:
        """Print everything as a table."""
        table = Table(box=None, pad_edge=False)
        table.add_column("figure")
        for column in ("median", "worst", "runs", "target", "met"):
            table.add_column(column, justify="right")
        for figure in self.figures:
            worst = min(figure.samples) if figure.at_least else max(figure.samples)
            sign = "≥" if figure.at_least else "≤"
            table.add_row(
                figure.name,
                f"{figure.value:.3g} {figure.unit}",
                f"{worst:.3g} {figure.unit}",
                str(len(figure.samples)),
                "" if figure.target is None else f"{sign} {figure.target:g} {figure.unit}",
                {True: "yes", False: "NO", None: ""}[figure.met],
            )
        console.print(table)
