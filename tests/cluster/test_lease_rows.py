"""Leases by the server's clock: who may order, and who finds himself fenced."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest

from gatecert.errors import LeaseLostError
from gatecert.model.fleet import Priority, Urgency
from gatecert.store.postgres import lease_rows
from gatecert.store.postgres.held_lease import LENGTH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

    from .conftest import FleetDatabase

NOW = datetime.now(UTC)
HOUR = timedelta(hours=1)


@pytest.fixture
def first(database: FleetDatabase) -> Iterator[Connection]:
    with closing(database.connect("hq-gw-a")) as connection:
        yield connection


@pytest.fixture
def second(database: FleetDatabase) -> Iterator[Connection]:
    with closing(database.connect("hq-gw-b")) as connection:
        yield connection


def test_one_host_holds_a_lease_until_it_releases_it(first: Connection, second: Connection) -> None:
    token = lease_rows.claim(first, "vpn", LENGTH)
    assert token is not None
    assert lease_rows.claim(second, "vpn", LENGTH) is None
    assert lease_rows.claim(first, "vpn", LENGTH) is None
    lease_rows.release(first, "vpn", token)
    assert lease_rows.claim(second, "vpn", LENGTH) is not None


def test_a_lease_that_has_ended_is_still_its_own_until_another_host_takes_it(
    first: Connection, second: Connection
) -> None:
    token = lease_rows.claim(first, "vpn", 0.0)
    assert token is not None
    lease_rows.fence(first, "vpn", token)
    taken = lease_rows.claim(second, "vpn", LENGTH)
    assert taken not in (None, token)
    with pytest.raises(LeaseLostError, match="vpn"):
        lease_rows.fence(first, "vpn", token)
    assert not lease_rows.renew(first, "vpn", token, LENGTH)
    lease_rows.release(first, "vpn", token)
    assert lease_rows.claim(first, "vpn", LENGTH) is None


def test_a_renewal_lets_it_last_from_now(first: Connection, second: Connection) -> None:
    token = lease_rows.claim(first, "vpn", 0.0)
    assert token is not None
    assert lease_rows.renew(first, "vpn", token, LENGTH)
    assert lease_rows.claim(second, "vpn", LENGTH) is None


def test_the_most_urgent_that_is_due_is_claimed_first(
    first: Connection, second: Connection
) -> None:
    due, later = NOW - HOUR, NOW + HOUR
    for name, priority, ends, at in (
        ("renewal", Priority.RENEWAL, NOW + 30 * HOUR, due),
        ("renewal-soon", Priority.RENEWAL, NOW + 20 * HOUR, due),
        ("revoked", Priority.REVOKED, NOW + 900 * HOUR, due),
        ("ending-later", Priority.ENDING, NOW + HOUR, later),
        ("nothing-due", Priority.REVOKED, None, None),
        ("none", Priority.NONE, None, due),
    ):
        lease_rows.schedule(first, name, Urgency(priority, ends), at)
    claimed = [
        lease_rows.claim_most_urgent(connection, LENGTH)
        for connection in (first, second, first, second, first)
    ]
    names = [each[0] if each else None for each in claimed]
    assert names == ["revoked", "none", "renewal-soon", "renewal", None]


def test_a_certificate_that_begins_to_end_goes_before_others(
    first: Connection, second: Connection
) -> None:
    for name, urgency in (
        ("none", Urgency(Priority.NONE)),
        ("renewal", Urgency(Priority.RENEWAL, NOW + HOUR, ending_from=NOW + HOUR)),
        ("ending", Urgency(Priority.RENEWAL, NOW + 9 * HOUR, ending_from=NOW)),
        ("held", Urgency(Priority.RENEWAL, NOW + HOUR, ending_from=NOW)),
        ("revoked", Urgency(Priority.REVOKED, NOW + 99 * HOUR, ending_from=NOW)),
    ):
        lease_rows.schedule(first, name, urgency, NOW - HOUR)
    with second.transaction():
        second.execute("SELECT FROM gateway WHERE name = 'held' FOR UPDATE")
        claimed = [lease_rows.claim_most_urgent(first, LENGTH) for _ in range(4)]
    assert [each[0] if each else None for each in claimed] == [
        "revoked",
        "ending",
        "none",
        "renewal",
    ]


def test_hosts_that_claim_at_once_get_one_gateway_each(database: FleetDatabase) -> None:
    with closing(database.connect("hq-gw-a")) as connection:
        for number in range(40):
            lease_rows.schedule(
                connection, f"gw-{number}", Urgency(Priority.RENEWAL, NOW), NOW - HOUR
            )

    def claim_all(role: str) -> list[str]:
        with closing(database.connect(role)) as connection:
            found = iter(lambda: lease_rows.claim_most_urgent(connection, LENGTH), None)
            return [name for name, _ in found]

    with ThreadPoolExecutor(4) as threads:
        claimed = [
            name for names in threads.map(claim_all, ["hq-gw-a", "hq-gw-b"] * 2) for name in names
        ]
    assert sorted(claimed) == sorted(f"gw-{number}" for number in range(40))


def test_another_cluster_has_leases_of_its_own(database: FleetDatabase, first: Connection) -> None:
    lease_rows.schedule(first, "vpn", Urgency(Priority.RENEWAL, NOW), NOW - HOUR)
    with closing(database.connect("lab-gw-a")) as other:
        assert lease_rows.claim_most_urgent(other, LENGTH) is None
        assert lease_rows.claim(other, "vpn", LENGTH) is not None
    assert lease_rows.claim(first, "vpn", LENGTH) is not None


def test_who_holds_leases_has_been_seen(first: Connection) -> None:
    token = lease_rows.claim(first, "vpn", LENGTH)
    assert token is not None
    lease_rows.renew(first, "vpn", token, LENGTH)
    ((seen,),) = first.execute("SELECT count(seen) FROM host WHERE name = 'gw-a'").fetchall()
    assert seen == 1


def test_nothing_due_is_found_without_looking_at_every_gateway(
    database: FleetDatabase, first: Connection
) -> None:
    database.execute(
        "INSERT INTO gateway (cluster, name, priority, not_after, ending_from, due)"
        " SELECT 'hq', 'gw-' || number, 3, now() + number * interval '1 minute',"
        " now() + number * interval '1 minute', now() + interval '1 day'"
        " FROM generate_series(1, 20000) AS number",
        "ANALYZE gateway",
    )
    values = {
        "token": uuid4(),
        "length": timedelta(0),
        "ending": int(Priority.ENDING),
        "prefix": "",
    }
    for statement in (lease_rows.RAISE, lease_rows.CLAIM_MOST_URGENT):
        explained = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        ((found,),) = first.execute(explained.encode(), values).fetchall()
        assert rows_read(found[0]["Plan"]) < 100


def rows_read(plan: dict[str, Any]) -> int:
    """Return how many rows a plan has returned and thrown away, at all of its nodes."""
    own = plan["Actual Rows"] + plan.get("Rows Removed by Filter", 0)
    return int(own) + sum(rows_read(part) for part in plan.get("Plans", ()))
