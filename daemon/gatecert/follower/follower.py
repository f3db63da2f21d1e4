"""The work of the follower: it signs for its host, tells the core of news, and answers challenges.

It looks every `HEARTBEAT`, and as soon as the server hints at news: a version, a token, a report.
A storm of hints costs two looks a second. Whatever it needs the database for waits while that is
away; hosts that lose it together come back at different times.
"""

from __future__ import annotations

import logging
import random
import select
import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, Protocol
from uuid import UUID

from gatecert.errors import DatabaseError
from gatecert.follower.foreign_tokens import ForeignTokens
from gatecert.follower.other_lives import OtherLives
from gatecert.model.fleet import HEARTBEAT
from gatecert.model.fleet_report import FleetReport
from gatecert.model.following import FollowingPlan
from gatecert.report import logs
from gatecert.store import storage_errors
from gatecert.store.postgres import host_rows
from gatecert.store.postgres.fleet_news import FleetNews
from gatecert.supervision.child_connection import Connection
from gatecert.supervision.messages import FleetSeen, Follow, Leave, Look
from gatecert.supervision.plain_values import from_plain, to_plain
from gatecert.supervision.record_sender import RecordSender

if TYPE_CHECKING:
    import socket
    from collections.abc import Callable, Iterable

    from gatecert.model.fleet import FleetHost
    from gatecert.store.postgres.fleet_news import News
    from gatecert.store.postgres.news_rows import LackingVersion
    from gatecert.store.postgres.token_rows import SharedToken

logger = logging.getLogger(__name__)

INTERVAL: Final = HEARTBEAT.total_seconds()
HINT_PAUSE: Final = 0.5  # seconds between two looks, whatever the server hints at
FIRST_PAUSE: Final = 10.0  # seconds at most, after the database was lost
LONGEST_PAUSE: Final = INTERVAL


class NewsSource(Protocol):
    """The fleet's database; see `FleetNews`."""

    @property
    def descriptor(self) -> int | None:
        """A descriptor that is readable when the server may have hinted; None without one."""
        ...

    def hinted(self) -> bool:
        """Tell whether the server has hinted; raise DatabaseError if the connection is lost."""
        ...

    def look(self, *, sign: bool) -> News:
        """Read the news, and sign before that if it is time."""
        ...

    def acknowledge(self, tokens: Iterable[SharedToken]) -> None:
        """Tell that this host answers with tokens."""
        ...

    def note_twice(self) -> None:
        """Have both daemons with this host's name order nothing for a while."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


def run(connection: socket.socket, level: int) -> None:
    """Follow the database until the core asks to leave or has ended.

    Args:
        connection: The connection to the core.
        level: Log records below it are not sent.
    """
    core = Connection(connection)
    logs.send_to(RecordSender(core), level)
    storage_errors.runs_as_daemon = True
    follower = Follower(core)
    try:
        while follower.step():
            continue
    except Exception:
        logger.exception("the follower cannot go on")
        raise
    finally:
        follower.close()


class Follower:
    """Follows the database by the plan of the core.

    Args:
        core: The connection to the core.
        open_source: Opens the database for a host and the life of its daemon.
        monotonic: The clock, in seconds.
    """

    def __init__(
        self,
        core: Connection,
        open_source: Callable[[FleetHost, UUID], NewsSource] = FleetNews,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._core = core
        self._open_source = open_source
        self._now = monotonic
        self._task: Follow | None = None
        self._host = ""
        self._source: NewsSource | None = None
        self._tokens: ForeignTokens | None = None
        self._authorities: dict[str, str] = {}
        self._since: datetime | None = None  # from when on the database can be used, or cannot
        self._lives = OtherLives()
        self._told: frozenset[LackingVersion] = frozenset()
        self._is_away = False
        self._is_twice = False
        self._looked_at = self._look_at = self._sign_at = monotonic()
        self._pause = FIRST_PAUSE

    def step(self) -> bool:
        """Wait for the core, a hint or the next look, and handle it; false once it is to leave."""
        descriptor = self._source.descriptor if self._source is not None else None
        sources = [self._core.fileno(), *([] if descriptor is None else [descriptor])]
        wait = max(0.0, self._look_at - self._now()) if self._source is not None else None
        readable, _, _ = select.select(sources, [], [], wait)
        if self._core.fileno() in readable:
            for message in self._core.receive():
                if isinstance(message, Leave):
                    return False
                if isinstance(message, Follow):
                    self._follow(message)
        if self._source is not None:
            self._tend(self._source)
        return True

    def close(self) -> None:
        """Answer for nobody any more, and close the connection to the database."""
        if self._tokens is not None:
            self._tokens.close()
        if self._source is not None:
            self._source.close()

    def _follow(self, task: Follow) -> None:
        """Work by another plan."""
        if task == self._task:
            return
        self.close()
        self._task, plan = task, from_plain(FollowingPlan, task.plan)
        self._host, self._authorities = plan.host.host, plan.authorities
        self._since = None
        self._source = self._open_source(plan.host, UUID(task.life))
        self._tokens = ForeignTokens(plan, listening=task.listening)
        self._told = frozenset()
        self._look_at = self._sign_at = self._now()

    # ------------------------------------------------------------------ the database

    def _tend(self, source: NewsSource) -> None:
        """Look if it is time."""
        try:
            if source.hinted():
                self._look_at = min(self._look_at, self._looked_at + HINT_PAUSE)
            if self._now() < self._look_at:
                return
            self._look(source, sign=self._now() >= self._sign_at)
        except DatabaseError as error:
            self._lost(error)
            source.close()
        else:
            self._found()

    def _look(self, source: NewsSource, *, sign: bool) -> None:
        news, now = source.look(sign=sign), self._now()
        answered = self._tokens.keep(news.tokens) if self._tokens is not None else []
        if answered:
            source.acknowledge(answered)
        names = sorted({each.gateway for each in news.lacking - self._told})
        if names:
            self._core.send(Look(names))
        self._told = news.lacking
        if sign:
            self._sign_at = now + INTERVAL * _part(0.6)
            is_twice = self._lives.signed(news.other_life, now)
            if is_twice and news.other_life is not None:
                source.note_twice()
            self._tell_twice(is_twice=is_twice)
        if news.report is not None:
            self._report(news.report)
        self._looked_at, self._look_at = now, self._sign_at

    def _report(self, report: FleetReport) -> None:
        """Have the monitor know of the fleet, with CAs by their names."""
        if self._is_away or self._since is None:
            self._since = datetime.now(UTC)
        in_flight = {name: report.in_flight.get(url, 0) for url, name in self._authorities.items()}
        told = replace(report, since=self._since, in_flight=in_flight)
        self._core.send(FleetSeen(to_plain(told)))

    def _tell_twice(self, *, is_twice: bool) -> None:
        """Say once that another daemon has this host's name, and once that it has ended."""
        if is_twice == self._is_twice:
            return
        self._is_twice = is_twice
        if is_twice:
            error = host_rows.twice(self._host)
            logger.error("%s (%s)", error, error.fix, extra={"fields": {"code": error.code}})
        else:
            logger.info("no other daemon is in the fleet as host %s any more", self._host)

    def _lost(self, error: DatabaseError) -> None:
        """Look again after a pause, each time longer."""
        if not self._is_away or self._since is None:
            self._since = datetime.now(UTC)
        if not self._is_away:
            self._is_away = True
            fields = {"fields": {"code": error.code}}
            logger.error("the fleet is not followed: %s", error, extra=fields)
        self._core.send(FleetSeen(to_plain(FleetReport(self._since, error.message, error.fix))))
        self._sign_at = self._now()  # as soon as it is back
        self._look_at = self._now() + self._pause * _part(0.1)
        self._pause = min(2 * self._pause, LONGEST_PAUSE)
        self._told = frozenset()

    def _found(self) -> None:
        if self._is_away:
            self._is_away, self._pause = False, FIRST_PAUSE
            logger.info("the fleet is followed again")


def _part(smallest: float) -> float:
    """Return a factor of up to one, so that a thousand hosts do not come together."""
    return random.uniform(smallest, 1.0)  # noqa: S311 - no secret
