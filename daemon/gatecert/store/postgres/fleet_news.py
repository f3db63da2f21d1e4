"""The view of the follower of the fleet's database: signs of life, news and tokens."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from gatecert.model.fleet_report import FleetReport
from gatecert.store.postgres import host_rows, news_rows, report_rows, token_rows
from gatecert.store.postgres.database import Database
from gatecert.store.postgres.news_rows import LackingVersion
from gatecert.store.postgres.token_rows import SharedToken

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.model.fleet import FleetHost


@dataclass(frozen=True, slots=True)
class News:
    """The facts that a host has to know now.

    Attributes:
        lacking: The newest versions that it lacks.
        tokens: Those of all hosts, its own as well.
        other_life: The life of another daemon that has signed with its name since it signed last.
        report: How the cluster fares; None between two signs of life.
    """

    lacking: frozenset[LackingVersion] = frozenset()
    tokens: tuple[SharedToken, ...] = ()
    other_life: UUID | None = None
    report: FleetReport | None = None


class FleetNews:
    """The fleet's database as the follower uses it, in one thread.

    Args:
        place: This host.
        life: Of its daemon.
    """

    def __init__(self, place: FleetHost, life: UUID) -> None:
        self._life = life
        self._database = Database(place, after_connect=news_rows.listen, pause=0)

    @property
    def descriptor(self) -> int | None:
        """A descriptor that is readable when the server may have hinted; None without one."""
        return self._database.descriptor

    def hinted(self) -> bool:
        """Tell whether the server has hinted since the last call.

        Raises:
            DatabaseError: The connection is lost.
        """
        return self._database.hinted()

    def look(self, *, sign: bool) -> News:
        """Read the news, and sign before that if it is time.

        Raises:
            DatabaseError: They cannot be read.
        """
        with self._database.transaction() as rows:
            before = host_rows.sign(rows, self._life) if sign else None
            if sign:
                token_rows.remove_abandoned(rows)
            return News(
                frozenset(news_rows.lacking(rows)),
                tuple(token_rows.read(rows)),
                None if before == self._life else before,
                report_rows.read(rows) if sign else None,
            )

    def acknowledge(self, tokens: Iterable[SharedToken]) -> None:
        """Tell that this host answers with tokens.

        Raises:
            DatabaseError: It cannot be told.
        """
        with self._database.transaction() as rows:
            token_rows.acknowledge(rows, tokens)

    def note_twice(self) -> None:
        """Have both daemons with this host's name order nothing for a while.

        Raises:
            DatabaseError: It cannot be noted.
        """
        with self._database.transaction() as rows:
            host_rows.note_twice(rows)

    def close(self) -> None:
        """Close the connection."""
        self._database.close()
