"""The follower: when it looks and signs, and what it tells the core."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import TYPE_CHECKING, TypeVar
from uuid import UUID

import pytest
from tests.fakes.fleet_news import PLACE, PlayedNews, foreign
from tests.fakes.worker_core import PlayedCore
from tests.fakes.worker_process import Seconds

from gatecert.errors import DatabaseAwayError, DatabaseError
from gatecert.follower.follower import HINT_PAUSE, INTERVAL, LONGEST_PAUSE, Follower
from gatecert.model.fleet_report import FleetReport
from gatecert.model.following import FollowingPlan, ResponsePlace
from gatecert.store.postgres.fleet_news import News
from gatecert.store.postgres.news_rows import LackingVersion
from gatecert.supervision.messages import FleetSeen, Follow, Leave, Look, Message, encode
from gatecert.supervision.plain_values import from_plain, to_plain

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from gatecert.model.fleet import FleetHost

URL = "https://acme-v02.api.letsencrypt.org/directory"
LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
LIFE, OTHER = UUID(int=1), UUID(int=2)
BOSTON, HQ = LackingVersion("boston", 3, None), LackingVersion("hq", 5, None)
AWAY = DatabaseAwayError("the fleet's database db:5432 does not answer")


Kind = TypeVar("Kind", bound=Message)


class Played:
    """A follower between a played core and a played database."""

    def __init__(self, directory: Path) -> None:
        self.core = PlayedCore()
        self.core.socket.settimeout(20.0)  # for a message that does not come
        self.seconds = Seconds()
        self.source = PlayedNews()
        self._received: list[Message] = []
        self.opened: list[tuple[FleetHost, UUID]] = []
        self.follower = Follower(self.core.connection, self.open, self.seconds)
        authorities = {URL: "letsencrypt", "https://ca.example/directory": "private"}
        plan = FollowingPlan(directory, PLACE, ResponsePlace(), authorities=authorities)
        self.task = Follow(to_plain(plan), str(LIFE), listening=True)
        self.tell(self.task)

    def open(self, place: FleetHost, life: UUID) -> PlayedNews:
        self.opened.append((place, life))
        return self.source

    def tell(self, *messages: Follow | Leave) -> bool:
        """Have the core send messages, and the follower handle them."""
        self.core.socket.sendall(b"".join(map(encode, messages)))
        return self.follower.step()

    def later(self, news: News | None = None, *, seconds: float = INTERVAL) -> None:
        """Let time pass, after which there may be other news."""
        self.source.news = news or self.source.news
        self.seconds.now += seconds
        self.source.hint()  # so that it does not wait
        self.follower.step()

    def reported(self) -> FleetReport:
        """Return what the monitor is told next."""
        return from_plain(FleetReport, self._next(FleetSeen).report)

    def looked(self) -> list[str]:
        """Return the gateways of the next message."""
        return self._next(Look).gateways

    def _next(self, kind: type[Kind]) -> Kind:
        """Return the next message of a kind; others before it are dropped."""
        while True:
            self._received = self._received or self.core.received(1)
            message = self._received.pop(0)
            if isinstance(message, kind):
                return message


@pytest.fixture
def played(tmp_path: Path) -> Iterator[Played]:
    played = Played(tmp_path)
    yield played
    played.core.socket.close()
    played.core.theirs.close()
    played.source.release()


def test_it_signs_at_once_and_then_regularly(played: Played) -> None:
    assert played.opened == [(PLACE, LIFE)]
    assert played.source.looks == [True]
    played.later()
    played.later()
    assert played.source.looks == [True, True, True]


def test_hints_make_it_look_but_not_sign_and_a_storm_is_bounded(played: Played) -> None:
    played.later(seconds=HINT_PAUSE)
    assert played.source.looks == [True, False]
    for _ in range(10):
        played.later(seconds=HINT_PAUSE / 20)
    assert played.source.looks == [True, False]
    played.later(seconds=HINT_PAUSE)
    assert played.source.looks == [True, False, False]


def test_the_core_is_told_of_each_version_once(played: Played) -> None:
    played.later(News(lacking=frozenset({HQ, BOSTON})))
    assert played.looked() == ["boston", "hq"]
    reported = HQ._replace(changed=datetime(2026, 11, 30, tzinfo=UTC))
    played.later(News(lacking=frozenset({reported, BOSTON})))
    assert played.looked() == ["hq"]
    played.later(News(lacking=frozenset()))
    played.later(News(lacking=frozenset({BOSTON._replace(generation=4)})))
    assert played.looked() == ["boston"]


def test_what_it_answers_is_acknowledged(played: Played) -> None:
    token = foreign("http-01", "token")
    played.later(News(tokens=(token,)))
    assert played.source.acknowledged == [token]
    played.later(News(tokens=(token._replace(is_acknowledged=True),)))
    assert played.source.acknowledged == [token]


def test_without_the_database_it_comes_back_after_ever_longer_pauses(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    played.later(News(lacking=frozenset({BOSTON})))
    assert played.looked() == ["boston"]
    played.source.away = AWAY
    for _ in range(6):
        played.later(seconds=LONGEST_PAUSE)
    assert played.source.closed == 6
    assert [each.message for each in caplog.records] == [f"the fleet is not followed: {AWAY}"]
    played.source.away = None
    played.later(seconds=LONGEST_PAUSE)
    assert caplog.messages[-1] == "the fleet is followed again"
    assert played.looked() == ["boston"]  # what happened meanwhile is not known


def test_the_monitor_is_told_at_each_sign_how_the_fleet_is(played: Played) -> None:
    seen = FleetReport(LONG_AGO, hosts=2, silent=("gw-b",), in_flight={URL: 3, "other": 4})
    played.later(News(report=seen))
    first = played.reported()
    assert (first.hosts, first.silent) == (2, ("gw-b",))
    assert first.in_flight == {"letsencrypt": 3, "private": 0}  # names of the configuration only
    assert (first.is_up, first.since > LONG_AGO) == (True, True)
    played.later(News(report=seen))
    assert played.reported() == first

    played.source.away = AWAY
    played.later()
    away = played.reported()
    assert (away.problem, away.fix) == (AWAY.message, AWAY.fix)
    assert away.since >= first.since
    played.later()
    assert played.reported() == away
    played.source.away = None
    played.later(seconds=LONGEST_PAUSE)
    assert played.reported().since > first.since


def test_another_daemon_with_this_name_is_said_once_and_noted_as_long_as_it_signs(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(4):
        played.later(News(other_life=OTHER))
    assert played.source.noted == 3
    (line,) = caplog.messages
    assert "another daemon is in the fleet as host gw-a as well" in line
    for _ in range(6):
        played.later(News(other_life=None))
    assert played.source.noted == 3
    assert caplog.messages[1:] == ["no other daemon is in the fleet as host gw-a any more"]


def test_a_reload_changes_the_plan_and_not_the_life(played: Played, tmp_path: Path) -> None:
    played.tell(played.task)
    assert len(played.opened) == 1
    plan = FollowingPlan(tmp_path, PLACE, ResponsePlace(webroot=tmp_path))
    played.tell(Follow(to_plain(plan), str(LIFE), listening=False))
    assert played.opened == [(PLACE, LIFE)] * 2
    assert played.source.closed == 1
    assert played.source.looks == [True, True]


def test_it_leaves_when_it_is_told_to(played: Played) -> None:
    assert not played.tell(Leave())
    played.follower.close()
    assert played.source.closed == 1


def test_a_refused_login_is_said_with_its_code(
    played: Played, caplog: pytest.LogCaptureFixture
) -> None:
    played.source.away = DatabaseError("refused")
    played.later()
    (record,) = caplog.records
    assert vars(record)["fields"] == {"code": "database"}
