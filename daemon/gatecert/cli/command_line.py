"""The command line as a Typer application: options, commands, and usage errors."""

from __future__ import annotations

import sys
from typing import Annotated, cast

import typer

from gatecert import __version__
from gatecert.cli.exit_codes import INTERRUPTED, WRONG_USAGE
from gatecert.cli.lazy_group import LazyGroup, register
from gatecert.cli.options import DEFAULT_CONFIGURATION, Options
from gatecert.cli.output import show_lines, write_error, write_text

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
        show_lines(f"gatecert {__version__}")
        raise typer.Exit


@app.callback()
def main(  # noqa: PLR0913 - the options in front of the command
    context: typer.Context,
    config: Annotated[
        str, typer.Option("-c", "--config", metavar="FILE", help="Configuration file.")
    ] = DEFAULT_CONFIGURATION,
    *,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Show errors and results, no progress.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="Log what is done, on standard error.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Log everything; show tracebacks.")
    ] = False,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Keep the options in front of the command."""
    context.obj = Options(config, debug=debug, quiet=quiet, verbose=verbose)


def invoke() -> int:
    """Run the command that the arguments name; return the exit code.

    Raises:
        Exception: Whatever the command raises, except for usage errors.
    """
    try:
        code = app(standalone_mode=False)
    except typer.Abort:
        return INTERRUPTED
    except Exception as error:
        if not isinstance(error, _USAGE_ERROR):
            raise
        _print_usage(cast("typer.BadParameter", error))  # only attributes of UsageError are used
        return WRONG_USAGE
    return code if isinstance(code, int) else 0


def _print_usage(usage: typer.BadParameter) -> None:
    message = usage.format_message().replace(": Value error, ", ": ")  # pydantic's, by Typer
    if message.startswith("Usage:"):  # no command was given: the help text itself
        write_text(sys.stderr, f"{message}\n")
        return
    end = " See" if message.endswith("?") else "; see"
    hint = f"{end} '{usage.ctx.command_path} --help'" if usage.ctx else ""
    write_error(f"{message.rstrip('.')}{hint}")
