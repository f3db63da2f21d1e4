"""Every setting of a gateway, and where it comes from: ``gatecert check --explain``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final, NamedTuple, get_args

from gatecert.config.document import key_path
from gatecert.config.keys import keys
from gatecert.config.paths import SecretFile
from gatecert.config.schema import GatewaySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.config.configuration_finding import Location
    from gatecert.config.document import Document

BUILT_IN: Final = "built-in default"
UNSET: Final[tuple[object, ...]] = (None, [], {}, "")


class EffectiveSetting(NamedTuple):
    """A setting of a gateway.

    Attributes:
        key: Its key below the gateway.
        value: As written in the configuration, on one line; ``none`` for nothing.
        origin: ``file:line``, the same of ``defaults``, or that it is built in.
    """

    key: str
    value: str
    origin: str


def effective_settings(document: Document, gateway: GatewaySettings) -> Iterator[EffectiveSetting]:
    """Yield the settings of a gateway in the order of the schema.

    What is neither written nor has a default is left out. The path of a secret is not shown.
    """
    secrets = {key.name for key in keys(GatewaySettings) if _is_secret(key.field.annotation)}
    dumped = gateway.model_dump(mode="json", by_alias=True, exclude={*gateway.unwritten})
    here: Location = ("gateways", gateway.name)
    for below, value in _leaves(dumped, ()):
        origin, line, written = document.origin((*here, *below))
        if value in UNSET and not written:
            continue
        place = document.where(line) if written else BUILT_IN
        if written and origin[0] != "gateways":
            place = f"defaults, {place}"
        hidden = below[-1] in secrets and value is not None
        yield EffectiveSetting(key_path(below), "(secret)" if hidden else _text(value), place)


def _is_secret(annotation: object) -> bool:
    return SecretFile in (annotation, *get_args(annotation))


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
