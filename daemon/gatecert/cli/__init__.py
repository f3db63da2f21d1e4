"""The command line: thin Typer commands, one module a command; the only place that exits.

Exit codes: 0 done; 1 at least one gateway failed; 2 wrong usage or configuration; 3 another
gatecert holds the state directory or the gateway; 130 interrupted; 141 output pipe closed.
Errors go to standard error, one line each.
"""

from __future__ import annotations

import sys
import traceback
from typing import Annotated, cast

import typer

from gatecert import __version__, container
from gatecert.cli import output
from gatecert.cli.exit_codes import FAILED, HELD, INTERRUPTED, UNREAD, WRONG_USAGE
from gatecert.cli.lazy_group import LazyGroup, register
from gatecert.cli.options import DEFAULT_CONFIGURATION, Options
from gatecert.errors import (
    ConfigurationError,
    DaemonRunningError,
    GatecertError,
    LockTimeoutError,
    WrongUsageError,
)

# click's UsageError, which newer versions of Typer bring themselves
_USAGE_ERROR = typer.BadParameter.__bases__[0]

app = typer.Typer(
    name="gatecert",
    cls=LazyGroup,
    help="Keep a trusted TLS certificate on a gateway, and prove that it is served.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
register(app)


def _version(wanted: bool) -> None:  # noqa: FBT001 - Typer calls it with the option's value
    if wanted:
        typer.echo(f"gatecert {__version__}")
        raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    config: Annotated[
        str, typer.Option("-c", "--config", metavar="FILE", help="Configuration file.")
    ] = DEFAULT_CONFIGURATION,
    *,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything; show tracebacks.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep the options in front of the command."""
    context.obj = Options(config, debug=debug)


def run() -> None:
    """Run the command line and exit."""
    debug = "--debug" in sys.argv
    container.in_container = container.is_container()
    output.prepare()
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        sys.exit(INTERRUPTED)
    except SystemExit:  # click raises it for a closed pipe; nothing else does
        output.silence(sys.stdout)
        sys.exit(UNREAD)
    except Exception as error:  # noqa: BLE001 - every error is one line
        if debug:
            traceback.print_exc()
        sys.exit(_explain(error))
    sys.exit(code if isinstance(code, int) else 0)


def _explain(error: Exception) -> int:
    """Print the error on standard error, and return the exit code."""
    code = FAILED
    match error:
        case _ if isinstance(error, _USAGE_ERROR):
            usage = cast("typer.BadParameter", error)  # only attributes of UsageError are used
            _print_usage(usage)
            code = WRONG_USAGE
        case ConfigurationError():
            for problem in error.problems:
                _print(str(problem))
            code = WRONG_USAGE
        case WrongUsageError():
            _print(str(error))
            code = WRONG_USAGE
        case DaemonRunningError() | LockTimeoutError():
            _print(str(error))
            code = HELD
        case GatecertError():
            _print(str(error))
        case BrokenPipeError():
            pass
        case _:
            _print(f"unexpected {type(error).__name__}: {error} (use --debug for details)")
    return code


def _print_usage(usage: typer.BadParameter) -> None:
    message = usage.format_message()
    if message.startswith("Usage:"):  # no command was given: the help text itself
        sys.stderr.write(f"{message}\n")
        return
    hint = f"; see '{usage.ctx.command_path} --help'" if usage.ctx else ""
    _print(f"{message.rstrip('.')}{hint}")


def _print(line: str) -> None:
    output.write_line(sys.stderr, f"gatecert: {line}")
