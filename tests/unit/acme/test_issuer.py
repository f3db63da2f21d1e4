from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.acme_server import BASE, DIRECTORY_URL, FakeAuthority, problem
from tests.fakes.acme_stores import Accounts, Journal, Told
from tests.fakes.clock import NOW
from tests.fakes.pki import dns
from tests.fakes.solvers import FakeSolver
from tests.unit.acme.test_renewal_info import SUMMARY

from gatecert.acme.issuer import STAGING_LIMITS, Issuer
from gatecert.config.schema.authority import ExternalAccountSettings, ProfileChoice
from gatecert.config.well_known import LETS_ENCRYPT_STAGING, PUBLIC_CAS
from gatecert.deadline import Deadline
from gatecert.errors import (
    AccountMissingError,
    AuthorityError,
    ExternalAccountRequiredError,
    InterruptedOrderError,
    RateLimitBudgetError,
    RateLimitedError,
)
from gatecert.model import Account, Target

if TYPE_CHECKING:
    from pathlib import Path

    from gatecert.acme.client import Client
    from gatecert.challenge.solver import Challenge
    from gatecert.config.schema.authority import AuthoritySettings


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def issuer(settings: AuthoritySettings, accounts: Accounts, client: Client) -> Issuer:
    return Issuer(settings, accounts, {"http-01": FakeSolver()}, client=client)


@pytest.fixture
def journal(target: Target, accounts: Accounts) -> Journal:
    return Journal(target, accounts)


class CountingSolver(FakeSolver):
    """Counts the orders that present a response at the same time.

    Args:
        together: Where as many orders meet as may be in progress.
    """

    def __init__(self, together: threading.Barrier) -> None:
        super().__init__()
        self.most = 0
        self.entered = threading.Event()
        self._now = 0
        self._together = together
        self._lock = threading.Lock()

    def present(self, challenge: Challenge) -> None:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
        super().present(challenge)
        self.entered.set()
        self._together.wait(10)

    def wait(self, challenge: Challenge, deadline: Deadline) -> None:
        """Return at once, even when gatecert is stopping."""

    def clean_up(self, challenge: Challenge) -> None:
        with self._lock:
            self._now -= 1
        super().clean_up(challenge)


def test_a_certificate_is_obtained(
    issuer: Issuer, target: Target, journal: Journal, accounts: Accounts
) -> None:
    issued = issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)

    assert issued.authority == "acme"
    assert accounts.kept["acme"].url


def test_an_account_unknown_to_the_ca_loses_the_order_but_not_the_key(
    issuer: Issuer,
    target: Target,
    journal: Journal,
    accounts: Accounts,
    authority: FakeAuthority,
) -> None:
    issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)
    before, first = accounts.kept["acme"], journal.order
    authority.accounts.clear()
    authority.orders.clear()

    issued = issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)

    after = accounts.kept["acme"]
    assert after.private_key == before.private_key
    assert after.url != before.url
    assert first is not None
    assert issued.order_url != first.url
    assert journal.forgotten == 1


def test_an_account_that_stays_unknown_is_reported(
    issuer: Issuer, target: Target, journal: Journal, authority: FakeAuthority
) -> None:
    authority.queued["new-order"].extend([problem("accountDoesNotExist")] * 2)

    with pytest.raises(AccountMissingError):
        issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)


def test_gateways_enrol_in_parallel_with_one_account(
    issuer: Issuer, authority: FakeAuthority
) -> None:
    names = [f"gateway-{number}.example.com" for number in range(6)]
    urls: set[str] = set()

    def enrol(name: str) -> None:
        target = Target("boston", dns(name), name)
        issued = issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)
        urls.add(issued.order_url)

    threads = [threading.Thread(target=enrol, args=(name,)) for name in names]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(urls) == len(names)
    assert len(authority.sent("new-account")) == 1


def test_orders_in_progress_never_exceed_most_orders(
    settings: AuthoritySettings, accounts: Accounts, client: Client
) -> None:
    solver = CountingSolver(threading.Barrier(2))
    few = settings.model_copy(update={"most_orders": 2})
    issuer = Issuer(few, accounts, {"http-01": solver}, client=client)

    def enrol(name: str) -> None:
        target = Target("boston", dns(name), name)
        issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(enrol, [f"gateway-{number}.example.com" for number in range(6)]))

    assert solver.most == 2


def test_an_order_that_waits_for_its_turn_stops_with_gatecert(
    settings: AuthoritySettings, accounts: Accounts, client: Client, authority: FakeAuthority
) -> None:
    inside, cancelled = threading.Barrier(2), threading.Event()
    solver = CountingSolver(inside)
    one = settings.model_copy(update={"most_orders": 1})
    issuer = Issuer(one, accounts, {"http-01": solver}, client=client)

    def enrol(name: str) -> None:
        target = Target("boston", dns(name), name)
        issuer.obtain(
            target, Journal(target), progress=Told(), now=lambda: NOW, cancelled=cancelled
        )

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(enrol, "one.example.com")
        assert solver.entered.wait(10)
        second = pool.submit(enrol, "two.example.com")
        cancelled.set()
        assert isinstance(second.exception(10), InterruptedOrderError)
        inside.wait(10)
        assert isinstance(first.exception(10), InterruptedOrderError)

    assert len(authority.sent("new-order")) == 1


def test_an_enrolment_takes_few_requests(issuer: Issuer, authority: FakeAuthority) -> None:
    names = [f"gateway-{number}.example.com" for number in range(4)]
    for name in names:
        target = Target("boston", dns(name), name)
        issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)

    counts = Counter(each.path.split("/")[1] for each in authority.requests)

    # Once for all: the directory, the first nonce, and the look-up of the account.
    assert counts.pop("directory") == counts.pop("new-nonce") == 1
    assert counts.pop("new-account") == 1
    # For each: one authorization, one challenge, and one poll before and one after finalize.
    assert counts == {
        "new-order": 4, "authz": 4, "challenge": 4, "order": 8, "finalize": 4, "certificate": 4
    }  # fmt: skip


@pytest.mark.parametrize(("status", "retry_after"), [(503, "400"), (503, "7000"), (429, "400")])
def test_a_pause_for_one_order_is_one_for_all(
    issuer: Issuer,
    accounts: Accounts,
    target: Target,
    authority: FakeAuthority,
    client: Client,
    status: int,
    retry_after: str,
) -> None:
    client.directory(Deadline.after(10))
    authority.queued["new-nonce"].append(
        problem("rateLimited", status=status, Retry_After=retry_after)
    )
    with pytest.raises(RateLimitedError):
        issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)
    sent = len(authority.requests)

    with pytest.raises(RateLimitBudgetError, match="nothing was sent") as caught:
        issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)

    assert len(authority.requests) == sent
    left = (caught.value.until - NOW).total_seconds()
    assert left == pytest.approx(float(retry_after), abs=10.0)
    assert accounts.pauses == [(DIRECTORY_URL, timedelta(seconds=float(retry_after)))]


def test_a_long_limit_of_one_name_stops_no_other_order(
    issuer: Issuer, target: Target, authority: FakeAuthority
) -> None:
    authority.queued["new-order"].append(problem("rateLimited", status=429, Retry_After="7000"))
    with pytest.raises(RateLimitedError):
        issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW)

    assert issuer.obtain(target, Journal(target), progress=Told(), now=lambda: NOW).certificate


def test_stopping_leaves_the_order_to_be_resumed(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    target: Target,
    journal: Journal,
) -> None:
    cancelled = threading.Event()
    solver = FakeSolver(fetched=False)
    issuer = Issuer(settings, accounts, {"http-01": solver}, client=client)
    threading.Timer(0.05, cancelled.set).start()

    with pytest.raises(InterruptedOrderError):
        issuer.obtain(target, journal, progress=Told(), now=lambda: NOW, cancelled=cancelled)

    assert journal.order is not None
    assert solver.events[-1].startswith("clean up")
    solver.fetched = True
    issued = issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)
    assert issued.order_url == journal.order.url


def test_renewal_info_needs_no_account(issuer: Issuer, accounts: Accounts) -> None:
    info = issuer.renewal_info(SUMMARY, now=lambda: NOW)

    assert info.renew_at is not None
    assert accounts.kept == {}


def test_an_issuer_creates_its_client_at_first_use(
    settings: AuthoritySettings, accounts: Accounts, target: Target, journal: Journal
) -> None:
    stern = settings.model_copy(update={"ca_bundle": None, "directory_url": "http://ca.test/"})
    issuer = Issuer(stern, accounts, {})

    with pytest.raises(AuthorityError, match="not an https:// URL"):
        issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)

    assert BASE not in str(issuer)


# --------------------------------------------------------------------------- staging


def test_the_staging_environment_has_its_own_account_and_limits(
    settings: AuthoritySettings, accounts: Accounts, client: Client, tmp_path: Path
) -> None:
    url = "https://staging.test/directory"
    own = settings.model_copy(
        update={
            "staging_directory_url": url,
            "trusted_roots": tmp_path / "roots.pem",
            "preferred_root": "Root",
            "external_account": ExternalAccountSettings(key_id="1", hmac_key_file=tmp_path / "x"),
        }
    )
    staging = Issuer(own, accounts, {}, client=client).staging
    assert staging is not None
    assert (staging.name, staging.settings.directory_url) == ("acme.staging", url)
    # Its roots are others, and a key that works once is not spent there.
    found = staging.settings
    assert (found.trusted_roots, found.preferred_root, found.external_account) == (None,) * 3
    assert found.limits == STAGING_LIMITS
    assert staging.staging is None


def test_the_staging_environment_of_lets_encrypt_is_known(
    settings: AuthoritySettings, accounts: Accounts
) -> None:
    assert Issuer(settings, accounts, {}).staging is None
    public = settings.model_copy(update={"directory_url": PUBLIC_CAS["letsencrypt"].directory_url})
    staging = Issuer(public, accounts, {}).staging
    assert staging is not None
    assert staging.settings.directory_url == LETS_ENCRYPT_STAGING


# --------------------------------------------------------------------------- the report


def test_a_directory_check_creates_nothing(issuer: Issuer, authority: FakeAuthority) -> None:
    authority.meta["caaIdentities"] = ["ca.test", 7]
    report = issuer.check_directory()
    assert (report.name, report.identities, report.account_url) == ("acme", ("ca.test",), "")
    assert (report.clock_ahead, report.refusal) == (None, None)
    assert "ca.test" in report.label
    assert [request.path for request in authority.requests] == ["/directory"]


def test_a_directory_check_reports_the_account(
    issuer: Issuer, target: Target, journal: Journal, accounts: Accounts
) -> None:
    issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)
    assert issuer.check_directory().account_url == accounts.kept["acme"].url
    accounts.kept["acme"] = replace(accounts.kept["acme"], directory_url="https://other.test/")
    assert issuer.check_directory().account_url == ""


def test_remaining_limits_are_reported_without_a_request(
    issuer: Issuer, target: Target, journal: Journal, authority: FakeAuthority
) -> None:
    names = [each.value for each in target.identifiers]
    fresh = {
        each.what.split()[0]: each.count for each in issuer.remaining_limits(names, lambda: NOW)
    }
    assert authority.requests == []
    issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)
    after = {
        each.what.split()[0]: each.count for each in issuer.remaining_limits(names, lambda: NOW)
    }
    assert fresh["orders"] - after["orders"] == 1
    assert fresh["certificates"] - after["certificates"] == 1
    assert fresh["failed"] == after["failed"]


def test_asking_for_the_account_url_creates_one_account(
    issuer: Issuer, authority: FakeAuthority
) -> None:
    url = issuer.account_url(lambda: NOW)
    assert issuer.account_url(lambda: NOW) == url == issuer.check_directory().account_url
    assert authority.orders == {}


def test_a_directory_check_reports_a_missing_binding(
    issuer: Issuer, authority: FakeAuthority
) -> None:
    authority.meta["externalAccountRequired"] = True
    refusal = issuer.check_directory().refusal
    assert isinstance(refusal, ExternalAccountRequiredError)
    assert "authorities.acme.external_account" in refusal.fix


@pytest.mark.parametrize(
    ("choice", "missing"),
    [
        (None, False),
        (ProfileChoice("short"), False),
        (ProfileChoice("tiny", required=False), False),
        (ProfileChoice("tiny"), True),
    ],
)
def test_a_directory_check_reports_a_missing_profile(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    choice: ProfileChoice | None,
    *,
    missing: bool,
) -> None:
    wanted = settings.model_copy(update={"profile": choice})
    report = Issuer(wanted, accounts, {}, client=client).check_directory()
    assert report.profile == (choice.name if choice else "")
    assert (report.profile_refusal is not None) == missing
    if report.profile_refusal is not None:
        assert report.profile_refusal.fix == "set authorities.acme.profile to one of short"


def test_a_directory_check_reports_missing_agreement_to_terms(
    settings: AuthoritySettings, accounts: Accounts, client: Client
) -> None:
    unwilling = settings.model_copy(update={"terms_of_service_agreed": False})
    issuer = Issuer(unwilling, accounts, {}, client=client)
    refusal = issuer.check_directory().refusal
    assert refusal is not None
    assert "terms_of_service_agreed: true" in refusal.fix
    accounts.kept["acme"] = Account(b"a key whose account may be found again")
    assert issuer.check_directory().refusal is None


@pytest.mark.parametrize(
    ("headers", "ahead"),
    [
        ({"Date": "Mon, 23 Nov 2026 08:14:00 GMT"}, 60),
        ({"Date": "Mon, 23 Nov 2026 08:14:00 GMT", "Age": "15"}, 45),
        ({"Date": "Mon, 23 Nov 2026 09:15:00 GMT"}, -3600),
        ({"Date": "yesterday"}, None),
        ({}, None),
    ],
)
def test_a_directory_check_compares_the_clocks(
    issuer: Issuer, authority: FakeAuthority, headers: dict[str, str], ahead: int | None
) -> None:
    directory = authority.directory()
    authority.queued["directory"].append(replace(directory, headers=headers))
    found = issuer.check_directory().clock_ahead
    if ahead is None:
        assert found is None
    else:
        assert found is not None
        assert abs(found.total_seconds() - ahead) < 5


def test_every_response_updates_the_ca_s_time(
    issuer: Issuer, target: Target, journal: Journal, authority: FakeAuthority
) -> None:
    authority.challenge_headers = {"Date": "Mon, 23 Nov 2026 08:00:00 GMT"}
    issuer.obtain(target, journal, progress=Told(), now=lambda: NOW)
    ahead = issuer.check_directory().clock_ahead
    assert ahead is not None
    assert 14 * 60 < ahead.total_seconds() <= 15 * 60


def test_a_ca_without_limits_has_none_for_replacements(
    settings: AuthoritySettings,
    accounts: Accounts,
    client: Client,
    target: Target,
) -> None:
    def replace_six_times(settings: AuthoritySettings) -> None:
        issuer = Issuer(settings, accounts, {"http-01": FakeSolver()}, client=client)
        for _ in range(6):
            issuer.obtain(
                target, Journal(target), replaces="aa.bb", progress=Told(), now=lambda: NOW
            )

    unlimited = settings.limits.model_copy(update={"duplicates": None})
    replace_six_times(settings.model_copy(update={"limits": unlimited}))
    with pytest.raises(RateLimitBudgetError, match="replacements"):
        replace_six_times(settings)
