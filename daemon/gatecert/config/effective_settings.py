"""Every setting of a gateway, or of the fleet, and where it comes from.

``gatecert check --explain`` shows them.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from gatecert.config.document import key_path
from gatecert.config.keys import ITEM, keys
from gatecert.config.paths import SecretFile
from gatecert.config.shared_settings import DEFAULTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from pydantic.fields import FieldInfo

    from gatecert.config.configuration_finding import Location
    from gatecert.config.document import Document
    from gatecert.config.schema import Settings

BUILT_IN: Final = "built-in default"
UNSET: Final[tuple[object, ...]] = (None, [], {}, "")


class EffectiveSetting(NamedTuple):
    """A setting of a group.

    Attributes:
        key: Its key below the group.
        value: As written in the configuration, on one line; ``none`` for nothing.
        origin: ``file:line``, the same of ``defaults``, or that it is built in.
    """

    key: str
    value: str
    origin: str


def effective_settings(
    document: Document, here: Location, group: Settings
) -> Iterator[EffectiveSetting]:
    """Yield the settings of a group in the order of the schema.

    What is neither written nor has a default is left out. The path of a secret is not shown.

    Args:
        document: The configuration as written.
        here: Where the group stands.
        group: A gateway, or the fleet.
    """
    secrets = {key.path for key in keys(type(group)) if _is_secret(key.field)}
    dumped = group.model_dump(mode="json", by_alias=True, exclude={*group.unwritten})
    for below, value in _leaves(dumped, ()):
        origin, line, written = document.origin((*here, *below))
        if value in UNSET and not written:
            continue
        place = document.where(line) if written else BUILT_IN
        if written and origin[0] == DEFAULTS:
            place = f"defaults, {place}"
        hidden = _path(below) in secrets or _path(below[:-1]) in secrets  # one of several
        hidden = hidden and value is not None
        yield EffectiveSetting(key_path(below), "(secret)" if hidden else _text(value), place)


def _is_secret(field: FieldInfo) -> bool:
    """Tell whether a field is a secret, or has some; pydantic keeps the parts of the type apart."""
    if tuple(field.metadata) == get_args(SecretFile)[1:]:
        return True
    return SecretFile in get_args(field.annotation)


def _path(location: Location) -> tuple[str, ...]:
    """Return the path of a key in the schema."""
    return tuple(ITEM if isinstance(step, int) else step for step in location)


def _leaves(value: object, location: Location) -> Iterator[tuple[Location, object]]:
    """Yield everything but non-empty groups, with its location."""
    if isinstance(value, dict) and value:
        for key, below in value.items():
            yield from _leaves(below, (*location, key))
    elif isinstance(value, list) and value and all(isinstance(each, dict) for each in value):
        for index, below in enumerate(value):
            yield from _leaves(below, (*location, index))
    else:
        yield location, value


def _text(value: object) -> str:
    """Return a value as written, on one line."""
    if value in UNSET:
        return "none"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
