"""Syntax of plain values: text, booleans, numbers and durations.

Each parser takes what YAML contains (text, as ``document`` leaves every scalar) or the parsed
value, and raises ``BadValueError`` with one line for the operator: what is wrong, what would be
right. The annotated types combine a parser, the conversion back to text, and the JSON Schema.
"""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Annotated, Final

from pydantic import PlainSerializer, PlainValidator, WithJsonSchema

from gatecert.errors import clean

MAX_QUOTED: Final = 80
A_LIST: Final = "must be a list; write it in brackets [ ] or as lines that start with -"
AsText: Final = PlainSerializer(str, return_type=str)


class BadValueError(ValueError):
    """A value that its key does not allow; the text follows the key in a message."""


def text_schema(title: str, **more: object) -> WithJsonSchema:
    """Return the JSON Schema of a string; the title is its type in the reference."""
    return WithJsonSchema({"type": "string", "title": title, "minLength": 1, **more})


def quoted(value: object) -> str:
    """Quote a value on one line; name the type of anything but a scalar."""
    match value:
        case None:
            return "an empty value"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list"
    return f'"{clean(str(value), MAX_QUOTED)}"'


def text(value: object) -> str:
    """Parse plain text: not empty, on one line."""
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise BadValueError(f"{quoted(value)} is not plain text")
    result = str(value).strip()
    if not result:
        raise BadValueError("is empty; write a value or leave the key out")
    if not result.isprintable():
        raise BadValueError("contains control characters; write it on one line")
    return result


Text = Annotated[str, PlainValidator(text), text_schema("text")]

# --------------------------------------------------------------------------- switches and numbers

TRUE: Final = frozenset({"true", "yes", "on"})
FALSE: Final = frozenset({"false", "no", "off"})


def switch(value: object) -> bool:
    """Parse ``true`` or ``false``, and YAML 1.1's ``yes``, ``no``, ``on`` and ``off``."""
    if isinstance(value, bool):
        return value
    if isinstance(value, str) and value.lower() in TRUE | FALSE:
        return value.lower() in TRUE
    raise BadValueError(f"{quoted(value)} is neither true nor false")


FRACTION: Final = r"([0-9]{0,9}\.?[0-9]{1,40})\s*(?:(%)|/\s*([1-9][0-9]{0,8}))?"


def fraction(value: object) -> float:
    """Parse a fraction between 0 and 1, exclusive: ``0.33``, ``1/3`` or ``33%``."""
    wrong = BadValueError(
        f"{quoted(value)} is not a fraction between 0 and 1; write it as 0.33, 1/3 or 33%"
    )
    match = re.fullmatch(FRACTION, str(value).strip())
    if match is None:
        raise wrong
    number, percent, divisor = match.groups()
    result = float(number) / (100 if percent else int(divisor or 1))
    if not 0 < result < 1:
        raise wrong
    return result


def whole_number(value: object) -> int:
    """Parse a whole number of at most nine decimal digits."""
    if isinstance(value, bool) or not re.fullmatch(r"[0-9]+", str(value)):
        raise BadValueError(f"{quoted(value)} is not a whole number")
    if len(str(value)) > 9:  # noqa: PLR2004 - see the message
        raise BadValueError(f"{quoted(value)} is too large; a number has at most nine digits")
    return int(str(value))


def kept_versions(value: object) -> int:
    """Parse the number of versions to keep: at least two, since a rollback needs one."""
    number = whole_number(value)
    if not 2 <= number <= 1000:  # noqa: PLR2004 - see the message
        raise BadValueError(
            f"{quoted(value)} versions cannot be kept; write 2 to 1000 (including the live one and "
            f"the previous one, which a failed deployment rolls back to)"
        )
    return number


def orders_at_once(value: object) -> int:
    """Parse the number of orders at the same time at one CA."""
    number = whole_number(value)
    if not 1 <= number <= 1000:  # noqa: PLR2004 - see the message
        raise BadValueError(
            f"{quoted(value)} orders cannot be in progress at once; write 1 to 1000"
        )
    return number


Switch = Annotated[
    bool, PlainValidator(switch), WithJsonSchema({"type": "boolean", "title": "true or false"})
]
Fraction = Annotated[
    float,
    PlainValidator(fraction),
    WithJsonSchema(
        {
            "title": "fraction",
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1},
                {"type": "string", "pattern": r"^[0-9.]+\s*(%|/\s*[1-9][0-9]*)?$"},
            ],
        }
    ),
]
OrdersAtOnce = Annotated[
    int,
    PlainValidator(orders_at_once),
    WithJsonSchema({"type": "integer", "title": "number", "minimum": 1, "maximum": 1000}),
]
KeptVersions = Annotated[
    int,
    PlainValidator(kept_versions),
    WithJsonSchema({"type": "integer", "title": "number", "minimum": 2, "maximum": 1000}),
]

# --------------------------------------------------------------------------- durations

UNITS: Final = {"w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1000, "ms": 1}
DURATION: Final = (
    r"([0-9]{1,12}w)?([0-9]{1,12}d)?([0-9]{1,12}h)?([0-9]{1,12}m(?!s))?"
    r"([0-9]{1,12}s)?([0-9]{1,12}ms)?"
)
LONGEST_DURATION: Final = timedelta(days=3650)


def duration(value: object) -> timedelta:
    """Parse a positive duration with units, largest first: ``30s``, ``6h``, ``1h30m``.

    A number without a unit is an error: it could mean seconds, minutes or days.
    """
    if isinstance(value, timedelta):
        return value
    written = str(value).strip().lower()
    if re.fullmatch(r"[0-9.]{1,12}", written):
        raise BadValueError(
            f"{quoted(value)} has no unit; write {written}s for seconds (or m, h, d)"
        )
    match = re.fullmatch(DURATION, written)
    if not written or match is None:
        raise BadValueError(
            f"{quoted(value)} is not a duration; write numbers with units, largest first, "
            f"such as 30s, 6h, 10d or 1h30m (w, d, h, m, s, ms)"
        )
    parts = zip(match.groups(), UNITS.items(), strict=True)
    total = sum(int(part[: -len(unit)]) * factor for part, (unit, factor) in parts if part)
    if not 0 < total <= LONGEST_DURATION // timedelta(milliseconds=1):
        raise BadValueError(f"{quoted(value)} must be longer than zero and at most ten years")
    return timedelta(milliseconds=total)


def duration_text(value: timedelta) -> str:
    """Return the shortest text that ``duration`` parses to the same value."""
    rest = value // timedelta(milliseconds=1)
    written = ""
    for unit, factor in UNITS.items():
        count, rest = (0, rest) if unit == "w" and rest % factor else divmod(rest, factor)
        written += f"{count}{unit}" if count else ""
    return written


Duration = Annotated[
    timedelta,
    PlainValidator(duration),
    PlainSerializer(duration_text, return_type=str),
    text_schema("duration", pattern=f"^(?=[0-9]){DURATION}$", examples=["30s", "6h", "1h30m"]),
]

# --------------------------------------------------------------------------- times of the day

DAY_TIMES: Final = r"([01]?[0-9]|2[0-3]):([0-5][0-9])-([01]?[0-9]|2[0-3]):([0-5][0-9])"


def day_times(value: object) -> tuple[int, int]:
    """Parse two times of the day: ``22:00-07:00``; return them as minutes since midnight."""
    if isinstance(value, tuple):
        return value
    match = re.fullmatch(DAY_TIMES, "".join(str(value).split()))
    if match is None:
        raise BadValueError(
            f"{quoted(value)} is not a part of the day; write two times, such as 22:00-07:00"
        )
    hour, minute, last_hour, last_minute = map(int, match.groups())
    result = (60 * hour + minute, 60 * last_hour + last_minute)
    if result[0] == result[1]:
        raise BadValueError(f"{quoted(value)} begins and ends at the same time")
    return result


def day_times_text(value: tuple[int, int]) -> str:
    """Return the text that ``day_times`` parses to the same value."""
    return "-".join(f"{minute // 60:02}:{minute % 60:02}" for minute in value)


DayTimes = Annotated[
    tuple[int, int],
    PlainValidator(day_times),
    PlainSerializer(day_times_text, return_type=str),
    text_schema("times of the day", pattern=f"^{DAY_TIMES}$", examples=["22:00-07:00"]),
]
