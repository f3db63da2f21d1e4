"""The JSON Schema of the configuration, for editors: ``docs/config.schema.json``.

Written anew by ``python -m gatecert.config.json_schema > docs/config.schema.json``.
"""

from __future__ import annotations

import json
import sys

from gatecert.config.keys import defaults, keys
from gatecert.config.schema import Configuration, Settings

DIALECT = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> dict[str, object]:
    """The schema, with defaults as operators write them."""
    document = Configuration.model_json_schema(by_alias=True)
    definitions = document["$defs"]
    groups = {key.group.__name__: key.group for key in keys() if key.group is not None}
    for name, group in groups.items():
        _tidy(definitions[name], group)
    _tidy(document, Configuration)
    return {"$schema": DIALECT, **document, "title": "gatecert configuration"}


def _tidy(definition: dict[str, object], group: type[Settings]) -> None:
    """Leave out what only programmers need, in place."""
    definition.pop("title", None)
    definition["description"] = (group.__doc__ or "").partition("\n")[0]
    properties = definition["properties"]
    if not isinstance(properties, dict):  # pragma: no cover - JSON Schema says it is an object
        raise TypeError(properties)
    for name in group.unwritten:
        del properties[name]
    spoken = defaults(group)
    for name, value in properties.items():
        for word in ("title", "default"):
            value.pop(word, None)
        if name in spoken:
            value["default"] = spoken[name]
        if "patternProperties" in value:
            value["additionalProperties"] = False


def text() -> str:
    """The schema as it is kept in the repository."""
    return json.dumps(json_schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    sys.stdout.write(text())
