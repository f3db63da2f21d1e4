from __future__ import annotations

import ipaddress
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.model import NameResolution, ResolutionKind
from gatecert.resolve.address_check import check_address, check_name
from gatecert.resolve.gateway_addresses import GatewayAddresses
from gatecert.resolve.lookup import LookupResult, LookupStatus, sort_addresses

NAME = "boston.example.com"
HERE = GatewayAddresses(("203.0.113.7",))
BOTH = GatewayAddresses(("203.0.113.7", "2001:db8::7"))
NAT = GatewayAddresses((), behind_nat=True)
NAT_WITH_IPV6 = GatewayAddresses(("2001:500:2f::f",), behind_nat=True)

ip_texts = st.lists(st.ip_addresses().map(str), min_size=1, max_size=6)


def check(
    addresses: GatewayAddresses,
    *found: str,
    status: LookupStatus = LookupStatus.ADDRESSES,
    detail: str = "",
) -> NameResolution:
    return check_name(LookupResult(NAME, status, found, timedelta(minutes=1), detail), addresses)


# --------------------------------------------------------------------------- compared


def test_a_right_address_is_here() -> None:
    result = check(HERE, "203.0.113.7")
    assert result.points_here
    assert result == NameResolution(
        NAME,
        ResolutionKind.HERE,
        ("203.0.113.7",),
        (),
        timedelta(minutes=1),
        f"{NAME} resolves to 203.0.113.7, this gateway",
    )


def test_one_family_is_enough() -> None:
    assert check(BOTH, "2001:db8::7").kind is ResolutionKind.HERE


def test_a_stale_ipv6_address_beside_a_right_one() -> None:
    result = check(HERE, "203.0.113.7", "2001:db8::1")
    assert not result.points_here
    assert result.kind is ResolutionKind.ELSEWHERE
    assert result.answers == ("203.0.113.7", "2001:db8::1")
    assert result.wrong == ("2001:db8::1",)
    assert result.detail == (
        f"{NAME} AAAA 2001:db8::1 is not an address of this gateway (expected 203.0.113.7): "
        "CAs prefer IPv6, so validation would fail; "
        "correct or remove it in DNS, or list it under the gateway's addresses"
    )


def test_every_wrong_address_is_named() -> None:
    result = check(BOTH, "198.51.100.9", "203.0.113.7", "2001:db8::1")
    assert result.wrong == ("198.51.100.9", "2001:db8::1")
    assert result.detail.startswith(
        f"{NAME} A 198.51.100.9 and AAAA 2001:db8::1 are not addresses of this gateway "
        "(expected 203.0.113.7 or 2001:db8::7)"
    )


def test_a_wrong_ipv4_address_does_not_mention_ipv6() -> None:
    assert "IPv6" not in check(HERE, "198.51.100.9").detail


def test_a_long_list_is_cut() -> None:
    result = check(HERE, *(f"198.51.100.{last}" for last in range(9)))
    assert len(result.wrong) == 9
    assert (
        "A 198.51.100.0, A 198.51.100.1, A 198.51.100.2, A 198.51.100.3 and 5 more are not"
        in result.detail
    )


@given(ip_texts, ip_texts)
def test_a_name_is_here_with_a_right_address_and_no_wrong_one(
    own: list[str], found: list[str]
) -> None:
    result = check(GatewayAddresses(sort_addresses(own)), *sort_addresses(found))
    right = {ipaddress.ip_address(each) for each in own}
    answers = {ipaddress.ip_address(each) for each in found}
    assert result.points_here is (answers <= right)
    assert {ipaddress.ip_address(each) for each in result.wrong} == answers - right
    assert "\n" not in result.detail


# --------------------------------------------------------------------------- behind NAT


def test_behind_nat_a_public_address_is_accepted_with_a_note() -> None:
    result = check(NAT, "192.5.5.241")
    assert result.points_here
    assert result.kind is ResolutionKind.BEHIND_NAT
    assert result.detail == (
        f"{NAME} resolves to 192.5.5.241, assumed to be this gateway, which has only private "
        "addresses; list its public addresses under addresses to have them checked"
    )


@pytest.mark.parametrize("answer", ["192.168.1.2", "127.0.0.1", "fd00::1"])
def test_behind_nat_an_internal_address_is_rejected(answer: str) -> None:
    result = check(NAT, answer)
    assert result.wrong == (answer,)
    kind = "AAAA" if ":" in answer else "A"
    assert result.detail == (
        f"{NAME} {kind} {answer} is not public, so no CA can connect; "
        "the nameserver may answer differently inside this network than public DNS does "
        "(systemd-resolved, split-horizon DNS): set resolver.nameservers to nameservers "
        "outside this network, or, if public DNS gives the same address, "
        "publish the address at which this gateway is reached from outside"
    )


def test_behind_nat_a_documentation_address_is_rejected() -> None:
    assert check(NAT, "203.0.113.7").detail == (
        f"{NAME} A 203.0.113.7 is not public, so no CA can connect; "
        "publish the address at which this gateway is reached from outside"
    )


def test_behind_nat_a_private_address_beside_a_public_one_is_wrong() -> None:
    result = check(NAT, "192.5.5.241", "192.168.1.2", "fd00::1")
    assert result.kind is ResolutionKind.ELSEWHERE
    assert result.wrong == ("192.168.1.2", "fd00::1")
    assert "are not public" in result.detail


def test_behind_nat_with_a_public_ipv6_address() -> None:
    result = check(NAT_WITH_IPV6, "192.5.5.241", "2001:500:2f::f")
    assert result.kind is ResolutionKind.BEHIND_NAT
    assert "which has only private IPv4 addresses" in result.detail
    assert check(NAT_WITH_IPV6, "2001:500:2f::f").kind is ResolutionKind.HERE
    stale = check(NAT_WITH_IPV6, "192.5.5.241", "2001:500:2::c")
    assert stale.wrong == ("2001:500:2::c",)
    assert "(expected 2001:500:2f::f or a public IPv4 address)" in stale.detail


# --------------------------------------------------------------------------- not found


@pytest.mark.parametrize(
    ("status", "detail", "text"),
    [
        (
            LookupStatus.NO_SUCH_NAME,
            "",
            (
                f"{NAME} does not exist in DNS (NXDOMAIN); "
                "check the dynamic-DNS client, or create it for 203.0.113.7"
            ),
        ),
        (
            LookupStatus.NO_ADDRESS,
            "alias of b.example (A and AAAA)",
            (
                f"{NAME} exists in DNS but has no A or AAAA record: alias of b.example (A and AAAA)"
                "; check the dynamic-DNS client, or add one for 203.0.113.7"
            ),
        ),
        (
            LookupStatus.SERVER_FAILURE,
            "192.0.2.53:53 answered SERVFAIL (A and AAAA)",
            (
                f"{NAME} could not be looked up: 192.0.2.53:53 answered SERVFAIL (A and AAAA); "
                "check the zone at its DNS provider and resolver.nameservers"
            ),
        ),
        (
            LookupStatus.TIMEOUT,
            "192.0.2.53:53 did not answer (A and AAAA)",
            (
                f"{NAME} could not be looked up in time: 192.0.2.53:53 did not answer (A and AAAA)"
                "; check the network and resolver.nameservers"
            ),
        ),
    ],
)
def test_each_failure_has_its_own_kind_and_description(
    status: LookupStatus, detail: str, text: str
) -> None:
    result = check(HERE, status=status, detail=detail)
    assert result.kind.value == status.value
    assert not result.points_here
    assert result.detail == text


def test_behind_nat_the_address_to_publish_is_unknown() -> None:
    assert "for the gateway's public address" in check(NAT, status=LookupStatus.NO_ADDRESS).detail


def check_one_family(addresses: GatewayAddresses, found: str) -> NameResolution:
    lookup = LookupResult(
        NAME, LookupStatus.ADDRESSES, (found,), unknown="ns answered NOTIMP (AAAA)"
    )
    return check_name(lookup, addresses)


@pytest.mark.parametrize(("addresses", "found"), [(HERE, "203.0.113.7"), (NAT, "192.5.5.241")])
def test_one_family_is_enough_with_a_warning(addresses: GatewayAddresses, found: str) -> None:
    result = check_one_family(addresses, found)
    assert result.points_here
    assert result.kind.is_here
    assert result.warning.startswith(
        f"not every record of {NAME} could be looked up: ns answered NOTIMP (AAAA); "
    )
    assert result.detail.endswith(result.warning)


def test_a_wrong_address_outweighs_the_failure_of_the_other_family() -> None:
    result = check_one_family(HERE, "198.51.100.9")
    assert result.kind is ResolutionKind.ELSEWHERE
    assert result.warning == ""


# --------------------------------------------------------------------------- internal addresses


@pytest.mark.parametrize("found", ["127.0.1.1", "10.1.2.3", "100.64.0.1", "fd00::1", "::1"])
def test_an_address_from_the_hosts_file_is_reported_with_its_line(found: str) -> None:
    line = f"/etc/hosts line 2 ({found} {NAME})"
    lookup = LookupResult(
        NAME, LookupStatus.ADDRESSES, (found,), nameservers="127.0.0.53:53", hosts_lines=(line,)
    )
    result = check_name(lookup, HERE)
    assert result.kind is ResolutionKind.ELSEWHERE
    assert f"{found} is not an address of this gateway (expected 203.0.113.7); " in result.detail
    assert f"comes from {line}, a file that 127.0.0.53:53 answers from" in result.detail
    assert result.detail.endswith("or set resolver.nameservers to nameservers outside this network")


def test_an_internal_address_may_come_from_split_horizon_dns() -> None:
    lookup = LookupResult(NAME, LookupStatus.ADDRESSES, ("10.1.2.3",), nameservers="10.0.0.53:53")
    detail = check_name(lookup, HERE).detail
    assert "10.0.0.53:53 may answer differently inside this network than public DNS" in detail
    assert "set resolver.nameservers to nameservers outside this network" in detail


def test_an_internal_address_of_the_gateway_is_accepted() -> None:
    assert check(GatewayAddresses(("10.1.2.3",)), "10.1.2.3").kind is ResolutionKind.HERE


# --------------------------------------------------------------------------- identifiers


@pytest.mark.parametrize(
    ("addresses", "address", "kind", "text"),
    [
        (HERE, "203.0.113.7", ResolutionKind.HERE, "203.0.113.7 is an address of this gateway"),
        (
            NAT,
            "192.5.5.241",
            ResolutionKind.BEHIND_NAT,
            "192.5.5.241 cannot be checked: this gateway has only private addresses",
        ),
        (
            HERE,
            "203.0.113.8",
            ResolutionKind.ELSEWHERE,
            (
                "203.0.113.8 is not an address of this gateway (expected 203.0.113.7); "
                "remove it from alternative_names or list it under addresses"
            ),
        ),
        (
            NAT,
            "10.0.0.1",
            ResolutionKind.ELSEWHERE,
            (
                "10.0.0.1 is not an address of this gateway (expected a public address); "
                "remove it from alternative_names or list it under addresses"
            ),
        ),
    ],
)
def test_an_ip_address_identifier_is_compared(
    addresses: GatewayAddresses, address: str, kind: ResolutionKind, text: str
) -> None:
    result = check_address(address, addresses)
    assert result.kind is kind
    assert result.answers == (address,)
    assert result.wrong == (() if result.points_here else (address,))
    assert result.time_to_live is None
    assert result.detail == text
