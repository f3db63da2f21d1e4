"""JSON encoding of frozen dataclasses, by pydantic.

One object per file, with ``"schema": 1`` first. Instants are ISO 8601 in UTC with ``Z``,
durations are ISO 8601 (``PT30S``). Reading is strict about types, ignores unknown fields and gives
missing ones their default, so an older and a newer gatecert read each other's files. Every whole
number is a count: a negative or absurdly large one means a damaged record.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, TypeVar, cast

from pydantic import TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from gatecert.errors import clean
from gatecert.store.damaged_files import DamagedRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

SCHEMA = 1
LARGEST_COUNT = 10**9


@dataclasses.dataclass(frozen=True, slots=True)
class _Marker:
    """The field that every file has."""

    schema: int


def encode(record: DataclassInstance, *, indent: int | None = 2) -> bytes:
    """Return a record as JSON.

    Args:
        record: What to write.
        indent: Spaces per level; None writes a single line and is faster.

    Raises:
        TypeError: A field holds bytes, which could be a secret.
    """
    encodable = cast("DataclassInstance", _replaced(record, _encodable))
    fields = _adapter(type(record)).dump_python(encodable, mode="json")
    value = {"schema": SCHEMA, **fields}
    try:
        return to_json(value, indent=indent) + b"\n"
    except (PydanticSerializationError, UnicodeEncodeError):  # half of a surrogate pair
        text = json.dumps(value, indent=indent, ensure_ascii=False)
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
    return cast("Record", _replaced(record, _checked))


@cache
def _adapter(kind: type[DataclassInstance]) -> TypeAdapter[DataclassInstance]:
    return TypeAdapter(kind)


def _replaced(value: object, convert: Callable[[object], object]) -> object:
    """Return a record with each value converted, at every depth."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, tuple):
        parts = [_replaced(part, convert) for part in value]
        same = all(after is before for after, before in zip(parts, value, strict=True))
        return value if same else tuple(parts)
    names = _field_names(cast("Hashable", type(value)))
    if names is None:
        return convert(value)
    changes: dict[str, object] = {}
    for name in names:
        before = getattr(value, name)
        if before is None or isinstance(before, str):  # most are
            continue
        after = _replaced(before, convert)
        if after is not before:
            changes[name] = after
    return dataclasses.replace(cast("DataclassInstance", value), **changes) if changes else value


@cache
def _field_names(kind: Hashable) -> tuple[str, ...] | None:
    """Return the names of a record's fields; None for another type."""
    if not dataclasses.is_dataclass(kind):
        return None
    return tuple(field.name for field in dataclasses.fields(kind))


def _encodable(value: object) -> object:
    if isinstance(value, datetime):
        return value if value.tzinfo is UTC else value.astimezone(UTC)
    if isinstance(value, bytes):
        raise TypeError("bytes has no place in a record")
    return value


def _checked(value: object) -> object:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise DamagedRecordError(f"{value.isoformat()} has no time zone")
        try:
            return value.astimezone(UTC)
        except OverflowError as error:
            raise DamagedRecordError(f"{value.isoformat()} is out of range") from error
    if isinstance(value, int) and not 0 <= value <= LARGEST_COUNT:
        raise DamagedRecordError(f"a count is {'below zero' if value < 0 else 'too large'}")
    return value
