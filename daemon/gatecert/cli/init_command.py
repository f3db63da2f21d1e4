"""``gatecert init``: set up the first gateway, or one more."""

from __future__ import annotations

import logging
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gatecert.cli import init_enrolment
from gatecert.cli.exit_codes import FAILED, INTERRUPTED
from gatecert.cli.init_dialog import Dialog
from gatecert.cli.init_plan import Answers, plan_set_up
from gatecert.cli.init_run import FirstSetUp
from gatecert.cli.options import options
from gatecert.errors import WrongUsageError
from gatecert.report import logs

if TYPE_CHECKING:
    from gatecert.cli.init_plan import SetUp
    from gatecert.cli.options import Options

CERTBOT: Final = "/etc/letsencrypt/renewal/*.conf"


def init(  # noqa: PLR0913 - each answer is an option
    context: typer.Context,
    *,
    hostname: Annotated[
        str, typer.Option("--hostname", metavar="NAME", help="Name that clients connect to.")
    ] = "",
    server: Annotated[
        str,
        typer.Option(
            "--server",
            metavar="SERVER",
            help="ocserv, nginx, haproxy, apache, mail, caddy, openvpn, strongswan or other. "
            "Default: the one that runs here.",
        ),
    ] = "",
    contact: Annotated[
        str, typer.Option("--contact", metavar="MAIL", help="Mail address for the CA's notices.")
    ] = "",
    agree_terms: Annotated[
        bool, typer.Option("--agree-terms", help="Agree to the CA's terms of service.")
    ] = False,
    authority: Annotated[
        str,
        typer.Option(
            "--authority", metavar="CA", help="Default: the configured one, else letsencrypt."
        ),
    ] = "",
    directory_url: Annotated[
        str, typer.Option("--directory-url", metavar="URL", help="ACME directory of another CA.")
    ] = "",
    ca_bundle: Annotated[
        str,
        typer.Option("--ca-bundle", metavar="FILE", help="Roots for HTTPS connections to that CA."),
    ] = "",
    trusted_roots: Annotated[
        str,
        typer.Option(
            "--trusted-roots", metavar="FILE", help="Roots that its certificates must end in."
        ),
    ] = "",
    challenge: Annotated[
        str,
        typer.Option("--challenge", metavar="TYPE", help="Default: http-01, in a way that works."),
    ] = "",
    webroot: Annotated[
        str,
        typer.Option(
            "--webroot", metavar="DIRECTORY", help="What the web server on port 80 serves."
        ),
    ] = "",
    address: Annotated[
        list[str] | None,
        typer.Option(
            "--address", metavar="ADDRESS", help="Address of the gateway. Default: detected."
        ),
    ] = None,
    name: Annotated[
        str,
        typer.Option("--name", metavar="NAME", help="Gateway name. Default: from the hostname."),
    ] = "",
    staging: Annotated[
        bool,
        typer.Option("--staging", help="Dry run: order from the CA's staging directory only."),
    ] = False,
    apply: Annotated[
        bool,
        typer.Option(
            "--apply/--no-apply", help="Whether to change the server's own files, or show how."
        ),
    ] = True,
    yes: Annotated[
        bool, typer.Option("--yes", "-y", help="Ask nothing, and do it; for scripts.")
    ] = False,
) -> None:
    """Set up a gateway: find the server, enrol, apply, prove.

    Looks for servers on this host, writes or extends the configuration, enrols, lets the server use
    the certificate (after a backup, tested by the server itself, and taken back if it refuses), and
    proves it with a handshake. Nothing changes before the last question. A gateway that exists
    stays as it is; to go on after an interruption, run the command again.
    """
    given = options(context)
    logs.configure(given.level(logging.WARNING))
    dialog = Dialog(asks=not yes, quiet=given.quiet and yes)
    if not yes and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise WrongUsageError(
            "gatecert init asks questions, and there is no terminal: answer by options with --yes "
            "(--hostname, --contact, --agree-terms …; see gatecert init --help)"
        )
    answers = Answers(
        hostname=hostname,
        server=server,
        contact=contact,
        name=name,
        authority=authority,
        directory_url=directory_url,
        ca_bundle=ca_bundle,
        trusted_roots=trusted_roots,
        challenge=challenge,
        webroot=webroot,
        addresses=tuple(address or ()),
        agree_terms=agree_terms,
        may_apply=apply,
        staging=staging,
    )
    set_up = plan_set_up(Path(given.config), answers, dialog)
    terms = _terms(set_up, answers, dialog)
    _show(set_up, answers, dialog)
    if staging:
        _try(given, set_up, dialog)
        return
    if not _agrees(set_up, answers, dialog, terms):
        dialog.line("Nothing is changed.")
        raise typer.Exit(INTERRUPTED)
    try:
        proven = FirstSetUp(given, set_up, dialog, may_apply=apply).carry_out()
    except KeyboardInterrupt as error:
        dialog.note("interrupted: run the same command again, and it goes on from here")
        raise typer.Exit(INTERRUPTED) from error
    if not proven:
        raise typer.Exit(FAILED)


def _terms(set_up: SetUp, answers: Answers, dialog: Dialog) -> str:
    """Return the URL of the terms that have to be agreed to; empty if there are none.

    Raises:
        WrongUsageError: ``--agree-terms`` is missing, and no question may be asked.
        AuthorityError: The CA cannot be reached.
    """
    if not set_up.authority.needs_terms:
        return ""
    if not dialog.asks:
        if not answers.agree_terms:
            raise WrongUsageError(
                "--agree-terms is missing: do you agree to the terms of service of "
                f"{set_up.authority.name}?"
            )
        return ""
    from gatecert.app import build  # noqa: PLC0415 - not needed with all answers as options
    from gatecert.cli.application import no_progress  # noqa: PLC0415 - as above

    application = build(set_up.for_dry_run, no_progress, threading.Event())
    report = application.authorities[set_up.authority.name].check_directory()
    return "" if answers.agree_terms else report.terms_of_service


def _show(set_up: SetUp, answers: Answers, dialog: Dialog) -> None:
    """Show what was found, and what will change."""
    host = set_up.host
    dialog.heading("This host")
    dialog.fact("server", str(set_up.found))
    dialog.fact("name", init_enrolment.name_check(set_up.for_dry_run, set_up.name))
    dialog.fact("addresses", ", ".join(host.addresses.expected) or "private ones only")
    dialog.fact("challenge", f"{set_up.challenge.kind}: {set_up.challenge.reason}")
    if set_up.wanted.find(CERTBOT):
        dialog.note(
            "certbot has certificates on this host: gatecert adopt /etc/letsencrypt takes them "
            "over without an order"
        )
    if set_up.extension is None:
        dialog.heading(f"{set_up.path} has this gateway already ({set_up.name})")
    else:
        dialog.heading(f"{set_up.path}: new lines")
        dialog.verbatim(set_up.extension.added.splitlines())
    if set_up.plan.by_hand or not answers.may_apply:
        if not dialog.asks:  # they follow at the end
            return
        dialog.heading(f"{set_up.found.server.title}: to be done by you")
        if set_up.plan.by_hand:
            dialog.fact("reason", set_up.plan.by_hand)
        for where, lines in set_up.plan.shown.items():
            dialog.fact("file", where)
            dialog.verbatim(lines)
        return
    first = (set_up.challenge.edit,) if set_up.challenge.edit is not None else ()
    for edit in (*first, *set_up.plan.edits):
        dialog.heading(f"{edit.path}: {'new lines' if edit.before is not None else 'new file'}")
        dialog.verbatim(edit.changed_lines())
    if set_up.plan.needs_restart and set_up.found.is_running and not set_up.plan.is_complete:
        dialog.line()
        dialog.note(f"{set_up.found.server.title} restarts once for this, which ends connections")
    if set_up.plan.commands:
        dialog.heading("Commands")
        dialog.verbatim(" ".join(command) for command, _ in set_up.plan.commands)


def _agrees(set_up: SetUp, answers: Answers, dialog: Dialog, terms: str) -> bool:
    """Ask whether to go on; with the terms of service, if they have to be agreed to."""
    dialog.line()
    does = "make these changes" if answers.may_apply and not set_up.plan.by_hand else "go on"
    if terms:
        dialog.line(f"Terms of service of {set_up.authority.name}: {terms}")
        return dialog.confirm(f"Agree to them, and {does}")
    return dialog.confirm(does.capitalize())


def _try(given: Options, set_up: SetUp, dialog: Dialog) -> None:
    """Order from the staging directory, and say what would happen.

    Raises:
        typer.Exit: The order failed.
    """
    dialog.heading("Dry run")
    done = init_enrolment.dry_run(given, set_up.for_dry_run, set_up.name)
    if not done.settled:
        raise typer.Exit(FAILED)
    dialog.note(
        "nothing was written or changed; without --staging, this command writes the lines above, "
        "enrols, and proves that the server serves the certificate"
    )
