"""Response headers that tell a time: Retry-After, Date and Age (RFC 9110, RFC 9111)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

MAX_RETRY_AFTER = 31 * 24 * 3600.0  # seconds; a longer one is a mistake that would stop us forever


def retry_after_seconds(headers: Mapping[str, str], now: datetime) -> float | None:
    """Return the Retry-After in seconds from now (RFC 9110 section 10.2.3); None if not given.

    A date counts from the response's own Date if there is one, so that a wrong clock on either
    side does no harm.
    """
    text = headers.get("Retry-After", "").strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        seconds = float(text[:12])
    else:
        try:
            origin = _http_date(headers["Date"]) if headers.get("Date") else now
            seconds = (_http_date(text) - origin).total_seconds()
        except (ValueError, OverflowError):
            return None
    return min(max(seconds, 0.0), MAX_RETRY_AFTER)


def server_time(headers: Mapping[str, str]) -> datetime | None:
    """Return the server's time from Date (RFC 9110 section 6.6.1); None if not given.

    A cache adds the age of the response (RFC 9111 section 5.1).
    """
    try:
        age = float(headers.get("Age", "0")[:12])
        return _http_date(headers["Date"]) + timedelta(seconds=age)
    except (KeyError, ValueError, OverflowError):
        return None


def _http_date(text: str) -> datetime:
    when = parsedate_to_datetime(text)
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
