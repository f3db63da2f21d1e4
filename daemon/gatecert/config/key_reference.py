"""The reference of every key, for people: ``docs/configuration.md``.

Written anew by ``python -m gatecert.config.key_reference > docs/configuration.md``.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, get_args, get_origin

from pydantic import WithJsonSchema

from gatecert.config.keys import defaults, fields_of, keys, settings_in, step_into
from gatecert.config.schema import Configuration, Settings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

INTRODUCTION = """\
# Configuration

<!-- Made by `python -m gatecert.config.key_reference`; change the schema, not this file. -->

gatecert reads one YAML file, `/etc/gatecert/config.yaml` unless `-c` names another.
[config.example.yaml](../config.example.yaml) shows every key at work; this page lists them all.
Editors complete and check the file with [config.schema.json](config.schema.json):

    # yaml-language-server: $schema=/path/to/config.schema.json

`gatecert check` reads the file and says everything that is wrong with it at once, each as
`file:line: key: what is wrong, what would be right`. It also fails on what the file names and
does not exist (commands, directories, files, users, groups), and where another user of the machine
could answer challenges ([challenges.md](challenges.md)); neither keeps the daemon from starting.

How values are written:

- **Durations** carry their units, largest first: `30s`, `6h`, `10d`, `1h30m` (w, d, h, m, s, ms).
  A number without a unit is refused.
- **DNS names** may be international (`münchen.example`); they are kept and shown as A-labels too.
- **Addresses with ports** are `127.0.0.1:443`, with IPv6 in brackets: `"[::1]:443"`.
- **Commands** are lists of arguments, `[systemctl, reload, ocserv]`. No shell ever reads them.
- **Paths** that are relative start at the directory of the configuration file.
- **Secrets** are never written into the configuration. It names a file that others may not read, or
  `credential:NAME` for a credential that systemd hands over (`LoadCredential=NAME:…`).
- **Names** of authorities, gateways and members are yours to choose; they become directory names.
- Anchors, aliases and merge keys work. A key without a value counts as not written.
"""


def text() -> str:
    """The whole page."""
    groups: dict[str, type[Settings]] = {"": Configuration}
    for key in keys():
        if key.group is not None:
            steps = step_into(key.field.annotation)
            groups[".".join((*key.path, *steps)).replace(".[]", "[]")] = key.group
    return "\n".join(
        [INTRODUCTION, *(line for path in groups for line in _section(path, groups[path]))]
    )


def _section(path: str, group: type[Settings]) -> Iterator[str]:
    """A group of settings: what it is, and a table of its keys."""
    yield f"## `{path}`" if path else "## The top level"
    yield ""
    yield (group.__doc__ or "").partition("\n")[0].replace("``", "`")
    yield ""
    yield from _table(_rows(group))
    yield ""


def _rows(group: type[Settings]) -> Iterator[tuple[str, str, str, str]]:
    spoken = defaults(group)
    yield "Key", "Type", "Default", "Meaning"
    for name, field in fields_of(group).items():
        below = settings_in(field.annotation) is not None and not step_into(field.annotation)
        default = "" if below or name not in spoken else f"`{_value(spoken[name])}`"
        kind = _kind(field.annotation, field.metadata)
        yield (
            f"`{name}`",
            kind,
            "required" if field.is_required() else default,
            field.description or "",
        )


def _value(value: object) -> str:
    """A default as it would be written in YAML."""
    return value if isinstance(value, str) else json.dumps(value)


def _kind(annotation: object, metadata: Iterable[object] = ()) -> str:
    """A type in words, which the annotated types carry as titles."""
    for item in metadata:
        if isinstance(item, WithJsonSchema) and item.json_schema is not None:
            return str(item.json_schema["title"])
    arguments = [argument for argument in get_args(annotation) if argument is not type(None)]
    origin = get_origin(annotation)
    if origin is Annotated:
        return _kind(arguments[0], arguments[1:])
    if origin is dict:
        return f"{_kind(arguments[1])} by name"
    if origin is tuple:
        return f"list of {_kind(arguments[0])}"
    return _kind(arguments[0]) if arguments else "settings"


def _table(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    for number, row in enumerate(rows):
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in row)} |"
        if number == 0:
            yield "|---" * len(row) + "|"


if __name__ == "__main__":
    sys.stdout.write(text())
