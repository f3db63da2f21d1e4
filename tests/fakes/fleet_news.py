"""A fleet's database as the follower sees it, without a server."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gatecert.errors import DatabaseError
from gatecert.model.fleet import DatabaseLogin, FleetHost
from gatecert.store.postgres.fleet_news import News
from gatecert.store.postgres.token_rows import SharedToken

if TYPE_CHECKING:
    from collections.abc import Iterable


PLACE = FleetHost(
    DatabaseLogin((("db", 5432),), "gatecert", "gw-a", Path("c"), Path("k"), Path("ca")),
    cluster="hq",
    host="gw-a",
    ring=1,
    sealing_keys=(),
    reserve=0,
)


def foreign(kind: str, token: str, key_authorization: str = "") -> SharedToken:
    """Return a token of another host that this one has not acknowledged."""
    text = key_authorization or f"{token}.thumbprint"
    return SharedToken(kind, token, text, is_foreign=True, is_acknowledged=False)


@dataclass
class PlayedNews:
    """The news that the test has; see ``NewsSource``.

    Attributes:
        away: Why the database cannot be used, if it cannot.
        looks: Whether each look has signed.
    """

    news: News = field(default_factory=News)
    away: DatabaseError | None = None
    looks: list[bool] = field(default_factory=list)
    acknowledged: list[SharedToken] = field(default_factory=list)
    noted: int = 0
    closed: int = 0
    hints: int = 0

    def __post_init__(self) -> None:
        self.read, self.write = os.pipe()

    @property
    def descriptor(self) -> int:
        return self.read

    def hint(self) -> None:
        """Have the server hint at news."""
        self.hints += 1
        os.write(self.write, b".")

    def hinted(self) -> bool:
        if not self.hints:
            return False
        self.hints -= 1
        os.read(self.read, 1)
        if self.away is not None:
            raise self.away
        return True

    def look(self, *, sign: bool) -> News:
        self.looks.append(sign)
        if self.away is not None:
            raise self.away
        return self.news

    def acknowledge(self, tokens: Iterable[SharedToken]) -> None:
        self.acknowledged += tokens

    def note_twice(self) -> None:
        self.noted += 1

    def close(self) -> None:
        self.closed += 1

    def release(self) -> None:
        """Release the pipe at the end of the test."""
        os.close(self.read)
        os.close(self.write)
