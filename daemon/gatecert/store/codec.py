"""JSON encoding of frozen dataclasses, by pydantic.

One object per file, with ``"schema": 1`` first. Instants are ISO 8601 in UTC with ``Z``,
durations are ISO 8601 (``PT30S``). Reading is strict about types, ignores unknown fields and gives
missing ones their default, so an older and a newer gatecert read each other's files. The fields of
a record in a ``FLATTENED`` field stand in place of that field. Every whole number is a count: a
negative or absurdly large one means a damaged record.
"""

from __future__ import annotations

import dataclasses
import json
from datetime import UTC, datetime
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, cast, get_type_hints

from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from gatecert.errors import clean
from gatecert.model.state import FLATTENED
from gatecert.store.damaged_files import DamagedRecordError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator

    from _typeshed import DataclassInstance

    Record = TypeVar("Record", bound=DataclassInstance)

SCHEMA = 1
LARGEST_COUNT = 10**9


def encode(record: DataclassInstance, *, indent: int | None = 2) -> bytes:
    """Return a record as JSON.

    Args:
        record: What to write.
        indent: Spaces per level; None writes a single line and is faster.

    Raises:
        TypeError: A field holds bytes, which could be a secret.
    """
    kind = type(record)
    values = _flattened(cast("DataclassInstance", _replaced(record, _encodable)))
    value = _adapter(kind).dump_python(_file_of(kind)(**{"schema": SCHEMA, **values}), mode="json")
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
        values = vars(_adapter(kind).validate_json(data, strict=True))
    except ValidationError as error:
        raise DamagedRecordError(clean(_describe(error))) from error
    return cast("Record", _replaced(_assembled(kind, values), _checked))


def _describe(error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_context=False)
    problem = next((each for each in problems if each["loc"] == ("schema",)), problems[0])
    if problem["type"] in {"greater_than_equal", "less_than_equal"}:
        return f"schema {problem['input']} is not known to this gatecert"
    return ": ".join((*map(str, problem["loc"]), problem["msg"]))


@cache
def _adapter(kind: type[DataclassInstance]) -> TypeAdapter[DataclassInstance]:
    return TypeAdapter(_file_of(kind))


@cache
def _file_of(kind: type[DataclassInstance]) -> type[DataclassInstance]:
    """Return the class of a file with a record: its schema, and the fields on its top level."""
    schema = ("schema", Annotated[int, Field(ge=SCHEMA, le=SCHEMA)], dataclasses.field())
    fields = [schema, *_top_level(kind)]
    return dataclasses.make_dataclass(kind.__name__, fields, kw_only=True, repr=False, eq=False)


def _top_level(kind: type[DataclassInstance]) -> Iterator[tuple[str, Any, dataclasses.Field[Any]]]:
    hints, parts = get_type_hints(kind), _parts(kind)
    for each in dataclasses.fields(kind):
        part = parts[each.name]
        if part is not None:
            yield from _top_level(part)
        else:
            yield each.name, hints[each.name], each


@cache
def _parts(kind: type[DataclassInstance]) -> dict[str, type[DataclassInstance] | None]:
    """Return the names of a record's fields, and of flattened ones the kind."""
    hints = get_type_hints(kind)
    return {
        each.name: hints[each.name] if each.metadata == FLATTENED else None
        for each in dataclasses.fields(kind)
    }


def _flattened(record: DataclassInstance) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, part in _parts(type(record)).items():
        value = getattr(record, name)
        values |= _flattened(value) if part is not None else {name: value}
    return values


def _assembled(kind: type[DataclassInstance], values: dict[str, Any]) -> DataclassInstance:
    return kind(
        **{
            name: _assembled(part, values) if part is not None else values[name]
            for name, part in _parts(kind).items()
        }
    )


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
