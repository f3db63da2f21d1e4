from __future__ import annotations

import threading
import time
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import BASE, FakeAuthority, answer, problem
from tests.fakes.acme_stores import UNLIMITED, Accounts
from tests.fakes.clock import NOW, Timeless
from tests.fakes.pki import dns
from tests.fakes.solvers import FakeSolver

from gatecert.acme.authorizations import (
    FIRST_PAUSE,
    MAX_FAILED_POLLS,
    MAX_PAUSE,
    Authorizations,
    PollingPolicy,
)
from gatecert.acme.session import VERDICT_SECONDS
from gatecert.deadline import Deadline
from gatecert.errors import (
    AuthorityError,
    AuthorityUnreachableError,
    AuthorizationMismatchError,
    ChallengeError,
    ChallengeFailedError,
    DeadlineExceededError,
    InterruptedOrderError,
    RateLimitedError,
)
from gatecert.model import ChallengeChoice, Limits, Message, RateLimit
from gatecert.store.lock import LockLease

if TYPE_CHECKING:
    from datetime import datetime

    from gatecert.acme.client import Client
    from gatecert.acme.resources import Order
    from gatecert.challenge.solver import Challenge
    from gatecert.http.fetcher import Response
    from gatecert.model import Account, Target

NAMES = ("vpn.example.com", "www.example.com")


def ignore(message: Message) -> None:
    """Tell nobody."""


def lines(told: list[Message]) -> list[str]:
    """Leave out the waits."""
    return [each for each in told if isinstance(each, str)]


@pytest.fixture
def timeless() -> Timeless:
    return Timeless(300.0)


@pytest.fixture
def polling(client: Client, account: Account, timeless: Timeless) -> PollingPolicy:
    return PollingPolicy(client, account, timeless, lambda: NOW, ignore)


@pytest.fixture
def solver() -> FakeSolver:
    return FakeSolver()


@pytest.fixture
def told() -> list[Message]:
    return []


@pytest.fixture
def validation(
    polling: PollingPolicy, solver: FakeSolver, target: Target, told: list[Message]
) -> Authorizations:
    return Authorizations(polling, {"http-01": solver}, target, told.append, UNLIMITED, LockLease())


@pytest.fixture
def order(client: Client, account: Account, timeless: Timeless) -> Order:
    return client.new_order(account, dns(*NAMES), timeless)


# --------------------------------------------------------------------------- validation


def test_all_names_are_validated_in_parallel_and_cleaned_up(
    validation: Authorizations, solver: FakeSolver, order: Order, told: list[Message]
) -> None:
    assert validation.run(order).status == "ready"

    verbs = [event.rsplit(" ", 1)[0] for event in solver.events]
    assert verbs == ["present"] * 2 + ["wait"] * 2 + ["seen"] * 2 + ["clean up"] * 2
    assert {str(each.identifier) for each in solver.challenges} == set(NAMES)
    assert lines(told) == ["proving control of vpn.example.com, www.example.com by http-01"]


def test_a_dns_persist_01_challenge_has_the_account_and_the_issuer_names(
    polling: PollingPolicy,
    solver: FakeSolver,
    target: Target,
    account: Account,
    authority: FakeAuthority,
    order: Order,
    told: list[Message],
) -> None:
    authority.offers = {"dns-persist-01": {"token": "", "issuer-domain-names": ["ca.example"]}}
    persistent = replace(target, challenges=("dns-persist-01",))

    Authorizations(
        polling, {"dns-persist-01": solver}, persistent, told.append, UNLIMITED, LockLease()
    ).run(order)

    (challenge, _) = solver.challenges
    assert (challenge.token, challenge.key_authorization) == ("", "")
    assert challenge.account_url == account.url
    assert challenge.issuer_domain_names == ("ca.example",)
    assert not challenge.wildcard


def test_responses_are_in_place_before_validation_is_requested(
    validation: Authorizations,
    solver: FakeSolver,
    order: Order,
    authority: FakeAuthority,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def waited(*_: object) -> None:
        assert authority.sent("challenge") == []
        assert len(solver.challenges) == len(NAMES)

    monkeypatch.setattr(solver, "wait", waited)
    validation.run(order)

    assert len(authority.sent("challenge")) == len(NAMES)


def test_solvers_get_plain_text(
    validation: Authorizations, solver: FakeSolver, order: Order, client: Client, account: Account
) -> None:
    validation.run(order)

    challenge = solver.challenges[0]
    assert challenge.type == "http-01"
    expected = client.key_authorization(account, challenge.token)
    assert challenge.key_authorization == expected
    assert expected not in repr(challenge)


def test_the_first_poll_follows_the_fetch_of_every_response(
    validation: Authorizations, order: Order, timeless: Timeless, authority: FakeAuthority
) -> None:
    validation.run(order)

    assert timeless.waits == [VERDICT_SECONDS]
    assert len(authority.sent("order")) == 1


def test_later_polls_have_growing_pauses(
    validation: Authorizations, order: Order, timeless: Timeless, authority: FakeAuthority
) -> None:
    next(iter(authority.orders.values()))["looks"] = 12

    validation.run(order)

    pauses = [VERDICT_SECONDS * 2**n for n in range(2, 14)]
    assert timeless.waits == [VERDICT_SECONDS, *(min(each, MAX_PAUSE) for each in pauses)]


def test_the_time_to_a_verdict_is_learned(
    validation: Authorizations, order: Order, authority: FakeAuthority
) -> None:
    next(iter(authority.orders.values()))["looks"] = 1

    validation.run(order)

    assert validation.polling.client.verdict.seconds == VERDICT_SECONDS * 2


def test_pauses_after_the_fetches_never_exceed_those_without(
    validation: Authorizations, order: Order, timeless: Timeless, authority: FakeAuthority
) -> None:
    for _ in range(10):
        validation.polling.client.verdict.learn(enough=False)
    next(iter(authority.orders.values()))["looks"] = 3

    validation.run(order)

    assert timeless.waits == [0.25, *(FIRST_PAUSE * 1.5**n for n in range(1, 4))]


def test_without_a_fetch_the_first_poll_follows_the_first_pause(
    client: Client, account: Account, target: Target, order: Order
) -> None:
    # Real time: a solver that cannot tell lets the pause go by itself.
    polling = PollingPolicy(client, account, Deadline.after(10), lambda: NOW, ignore)
    blind = FakeSolver(fetched=False)
    started = time.monotonic()

    order = Authorizations(
        polling, {"http-01": blind}, target, lambda _: None, UNLIMITED, LockLease()
    ).run(order)

    assert order.status == "ready"
    assert time.monotonic() - started >= FIRST_PAUSE


def test_retry_after_is_observed(
    validation: Authorizations, order: Order, timeless: Timeless, authority: FakeAuthority
) -> None:
    authority.challenge_headers = {"Retry-After": "11"}
    authority.queued["order"].append(
        answer(
            200,
            {"status": "pending", "authorizations": [], "finalize": f"{BASE}/finalize/1"},
            {"Retry-After": "13"},
        )
    )
    validation.run(order)

    assert timeless.waits == [11.0, 13.0]


@pytest.mark.parametrize("retry_after", ["0", "Mon, 23 Nov 2026 08:00:00 GMT"])
def test_a_short_retry_after_does_not_shorten_the_pauses(
    validation: Authorizations,
    order: Order,
    timeless: Timeless,
    authority: FakeAuthority,
    retry_after: str,
) -> None:
    pending = {"status": "pending", "authorizations": [], "finalize": f"{BASE}/finalize/1"}
    authority.challenge_headers = {"Retry-After": retry_after}
    authority.queued["order"].extend([answer(200, pending, {"Retry-After": retry_after})] * 3)

    validation.run(order)

    assert timeless.waits == [FIRST_PAUSE * 1.5**n for n in range(4)]


def test_valid_names_need_no_challenge(
    validation: Authorizations,
    solver: FakeSolver,
    client: Client,
    account: Account,
    authority: FakeAuthority,
    timeless: Timeless,
) -> None:
    authority.proven = {"www.example.com"}
    order = client.new_order(account, dns(*NAMES), timeless)

    validation.run(order)

    assert [str(each.identifier) for each in solver.challenges] == ["vpn.example.com"]


def test_an_order_whose_names_are_all_valid(
    validation: Authorizations,
    solver: FakeSolver,
    order: Order,
    authority: FakeAuthority,
    told: list[Message],
) -> None:
    for each in authority.orders.values():
        each.update(valid=set(NAMES), answered=set(NAMES))

    assert validation.run(order).status == "ready"
    assert solver.events == []
    assert told == []


def test_validation_is_not_requested_twice(
    validation: Authorizations, solver: FakeSolver, order: Order, authority: FakeAuthority
) -> None:
    for each in authority.orders.values():
        each["answered"] = {"vpn.example.com"}

    validation.run(order)

    assert len(solver.challenges) == len(NAMES)
    assert [each.path.split("/")[3] for each in authority.sent("challenge")] == ["www.example.com"]


def test_the_first_configured_type_that_is_offered_is_used(
    polling: PollingPolicy, solver: FakeSolver, target: Target, order: Order
) -> None:
    other = FakeSolver()
    wanted = replace(target, challenges=("tls-alpn-01", "dns-01", "http-01"))
    solvers = {"http-01": solver, "dns-01": other, "tls-alpn-01": FakeSolver()}

    Authorizations(polling, solvers, wanted, lambda _: None, UNLIMITED, LockLease()).run(order)

    assert solver.challenges == []
    assert {each.type for each in other.challenges} == {"dns-01"}


@pytest.mark.parametrize(
    ("kind", "counted"), [("http-01", NOW), ("dns-01", NOW + timedelta(minutes=30))]
)
def test_a_validation_counts_from_its_request(
    polling: PollingPolicy, target: Target, order: Order, kind: str, counted: datetime
) -> None:
    """Propagation takes time, which does not count at the CA."""
    clock = [NOW]

    class Slow(FakeSolver):
        def wait(self, challenge: Challenge, deadline: Deadline) -> None:
            super().wait(challenge, deadline)
            clock[0] = NOW + timedelta(minutes=30)

    store = Accounts()
    limits = Limits(failed_validations=RateLimit(1, timedelta(hours=1)))
    budget = replace(UNLIMITED, store=store, limits=limits, now=lambda: clock[0])
    wanted = replace(target, challenges=(kind,))

    Authorizations(polling, {kind: Slow()}, wanted, lambda _: None, budget, LockLease()).run(order)

    requests = store.counted(budget.directory_url)
    assert [(each.names, each.at) for each in requests] == [((name,), counted) for name in NAMES]


def test_a_type_that_is_not_offered_is_named(
    polling: PollingPolicy, target: Target, order: Order, told: list[Message]
) -> None:
    wanted = replace(target, challenges=("tls-alpn-01", "http-01"))
    solvers = {"http-01": FakeSolver(), "tls-alpn-01": FakeSolver()}

    Authorizations(polling, solvers, wanted, told.append, UNLIMITED, LockLease()).run(order)

    (line,) = lines(told)
    assert "by http-01 (" in line
    assert "does not offer tls-alpn-01)" in line


def test_each_name_uses_its_own_challenge_type(
    polling: PollingPolicy, target: Target, order: Order, told: list[Message]
) -> None:
    http, dns = FakeSolver(), FakeSolver()
    chosen = ChallengeChoice("www.example.com", ("dns-01", "http-01"), "http-01 failed before")
    wanted = replace(target, choices=(chosen,))

    Authorizations(
        polling, {"http-01": http, "dns-01": dns}, wanted, told.append, UNLIMITED, LockLease()
    ).run(order)

    assert [each.identifier.value for each in dns.challenges] == ["www.example.com"]
    assert [each.identifier.value for each in http.challenges] == ["vpn.example.com"]
    assert lines(told) == [
        "proving control of vpn.example.com by http-01",
        "proving control of www.example.com by dns-01 (http-01 failed before)",
    ]


def test_skipped_and_failed_challenges_are_both_recorded(
    polling: PollingPolicy, target: Target, order: Order, authority: FakeAuthority
) -> None:
    class Taken(FakeSolver):
        def present(self, challenge: Challenge) -> None:
            raise ChallengeError(f"port taken, no {challenge.type}")

    authority.refused["www.example.com"] = {"detail": "no"}
    wanted = replace(target, challenges=("http-01", "dns-01"))
    validation = Authorizations(
        polling,
        {"http-01": Taken(), "dns-01": FakeSolver()},
        wanted,
        lambda _: None,
        UNLIMITED,
        LockLease(),
    )

    with pytest.raises(ChallengeFailedError) as caught:
        validation.run(order)

    failed = [(attempt.name, attempt.kind) for attempt in caught.value.attempts]
    assert ("www.example.com", "http-01") in failed
    assert ("www.example.com", "dns-01") in failed
    assert ("vpn.example.com", "dns-01") not in failed


def test_no_challenge_type_in_common(
    polling: PollingPolicy, solver: FakeSolver, target: Target, order: Order
) -> None:
    wanted = replace(target, challenges=("tls-alpn-01", "dns-01"))

    with pytest.raises(AuthorityError, match="offers shiny-99, http-01, dns-01 for") as caught:
        Authorizations(
            polling, {"http-01": solver}, wanted, lambda _: None, UNLIMITED, LockLease()
        ).run(order)

    assert caught.value.fix.startswith("set gateways.boston.challenge")


@pytest.mark.parametrize("token", ["../../../etc/passwd", "a/b", "", "ä"])
def test_an_unsafe_token_is_refused_before_it_is_used(
    validation: Authorizations,
    solver: FakeSolver,
    order: Order,
    authority: FakeAuthority,
    token: str,
) -> None:
    authority.offers["http-01"] = {"token": token}

    with pytest.raises(AuthorityError, match="not base64url text of sane length; it was not used"):
        validation.run(order)

    assert solver.events == []
    assert authority.sent("challenge") == []


def test_a_failed_name_is_reported_with_the_ca_s_text(
    validation: Authorizations, solver: FakeSolver, order: Order, authority: FakeAuthority
) -> None:
    authority.refused["www.example.com"] = {
        "type": "urn:ietf:params:acme:error:connection",
        "detail": "203.0.113.7: connection refused",
    }
    with pytest.raises(ChallengeFailedError) as caught:
        validation.run(order)

    assert caught.value.problem_type == "connection"
    assert ("www.example.com", "203.0.113.7: connection refused") in caught.value.subproblems
    assert solver.events[-2:] == ["clean up www.example.com", "clean up vpn.example.com"]


def test_a_challenge_left_pending_with_an_error_is_a_failure(
    validation: Authorizations,
    order: Order,
    authority: FakeAuthority,
    solver: FakeSolver,
    timeless: Timeless,
) -> None:
    error = {"type": "urn:ietf:params:acme:error:connection", "detail": "nobody there"}
    authority.offers["http-01"] = {"status": "pending", "error": error}
    next(iter(authority.orders.values()))["looks"] = 1000
    with pytest.raises(ChallengeFailedError, match="nobody there") as caught:
        validation.run(order)
    assert {attempt.kind for attempt in caught.value.attempts} == {"http-01"}
    assert solver.events[-1].startswith("clean up")
    assert timeless.waited < 10


def test_a_challenge_that_stays_processing_with_an_error_is_a_failure(
    validation: Authorizations, order: Order, authority: FakeAuthority, timeless: Timeless
) -> None:
    error = {"type": "urn:ietf:params:acme:error:connection", "detail": "nobody there"}
    authority.offers["http-01"] = {"status": "processing", "error": error}
    next(iter(authority.orders.values()))["looks"] = 1000
    with pytest.raises(ChallengeFailedError, match="nobody there"):
        validation.run(order)
    assert timeless.waited < 10


def test_a_challenge_that_the_ca_retries_is_waited_for(
    validation: Authorizations, order: Order, authority: FakeAuthority
) -> None:
    error = {"type": "urn:ietf:params:acme:error:connection", "detail": "nobody there yet"}
    authority.offers["http-01"] = {"status": "processing", "error": error}
    next(iter(authority.orders.values()))["looks"] = 15
    authority.errors = len(NAMES)
    assert validation.run(order).status == "ready"


@pytest.mark.parametrize("retry_after", ["", "4"])
def test_an_invalid_authorization_of_a_pending_order_is_a_failure(
    validation: Authorizations,
    order: Order,
    authority: FakeAuthority,
    timeless: Timeless,
    retry_after: str,
) -> None:
    authority.refused["www.example.com"] = {"detail": "nobody there"}
    authority.stays_pending = True
    authority.retry_after = retry_after
    with pytest.raises(ChallengeFailedError, match="nobody there"):
        validation.run(order)
    assert timeless.waited < 10


def test_a_refused_validation_request_is_a_failure(
    validation: Authorizations, order: Order, authority: FakeAuthority, solver: FakeSolver
) -> None:
    authority.queued["challenge"].append(problem("malformed", "validation failed"))
    with pytest.raises(ChallengeFailedError, match="validation failed") as caught:
        validation.run(order)
    assert caught.value.attempts
    assert solver.events[-1].startswith("clean up")
    assert len(authority.sent("challenge")) == 1


# --------------------------------------------------------------------- what was ordered


def test_an_authorization_for_a_name_that_was_not_ordered_is_refused(
    validation: Authorizations, order: Order, authority: FakeAuthority, solver: FakeSolver
) -> None:
    authority.instead["www.example.com"] = "victim.example.org"
    with pytest.raises(AuthorizationMismatchError, match=r"victim\.example\.org.*not ordered"):
        validation.run(order)
    assert solver.events == []
    assert not authority.sent("challenge")


def test_two_authorizations_for_one_name_are_refused(
    validation: Authorizations, order: Order, authority: FakeAuthority, solver: FakeSolver
) -> None:
    authority.instead["www.example.com"] = "vpn.example.com"
    with pytest.raises(AuthorizationMismatchError, match="not ordered"):
        validation.run(order)
    assert solver.events == []


def test_more_authorizations_than_names_are_not_fetched(
    validation: Authorizations, order: Order, authority: FakeAuthority, solver: FakeSolver
) -> None:
    many = replace(order, authorizations=tuple(f"{BASE}/authz/1/{n}" for n in range(20_000)))
    with pytest.raises(AuthorizationMismatchError, match="20000 authorizations for 2 names"):
        validation.run(many)
    assert not authority.sent("authz")
    assert solver.events == []


def test_a_pending_order_without_authorizations_is_unusable(
    validation: Authorizations, order: Order
) -> None:
    with pytest.raises(AuthorityUnreachableError, match="lists no authorization"):
        validation.run(replace(order, authorizations=()))


def test_an_invalid_authorization_is_reported_without_a_challenge(
    validation: Authorizations, solver: FakeSolver, order: Order, authority: FakeAuthority
) -> None:
    authority.refused["vpn.example.com"] = {"detail": "no"}
    for each in authority.orders.values():
        each["answered"] = {"vpn.example.com"}

    with pytest.raises(ChallengeFailedError, match=r"vpn\.example\.com: no"):
        validation.run(order)

    assert solver.events == []


def test_an_order_invalid_for_another_reason_is_returned(
    validation: Authorizations, order: Order, authority: FakeAuthority
) -> None:
    body = {"status": "invalid", "authorizations": [], "finalize": f"{BASE}/finalize/1"}
    authority.queued["order"].append(answer(200, body))

    assert validation.run(order).status == "invalid"


def test_presented_responses_are_removed_if_the_next_cannot_be_presented(
    validation: Authorizations, solver: FakeSolver, order: Order, authority: FakeAuthority
) -> None:
    solver.failure = ChallengeError("port 80 is taken")

    with pytest.raises(ChallengeError, match="port 80 is taken"):
        validation.run(order)

    assert solver.events == ["present vpn.example.com", "clean up vpn.example.com"]
    assert authority.sent("challenge") == []


def test_stopping_interrupts_validation_and_cleans_up(
    client: Client, account: Account, target: Target, order: Order
) -> None:
    cancelled = threading.Event()
    polling = PollingPolicy(
        client, account, Timeless(300.0, cancelled), lambda: NOW, lambda _: None
    )

    class Stopping(FakeSolver):
        def wait_for_request(self, challenge: Challenge, seconds: float) -> bool:
            cancelled.set()
            return super().wait_for_request(challenge, seconds)

    solver = Stopping(fetched=False)
    with pytest.raises(InterruptedOrderError):
        Authorizations(
            polling, {"http-01": solver}, target, lambda _: None, UNLIMITED, LockLease()
        ).run(order)

    assert solver.events[-2:] == ["clean up www.example.com", "clean up vpn.example.com"]


# --------------------------------------------------------------------------- polling


def is_ready(order: Order) -> bool:
    return order.status == "ready"


@pytest.fixture
def answered(order: Order, authority: FakeAuthority) -> Order:
    for each in authority.orders.values():
        each["answered"] = set(NAMES)
    return order


def test_a_finished_order_is_not_polled(
    polling: PollingPolicy, order: Order, authority: FakeAuthority
) -> None:
    assert polling.poll_until(order, lambda _: True) is order
    assert authority.sent("order") == []


@pytest.mark.parametrize(
    "trouble",
    [
        AuthorityUnreachableError("connection reset"),
        problem("serverInternal", status=500),
        problem("rateLimited", status=429),
    ],
)
def test_temporary_errors_are_retried(
    polling: PollingPolicy,
    answered: Order,
    authority: FakeAuthority,
    timeless: Timeless,
    trouble: Response | Exception,
) -> None:
    authority.queued["order"].extend([trouble] * MAX_FAILED_POLLS)

    assert polling.poll_until(answered, is_ready).status == "ready"
    assert timeless.waits == [0.25, 0.5, 1.0, 2.0, 4.0]


def test_permanent_errors_are_raised(
    polling: PollingPolicy, answered: Order, authority: FakeAuthority
) -> None:
    trouble = AuthorityUnreachableError("connection reset")
    authority.queued["order"].extend([trouble] * (MAX_FAILED_POLLS + 1))

    with pytest.raises(AuthorityUnreachableError, match="connection reset"):
        polling.poll_until(answered, is_ready)


def test_a_short_rate_limit_is_waited_for(
    polling: PollingPolicy, answered: Order, authority: FakeAuthority, timeless: Timeless
) -> None:
    authority.queued["order"].append(problem("rateLimited", status=503, Retry_After="17"))

    polling.poll_until(answered, is_ready)

    assert timeless.waits == [0.25, pytest.approx(17.0, abs=1.0)]


def test_a_rate_limit_beyond_the_deadline_is_raised_with_its_end(
    polling: PollingPolicy, answered: Order, authority: FakeAuthority
) -> None:
    authority.queued["order"].append(problem("rateLimited", status=429, Retry_After="9000"))

    with pytest.raises(RateLimitedError) as caught:
        polling.poll_until(answered, is_ready)

    assert caught.value.retry_after == NOW + timedelta(seconds=9000)


def test_an_order_that_exceeds_the_deadline(
    polling: PollingPolicy, answered: Order, timeless: Timeless
) -> None:
    with pytest.raises(DeadlineExceededError, match="next attempt resumes the order"):
        polling.poll_until(replace(answered, retry_after=301.0), is_ready)

    assert timeless.waits == []


def test_stopping_ends_the_polling(client: Client, account: Account) -> None:
    cancelled = threading.Event()
    cancelled.set()
    polling = PollingPolicy(
        client, account, Timeless(300.0, cancelled), lambda: NOW, lambda _: None
    )

    with pytest.raises(InterruptedOrderError):
        polling.wait(0.0)
