"""Measurements of orders, requests and budgets."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import DIRECTORY_URL, FakeAuthority, problem
from tests.fakes.acme_stores import Accounts, Journal, Told, Usage
from tests.fakes.clock import DAY, HOUR, MINUTE, NOW
from tests.fakes.measurements import Measured
from tests.fakes.solvers import FakeSolver

from gatecert.acme.authority_measurements import AuthorityMeasurements
from gatecert.acme.client import Client
from gatecert.acme.issuer import Issuer
from gatecert.config.schema.rate_limit_settings import LimitSettings
from gatecert.errors import (
    AuthorityError,
    AuthorityUnreachableError,
    GatecertError,
    InterruptedOrderError,
    RateLimitBudgetError,
    StorageError,
)
from gatecert.measurement import Measurement, no_measure
from gatecert.model import (
    IN_TRANSIT,
    CountedBy,
    CountedRequest,
    Expenses,
    GroupUse,
    Limits,
    RateLimit,
    RequestKind,
)
from gatecert.store.counting_rules import LIMITED

if TYPE_CHECKING:
    from gatecert.config.schema.authority import AuthoritySettings
    from gatecert.model import Target

LIMITS = Limits(
    new_accounts=RateLimit(10, 3 * HOUR),
    orders=RateLimit(300, 3 * HOUR),
    certificates=RateLimit(50, 7 * DAY),
    duplicates=RateLimit(5, 7 * DAY),
    replacements=RateLimit(5, DAY),
    failed_validations=RateLimit(5, HOUR),
)
SHORT_LIVED = Limits(duplicates=RateLimit(28, 7 * DAY))


@dataclass
class Books:
    """The usage of one CA, and its measurements."""

    limits: Callable[[timedelta | None], Limits] = lambda _: LIMITS
    lifetime_of: Callable[[Sequence[str]], timedelta | None] = lambda _: None
    usage: Usage = field(default_factory=Usage)
    measured: Measured = field(default_factory=Measured)

    def __post_init__(self) -> None:
        self.measurements = AuthorityMeasurements(
            "acme", DIRECTORY_URL, self.usage, self.limits, self.measured, self.lifetime_of
        )

    def count(
        self, kind: RequestKind, *names: str, at: datetime = NOW, account: str = "", times: int = 1
    ) -> None:
        requests = (CountedRequest(kind, at, "", account, names),) * times
        assert self.usage.count_requests(DIRECTORY_URL, Expenses(NOW, requests), Limits()) is None

    def left(self, limit: str, now: datetime = NOW) -> float:
        self.measurements.budget(now)
        return self.measured.values(Measurement.BUDGET_REMAINING, authority="acme", limit=limit)[-1]


def test_every_limit_is_measured() -> None:
    books = Books()
    books.measurements.budget(NOW)
    assert {
        labels["limit"]: value
        for name, labels, value in books.measured.all
        if name == Measurement.BUDGET_REMAINING
    } == {limit: getattr(LIMITS, limit).count for limit in LIMITED}


def test_a_limit_that_is_off_is_not_measured() -> None:
    books = Books(lambda _: Limits(orders=RateLimit(3, HOUR)))
    books.measurements.budget(NOW)
    limits = [labels.get("limit") for _, labels, _ in books.measured.all]
    assert [limit for limit in limits if limit] == ["orders"]


def test_the_group_with_the_least_left_counts() -> None:
    books = Books()
    books.count(RequestKind.CERTIFICATE, "a.example.com")
    books.count(RequestKind.CERTIFICATE, "b.example.com", times=3)
    books.count(RequestKind.CERTIFICATE, "c.example.com", times=2)
    books.count(RequestKind.ORDER, account="old", times=7)
    books.count(RequestKind.ORDER, account="new", times=20)
    books.count(RequestKind.VALIDATION, "a.example.com", account="new", times=4)
    assert books.left("duplicates") == 2
    assert books.left("certificates") == 44
    assert books.left("orders") == 280
    assert books.left("failed_validations") == 1
    assert books.left("new_accounts") == 10


def test_domains_count_separately_once_many_certificates_were_issued() -> None:
    books = Books()
    for number in range(20):
        books.count(RequestKind.CERTIFICATE, f"{number}.example.com")
        books.count(RequestKind.CERTIFICATE, f"{number}.example.org")
    books.count(RequestKind.CERTIFICATE, "more.example.org")
    assert books.left("certificates") == 29


def test_what_was_used_comes_back() -> None:
    books = Books()
    books.count(RequestKind.VALIDATION, "a.example.com", account="a", times=5)
    assert books.left("failed_validations") == 0
    assert books.left("failed_validations", NOW + HOUR) == 0
    assert books.left("failed_validations", NOW + HOUR + IN_TRANSIT) == 5


def test_old_requests_of_a_large_group_hide_no_other() -> None:
    books = Books()
    books.count(RequestKind.ORDER, account="old", at=NOW - DAY, times=300)
    books.count(RequestKind.ORDER, account="new", at=NOW - MINUTE, times=10)
    assert books.left("orders") == 290


def test_more_than_allowed_leaves_nothing() -> None:
    books = Books()
    books.count(RequestKind.CERTIFICATE, "a.example.com", times=9)
    assert books.left("duplicates") == 0


def test_short_lived_certificates_have_more() -> None:
    asked = []

    def lifetime_of(names: Sequence[str]) -> timedelta | None:
        asked.append(names)
        return DAY if names == ("short.example.com",) else None

    books = Books(lambda lifetime: SHORT_LIVED if lifetime == DAY else LIMITS, lifetime_of)
    books.count(RequestKind.CERTIFICATE, "short.example.com", times=10)
    assert books.left("duplicates") == 5  # of any other certificate
    books.count(RequestKind.CERTIFICATE, "short.example.com", times=14)
    assert books.left("duplicates") == 4
    assert asked == [("short.example.com",)]
    books.count(RequestKind.CERTIFICATE, "long.example.com", times=5)
    assert books.left("duplicates") == 0


@pytest.mark.parametrize(
    ("error", "issued", "failed"),
    [
        (None, 1, 0),
        (AuthorityUnreachableError("no answer"), 0, 1),
        (StorageError("disk full"), 0, 1),
        (InterruptedOrderError("stopping"), 0, 0),
        (RateLimitBudgetError("spent", until=NOW), 0, 0),
    ],
)
def test_orders_are_counted_by_their_result(
    error: GatecertError | None, issued: int, failed: int
) -> None:
    books = Books()
    expected = pytest.raises(type(error)) if error is not None else nullcontext()
    with expected, books.measurements.order(lambda: NOW):
        if error is not None:
            raise error
    assert sum(books.measured.values(Measurement.ORDERS, result="issued")) == issued
    assert sum(books.measured.values(Measurement.ORDERS, result="failed")) == failed
    assert books.measured.values(Measurement.BUDGET_REMAINING, limit="orders") == [300]


class SlowUsage(Usage):
    """A store with many requests; counts how often it is read."""

    reads = 0

    def busiest_groups(
        self,
        directory_url: str,
        kind: RequestKind,
        by: CountedBy,
        *,
        since: datetime,
        now: datetime,
        full: int,
    ) -> Sequence[GroupUse]:
        self.reads += 1
        time.sleep(0.01)
        return super().busiest_groups(directory_url, kind, by, since=since, now=now, full=full)


def test_many_orders_are_not_held_up_by_measuring() -> None:
    usage = SlowUsage()
    books = Books(usage=usage)
    for _ in range(10):
        with books.measurements.order(lambda: NOW):
            pass
    assert usage.reads == len(LIMITED)
    assert sum(books.measured.values(Measurement.ORDERS, result="issued")) == 10
    with pytest.raises(RateLimitBudgetError), books.measurements.order(lambda: NOW):
        raise RateLimitBudgetError("spent", until=NOW)
    assert usage.reads == 2 * len(LIMITED)  # a spent budget is always measured


class UnreadableUsage(Usage):
    """A store whose disk fails."""

    def busiest_groups(
        self,
        directory_url: str,
        kind: RequestKind,
        by: CountedBy,
        *,
        since: datetime,
        now: datetime,
        full: int,
    ) -> Sequence[GroupUse]:
        raise StorageError(
            f"{directory_url}: cannot be read: {kind} by {by}, {since}, {now}, {full}"
        )


def test_a_usage_that_cannot_be_read_fails_no_order() -> None:
    books = Books(usage=UnreadableUsage())
    with books.measurements.order(lambda: NOW):
        pass
    assert sum(books.measured.values(Measurement.ORDERS, result="issued")) == 1
    assert not books.measured.values(Measurement.BUDGET_REMAINING)


def test_nothing_is_read_where_nothing_is_measured() -> None:
    silent = AuthorityMeasurements(
        "acme", DIRECTORY_URL, UnreadableUsage(), lambda _: LIMITS, no_measure
    )
    with silent.order(lambda: NOW):
        pass


# --------------------------------------------------------------------------- of an issuer


@pytest.fixture
def measured() -> Measured:
    return Measured()


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def issuer(
    settings: AuthoritySettings, authority: FakeAuthority, accounts: Accounts, measured: Measured
) -> Issuer:
    client = Client("acme", DIRECTORY_URL, transport=authority, now=lambda: NOW, measure=measured)
    solvers = {"http-01": FakeSolver()}
    return Issuer(settings, accounts, solvers, client=client, measure=measured)


def test_an_order_and_its_requests(
    issuer: Issuer, target: Target, accounts: Accounts, measured: Measured
) -> None:
    issuer.obtain(target, Journal(target, accounts), progress=Told(), now=lambda: NOW)
    assert sum(measured.values(Measurement.ORDERS, authority="acme", result="issued")) == 1
    assert sum(measured.values(Measurement.ORDERS, authority="acme", result="failed")) == 0
    seconds = measured.values(Measurement.REQUEST_SECONDS, authority="acme")
    assert len(seconds) > 8  # directory, nonce, account, order, two authorizations and challenges
    assert all(0 <= each < 30 for each in seconds)
    left = {limit: measured.values(Measurement.BUDGET_REMAINING, limit=limit) for limit in LIMITED}
    assert left == {
        "new_accounts": [9],
        "orders": [299],
        "certificates": [49],
        "duplicates": [4],
        "replacements": [5],
        "failed_validations": [5],
    }


def test_a_refused_order(
    issuer: Issuer, target: Target, authority: FakeAuthority, measured: Measured
) -> None:
    authority.queued["new-order"].append(problem("rejectedIdentifier"))
    with pytest.raises(AuthorityError):
        issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)
    assert sum(measured.values(Measurement.ORDERS, result="failed")) == 1
    assert sum(measured.values(Measurement.ORDERS, result="issued")) == 0


def test_the_budget_alone_asks_no_ca(
    issuer: Issuer, authority: FakeAuthority, measured: Measured
) -> None:
    issuer.measure_budget(NOW)
    assert measured.values(Measurement.BUDGET_REMAINING, limit="orders") == [300]
    assert measured.values(Measurement.ORDERS, result="failed") == [0]
    assert not measured.values(Measurement.REQUEST_SECONDS)
    assert not authority.requests


def test_limits_of_the_configuration_count(settings: AuthoritySettings, measured: Measured) -> None:
    own = settings.model_copy(
        update={"limits": LimitSettings.model_validate({"duplicates": "off", "orders": "7/1h"})}
    )
    Issuer(own, Accounts(), {}, measure=measured).measure_budget(NOW)
    assert measured.values(Measurement.BUDGET_REMAINING, limit="orders") == [7]
    assert not measured.values(Measurement.BUDGET_REMAINING, limit="duplicates")
    assert not measured.values(Measurement.BUDGET_REMAINING, limit="replacements")
