from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.challenge.challenge_order import (
    MAX_REASON,
    choose_challenge,
    choose_challenges,
    with_failures,
)
from gatecert.errors import FailedAttempt
from gatecert.model import (
    ChallengeChoice,
    ChallengeFailure,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    NameResolution,
    Resolution,
    ResolutionKind,
    Target,
)

NOW = datetime(2026, 11, 23, 9, tzinfo=UTC)
KINDS = ("http-01", "tls-alpn-01", "dns-01", "dns-account-01", "dns-persist-01")
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")
WILDCARD = Identifier(IdentifierType.DNS, "*.example.com")
ADDRESS = Identifier(IdentifierType.IP, "203.0.113.7")


def failure(kind: str, minutes: int = 0, name: str = NAME.value) -> ChallengeFailure:
    return ChallengeFailure(name, kind, NOW + timedelta(minutes=minutes), f"{kind} went wrong")


identifiers = st.sampled_from([NAME, WILDCARD, ADDRESS])
configured = st.lists(st.sampled_from(KINDS), unique=True)
histories = st.lists(
    st.builds(
        failure, st.sampled_from(KINDS), st.integers(0, 99), st.sampled_from([NAME.value, "other"])
    ),
    max_size=8,
)


def test_the_configured_order_is_the_default() -> None:
    assert choose_challenge(NAME, KINDS) == ChallengeChoice(NAME.value, KINDS)


def test_a_wildcard_needs_a_txt_record() -> None:
    choice = choose_challenge(WILDCARD, ("http-01", "tls-alpn-01", "dns-01"))
    assert choice.kinds == ("dns-01",)
    assert choice.reason == "only a TXT record can validate a wildcard"


def test_an_ip_address_needs_a_connection() -> None:
    choice = choose_challenge(ADDRESS, ("dns-01", "http-01", "dns-persist-01"))
    assert choice.kinds == ("http-01",)
    assert choice.reason == "a TXT record cannot validate an IP address"


def test_a_name_that_points_elsewhere_needs_a_txt_record() -> None:
    choice = choose_challenge(NAME, ("http-01", "dns-01"), points_here=False)
    assert choice.kinds == ("dns-01",)
    assert choice.reason == "vpn.example.com does not point here"


def test_a_failed_type_comes_last() -> None:
    choice = choose_challenge(NAME, ("http-01", "tls-alpn-01"), failures=[failure("http-01")])
    assert choice.kinds == ("tls-alpn-01", "http-01")
    assert choice.reason == "http-01 failed at 2026-11-23 09:00:00 UTC: http-01 went wrong"


def test_failed_types_are_tried_in_turn() -> None:
    failures = [failure("http-01", 2), failure("tls-alpn-01", 1), failure("dns-01", 3)]
    choice = choose_challenge(NAME, ("http-01", "tls-alpn-01", "dns-01"), failures=failures)
    assert choice.kinds == ("tls-alpn-01", "http-01", "dns-01")


def test_failures_of_another_name_do_not_count() -> None:
    choice = choose_challenge(
        NAME, ("http-01", "dns-01"), failures=[failure("http-01", name="other")]
    )
    assert choice == ChallengeChoice(NAME.value, ("http-01", "dns-01"))


def test_a_long_reason_is_cut() -> None:
    long = ChallengeFailure(NAME.value, "http-01", NOW, "x" * 500)
    reason = choose_challenge(NAME, ("http-01", "dns-01"), failures=[long]).reason
    assert reason.endswith("x…")
    assert reason.count("x") == MAX_REASON - 1


def test_without_types_there_is_no_choice() -> None:
    assert choose_challenge(WILDCARD, ("http-01",)) == ChallengeChoice("*.example.com", ())


@given(identifier=identifiers, kinds=configured, points_here=st.booleans(), failures=histories)
def test_only_configured_and_usable_types_are_chosen(
    *, identifier: Identifier, kinds: list[str], points_here: bool, failures: list[ChallengeFailure]
) -> None:
    choice = choose_challenge(identifier, kinds, points_here=points_here, failures=failures)
    able = [kind for kind in kinds if kind.startswith("dns-") == identifier.is_wildcard]
    if identifier == NAME:
        able = [kind for kind in kinds if points_here or kind.startswith("dns-")]
    assert sorted(choice.kinds) == sorted(able)


@given(identifier=identifiers, kinds=configured, points_here=st.booleans(), failures=histories)
def test_there_is_a_reason_only_if_the_first_type_is_skipped(
    *, identifier: Identifier, kinds: list[str], points_here: bool, failures: list[ChallengeFailure]
) -> None:
    choice = choose_challenge(identifier, kinds, points_here=points_here, failures=failures)
    if choice.kinds:
        assert bool(choice.reason) is (choice.kinds[0] != kinds[0])


@given(
    identifier=identifiers, kinds=configured, points_here=st.booleans(), rounds=st.integers(1, 20)
)
def test_repeated_failures_try_every_type_equally_often(
    *, identifier: Identifier, kinds: list[str], points_here: bool, rounds: int
) -> None:
    state: tuple[ChallengeFailure, ...] = ()
    tried: dict[str, int] = {}
    for minute in range(rounds):
        choice = choose_challenge(identifier, kinds, points_here=points_here, failures=state)
        if not choice.kinds:
            return
        kind = choice.kinds[0]
        tried[kind] = tried.get(kind, 0) + 1
        attempt = FailedAttempt(identifier.value, kind, "no")
        state = with_failures(state, [attempt], now=NOW + timedelta(minutes=minute))
    usable = choose_challenge(identifier, kinds, points_here=points_here).kinds
    counts = [tried.get(kind, 0) for kind in usable]
    assert max(counts) - min(counts) <= 1
    assert len(state) <= len(usable)


def test_a_repeated_failure_replaces_the_earlier_one() -> None:
    attempts = [FailedAttempt(NAME.value, "http-01", "again")]
    (kept,) = with_failures([failure("http-01")], attempts, now=NOW + timedelta(hours=1))
    assert kept == ChallengeFailure(NAME.value, "http-01", NOW + timedelta(hours=1), "again")


@pytest.mark.parametrize(
    ("kind", "first"),
    [
        (ResolutionKind.HERE, "http-01"),
        (ResolutionKind.BEHIND_NAT, "http-01"),
        (ResolutionKind.ELSEWHERE, "dns-01"),
        (ResolutionKind.NO_SUCH_NAME, "dns-01"),
        (ResolutionKind.TIMEOUT, "dns-01"),
        (None, "http-01"),
    ],
)
def test_each_name_of_a_gateway_has_its_own_choice(kind: ResolutionKind | None, first: str) -> None:
    target = Target("g", (NAME, WILDCARD, ADDRESS), NAME.value, challenges=("http-01", "dns-01"))
    looks = (NameResolution(NAME.value, kind, required=False),) if kind is not None else ()
    state = GatewayState(host=HostState(resolution=Resolution(NOW, looks) if looks else None))

    found = choose_challenges(target, state)

    assert [choice.name for choice in found] == [NAME.value, WILDCARD.value, ADDRESS.value]
    assert [choice.kinds[0] for choice in found] == [first, "dns-01", "http-01"]


@pytest.mark.parametrize(
    ("kind", "kinds"),
    [(ResolutionKind.TIMEOUT, ("http-01",)), (ResolutionKind.ELSEWHERE, ())],
)
def test_a_name_that_cannot_be_looked_up_can_be_renewed(
    kind: ResolutionKind, kinds: tuple[str, ...]
) -> None:
    target = Target("g", (NAME,), NAME.value, challenges=("http-01",))
    state = GatewayState(
        host=HostState(resolution=Resolution(NOW, (NameResolution(NAME.value, kind),)))
    )
    assert choose_challenges(target, state)[0].kinds == kinds
