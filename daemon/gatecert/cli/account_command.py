"""``gatecert account``: our accounts at authorities, and their keys.

Whoever changes an account holds the locks of all gateways that use it, so no order of the daemon's
is under way with the old key, and the daemon signs in with the new one next time.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.application import open_application, tell_daemon
from gatecert.cli.context import Wait, find, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.deadline import Deadline
from gatecert.errors import WrongUsageError
from gatecert.report.status import as_document

if TYPE_CHECKING:
    from collections.abc import Iterable

    from gatecert.acme.account_administration import AccountStatus
    from gatecert.acme.issuer import Issuer
    from gatecert.app import Application

SCHEMA = 1
SECONDS = 60.0  # for the authority's part

app = typer.Typer(
    help="Look at the accounts at authorities, change their keys, give them up.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

AuthorityName = Annotated[
    str, typer.Argument(metavar="AUTHORITY", help="Its name; may be left out if there is one only.")
]


@app.command("show")
def show(
    context: typer.Context,
    authority: Annotated[
        str, typer.Argument(metavar="AUTHORITY", help="Its name; all of them when left out.")
    ] = "",
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="The same for programs; see docs/accounts.md.")
    ] = False,
) -> None:
    """Say which accounts there are, and what the authorities say of them. Changes nothing."""
    application = open_application(read_configuration(context))
    names = [authority] if authority else sorted(application.authorities)
    views = [
        _issuer(application, name).administration().view(Deadline.after(SECONDS)) for name in names
    ]
    if as_json:
        document = {"schema": SCHEMA, "accounts": [asdict(view) for view in views]}
        typer.echo(as_document(document))
    else:
        for view in views:
            _show(view)
    if any(view.problem for view in views):
        raise typer.Exit(FAILED)


@app.command("rollover")
def rollover(context: typer.Context, authority: AuthorityName = "", *, wait: Wait = 60.0) -> None:
    """Give an account another key; the old one is worthless from then on.

    A change that a crash has cut off is finished. Orders and certificates are not touched.
    """
    application = open_application(read_configuration(context))
    name = _one(application, authority)
    issuer = _issuer(application, name)
    with _undisturbed(application, name, "changing an account key", wait):
        account, finished = issuer.administration().change_key(Deadline.after(SECONDS))
    what = "the change that was cut off is finished" if finished else "the account has another key"
    typer.echo(f"{name}: {what}: {account.url}")
    tell_daemon(application)


@app.command("deactivate")
def deactivate(
    context: typer.Context,
    authority: AuthorityName = "",
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Wait = 60.0,
) -> None:
    """Give an account up for good. Certificates stay valid.

    The authority takes nothing from the account any more, and nobody can undo that.
    """
    application = open_application(read_configuration(context))
    name = _one(application, authority)
    issuer = _issuer(application, name)
    if not yes:
        if not sys.stdin.isatty():
            raise WrongUsageError(
                f"the account with {name} would be given up for good, and nobody is there to be"
                " asked",
                fix="say --yes",
            )
        typer.confirm(f"Give up the account with {name} for good?", abort=True)
    with _undisturbed(application, name, "giving up an account", wait):
        account = issuer.administration().deactivate(Deadline.after(SECONDS))
    typer.echo(f"{name}: the account is given up: {account.url or 'its URL is not known'}")
    users = [target.name for target in application.targets.values() if name in target.authorities]
    if users:
        note = f"the next order of {', '.join(sorted(users))} makes another one"
        typer.echo(f"gatecert: {name}: {note}, unless authorities.{name} is removed", err=True)
    tell_daemon(application)


def _issuer(application: Application, name: str) -> Issuer:
    return find("authority", application.authorities, name)


def _one(application: Application, name: str) -> str:
    """The authority that is meant."""
    if name or len(application.authorities) != 1:
        find("authority", application.authorities, name)
        return name
    return next(iter(application.authorities))


def _undisturbed(application: Application, name: str, purpose: str, wait: float) -> ExitStack:
    """The locks of every gateway that uses an authority, always in the same order."""
    with ExitStack() as locks:
        for target in _users(application, name):
            locks.enter_context(application.store.lock_gateway(target, purpose, wait=wait))
        return locks.pop_all()


def _users(application: Application, name: str) -> Iterable[str]:
    return sorted(each.name for each in application.targets.values() if name in each.authorities)


def _show(view: AccountStatus) -> None:
    rows = [
        ("directory", view.directory_url),
        ("account", view.url or ("none yet" if view.status == "none" else "not known")),
        ("status", view.status + (f": {view.problem}" if view.problem else "")),
    ]
    if view.key_fingerprint:
        rows.append(("key", f"SHA-256 {view.key_fingerprint}"))
    rows += [("contact", contact) for contact in view.contact]
    if view.terms_of_service:
        rows.append(("terms", view.terms_of_service))
    if view.key_change_pending:
        fix = f"gatecert account rollover {view.authority} finishes it"
        rows.append(("pending", f"a change of the key that was cut off; {fix}"))
    typer.echo(view.authority)
    for label, text in rows:
        typer.echo(f"  {label:<10} {text}")
