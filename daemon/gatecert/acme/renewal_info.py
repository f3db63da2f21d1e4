"""ACME renewal information (ARI, RFC 9773): when the CA suggests renewing a certificate.

- The renewal time is a uniform random instant in the suggested window; one in the past means now
  (4.2). After Retry-After, the window is fetched and the instant picked again.
- Retry-After is limited to between one minute and one day; the default is six hours (4.3.2). The
  next fetch comes up to a tenth later, but no later than a day, so that a CA whose answers end
  together is not asked by every gateway at once.
- A window that does not end after its start is invalid (4.2).
- Temporary errors (no connection, 5xx, a rate limit) are retried with growing pauses, and the
  instant picked before stays. After several of them, as after any other error, the next attempt is
  in six hours and the certificate's lifetime decides in the meantime (4.3.3).
- Expired certificates are not asked about (4.3).

`choose` and `after_failure` are pure; `fetch` sends the request.
"""

from __future__ import annotations

import logging
import re
from dataclasses import replace
from datetime import timedelta
from random import SystemRandom
from typing import TYPE_CHECKING

from gatecert.errors import (
    ACMEError,
    AuthorityError,
    AuthorityUnreachableError,
    DeadlineExceededError,
    InterruptedOrderError,
    RateLimitBudgetError,
    RateLimitedError,
    clean,
)
from gatecert.model import RenewalInfo

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from gatecert.acme.client import Client
    from gatecert.acme.resources import SuggestedWindow
    from gatecert.deadline import Deadline
    from gatecert.model import CertificateSummary

logger = logging.getLogger(__name__)

MIN_WAIT = timedelta(minutes=1)
MAX_WAIT = timedelta(days=1)
DEFAULT_WAIT = timedelta(hours=6)
SPREAD = 0.1
MAX_TEMPORARY_FAILURES = 6  # pauses of 1, 2, 4 … 32 minutes, then as after a permanent error

_uniform = SystemRandom().random
_CERTIFICATE_ID = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


def choose(
    certificate_id: str,
    window: SuggestedWindow,
    *,
    now: datetime,
    random: Callable[[], float] = _uniform,
) -> RenewalInfo:
    """Pick a renewal time in the suggested window.

    Args:
        certificate_id: CertID of the certificate.
        window: The CA's response.
        now: The wall clock, aware UTC.
        random: Uniform in [0, 1).
    """
    explanation = clean(window.explanation_url, 1000)
    info = RenewalInfo(
        certificate_id,
        next_fetch=now + _spread(_pause(window.retry_after), random),
        explanation_url=explanation if explanation.startswith("https://") else "",
    )
    if window.end <= window.start:
        logger.warning(
            "renewal window invalid certificate=%s start=%s end=%s",
            certificate_id,
            window.start.isoformat(),
            window.end.isoformat(),
        )
        return replace(info, next_fetch=now + _spread(DEFAULT_WAIT, random))
    return replace(info, renew_at=window.start + (window.end - window.start) * random())


def after_failure(  # noqa: PLR0913 - as for fetch
    certificate_id: str,
    previous: RenewalInfo | None,
    *,
    now: datetime,
    temporary: bool,
    retry_after: datetime | None = None,
    random: Callable[[], float] = _uniform,
) -> RenewalInfo:
    """Return the renewal information after a failed fetch.

    Args:
        certificate_id: CertID of the certificate.
        previous: The renewal information before.
        now: The wall clock, aware UTC.
        temporary: Whether the same request may succeed soon.
        retry_after: The Retry-After of the response.
        random: Uniform in [0, 1).
    """
    known = previous
    if known is None or known.certificate_id != certificate_id:
        known = RenewalInfo(certificate_id, next_fetch=now)
    failures = known.failures + 1
    if temporary and failures <= MAX_TEMPORARY_FAILURES:
        pause = MIN_WAIT * 2 ** (failures - 1)
        if retry_after is not None:
            pause = _pause((retry_after - now).total_seconds())
    else:
        known, pause = RenewalInfo(certificate_id, next_fetch=now), DEFAULT_WAIT
    return replace(known, next_fetch=now + _spread(pause, random), failures=failures)


def fetch(  # noqa: PLR0913 - everything that the result depends on is passed in
    client: Client,
    summary: CertificateSummary,
    previous: RenewalInfo | None,
    *,
    deadline: Deadline,
    now: Callable[[], datetime],
    random: Callable[[], float] = _uniform,
) -> RenewalInfo:
    """Ask the CA when to renew a certificate; an error also yields renewal information."""
    certificate_id = summary.certificate_id
    if summary.not_after <= now() or _CERTIFICATE_ID.fullmatch(certificate_id) is None:
        return RenewalInfo(certificate_id, next_fetch=now() + MAX_WAIT)
    try:
        window = client.suggested_window(certificate_id, deadline)
    except InterruptedOrderError:
        return previous or RenewalInfo(certificate_id, next_fetch=now())
    except AuthorityError as error:
        logger.warning("no renewal information certificate=%s %s", certificate_id, error)
        kinds = (
            AuthorityUnreachableError,
            DeadlineExceededError,
            RateLimitBudgetError,
            RateLimitedError,
        )
        return after_failure(
            certificate_id,
            previous,
            now=now(),
            temporary=isinstance(error, kinds),
            retry_after=error.retry_after if isinstance(error, ACMEError) else None,
            random=random,
        )
    if window is None:
        return RenewalInfo(certificate_id, next_fetch=now() + _spread(DEFAULT_WAIT, random))
    return choose(certificate_id, window, now=now(), random=random)


def _pause(retry_after: float | None) -> timedelta:
    if retry_after is None:
        return DEFAULT_WAIT
    return min(max(timedelta(seconds=retry_after), MIN_WAIT), MAX_WAIT)


def _spread(pause: timedelta, random: Callable[[], float]) -> timedelta:
    """Return a pause that is at least as long, and at most a tenth longer."""
    return min(pause * (1 + SPREAD * random()), MAX_WAIT)
