"""What is wrong with a configuration, before it is known in which line it stands."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

Location: TypeAlias = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        location: The key it is said of.
        what: What is wrong and what would be right.
        depends: Further keys it follows from; it says nothing if one of those is wrong itself.
    """

    location: Location
    what: str
    depends: tuple[Location, ...] = ()

    def concerns(self, others: Iterable[Location]) -> bool:
        """Whether it rests on one of these keys, or on something inside or around it."""
        mine = (self.location, *self.depends)
        return any(own[: len(other)] == other[: len(own)] for other in others for own in mine)


def nearest(written: str, known: Iterable[str], otherwise: str = "") -> str:
    """A hint at the nearest known word, or something else to say where none is near."""
    near = difflib.get_close_matches(written.lower(), list(known), 1)
    return f"did you mean {near[0]}?" if near else otherwise
