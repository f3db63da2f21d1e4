from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.model import (
    Identifier,
    IdentifierType,
    NameResolution,
    Resolution,
    ResolutionKind,
    Target,
)
from gatecert.resolve.gateway_addresses import GatewayAddresses
from gatecert.resolve.lookup import LookupResult, LookupStatus
from gatecert.resolve.preflight import (
    describe_change,
    newly_points_here,
    pause_between_lookups,
    preflight,
    requires_addresses,
    unchanged_since,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

NOW = datetime(2026, 11, 23, 8, tzinfo=UTC)
SECOND = timedelta(seconds=1)
INTERVAL = timedelta(seconds=30)
OWN = GatewayAddresses(("203.0.113.7", "2001:db8::7"))

durations = st.timedeltas(timedelta(0), timedelta(days=2))


class FakeResolver:
    """A resolver that knows the addresses of some names; the others do not exist."""

    def __init__(self, **addresses: Sequence[str]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    def look_up(self, names: Sequence[str]) -> tuple[LookupResult, ...]:
        self.asked.extend(names)
        return tuple(self._look_up(name) for name in names)

    def _look_up(self, name: str) -> LookupResult:
        found = self.addresses.get(name.partition(".")[0])
        if found is None:
            return LookupResult(name, LookupStatus.NO_SUCH_NAME)
        return LookupResult(name, LookupStatus.ADDRESSES, tuple(found), timedelta(minutes=1))


def target(*identifiers: str, challenges: tuple[str, ...] = ("http-01",)) -> Target:
    return Target(
        "boston",
        tuple(
            Identifier(IdentifierType.DNS if each[-1].isalpha() else IdentifierType.IP, each)
            for each in identifiers
        ),
        identifiers[0],
        challenges=challenges,
    )


# --------------------------------------------------------------------------- preflight


def test_every_name_points_here() -> None:
    resolver = FakeResolver(boston=["203.0.113.7"], vpn=["2001:db8::7"])
    resolution = preflight(
        target("boston.example.com", "203.0.113.7", "vpn.example.com"), resolver, OWN, now=NOW
    )
    assert resolution.points_here
    assert resolution.at == NOW
    assert resolution.expected == OWN.expected
    assert [each.name for each in resolution.names] == [
        "boston.example.com",
        "203.0.113.7",
        "vpn.example.com",
    ]
    assert resolver.asked == ["boston.example.com", "vpn.example.com"]


def test_one_wrong_name_fails_the_preflight() -> None:
    resolver = FakeResolver(boston=["203.0.113.7"], vpn=["203.0.113.7", "2001:db8::1"])
    resolution = preflight(target("boston.example.com", "vpn.example.com"), resolver, OWN, now=NOW)
    assert not resolution.points_here
    assert resolution.detail.startswith("vpn.example.com AAAA 2001:db8::1 is not an address")
    assert "boston" not in resolution.detail


def test_an_ip_address_of_another_host_is_rejected() -> None:
    resolver = FakeResolver(boston=["203.0.113.7"])
    resolution = preflight(target("boston.example.com", "203.0.113.8"), resolver, OWN, now=NOW)
    assert not resolution.points_here


def test_a_wildcard_is_not_looked_up() -> None:
    resolver = FakeResolver(boston=["203.0.113.7"])
    both = target("boston.example.com", "*.example.com", challenges=("http-01", "dns-01"))
    resolution = preflight(both, resolver, OWN, now=NOW)
    assert resolver.asked == ["boston.example.com"]
    assert resolution.points_here


def test_with_dns_challenges_a_wrong_name_is_reported_but_delays_no_order() -> None:
    resolver = FakeResolver(boston=["198.51.100.9"], vpn=["203.0.113.7"])
    dns_only = target("boston.example.com", "vpn.example.com", challenges=("dns-01",))
    resolution = preflight(dns_only, resolver, OWN, now=NOW)
    wrong, right = resolution.names
    assert resolution.points_here
    assert wrong.kind is ResolutionKind.ELSEWHERE
    assert wrong.wrong == ("198.51.100.9",)
    assert wrong.detail.endswith("[does not delay orders: a TXT record can validate the name]")
    assert right.detail == "vpn.example.com resolves to 203.0.113.7, this gateway"
    assert not wrong.required
    assert not right.required


def test_an_address_is_required_whatever_the_challenges() -> None:
    resolver = FakeResolver(boston=["203.0.113.7"])
    dns_only = target("boston.example.com", "203.0.113.8", challenges=("dns-01",))
    assert not preflight(dns_only, resolver, OWN, now=NOW).points_here


@pytest.mark.parametrize(
    ("challenges", "needed"),
    [
        (("http-01",), True),
        (("tls-alpn-01",), True),
        (("dns-01",), False),
        (("dns-01", "dns-account-01", "dns-persist-01"), False),
        (("dns-01", "http-01"), False),
        ((), True),
    ],
)
def test_challenges_that_require_addresses(challenges: tuple[str, ...], *, needed: bool) -> None:
    assert requires_addresses(target("boston.example.com", challenges=challenges)) is needed


# --------------------------------------------------------------------------- next look


def lookup_result(
    kind: ResolutionKind = ResolutionKind.ELSEWHERE,
    *answers: str,
    time_to_live: timedelta | None = None,
    at: datetime = NOW,
) -> Resolution:
    name = NameResolution("boston.example.com", kind, answers, time_to_live=time_to_live)
    return Resolution(at, (name,), expected=("203.0.113.7",))


@pytest.mark.parametrize(
    ("kind", "time_to_live", "pause"),
    [
        (ResolutionKind.ELSEWHERE, None, INTERVAL),
        (ResolutionKind.ELSEWHERE, timedelta(hours=1), INTERVAL),
        (ResolutionKind.ELSEWHERE, 7 * SECOND, 7 * SECOND),
        (ResolutionKind.NO_SUCH_NAME, 7 * SECOND, 7 * SECOND),
        (ResolutionKind.ELSEWHERE, timedelta(0), SECOND),
        (ResolutionKind.TIMEOUT, None, INTERVAL),
        (ResolutionKind.HERE, 7 * SECOND, 10 * INTERVAL),
        (ResolutionKind.BEHIND_NAT, 7 * SECOND, 10 * INTERVAL),
    ],
)
def test_the_pause_between_lookups(
    kind: ResolutionKind, time_to_live: timedelta | None, pause: timedelta
) -> None:
    resolution = lookup_result(kind, time_to_live=time_to_live)
    assert pause_between_lookups(resolution, INTERVAL) == pause


@pytest.mark.parametrize(
    ("interval", "unchanged", "pause"),
    [
        (30, 0, 5),
        (30, 9, 5),
        (30, 10, 10),
        (30, 39, 20),
        (30, 40, 40),
        (30, 79, 40),
        (30, 80, 60),
        (30, 3000, 60),
        (3, 3000, 60),
        (720, 3000, 120),
    ],
)
def test_the_pause_grows_to_an_hour_while_nothing_changes(
    interval: int, unchanged: int, pause: int
) -> None:
    since = NOW - timedelta(minutes=unchanged)
    resolution = replace(lookup_result(ResolutionKind.HERE), unchanged_since=since)
    found = pause_between_lookups(resolution, interval * SECOND)
    assert found == timedelta(minutes=pause)


@given(kind=st.sampled_from(ResolutionKind), time_to_live=st.none() | durations, interval=durations)
def test_a_name_that_does_not_point_here_is_looked_up_within_the_interval(
    kind: ResolutionKind, time_to_live: timedelta | None, interval: timedelta
) -> None:
    resolution = lookup_result(kind, time_to_live=time_to_live)
    pause = pause_between_lookups(resolution, interval)
    longest = interval if not kind.is_here else 10 * interval
    assert SECOND <= pause <= max(SECOND, longest)


def test_a_result_counts_as_unchanged_since_it_was_first_seen() -> None:
    first = lookup_result(ResolutionKind.HERE, "203.0.113.7")
    assert unchanged_since(None, first) == NOW
    since = NOW - timedelta(days=1)
    before = replace(first, at=since, unchanged_since=since)
    assert unchanged_since(before, first) == since


@pytest.mark.parametrize(
    "after",
    [
        lookup_result(ResolutionKind.HERE, "203.0.113.8"),
        lookup_result(ResolutionKind.BEHIND_NAT, "203.0.113.7"),
        replace(lookup_result(ResolutionKind.HERE, "203.0.113.7"), expected=("203.0.113.8",)),
        lookup_result(ResolutionKind.HERE, "203.0.113.7", at=NOW - timedelta(days=2)),
    ],
)
def test_a_change_or_a_clock_set_back_starts_again(after: Resolution) -> None:
    since = NOW - timedelta(days=1)
    before = lookup_result(ResolutionKind.HERE, "203.0.113.7", at=since)
    assert unchanged_since(replace(before, unchanged_since=since), after) == after.at


@pytest.mark.parametrize("kind", [kind for kind in ResolutionKind if not kind.is_here])
def test_a_failure_never_counts_as_unchanged(kind: ResolutionKind) -> None:
    bad = lookup_result(kind)
    assert unchanged_since(replace(bad, unchanged_since=NOW), bad) is None
    (name,) = bad.names
    not_required = replace(bad, names=(replace(name, required=False),))
    assert unchanged_since(None, not_required) is None


def test_a_family_that_cannot_be_looked_up_is_no_steady_result() -> None:
    here = lookup_result(ResolutionKind.HERE, "203.0.113.7")
    half = replace(here, names=(replace(here.names[0], warning="AAAA: timeout"),))
    assert unchanged_since(here, half) is None


# --------------------------------------------------------------------------- changes


HERE_BEFORE = lookup_result(ResolutionKind.HERE, "203.0.113.7")


@pytest.mark.parametrize(
    ("after", "text"),
    [
        (
            lookup_result(ResolutionKind.HERE, "203.0.113.7", time_to_live=SECOND, at=NOW + SECOND),
            "",
        ),
        (
            lookup_result(ResolutionKind.ELSEWHERE, "203.0.113.7", "2001:db8::1"),
            "boston.example.com changed from 203.0.113.7 to 2001:db8::1, 203.0.113.7",
        ),
        (
            lookup_result(ResolutionKind.NO_SUCH_NAME),
            "boston.example.com changed from 203.0.113.7 to no such name",
        ),
        (
            lookup_result(ResolutionKind.NO_ADDRESS),
            "boston.example.com changed from 203.0.113.7 to no address",
        ),
        (
            lookup_result(ResolutionKind.TIMEOUT, "203.0.113.7"),
            "boston.example.com changed from 203.0.113.7 to unknown (timeout)",
        ),
        (
            replace(HERE_BEFORE, expected=("203.0.113.8",)),
            "this gateway's addresses changed from 203.0.113.7 to 203.0.113.8",
        ),
        (
            replace(HERE_BEFORE, expected=()),
            "this gateway's addresses changed from 203.0.113.7 to private addresses only",
        ),
        (replace(HERE_BEFORE, names=()), ""),
    ],
)
def test_changes_are_described(after: Resolution, text: str) -> None:
    assert describe_change(HERE_BEFORE, after) == text


def test_the_first_lookup_changes_nothing() -> None:
    assert describe_change(None, HERE_BEFORE) == ""


def test_another_order_of_answers_is_not_a_change() -> None:
    before = lookup_result(ResolutionKind.HERE, "203.0.113.7", "203.0.113.8")
    assert (
        describe_change(before, lookup_result(ResolutionKind.HERE, "203.0.113.8", "203.0.113.7"))
        == ""
    )


@pytest.mark.parametrize(
    ("earlier", "later", "arrived"),
    [
        ("198.51.100.9", "203.0.113.7", True),
        ("203.0.113.7", "203.0.113.7", False),
        ("203.0.113.7", "198.51.100.9", False),
        ("198.51.100.9", "198.51.100.9", False),
    ],
)
def test_a_name_that_newly_points_here_is_detected(
    earlier: str, later: str, *, arrived: bool
) -> None:
    gateway = target("boston.example.com")
    before, after = (
        preflight(gateway, FakeResolver(boston=[address]), OWN, now=NOW)
        for address in (earlier, later)
    )
    assert newly_points_here(before, after) is arrived
    assert not newly_points_here(None, after)


def test_text_from_a_state_file_is_shown_on_one_line() -> None:
    before = replace(HERE_BEFORE, expected=("\x00\x1b[31m",))
    change = describe_change(before, HERE_BEFORE)
    assert change.isprintable()
    assert "203.0.113.7" in change
