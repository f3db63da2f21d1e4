"""Frozen dataclasses as JSON and back.

One object a file, with ``"schema": 1`` beside the fields. Instants are ISO 8601 in UTC with ``Z``,
durations ISO 8601 as well (``PT30S``), because strict validation takes no bare number for one.
Reading is strict about types and lenient about what it does not know: unknown fields are ignored
and missing ones take their default, so that an older and a newer gatecert read each other's files.
Every whole number is a count, so one below zero, or one that nothing could have counted, is damage.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from gatecert.errors import clean

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

SCHEMA = 1
LARGEST_COUNT = 10**9

_DAY = timedelta(days=1)
_SECOND = timedelta(seconds=1)
_MICROSECOND = timedelta(microseconds=1)


class DamagedRecordError(ValueError):
    """What was read is no record of the kind expected; the message says why, on one line."""


@dataclasses.dataclass(frozen=True, slots=True)
class _Marker:
    """What every file carries."""

    schema: int


def encode(record: DataclassInstance, *, indent: int | None = 2) -> bytes:
    """A record as JSON for the disk.

    Args:
        record: What to keep.
        indent: For people who read the file; None is several times as fast.
    """
    fields = {"schema": SCHEMA, **_fields(record)}
    text = json.dumps(fields, default=_as_json, indent=indent, ensure_ascii=False)
    return f"{text}\n".encode(errors="replace")


def decode(kind: type[Record], data: bytes) -> Record:
    """Read a record of one kind.

    Raises:
        DamagedRecordError: It is not JSON, has another schema, or a value of the wrong type.
    """
    try:
        marker = cast("_Marker", _adapter(_Marker).validate_json(data, strict=True))
        if marker.schema != SCHEMA:
            raise DamagedRecordError(f"schema {marker.schema} is not known to this gatecert")
        record = _adapter(kind).validate_json(data, strict=True)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_context=False, include_input=False)[0]
        parts = [*(str(part) for part in problem["loc"]), problem["msg"]]
        raise DamagedRecordError(clean(": ".join(parts))) from error
    return cast("Record", _sound(record))


@cache
def _adapter(kind: type[DataclassInstance]) -> TypeAdapter[DataclassInstance]:
    return TypeAdapter(kind)


def _fields(record: DataclassInstance) -> dict[str, object]:
    return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}


def _as_json(value: object) -> str | dict[str, object]:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case timedelta():
            return _iso_duration(value)
        case Path():
            return str(value)
        case _:
            raise TypeError(f"{type(value).__name__} has no place in a record")


def _iso_duration(value: timedelta) -> str:
    """``P1DT30S``; parts are whole numbers, so that nothing is lost to rounding."""
    sign, size = ("-", -value) if value < timedelta(0) else ("", value)
    days, rest = divmod(size, _DAY)
    seconds, rest = divmod(rest, _SECOND)
    fraction = f".{rest // _MICROSECOND:06d}" if rest else ""
    return f"{sign}P{days}DT{seconds}{fraction}S" if days else f"{sign}PT{seconds}{fraction}S"


def _sound(value: object) -> object:
    """The same value with every instant in it aware and in UTC, and every number a count."""
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise DamagedRecordError(f"{value.isoformat()} has no time zone")
        try:
            return value.astimezone(UTC)
        except OverflowError as error:
            raise DamagedRecordError(f"{value.isoformat()} is out of range") from error
    if isinstance(value, int) and not 0 <= value <= LARGEST_COUNT:
        raise DamagedRecordError(f"a count is {'below zero' if value < 0 else 'beyond all reason'}")
    if isinstance(value, tuple):
        return tuple(_sound(part) for part in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = (field.name for field in dataclasses.fields(value))
        return dataclasses.replace(value, **{name: _sound(getattr(value, name)) for name in names})
    return value
