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

    def concerns(self, wrong: WrongKeys) -> bool:
        """Check whether it depends on a wrong key, or on a key inside or around one."""
        return any(wrong.touch(each) for each in (self.location, *self.depends))


class WrongKeys:
    """Keys that are wrong, for errors that would only follow from them."""

    def __init__(self) -> None:
        self._keys: set[Location] = set()
        self._around: set[Location] = set()

    def add(self, location: Location) -> None:
        """Add a key."""
        self._keys.add(location)
        self._around.update(location[:length] for length in range(len(location) + 1))

    def touch(self, location: Location) -> bool:
        """Check whether a key is wrong, or inside or around one that is.

        A key of a gateway may come from ``defaults``, and is wrong if it is wrong there.
        """
        if location[:1] == ("gateways",) and len(location) > 2:  # noqa: PLR2004 - below a name
            shared: Location = ("defaults", *location[2:])
            return self._touch(location) or self._touch(shared)
        return self._touch(location)

    def _touch(self, location: Location) -> bool:
        inside = (location[:length] in self._keys for length in range(len(location) + 1))
        return location in self._around or any(inside)


def nearest(written: str, known: Iterable[str], otherwise: str = "") -> str:
    """Return a hint at the nearest known word, or ``otherwise``."""
    words = {word.lower(): word for word in known}
    near = difflib.get_close_matches(written.lower(), words, 1)
    return f"did you mean {words[near[0]]}?" if near else otherwise
