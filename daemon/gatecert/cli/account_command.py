"""``gatecert account``: ACME accounts and their keys.

A command that changes an account locks every gateway that uses it, so the daemon has no order in
progress with the old key, and uses the new key next time.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.application import notify_daemon, open_application
from gatecert.cli.context import Wait, find, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.output import show_lines, show_text, write_error
from gatecert.deadline import Deadline
from gatecert.errors import WrongUsageError
from gatecert.report.gateway_status import as_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.acme.account_administration import AccountStatus
    from gatecert.acme.issuer import Issuer
    from gatecert.app import Application

SCHEMA = 1
SECONDS = 60.0  # for the requests to the CA

app = typer.Typer(
    help="Show, roll over or deactivate ACME accounts.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

AuthorityName = Annotated[
    str,
    typer.Argument(metavar="AUTHORITY", help="CA name; may be omitted if only one is configured."),
]


@app.command("show")
def show(
    context: typer.Context,
    authority: Annotated[
        str, typer.Argument(metavar="AUTHORITY", help="CA name; all CAs if omitted.")
    ] = "",
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON; see docs/accounts.md.")
    ] = False,
) -> None:
    """Show the accounts and their status at the CA. Changes nothing."""
    application = open_application(read_configuration(context))
    names = [authority] if authority else sorted(application.authorities)
    views = [
        _issuer(application, name).administration().status(Deadline.after(SECONDS))
        for name in names
    ]
    if as_json:
        document = {"schema": SCHEMA, "accounts": [asdict(view) for view in views]}
        show_text(as_document(document))
    else:
        for view in views:
            _show(view)
    if any(view.problem for view in views):
        raise typer.Exit(FAILED)


@app.command("rollover")
def rollover(context: typer.Context, authority: AuthorityName = "", *, wait: Wait = 60.0) -> None:
    """Replace the key of an account (RFC 8555 section 7.3.5).

    Finishes a rollover that a crash interrupted. Orders and certificates stay as they are.
    """
    application = open_application(read_configuration(context))
    name = _chosen_name(application, authority)
    issuer = _issuer(application, name)
    with _lock_gateways(application, name, "changing an account key", wait):
        account, finished = issuer.administration().change_key(Deadline.after(SECONDS))
    what = "finished the interrupted key rollover" if finished else "account key replaced"
    show_lines(f"{name}: {what}: {account.url}")
    notify_daemon(application)


@app.command("deactivate")
def deactivate(
    context: typer.Context,
    authority: AuthorityName = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation.")] = False,
    wait: Wait = 60.0,
) -> None:
    """Deactivate an account for good. Certificates stay valid.

    The CA accepts no request from a deactivated account. This cannot be undone.
    """
    application = open_application(read_configuration(context))
    name = _chosen_name(application, authority)
    issuer = _issuer(application, name)
    if not yes:
        if not sys.stdin.isatty():
            raise WrongUsageError(
                f"deactivating the account at {name} is final and needs confirmation, and standard"
                " input is no terminal",
                fix="use --yes",
            )
        typer.confirm(f"Deactivate the account at {name} for good?", abort=True)
    with _lock_gateways(application, name, "deactivating an account", wait):
        account = issuer.administration().deactivate(Deadline.after(SECONDS))
    show_lines(f"{name}: account deactivated: {account.url or 'URL unknown'}")
    users = [target.name for target in application.targets.values() if name in target.authorities]
    if users:
        note = f"the next order of {', '.join(sorted(users))} registers a new account"
        write_error(f"{name}: {note}, unless authorities.{name} is removed")
    notify_daemon(application)


def _issuer(application: Application, name: str) -> Issuer:
    return find("authority", application.authorities, name)


def _chosen_name(application: Application, name: str) -> str:
    """Return the name of the chosen authority, or of the only one."""
    if name or len(application.authorities) != 1:
        find("authority", application.authorities, name)
        return name
    return next(iter(application.authorities))


def _lock_gateways(application: Application, name: str, purpose: str, wait: float) -> ExitStack:
    """Lock every gateway that uses an authority, always in the same order."""
    with ExitStack() as locks:
        for target in _gateways_using(application, name):
            locks.enter_context(application.store.lock_gateway(target, purpose, wait=wait))
        return locks.pop_all()


def _gateways_using(application: Application, name: str) -> Iterable[str]:
    return sorted(each.name for each in application.targets.values() if name in each.authorities)


def _show(view: AccountStatus) -> None:
    rows = [
        ("directory", view.directory_url),
        ("account", view.url or ("none yet" if view.status == "none" else "unknown")),
        ("status", view.status + (f": {view.problem}" if view.problem else "")),
    ]
    if view.key_fingerprint:
        rows.append(("key", f"SHA-256 {view.key_fingerprint}"))
    rows += [("contact", contact) for contact in view.contact]
    if view.terms_of_service:
        rows.append(("terms", view.terms_of_service))
    if view.key_change_pending:
        fix = f"to finish: gatecert account rollover {view.authority}"
        rows.append(("pending", f"interrupted key rollover; {fix}"))
    show_lines(view.authority)
    for label, text in rows:
        show_lines(f"  {label:<10} {text}")
