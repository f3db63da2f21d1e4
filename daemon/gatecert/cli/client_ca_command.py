"""``gatecert client-ca``: the CAs whose client certificates a gateway accepts."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.certificate.certificate_names import label, name_text
from gatecert.cli.application import notify_daemon, open_application
from gatecert.cli.context import Name, Wait, find, read_configuration
from gatecert.cli.display import open_display
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.import_command import read_upload
from gatecert.cli.options import options
from gatecert.cli.output import show_lines, show_text, write_error
from gatecert.client_ca.bundle import fingerprint
from gatecert.lifecycle.description import client_authentication_status
from gatecert.lifecycle.gateway_pass import Occasion
from gatecert.report.gateway_status import ClientAuthenticationStatus, as_document
from gatecert.time_format import day, time_left

if TYPE_CHECKING:
    from gatecert.client_ca.user_check import UserCheckResult
    from gatecert.model import Outcome

SCHEMA = 1
WHY_NO_KEY = (
    "the key of a client CA can issue certificates for any client: keep it off gateways, and"
    " replace the CA if its key was shared"
)
USERS_KEY = "a client's private key belongs on the client only"

app = typer.Typer(
    help="Manage client-certificate CAs.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON; see docs/client-certificates.md.")
]


@app.command("add")
def add(
    context: typer.Context,
    name: Name,
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="Root certificate of the CA, PEM; - for standard input."
        ),
    ],
    *,
    wait: Wait = 60.0,
) -> None:
    """Add a client CA and prove that the server asks for it.

    The file holds the root, and the intermediates if clients do not send them. Every check must
    pass before anything changes; if the server does not ask for the CA, the change is rolled back.
    """
    configuration = read_configuration(context)
    upload = replace(read_upload("the CA file", file), key_advice=WHY_NO_KEY)
    with open_display(options(context)) as display:
        application = open_application(configuration, display)
        target = find("gateway", application.targets, name)
        current = application.open(target, Occasion(wait=wait))
        outcome = application.client_cas.add(current, upload)
        display.finish(outcome)
    notify_daemon(application, [name])
    _exit_if_failed(outcome)


@app.command("list")
def list_(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """List the client CAs."""
    status, now = _status(context, name), datetime.now(UTC)
    if as_json:
        show_text(as_document({"schema": SCHEMA, "gateway": name, **asdict(status)}))
        return
    for each in status.authorities:
        kind = "root" if each.is_root else f"intermediate of {each.issuer}"
        show_lines(each.subject)
        show_lines(f"  SHA-256  {each.fingerprint}")
        show_lines(f"  {kind}, ends {day(each.not_after)}, {time_left(each.not_after, now)}")
    if not status.authorities:
        show_lines(f"no client CA: no client is accepted; fix: gatecert client-ca add {name} FILE")
    for line in [status.error, *status.warnings]:
        if line:
            write_error(f"{name}: {line}")


@app.command("remove")
def remove(
    context: typer.Context,
    name: Name,
    authority: Annotated[
        str, typer.Argument(metavar="FINGERPRINT-or-SUBJECT", help="The CA, as shown by list.")
    ],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Remove it even if known users are locked out.")
    ] = False,
    wait: Wait = 60.0,
) -> None:
    """Remove a client CA and prove that the server stops asking for it."""
    configuration = read_configuration(context)
    with open_display(options(context)) as display:
        application = open_application(configuration, display)
        target = find("gateway", application.targets, name)
        current = application.open(target, Occasion(wait=wait))
        outcome = application.client_cas.remove(current, authority, force=force)
        display.finish(outcome)
    notify_daemon(application, [name])
    _exit_if_failed(outcome)


@app.command("check")
def check(
    context: typer.Context,
    name: Name,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="Client certificate, PEM; - for standard input.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Check whether a client certificate would be accepted."""
    configuration = read_configuration(context)
    upload = replace(read_upload("the certificate file", file), key_advice=USERS_KEY)
    application = open_application(configuration)
    target = find("gateway", application.targets, name)
    result = application.client_cas.check_user(application.open(target), upload)
    if as_json:
        show_text(as_document(_fields(name, result)))
    else:
        _show(name, result)
    if not result.accepted:
        raise typer.Exit(FAILED)


def _status(context: typer.Context, name: str) -> ClientAuthenticationStatus:
    application = open_application(read_configuration(context))
    target = find("gateway", application.targets, name)
    current = application.open(target)
    found = client_authentication_status(current, application.client_cas, datetime.now(UTC))
    if found is not None:
        return found
    path = current.client_cas.files.path
    return ClientAuthenticationStatus(
        str(path), (), asked=None, asked_at=None, error="", warnings=()
    )


def _show(name: str, result: UserCheckResult) -> None:
    subject = label(result.user)
    if result.accepted:
        issuer, end = label(result.path[-1]), result.user.not_valid_after_utc
        show_lines(f"{name}: accepted: the certificate {subject}, by {issuer}, until {day(end)}")
    for reason in result.reasons:
        show_lines(f"{name}: refused: the certificate {subject} {reason}")
    for note in result.notes:
        sys.stdout.flush()
        write_error(f"{name}: note: {note}")


def _fields(name: str, result: UserCheckResult) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "gateway": name,
        "accepted": result.accepted,
        "subject": name_text(result.user.subject),
        "fingerprint": fingerprint(result.user),
        "reasons": list(result.reasons),
        "notes": list(result.notes),
    }


def _exit_if_failed(outcome: Outcome) -> None:
    if outcome.failed or outcome.code:
        raise typer.Exit(FAILED)
