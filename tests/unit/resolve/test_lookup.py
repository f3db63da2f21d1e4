from __future__ import annotations

import ipaddress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.resolve.lookup import Family, FamilyAnswer, LookupStatus, combine, sort_addresses

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
ADDRESSES = {Family.IPV4: ("203.0.113.7",), Family.IPV6: ("2001:db8::1",)}


def answer(family: Family, status: LookupStatus, detail: str = "") -> FamilyAnswer:
    found = ADDRESSES[family] if status is LookupStatus.ADDRESSES else ()
    return FamilyAnswer(family, status, found, detail=detail)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        (LookupStatus.ADDRESSES, LookupStatus.ADDRESSES, LookupStatus.ADDRESSES),
        (LookupStatus.ADDRESSES, LookupStatus.NO_ADDRESS, LookupStatus.ADDRESSES),
        (LookupStatus.ADDRESSES, LookupStatus.NO_SUCH_NAME, LookupStatus.ADDRESSES),
        (LookupStatus.ADDRESSES, LookupStatus.SERVER_FAILURE, LookupStatus.ADDRESSES),
        (LookupStatus.ADDRESSES, LookupStatus.TIMEOUT, LookupStatus.ADDRESSES),
        (LookupStatus.NO_ADDRESS, LookupStatus.NO_ADDRESS, LookupStatus.NO_ADDRESS),
        (LookupStatus.NO_ADDRESS, LookupStatus.NO_SUCH_NAME, LookupStatus.NO_SUCH_NAME),
        (LookupStatus.NO_ADDRESS, LookupStatus.SERVER_FAILURE, LookupStatus.SERVER_FAILURE),
        (LookupStatus.NO_ADDRESS, LookupStatus.TIMEOUT, LookupStatus.TIMEOUT),
        (LookupStatus.NO_SUCH_NAME, LookupStatus.NO_SUCH_NAME, LookupStatus.NO_SUCH_NAME),
        (LookupStatus.NO_SUCH_NAME, LookupStatus.SERVER_FAILURE, LookupStatus.NO_SUCH_NAME),
        (LookupStatus.NO_SUCH_NAME, LookupStatus.TIMEOUT, LookupStatus.NO_SUCH_NAME),
        (LookupStatus.SERVER_FAILURE, LookupStatus.SERVER_FAILURE, LookupStatus.SERVER_FAILURE),
        (LookupStatus.SERVER_FAILURE, LookupStatus.TIMEOUT, LookupStatus.SERVER_FAILURE),
        (LookupStatus.TIMEOUT, LookupStatus.TIMEOUT, LookupStatus.TIMEOUT),
    ],
)
def test_both_families_are_combined_into_one_status(
    one: LookupStatus, other: LookupStatus, both: LookupStatus
) -> None:
    for first, second in ((one, other), (other, one)):
        answers = [answer(Family.IPV4, first), answer(Family.IPV6, second)]
        assert combine("boston.example.com", answers).status is both


def test_addresses_are_kept_beside_a_failure() -> None:
    answers = [
        answer(Family.IPV4, LookupStatus.TIMEOUT),
        answer(Family.IPV6, LookupStatus.ADDRESSES),
    ]
    assert combine("boston.example.com", answers).addresses == ("2001:db8::1",)


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [(MINUTE, HOUR, MINUTE), (HOUR, None, HOUR), (None, MINUTE, MINUTE), (None, None, None)],
)
def test_the_smaller_ttl_is_used(
    one: timedelta | None, other: timedelta | None, both: timedelta | None
) -> None:
    answers = [
        FamilyAnswer(Family.IPV4, LookupStatus.NO_ADDRESS, time_to_live=one),
        FamilyAnswer(Family.IPV6, LookupStatus.NO_ADDRESS, time_to_live=other),
    ]
    assert combine("boston.example.com", answers).time_to_live == both


@pytest.mark.parametrize(
    ("one", "other", "both"),
    [
        ("x said no", "x said no", "x said no (A and AAAA)"),
        ("x said no", "y said no", "x said no (A); y said no (AAAA)"),
        ("", "y said no", "y said no (AAAA)"),
        ("", "", ""),
    ],
)
def test_each_detail_is_reported_once(one: str, other: str, both: str) -> None:
    answers = [
        answer(Family.IPV4, LookupStatus.TIMEOUT, one),
        answer(Family.IPV6, LookupStatus.TIMEOUT, other),
    ]
    assert combine("boston.example.com", answers).detail == both


def test_a_failure_beside_addresses_is_kept_as_unknown() -> None:
    answers = [
        answer(Family.IPV4, LookupStatus.ADDRESSES, "alias of b.example"),
        answer(Family.IPV6, LookupStatus.SERVER_FAILURE, "x answered SERVFAIL"),
    ]
    both = combine("boston.example.com", answers)
    assert both.detail == "alias of b.example (A)"
    assert both.unknown == "x answered SERVFAIL (AAAA)"


@pytest.mark.parametrize(
    "other", [LookupStatus.NO_ADDRESS, LookupStatus.NO_SUCH_NAME, LookupStatus.TIMEOUT]
)
def test_without_addresses_unknown_is_empty(other: LookupStatus) -> None:
    answers = [
        answer(Family.IPV4, other, "x"),
        answer(Family.IPV6, LookupStatus.SERVER_FAILURE, "y"),
    ]
    assert combine("boston.example.com", answers).unknown == ""


@given(st.lists(st.ip_addresses().map(str)))
def test_addresses_are_distinct_and_in_order(addresses: list[str]) -> None:
    ordered = [ipaddress.ip_address(each) for each in sort_addresses(addresses)]
    assert set(ordered) == {ipaddress.ip_address(each) for each in addresses}
    assert len(ordered) == len(set(ordered))
    assert ordered == sorted(ordered, key=lambda each: (each.version, int(each)))


def test_addresses_are_canonical() -> None:
    assert sort_addresses(["2001:DB8:0::1", "10.0.0.10", "10.0.0.9"]) == (
        "10.0.0.9",
        "10.0.0.10",
        "2001:db8::1",
    )
