"""With any contents of a state file, a pass ends and leaves a usable key and certificate."""

from __future__ import annotations

import hashlib
import json
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, Final, get_args, get_origin, get_type_hints

import pytest
from tests.fakes.clock import START
from tests.fuzz.material import altered, as_text, encoded, one_of_octets, spoilt
from tests.fuzz.promise import check_line, promised, refused_properly
from tests.fuzz.scenes import VPN, Scene, check_outcome, no_traceback, scratch
from tests.fuzz.source import Make, Source, binary, boolean, just, lists, mapped, one_of

from gatecert.acme.budget import Budget
from gatecert.errors import AuthorityUnreachableError
from gatecert.lifecycle.failures import failure
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.model import (
    Account,
    ChallengeFailure,
    CountedRequest,
    Deployment,
    Endpoint,
    EnrolmentState,
    Expenses,
    ExpiryNotice,
    GatewayState,
    HostState,
    Identifier,
    IdentifierType,
    InstallPlan,
    KeyRequest,
    Limits,
    ListenerOutage,
    NameResolution,
    OrderBlocker,
    Outcome,
    OutcomeKind,
    PendingOrder,
    RateLimit,
    RenewalInfo,
    RequestKind,
    Resolution,
    ResolutionKind,
    TextRecord,
    UsageChange,
)
from gatecert.report.gateway_status import as_json
from gatecert.report.status import StatusFacts, gateway_status
from gatecert.schedule.due import next_due
from gatecert.store.codec import decode, encode
from gatecert.store.damaged_files import DamagedRecordError
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


DAY: Final = timedelta(days=1)
FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
LAST: Final = datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
STATE: Final = GatewayState(
    EnrolmentState(
        failures=3,
        failed_at=START - DAY,
        next_attempt=START + DAY,
        order=PendingOrder(
            "played",
            "https://ca.test/dir",
            "https://ca.test/order/1",
            "order-1",
            (Identifier(IdentifierType.DNS, "vpn.example.com"),),
            START,
        ),
        renewal=RenewalInfo("a.b", START + DAY, START + DAY, "https://ca.test", 2),
        challenge_failures=(ChallengeFailure("vpn.example.com", "http-01", START, "refused"),),
    ),
    HostState(
        resolution=Resolution(
            START,
            (
                NameResolution(
                    "vpn.example.com", ResolutionKind.HERE, ("192.0.2.7",), (), DAY, "here"
                ),
            ),
            ("192.0.2.7",),
        ),
        next_look=START + DAY,
        obstruction=OrderBlocker("caa-forbids", START, START + DAY),
        outcome=Outcome(
            VPN, START, OutcomeKind.FAILED, "it failed", "acme", "fix it", "enrol: x", START, START
        ),
        expiry_notice=ExpiryNotice("ab", 7),
        authority_notices=(ExpiryNotice("cd", 30),),
    ),
)
DEPLOYMENT: Final = Deployment(
    "000002-20261123T120000Z",
    START,
    2,
    START + DAY,
    "not served",
    ListenerOutage(START, START, ("127.0.0.1:443",), "silent"),
    "000001-20261123T120000Z",
)
META: Final = {
    "schema": 1,
    "origin": "authority",
    "created": "2026-11-23T12:00:00Z",
    "authority": "played",
    "order_url": "https://ca.test/order/1",
    "notes": ["a note"],
}


def _any_instant(source: Source) -> datetime:
    if source.rarely(3):
        return source.choice((START, FIRST, LAST))
    return FIRST + timedelta(seconds=source.integer(0, 315_537_897_599))


SIMPLE: Final[dict[object, Make[Any]]] = {
    str: as_text(binary(8)),
    int: just(0, 1, 6, 7, 2**31, 10**400, -1, -5, -(10**400)),
    bool: boolean,
    float: just(0.0, 1.5, -1.0, 1e308, float("inf"), float("nan")),
    type(None): just(None),
    datetime: _any_instant,
    timedelta: just(timedelta(0), DAY, -DAY, timedelta.max, timedelta.min, timedelta(0, 0, 1)),
}


def document(record: GatewayState | Deployment) -> Make[bytes]:
    return encoded(altered(json.loads(encode(record)), most=4))


def scene_files(scene: Scene) -> dict[str, Make[bytes]]:
    """Return possible contents of each file below the state directory."""
    gateway = f"gateways/{VPN}"
    found: dict[str, Make[bytes]] = {
        f"{gateway}/state.json": document(STATE),
        f"{gateway}/deployment.json": document(DEPLOYMENT),
    }
    for name, data in scene.original.items():
        if name.endswith("meta.json"):
            found[name] = encoded(altered(META))
        elif name.endswith(".pem"):
            found[name] = one_of_octets(data)
    return found


def changes(source: Source) -> dict[str, bytes]:
    """Return some files with their contents."""
    return {name: FILES[name](source) for name in source.some(sorted(FILES), 3)}


SCRATCH: Final = scratch()
SCENE: Final = Scene(SCRATCH.__enter__())
FILES: Final = scene_files(SCENE)
WATCHED: Final = replace(SCENE.target, install=InstallPlan(verify=(Endpoint("127.0.0.1", 1),)))


@pytest.fixture(scope="session", autouse=True)  # workers may come back to a module
def _tidy() -> Iterator[None]:
    yield
    SCRATCH.__exit__(None, None, None)


@promised(changes, boolean, examples=50, share=1)
def test_a_pass_over_any_state(changed: dict[str, bytes], look: bool) -> None:  # noqa: FBT001 - drawn
    SCENE.restore(changed)
    pipeline = SCENE.pipeline()
    with no_traceback():
        with refused_properly():
            pipeline.prepare(SCENE.target)
        check_outcome(pipeline.attend(SCENE.target, Occasion(look_now=look)))
        check_outcome(SCENE.pipeline().attend(SCENE.target))
        SCENE.check_live()


@cache
def built(kind: Any) -> Make[Any]:  # noqa: ANN401 - a type, or what stands for several
    """Return values of a type in a record, over its whole range."""
    if kind in SIMPLE:
        return SIMPLE[kind]
    if isinstance(kind, type) and issubclass(kind, Enum):
        return just(*kind)
    if get_origin(kind) is tuple:
        return mapped(lists(built(get_args(kind)[0]), 2), tuple)
    if get_args(kind):
        return one_of(*map(built, get_args(kind)))
    hints = get_type_hints(kind)
    parts = {each.name: built(hints[each.name]) for each in fields(kind)}
    return lambda source: kind(**{name: make(source) for name, make in parts.items()})


@promised(built(GatewayState), built(Deployment), examples=80, share=2)
def test_the_next_action_for_any_state(state: GatewayState, deployment: Deployment) -> None:
    """Check that any state can be shown, and updated after a failure."""
    files = {"state.json": encode(state), "deployment.json": encode(deployment)}
    SCENE.restore({f"gateways/{VPN}/{name}": data for name, data in files.items()})
    pipeline = SCENE.pipeline()
    with no_traceback():
        situation = pipeline.open(WATCHED).situation
        live = pipeline.open(WATCHED).live
        assert live is not None
        known = StatusFacts(
            WATCHED,
            situation.state,
            (live.version, live.summary),
            situation.deployment,
            next_due(situation, START),
        )
        json.loads(as_json([gateway_status(known, START)], now=START, daemon=None))
        current = pipeline.open(WATCHED)
        current.next_wake()
        failed = failure(current, AuthorityUnreachableError("no answer"))
        check_outcome(current.finish(failed))


@promised(
    one_of(document(STATE), document(DEPLOYMENT), encoded(altered(META))),
    just(GatewayState, Deployment),
    share=100,
)
def test_a_record(data: bytes, kind: type[GatewayState | Deployment]) -> None:
    try:
        record = decode(kind, data)
    except DamagedRecordError as error:
        check_line(str(error))
    else:
        again = decode(kind, encode(record))
        assert again == record or "nan" in repr(record)


FEW: Final = RateLimit(2, timedelta(hours=3))
LIMITS: Final = Limits(FEW, FEW, FEW, FEW, FEW)
ORDER: Final = Expenses(
    START, (CountedRequest(RequestKind.ORDER, START, account="https://ca.test/account/1"),)
)


@promised(lists(built(UsageChange), 4), examples=100, share=10)
def test_rate_limit_usage(changes: list[UsageChange]) -> None:
    """Check that with any rate limit usage an order is allowed or has to wait."""
    SCENE.restore({USAGE_FILE: b"".join(encode(change, indent=None) for change in changes)})
    store = FileStore(SCENE.state)
    budget = Budget(store, USAGE_URL, LIMITS, "acme", "acme", lambda: START)
    with no_traceback(), refused_properly():
        budget.account()
        store.count_requests(USAGE_URL, ORDER, LIMITS)
        budget.certificate("https://ca.test/order/1", ("vpn.example.com",))


ACCOUNT: Final = {
    "schema": 1,
    "url": "https://ca.test/account/1",
    "directory_url": "https://ca.test/dir",
    "contact": ["mailto:ops@example.com"],
    "key_sha256": "0" * 64,
}
RECORD: Final = {
    "schema": 1,
    "record": {"name": "_acme-challenge.vpn.example.com", "value": "x", "zone": "example.com"},
    "at": "2026-11-23T12:00:00Z",
    "owner": "1-0123abcd",
}
KEY_PEM: Final = next(data for name, data in SCENE.original.items() if name.endswith("privkey.pem"))


USAGE_LINE: Final = encode(
    UsageChange(START, (CountedRequest(RequestKind.ORDER, START, "1", "a", ("b.example",)),)),
    indent=None,
)
USAGE_URL: Final = "https://ca.test/dir"
USAGE_FILE: Final = f"spending/ca.test-{hashlib.sha256(USAGE_URL.encode()).hexdigest()[:12]}.jsonl"

STORED_FILES: Final[dict[str, Make[bytes]]] = {
    USAGE_FILE: one_of(binary(80), spoilt(just(3 * USAGE_LINE))),
    "accounts/played/key.pem": one_of_octets(KEY_PEM),
    "accounts/played/account.json": encoded(altered(ACCOUNT)),
    "records/0123.json": encoded(altered(RECORD)),
    "challenges/token": one_of(binary(80), spoilt(just(b"token.thumbprint\n1-0123abcd\n"))),
    f"gateways/{VPN}/requests/order-1/privkey.pem": one_of_octets(KEY_PEM),
    f"gateways/{VPN}/requests/order-1/meta.json": encoded(
        altered({"schema": 1, "created": "2026-11-23T12:00:00Z"})
    ),
    f"gateways/{VPN}/requests/order-1/request.pem": binary(100),
    f"gateways/{VPN}/lock": one_of(binary(60), spoilt(just(b"123 renew\n"))),
}


def stored_files(source: Source) -> dict[str, bytes]:
    """Return all stored files with contents."""
    return {name: make(source) for name, make in STORED_FILES.items()}


@promised(stored_files, examples=100, share=4)
def test_all_other_stored_files(files: dict[str, bytes]) -> None:
    SCENE.restore(files)
    store = FileStore(SCENE.state)
    with no_traceback(), refused_properly():
        account = store.account("played")
        assert account is None or isinstance(account, Account)
        for published in store.records():
            assert isinstance(published.record, TextRecord)
        assert len(store.counted_requests(USAGE_URL)) <= 3
        Budget(store, USAGE_URL, LIMITS, "acme", "acme", lambda: START).account()
        assert len(store.counted_requests(USAGE_URL)) >= 1
        store.abandoned_tokens("http-01")
        store.token("http-01", "token")
        for request in store.requests(VPN):
            assert isinstance(request, KeyRequest)
        with store.lock_gateway(VPN, "a test", wait=0):
            store.save_account("played", Account(KEY_PEM))
        assert store.account("played") is not None


def test_the_unchanged_scene_works(tmp_path: Path) -> None:
    scene = Scene(tmp_path)
    scene.restore()
    with no_traceback():
        check_outcome(scene.pipeline().attend(scene.target))
    scene.check_live()
    assert scene.authority.orders == 1
