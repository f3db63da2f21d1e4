"""Shell completion, by the completion of Click that Typer brings.

A script of ``completion_scripts`` calls gatecert with `COMPLETION_VARIABLE` set to the name of the
shell; the arguments are the words up to the cursor, the last one being completed. The answer is a
line for each candidate: ``plain``, ``file`` or ``directory``, its value and its help, with tabs
between them. An error completes nothing and prints nothing: the operator is typing.

Values are chosen by what the help calls them (NAME, FILE …), so a new command needs nothing here.
Names are read from the configuration, which need not be valid.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import typer
from typer.main import get_command

from gatecert.cli.options import COMPLETION_VARIABLE, DEFAULT_CONFIGURATION, Options
from gatecert.cli.output import write_text
from gatecert.report.terminal import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from typer._click.core import Command, Context, Parameter

SHELLS: Final = ("bash", "zsh", "fish")
PLAIN, FILE, DIRECTORY = "plain", "file", "directory"
EXPLAIN: Final = "explain"  # the only option whose NAME is a gateway

# Of Click, or of the copy of it that newer versions of Typer bring.
_CLICK: Final = typer.Context.__bases__[0].__module__.rpartition(".")[0]


def complete(app: typer.Typer, arguments: Sequence[str], shell: str) -> None:
    """Print the candidates for the last argument."""
    with suppress(Exception), Path(os.devnull).open("w", encoding="utf-8") as nowhere:
        sys.stderr = nowhere
        for kind, value, text in candidates(app, arguments, shell):
            write_text(sys.stdout, "\t".join(map(one_line, (kind, value, text))) + "\n")


def candidates(
    app: typer.Typer, arguments: Sequence[str], shell: str
) -> list[tuple[str, str, str]]:
    """Return kind, value and help of each candidate.

    Args:
        app: The whole application.
        arguments: The words up to the cursor; the last one is incomplete.
        shell: A name of `SHELLS`; bash splits words at equals signs.
    """
    module: Any = import_module(f"{_CLICK}.shell_completion")
    *before, incomplete = _joined(arguments) if shell == "bash" else arguments or ("",)
    command = get_command(app)
    offer_values(command)
    completer = _completer(module)(command, {}, "gatecert", COMPLETION_VARIABLE)
    return [
        (each.type, each.value, " ".join((each.help or "").split()))
        for each in completer.get_completions(before, incomplete)
    ]


def offer_values(command: Command) -> None:
    """Let every parameter of a command, and of those below it, complete its values."""
    for parameter in command.params:
        find = _values_of(parameter)
        if find is not None:
            vars(parameter)["shell_complete"] = find  # in place of the method
    for each in getattr(command, "commands", {}).values():
        offer_values(each)


def _completer(module: Any) -> Any:  # noqa: ANN401 - Click's, see above
    """Return Click's class for a shell; only its ``get_completions`` is used."""

    class Completer(module.ShellComplete):  # type: ignore[misc]
        name = source_template = ""

        def source_vars(self) -> dict[str, Any]:
            return {}

        def get_completion_args(self) -> tuple[list[str], str]:
            return [], ""

        def format_completion(self, item: Any) -> str:  # noqa: ANN401 - a CompletionItem
            return str(item.value)

    return Completer


def _joined(words: Sequence[str]) -> list[str]:
    """Return words without the equals signs at which bash has split them."""
    found: list[str] = []
    for number, word in enumerate(words):
        last = number == len(words) - 1
        if word != "=" or not found or not found[-1].startswith("--"):
            found.append(word)
        elif last:  # nothing stands behind it yet
            found.append("")
    return found or [""]


def _values_of(
    parameter: Parameter,
) -> Callable[[Context, str], list[Any]] | None:
    """Return what completes the values of a parameter; None if Click does, or nothing can."""
    metavar = str(getattr(parameter, "metavar", "") or "")
    is_argument = parameter.param_type_name == "argument"
    if metavar in {"FILE", "DIRECTORY"}:
        kind = FILE if metavar == "FILE" else DIRECTORY
        return lambda _, incomplete: [_item(incomplete, kind=kind)]
    if metavar == "NAME" and (is_argument or parameter.name == EXPLAIN):
        return lambda context, incomplete: _matching(
            _names(context, "gateways"), incomplete, context.params.get(parameter.name or "")
        )
    if metavar == "M":
        return lambda context, incomplete: _matching(_members(context), incomplete)
    if metavar == "AUTHORITY":
        return lambda context, incomplete: _matching(_names(context, "authorities"), incomplete)
    words = WORDS.get(metavar)
    if words is None:
        return None
    return lambda _, incomplete: _matching(words(), incomplete)


def _matching(values: Iterable[str], incomplete: str, taken: object = ()) -> list[Any]:
    """Return the values that begin as the operator has typed, without those typed already."""
    typed = taken if isinstance(taken, (list, tuple)) else ()
    return [_item(each) for each in values if each.startswith(incomplete) and each not in typed]


def _item(value: str, kind: str = PLAIN) -> Any:  # noqa: ANN401 - a CompletionItem
    return import_module(f"{_CLICK}.shell_completion").CompletionItem(value, kind)


def _reasons() -> Iterable[str]:
    from gatecert.acme.revocation_request import REASON_CODES  # noqa: PLC0415 - for this option only

    return REASON_CODES


def _servers() -> Iterable[str]:
    from gatecert.setup.known_servers import SERVERS  # noqa: PLC0415 - for this option only

    return SERVERS


def _public_cas() -> Iterable[str]:
    from gatecert.config.well_known import PUBLIC_CAS  # noqa: PLC0415 - for this option only

    return PUBLIC_CAS


def _challenges() -> Iterable[str]:
    from gatecert.config.schema.challenge import (  # noqa: PLC0415 - for this option only
        ChallengeKind,
    )

    return map(str, ChallengeKind)


WORDS: Final[Mapping[str, Callable[[], Iterable[str]]]] = {
    "REASON": _reasons,
    "KEY": lambda: ("account", "certificate"),
    "SERVER": _servers,
    "CA": _public_cas,
    "TYPE": _challenges,
    "SHELL": lambda: SHELLS,
}


def _names(context: Context, key: str) -> list[str]:
    """Return the names below a key of the configuration."""
    found = _configuration(context).get(key)
    return sorted(map(str, found)) if isinstance(found, dict) else []


def _members(context: Context) -> list[str]:
    """Return the members of the gateway that the command names, or of all if it is not known yet.

    Click does not parse arguments while the value of an option is missing.
    """
    gateways = _configuration(context).get("gateways")
    by_name = gateways if isinstance(gateways, dict) else {}
    name = context.params.get("name")
    chosen = [by_name[name]] if name in by_name else by_name.values()
    members = [each.get("members") for each in chosen if isinstance(each, dict)]
    return sorted({str(member) for each in members if isinstance(each, dict) for member in each})


def _configuration(context: Context) -> dict[str, Any]:
    """Return the configuration as it is written."""
    from gatecert.config.include import read  # noqa: PLC0415 - for names only

    behind = context.find_object(Options)
    before = context.find_root().params.get("config")
    path = behind.config if behind is not None else before or DEFAULT_CONFIGURATION
    return read(Path(path)).plain()
