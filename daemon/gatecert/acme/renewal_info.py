"""When the authority would like a certificate to be renewed (ARI, RFC 9773).

- A uniform random instant in the suggested window is picked; one in the past means now (4.2).
  After Retry-After the window is fetched, and an instant picked, again.
- Retry-After is kept between a minute and a day; without it, six hours (4.3.2).
- A window that does not end after its start is no answer (4.2).
- Temporary errors (no connection, 5xx, a rate limit) are tried again with growing pauses, and what
  was picked before stays. After some of them, as after any other error, it is tried again in six
  hours, and the lifetime decides meanwhile (4.3.3).
- Nothing is asked about a certificate that has expired (4.3).

`choose` and `after_failure` are pure; `fetch` asks.
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

SHORTEST_WAIT = timedelta(minutes=1)
LONGEST_WAIT = timedelta(days=1)
USUAL_WAIT = timedelta(hours=6)
MOST_TEMPORARY_FAILURES = 6  # pauses of 1, 2, 4 … 32 minutes, then as after a lasting error

_uniform = SystemRandom().random
_CERTIFICATE_ID = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+", re.ASCII)


def choose(
    certificate_id: str,
    window: SuggestedWindow,
    *,
    now: datetime,
    random: Callable[[], float] = _uniform,
) -> RenewalInfo:
    """Pick an instant in a window.

    Args:
        certificate_id: CertID of the certificate that the window is for.
        window: The authority's answer.
        now: The wall clock, aware UTC.
        random: Uniform in [0, 1).
    """
    explanation = clean(window.explanation_url, 1000)
    answer = RenewalInfo(
        certificate_id,
        next_fetch=now + _pause(window.retry_after),
        explanation_url=explanation if explanation.startswith("https://") else "",
    )
    if window.end <= window.start:
        logger.warning(
            "renewal window makes no sense certificate=%s start=%s end=%s",
            certificate_id,
            window.start.isoformat(),
            window.end.isoformat(),
        )
        return replace(answer, next_fetch=now + USUAL_WAIT)
    return replace(
        answer,
        renew_at=window.start + (window.end - window.start) * random(),
    )


def after_failure(
    certificate_id: str,
    previous: RenewalInfo | None,
    *,
    now: datetime,
    temporary: bool,
    retry_after: datetime | None = None,
) -> RenewalInfo:
    """What is known after a fetch that failed.

    Args:
        certificate_id: CertID of the certificate that was asked about.
        previous: What was known before.
        now: The wall clock, aware UTC.
        temporary: Whether the same may succeed soon.
        retry_after: When the authority wants to be asked again.
    """
    known = previous
    if known is None or known.certificate_id != certificate_id:
        known = RenewalInfo(certificate_id, next_fetch=now)
    failures = known.failures + 1
    if temporary and failures <= MOST_TEMPORARY_FAILURES:
        pause = SHORTEST_WAIT * 2 ** (failures - 1)
        if retry_after is not None:
            pause = _pause((retry_after - now).total_seconds())
        return replace(known, next_fetch=now + pause, failures=failures)
    return RenewalInfo(certificate_id, next_fetch=now + USUAL_WAIT, failures=failures)


def fetch(  # noqa: PLR0913 - everything that the answer depends on is passed in
    client: Client,
    summary: CertificateSummary,
    previous: RenewalInfo | None,
    *,
    deadline: Deadline,
    now: Callable[[], datetime],
    random: Callable[[], float] = _uniform,
) -> RenewalInfo:
    """Ask an authority when to renew a certificate; an error is an answer too."""
    certificate_id = summary.certificate_id
    if summary.not_after <= now() or _CERTIFICATE_ID.fullmatch(certificate_id) is None:
        return RenewalInfo(certificate_id, next_fetch=now() + LONGEST_WAIT)
    try:
        window = client.suggested_window(certificate_id, deadline)
    except InterruptedOrderError:
        return previous or RenewalInfo(certificate_id, next_fetch=now())
    except AuthorityError as error:
        logger.warning("no renewal information certificate=%s %s", certificate_id, error)
        kinds = (AuthorityUnreachableError, DeadlineExceededError, RateLimitedError)
        return after_failure(
            certificate_id,
            previous,
            now=now(),
            temporary=isinstance(error, kinds),
            retry_after=error.retry_after if isinstance(error, ACMEError) else None,
        )
    if window is None:
        return RenewalInfo(certificate_id, next_fetch=now() + USUAL_WAIT)
    return choose(certificate_id, window, now=now(), random=random)


def _pause(retry_after: float | None) -> timedelta:
    if retry_after is None:
        return USUAL_WAIT
    return min(max(timedelta(seconds=retry_after), SHORTEST_WAIT), LONGEST_WAIT)
