"""How much may be asked of an authority, for those whose limits are not Let's Encrypt's."""

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


def allowance(value: object) -> RateLimit | None:
    """So many in such a time: ``50/7d``; ``off`` for no limit."""
    if isinstance(value, RateLimit):
        return value
    written = str(value).strip().lower()
    if written in FALSE:
        return None
    count, slash, period = written.partition("/")
    if not slash or not re.fullmatch(r"\s*[0-9]+\s*", count):
        raise BadValueError(f"{quoted(value)} is no limit; write one like 50/7d, or off")
    number = whole_number(count.strip())
    if not number:
        raise BadValueError(f"{quoted(value)} would allow nothing; write at least 1, or off")
    return RateLimit(number, duration(period.strip()))


def allowance_text(value: RateLimit | None) -> str:
    """The text that ``allowance`` reads as the same value."""
    return OFF if value is None else f"{value.count}/{duration_text(value.period)}"


Limit = Annotated[
    RateLimit | None,
    PlainValidator(allowance),
    PlainSerializer(allowance_text, return_type=str),
    text_schema("limit", pattern=r"^([0-9]+\s*/\s*[0-9a-z]+|off)$", examples=["50/7d", OFF]),
]

HOURS_3 = timedelta(hours=3)
WEEK = timedelta(days=7)


class LimitSettings(Settings):
    """What the authority allows, each as a number in a time, such as `50/7d`, or `off`.

    The defaults are Let's Encrypt's. What would exceed them waits.
    """

    new_accounts: Limit = Field(
        default=RateLimit(10, HOURS_3), description="Accounts made from this host."
    )
    orders: Limit = Field(default=RateLimit(300, HOURS_3), description="Orders of our account.")
    certificates: Limit = Field(
        default=RateLimit(50, WEEK), description="Certificates for one registered domain."
    )
    duplicates: Limit = Field(
        default=RateLimit(5, WEEK),
        description="Certificates for exactly the same names. Unless it is set, short-lived "
        "certificates may be renewed as often as their lifetime wants. `off` also lifts the limit "
        "of five replacements a day.",
    )
    failed_validations: Limit = Field(
        default=RateLimit(5, timedelta(hours=1)),
        description="Failed validations of one name by our account.",
    )
