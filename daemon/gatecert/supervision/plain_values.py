"""Frozen dataclasses as plain values, which messages and JSON have, and back.

Dates and durations are numbers of seconds, tuples are lists, and paths and enumerations are their
text.
Unlike ``store.codec`` this needs no library, for processes that stay small.
"""

from __future__ import annotations

import types
from dataclasses import MISSING, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Value = TypeVar("Value")


class PlainValueError(ValueError):
    """A value that its type does not allow; the text names the field, never the value."""


def to_plain(value: object) -> Any:  # noqa: ANN401 - what JSON has
    """Return a value as JSON has it.

    Raises:
        TypeError: JSON has no such value.
    """
    if value is None or isinstance(value, str | bool | int | float | Path):
        return str(value) if isinstance(value, StrEnum | Path) else value
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, tuple | list):
        return [to_plain(each) for each in value]
    if isinstance(value, dict):
        return {str(key): to_plain(each) for key, each in value.items()}
    if is_dataclass(value) and not isinstance(value, type):
        return {each.name: to_plain(getattr(value, each.name)) for each in fields(value)}
    raise TypeError(f"no plain value for {type(value).__name__}")


def from_plain(kind: type[Value], value: object) -> Value:
    """Return what `to_plain` was given.

    Fields that the class does not have are ignored, and missing ones get their default, so that a
    file of an older or newer gatecert can be read.

    Raises:
        PlainValueError: The value does not fit the type.
    """
    return cast("Value", _restored(kind, value, kind.__name__))


def _restored(kind: Any, value: object, where: str) -> object:  # noqa: ANN401 - a type, or parts of one
    origin, arguments = get_origin(kind), get_args(kind)
    if origin in {Union, types.UnionType}:
        (inner,) = (each for each in arguments if each is not types.NoneType)
        return None if value is None else _restored(inner, value, where)
    if origin is tuple and isinstance(value, list):
        kinds = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(value) != len(kinds):
            raise PlainValueError(f"{where} has another number of values")
        return tuple(
            _restored(inner, each, where) for inner, each in zip(kinds, value, strict=True)
        )
    if origin is dict and isinstance(value, dict):
        return {key: _restored(arguments[1], each, where) for key, each in value.items()}
    if is_dataclass(kind) and isinstance(value, dict):
        return _record(cast("type", kind), value, where)
    return _scalar(kind, value, where)


def _record(kind: type, value: dict[str, object], where: str) -> object:
    given = {
        name: _restored(field_kind, value[name], f"{where}.{name}")
        for name, field_kind in _types(kind).items()
        if name in value
    }
    missing = _required(kind) - given.keys()
    if missing:
        raise PlainValueError(f"{where} lacks {', '.join(sorted(missing))}")
    return kind(**given)


def _scalar(kind: Any, value: object, where: str) -> object:  # noqa: ANN401 - as above
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    try:
        if is_number and kind is datetime:
            return datetime.fromtimestamp(cast("float", value), UTC)
        if is_number and kind is timedelta:
            return timedelta(seconds=cast("float", value))
        if is_number and kind is float:
            return float(cast("float", value))
        if kind is Path and isinstance(value, str):
            return Path(value)
        if isinstance(kind, type) and issubclass(kind, StrEnum):
            return kind(str(value))
    except (ValueError, OverflowError, OSError) as error:
        raise PlainValueError(f"{where} has a value that is not allowed") from error
    if type(value) is not kind:
        raise PlainValueError(f"{where} has a value of another type")
    return value


@cache
def _types(kind: type) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {each.name: hints[each.name] for each in fields(kind) if each.init}


@cache
def _required(kind: type) -> frozenset[str]:
    return frozenset(
        each.name
        for each in fields(kind)
        if each.default is MISSING and each.default_factory is MISSING
    )
