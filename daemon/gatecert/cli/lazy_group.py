"""The table of commands, and a group that imports their modules lazily (Click's LazyGroup).

``gatecert --help``, ``--version`` and completion need only names and summaries. The module of a
command, which may import all of gatecert, is imported when the command runs or shows its own help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

from gatecert.cli.global_options import accept_global_options
from gatecert.cli.other_words import advice
from gatecert.cli.output import show_text
from gatecert.cli.plain_help import name_arguments_plainly
from gatecert.errors import WrongUsageError
from gatecert.garbage_collection import quick_imports

if TYPE_CHECKING:
    from typer._click.core import Command, Context


HELP = "help"


class LazyCommand(NamedTuple):
    """A command that is not imported yet."""

    module: str  # in gatecert.cli
    attribute: str  # a function, or the Typer application of a command group
    summary: str  # the first sentence of its docstring


COMMANDS = {
    "init": LazyCommand(
        "init_command", "init", "Set up a gateway: find the server, enrol, apply, prove."
    ),
    "run": LazyCommand(
        "run_command", "run", "Run the daemon: keep every gateway's certificate valid."
    ),
    "adopt": LazyCommand(
        "adopt_command", "adopt", "Take over the certificates of certbot, acme.sh, lego or Caddy."
    ),
    "enroll": LazyCommand(
        "enroll_command", "enroll", "Do what is due now: bootstrap, enrol, renew, deploy."
    ),
    "status": LazyCommand(
        "status_command",
        "app",
        "Show what each gateway serves and what happens next.",
    ),
    "check": LazyCommand(
        "check_command",
        "check",
        "Validate the configuration and show what it does.",
    ),
    "doctor": LazyCommand("doctor_command", "doctor", "Diagnose problems and suggest fixes."),
    "notify": LazyCommand(
        "notify_command",
        "notify",
        "Show the receivers of notifications, or send them a test message.",
    ),
    "csr": LazyCommand(
        "csr_command",
        "csr",
        "Print the pending CSR, or make a key and a CSR.",
    ),
    "import": LazyCommand(
        "import_command",
        "import_certificate",
        "Check, install and prove a certificate signed elsewhere.",
    ),
    "profile": LazyCommand(
        "profile_command",
        "profile",
        "Write an AnyConnect client profile (XML).",
    ),
    "dns-record": LazyCommand(
        "dns_record_command",
        "dns_record",
        "Print the DNS records to publish for dns-persist-01.",
    ),
    "revoke": LazyCommand(
        "revoke_command",
        "revoke",
        "Revoke a gateway's certificate and replace it at once.",
    ),
    "client-ca": LazyCommand("client_ca_command", "app", "Manage client-certificate CAs."),
    "account": LazyCommand(
        "account_command",
        "app",
        "Show, roll over or deactivate ACME accounts.",
    ),
    "fleet": LazyCommand(
        "fleet_command", "app", "Share names and limits between hosts: database, hosts, plan."
    ),
    "completion": LazyCommand(
        "completion_command", "completion", "Print the completion script of a shell."
    ),
}


class LazyGroup(TyperGroup):
    """The group of all commands."""

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """Return the chosen command in place of its placeholder.

        ``help COMMAND`` is ``COMMAND --help``.

        Raises:
            WrongUsageError: Another client has this command.
        """
        if args[0] == HELP and not ctx.resilient_parsing:
            if len(args) == 1:
                show_text(ctx.get_help())
                raise typer.Exit
            return self.resolve_command(ctx, [*args[1:], "--help"])
        self._refuse_other_words(ctx, args)
        name, placeholder, rest = super().resolve_command(ctx, args)
        if placeholder is None:  # completion of an unknown command
            return name, None, rest
        command = accept_global_options(imported(placeholder.name or ""), self)
        if ctx.resilient_parsing:
            from gatecert.cli.completion import offer_values  # noqa: PLC0415 - then only

            offer_values(command)
        return name, command, rest

    def parse_args(self, ctx: Context, args: list[str]) -> list[str]:
        """Parse the options in front of the command.

        Raises:
            WrongUsageError: acme.sh has this option.
        """
        self._refuse_other_words(ctx, args)
        return super().parse_args(ctx, args)

    def _refuse_other_words(self, ctx: Context, args: list[str]) -> None:
        error = advice(args[0]) if args and args[0] not in COMMANDS else ""
        if error and not ctx.resilient_parsing:
            raise WrongUsageError(error)


def register(app: typer.Typer) -> None:
    """Add a placeholder for each command, with its summary for the list in ``--help``."""
    for name, command in COMMANDS.items():
        app.command(name, help=command.summary)(_placeholder)


def imported(name: str) -> Command:
    """Import the module of a command, and build the command."""
    lazy = COMMANDS[name]
    with quick_imports():
        module = import_module(f"gatecert.cli.{lazy.module}")
    found = getattr(module, lazy.attribute)
    if isinstance(found, typer.Typer):
        return name_arguments_plainly(get_command(found))
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(found)
    return name_arguments_plainly(get_command(alone))


def _placeholder() -> None:
    """Do nothing: ``LazyGroup`` replaces this command before it runs."""
