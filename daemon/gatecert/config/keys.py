"""Every key of the schema with its path, for error messages and generated documents."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args, get_origin

from pydantic.fields import FieldInfo

from gatecert.config.schema import Configuration, Settings, SharedGatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.configuration_finding import Location

NAME: Final = "NAME"
ITEM: Final = "[]"


@dataclass(frozen=True, slots=True)
class Key:
    """A configuration key.

    Attributes:
        path: Steps from the top; ``NAME`` for a name chosen by the operator, ``[]`` for an item.
        field: Its field in the schema.
        group: The settings below it, if any.
    """

    path: tuple[str, ...]
    field: FieldInfo
    group: type[Settings] | None

    @property
    def name(self) -> str:
        """The last step of the path."""
        return self.path[-1]


def keys(group: type[Settings] = Configuration, path: tuple[str, ...] = ()) -> Iterator[Key]:
    """Yield all keys below a group of settings, in the order of the schema.

    Those below ``defaults`` are left out: they are those of the gateways.
    """
    for name, field in fields_of(group).items():
        key = Key((*path, name), field, settings_in(field.annotation))
        yield key
        if key.group is not None and key.group is not SharedGatewaySettings:
            yield from keys(key.group, (*key.path, *step_into(field.annotation)))


def fields_of(group: type[Settings]) -> dict[str, FieldInfo]:
    """Return the fields of a group by the names that operators write."""
    return {
        field.alias or name: field
        for name, field in group.model_fields.items()
        if name not in group.unwritten
    }


def group_at(location: Location) -> type[Settings] | None:
    """Return the settings at a location; None if it is not a group or unknown."""
    group: type[Settings] | None = Configuration
    chosen = False  # whether the next step is a chosen name or an index
    for step in location:
        if chosen:
            chosen = False
            continue
        field = fields_of(group).get(str(step)) if group is not None else None
        if field is None:
            return None
        group, chosen = settings_in(field.annotation), bool(step_into(field.annotation))
    return None if chosen else group


def settings_in(annotation: object) -> type[Settings] | None:
    """Return the group of settings inside an annotation; there is at most one."""
    if isinstance(annotation, type) and issubclass(annotation, Settings):
        return annotation
    inside = (settings_in(argument) for argument in get_args(annotation))
    return next((group for group in inside if group is not None), None)


def step_into(annotation: object) -> tuple[str, ...]:
    """Return the step between a key and its entries, if it has several."""
    origin = get_origin(annotation)
    return (NAME,) if origin is dict else (ITEM,) if origin is tuple else ()


def defaults(group: type[Settings]) -> dict[str, object]:
    """Return the non-empty defaults of a group as written, without the groups below it."""
    written: dict[str, object] = group.model_construct().model_dump(
        mode="json", by_alias=True, exclude={"state_directory", *group.unwritten}
    )
    return {
        name: value
        for name, value in written.items()
        if value not in (None, [], "") and not isinstance(value, dict)
    }
