"""Due times: every rule of schedule.due, without a clock."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatecert.model import (
    Action,
    CertificateSummary,
    Deployment,
    Endpoint,
    EnrolmentState,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    InstallPlan,
    ListenerOutage,
    Mode,
    NameResolution,
    OrderBlocker,
    RenewalInfo,
    RenewalPolicy,
    Resolution,
    ResolutionKind,
    Target,
)
from gatecert.schedule.due import (
    DEPLOYMENT_DELAYS,
    RETRY_DELAYS,
    RETRY_JITTER,
    Situation,
    certificate_in_use,
    effective_retry_after,
    is_urgent,
    next_attempt,
    next_deployment,
    next_due,
    next_obstruction_check,
    next_watch,
    renewal_instant,
)
from gatecert.schedule.spread import next_instant

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")
TARGET = Target(name="vpn", identifiers=(NAME,), display_name="vpn.example.com")


def certificate(
    *,
    age: timedelta = DAY,
    lifetime: timedelta = 90 * DAY,
    is_bootstrap: bool = False,
    names: tuple[Identifier, ...] = (NAME,),
) -> CertificateSummary:
    return CertificateSummary(
        subject="",
        issuer="",
        identifiers=names,
        not_before=NOW - age,
        not_after=NOW - age + lifetime,
        fingerprint="f",
        chain_fingerprints=(),
        key_fingerprint="k",
        is_bootstrap=is_bootstrap,
        certificate_id="" if is_bootstrap else "akiid.serial",
    )


BOOTSTRAP = certificate(is_bootstrap=True, lifetime=30 * DAY)
CONFIRMED = Deployment("1", confirmed=NOW)


def situation(live: CertificateSummary | None, **changes: object) -> Situation:
    plain = Situation(target=TARGET, state=GatewayState(), live=live, deployment=CONFIRMED)
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist


def renewal(at: datetime | None, *, certificate_id: str = "akiid.serial") -> GatewayState:
    info = RenewalInfo(certificate_id, next_fetch=NOW + HOUR, renew_at=at)
    return GatewayState(EnrolmentState(renewal=info))


def test_without_a_certificate_a_self_signed_one_is_due_at_once() -> None:
    due = next_due(situation(None, deployment=None), NOW)
    assert (due.action, due.at) == (Action.BOOTSTRAP, NOW)


def test_a_self_signed_certificate_is_replaced_by_enrolment_at_once() -> None:
    assert next_due(situation(BOOTSTRAP), NOW).action is Action.ENROL


def test_a_self_signed_certificate_near_its_end_is_renewed_first() -> None:
    old = certificate(is_bootstrap=True, age=21 * DAY, lifetime=30 * DAY)
    assert next_due(situation(old), NOW).action is Action.BOOTSTRAP


def test_a_self_signed_certificate_for_other_names_is_replaced() -> None:
    other = certificate(is_bootstrap=True, names=(Identifier(IdentifierType.DNS, "old.example"),))
    due = next_due(situation(other), NOW)
    assert (due.action, due.reason) == (
        Action.BOOTSTRAP,
        "the self-signed certificate has other names",
    )


def test_an_expired_certificate_of_a_ca_is_never_replaced_by_a_self_signed_one() -> None:
    expired = certificate(age=100 * DAY)
    assert next_due(situation(expired), NOW).action is Action.ENROL


@pytest.mark.parametrize(
    ("lifetime", "remaining"),
    [(90 * DAY, 30 * DAY), (45 * DAY, 15 * DAY), (timedelta(hours=160), timedelta(hours=80))],
)
def test_without_renewal_information_the_lifetime_decides(
    lifetime: timedelta, remaining: timedelta
) -> None:
    fresh = certificate(age=timedelta(0), lifetime=lifetime)
    due = next_due(situation(fresh), NOW)
    assert (due.action, due.at) == (Action.ENROL, fresh.not_after - remaining)


def test_the_configured_fraction_wins_over_the_default() -> None:
    target = replace(TARGET, renewal=RenewalPolicy(remaining=0.1))
    fresh = certificate(age=timedelta(0), lifetime=100 * DAY)
    assert next_due(situation(fresh, target=target), NOW).at == NOW + 90 * DAY


@pytest.mark.parametrize(
    ("lifetime", "remaining", "reason"),
    [
        (90 * DAY, None, "renewal due at one third of its lifetime"),
        (6 * DAY, None, "renewal due at half of its lifetime"),
        (90 * DAY, 0.25, "renewal due at 25% of its lifetime"),
        (90 * DAY, 0.1, "renewal due at 10% of its lifetime"),
    ],
)
def test_the_reason_names_the_fraction_that_was_used(
    lifetime: timedelta, remaining: float | None, reason: str
) -> None:
    target = replace(TARGET, renewal=RenewalPolicy(remaining=remaining))
    fresh = certificate(age=timedelta(0), lifetime=lifetime)
    assert renewal_instant(situation(fresh, target=target))[1] == reason


def test_the_renewal_window_decides_if_there_is_one() -> None:
    at, why = renewal_instant(situation(certificate(), state=renewal(NOW + 3 * DAY)))
    assert at == NOW + 3 * DAY
    assert "ARI" in why


def test_a_window_in_the_past_means_now() -> None:
    due = next_due(situation(certificate(), state=renewal(NOW - DAY)), NOW)
    assert due.action is Action.ENROL
    assert due.at <= NOW


def test_a_late_renewal_window_cannot_let_a_certificate_expire() -> None:
    fresh = certificate()
    at, _ = renewal_instant(situation(fresh, state=renewal(fresh.not_after + DAY)))
    assert at < fresh.not_after - 7 * DAY


@pytest.mark.parametrize(
    ("state", "policy"),
    [
        (renewal(NOW - DAY, certificate_id="another.one"), RenewalPolicy()),
        (renewal(None), RenewalPolicy()),
        (renewal(NOW - DAY), RenewalPolicy(renewal_info=False)),
    ],
    ids=["of another certificate", "no answer", "switched off"],
)
def test_renewal_information_that_is_ignored(state: GatewayState, policy: RenewalPolicy) -> None:
    fresh = certificate()
    target = replace(TARGET, renewal=policy)
    at, _ = renewal_instant(situation(fresh, state=state, target=target))
    assert at == fresh.not_after - 30 * DAY


def test_renewal_needs_a_certificate() -> None:
    with pytest.raises(ValueError, match="no certificate"):
        renewal_instant(situation(BOOTSTRAP))


def test_changed_names_are_enrolled_at_once() -> None:
    other = certificate(names=(Identifier(IdentifierType.DNS, "old.example.com"),))
    due = next_due(situation(other), NOW)
    assert (due.action, due.at) == (Action.ENROL, NOW)


def test_a_failure_delays_the_next_attempt() -> None:
    state = GatewayState(
        EnrolmentState(failures=1, failed_at=NOW - MINUTE, next_attempt=NOW + MINUTE)
    )
    due = next_due(situation(BOOTSTRAP, state=state), NOW)
    assert (due.action, due.at) == (Action.ENROL, NOW + MINUTE)


def test_a_failure_in_the_future_is_ignored_after_the_clock_was_set_back() -> None:
    state = GatewayState(
        EnrolmentState(failures=1, failed_at=NOW + 900 * DAY, next_attempt=NOW + 901 * DAY)
    )
    due = next_due(situation(BOOTSTRAP, state=state), NOW)
    assert (due.action, due.at) == (Action.ENROL, NOW)


def looked(at: datetime, kind: ResolutionKind) -> GatewayState:
    name = NameResolution("vpn.example.com", kind)
    return GatewayState(host=HostState(resolution=Resolution(at, (name,)), next_look=NOW + MINUTE))


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (looked(NOW - MINUTE, ResolutionKind.ELSEWHERE), NOW + MINUTE),
        (looked(NOW - MINUTE, ResolutionKind.HERE), NOW),
        (looked(NOW + DAY, ResolutionKind.ELSEWHERE), NOW),
    ],
    ids=["waits for its name", "name is right", "clock was set back"],
)
def test_a_name_that_points_elsewhere_delays_the_order(
    state: GatewayState, expected: datetime
) -> None:
    assert next_due(situation(BOOTSTRAP, state=state), NOW).at == expected


def test_an_unproven_certificate_is_deployed_again() -> None:
    unproven = Deployment("1", failures=1, next_attempt=NOW + MINUTE)
    due = next_due(situation(certificate(), deployment=unproven), NOW)
    assert (due.action, due.at) == (Action.DEPLOY, NOW + MINUTE)


def test_a_deployment_never_waits_longer_than_the_longest_delay() -> None:
    lost = Deployment("1", failures=1, next_attempt=NOW + 900 * DAY)
    due = next_due(situation(certificate(), deployment=lost), NOW)
    assert (due.action, due.at) == (Action.DEPLOY, NOW)


def test_enrolment_goes_before_a_deployment_of_something_worse() -> None:
    due = next_due(situation(BOOTSTRAP, deployment=Deployment("1")), NOW)
    assert due.action is Action.ENROL


def test_a_rolled_back_certificate_is_deployed_again_without_an_order() -> None:
    rolled_back = situation(BOOTSTRAP, newest=certificate(), deployment=Deployment("2"))
    assert certificate_in_use(rolled_back) == certificate()
    assert next_due(rolled_back, NOW).action is Action.DEPLOY


@pytest.mark.parametrize(
    "changes",
    [{"excluded_region": "cn"}, {"target": replace(TARGET, mode=Mode.CUSTOM)}],
    ids=["excluded region", "custom"],
)
def test_some_gateways_are_never_enrolled(changes: dict[str, object]) -> None:
    due = next_due(situation(BOOTSTRAP, **changes), NOW)
    assert due.action is Action.BOOTSTRAP
    assert due.at > NOW
    assert next_due(situation(certificate(), **changes), NOW).action is Action.NONE


@given(failures=st.integers(1, 50), seed=st.integers())
def test_attempts_come_at_the_published_delays_with_jitter(failures: int, seed: int) -> None:
    delay = next_attempt(failures, now=NOW, random=Random(seed)) - NOW
    base = RETRY_DELAYS[min(failures, 4) - 1]
    assert base * (1 - RETRY_JITTER) <= delay <= base


@given(
    failures=st.integers(1, 50),
    seed=st.integers(),
    life=st.timedeltas(timedelta(seconds=1), 90 * DAY),
)
def test_no_delay_exceeds_a_24th_of_the_remaining_lifetime(
    failures: int, seed: int, life: timedelta
) -> None:
    at = next_attempt(failures, now=NOW, random=Random(seed), not_after=NOW + life)
    assert timedelta(seconds=1) <= at - NOW
    assert at - NOW <= max(life / 24, timedelta(seconds=1))


@given(
    failures=st.integers(1, 50),
    seed=st.integers(),
    past=st.timedeltas(timedelta(0), 90 * DAY),
)
def test_after_expiry_delays_grow_from_an_hour_to_a_day(
    failures: int, seed: int, past: timedelta
) -> None:
    at = next_attempt(failures, now=NOW, random=Random(seed), not_after=NOW - past)
    assert at - NOW <= max(HOUR, min(DAY, past / 24))


@pytest.mark.parametrize("wait", [HOUR, 10 * DAY, 28 * DAY])
def test_retry_after_is_honoured_while_the_certificate_is_valid(
    wait: timedelta,
) -> None:
    at = next_attempt(
        1, now=NOW, random=Random(1), not_after=NOW + 30 * DAY, retry_after=NOW + wait
    )
    assert at == NOW + wait


@given(
    left=st.timedeltas(timedelta(seconds=20), 90 * DAY),
    wait=st.timedeltas(timedelta(seconds=1), 1000 * DAY),
)
def test_retry_after_is_not_honoured_beyond_the_end(left: timedelta, wait: timedelta) -> None:
    now, end, asked_for = NOW, NOW + left, NOW + wait
    tries = 0
    while (at := effective_retry_after(asked_for, now, end)) < end and now < asked_for:
        assert at > now
        now, tries = at, tries + 1
    assert 1 <= tries <= 20


@pytest.mark.parametrize("end", [None, NOW, NOW - DAY])
def test_without_a_valid_certificate_there_is_an_attempt_a_day(end: datetime | None) -> None:
    assert effective_retry_after(NOW + 300 * DAY, NOW, end) == NOW + DAY
    assert effective_retry_after(NOW + 3 * HOUR, NOW, end) == NOW + 3 * HOUR


def test_it_is_urgent_without_a_usable_certificate() -> None:
    good = certificate()
    assert is_urgent(situation(BOOTSTRAP), NOW)
    assert not is_urgent(situation(good), NOW)
    last_twelfth = good.not_after - good.lifetime / 12
    assert is_urgent(situation(good), last_twelfth)
    assert not is_urgent(situation(good), last_twelfth - HOUR)


def test_deployments_are_retried_at_growing_delays_up_to_an_hour() -> None:
    delays = [next_deployment(failures, now=NOW) - NOW for failures in range(1, 9)]
    assert delays == sorted(delays)
    assert delays[: len(DEPLOYMENT_DELAYS)] == list(DEPLOYMENT_DELAYS)
    assert delays[-1] == HOUR


# --------------------------------------------------------------------------- the watch

WATCHED = replace(TARGET, install=InstallPlan(verify=(Endpoint("127.0.0.1", 443),), watch=HOUR))


def watched(deployment: Deployment | None, target: Target = WATCHED) -> Situation:
    return situation(certificate(), target=target, deployment=deployment)


def test_a_proven_certificate_is_checked_at_the_watch_interval() -> None:
    confirmed = NOW - MINUTE
    at = next_watch(watched(Deployment("1", confirmed=confirmed)), NOW)
    assert at == next_instant(WATCHED.name, confirmed, HOUR)


def test_a_silent_gateway_is_checked_at_the_same_interval() -> None:
    silence = ListenerOutage(NOW - DAY, NOW - MINUTE, (), "nothing listens there")
    deployment = Deployment("1", confirmed=NOW - 2 * DAY, silence=silence)
    assert next_watch(watched(deployment), NOW) == next_instant(WATCHED.name, NOW - MINUTE, HOUR)


@pytest.mark.parametrize(
    "deployment",
    [
        Deployment("1", confirmed=NOW + MINUTE),
        Deployment("1", confirmed=NOW, silence=ListenerOutage(NOW, NOW + MINUTE, (), "")),
    ],
)
def test_a_check_in_the_future_is_ignored_after_the_clock_was_set_back(
    deployment: Deployment,
) -> None:
    assert next_watch(watched(deployment), NOW) == NOW


@pytest.mark.parametrize(
    "unproven",
    [
        watched(None),
        watched(Deployment("1")),
        watched(CONFIRMED, replace(TARGET, install=InstallPlan())),
    ],
)
def test_an_unproven_certificate_is_not_watched(unproven: Situation) -> None:
    assert next_watch(unproven, NOW) is None


def test_the_watch_delays_no_other_action() -> None:
    overdue = watched(Deployment("1", confirmed=NOW - DAY))
    assert next_due(overdue, NOW).action is Action.ENROL


# --------------------------------------------------------------------------- obstacles


def test_an_obstruction_is_checked_again_after_its_delay() -> None:
    blocked = GatewayState(
        host=HostState(obstruction=OrderBlocker("caa-forbids", NOW - HOUR, NOW + HOUR))
    )
    due = next_due(situation(BOOTSTRAP, state=blocked), NOW)
    assert (due.action, due.at) == (Action.ENROL, NOW + HOUR)


def test_an_obstruction_in_the_future_is_ignored_after_the_clock_was_set_back() -> None:
    blocked = GatewayState(
        host=HostState(obstruction=OrderBlocker("clock-wrong", NOW + DAY, NOW + 2 * DAY))
    )
    assert next_due(situation(BOOTSTRAP, state=blocked), NOW).at == NOW


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        (None, DAY),
        (48 * DAY, DAY),
        (12 * DAY, DAY / 2),
        (MINUTE / 60, MINUTE / 60),
        (-MINUTE, HOUR),
        (-12 * DAY, DAY / 2),
        (-48 * DAY, DAY),
    ],
)
def test_an_obstruction_is_checked_more_often_near_the_end(
    left: timedelta | None, expected: timedelta
) -> None:
    not_after = None if left is None else NOW + left
    assert next_obstruction_check(DAY, now=NOW, not_after=not_after) == NOW + expected
