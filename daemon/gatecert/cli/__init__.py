"""The command line: thin Typer commands, one module a command; the only place that exits.

Exit codes: 0 done; 1 at least one gateway failed; 2 wrong usage or configuration; 3 another
gatecert holds the state directory or the gateway; 130 interrupted; 141 output pipe closed.
Errors go to standard error, one line each.
"""

from __future__ import annotations

import os
import sys

from gatecert import container
from gatecert.cli import output
from gatecert.cli.exit_codes import FAILED, HELD, INTERRUPTED, UNREAD, WRONG_USAGE
from gatecert.cli.options import COMPLETION_VARIABLE, daemon_options
from gatecert.errors import (
    ConfigurationError,
    DaemonRunningError,
    GatecertError,
    LockTimeoutError,
    WrongUsageError,
)


def run() -> None:
    """Run the command line and exit."""
    container.in_container = container.is_container()
    output.prepare()
    try:
        code = _run()
    except SystemExit:  # click raises it for a closed pipe; nothing else does
        output.silence(sys.stdout)
        sys.exit(UNREAD)
    except KeyboardInterrupt:  # before Typer runs, or after
        sys.exit(INTERRUPTED)
    except Exception as error:  # noqa: BLE001 - every error is one line
        if "--debug" in sys.argv:
            output.write_traceback()
        sys.exit(_explain(error))
    sys.exit(code)


def _run() -> int:
    """Complete a command line, start the daemon without Typer, or run any other command."""
    shell = os.environ.get(COMPLETION_VARIABLE)
    if shell:
        from gatecert.cli.command_line import app  # noqa: PLC0415 - see below
        from gatecert.cli.completion import complete  # noqa: PLC0415 - for completion only

        complete(app, sys.argv[1:], shell)
        return 0
    options = daemon_options(sys.argv[1:])
    if options is not None:
        from gatecert.cli.daemon_start import run_daemon  # noqa: PLC0415 - one or the other

        run_daemon(options)
        return 0
    from gatecert.cli.command_line import invoke  # noqa: PLC0415 - see above

    return invoke()


def _explain(error: Exception) -> int:
    """Print the error on standard error, and return the exit code."""
    code, lines = FAILED, [str(error)]
    match error:
        case ConfigurationError():
            code, lines = WRONG_USAGE, [str(problem) for problem in error.problems]
        case WrongUsageError():
            code = WRONG_USAGE
        case DaemonRunningError() | LockTimeoutError():
            code = HELD
        case GatecertError():
            pass
        case BrokenPipeError():
            lines = []
        case _:
            kind = type(error).__name__
            lines = [f"unexpected {kind}: {error} (use --debug for details)"]
    for line in lines:
        output.write_error(line)
    return code
