"""A `Measure` that keeps what it gets."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class Measured:
    """All that was measured, in order."""

    all: list[tuple[str, dict[str, str], float]] = field(default_factory=list)

    def __call__(self, name: str, labels: Mapping[str, str], value: float) -> None:
        self.all.append((str(name), {key: str(text) for key, text in labels.items()}, value))

    def values(self, name: str, **labels: str) -> list[float]:
        """Return the values of a measurement with these labels and perhaps others."""
        return [
            value
            for each, given, value in self.all
            if each == name and labels.items() <= given.items()
        ]
