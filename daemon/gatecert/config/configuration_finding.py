"""Errors in a configuration, before their line is known."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Location: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """An error in a configuration.

    Attributes:
        location: The key with the error.
        what: What is wrong and what would be right.
        depends: Other keys that it follows from; if one of those is wrong, it is not reported.
    """

    location: Location
    what: str
    depends: tuple[Location, ...] = ()

    def concerns(self, others: Iterable[Location]) -> bool:
        """Check whether it depends on one of these keys, or on a key inside or around one."""
        mine = (self.location, *self.depends)
        return any(own[: len(other)] == other[: len(own)] for other in others for own in mine)


def nearest(written: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return a hint at the nearest known word, or ``otherwise``."""
    near = difflib.get_close_matches(written.lower(), list(known), 1)
    return f"did you mean {near[0]}?" if near else otherwise
