"""Turns at a CA for all hosts, a tenth kept, a CA that pauses, a halted fleet."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import TYPE_CHECKING

import pytest
from cryptography.fernet import Fernet
from tests.conformance.store_material import key_request

from gatecert.model import CountedRequest, Expenses, LimitReached, Limits, OrderHeld, RateLimit
from gatecert.model import RequestKind as Kind
from gatecert.model.fleet import Priority, Urgency
from gatecert.store.postgres import lease_rows, turn_rows
from gatecert.store.postgres.fleet_store import FleetStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from .conftest import FleetDatabase

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
URL, ELSEWHERE = "https://ca.example/directory", "https://other.example/directory"
ORDER = Expenses(NOW, (CountedRequest(Kind.ORDER, NOW, account="https://ca.example/1"),))
TWO = Limits(most_orders=2)
URGENT = Urgency(Priority.ENDING, NOW + HOUR)
NEW = Urgency(Priority.NONE)
RENEWAL = Urgency(Priority.RENEWAL, NOW + 30 * DAY, NOW + 9 * DAY)
A, B, OTHER = "hq-gw-a", "hq-gw-b", "lab-gw-a"
NUMBERS = count(1)


class Ordering:
    """Hosts of two clusters that order, each gateway in a lease that lasts as long as the test."""

    def __init__(self, database: FleetDatabase, directory: Path, leases: ExitStack) -> None:
        self.database = database
        self._directory = directory
        self._leases = leases
        self.stores = {role: self.open(role) for role in (A, OTHER)}

    def open(self, role: str) -> FleetStore:
        seal = self._directory / "seal"
        if not seal.exists():
            seal.touch(0o600)
            seal.write_bytes(Fernet.generate_key())
        place = replace(self.database.place(role), sealing_keys=(seal,))
        store = FleetStore(self._directory / role, place, pause=0.0)
        self._leases.callback(store.database.close)
        return store

    def ask(
        self,
        gateway: str,
        urgency: Urgency,
        within: Limits = TWO,
        *,
        role: str = A,
        url: str = URL,
    ) -> LimitReached | OrderHeld | None:
        """Ask for an order, and keep the lease if it may be placed."""
        store = self.stores[role]
        store.state(gateway)
        store.schedule(gateway, urgency, NOW)
        request = key_request(f"order-{next(NUMBERS)}", NOW)
        with ExitStack() as held:
            lease = held.enter_context(store.lease(gateway))
            found = store.open_order(gateway, request, url, ORDER, within, lease=lease)
            if found is None:
                self._leases.push(held.pop_all())
        return found

    def rows(self, table: str) -> int:
        ((number,),) = self.database.execute(f"SELECT count(*) FROM {table}")
        assert isinstance(number, int)
        return number


@pytest.fixture
def ordering(database: FleetDatabase, tmp_path: Path) -> Iterator[Ordering]:
    with ExitStack() as leases:
        yield Ordering(database, tmp_path, leases)


# ------------------------------------------------------------------ turns


def test_all_clusters_share_the_turns_of_a_ca(ordering: Ordering) -> None:
    assert ordering.ask("one", URGENT) is None
    assert ordering.ask("two", URGENT, role=OTHER) is None
    held = ordering.ask("three", URGENT)
    assert isinstance(held, OrderHeld)
    assert held.reason.startswith("for its turn: 2 of 2 orders in progress in the fleet")
    assert ordering.ask("three", URGENT, url=ELSEWHERE) is None
    assert (ordering.rows("intent"), ordering.rows("expense")) == (3, 3)


def test_the_last_turns_are_kept_for_urgent_orders(ordering: Ordering) -> None:
    assert ordering.ask("one", RENEWAL) is None
    held = ordering.ask("two", RENEWAL)
    assert isinstance(held, OrderHeld)
    assert held.reason.endswith(
        "1 of 2 orders in progress in the fleet; the rest is kept for urgent ones"
    )
    assert ordering.ask("two", URGENT) is None


def test_a_turn_ends_with_the_order_or_with_the_lease(ordering: Ordering) -> None:
    first = ordering.stores[A]
    assert ordering.ask("one", URGENT) is None
    assert ordering.ask("two", URGENT) is None
    assert ordering.ask("three", URGENT) is not None
    first.remove_request("one", first.requests("one")[0].id)
    assert ordering.ask("three", URGENT) is None
    assert ordering.ask("four", URGENT) is not None
    ordering.database.execute(
        "UPDATE gateway SET lease_until = clock_timestamp() WHERE name = 'two'"
    )
    assert ordering.ask("four", URGENT) is None


def test_the_order_of_a_gateway_does_not_count_against_its_next(ordering: Ordering) -> None:
    store = ordering.stores[A]
    one = Limits(most_orders=1)
    store.state("pair")
    store.schedule("pair", URGENT, NOW)
    with store.lease("pair") as lease:
        for number in range(2):
            request = key_request(f"order-{number}", NOW)
            for _ in range(2):  # which counts again: it may be sent again
                opened = store.open_order("pair", request, URL, ORDER, one, lease=lease)
                assert opened is None
    assert (ordering.rows("intent"), ordering.rows("expense")) == (2, 4)


@pytest.mark.parametrize(
    ("waits", "asks"),
    [
        (Urgency(Priority.REVOKED, NOW + 80 * DAY), URGENT),
        (URGENT, Urgency(Priority.ENDING, NOW + 2 * HOUR)),
        (URGENT, NEW),
        (NEW, RENEWAL),
        (RENEWAL, Urgency(Priority.RENEWAL, NOW + 31 * DAY)),
    ],
)
def test_none_goes_before_a_more_urgent_one_that_waits(
    ordering: Ordering, waits: Urgency, asks: Urgency
) -> None:
    eleven, first = Limits(most_orders=11), ordering.stores[OTHER]
    for number in range(11):
        assert ordering.ask(f"gw-{number}", URGENT, eleven, role=OTHER) is None
    assert ordering.ask("waits", waits, eleven) is not None
    for number in range(3):  # of which two are kept for urgent orders
        first.remove_request(f"gw-{number}", first.requests(f"gw-{number}")[0].id)
    held = ordering.ask("asks", asks, eleven, role=OTHER)
    if asks.priority.is_urgent:  # there are turns for both
        assert held is None
    else:
        assert isinstance(held, OrderHeld)
        assert "; 1 more urgent ones wait" in held.reason
        assert ordering.ask("waits", waits, eleven) is None
    assert ordering.rows("intent") == 12


def test_who_does_not_ask_again_is_not_waited_for(ordering: Ordering) -> None:
    one, first = Limits(most_orders=1), ordering.stores[A]
    assert ordering.ask("one", URGENT, one) is None
    assert ordering.ask("lost", URGENT, one, role=OTHER) is not None
    first.remove_request("one", first.requests("one")[0].id)
    assert ordering.ask("asks", RENEWAL, one) is not None
    ordering.database.execute("UPDATE gateway SET waits_until = now() WHERE name = 'lost'")
    assert ordering.ask("asks", RENEWAL, one) is None
    assert ordering.database.execute(
        "SELECT name FROM gateway WHERE waits_at IS NOT NULL ORDER BY name"
    ) == [("lost",)]


def test_who_has_many_in_front_asks_later(ordering: Ordering) -> None:
    assert ordering.ask("one", URGENT, Limits(most_orders=1)) is None
    ordering.database.execute(
        "INSERT INTO gateway (cluster, name, priority, waits_at, waits_until)"
        " SELECT 'lab', 'gw-' || number, 1, 'https://ca.example/directory', now() + '1 hour'"
        " FROM generate_series(1, 5000) AS number"
    )
    first = ordering.ask("urgent", Urgency(Priority.REVOKED), Limits(most_orders=1))
    last = ordering.ask("renewal", RENEWAL, Limits(most_orders=1))
    assert isinstance(first, OrderHeld)
    assert isinstance(last, OrderHeld)
    assert first.pause == turn_rows.TURN_PAUSE
    assert last.pause == turn_rows.LONGEST_TURN_PAUSE


# ------------------------------------------------------------------ the kept tenth


def test_a_tenth_of_a_limit_is_kept_for_urgent_orders(ordering: Ordering) -> None:
    few = Limits(orders=RateLimit(4, HOUR))
    for number in range(3):
        assert ordering.ask(f"gw-{number}", RENEWAL, few) is None
    for urgency in (NEW, RENEWAL):
        reached = ordering.ask("ordinary", urgency, few)
        assert isinstance(reached, LimitReached)
        assert reached.reason == (
            "orders: 3 in 1 hour (a tenth of the limit is kept for urgent orders)"
        )
    assert ordering.ask("urgent", URGENT, few) is None
    reached = ordering.ask("urgent-too", URGENT, few)
    assert isinstance(reached, LimitReached)
    assert reached.reason == "orders: 4 in 1 hour"


def test_what_follows_an_order_may_use_the_whole_limit(ordering: Ordering) -> None:
    store, few = ordering.stores[A], Limits(certificates=RateLimit(2, HOUR))
    for number in range(2):
        request = CountedRequest(Kind.CERTIFICATE, NOW, f"{number}", names=("a.example.com",))
        assert store.count_requests(URL, Expenses(NOW, (request,)), few) is None


# ------------------------------------------------------------------ a CA that pauses


def test_a_pause_that_one_host_is_told_holds_for_all(ordering: Ordering) -> None:
    ordering.stores[A].pause_orders(URL, 2 * HOUR)
    ordering.stores[A].pause_orders(URL, HOUR)
    reached = ordering.ask("one", URGENT, Limits(), role=OTHER)
    assert isinstance(reached, LimitReached)
    assert "asked a host of the fleet to wait" in reached.reason
    assert timedelta(0) <= reached.until - (NOW + 2 * HOUR) < HOUR
    assert (ordering.rows("intent"), ordering.rows("expense")) == (0, 0)
    assert ordering.ask("one", URGENT, url=ELSEWHERE) is None
    ordering.database.execute("UPDATE authority SET not_before = clock_timestamp()")
    assert ordering.ask("two", URGENT, role=OTHER) is None


def test_a_mistaken_pause_does_not_last(ordering: Ordering) -> None:
    ordering.stores[A].pause_orders(URL, 31 * DAY)
    assert ordering.database.execute(
        "SELECT not_before < now() + '25 hours', not_before > now() + '23 hours' FROM authority"
    ) == [(True, True)]


def test_a_pause_that_cannot_be_told_does_no_harm(ordering: Ordering) -> None:
    ordering.database.execute("REVOKE EXECUTE ON FUNCTION pause_authority FROM gatecert_host")
    ordering.stores[A].pause_orders(URL, HOUR)
    assert ordering.rows("authority") == 0


# ------------------------------------------------------------------ a halted fleet

PAUSED = "UPDATE fleet SET paused_since = '2026-11-30 12:00:00Z'"
BRAKED = "UPDATE fleet SET brake_since = '2026-11-30 12:00:00Z', brake_reason = '3 of 40 failed'"


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        (PAUSED, "because the fleet has been paused since 2026-11-30 12:00:00 UTC;"),
        (
            BRAKED,
            "because the fleet's brake has been on since 2026-11-30 12:00:00 UTC: 3 of 40 failed;",
        ),
    ],
)
def test_a_halted_fleet_orders_only_what_ends_within_a_day(
    ordering: Ordering, statement: str, words: str
) -> None:
    ordering.database.execute(statement)
    for urgency in (NEW, RENEWAL, Urgency(Priority.REVOKED, NOW + 2 * DAY)):
        held = ordering.ask("vpn", urgency)
        assert isinstance(held, OrderHeld)
        assert held.reason.startswith(words)
        assert "gatecert fleet resume" in held.fix
    assert (ordering.rows("intent"), ordering.rows("expense")) == (0, 0)
    assert ordering.ask("vpn", URGENT) is None
    ordering.database.execute("UPDATE fleet SET paused_since = NULL, brake_since = NULL")
    assert ordering.ask("new", NEW, Limits()) is None


# ------------------------------------------------------------------ the schedule


def test_a_schedule_is_written_once(ordering: Ordering) -> None:
    store = ordering.stores[A]
    store.schedule("vpn", RENEWAL, NOW + DAY)
    written = "SELECT priority, not_after, ending_from, due, xmin::text FROM gateway"
    (row,) = ordering.database.execute(written)
    assert row[:4] == (3, RENEWAL.not_after, RENEWAL.ending_from, NOW + DAY)
    ordering.stores[A] = ordering.open(A)  # as after a restart
    ordering.stores[A].schedule("vpn", RENEWAL, NOW + DAY)
    assert ordering.database.execute(written) == [row]
    store.schedule("vpn", URGENT, NOW - HOUR)
    (overdue,) = ordering.database.execute(written)
    store.schedule("vpn", URGENT, NOW)  # it is overdue as before
    assert ordering.database.execute(written) == [overdue]
    store.schedule("vpn", URGENT, None)
    assert ordering.database.execute("SELECT priority, due FROM gateway") == [(1, None)]


def test_a_host_that_lags_behind_leaves_the_schedule(ordering: Ordering) -> None:
    store = ordering.stores[A]
    store.schedule("vpn", RENEWAL, NOW + DAY)
    ordering.database.execute("UPDATE gateway SET generation = 1")
    store.schedule("vpn", URGENT, NOW)
    assert ordering.database.execute("SELECT priority, due FROM gateway") == [(3, NOW + DAY)]


def test_nothing_is_due_for_a_gateway_that_the_last_host_has_let_go(ordering: Ordering) -> None:
    first, second = ordering.stores[A], ordering.open(B)
    second.shared = {"kept"}
    due = "SELECT due IS NOT NULL FROM gateway WHERE name = 'vpn'"
    with first.database.transaction() as rows:
        for name in ("vpn", "kept", "field/site1.ddns.example"):
            lease_rows.schedule(rows, name, RENEWAL, NOW)
    second.begin_to_write()
    second.state("kept")
    assert ordering.database.execute(due) == [(False,)]  # the first host was never seen
    first.schedule("vpn", RENEWAL, NOW)
    ordering.database.execute("UPDATE host SET seen = now()")
    second.database.close()
    second.state("kept")
    assert ordering.database.execute(due) == [(True,)]  # the first host has told it last
    first = ordering.open(A)
    first.shared = {"kept"}
    first.begin_to_write()
    first.state("kept")
    left = "SELECT name FROM gateway WHERE due IS NOT NULL ORDER BY name"
    assert ordering.database.execute(left) == [("field/site1.ddns.example",), ("kept",)]


def test_a_turn_costs_no_look_at_every_gateway(ordering: Ordering) -> None:
    ordering.database.execute(
        "INSERT INTO gateway (cluster, name, priority, not_after, waits_at, waits_until)"
        " SELECT 'hq', 'gw-' || number, 3, now() + number * interval '1 minute',"
        " 'https://ca.example/directory', now() + '1 hour'"
        " FROM generate_series(1, 20000) AS number",
        "ANALYZE gateway",
    )
    found = ordering.database.execute(
        "EXPLAIN (ANALYZE, FORMAT JSON) SELECT FROM gateway"
        " WHERE waits_at = 'https://ca.example/directory' AND waits_until > now()"
        " AND (priority, coalesce(not_after, '-infinity')) < (2, 'infinity') LIMIT 1000"
    )
    assert "gateway_waiting" in str(found)
