"""The table of commands, and the group that imports their modules late (Click's LazyGroup pattern).

``gatecert --help``, ``--version`` and completion need only names and summaries. The module of a
command, which may import all of gatecert, is imported when the command runs or shows its own help.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, NamedTuple

import typer
from typer.core import TyperGroup
from typer.main import get_command

if TYPE_CHECKING:
    from typer._click.core import Command, Context


class LazyCommand(NamedTuple):
    """A command that is not imported yet."""

    module: str  # in gatecert.cli
    attribute: str  # a function, or the Typer application of a command group
    summary: str  # the first sentence of its docstring


COMMANDS = {
    "run": LazyCommand("run_command", "run", "Look after every gateway until told to leave."),
    "enroll": LazyCommand(
        "enroll_command", "enroll", "Do now what is due: bootstrap, enrol, renew, deploy."
    ),
    "status": LazyCommand(
        "status_command",
        "status",
        "Say what each gateway serves, what comes next and when, and what went wrong last.",
    ),
    "check": LazyCommand(
        "check_command",
        "check",
        "Read the configuration, report everything wrong with it, and say what it will do.",
    ),
    "doctor": LazyCommand(
        "doctor_command", "doctor", "Find out what is wrong, what it means and what to do."
    ),
    "csr": LazyCommand(
        "csr_command",
        "csr",
        "Make a certificate signing request (PEM), or print the pending one again.",
    ),
    "import": LazyCommand(
        "import_command",
        "import_certificate",
        "Take over a signed certificate: check it, install it, prove that it is served.",
    ),
    "profile": LazyCommand(
        "profile_command",
        "profile",
        "Write an AnyConnect client profile (XML): an alias for the name of a gateway.",
    ),
    "dns-record": LazyCommand(
        "dns_record_command",
        "dns_record",
        "Print the records to publish for dns-persist-01, ready for a zone file.",
    ),
    "revoke": LazyCommand(
        "revoke_command",
        "revoke",
        "Have a certificate revoked by its authority, and replaced at once.",
    ),
    "client-ca": LazyCommand(
        "client_ca_command", "app", "Certificates demanded from users: whose are accepted."
    ),
    "account": LazyCommand(
        "account_command",
        "app",
        "Look at the accounts at authorities, change their keys, give them up.",
    ),
}


class LazyGroup(TyperGroup):
    """The group of all commands."""

    def resolve_command(
        self, ctx: Context, args: list[str]
    ) -> tuple[str | None, Command | None, list[str]]:
        """Find the command of the arguments, and put it in the place of its placeholder."""
        name, placeholder, rest = super().resolve_command(ctx, args)
        return name, placeholder and imported(placeholder.name or ""), rest


def register(app: typer.Typer) -> None:
    """Add a placeholder for each command, with its summary for the list in ``--help``."""
    for name, command in COMMANDS.items():
        app.command(name, help=command.summary)(_placeholder)


def imported(name: str) -> Command:
    """Import the module of a command, and build the command."""
    lazy = COMMANDS[name]
    found = getattr(import_module(f"gatecert.cli.{lazy.module}"), lazy.attribute)
    if isinstance(found, typer.Typer):
        return get_command(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    alone.command(name)(found)
    return get_command(alone)


def _placeholder() -> None:
    """Do nothing: ``LazyGroup`` replaces this command before it runs."""
