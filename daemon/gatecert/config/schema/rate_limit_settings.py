"""Rate limits of a CA, for CAs whose limits differ from Let's Encrypt's."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated

from pydantic import Field, PlainSerializer, PlainValidator

from gatecert.config.schema.base import Settings
from gatecert.config.values import (
    FALSE,
    BadValueError,
    duration,
    duration_text,
    quoted,
    text_schema,
    whole_number,
)
from gatecert.model import RateLimit

OFF = "off"


def limit(value: object) -> RateLimit | None:
    """Parse a limit such as ``50/7d``; ``off`` for none."""
    if isinstance(value, RateLimit):
        return value
    written = str(value).strip().lower()
    if written in FALSE:
        return None
    count, slash, period = written.partition("/")
    if not slash or not re.fullmatch(r"\s*[0-9]+\s*", count):
        raise BadValueError(f"{quoted(value)} is not a limit; write one like 50/7d, or off")
    number = whole_number(count.strip())
    if not number:
        raise BadValueError(f"{quoted(value)} allows nothing; write at least 1, or off")
    return RateLimit(number, duration(period.strip()))


def limit_text(value: RateLimit | None) -> str:
    """Return the text that ``limit`` parses to the same value."""
    return OFF if value is None else f"{value.count}/{duration_text(value.period)}"


Limit = Annotated[
    RateLimit | None,
    PlainValidator(limit),
    PlainSerializer(limit_text, return_type=str),
    text_schema("limit", pattern=r"^([0-9]+\s*/\s*[0-9a-z]+|off)$", examples=["50/7d", OFF]),
]

HOURS_3 = timedelta(hours=3)
WEEK = timedelta(days=7)


class LimitSettings(Settings):
    """The CA's rate limits, each as a number in a period, such as `50/7d`, or `off`.

    The defaults are Let's Encrypt's. Requests that would exceed them wait.
    """

    new_accounts: Limit = Field(
        default=RateLimit(10, HOURS_3),
        description="New accounts from this host; in a fleet, from the hosts of its cluster.",
    )
    orders: Limit = Field(default=RateLimit(300, HOURS_3), description="Orders of the account.")
    certificates: Limit = Field(
        default=RateLimit(50, WEEK), description="Certificates per registered domain."
    )
    duplicates: Limit = Field(
        default=RateLimit(5, WEEK),
        description="Certificates for exactly the same names. Unless set, short-lived certificates "
        "may be renewed as often as their lifetime requires. `off` also disables the limit of five "
        "replacements a day.",
    )
    failed_validations: Limit = Field(
        default=RateLimit(5, timedelta(hours=1)),
        description="Failed validations of one name by the account.",
    )
