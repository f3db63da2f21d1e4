"""Resolvers that answer without a nameserver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.fakes.clock import MINUTE

from gatecert.resolve.lookup import LookupResult, LookupStatus

if TYPE_CHECKING:
    from collections.abc import Sequence


class NoNames:
    """A resolver that nobody should ask."""

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        raise AssertionError(f"{names} were looked up")


HERE, ELSEWHERE = "192.0.2.7", "198.51.100.9"


class Names:
    """A resolver that knows one address for every name, unless it ends otherwise."""

    def __init__(self) -> None:
        self.address = HERE
        self.ending = LookupStatus.ADDRESSES
        self.unknown = ""
        self.asked = 0

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        self.asked += 1
        found = (self.address,) if self.ending is LookupStatus.ADDRESSES else ()
        return tuple(
            LookupResult(name, self.ending, found, MINUTE, unknown=self.unknown) for name in names
        )
