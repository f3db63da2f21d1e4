"""The follower's view of a real database: signs of life, hints, news and tokens."""

from __future__ import annotations

import select
from dataclasses import replace
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import pytest
from cryptography.fernet import Fernet

from gatecert.deadline import Deadline
from gatecert.errors import DatabaseAwayError, HostTwiceError
from gatecert.store.postgres import lease_rows
from gatecert.store.postgres.database import Database
from gatecert.store.postgres.fleet_news import FleetNews, News
from gatecert.store.postgres.fleet_store import FleetStore
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from .conftest import FleetDatabase

A, B, LAB = "hq-gw-a", "hq-gw-b", "lab-gw-a"
SILENT = "UPDATE host SET seen = clock_timestamp() - interval '2 minutes' WHERE name = 'gw-a'"


@pytest.fixture
def open_news(database: FleetDatabase) -> Iterator[Callable[..., FleetNews]]:
    """Follow as a host; each time as another daemon."""
    opened = []

    def open_news(role: str = A, life: UUID | None = None) -> FleetNews:
        opened.append(FleetNews(database.place(role), life or uuid4()))
        return opened[-1]

    yield open_news
    for each in opened:
        each.close()


@pytest.fixture
def store(database: FleetDatabase, tmp_path: Path) -> Iterator[FleetStore]:
    """The store of host gw-a, which has been seen."""
    database.execute("UPDATE host SET seen = now() WHERE login = 'hq-gw-a'", "SELECT 1")
    key = tmp_path / "seal"
    key.touch(0o600)
    key.write_bytes(Fernet.generate_key())
    place = replace(database.place(A), sealing_keys=(key,))
    store = FleetStore(tmp_path / "state", place, pause=0.0)
    yield store
    store.database.close()


def add_version(database: FleetDatabase, generation: int, host: str = "gw-b") -> None:
    database.execute(
        "INSERT INTO gateway (cluster, name) VALUES ('hq', 'vpn') ON CONFLICT DO NOTHING",
        "INSERT INTO version (cluster, gateway, generation, fingerprint, not_after, certificate, "
        f"sealed_key, host) VALUES ('hq', 'vpn', {generation}, 'f', now(), 'c', 'k', '{host}')",
        "SELECT 1",
    )


def report(database: FleetDatabase, host: str, generation: int, outcome: str = "proven") -> None:
    database.execute(
        "INSERT INTO deployment (cluster, gateway, host, generation, outcome) "
        f"VALUES ('hq', 'vpn', '{host}', {generation}, '{outcome}') "
        "ON CONFLICT (cluster, gateway, host) DO UPDATE SET generation = excluded.generation, "
        "outcome = excluded.outcome, at = clock_timestamp()",
        "SELECT 1",
    )


def lacking(news: News) -> list[tuple[str, int]]:
    return [(each.gateway, each.generation) for each in news.lacking]


def is_hinted(news: FleetNews, seconds: float = 10.0) -> bool:
    """Wait for a hint, for some seconds."""
    assert news.descriptor is not None
    select.select([news.descriptor], [], [], seconds)
    return news.hinted()


# ---------------------------------------------------------------------- versions


def test_a_host_lacks_what_another_has_obtained_and_it_has_not_reported(
    database: FleetDatabase, open_news: Callable[..., FleetNews]
) -> None:
    news, of_its_host = open_news(A), open_news(B)
    add_version(database, 3)
    assert lacking(news.look(sign=False)) == [("vpn", 3)]
    assert lacking(of_its_host.look(sign=False)) == []
    assert lacking(open_news(LAB).look(sign=False)) == []
    add_version(database, 4)
    assert lacking(news.look(sign=False)) == [("vpn", 4)]
    report(database, "gw-a", 4)
    assert lacking(news.look(sign=False)) == []


@pytest.mark.parametrize("obtained_by", ["gw-a", "gw-b"])
def test_a_host_that_waits_for_others_looks_again_when_they_have_reported(
    database: FleetDatabase, open_news: Callable[..., FleetNews], obtained_by: str
) -> None:
    add_version(database, 3, host=obtained_by)
    news = open_news(A)
    report(database, "gw-a", 3, "pending")
    before = news.look(sign=False)
    report(database, "gw-b", 3)
    after = news.look(sign=False)
    assert lacking(before) == lacking(after) == [("vpn", 3)]
    assert before.lacking != after.lacking
    assert news.look(sign=False).lacking == after.lacking
    report(database, "gw-a", 3)
    assert lacking(news.look(sign=False)) == []


def test_a_host_that_waits_looks_again_when_the_operator_has_resumed(
    database: FleetDatabase, open_news: Callable[..., FleetNews]
) -> None:
    add_version(database, 3)
    news = open_news(A)
    report(database, "gw-a", 3, "pending")
    before = news.look(sign=False).lacking
    database.execute("UPDATE fleet SET resumed = now()", "SELECT 1")
    after = news.look(sign=False).lacking
    assert before != after == news.look(sign=False).lacking


def test_old_versions_and_those_without_a_key_are_no_news(
    database: FleetDatabase, open_news: Callable[..., FleetNews]
) -> None:
    add_version(database, 3)
    database.execute("UPDATE version SET created = now() - interval '26 hours'", "SELECT 1")
    assert lacking(open_news().look(sign=False)) == []
    database.execute("UPDATE version SET created = now(), sealed_key = NULL", "SELECT 1")
    assert lacking(open_news().look(sign=False)) == []


# ---------------------------------------------------------------------- hints


def test_the_server_hints_at_versions_reports_and_tokens_of_the_own_cluster(
    database: FleetDatabase, open_news: Callable[..., FleetNews], store: FleetStore
) -> None:
    news, of_lab = open_news(B), open_news(LAB)
    for each in (news, of_lab):
        each.look(sign=True)
    changes: list[Callable[[], None]] = [
        lambda: add_version(database, 3),
        lambda: report(database, "gw-a", 3),
        lambda: report(database, "gw-a", 4),
        lambda: store.put_token("http-01", "token", "token.thumbprint"),
        lambda: store.remove_token("http-01", "token"),
    ]
    for change in changes:
        change()
        assert is_hinted(news)
        assert not news.hinted()
    news.look(sign=True)  # a sign of life is no news
    assert not is_hinted(news, 0.1)
    assert not is_hinted(of_lab, 0.1)


def test_a_connection_that_is_lost_is_opened_again_and_hinted_on(
    database: FleetDatabase, open_news: Callable[..., FleetNews]
) -> None:
    news = open_news()
    news.look(sign=False)
    database.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'hq-gw-a'"
    )
    with pytest.raises(DatabaseAwayError, match="was lost"):
        wait_until(lambda: is_hinted(news, 1.0), "the end of the connection")
    assert news.descriptor is None
    news.look(sign=False)
    add_version(database, 3)
    assert is_hinted(news)


# ---------------------------------------------------------------------- lives


def test_a_sign_says_which_other_daemon_has_signed(
    database: FleetDatabase, open_news: Callable[..., FleetNews]
) -> None:
    one, two = uuid4(), uuid4()
    first, second = open_news(A, one), open_news(A, two)
    assert [each.look(sign=True).other_life for each in (first, first)] == [None, None]
    assert second.look(sign=True).other_life == one
    assert second.look(sign=True).other_life is None
    assert first.look(sign=True).other_life == two
    assert first.look(sign=False).other_life is None
    asked = "SELECT life, now() - seen < interval '10 s' FROM host WHERE life IS NOT NULL"
    assert database.execute(asked) == [(one, True)]


def test_two_daemons_with_one_name_order_nothing_for_two_minutes(
    database: FleetDatabase, open_news: Callable[..., FleetNews], store: FleetStore
) -> None:
    open_news(A).note_twice()
    with (
        pytest.raises(HostTwiceError, match="another daemon is in the fleet as host gw-a as well"),
        store.lease("vpn"),
    ):
        pass
    own = store.database
    with pytest.raises(HostTwiceError), own.transaction() as rows:
        lease_rows.claim_most_urgent(rows, 60.0)
    other = Database(database.place(B))
    with other.transaction() as rows:
        assert lease_rows.claim(rows, "vpn", 60.0)
        lease_rows.release(rows, "vpn", UUID(int=0))
    other.close()
    database.execute(
        "UPDATE host SET twice = now() - interval '2 minutes'",
        "UPDATE gateway SET lease = NULL",
        "SELECT 1",
    )
    with store.lease("vpn"):
        pass


# ---------------------------------------------------------------------- tokens


def test_the_issuer_waits_until_all_live_hosts_have_acknowledged(
    open_news: Callable[..., FleetNews], store: FleetStore
) -> None:
    news = open_news(B)
    store.put_token("http-01", "before", "before.thumbprint")
    assert store.wait_for_hosts("http-01", "before", Deadline.after(60)) == ()  # none was seen
    (found,) = news.look(sign=True).tokens
    assert (found.token, found.is_foreign, found.is_acknowledged) == ("before", True, False)
    assert store.wait_for_hosts("http-01", "before", Deadline.after(0.0)) == ("gw-b",)
    news.acknowledge([found])
    assert store.wait_for_hosts("http-01", "before", Deadline.after(60)) == ()
    (found,) = news.look(sign=False).tokens
    assert found.is_acknowledged


def test_another_answer_for_a_token_has_to_be_acknowledged_anew(
    open_news: Callable[..., FleetNews], store: FleetStore
) -> None:
    """Of tls-alpn-01, since there a name is the token."""
    news = open_news(B)
    store.put_token("tls-alpn-01", "name", "first.thumbprint")
    news.acknowledge(news.look(sign=True).tokens)
    store.put_token("tls-alpn-01", "name", "second.thumbprint")
    assert store.wait_for_hosts("tls-alpn-01", "name", Deadline.after(0.0)) == ("gw-b",)
    store.remove_token("tls-alpn-01", "name")
    news.acknowledge(news.look(sign=False).tokens)


def test_a_token_that_is_gone_is_acknowledged_without_an_error(
    open_news: Callable[..., FleetNews], store: FleetStore
) -> None:
    news = open_news(B)
    store.put_token("http-01", "token", "token.thumbprint")
    found = news.look(sign=True).tokens
    store.remove_token("http-01", "token")
    news.acknowledge(found)
    assert news.look(sign=False).tokens == ()


def test_a_silent_host_is_not_waited_for_longer_than_it_takes_to_answer(
    open_news: Callable[..., FleetNews], store: FleetStore, database: FleetDatabase
) -> None:
    open_news(B).look(sign=True)
    store.put_token("http-01", "token", "token.thumbprint")
    after = Deadline.after(60)
    assert store.wait_for_hosts("http-01", "token", after) == ("gw-b",)
    assert not after.passed
    database.execute(SILENT.replace("gw-a", "gw-b"), "SELECT 1")
    assert store.wait_for_hosts("http-01", "token", Deadline.after(60)) == ()


def test_tokens_of_a_host_that_is_not_live_are_removed(
    open_news: Callable[..., FleetNews], store: FleetStore, database: FleetDatabase
) -> None:
    store.put_token("http-01", "token", "token.thumbprint")
    news = open_news(B)
    assert [each.token for each in news.look(sign=True).tokens] == ["token"]
    database.execute(SILENT, "SELECT 1")
    assert news.look(sign=True).tokens == ()
