"""Sentence and JSON for every condition of a gateway."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from gatecert.model import (
    Action,
    AddressRecords,
    AuthorityFailure,
    CertificateSummary,
    ChallengeFailure,
    ClientCA,
    DatabaseProblem,
    DdnsProblem,
    DdnsState,
    Deployment,
    Due,
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
    Origin,
    Outcome,
    OutcomeKind,
    RecordKind,
    Resolution,
    ResolutionKind,
    RevocationReason,
    RevocationState,
    RollOutWait,
    Target,
    Version,
    with_outcome,
)
from gatecert.report.fleet_lines import fleet_lines
from gatecert.report.gateway_status import (
    ClientAuthenticationStatus,
    Condition,
    RevocationStatus,
    as_json,
)
from gatecert.report.status import (
    StatusFacts,
    client_authentication_status,
    gateway_status,
)

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
NAME = Identifier(IdentifierType.DNS, "vpn.example.com")
TARGET = Target(
    name="vpn",
    identifiers=(NAME,),
    display_name="vpn.example.com",
    install=InstallPlan(verify=(Endpoint("127.0.0.1", 443),)),
)
VERSION = Version("000002-x", "boston", b"", b"", Origin.AUTHORITY, "letsencrypt")
ISSUED = CertificateSummary(
    subject="CN=vpn.example.com",
    issuer="CN=Authority",
    identifiers=(NAME,),
    not_before=NOW - 30 * DAY,
    not_after=NOW + 60 * DAY,
    fingerprint="ab12",
    chain_fingerprints=(),
    key_fingerprint="k",
    is_bootstrap=False,
    certificate_id="a.b",
)
BOOTSTRAP = replace(ISSUED, is_bootstrap=True, certificate_id="")
DUE = Due(Action.ENROL, NOW + 30 * DAY, "renewal due at one third of its lifetime")
CONFIRMED = Deployment(VERSION.id, confirmed=NOW - DAY)
OUTAGE = ListenerOutage(NOW - DAY, NOW, ("127.0.0.1:443",), "127.0.0.1:443 refuses connections")
SILENT = replace(
    CONFIRMED,
    silence=OUTAGE,
)
REVOKED = RevocationState(
    ISSUED.fingerprint,
    NOW + DAY,
    checked=NOW,
    revoked=NOW - DAY,
    reason=RevocationReason.KEY_COMPROMISE,
    source="http://ca.example/1.crl",
)
BLOCKED = OrderBlocker("caa-forbids", NOW, NOW + DAY)
WAITING = Outcome("vpn", NOW, OutcomeKind.WAITING, "points elsewhere", code="name-not-here")
FAILED = Outcome("vpn", NOW, OutcomeKind.FAILED, "refused", code="acme", fix="do this")


def known(live: CertificateSummary | None, **changes: object) -> StatusFacts:
    plain = StatusFacts(
        target=TARGET,
        state=GatewayState(),
        live=(VERSION, live) if live is not None else None,
        deployment=CONFIRMED,
        due=DUE,
        trusted=True,
    )
    return replace(plain, **changes)  # type: ignore[arg-type] # each test names fields that exist


@pytest.mark.parametrize(
    ("facts", "state"),
    [
        (known(None, deployment=None), Condition.EMPTY),
        (known(ISSUED), Condition.TRUSTED),
        (known(ISSUED, trusted=False), Condition.PRIVATE_ROOT),
        (known(ISSUED, deployment=Deployment(VERSION.id)), Condition.UNPROVEN),
        (known(ISSUED, target=replace(TARGET, install=InstallPlan())), Condition.UNPROVEN),
        (known(ISSUED, deployment=Deployment(VERSION.id, error="old")), Condition.NOT_SERVED),
        (known(ISSUED, deployment=SILENT), Condition.SILENT),
        (known(replace(ISSUED, not_after=NOW)), Condition.EXPIRED),
        (known(ISSUED, state=GatewayState(EnrolmentState(revocation=REVOKED))), Condition.REVOKED),
        (
            known(
                ISSUED,
                state=GatewayState(EnrolmentState(revocation=replace(REVOKED, fingerprint="cd"))),
            ),
            Condition.TRUSTED,
        ),
        (known(BOOTSTRAP), Condition.BOOTSTRAP),
        (known(BOOTSTRAP, deployment=None), Condition.BOOTSTRAP),
        (known(BOOTSTRAP, deployment=Deployment("000003-y", error="no")), Condition.NOT_SERVED),
        (known(BOOTSTRAP, state=GatewayState(host=HostState(outcome=WAITING))), Condition.WAITING),
        (
            known(
                BOOTSTRAP, state=GatewayState(EnrolmentState(failures=1), HostState(outcome=FAILED))
            ),
            Condition.FAILING,
        ),
        (
            known(BOOTSTRAP, state=GatewayState(host=HostState(obstruction=BLOCKED))),
            Condition.FAILING,
        ),
        (known(BOOTSTRAP, excluded_region="cn", explanation="why"), Condition.SKIPPED),
    ],
)
def test_every_condition_has_a_sentence(facts: StatusFacts, state: Condition) -> None:
    found = gateway_status(facts, NOW)
    assert found.state is state
    assert found.words


def test_a_trusted_gateway_is_described_in_full() -> None:
    found = gateway_status(known(ISSUED), NOW)
    assert (found.hostname, found.names, found.issuer) == (
        "vpn.example.com",
        ("vpn.example.com",),
        "CN=Authority",
    )
    assert (found.served, found.served_at, found.days_left) == (True, NOW - DAY, 60)
    assert (found.next_action, found.next_at) == (
        "enrol: renewal due at one third of its lifetime",
        NOW + 30 * DAY,
    )
    assert found.last_error is None


def test_the_records_that_are_kept() -> None:
    facts = known(ISSUED, target=replace(TARGET, keeps_records=True))
    before = gateway_status(facts, NOW).ddns
    assert before is not None
    assert (before.addresses, before.published_at, before.code) == ((), None, "")
    state = DdnsState(
        published=(AddressRecords(RecordKind.A, ("192.0.2.7",)),),
        published_at=NOW - DAY,
        problem=DdnsProblem("ddns-refused", "wrong password", "correct it", NOW),
    )
    refused = replace(facts, state=GatewayState(host=HostState(ddns=state)))
    shown = gateway_status(refused, NOW).ddns
    assert shown is not None
    assert shown.addresses == ("192.0.2.7",)
    assert (shown.code, shown.error, shown.fix) == ("ddns-refused", "wrong password", "correct it")
    assert gateway_status(replace(refused, target=TARGET), NOW).ddns is None


def test_a_problem_of_dynamic_dns_is_told_once() -> None:
    problem = DdnsProblem("ddns-refused", "wrong password", "correct it", NOW)
    passing = replace(problem, fix="no action needed; it passes")
    target = replace(TARGET, keeps_records=True)

    def warning(problem: DdnsProblem, outcome: Outcome | None = None) -> tuple[str, str]:
        state = GatewayState(host=HostState(ddns=DdnsState(problem=problem), outcome=outcome))
        found = gateway_status(known(ISSUED, target=target, state=state), NOW)
        return found.warning, found.warning_fix

    assert warning(problem) == ("dynamic DNS: wrong password", "correct it")
    assert warning(passing) == ("", "")
    assert warning(problem, replace(WAITING, code="ddns-refused")) == ("", "")


AWAY = DatabaseProblem(NOW - DAY, "database-away", "no server answers", "start it")
SINCE = "since 2026-11-22 12:00:00 UTC: serving on, no orders"


@pytest.mark.parametrize(
    ("live", "problem", "warning"),
    [
        (ISSUED, AWAY, f"database away {SINCE}; 60 days left"),
        (BOOTSTRAP, AWAY, f"database away {SINCE}"),
        (
            ISSUED,
            replace(AWAY, code="login-refused"),
            f"database refused (login-refused) {SINCE}; 60 days left",
        ),
    ],
    ids=["away", "bootstrap", "refused"],
)
def test_a_database_that_cannot_be_used(
    live: CertificateSummary, problem: DatabaseProblem, warning: str
) -> None:
    status = gateway_status(known(live, state=GatewayState(host=HostState(database=problem))), NOW)
    assert (status.warning, status.warning_fix) == (warning, "start it")


@pytest.mark.parametrize("since", [NOW - DAY, None])
def test_no_time_is_claimed_that_nobody_has_noted(since: datetime | None) -> None:
    status = gateway_status(known(ISSUED, cluster=replace(AWAY, since=since)), NOW)
    time = " since 2026-11-22 12:00:00 UTC" if since is not None else ""
    line = f"database away{time}: serving on, no orders; 60 days left"
    assert list(fleet_lines([status])) == [line]
    (gateway,) = json.loads(as_json([status], now=NOW, daemon=None))["gateways"]
    noted = "2026-11-22T12:00:00Z" if since is not None else None
    assert (gateway["fleet"]["away"], gateway["fleet"]["away_since"]) == (True, noted)


RING = RollOutWait(13, NOW + DAY, "generation 13 waits for ring 1", "no action needed: soon")
STOP = replace(RING, reason="gw-b rolled it back", fix="correct that")


@pytest.mark.parametrize(
    ("wait", "detail", "warning"),
    [
        (RING, "generation 13 waits for ring 1", ("", "")),
        (STOP, "gw-b rolled it back", ("gw-b rolled it back", "correct that")),
        (replace(STOP, until=NOW), "", ("", "")),
    ],
    ids=["a ring", "a roll-back", "its turn has come"],
)
def test_a_certificate_that_waits_on_this_host(
    wait: RollOutWait, detail: str, warning: tuple[str, str]
) -> None:
    status = gateway_status(known(ISSUED, state=GatewayState(host=HostState(roll_out=wait))), NOW)
    assert (status.detail, (status.warning, status.warning_fix)) == (detail, warning)


def test_served_is_unknown_without_listeners() -> None:
    found = gateway_status(known(ISSUED, target=replace(TARGET, install=InstallPlan())), NOW)
    assert found.served is None


def test_gateway_that_serves_another_certificate() -> None:
    found = gateway_status(known(ISSUED, deployment=Deployment(VERSION.id, error="old")), NOW)
    assert found.served is False


def test_silent_gateway_differs_from_not_served() -> None:
    found = gateway_status(known(ISSUED, deployment=SILENT), NOW)
    assert (found.served, found.served_at) == (False, NOW)
    assert found.last_error is not None
    assert (found.last_error.code, found.last_error.at) == ("listener-silent", NOW - DAY)
    assert "refuses" in found.last_error.message


def test_skipped_gateway_shows_region_and_reason() -> None:
    found = gateway_status(known(BOOTSTRAP, excluded_region="cn", explanation="below .cn"), NOW)
    assert (found.words, found.detail) == ("skipped (region cn)", "below .cn")


def test_last_error_has_its_fix() -> None:
    found = gateway_status(
        known(BOOTSTRAP, state=GatewayState(host=HostState(outcome=FAILED))), NOW
    )
    assert found.last_error is not None
    assert (found.last_error.code, found.last_error.fix) == ("acme", "do this")


def test_expired_certificate_has_negative_days() -> None:
    ended = replace(ISSUED, not_after=NOW - timedelta(hours=1))
    assert gateway_status(known(ended), NOW).days_left == -1


def test_json_is_versioned_and_complete() -> None:
    statuses = [gateway_status(known(ISSUED), NOW), gateway_status(known(None), NOW)]
    document = json.loads(as_json(statuses, now=NOW, daemon=42))
    assert document["schema"] == 1
    assert document["time"] == "2026-11-23T12:00:00Z"
    assert document["daemon"] == {"running": True, "pid": 42}
    first, second = document["gateways"]
    assert (first["state"], first["served"], first["not_after"]) == (
        "trusted",
        True,
        "2027-01-22T12:00:00Z",
    )
    assert (second["state"], second["days_left"]) == ("empty", None)


def test_json_shows_that_the_daemon_is_not_running() -> None:
    assert json.loads(as_json([], now=NOW, daemon=None))["daemon"] == {
        "running": False,
        "pid": None,
    }


def test_expiry_of_an_imported_certificate_is_a_warning() -> None:
    known = StatusFacts(
        TARGET, GatewayState(), (VERSION, ISSUED), CONFIRMED, DUE, warning=("w", "f")
    )
    status = gateway_status(known, NOW)
    assert (status.warning, status.warning_fix) == ("w", "f")
    shown = json.loads(as_json([status], now=NOW, daemon=None))["gateways"][0]
    assert (shown["warning"], shown["warning_fix"]) == ("w", "f")


def test_planned_challenge_of_each_name() -> None:
    wildcard = Identifier(IdentifierType.DNS, "*.example.com")
    target = replace(TARGET, identifiers=(NAME, wildcard), challenges=("http-01", "dns-01"))
    failure = ChallengeFailure(NAME.value, "http-01", NOW, "connection refused")
    facts = known(
        ISSUED, target=target, state=GatewayState(EnrolmentState(challenge_failures=(failure,)))
    )

    first, second = gateway_status(facts, NOW).challenges

    assert (first.name, first.kind) == (NAME.value, "dns-01")
    assert first.reason == "http-01 failed at 2026-11-23 12:00:00 UTC: connection refused"
    assert (second.name, second.kind) == ("*.example.com", "dns-01")


def test_gateway_that_never_enrols_plans_no_challenge() -> None:
    assert gateway_status(known(ISSUED, excluded_region="cn"), NOW).challenges == ()
    custom = replace(TARGET, mode=Mode.CUSTOM)
    assert gateway_status(known(ISSUED, target=custom), NOW).challenges == ()


def test_name_without_a_possible_challenge() -> None:
    wildcard = replace(TARGET, identifiers=(Identifier(IdentifierType.DNS, "*.example.com"),))
    (planned,) = gateway_status(known(ISSUED, target=wildcard), NOW).challenges
    assert planned.kind == ""


def test_deferred_authorities_are_listed() -> None:
    left = AuthorityFailure("first", NOW, 1, NOW + timedelta(hours=1), "no answer")
    back = AuthorityFailure("second", NOW - timedelta(days=2), 1, NOW, "no answer")
    present = AuthorityFailure("third", NOW, 1)
    ahead = replace(left, name="fourth", at=NOW + timedelta(days=400))
    state = GatewayState(EnrolmentState(troubles=(left, back, present, ahead)))
    target = replace(TARGET, authorities=("first", "second", "third", "fourth"))
    status = gateway_status(known(ISSUED, target=target, state=state), NOW)
    (told,) = status.authorities_left
    assert (told.name, told.until, told.reason) == ("first", left.left_until, "no answer")
    shown = json.loads(as_json([status], now=NOW, daemon=None))["gateways"][0]
    assert shown["authorities_left"] == [
        {"name": "first", "until": "2026-11-23T13:00:00Z", "reason": "no answer"}
    ]


def test_only_authority_is_never_deferred() -> None:
    first = AuthorityFailure("first", NOW, 1, NOW + DAY, "no answer")
    second = replace(first, name="second", left_until=NOW + timedelta(hours=1))
    target = replace(TARGET, authorities=("first",))
    facts = known(ISSUED, target=target, state=GatewayState(EnrolmentState(troubles=(first,))))
    assert gateway_status(facts, NOW).authorities_left == ()
    target = replace(TARGET, authorities=("first", "second"))
    facts = known(
        ISSUED, target=target, state=GatewayState(EnrolmentState(troubles=(first, second)))
    )
    (told,) = gateway_status(facts, NOW).authorities_left
    assert told.name == "first"


# --------------------------------------------------------------------------- users


def users(deployment: Deployment | None, *, proven: bool = True) -> ClientAuthenticationStatus:
    authority = ClientCA("CN=Users", "CN=Users", "ab", NOW - DAY, NOW + 9.5 * DAY, is_root=True)
    return client_authentication_status(
        "/bundle.pem", [authority], deployment, ("it ends",), proven=proven, now=NOW
    )


def test_client_authentication_in_json() -> None:
    described = users(Deployment("a", confirmed=NOW))
    status = gateway_status(replace(known(ISSUED), client_authentication=described), NOW)

    document = json.loads(as_json([status], now=NOW, daemon=None))

    assert document["gateways"][0]["client_authentication"] == {
        "bundle": "/bundle.pem",
        "authorities": [
            {
                "subject": "CN=Users",
                "issuer": "CN=Users",
                "fingerprint": "ab",
                "not_before": "2026-11-22T12:00:00Z",
                "not_after": "2026-12-03T00:00:00Z",
                "is_root": True,
                "days_left": 9,
            }
        ],
        "asked": True,
        "asked_at": "2026-11-23T12:00:00Z",
        "error": "",
        "warnings": ["it ends"],
    }


@pytest.mark.parametrize(
    ("deployment", "proven", "asked"),
    [
        (None, True, None),
        (Deployment("a"), True, None),
        (Deployment("a", confirmed=NOW), False, None),
        (Deployment("a", error="nothing listens"), True, False),
        (Deployment("a", silence=OUTAGE), True, False),
        (Deployment("a", confirmed=NOW, silence=OUTAGE), True, False),
    ],
)
def test_proof_of_the_requested_client_cas(
    deployment: Deployment | None,
    *,
    proven: bool,
    asked: bool | None,
) -> None:
    described = users(deployment, proven=proven)

    assert described.asked is asked
    assert described.asked_at is None


def test_revocation_status() -> None:
    def status(revocation_state: RevocationState | None) -> RevocationStatus | None:
        return gateway_status(
            known(ISSUED, state=GatewayState(EnrolmentState(revocation=revocation_state))), NOW
        ).revocation

    assert status(None) is None
    assert status(RevocationState(ISSUED.fingerprint, NOW + DAY)) is None
    assert gateway_status(known(None, deployment=None), NOW).revocation is None
    assert status(REVOKED) == RevocationStatus(
        revoked=True,
        revoked_at=NOW - DAY,
        reason="keyCompromise",
        source="http://ca.example/1.crl",
        checked_at=NOW,
        problem="",
    )
    fine = replace(REVOKED, revoked=None, reason=RevocationReason.UNSPECIFIED)
    assert status(fine) == RevocationStatus(
        revoked=False, revoked_at=None, reason="", source=fine.source, checked_at=NOW, problem=""
    )
    unknown = status(replace(fine, problem="nobody there"))
    assert unknown is not None
    assert (unknown.revoked, unknown.problem) == (None, "nobody there")


def test_second_certificate() -> None:
    assert gateway_status(known(ISSUED), NOW).second is None
    rsa = replace(ISSUED, key_algorithm="rsa", fingerprint="f2")
    second = gateway_status(known(replace(ISSUED, second=rsa)), NOW).second
    assert second is not None
    assert (second.algorithm, second.fingerprint) == ("rsa", "f2")
    assert second.not_after == ISSUED.not_after


def test_partly_unresolved_name_is_a_warning() -> None:
    name = NameResolution("vpn.example.com", ResolutionKind.HERE, warning="AAAA is unknown")
    state = GatewayState(host=HostState(resolution=Resolution(NOW, (name,))))
    known = StatusFacts(TARGET, state, (VERSION, ISSUED), CONFIRMED, DUE)
    status = gateway_status(known, NOW)
    assert status.warning == "AAAA is unknown"
    assert "nameservers" in status.warning_fix
    assert gateway_status(replace(known, warning=("w", "f")), NOW).warning == "w"


@pytest.mark.parametrize(
    ("kind", "here"),
    [
        (ResolutionKind.HERE, True),
        (ResolutionKind.BEHIND_NAT, True),
        (ResolutionKind.ELSEWHERE, False),
        (ResolutionKind.NO_SUCH_NAME, False),
        (ResolutionKind.TIMEOUT, None),
        (ResolutionKind.SERVER_FAILURE, None),
    ],
)
def test_the_status_says_whether_the_names_point_here(
    kind: ResolutionKind,
    here: bool | None,  # noqa: FBT001 - a parameter of the test
) -> None:
    state = GatewayState(
        host=HostState(resolution=Resolution(NOW, (NameResolution("vpn.example.com", kind),)))
    )
    assert gateway_status(known(ISSUED, state=state), NOW).points_here is here
    assert gateway_status(known(ISSUED), NOW).points_here is None


def test_the_status_has_the_last_outcomes() -> None:
    state = GatewayState(host=HostState(history=with_outcome((), FAILED)))
    assert gateway_status(known(ISSUED, state=state), NOW).history == state.host.history
