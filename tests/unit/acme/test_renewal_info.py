from __future__ import annotations

import threading
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.fakes.acme_server import FakeAuthority, answer, problem
from tests.fakes.clock import NOW

from gatecert.acme.renewal_info import after_failure, choose, fetch
from gatecert.acme.resources import SuggestedWindow
from gatecert.deadline import Deadline
from gatecert.errors import AuthorityUnreachableError
from gatecert.model import CertificateSummary, RenewalInfo

if TYPE_CHECKING:
    from gatecert.acme.client import Client
    from gatecert.http.fetcher import Response

ID = "aYhba4dGQEHhs3uEe6CuLN4ByNQ.AIdlQyE"
START = NOW + timedelta(days=8)
END = NOW + timedelta(days=10)
HOUR = timedelta(hours=1)
MINUTE = timedelta(minutes=1)
KNOWN = RenewalInfo(ID, NOW, START + HOUR, "https://ca.test/why")
SUMMARY = CertificateSummary(
    subject="CN=vpn.example.com",
    issuer="CN=Root",
    identifiers=(),
    not_before=NOW - timedelta(days=60),
    not_after=NOW + timedelta(days=30),
    fingerprint="",
    chain_fingerprints=(),
    key_fingerprint="",
    is_bootstrap=False,
    certificate_id=ID,
)


def exactly() -> float:
    """Draw no delay."""
    return 0.0


def window(
    start: datetime = START, end: datetime = END, retry_after: float | None = 3600.0, url: str = ""
) -> SuggestedWindow:
    return SuggestedWindow(start, end, url, retry_after)


# --------------------------------------------------------------------------- choose


@pytest.mark.parametrize(("draw", "hours"), [(0.0, 0), (0.25, 12), (0.5, 24)])
def test_an_instant_in_the_window_is_picked_uniformly(draw: float, hours: int) -> None:
    info = choose(ID, window(), now=NOW, random=lambda: draw)

    assert info == RenewalInfo(
        ID, next_fetch=NOW + HOUR * (1 + draw / 10), renew_at=START + hours * HOUR
    )


@given(st.integers(1, 10**7))
def test_every_pick_lies_in_the_window(seconds: int) -> None:
    end = START + timedelta(seconds=seconds)
    info = choose(ID, window(end=end), now=NOW)

    assert info.renew_at is not None
    assert START <= info.renew_at <= end


def test_a_window_in_the_past_means_now() -> None:
    info = choose(ID, window(NOW - 2 * HOUR, NOW - HOUR), now=NOW)

    assert info.renew_at is not None
    assert info.renew_at <= NOW


@pytest.mark.parametrize("end", [START, START - HOUR])
def test_a_window_that_ends_before_it_starts_is_invalid(
    end: datetime, caplog: pytest.LogCaptureFixture
) -> None:
    info = choose(ID, window(end=end, retry_after=60.0), now=NOW, random=exactly)

    assert info.renew_at is None
    assert info.next_fetch == NOW + 6 * HOUR
    assert "renewal window invalid" in caplog.text


@pytest.mark.parametrize(
    ("retry_after", "pause"),
    [
        (None, 6 * HOUR),
        (0.0, MINUTE),
        (59.0, MINUTE),
        (61.0, timedelta(seconds=61)),
        (86_400.0, 24 * HOUR),
        (1e6, 24 * HOUR),
    ],
)
def test_retry_after_is_limited_to_between_a_minute_and_a_day(
    retry_after: float | None, pause: timedelta
) -> None:
    info = choose(ID, window(retry_after=retry_after), now=NOW, random=exactly)
    assert info.next_fetch == NOW + pause


@given(retry_after=st.none() | st.floats(0, 1e6), draw=st.floats(0, 1, exclude_max=True))
def test_fetches_are_spread_after_retry_after_but_no_later_than_a_day(
    retry_after: float | None, draw: float
) -> None:
    earliest = choose(ID, window(retry_after=retry_after), now=NOW, random=exactly).next_fetch
    at = choose(ID, window(retry_after=retry_after), now=NOW, random=lambda: draw).next_fetch
    assert earliest <= at <= min(NOW + (earliest - NOW) * 1.1, NOW + 24 * HOUR)


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://ca.test/why", "https://ca.test/why"),
        ("javascript:alert(1)", ""),
        ("https://ca.test/\x1b[2J", "https://ca.test/ [2J"),
        ("", ""),
    ],
)
def test_only_an_https_explanation_url_is_kept(url: str, kept: str) -> None:
    assert choose(ID, window(url=url), now=NOW).explanation_url == kept


# --------------------------------------------------------------------------- failures


def test_temporary_failures_are_retried_with_growing_pauses_and_keep_the_renewal_time() -> None:
    info: RenewalInfo | None = KNOWN
    pauses = []
    for _ in range(6):
        info = after_failure(ID, info, now=NOW, temporary=True, random=exactly)
        pauses.append((info.next_fetch - NOW) / MINUTE)
        assert info.renew_at == KNOWN.renew_at

    assert pauses == [1, 2, 4, 8, 16, 32]
    last = after_failure(ID, info, now=NOW, temporary=True, random=exactly)
    assert last == RenewalInfo(ID, next_fetch=NOW + 6 * HOUR, failures=7)


def test_a_permanent_failure_drops_the_renewal_time() -> None:
    info = after_failure(ID, KNOWN, now=NOW, temporary=False, random=exactly)

    assert info == RenewalInfo(ID, next_fetch=NOW + 6 * HOUR, failures=1)


def test_information_about_another_certificate_is_dropped() -> None:
    other = replace(KNOWN, certificate_id="other.id", failures=4)
    info = after_failure(ID, other, now=NOW, temporary=True, random=exactly)

    assert info == RenewalInfo(ID, next_fetch=NOW + MINUTE, failures=1)


@pytest.mark.parametrize(("hours", "pause"), [(2, 2 * HOUR), (-1, MINUTE), (48, 24 * HOUR)])
def test_retry_after_of_an_error_is_observed(hours: int, pause: timedelta) -> None:
    again = NOW + hours * HOUR
    info = after_failure(ID, None, now=NOW, temporary=True, retry_after=again, random=exactly)

    assert info.next_fetch == NOW + pause


# --------------------------------------------------------------------------- fetch


def ask(client: Client, previous: RenewalInfo | None = None) -> RenewalInfo:
    deadline = Deadline.after(10)
    return fetch(client, SUMMARY, previous, deadline=deadline, now=lambda: NOW, random=exactly)


def test_a_window_is_fetched(client: Client) -> None:
    info = fetch(
        client,
        SUMMARY,
        replace(KNOWN, failures=3),
        deadline=Deadline.after(10),
        now=lambda: NOW,
        random=lambda: 0.0,
    )

    assert info.failures == 0
    assert info.renew_at is not None
    assert info.renew_at.isoformat() == "2026-12-01T00:00:00+00:00"
    assert info.next_fetch == NOW + 6 * HOUR


@pytest.mark.parametrize(
    "summary",
    [
        replace(SUMMARY, not_after=NOW),
        replace(SUMMARY, certificate_id=""),
        replace(SUMMARY, certificate_id="../account"),
    ],
)
def test_no_request_is_made_for_an_expired_certificate_or_an_invalid_certid(
    client: Client, authority: FakeAuthority, summary: CertificateSummary
) -> None:
    info = fetch(client, summary, KNOWN, deadline=Deadline.after(10), now=lambda: NOW)

    assert info.renew_at is None
    assert info.next_fetch == NOW + 24 * HOUR
    assert authority.requests == []


def test_an_authority_without_renewal_info(client: Client, authority: FakeAuthority) -> None:
    authority.renewal_info = False

    assert ask(client, KNOWN) == RenewalInfo(ID, next_fetch=NOW + 6 * HOUR)


@pytest.mark.parametrize(
    "error",
    [
        AuthorityUnreachableError("connection reset"),
        answer(502, b"<html>"),
        problem("rateLimited", status=429, Retry_After="60"),
    ],
)
def test_a_temporary_error(
    client: Client, authority: FakeAuthority, error: Response | Exception
) -> None:
    authority.queued["renewal-info"].append(error)

    assert ask(client, KNOWN) == replace(KNOWN, next_fetch=NOW + MINUTE, failures=1)


def test_a_permanent_error(
    client: Client, authority: FakeAuthority, caplog: pytest.LogCaptureFixture
) -> None:
    authority.queued["renewal-info"].append(problem("malformed", "no such certificate", 404))

    assert ask(client, KNOWN) == RenewalInfo(ID, next_fetch=NOW + 6 * HOUR, failures=1)
    assert "no such certificate" in caplog.text


@pytest.mark.parametrize("previous", [KNOWN, None])
def test_stopping_is_no_failure(client: Client, previous: RenewalInfo | None) -> None:
    cancelled = threading.Event()
    cancelled.set()
    deadline = Deadline.after(10, cancelled)

    info = fetch(client, SUMMARY, previous, deadline=deadline, now=lambda: NOW)

    assert info == (previous or RenewalInfo(ID, next_fetch=NOW))
