from __future__ import annotations

import errno
import ipaddress
from typing import TYPE_CHECKING

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.errors import ResolutionError
from gatecert.resolve.gateway_addresses import (
    GatewayAddresses,
    interface_addresses,
    is_public,
    own_addresses,
    select_addresses,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

PUBLIC4 = "192.5.5.241"
OTHER4 = "192.33.4.12"
PUBLIC6 = "2001:500:2f::f"
OTHER6 = "2001:500:2::c"
LOOPBACK = ("127.0.0.1", "::1")


# --------------------------------------------------------------------------- configured


def test_configured_addresses_apply_exclusively() -> None:
    assert select_addresses(["2001:DB8::7", "203.0.113.7"], [PUBLIC4, PUBLIC6]) == GatewayAddresses(
        ("203.0.113.7", "2001:db8::7")
    )


@given(st.lists(st.ip_addresses().map(str), min_size=1), st.ip_addresses().map(str))
def test_exactly_the_configured_addresses_are_accepted(configured: list[str], other: str) -> None:
    addresses = select_addresses(configured, [])
    assert all(addresses.owns(each) and addresses.accepts(each) for each in configured)
    is_configured = ipaddress.ip_address(other) in map(ipaddress.ip_address, configured)
    assert addresses.accepts(other) is is_configured


def test_configured_addresses_do_not_read_the_interfaces(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(psutil, "net_if_addrs", _forbidden)
    assert own_addresses(["127.0.0.1", "::1"]).expected == ("127.0.0.1", "::1")


# --------------------------------------------------------------------------- detected


@pytest.mark.parametrize(
    ("found", "expected", "behind_nat"),
    [
        ([PUBLIC4], [PUBLIC4], False),
        ([PUBLIC6, PUBLIC4, "10.0.0.1"], [PUBLIC4, PUBLIC6], False),
        ([PUBLIC4, "fd00::1", "fe80::1"], [PUBLIC4], False),
        ([PUBLIC6], [PUBLIC6], False),
        ([PUBLIC6, "169.254.1.1"], [PUBLIC6], False),
        ([PUBLIC6, "10.0.0.1"], [PUBLIC6], True),
        (["10.0.0.1", "fd00::1"], [], True),
        (["100.64.0.1"], [], True),
        (["203.0.113.7", "2001:db8::7"], [], True),
        ([], [], True),
    ],
)
def test_addresses_are_selected_from_the_interfaces(
    found: Sequence[str],
    expected: Sequence[str],
    *,
    behind_nat: bool,
) -> None:
    assert select_addresses([], [*LOOPBACK, *found]) == GatewayAddresses(
        tuple(expected), behind_nat
    )


def test_a_public_address_is_compared() -> None:
    addresses = select_addresses([], [PUBLIC4])
    assert addresses.owns(PUBLIC4)
    assert not addresses.accepts(OTHER4)
    assert not addresses.accepts(PUBLIC6)


def test_behind_nat_only_public_addresses_are_accepted() -> None:
    addresses = select_addresses([], ["192.168.1.2"])
    assert addresses.accepts_unverified(PUBLIC4)
    assert addresses.accepts_unverified(PUBLIC6)
    assert not addresses.owns(PUBLIC4)
    for other in ("192.168.1.2", "127.0.0.1", "100.64.0.1", "203.0.113.7", "fd00::1", "fe80::1"):
        assert not addresses.accepts(other)


def test_behind_nat_a_public_ipv6_address_is_still_compared() -> None:
    addresses = select_addresses([], ["192.168.1.2", PUBLIC6])
    assert addresses.accepts_unverified(PUBLIC4)
    assert addresses.owns(PUBLIC6)
    assert not addresses.accepts(OTHER6)


@pytest.mark.parametrize("address", [PUBLIC4, PUBLIC6, "8.8.8.8", "2606:4700::1111"])
def test_public_addresses(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("10.0.0.1", "172.16.0.1", "192.168.0.1", "127.0.0.1", "169.254.0.1", "100.64.0.1"),
        *("192.0.2.1", "198.51.100.1", "203.0.113.1", "0.1.2.3", "224.0.0.1", "240.0.0.1"),
        *("255.255.255.255", "::", "::1", "fe80::1", "fec0::1", "fd00::1", "2001:db8::1"),
        *("ff02::1", "64:ff9b::808:808", "::ffff:8.8.8.8", "4000::1"),
    ],
)
def test_addresses_that_are_not_public(address: str) -> None:
    assert not is_public(address)


# --------------------------------------------------------------------------- the adapter


def test_the_interfaces_of_this_host_are_read() -> None:
    found = interface_addresses()
    assert "127.0.0.1" in found
    for each in found:
        assert "%" not in each
        ipaddress.ip_address(each)


def test_unreadable_interfaces_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "net_if_addrs", _forbidden)
    with pytest.raises(ResolutionError, match="cannot be read") as caught:
        own_addresses([])
    assert "AF_NETLINK" in caught.value.fix


def _forbidden() -> None:
    raise OSError(errno.EAFNOSUPPORT, "Address family not supported by protocol")
