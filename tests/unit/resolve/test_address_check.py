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


def judge(
    addresses: GatewayAddresses,
    *found: str,
    status: LookupStatus = LookupStatus.ADDRESSES,
    detail: str = "",
) -> NameResolution:
    return check_name(LookupResult(NAME, status, found, timedelta(minutes=1), detail), addresses)


# --------------------------------------------------------------------------- compared


def test_here() -> None:
    judged = judge(HERE, "203.0.113.7")
    assert judged.points_here
    assert judged == NameResolution(
        NAME,
        ResolutionKind.HERE,
        ("203.0.113.7",),
        (),
        timedelta(minutes=1),
        f"{NAME} resolves to 203.0.113.7, this gateway",
    )


def test_one_family_is_enough() -> None:
    assert judge(BOTH, "2001:db8::7").kind is ResolutionKind.HERE


def test_a_stale_ipv6_address_beside_a_right_one() -> None:
    judged = judge(HERE, "203.0.113.7", "2001:db8::1")
    assert not judged.points_here
    assert judged.kind is ResolutionKind.ELSEWHERE
    assert judged.answers == ("203.0.113.7", "2001:db8::1")
    assert judged.wrong == ("2001:db8::1",)
    assert judged.detail == (
        f"{NAME} AAAA 2001:db8::1 is not an address of this gateway (expected 203.0.113.7): "
        "the authority prefers IPv6, so validation would fail; "
        "correct or remove it in DNS, or list it under the gateway's addresses"
    )


def test_every_wrong_address_is_named() -> None:
    judged = judge(BOTH, "198.51.100.9", "203.0.113.7", "2001:db8::1")
    assert judged.wrong == ("198.51.100.9", "2001:db8::1")
    assert judged.detail.startswith(
        f"{NAME} A 198.51.100.9 and AAAA 2001:db8::1 are not addresses of this gateway "
        "(expected 203.0.113.7 or 2001:db8::7)"
    )


def test_a_wrong_ipv4_address_says_nothing_of_ipv6() -> None:
    assert "IPv6" not in judge(HERE, "198.51.100.9").detail


def test_a_long_list_is_cut() -> None:
    judged = judge(HERE, *(f"198.51.100.{last}" for last in range(9)))
    assert len(judged.wrong) == 9
    assert (
        "A 198.51.100.0, A 198.51.100.1, A 198.51.100.2, A 198.51.100.3 and 5 more are not"
        in judged.detail
    )


@given(ip_texts, ip_texts)
def test_here_needs_a_right_address_and_no_wrong_one(own: list[str], found: list[str]) -> None:
    judged = judge(GatewayAddresses(sort_addresses(own)), *sort_addresses(found))
    right = {ipaddress.ip_address(each) for each in own}
    answers = {ipaddress.ip_address(each) for each in found}
    assert judged.points_here is (answers <= right)
    assert {ipaddress.ip_address(each) for each in judged.wrong} == answers - right
    assert "\n" not in judged.detail


# --------------------------------------------------------------------------- behind NAT


def test_behind_nat_a_public_address_passes_and_that_is_said() -> None:
    judged = judge(NAT, "192.5.5.241")
    assert judged.points_here
    assert judged.kind is ResolutionKind.BEHIND_NAT
    assert judged.detail == (
        f"{NAME} resolves to 192.5.5.241, taken for this gateway: it has only private addresses; "
        "list its public ones under addresses to have them compared"
    )


@pytest.mark.parametrize("answer", ["192.168.1.2", "127.0.0.1", "fd00::1"])
def test_behind_nat_another_address_does_not(answer: str) -> None:
    judged = judge(NAT, answer)
    assert judged.wrong == (answer,)
    kind = "AAAA" if ":" in answer else "A"
    assert judged.detail == (
        f"{NAME} {kind} {answer} is not public, so no authority can connect; "
        "the nameserver may answer differently inside this network than public DNS does for the "
        "authority (systemd-resolved, split horizon): set resolver.nameservers to nameservers "
        "outside this network, or, where public DNS says the same, "
        "publish the address under which this gateway is reached from outside"
    )


def test_behind_nat_an_address_that_is_neither_public_nor_internal() -> None:
    assert judge(NAT, "203.0.113.7").detail == (
        f"{NAME} A 203.0.113.7 is not public, so no authority can connect; "
        "publish the address under which this gateway is reached from outside"
    )


def test_behind_nat_a_private_address_beside_a_public_one_is_wrong() -> None:
    judged = judge(NAT, "192.5.5.241", "192.168.1.2", "fd00::1")
    assert judged.kind is ResolutionKind.ELSEWHERE
    assert judged.wrong == ("192.168.1.2", "fd00::1")
    assert "are not public" in judged.detail


def test_behind_nat_with_a_public_ipv6_address() -> None:
    judged = judge(NAT_WITH_IPV6, "192.5.5.241", "2001:500:2f::f")
    assert judged.kind is ResolutionKind.BEHIND_NAT
    assert "it has only private IPv4 addresses" in judged.detail
    assert judge(NAT_WITH_IPV6, "2001:500:2f::f").kind is ResolutionKind.HERE
    stale = judge(NAT_WITH_IPV6, "192.5.5.241", "2001:500:2::c")
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
def test_each_failure_has_its_own_kind_and_words(
    status: LookupStatus, detail: str, text: str
) -> None:
    judged = judge(HERE, status=status, detail=detail)
    assert judged.kind.value == status.value
    assert not judged.points_here
    assert judged.detail == text


def test_behind_nat_what_to_publish_is_not_known() -> None:
    assert "for the gateway's public address" in judge(NAT, status=LookupStatus.NO_ADDRESS).detail


def judge_half(addresses: GatewayAddresses, found: str) -> NameResolution:
    lookup = LookupResult(
        NAME, LookupStatus.ADDRESSES, (found,), unknown="ns answered NOTIMP (AAAA)"
    )
    return check_name(lookup, addresses)


@pytest.mark.parametrize(("addresses", "found"), [(HERE, "203.0.113.7"), (NAT, "192.5.5.241")])
def test_half_an_answer_is_enough_and_warned_of(addresses: GatewayAddresses, found: str) -> None:
    judged = judge_half(addresses, found)
    assert judged.points_here
    assert judged.kind.is_here
    assert judged.warning.startswith(
        f"the rest of {NAME} could not be looked up: ns answered NOTIMP (AAAA); "
    )
    assert judged.detail.endswith(judged.warning)


def test_a_wrong_address_outweighs_the_failure_of_the_other_family() -> None:
    judged = judge_half(HERE, "198.51.100.9")
    assert judged.kind is ResolutionKind.ELSEWHERE
    assert judged.warning == ""


# --------------------------------------------------------------------------- seen from inside


@pytest.mark.parametrize("found", ["127.0.1.1", "10.1.2.3", "100.64.0.1", "fd00::1", "::1"])
def test_an_address_from_the_hosts_file_is_told_with_its_line(found: str) -> None:
    line = f"/etc/hosts line 2 ({found} {NAME})"
    lookup = LookupResult(
        NAME, LookupStatus.ADDRESSES, (found,), nameservers="127.0.0.53:53", hosts_lines=(line,)
    )
    judged = check_name(lookup, HERE)
    assert judged.kind is ResolutionKind.ELSEWHERE
    assert f"{found} is not an address of this gateway (expected 203.0.113.7); " in judged.detail
    assert f"{line} says so, and 127.0.0.53:53 answers from that file" in judged.detail
    assert judged.detail.endswith("or set resolver.nameservers to nameservers outside this network")


def test_an_internal_address_may_be_the_inside_view_of_a_name() -> None:
    lookup = LookupResult(NAME, LookupStatus.ADDRESSES, ("10.1.2.3",), nameservers="10.0.0.53:53")
    detail = check_name(lookup, HERE).detail
    assert "10.0.0.53:53 may answer differently inside this network than public DNS" in detail
    assert "set resolver.nameservers to nameservers outside this network" in detail


def test_an_internal_address_that_is_the_gateways_is_right() -> None:
    assert judge(GatewayAddresses(("10.1.2.3",)), "10.1.2.3").kind is ResolutionKind.HERE


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
                "take it out of alternative_names or list it under addresses"
            ),
        ),
        (
            NAT,
            "10.0.0.1",
            ResolutionKind.ELSEWHERE,
            (
                "10.0.0.1 is not an address of this gateway (expected a public address); "
                "take it out of alternative_names or list it under addresses"
            ),
        ),
    ],
)
def test_an_address_as_identifier(
    addresses: GatewayAddresses, address: str, kind: ResolutionKind, text: str
) -> None:
    judged = check_address(address, addresses)
    assert judged.kind is kind
    assert judged.answers == (address,)
    assert judged.wrong == (() if judged.points_here else (address,))
    assert judged.time_to_live is None
    assert judged.detail == text
