from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from tests.fakes.acme_server import BASE, FakeAuthority, answer, problem
from tests.fakes.acme_stores import UNLIMITED, Accounts, Journal, Told
from tests.fakes.clock import NOW, Timeless
from tests.fakes.leases import PlayedLease
from tests.fakes.pki import dns
from tests.fakes.root_authority import RootAuthority
from tests.fakes.solvers import FakeSolver

from gatecert.acme.enrolment import Enrolment
from gatecert.acme.issued_chain import MAX_ORDER_AGE
from gatecert.acme.session import ISSUANCE_SECONDS, VERDICT_SECONDS
from gatecert.config.schema.authority import ProfileChoice
from gatecert.errors import (
    ACMEError,
    AuthorityError,
    AuthorityUnreachableError,
    AuthorizationMismatchError,
    CertificateError,
    ChallengeError,
    ChallengeFailedError,
    DeadlineExceededError,
    ForbiddenKeyError,
    InterruptedOrderError,
    LeaseLostError,
    OrderHeldError,
    RateLimitBudgetError,
    RateLimitedError,
    StorageError,
)
from gatecert.model import (
    IN_TRANSIT,
    Account,
    Limits,
    OrderHeld,
    Origin,
    PendingOrder,
    RateLimit,
    Target,
)

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.acme.client import Client
    from gatecert.config.schema.authority import AuthoritySettings
    from gatecert.http.fetcher import Response
    from gatecert.model import KeyRequest

ORDER = {
    "authorizations": [f"{BASE}/authz/1/vpn.example.com"],
    "finalize": f"{BASE}/finalize/1",
}


@pytest.fixture
def journal(target: Target) -> Journal:
    return Journal(target)


@pytest.fixture
def timeless() -> Timeless:
    return Timeless(300.0)


@pytest.fixture
def solver() -> FakeSolver:
    return FakeSolver()


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def enrolment(
    settings: AuthoritySettings,
    client: Client,
    account: Account,
    solver: FakeSolver,
    target: Target,
    journal: Journal,
    told: Told,
    timeless: Timeless,
) -> Enrolment:
    return Enrolment(
        settings,
        client,
        UNLIMITED,
        account,
        {"http-01": solver},
        target,
        journal,
        told,
        timeless,
        lambda: NOW,
    )


def public_key(certificate: bytes) -> object:
    return x509.load_pem_x509_certificate(certificate).public_key()


# --------------------------------------------------------------------------- all steps


def test_from_a_target_to_a_checked_chain(
    enrolment: Enrolment, journal: Journal, told: Told, root: RootAuthority
) -> None:
    issued = enrolment.run("")

    assert journal.order is not None
    assert journal.request is not None
    assert issued.origin is Origin.AUTHORITY
    assert issued.authority == "acme"
    assert issued.order_url == journal.order.url
    assert issued.private_key == journal.request.private_key
    csr = x509.load_pem_x509_csr(journal.request.csr)
    assert public_key(issued.certificate) == csr.public_key()
    assert issued.root == root.pem
    assert told.messages == [
        "order placed with CA acme (ca.test)",
        "proving control of vpn.example.com, www.example.com by http-01",
        "names validated, requesting the certificate",
        "certificate issued by CA acme (ca.test)",
    ]
    assert told.waits == [
        "acme to validate vpn.example.com, www.example.com",
        "acme to issue the certificate",
    ]


def test_a_pause_of_the_ca_is_told(enrolment: Enrolment, told: Told) -> None:
    enrolment.client.pause.extend(1.5)
    replace(enrolment, deadline=Timeless(300.0)).run("")
    assert told.waits[0] == "acme, which asks for a pause"


def test_the_caller_deletes_the_order_from_the_journal(
    enrolment: Enrolment, journal: Journal, target: Target
) -> None:
    issued = enrolment.run("")

    assert journal.forgotten == 0
    assert journal.order == PendingOrder(
        authority="acme",
        directory_url=enrolment.settings.directory_url,
        url=issued.order_url,
        request_id="request-1",
        identifiers=target.identifiers,
        created=NOW,
    )


@pytest.mark.parametrize("looks", range(4))
def test_nothing_more_is_sent_once_the_lease_is_lost(
    enrolment: Enrolment, journal: Journal, authority: FakeAuthority, looks: int
) -> None:
    journal.lease = PlayedLease(lost_after=looks)
    with pytest.raises(LeaseLostError):
        enrolment.run("")
    sent = [request.path.split("/")[1] for request in authority.requests]
    changes = [kind for kind in sent if kind in {"new-order", "challenge", "finalize"}]
    assert changes == ["new-order", "challenge", "challenge", "finalize"][:looks]
    assert journal.request is not None
    assert (journal.order is not None) == (looks > 0)


def test_an_order_without_replaces_needs_the_lease_again(
    enrolment: Enrolment, journal: Journal, authority: FakeAuthority
) -> None:
    authority.queued["new-order"].append(problem("alreadyReplaced", status=409))
    journal.lease = PlayedLease(lost_after=1)
    with pytest.raises(LeaseLostError):
        enrolment.run("aa.bb")
    assert len(authority.sent("new-order")) == 1


def test_the_certificate_key_is_not_the_account_key(enrolment: Enrolment, account: Account) -> None:
    assert enrolment.run("").private_key != account.private_key


def test_key_and_order_are_stored_before_they_are_used(
    enrolment: Enrolment,
    journal: Journal,
    authority: FakeAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    record = journal.record

    def recorded(order: PendingOrder) -> None:
        assert journal.request is not None
        assert authority.sent("authz") == []
        record(order)

    monkeypatch.setattr(journal, "record", recorded)
    enrolment.run("")

    assert journal.order is not None


@pytest.mark.parametrize("replaces", ["", "a.b"])
def test_an_order_that_cannot_be_opened_is_not_placed(
    enrolment: Enrolment,
    journal: Journal,
    authority: FakeAuthority,
    monkeypatch: pytest.MonkeyPatch,
    replaces: str,
) -> None:
    def full(request: KeyRequest, *_: object) -> None:
        raise StorageError(f"disk full: {request.id}")

    monkeypatch.setattr(journal, "open", full)
    with pytest.raises(StorageError, match="request-1"):
        enrolment.run(replaces)

    assert authority.sent("new-order") == []


def test_an_order_with_valid_names_is_finalized_at_once(
    enrolment: Enrolment, solver: FakeSolver, authority: FakeAuthority
) -> None:
    authority.proven = {"vpn.example.com", "www.example.com"}

    enrolment.run("")

    assert solver.events == []
    assert authority.sent("authz") == []


# --------------------------------------------------------------------------- finalisation


def test_one_poll_right_after_finalize(enrolment: Enrolment, timeless: Timeless) -> None:
    enrolment.run("")

    assert timeless.waits == [VERDICT_SECONDS, ISSUANCE_SECONDS]


def test_later_polls_observe_retry_after(
    enrolment: Enrolment, timeless: Timeless, authority: FakeAuthority
) -> None:
    authority.slow_looks = 2
    authority.proven = {"vpn.example.com", "www.example.com"}
    processing = answer(200, {**ORDER, "status": "processing"}, {"Retry-After": "9"})
    authority.queued["order"].append(processing)

    enrolment.run("")

    first = 2 * ISSUANCE_SECONDS  # the poll before it came too soon
    assert timeless.waits == [ISSUANCE_SECONDS, 9.0, first * 1.5, first * 1.5**2]


def test_the_time_to_a_certificate_is_learned(
    enrolment: Enrolment, authority: FakeAuthority
) -> None:
    authority.slow_looks = 1

    enrolment.run("")

    assert enrolment.client.issuance.seconds == 2 * ISSUANCE_SECONDS


def test_an_order_that_is_not_ready_is_polled_again(
    enrolment: Enrolment, authority: FakeAuthority, timeless: Timeless
) -> None:
    authority.queued["finalize"].append(problem("orderNotReady", status=403))

    assert enrolment.run("").certificate
    assert len(authority.sent("finalize")) == 2
    assert 1.0 in timeless.waits


@pytest.mark.parametrize(
    ("headers", "rests"), [({}, [1.0, 1.5, 2.25]), ({"Retry-After": "2"}, [2.0, 2.0, 2.25])]
)
def test_an_order_that_stays_ready_is_finalized_again_after_growing_pauses(
    enrolment: Enrolment,
    authority: FakeAuthority,
    timeless: Timeless,
    headers: dict[str, str],
    rests: list[float],
) -> None:
    authority.proven = set(BOTH)
    ready = answer(200, {**ORDER, "status": "ready"}, headers)
    authority.queued["finalize"].extend([ready] * len(rests))

    enrolment.run("")

    assert len(authority.sent("finalize")) == len(rests) + 1
    assert timeless.waits == [*rests, ISSUANCE_SECONDS]


def test_an_order_that_returns_to_ready_is_finalized_after_a_pause(
    enrolment: Enrolment, authority: FakeAuthority, timeless: Timeless
) -> None:
    authority.proven = set(BOTH)
    authority.queued["finalize"].append(answer(200, {**ORDER, "status": "processing"}))
    authority.queued["order"].append(
        answer(200, {**ORDER, "status": "ready"}, {"Retry-After": "60"})
    )

    enrolment.run("")

    assert timeless.waits == [ISSUANCE_SECONDS, 60.0, ISSUANCE_SECONDS]


def test_an_order_valid_after_finalize_is_not_polled(
    enrolment: Enrolment, authority: FakeAuthority, timeless: Timeless
) -> None:
    authority.proven = {"vpn.example.com", "www.example.com"}
    authority.at_once = True

    enrolment.run("")

    assert timeless.waits == []
    assert authority.sent("order") == []


@pytest.mark.parametrize("left_out", ["certificate", "finalize", "authorizations"])
def test_fields_missing_after_finalize_are_polled_for(
    enrolment: Enrolment, authority: FakeAuthority, left_out: str
) -> None:
    authority.at_once = True
    authority.leaves_out = {left_out}
    assert enrolment.run("").certificate
    assert len(authority.sent("new-order")) == 1


@pytest.mark.parametrize("kind", ["badCSR", "badPublicKey"])
def test_a_forbidden_key_has_its_own_error(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, kind: str
) -> None:
    refusal = problem(kind, "invalid public key in CSR: public key is forbidden")
    authority.queued["finalize"].append(refusal)
    with pytest.raises(ForbiddenKeyError, match="forbidden"):
        enrolment.run("")
    assert journal.order is None


def test_an_order_for_other_names_is_refused(
    enrolment: Enrolment, authority: FakeAuthority
) -> None:
    other = [{"type": "dns", "value": "victim.example.org"}]
    body = {"status": "pending", "authorizations": [], "finalize": BASE, "identifiers": other}
    authority.queued["new-order"].append(answer(201, body, {"Location": f"{BASE}/order/1"}))
    with pytest.raises(AuthorizationMismatchError, match=r"victim\.example\.org"):
        enrolment.run("")
    assert not authority.sent("authz")


def test_a_relative_order_url_is_resolved_before_it_is_stored(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    authority.relative = True
    enrolment.run("")
    assert journal.order is not None
    assert journal.order.url.startswith(f"{BASE}/order/")


@pytest.mark.parametrize("status", [404, 500])
def test_an_alternate_chain_that_cannot_be_downloaded_is_skipped(
    enrolment: Enrolment, authority: FakeAuthority, root: RootAuthority, status: int
) -> None:
    authority.first_root = root
    authority.alternates = status
    assert with_settings(enrolment, preferred_root="unheard of").run("").certificate
    assert len(authority.sent("certificate")) == 2


@pytest.mark.parametrize("kind", ["badCSR", "caa"])
def test_a_refused_finalize_is_reported(
    enrolment: Enrolment, authority: FakeAuthority, kind: str
) -> None:
    authority.queued["finalize"].append(problem(kind, "not like this", status=403))

    with pytest.raises(ACMEError, match=f"returned an error: {kind}: not like this"):
        enrolment.run("")


# --------------------------------------------------------------------------- taking up


def interrupt(enrolment: Enrolment, authority: FakeAuthority, stage: str) -> None:
    """Fail at a stage and leave everything as a kill would."""
    authority.queued[stage].append(AuthorityUnreachableError("gone"))
    with pytest.raises(AuthorityUnreachableError, match="gone"):
        enrolment.run("")


@pytest.mark.parametrize("stage", ["authz", "challenge", "finalize", "certificate"])
def test_an_interrupted_order_is_resumed_with_its_key(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, told: Told, stage: str
) -> None:
    interrupt(enrolment, authority, stage)
    assert journal.request is not None
    key = journal.request.private_key

    issued = enrolment.run("")

    assert issued.private_key == key
    assert len(authority.sent("new-order")) == 1
    assert "resuming the order of 2026-11-23 08:15:00 UTC" in told.messages


def test_a_processing_order_is_resumed(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    interrupt(enrolment, authority, "certificate")
    for order in authority.orders.values():
        order["status"] = "processing"

    assert enrolment.run("").order_url == (journal.order.url if journal.order else "")
    assert len(authority.sent("finalize")) == 1


@pytest.mark.parametrize(
    "found",
    [
        answer(404, b""),
        answer(410, b"<html>gone</html>"),
        problem("malformed", "no such order", 404),
        problem("malformed", "expired"),
        problem("unauthorized", "not yours", 403),
        answer(200, {**ORDER, "status": "invalid"}),
        answer(200, {**ORDER, "status": "expired"}),
    ],
)
def test_an_unusable_order_is_replaced(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, found: Response
) -> None:
    interrupt(enrolment, authority, "authz")
    first = journal.order
    authority.queued["order"].append(found)

    issued = enrolment.run("")

    assert journal.forgotten == 1
    assert first is not None
    assert issued.order_url != first.url


def test_a_rate_limit_while_fetching_an_order_keeps_it(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    interrupt(enrolment, authority, "authz")
    authority.queued["order"].append(problem("rateLimited", status=429))

    with pytest.raises(RateLimitedError):
        enrolment.run("")

    assert journal.order is not None


@pytest.mark.parametrize(
    "change",
    [
        {"authority": "another"},
        {"directory_url": "https://elsewhere.test/directory"},
        {"identifiers": dns("old.example.com")},
    ],
)
def test_an_order_for_other_names_or_another_ca_is_replaced(
    enrolment: Enrolment,
    authority: FakeAuthority,
    journal: Journal,
    change: dict[str, object],
) -> None:
    interrupt(enrolment, authority, "authz")
    assert journal.order is not None
    journal.order = replace(journal.order, **change)  # type: ignore[arg-type]  # any field

    enrolment.run("")

    assert journal.forgotten == 1
    assert len(authority.sent("new-order")) == 2


def test_names_in_another_sequence_resume_the_order(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    interrupt(enrolment, authority, "authz")
    assert journal.order is not None
    journal.order = replace(journal.order, identifiers=journal.order.identifiers[::-1])

    enrolment.run("")

    assert len(authority.sent("new-order")) == 1


# --------------------------------------------------------------------------- an end to it

ON_TIME = [MAX_ORDER_AGE - timedelta(seconds=1), timedelta(), timedelta(minutes=-1)]
LATE = [MAX_ORDER_AGE, MAX_ORDER_AGE + timedelta(days=30)]
UNREACHABLE = AuthorityUnreachableError("no such host")


def after(enrolment: Enrolment, age: timedelta) -> Enrolment:
    return replace(enrolment, now=lambda: NOW + age)


@pytest.mark.parametrize("age", LATE)
@pytest.mark.parametrize(
    "found",
    [
        answer(500, b"oops"),
        UNREACHABLE,
        answer(200, {**ORDER, "status": "pending"}),
        answer(200, {**ORDER, "status": "ready"}),
        answer(200, {**ORDER, "status": "processing"}),
    ],
)
def test_an_order_that_is_too_old_is_replaced(
    enrolment: Enrolment,
    authority: FakeAuthority,
    journal: Journal,
    found: Response | Exception,
    age: timedelta,
) -> None:
    interrupt(enrolment, authority, "authz")
    authority.queued["order"].append(found)

    after(enrolment, age).run("")

    assert journal.forgotten == 1
    assert len(authority.sent("new-order")) == 2


@pytest.mark.parametrize("age", ON_TIME)
@pytest.mark.parametrize("found", [answer(500, b"oops"), UNREACHABLE])
def test_an_order_that_is_not_too_old_is_kept(
    enrolment: Enrolment,
    authority: FakeAuthority,
    journal: Journal,
    found: Response | Exception,
    age: timedelta,
) -> None:
    interrupt(enrolment, authority, "authz")
    authority.queued["order"].append(found)

    with pytest.raises(AuthorityUnreachableError):
        after(enrolment, age).run("")

    assert journal.order is not None


@pytest.mark.parametrize("age", LATE)
def test_an_issued_certificate_is_never_too_old(
    enrolment: Enrolment, authority: FakeAuthority, age: timedelta
) -> None:
    interrupt(enrolment, authority, "certificate")

    after(enrolment, age).run("")

    assert len(authority.sent("new-order")) == 1


@pytest.mark.parametrize("status", [404, 410])
def test_an_order_whose_certificate_is_gone_is_dropped_at_once(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, status: int
) -> None:
    authority.queued["certificate"].append(answer(status, b""))

    with pytest.raises(ACMEError, match="notFound"):
        enrolment.run("")

    assert journal.order is None


@pytest.mark.parametrize(("ages", "kept"), [(ON_TIME, True), (LATE, False)])
def test_an_order_whose_certificate_cannot_be_downloaded_is_dropped_when_too_old(
    enrolment: Enrolment,
    authority: FakeAuthority,
    journal: Journal,
    ages: list[timedelta],
    kept: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    for age in ages:
        interrupt(enrolment, authority, "certificate")
        authority.queued["certificate"].append(answer(500, b"oops"))
        with pytest.raises(AuthorityUnreachableError):
            after(enrolment, age).run("")
        assert (journal.order is not None) == kept


def test_stopping_keeps_the_order(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    interrupt(enrolment, authority, "certificate")
    late = after(enrolment, MAX_ORDER_AGE)
    for stage in ("order", "certificate"):
        authority.queued[stage].append(InterruptedOrderError("leaving"))
        with pytest.raises(InterruptedOrderError):
            late.run("")
        assert journal.order is not None


def test_a_rate_limit_is_raised_before_an_old_order_is_replaced(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    interrupt(enrolment, authority, "authz")
    authority.queued["order"].append(problem("rateLimited", status=429))

    with pytest.raises(RateLimitedError):
        after(enrolment, MAX_ORDER_AGE).run("")

    assert journal.order is None
    assert len(authority.sent("new-order")) == 1


# --------------------------------------------------------------------------- ordering


def test_the_key_of_a_refused_order_is_deleted(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    authority.queued["new-order"].append(problem("rejectedIdentifier", status=403))

    with pytest.raises(ACMEError, match="rejectedIdentifier"):
        enrolment.run("")

    assert journal.request is None


def ordered(authority: FakeAuthority) -> list[dict[str, object]]:
    return [request.payload or {} for request in authority.sent("new-order")]


def test_a_renewal_names_the_replaced_certificate(
    enrolment: Enrolment, authority: FakeAuthority
) -> None:
    enrolment.run("aa.bb")

    assert [each.get("replaces") for each in ordered(authority)] == ["aa.bb"]


@pytest.mark.parametrize("directory_seconds", [0.0])
def test_replaces_is_omitted_without_renewal_info(
    enrolment: Enrolment, authority: FakeAuthority
) -> None:
    authority.renewal_info = False
    enrolment.run("aa.bb")

    assert "replaces" not in ordered(authority)[0]


@pytest.mark.parametrize(
    "refusal",
    [
        problem("alreadyReplaced", status=409),
        problem("somethingNew", status=409),
        problem("malformed", status=400),
        problem("malformed", status=404),
        problem("unauthorized", status=403),
        problem("serverInternal", status=500),
    ],
)
def test_an_order_with_refused_replaces_is_placed_again_without(
    enrolment: Enrolment, authority: FakeAuthority, refusal: Response
) -> None:
    authority.queued["new-order"].append(refusal)

    enrolment.run("aa.bb")

    assert [each.get("replaces") for each in ordered(authority)] == ["aa.bb", None]


def test_a_rate_limit_is_no_reason_to_order_again(
    enrolment: Enrolment, authority: FakeAuthority
) -> None:
    authority.queued["new-order"].append(problem("rateLimited", status=429))

    with pytest.raises(RateLimitedError):
        enrolment.run("aa.bb")

    assert len(ordered(authority)) == 1


def test_a_malformed_order_without_replaces_is_reported(
    enrolment: Enrolment, authority: FakeAuthority
) -> None:
    authority.queued["new-order"].append(problem("malformed"))

    with pytest.raises(ACMEError, match="malformed"):
        enrolment.run("")

    assert len(ordered(authority)) == 1


def with_settings(enrolment: Enrolment, **change: object) -> Enrolment:
    return replace(enrolment, settings=enrolment.settings.model_copy(update=change))


def test_a_profile_is_requested(enrolment: Enrolment, authority: FakeAuthority) -> None:
    with_settings(enrolment, profile=ProfileChoice("short")).run("")

    assert ordered(authority)[0]["profile"] == "short"


@pytest.mark.parametrize("directory_seconds", [0.0])
@pytest.mark.parametrize(
    ("offered", "fix"),
    [
        ({"b": "", "a": ""}, "set authorities.acme.profile to one of a, b"),
        ({}, "remove authorities.acme.profile"),
    ],
)
def test_a_required_profile_that_is_missing(
    enrolment: Enrolment, authority: FakeAuthority, offered: dict[str, str], fix: str
) -> None:
    authority.meta["profiles"] = offered

    with pytest.raises(AuthorityError, match="has no profile 'short'") as caught:
        with_settings(enrolment, profile=ProfileChoice("short")).run("")

    assert caught.value.fix == fix
    assert ordered(authority) == []


@pytest.mark.parametrize("directory_seconds", [0.0])
def test_a_preferred_profile_that_is_missing(
    enrolment: Enrolment, authority: FakeAuthority, told: Told
) -> None:
    preferring = with_settings(enrolment, profile=ProfileChoice("short", required=False))
    preferring.run("")
    authority.meta["profiles"] = {"classic": ""}
    enrolment.journal.forget()
    preferring.run("")

    assert [each.get("profile") for each in ordered(authority)] == ["short", None]
    assert any("has no profile 'short'; using its default" in line for line in told.messages)


# --------------------------------------------------------------------------- limits


def counted_by(store: Accounts) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.kind.value, each.names) for each in store.counted()]


def with_limits(enrolment: Enrolment, store: Accounts, **limits: RateLimit) -> Enrolment:
    assert isinstance(enrolment.journal, Journal)
    enrolment.journal.usage = store
    within = Limits(**cast("dict[str, Any]", limits))
    return replace(enrolment, budget=replace(enrolment.budget, store=store, limits=within))


HOUR = timedelta(hours=1)
BOTH = ("vpn.example.com", "www.example.com")


def test_requests_are_counted(enrolment: Enrolment) -> None:
    store = Accounts()
    with_limits(enrolment, store).run("")
    assert counted_by(store) == [("order", ()), ("certificate", BOTH)]


def test_failed_validations_stay_counted(enrolment: Enrolment, authority: FakeAuthority) -> None:
    store = Accounts()
    authority.refused["vpn.example.com"] = {"detail": "nobody there"}
    with pytest.raises(ChallengeFailedError):
        with_limits(enrolment, store).run("")
    assert counted_by(store) == [
        ("order", ()),
        ("validation", ("vpn.example.com",)),
        ("validation", ("www.example.com",)),
    ]


def test_a_request_beyond_a_limit_is_not_sent(
    enrolment: Enrolment, authority: FakeAuthority
) -> None:
    limited = with_limits(enrolment, Accounts(), duplicates=RateLimit(1, HOUR))
    limited.run("")
    limited.journal.forget()
    sent = len(authority.requests)
    with pytest.raises(RateLimitBudgetError, match="1 in 1 hour; nothing was sent") as caught:
        limited.run("")
    assert caught.value.until == NOW + HOUR + IN_TRANSIT
    assert len(authority.requests) == sent


def test_a_validation_that_might_exceed_a_limit_is_not_tried(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, solver: FakeSolver
) -> None:
    store = Accounts()
    limited = with_limits(enrolment, store, failed_validations=RateLimit(1, HOUR))
    interrupt(limited, authority, "authz")
    other = replace(enrolment, journal=Journal(enrolment.target), budget=limited.budget)
    authority.refused["www.example.com"] = {"detail": "nobody there"}
    with pytest.raises(ChallengeFailedError):
        other.run("")
    answered = len(authority.sent("challenge"))

    with pytest.raises(RateLimitBudgetError):
        limited.run("")

    assert len(authority.sent("challenge")) == answered
    assert journal.order is not None
    assert solver.events[-1].startswith("clean up")


def test_replacements_have_only_our_own_limit(enrolment: Enrolment, journal: Journal) -> None:
    store = Accounts()
    limited = with_limits(enrolment, store, orders=RateLimit(1, HOUR))
    for certificate in ("a.b", "c.d", "e.f"):
        limited.run(certificate)
        assert journal.order is not None
        assert journal.order.replaces == certificate
        journal.forget()
    assert [kind for kind, _ in counted_by(store)] == ["replacement"] * 3


def test_a_ca_that_wants_every_certificate_replaced_is_limited(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    limited = with_limits(enrolment, Accounts(), replacements=RateLimit(2, HOUR))
    for certificate in ("a.b", "c.d"):
        limited.run(certificate)
        journal.forget()
    sent = len(ordered(authority))
    with pytest.raises(RateLimitBudgetError, match="replacements of the certificate for vpn"):
        limited.run("e.f")
    assert len(ordered(authority)) == sent
    assert journal.order is None


@pytest.mark.parametrize("directory_seconds", [0.0])
def test_replacements_count_as_orders_if_the_ca_refuses_replaces(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    store = Accounts()
    authority.queued["new-order"].append(problem("alreadyReplaced", status=409))
    with_limits(enrolment, store).run("a.b")
    assert journal.order is not None
    assert journal.order.replaces == ""
    authority.renewal_info = False
    journal.forget()
    with_limits(enrolment, store).run("c.d")
    assert [kind for kind, _ in counted_by(store)].count("order") == 2


def test_an_order_that_the_fleet_holds_back_is_not_sent(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    journal.held = OrderHeld(timedelta(seconds=15), "for its turn: 2 of 2", "no action needed")
    for replaces in ("", "a.b"):
        with pytest.raises(OrderHeldError, match="order at acme waits for its turn") as caught:
            enrolment.run(replaces)
        assert caught.value.until == NOW + timedelta(seconds=15)
        assert caught.value.fix == "no action needed"
    assert authority.sent("new-order") == []
    assert journal.forgotten == 0


# --------------------------------------------------------------------------- failing


def test_a_failed_order_is_dropped(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, solver: FakeSolver
) -> None:
    authority.refused["vpn.example.com"] = {"detail": "nobody there"}

    with pytest.raises(ChallengeFailedError, match="nobody there"):
        enrolment.run("")

    assert journal.order is None
    assert solver.events[-1].startswith("clean up")


def test_an_order_that_can_be_resumed_is_kept(
    enrolment: Enrolment, journal: Journal, solver: FakeSolver
) -> None:
    solver.failure = ChallengeError("port 80 is taken")

    with pytest.raises(ChallengeError):
        enrolment.run("")

    assert journal.order is not None


def test_a_passed_deadline_keeps_the_order(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    authority.looks = 1000

    with pytest.raises(DeadlineExceededError):
        enrolment.run("")

    assert journal.order is not None


def test_an_invalid_order_is_reported_with_its_reason(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal
) -> None:
    error = {"type": "urn:ietf:params:acme:error:caa", "detail": "CAA forbids it"}
    invalid = answer(200, {**ORDER, "authorizations": [], "status": "invalid", "error": error})
    authority.queued["order"].append(invalid)

    with pytest.raises(ACMEError, match="returned an error: caa: CAA forbids it") as caught:
        enrolment.run("")

    assert "CAA records" in caught.value.fix
    assert journal.order is None


@pytest.mark.parametrize("status", ["invalid", "dreaming\x1b"])
def test_an_invalid_order_without_a_reason(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, status: str
) -> None:
    authority.queued["order"].append(answer(200, {**ORDER, "authorizations": [], "status": status}))

    with pytest.raises(AuthorityError, match="without a reason") as caught:
        enrolment.run("")

    assert "\x1b" not in str(caught.value)
    assert journal.order is None


# --------------------------------------------------------------------------- the chain


def test_a_certificate_for_another_key_is_never_returned(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, root: RootAuthority
) -> None:
    foreign = Journal(enrolment.target).new_request()
    csr = x509.load_pem_x509_csr(foreign.csr).public_bytes(Encoding.DER)
    authority.issue = lambda _: root.issue(csr)

    with pytest.raises(CertificateError):
        enrolment.run("")

    assert journal.order is None


@pytest.mark.parametrize("body", [b"", b"<html>", b"-----BEGIN CERTIFICATE-----\nAA\n"])
def test_invalid_pem_is_never_returned(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, body: bytes
) -> None:
    authority.issue = lambda _: body

    with pytest.raises(CertificateError):
        enrolment.run("")

    assert journal.order is None


@pytest.fixture
def roots_file(root: RootAuthority, tmp_path: Path) -> Path:
    path = tmp_path / "roots.pem"
    path.write_bytes(root.pem)
    return path


def test_a_chain_that_ends_in_a_trusted_root(
    enrolment: Enrolment, roots_file: Path, root: RootAuthority
) -> None:
    assert with_settings(enrolment, trusted_roots=roots_file).run("").root == root.pem


def test_an_alternate_chain_that_ends_in_a_trusted_root(
    enrolment: Enrolment, authority: FakeAuthority, roots_file: Path, root: RootAuthority
) -> None:
    authority.first_root = RootAuthority()

    issued = with_settings(enrolment, trusted_roots=roots_file).run("")

    assert issued.root == root.pem
    assert len(authority.sent("certificate")) == 2


@pytest.mark.parametrize("preferred", ["other", "expected", "unheard of"])
def test_the_chain_with_the_preferred_root_is_selected(
    enrolment: Enrolment, authority: FakeAuthority, root: RootAuthority, preferred: str
) -> None:
    other = authority.first_root = RootAuthority("Other Root")
    name = {"other": "other root", "expected": root.common_name}.get(preferred, preferred)

    issued = with_settings(enrolment, preferred_root=name).run("")

    chain = x509.load_pem_x509_certificates(issued.certificate + issued.chain)
    assert chain[-1].issuer == (root if preferred == "expected" else other).name
    assert len(authority.sent("certificate")) == (1 if preferred == "other" else 2)
    assert any("no chain ends in 'unheard of'" in note for note in issued.notes) == (
        preferred == "unheard of"
    )


def test_a_sound_chain_under_an_untrusted_root_is_refused_but_its_order_kept(
    enrolment: Enrolment,
    authority: FakeAuthority,
    journal: Journal,
    roots_file: Path,
) -> None:
    roots_file.write_bytes(RootAuthority().pem)
    authority.first_root = RootAuthority()
    picky = with_settings(enrolment, trusted_roots=roots_file)

    with pytest.raises(CertificateError, match="trusted roots"):
        picky.run("")

    assert len(authority.sent("certificate")) == 2
    assert journal.order is not None
    enrolment.run("")  # the operator has taken trusted_roots out again
    assert len(authority.sent("new-order")) == 1


def test_an_order_whose_chain_is_refused_for_half_a_day_is_dropped(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, roots_file: Path
) -> None:
    roots_file.write_bytes(RootAuthority().pem)
    authority.first_root = RootAuthority()
    picky = with_settings(enrolment, trusted_roots=roots_file)
    with pytest.raises(CertificateError, match="trusted roots"):
        picky.run("")
    for age, kept in ((11, True), (13, False)):
        with pytest.raises(CertificateError, match="trusted roots"):
            after(picky, timedelta(hours=age)).run("")
        assert (journal.order is not None) is kept


def test_an_unsound_chain_is_refused_with_its_order_for_any_root(
    enrolment: Enrolment, authority: FakeAuthority, journal: Journal, roots_file: Path
) -> None:
    authority.issue = lambda _: b"nonsense"

    with pytest.raises(CertificateError):
        with_settings(enrolment, trusted_roots=roots_file).run("")

    assert journal.order is None


@pytest.mark.parametrize("content", [None, b"no PEM at all"])
def test_unreadable_roots(
    enrolment: Enrolment, journal: Journal, tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "roots.pem"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(CertificateError, match="cannot be read") as caught:
        with_settings(enrolment, trusted_roots=path).run("")

    assert caught.value.fix == "correct authorities.acme.trusted_roots"
    assert journal.order is None  # what would be refused is not ordered


def test_expired_roots_are_reported_before_an_order(
    enrolment: Enrolment, authority: FakeAuthority, roots_file: Path
) -> None:
    roots_file.write_bytes(RootAuthority().pem)
    late = with_settings(after(enrolment, timedelta(days=40_000)), trusted_roots=roots_file)
    with pytest.raises(CertificateError, match="nothing was ordered"):
        late.run("")
    assert not authority.sent("new-order")
