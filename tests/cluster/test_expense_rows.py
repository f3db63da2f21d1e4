"""Requests that all hosts of a fleet count together, by the server's clock."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, ClassVar

import pytest
from psycopg import Cursor

from gatecert.model import (
    CountedBy,
    CountedRequest,
    Expenses,
    LimitReached,
    Limits,
    RateLimit,
    RequestGroup,
    RequestKind,
)
from gatecert.model.fleet import LONGEST_PERIOD
from gatecert.store.postgres import expense_rows
from gatecert.store.postgres.expense_rows import AT_ONCE, ExpenseRows

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from psycopg import Connection
    from psycopg.abc import Params, Query

    from .conftest import FleetDatabase

URL = "https://ca.example/directory"
LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)  # a host whose clock is years behind
HOUR = timedelta(hours=1)
LIMITS = Limits(
    orders=RateLimit(20, HOUR),
    certificates=RateLimit(3, HOUR),
    failed_validations=RateLimit(2, HOUR),
    new_accounts=RateLimit(1, HOUR),
)
ACCOUNT = "https://ca.example/account/1"
ORDERS = RequestGroup(RequestKind.ORDER, CountedBy.ACCOUNT, ACCOUNT)


@pytest.fixture
def first(database: FleetDatabase) -> Iterator[Connection]:
    with closing(database.connect("hq-gw-a")) as connection:
        yield connection


@pytest.fixture
def elsewhere(database: FleetDatabase) -> Iterator[Connection]:
    """A host of another cluster."""
    with closing(database.connect("lab-gw-a")) as connection:
        yield connection


def order(request_id: str = "") -> Expenses:
    return Expenses(
        LONG_AGO, (CountedRequest(RequestKind.ORDER, LONG_AGO, request_id, account=ACCOUNT),)
    )


def certificate(name: str, request_id: str = "", validated: str = "") -> Expenses:
    request = CountedRequest(RequestKind.CERTIFICATE, LONG_AGO, request_id, names=(name,))
    return Expenses(LONG_AGO, (request,), validated=validated)


def validation(order_url: str, name: str) -> Expenses:
    request = CountedRequest(
        RequestKind.VALIDATION, LONG_AGO, f"{order_url} {name}", ACCOUNT, (name,)
    )
    return Expenses(LONG_AGO, (request,))


def count(connection: Connection, expenses: Expenses) -> bool:
    with connection.transaction():
        return isinstance(expense_rows.count(connection, URL, expenses, LIMITS), Expenses)


def test_threads_of_several_hosts_never_exceed_a_limit(database: FleetDatabase) -> None:
    def spend(role: str) -> int:
        with closing(database.connect(role)) as connection:
            return sum(count(connection, order()) for _ in range(10))

    roles = ["hq-gw-a", "hq-gw-b", "lab-gw-a", "lab-gw-a"] * 2
    with ThreadPoolExecutor(8) as threads:
        assert sum(threads.map(spend, roles)) == 20
    assert database.execute("SELECT count(*) FROM expense WHERE kind = 'order'") == [(20,)]


def test_the_domain_is_shared_by_all_clusters(first: Connection, elsewhere: Connection) -> None:
    assert count(first, certificate("a.example.com"))
    assert count(elsewhere, certificate("b.example.com"))
    assert count(first, certificate("c.example.com"))
    with elsewhere.transaction():
        reached = expense_rows.count(elsewhere, URL, certificate("d.example.com"), LIMITS)
    assert isinstance(reached, LimitReached)
    assert reached.reason == "certificates below example.com: 3 in 1 hour"
    assert abs(reached.until - datetime.now(UTC) - HOUR) < timedelta(minutes=10)
    assert count(elsewhere, certificate("d.example.org"))


def test_each_cluster_counts_its_own_new_accounts(
    database: FleetDatabase, first: Connection, elsewhere: Connection
) -> None:
    """CAs count them for the address of a host."""
    registered = Expenses(LONG_AGO, (CountedRequest(RequestKind.ACCOUNT, LONG_AGO, "one"),))
    again = Expenses(LONG_AGO, (CountedRequest(RequestKind.ACCOUNT, LONG_AGO),))
    of_cluster = RequestGroup(RequestKind.ACCOUNT, CountedBy.ALL)
    with closing(database.connect("hq-gw-b")) as second:
        for connection, expenses, is_allowed in (
            (first, registered, True),
            (second, registered, True),  # the same request
            (second, again, False),
            (elsewhere, again, True),
        ):
            assert count(connection, expenses) is is_allowed
            rows, now = ExpenseRows(connection, URL), expense_rows.clock(connection)
            counted = rows.instants(of_cluster, since=now - HOUR, now=now, count=9)
            (use,) = rows.busiest_groups(
                of_cluster.kind, of_cluster.by, since=now - HOUR, now=now, full=9
            )
            assert len(counted) == use.used == 1


def test_the_servers_clock_counts_not_that_of_a_host(first: Connection) -> None:
    counted = expense_rows.count(first, URL, order(), LIMITS)
    assert isinstance(counted, Expenses)
    assert abs(counted.counted[0].at - datetime.now(UTC)) < timedelta(minutes=1)


def test_a_retry_counts_once_from_the_last_time_on(first: Connection) -> None:
    rows = ExpenseRows(first, URL)
    hour_ago, now = expense_rows.clock(first) - HOUR, expense_rows.clock(first)
    for at in (hour_ago, now):
        rows.insert([CountedRequest(RequestKind.ORDER, at, "one", ACCOUNT)])
    assert rows.is_counted(CountedRequest(RequestKind.ORDER, now, "one", ACCOUNT))
    assert not rows.is_counted(CountedRequest(RequestKind.ORDER, now, "two", ACCOUNT))
    assert not rows.is_counted(CountedRequest(RequestKind.ORDER, now, "", ACCOUNT))
    found = rows.instants(ORDERS, since=hour_ago - HOUR, now=now, count=10)
    assert found == [now]


def test_validations_of_an_order_without_failures_no_longer_count(first: Connection) -> None:
    name = "a.example.com"
    assert count(first, validation("https://ca.example/order/1", name))
    assert count(first, validation("https://ca.example/order/2", name))
    assert not count(first, validation("https://ca.example/order/3", name))
    assert count(first, certificate(name, validated="https://ca.example/order/1"))
    assert count(first, validation("https://ca.example/order/3", name))
    assert not count(first, validation("https://ca.example/order/4", name))


def test_a_validation_after_that_counts_again(first: Connection) -> None:
    name, order = "a.example.com", "https://ca.example/order/1"
    assert count(first, certificate(name, validated=order))
    for number in (1, 2):
        assert count(first, validation(f"https://ca.example/order/{number}", name))
    assert not count(first, validation("https://ca.example/order/3", name))


def test_requests_are_written_again_without_counting_twice(first: Connection) -> None:
    counted = expense_rows.count(first, URL, order(), LIMITS)
    assert isinstance(counted, Expenses)
    rows = ExpenseRows(first, URL)
    for _ in range(3):
        rows.insert(counted.counted)
    assert len(rows.instants(ORDERS, since=LONG_AGO, now=counted.now, count=10)) == 1


class CountingCursor(Cursor):
    """A cursor that tells how many rows each of its batches has."""

    batches: ClassVar[list[int]] = []

    def executemany(
        self, query: Query, params_seq: Iterable[Params], *, returning: bool = False
    ) -> None:
        rows = list(params_seq)
        self.batches.append(len(rows))
        super().executemany(query, rows, returning=returning)


def test_many_requests_are_written_in_batches_and_none_is_lost(
    database: FleetDatabase, first: Connection
) -> None:
    now, number = expense_rows.clock(first), 2 * AT_ONCE + 1
    first.cursor_factory = CountingCursor
    CountingCursor.batches.clear()
    ExpenseRows(first, URL).insert(
        CountedRequest(RequestKind.ORDER, now, f"order {each}", ACCOUNT) for each in range(number)
    )
    assert CountingCursor.batches == [AT_ONCE, AT_ONCE, 1]
    assert database.execute("SELECT count(DISTINCT id) FROM expense") == [(number,)]


def test_what_no_limit_counts_any_more_is_removed_with_the_next_request(
    database: FleetDatabase, first: Connection
) -> None:
    name, now = "a.example.com", expense_rows.clock(first)
    ages = {number: now - LONGEST_PERIOD - (2 - number) * HOUR for number in (1, 3)}
    rows = ExpenseRows(first, URL)
    for number, at in ages.items():
        (request,) = validation(f"https://ca.example/order/{number}", name).counted
        other = replace(request, id=f"https://ca.example/order/{number} other", names=("other",))
        rows.insert([replace(request, at=at), replace(other, at=at)])
    database.execute(
        "INSERT INTO validated_order"
        " SELECT DISTINCT directory_url, order_url, at, cluster, host FROM expense"
    )
    left = "SELECT id FROM expense ORDER BY id"
    assert len(database.execute(left)) == 4
    assert count(first, validation("https://ca.example/order/5", name))
    assert database.execute(left) == [
        ("https://ca.example/order/1 other",),
        (f"https://ca.example/order/3 {name}",),
        ("https://ca.example/order/3 other",),
        (f"https://ca.example/order/5 {name}",),
    ]
    assert database.execute("SELECT order_url FROM validated_order") == [
        ("https://ca.example/order/3",)
    ]


def test_an_order_without_validations_leaves_no_row_for_ever(
    database: FleetDatabase, first: Connection
) -> None:
    """A CA reuses authorizations, so there may be nothing that its row takes out of the count."""
    for number in range(3):
        assert count(first, certificate(f"{number}.example.com", validated=f"order {number}"))
    for number, age in enumerate((LONGEST_PERIOD + HOUR, LONGEST_PERIOD - HOUR)):
        database.execute(
            f"UPDATE validated_order SET at = at - interval '{age.total_seconds()} s'"
            f" WHERE order_url = 'order {number}'"
        )
    assert count(first, order())
    left = database.execute("SELECT order_url FROM validated_order ORDER BY 1")
    assert left == [("order 1",), ("order 2",)]


def test_a_request_in_the_future_removes_none_that_counts(
    first: Connection, elsewhere: Connection
) -> None:
    now = expense_rows.clock(first)
    far = now + 2 * LONGEST_PERIOD
    ExpenseRows(first, URL).insert([CountedRequest(RequestKind.ORDER, now, "mine", ACCOUNT)])
    ExpenseRows(elsewhere, URL).insert([CountedRequest(RequestKind.ORDER, far, "ahead", ACCOUNT)])
    found = ExpenseRows(first, URL).instants(ORDERS, since=now - HOUR, now=now, count=9)
    assert found == [now, now]


def test_the_newest_instants_are_returned_oldest_first(first: Connection) -> None:
    now = expense_rows.clock(first)
    times = [now - number * timedelta(minutes=1) for number in range(5)]
    rows = ExpenseRows(first, URL)
    rows.insert(
        CountedRequest(RequestKind.ORDER, at, f"{at}", ACCOUNT) for at in [*times[2:], *times[:2]]
    )
    assert rows.instants(ORDERS, since=LONG_AGO, now=now, count=2) == [times[1], times[0]]
    assert rows.instants(ORDERS, since=times[1], now=now, count=9) == [times[0]]


def test_a_request_of_a_server_whose_clock_was_ahead_counts_now(first: Connection) -> None:
    now = expense_rows.clock(first)
    rows = ExpenseRows(first, URL)
    rows.insert([CountedRequest(RequestKind.ORDER, now + 24 * HOUR, "ahead", ACCOUNT)])
    assert rows.instants(ORDERS, since=now - HOUR, now=now, count=9) == [now]


def test_the_busiest_groups_count_the_requests_of_all_clusters(
    first: Connection, elsewhere: Connection
) -> None:
    for connection, name in (
        (first, "a.example.com"),
        (elsewhere, "b.example.com"),
        (first, "c.example.org"),
        (elsewhere, "d.example.net"),
    ):
        assert count(connection, certificate(name))
    now = expense_rows.clock(first)
    found = ExpenseRows(first, URL).busiest_groups(
        RequestKind.CERTIFICATE, CountedBy.REGISTERED_DOMAIN, since=now - HOUR, now=now, full=2
    )
    assert [(use.used, use.names) for use in found] == [
        (2, ("a.example.com",)),
        (1, ("c.example.org",)),
    ]


def test_a_ca_without_requests_has_no_busy_group(first: Connection) -> None:
    now = expense_rows.clock(first)
    found = ExpenseRows(first, URL).busiest_groups(
        RequestKind.ORDER, CountedBy.ACCOUNT, since=now - HOUR, now=now, full=2
    )
    assert [(use.used, use.names) for use in found] == [(0, ())]
