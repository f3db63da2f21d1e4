"""Orders, and the requests that count towards the limits of a CA."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from hypothesis import strategies as st
from hypothesis.stateful import rule
from tests.conformance.counted_requests import ACCOUNTS, LIMITS, NAME_SETS, URLS
from tests.conformance.store_machine import StoreMachine, a_gateway, a_number
from tests.conformance.store_material import issued, key_request

from gatecert.model import CountedRequest, Expenses, LimitReached, OrderHeld, RequestKind
from gatecert.model.fleet import Priority, Urgency

if TYPE_CHECKING:
    from datetime import datetime

ORDER: Final = "order-"  # begins the ids of requests of orders
CERTIFICATES: Final = (RequestKind.CERTIFICATE, RequestKind.REPLACEMENT)
URGENT: Final = Urgency(Priority.REVOKED)  # so that nothing of a limit is kept for others
CLOCKS_APART: Final = timedelta(minutes=1)  # of the store and of a server

# Most requests are of one account at one CA, so that limits are reached.
a_url = st.sampled_from((*URLS, *URLS[:1] * 3))
an_account = st.sampled_from((*ACCOUNTS, *ACCOUNTS[:1] * 3))
some_names = st.sampled_from(NAME_SETS)
an_order = st.integers(0, 3)


class OrderMachine(StoreMachine):
    """Uses orders."""

    urls = URLS

    @rule(gateway=a_gateway, url=a_url, account=an_account, names=some_names, number=a_number)
    def open_order(
        self, gateway: str, url: str, account: str, names: tuple[str, ...], number: int
    ) -> None:
        now = self.tested.now()
        intent = key_request(f"{ORDER}{next(self.numbers)}", self.instant(), number)
        expenses = Expenses(
            now,
            (CountedRequest(RequestKind.ORDER, now, account=account),),
            (CountedRequest(RequestKind.CERTIFICATE, now, names=names),),
        )
        expected = self.counted[url].reached(expenses)
        with_intent = self.with_request(gateway, intent)

        def open_it() -> None:
            with (
                self.store.lock_gateway(gateway, "a test", wait=0),
                self.store.lease(gateway) as lease,
            ):
                self.store.schedule(gateway, URGENT, now)
                reached = self.store.open_order(gateway, intent, url, expenses, LIMITS, lease=lease)
            assert not isinstance(reached, OrderHeld)
            check_reached(reached, expected)

        if expected is None:
            counted = {**self.counted, url: self.counted[url].after(expenses)}
            self.use(open_it, with_intent, counted=counted)
        else:
            self.use(open_it, self.contents, with_intent)

    @rule(gateway=a_gateway, number=a_number, pair=st.booleans())
    def finish_order(self, gateway: str, number: int, *, pair: bool) -> None:
        """A version of an order; the requests of orders go one after the other, or all at once."""
        chain, now = issued(number, pair=pair), self.instant()
        requests = self.entries("requests", gateway)
        ordered = [each for each in requests if each[0].startswith(ORDER)]
        added = self.with_version(gateway, chain, now)
        steps = [
            {**added, ("requests", gateway): tuple(each for each in requests if each not in gone)}
            for gone in (ordered[:some] for some in range(len(ordered) + 1))
        ]

        def finish() -> None:
            with self.store.lock_gateway(gateway, "a test", wait=0), self.store.lease(gateway):
                self.check_added(self.store.add_version(gateway, chain, now=now))
                for each in ordered:
                    self.store.remove_request(gateway, each[0])

        self.use(finish, steps[-1], *steps)

    @rule(url=a_url, number=an_order)
    def count_validations(self, url: str, number: int) -> None:
        now, (order, names) = self.tested.now(), order_of(number)
        account = ACCOUNTS[number % len(ACCOUNTS)]
        validations = (
            CountedRequest(RequestKind.VALIDATION, now, f"{order} {name}", account, (name,))
            for name in names
        )
        self.count(url, Expenses(now, tuple(validations)))

    @rule(url=a_url, number=an_order, kind=st.sampled_from(CERTIFICATES))
    def count_certificate(self, url: str, number: int, kind: RequestKind) -> None:
        """The certificate of an order, whose validations have not failed.

        If the store fails, they may count as failed for as long as if they had.
        """
        now, (order, names) = self.tested.now(), order_of(number)
        request = CountedRequest(kind, now, order, names=names)
        unvalidated = Expenses(now, (request,))
        self.count(url, replace(unvalidated, validated=order), if_it_fails=unvalidated)

    @rule(url=a_url)
    def count_account(self, url: str) -> None:
        now = self.tested.now()
        self.count(url, Expenses(now, (CountedRequest(RequestKind.ACCOUNT, now),)))

    def count(self, url: str, expenses: Expenses, if_it_fails: Expenses | None = None) -> None:
        expected = self.counted[url].reached(expenses)
        counted, too_many = (
            {**self.counted, url: self.counted[url].after(each)}
            for each in (expenses, if_it_fails or expenses)
        )
        self.use(
            lambda: check_reached(self.store.count_requests(url, expenses, LIMITS), expected),
            self.contents,
            counted=counted if expected is None else None,
            too_many=too_many if expected is None else None,
        )


def order_of(number: int) -> tuple[str, tuple[str, ...]]:
    """The URL and the names of the order of that number."""
    return f"https://ca.example/order/{number}", NAME_SETS[number % len(NAME_SETS)]


def check_reached(reached: LimitReached | None, expected: datetime | None) -> None:
    """Check until when limits forbid requests."""
    assert (reached is None) == (expected is None)
    if reached is not None and expected is not None:
        assert abs(reached.until - expected) <= CLOCKS_APART
