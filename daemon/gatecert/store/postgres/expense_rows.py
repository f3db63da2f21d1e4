"""Requests counted towards rate limits: a row for each group that a limit counts together.

The row of the CA is locked while requests are counted, so hosts count one after the other, and all
of them by the server's clock. Hosts delete and change nothing: a request that is counted again is
another row with its id, of which the latest counts, and an order without failed validations is a
row that takes them out of the count. What no limit counts any more is removed by a trigger.

All clusters count together, except for new accounts (`CountedBy.ALL`): CAs count these for the
address of a host, and the hosts of a cluster share one account. Their group is the cluster.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice
from typing import TYPE_CHECKING, Final
from uuid import uuid4

from psycopg import Connection

from gatecert.model import CountedBy, CountedRequest, GroupUse, RequestGroup, RequestKind
from gatecert.store.counting_rules import LIMITED, limit_reached
from gatecert.store.request_groups import groups_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from gatecert.model import Expenses, LimitReached, Limits

MANY: Final = 10**9  # requests: each limit is looked up, that of a registered domain as well
MOST_GROUPS: Final = 100  # looked at to find the busiest
AT_ONCE: Final = 500  # rows that are inserted within one deadline

VALUE = "coalesce(%s, own_cluster())"  # of a group; see _value

INSERT = f"""
INSERT INTO expense (directory_url, kind, counted_by, value, id, at, order_url, names)
VALUES (%s, %s, %s, {VALUE}, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""  # noqa: S608 - a constant

BUSY = """
SELECT value, (array_agg(to_jsonb(names) ORDER BY at DESC))[1] FROM expense
WHERE directory_url = %s AND kind = %s AND counted_by = %s AND at > %s
GROUP BY value ORDER BY count(DISTINCT id) DESC LIMIT %s
"""

OF_OTHERS = """
SELECT DISTINCT ON (kind, id) kind, at, id,
  CASE WHEN counted_by LIKE 'account%%' THEN split_part(value, ' ', 1) ELSE '' END, names
FROM expense
WHERE directory_url = %s AND at > %s AND host <> own_host() AND NOT EXISTS (
  SELECT FROM validated_order
  WHERE validated_order.directory_url = expense.directory_url
    AND validated_order.order_url = expense.order_url
    AND validated_order.at >= expense.at
)
ORDER BY kind, id, at DESC
"""


@dataclass(frozen=True, slots=True)
class ExpenseRows:
    """The counted requests to one CA; see ``counting_rules.PastRequests``.

    Attributes:
        connection: In a transaction.
    """

    connection: Connection
    directory_url: str

    def number(self, kind: RequestKind) -> int:
        """Return how many requests may be counted: every group has its rows."""
        del kind
        return MANY

    def is_counted(self, request: CountedRequest) -> bool:
        """Tell whether a request with the same kind and id is counted."""
        if not request.id:
            return False
        group = next(_groups(request))
        found = self.connection.execute(
            "SELECT FROM expense WHERE directory_url = %s AND kind = %s AND counted_by = %s"
            f" AND value = {VALUE} AND id = %s LIMIT 1",
            (self.directory_url, group.kind, group.by, _value(group), request.id),
        )
        return found.fetchone() is not None

    def instants(
        self, group: RequestGroup, *, since: datetime, now: datetime, count: int
    ) -> list[datetime]:
        """Return from when requests count; one of a server whose clock was ahead counts now."""
        found = self.connection.execute(
            f"SELECT instants(%s, %s, %s, {VALUE}, %s, %s)",
            (self.directory_url, group.kind, group.by, _value(group), since, count),
        )
        return sorted(min(at, now) for (at,) in found)

    def busiest_groups(
        self, kind: RequestKind, by: CountedBy, *, since: datetime, now: datetime, full: int
    ) -> list[GroupUse]:
        """Return how busy the groups are in which this cluster has requests."""
        found = self.connection.execute(
            BUSY, (self.directory_url, kind, by, since, MOST_GROUPS)
        ).fetchall()
        groups = [(RequestGroup(kind, by, value), tuple(names)) for value, names in found]
        uses = [
            GroupUse(len(self.instants(group, since=since, now=now, count=MANY)), names)
            for group, names in groups
        ]
        spent = [use for use in uses if use.used >= full]
        left = [use for use in uses if use.used < full]
        return [*spent, max(left, key=lambda use: use.used, default=GroupUse(0, ()))]

    def lock(self) -> datetime:
        """Let no other host count until the transaction ends; return the server's time."""
        now: datetime
        ((now,),) = self.connection.execute(
            "SELECT lock_authority(%s)", (self.directory_url,)
        ).fetchall()
        return now

    def insert(self, requests: Iterable[CountedRequest], validated: str = "") -> None:
        """Count requests; those that are counted already stay.

        Args:
            requests: Each with an id.
            validated: URL of an order whose validations until now no longer count; may be empty.
        """
        rows = (row for each in requests for row in self._rows(each))
        with self.connection.cursor() as cursor:
            while batch := list(islice(rows, AT_ONCE)):
                cursor.executemany(INSERT, batch)
        if validated:
            self.connection.execute(
                "INSERT INTO validated_order (directory_url, order_url) VALUES (%s, %s)",
                (self.directory_url, validated),
            )

    def _rows(self, request: CountedRequest) -> Iterator[tuple[object, ...]]:
        order = request.id.rpartition(" ")[0] if request.kind is RequestKind.VALIDATION else ""
        for group in _groups(request):
            yield (
                *(self.directory_url, group.kind, group.by, _value(group), request.id),
                *(request.at, order, list(request.names)),
            )


def identified(
    connection: Connection, requests: Iterable[CountedRequest]
) -> Iterator[CountedRequest]:
    """Yield requests of this host's file with an id, the same at every call.

    Files count requests without one; rows cannot, since they are sent again.
    """
    ((host,),) = connection.execute("SELECT own_host()").fetchall()
    same: Counter[CountedRequest] = Counter()
    for request in requests:
        known = replace(request, noticed=None)
        same[known] += 1
        text = repr((host, request.kind, request.at, request.account, request.names, same[known]))
        yield known if known.id else replace(known, id=hashlib.sha256(text.encode()).hexdigest())


def counted_by_others(
    connection: Connection, directory_url: str, since: datetime
) -> list[CountedRequest]:
    """Return what the other hosts of the cluster have counted, the latest of each.

    Args:
        connection: In a transaction.
        directory_url: The CA's directory.
        since: Earlier requests are left out.
    """
    rows = connection.execute(OF_OTHERS, (directory_url, since)).fetchall()
    return [
        CountedRequest(RequestKind(kind), at, request_id, account, tuple(names))
        for kind, at, request_id, account, names in rows
    ]


def directory_urls(connection: Connection) -> list[str]:
    """Return the directories of the CAs at which any host has counted requests."""
    rows = connection.execute("SELECT directory_url FROM authority").fetchall()
    return [directory_url for (directory_url,) in rows]


def clock(connection: Connection) -> datetime:
    """Return the server's time."""
    now: datetime
    ((now,),) = connection.execute("SELECT clock_timestamp()").fetchall()
    return now


def count(
    connection: Connection, directory_url: str, expenses: Expenses, within: Limits
) -> LimitReached | Expenses:
    """Count requests if the limits allow them.

    Returns:
        The limit that forbids them; or the requests as counted, by the server's clock and each
        with an id.
    """
    rows = ExpenseRows(connection, directory_url)
    counted = by_clock(expenses, rows.lock())
    reached = limit_reached(rows, counted, within)
    if reached is not None:
        return reached
    rows.insert(counted.counted, counted.validated)
    return counted


def by_clock(expenses: Expenses, now: datetime) -> Expenses:
    """Return requests with a time, and with an id by which a host can send them again."""
    return replace(
        expenses,
        now=now,
        counted=tuple(
            replace(each, at=now, id=each.id or uuid4().hex) for each in expenses.counted
        ),
    )


def look_up_groups(expenses: Expenses) -> None:
    """Load what it takes to find the groups of requests, which is slow, before a transaction."""
    for request in (*expenses.counted, *expenses.following):
        for _ in _groups(request):
            pass


def _groups(request: CountedRequest) -> Iterator[RequestGroup]:
    """Yield every group in which a limit may count a request."""
    for by in {limited.by: None for limited in LIMITED.values() if limited.kind is request.kind}:
        for value in groups_of(request, by):
            yield RequestGroup(request.kind, by, value)


def _value(group: RequestGroup) -> str | None:
    """Return the value of a group in the rows; None for the name of this host's cluster."""
    return group.value or None if group.by is CountedBy.ALL else group.value
