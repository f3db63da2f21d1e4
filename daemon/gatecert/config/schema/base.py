"""Base of all groups of settings."""

from __future__ import annotations

import difflib
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, ClassVar, Final, TypeVar

from pydantic import (
    BaseModel,
    ConfigDict,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
    model_validator,
)

from gatecert.config.values import AsText, BadValueError, quoted

if TYPE_CHECKING:
    from collections.abc import Mapping

Choice = TypeVar("Choice", bound=StrEnum)
NEAR_ENOUGH: Final = 0.6


class Settings(BaseModel):
    """A group of settings: frozen, without unknown keys, never repeating values in errors.

    A known key without a value counts as not written, so that a section whose keys are all
    commented out is valid.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        validate_by_alias=True,
        validate_by_name=True,
    )

    unwritten: ClassVar[frozenset[str]] = frozenset()
    """Fields that the operator does not write: they follow from the location of the group."""

    @model_validator(mode="before")
    @classmethod
    def _leave_out_empty(cls, data: object) -> object:
        if not isinstance(data, dict):
            return data
        known = {field.alias or name for name, field in cls.model_fields.items()}
        return {key: value for key, value in data.items() if value is not None or key not in known}


def one_of(
    kind: type[Choice], value: object, refused: Mapping[str, str] = MappingProxyType({})
) -> Choice:
    """Parse one of a few words, in any case.

    Args:
        kind: The words.
        value: The value as written.
        refused: Words that are likely to be written, with the reason why they are not allowed.
    """
    words = {member.value.lower(): member for member in kind}
    written = value.strip().lower() if isinstance(value, str) else ""
    if written in words:
        return words[written]
    if written in refused:
        raise BadValueError(f"{quoted(value)} is not supported: {refused[written]}")
    near = difflib.get_close_matches(written, words, 1, NEAR_ENOUGH)
    hint = f" (did you mean {near[0]}?)" if near else ""
    raise BadValueError(f"{quoted(value)} is not one of {', '.join(kind)}{hint}")


def choice(
    kind: type[Choice], refused: Mapping[str, str] = MappingProxyType({})
) -> tuple[PlainValidator, PlainSerializer, WithJsonSchema]:
    """Return the annotations of an enumeration field: ``Annotated[Kind, *choice(Kind)]``."""
    return (
        PlainValidator(lambda value: one_of(kind, value, refused)),
        AsText,
        WithJsonSchema({"title": "word", "enum": [member.value for member in kind]}),
    )
