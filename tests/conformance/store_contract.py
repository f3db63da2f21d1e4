"""Tests of single uses of a store, and of processes and threads that use it at once."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.conformance.counted_requests import ACCOUNTS, LIMITS, NAME_SETS, ORDERS, URLS
from tests.conformance.store_material import issued, key_request
from tests.conformance.stored_contents import shown_by, shown_request
from tests.fakes.leases import PlayedLease

from gatecert.deadline import Deadline
from gatecert.errors import LeaseLostError, LockTimeoutError
from gatecert.model import (
    Account,
    CountedBy,
    CountedRequest,
    Expenses,
    GatewayState,
    Limits,
    PublishedRecord,
    RequestKind,
    TextRecord,
)
from gatecert.model.fleet import Replacement

if TYPE_CHECKING:
    from tests.conformance.store_under_test import StoreUnderTest

    from gatecert.store.protocol import HostStore

GATEWAY = "boston"
URL = URLS[0]
THREADS = 8


class StoreContract:
    """The tests, for a class with a fixture ``tested``, which makes a new `StoreUnderTest`."""

    @pytest.fixture
    def store(self, tested: StoreUnderTest) -> HostStore:
        return tested.open()

    def test_a_new_store_has_nothing(self, store: HostStore) -> None:
        assert shown_by(store) == {}
        assert store.state(GATEWAY) == GatewayState()
        assert store.abandoned_tokens("http-01") == ()
        assert store.roll_out(GATEWAY, 1) is None
        store.check_enrolment(GATEWAY)

    def test_what_is_not_there_can_be_removed(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        record = TextRecord("_acme-challenge.example.com", "value", "example.com")
        store.remove_token("http-01", "unknown")
        store.remove_record(PublishedRecord("unknown", record, tested.now()))
        store.remove_request(GATEWAY, "unknown")
        store.remove_next_key("letsencrypt")
        store.retire_account("letsencrypt")
        assert shown_by(store) == {}

    # ------------------------------------------------------------------ challenges

    @pytest.mark.parametrize("token", ["", "../key", "a.b", "a b", "ä"])
    def test_a_token_of_other_characters_is_refused(self, store: HostStore, token: str) -> None:
        with pytest.raises(ValueError, match="not base64url"):
            store.put_token("http-01", token, "a.thumbprint")
        assert store.token("http-01", token) is None

    def test_a_host_without_others_waits_for_none(self, store: HostStore) -> None:
        store.put_token("http-01", "token", "token.thumbprint")
        assert store.wait_for_hosts("http-01", "token", Deadline.after(60)) == ()

    def test_a_token_that_is_presented_is_not_abandoned(self, store: HostStore) -> None:
        store.put_token("http-01", "token", "token.thumbprint")
        assert store.abandoned_tokens("http-01") == ()

    # ------------------------------------------------------------------ versions and requests

    def test_versions_that_have_not_changed_are_the_same_objects(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        """So what was parsed of one stays valid."""
        store.add_version(GATEWAY, issued(0), now=tested.now())
        (version,) = store.versions(GATEWAY)
        store.add_version(GATEWAY, issued(1), now=tested.now())
        assert store.versions(GATEWAY)[1] is version

    def test_ids_of_versions_sort_by_age_even_if_the_clock_was_set_back(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        now = tested.now()
        for days in (0, -400, 1, -1):
            store.add_version(GATEWAY, issued(0), now=now + timedelta(days=days))
        found = [version.id for version in store.versions(GATEWAY)]
        assert found == sorted(found, reverse=True)
        assert len(set(found)) == 4

    def test_a_request_can_be_stored_again(self, store: HostStore, tested: StoreUnderTest) -> None:
        request = key_request("csr-1", tested.now())
        store.add_request(GATEWAY, request)
        store.add_request(GATEWAY, request)
        assert [shown_request(each) for each in store.requests(GATEWAY)] == [shown_request(request)]

    # ------------------------------------------------------------------ the right to order

    def test_a_lease_is_held_until_it_is_given_back(self, store: HostStore) -> None:
        for _ in range(2):
            with store.lock_gateway(GATEWAY, "a test", wait=0), store.lease(GATEWAY) as lease:
                lease.check()
                with store.lock_gateway("hq", "a test", wait=0), store.lease("hq") as other:
                    other.check()

    def test_a_lease_is_given_back_after_an_error(self, store: HostStore) -> None:
        with (
            pytest.raises(ZeroDivisionError),
            store.lock_gateway(GATEWAY, "a test", wait=0),
            store.lease(GATEWAY),
        ):
            raise ZeroDivisionError
        with store.lock_gateway(GATEWAY, "a test", wait=0), store.lease(GATEWAY) as lease:
            lease.check()

    def test_a_host_without_others_has_nothing_to_reserve(self, store: HostStore) -> None:
        """Its first certificate has yet to be obtained."""
        store.reserve_order(GATEWAY, Replacement("letsencrypt", "a certificate", NAME_SETS[0]))
        assert store.reserved_lease(GATEWAY, "a certificate") is None
        store.reserve_order(GATEWAY, None)

    def test_a_process_holds_a_gateway_at_a_time(self, tested: StoreUnderTest) -> None:
        first, second = tested.open(), tested.open()
        with (
            first.lock_gateway(GATEWAY, "a test", wait=0),
            pytest.raises(LockTimeoutError, match="a test"),
            second.lock_gateway(GATEWAY, "another test", wait=0),
        ):
            pass
        with second.lock_gateway(GATEWAY, "another test", wait=0):
            pass

    def test_no_order_is_opened_once_the_lease_is_lost(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        intent, expenses = key_request("order-1", tested.now()), order(tested)
        lost = PlayedLease(lost_after=0)
        with (
            store.lock_gateway(GATEWAY, "a test", wait=0),
            store.lease(GATEWAY),
            pytest.raises(LeaseLostError),
        ):
            store.open_order(GATEWAY, intent, URL, expenses, LIMITS, lease=lost)
        assert shown_by(store) == {}
        assert used(store, tested) == 0

    # ------------------------------------------------------------------ counted requests

    def test_a_request_that_is_repeated_needs_no_allowance(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        now = tested.now()
        request = CountedRequest(RequestKind.REPLACEMENT, now, "order/1", names=NAME_SETS[0])
        again = Expenses(now, (request,))
        other = Expenses(now, (replace(request, id="order/2"),))
        assert store.count_requests(URL, again, LIMITS) is None
        assert store.count_requests(URL, again, LIMITS) is None
        reached = store.count_requests(URL, other, LIMITS)
        assert reached is not None
        assert "vpn.example.com: 1 in 1 hour" in reached.reason

    def test_requests_are_counted_all_or_none(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        now = tested.now()
        account = CountedRequest(RequestKind.ACCOUNT, now)
        for _ in range(2):
            assert store.count_requests(URL, Expenses(now, (account,)), LIMITS) is None
        both = Expenses(now, (*order(tested).counted, account))
        following = replace(order(tested), following=(account,))
        assert store.count_requests(URL, both, LIMITS) is not None
        assert store.count_requests(URL, following, LIMITS) is not None
        assert used(store, tested) == 0

    def test_the_limit_that_forbids_for_the_longest_is_named(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        now = tested.now()
        for number, names in enumerate((NAME_SETS[0], NAME_SETS[1], NAME_SETS[0])):
            request = CountedRequest(RequestKind.CERTIFICATE, now, f"{number}", names=names)
            reached = store.count_requests(URL, Expenses(now, (request,)), LIMITS)
        assert reached is not None
        assert reached.reason == "certificates below example.com: 2 in 2 hours"
        assert reached.until > now + timedelta(hours=2)

    def test_validations_of_an_order_that_has_a_certificate_do_not_count(
        self, store: HostStore, tested: StoreUnderTest
    ) -> None:
        now, (name, *_) = tested.now(), NAME_SETS[0]
        ids = [f"order/{number} {name}" for number in range(2)]
        first, second = (
            Expenses(now, (CountedRequest(RequestKind.VALIDATION, now, each, "", (name,)),))
            for each in ids
        )
        assert store.count_requests(URL, first, LIMITS) is None
        assert store.count_requests(URL, second, LIMITS) is not None
        assert store.count_requests(URL, Expenses(now, validated="order/0"), LIMITS) is None
        assert store.count_requests(URL, second, LIMITS) is None

    def test_the_busiest_group_is_found(self, store: HostStore, tested: StoreUnderTest) -> None:
        now = tested.now()
        for number, names in enumerate((NAME_SETS[0], NAME_SETS[1], NAME_SETS[1])):
            request = CountedRequest(RequestKind.CERTIFICATE, now, f"{number}", names=names)
            assert store.count_requests(URL, Expenses(now, (request,)), Limits()) is None
        found = store.busiest_groups(
            URL,
            RequestKind.CERTIFICATE,
            CountedBy.NAMES,
            since=now - timedelta(hours=1),
            now=now + timedelta(minutes=1),
            full=10,
        )
        assert [(each.used, tuple(each.names)) for each in found] == [(2, NAME_SETS[1])]

    def test_threads_never_exceed_a_limit(self, store: HostStore, tested: StoreUnderTest) -> None:
        self.race([store] * THREADS, tested)

    def test_processes_never_exceed_a_limit(self, tested: StoreUnderTest) -> None:
        self.race([tested.open() for _ in range(THREADS)], tested)

    def race(self, stores: list[HostStore], tested: StoreUnderTest) -> None:
        """Count from several threads at once, more than the limit allows."""
        expenses, begin = order(tested), threading.Barrier(len(stores))
        allowed: list[bool] = []

        def count(store: HostStore) -> None:
            begin.wait()
            allowed.append(store.count_requests(URL, expenses, LIMITS) is None)

        threads = [threading.Thread(target=count, args=(store,)) for store in stores]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(allowed) == len(stores)
        assert sum(allowed) == ORDERS.limit.count
        assert used(stores[0], tested) == ORDERS.limit.count

    # ------------------------------------------------------------------ two processes

    def test_a_process_sees_what_another_one_has_written(self, tested: StoreUnderTest) -> None:
        first, second = tested.open(), tested.open()
        assert shown_by(second) == {}
        state = first.state(GATEWAY)
        first.save_state(GATEWAY, replace(state, enrolment=replace(state.enrolment, failures=3)))
        first.add_version(GATEWAY, issued(0, pair=True), now=tested.now())
        first.add_request(GATEWAY, key_request("csr-1", tested.now()))
        first.save_account("letsencrypt", Account(key_request("", tested.now()).private_key, "url"))
        first.put_token("http-01", "b", "b.thumbprint")
        first.add_record(TextRecord("a.example.com", "v", "example.com"), now=tested.now())
        assert first.count_requests(URL, order(tested), LIMITS) is None
        assert len(shown_by(second)) == 6
        assert shown_by(second) == shown_by(first)
        assert used(second, tested) == 1


def order(tested: StoreUnderTest) -> Expenses:
    """An order, which `ORDERS` limits."""
    now = tested.now()
    return Expenses(now, (CountedRequest(RequestKind.ORDER, now, account=ACCOUNTS[0]),))


def used(store: HostStore, tested: StoreUnderTest) -> int:
    """Return how many orders count now."""
    now = tested.now() + timedelta(minutes=1)
    group = ORDERS.group(ACCOUNTS[0])
    return len(store.instants(URL, group, since=ORDERS.limit.begin(now), now=now, count=100))
