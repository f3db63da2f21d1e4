"""Figures with their targets, as a table for people and as JSON for programs."""

from __future__ import annotations

import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from statistics import median
from typing import TYPE_CHECKING, Any

import psutil
from rich.table import Table

if TYPE_CHECKING:
    from pathlib import Path

    from rich.console import Console

COLUMNS = ("figure", "before", "wanted", "gatecert", "met", "Caddy", "certbot")


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure.

    Attributes:
        name: Shown in the table.
        unit: Of all numbers.
        samples: All measurements of gatecert, in their order; empty if it could not be measured.
        before: The value before gatecert had workers; None if it was not measured then.
        wanted: The required value; None for a comparison only.
        at_least: True if more is better.
        peers: Measurements of ``Caddy`` and ``certbot`` in the same run.
        problem: Why there is no measurement, one line; empty otherwise.
    """

    name: str
    unit: str
    samples: Sequence[float]
    before: float | None = None
    wanted: float | None = None
    at_least: bool = False
    peers: Mapping[str, Sequence[float]] = field(default_factory=dict)
    problem: str = ""

    @property
    def value(self) -> float:
        """The median.

        Raises:
            StatisticsError: There are no samples.
        """
        return median(self.samples)

    @property
    def met(self) -> bool | None:
        """True if the target is met; None without a target or without samples."""
        if self.wanted is None or not self.samples:
            return None
        return self.value >= self.wanted if self.at_least else self.value <= self.wanted

    def cells(self) -> Iterator[str]:
        """Return the cells of a row, one for each of ``COLUMNS``."""
        sign = "≥" if self.at_least else "≤"
        yield f"{self.name}, {self.unit}" if self.unit else self.name
        yield "" if self.before is None else f"{self.before:g}"
        yield "" if self.wanted is None else f"{sign} {self.wanted:g}"
        yield summary(self.samples) or "—"
        yield {True: "yes", False: "NO", None: ""}[self.met]
        for peer in COLUMNS[5:]:
            yield summary(self.peers.get(peer, ()))

    @classmethod
    def from_json(cls, known: Mapping[str, Any]) -> Figure:
        """Return the figure that ``as_json`` described."""
        peers = {name: each["samples"] for name, each in known["peers"].items()}
        names = ("name", "unit", "samples", "before", "wanted", "at_least", "problem")
        return cls(**{name: known[name] for name in names}, peers=peers)

    def as_json(self) -> dict[str, Any]:
        """Return everything that is known, every sample included."""
        return {
            "name": self.name,
            "unit": self.unit,
            "before": self.before,
            "wanted": self.wanted,
            "at_least": self.at_least,
            "met": self.met,
            "problem": self.problem,
            **statistics(self.samples),
            "peers": {name: statistics(samples) for name, samples in self.peers.items()},
        }


@dataclass(slots=True)
class Report:
    """All figures of a run, by the group that was measured together."""

    groups: dict[str, list[Figure]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)

    @property
    def figures(self) -> list[Figure]:
        """The figures of all groups."""
        return [figure for group in self.groups.values() for figure in group]

    def read(self, path: Path) -> None:
        """Take the figures of an earlier run, if its file exists."""
        if path.exists():
            known = json.loads(path.read_text("utf-8"))["groups"]
            for name, figures in known.items():
                self.groups[name] = [Figure.from_json(figure) for figure in figures]

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        document = {
            "version": 2,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                "processors": psutil.cpu_count(),
                "memory_bytes": psutil.virtual_memory().total,
                "system": platform.platform(),
                "python": platform.python_version(),
            },
            "versions": {"gatecert": version("gatecert"), **self.versions},
            "groups": {
                name: [figure.as_json() for figure in figures]
                for name, figures in self.groups.items()
            },
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", "utf-8")

    def show(self, console: Console) -> None:
        """Print everything as a table."""
        table = Table(box=None, pad_edge=False)
        for column in COLUMNS:
            table.add_column(column, justify="left" if column == "figure" else "right")
        for figure in self.figures:
            table.add_row(*figure.cells())
        console.print(table)
        for figure in self.figures:
            if figure.problem:
                console.print(f"{figure.name}: not measured: {figure.problem}", markup=False)


def statistics(samples: Sequence[float]) -> dict[str, Any]:
    """Return the samples with their median and extremes; without these if there are none."""
    if not samples:
        return {"samples": []}
    return {
        "samples": [round(sample, 4) for sample in samples],
        "minimum": round(min(samples), 4),
        "median": round(median(samples), 4),
        "maximum": round(max(samples), 4),
    }


def summary(samples: Sequence[float]) -> str:
    """Return the median and, of several samples, the extremes; empty if there are none."""
    if not samples:
        return ""
    middle = number(median(samples))
    if len(samples) == 1:
        return middle
    return f"{middle} ({number(min(samples))} to {number(max(samples))})"


def number(value: float) -> str:
    """Return a number with three significant digits, never in exponents."""
    if abs(value) >= 100:  # noqa: PLR2004 - from here on all digits before the point are significant
        return f"{value:.0f}"
    return f"{float(f'{value:.3g}'):g}"
