"""``gatecert client-ca``: the authorities whose user certificates a gateway accepts."""

from __future__ import annotations

import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.certificate.certificate_names import label, name_text
from gatecert.cli.application import chosen, open_application, tell_daemon
from gatecert.cli.context import Name, Wait, read_configuration
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.import_command import read_upload
from gatecert.cli.progress_lines import ProgressLines
from gatecert.cli.status_command import client_authentication_status
from gatecert.client_ca.bundle import fingerprint
from gatecert.report.status import ClientAuthenticationStatus, as_document
from gatecert.time_format import day, time_left

if TYPE_CHECKING:
    from gatecert.client_ca.user_check import UserCheckResult
    from gatecert.model import Outcome

SCHEMA = 1
WHY_NO_KEY = (
    "whoever has the key of an authority can make users, so it belongs on no gateway and, once it"
    " was passed around, to no authority"
)
USERS_KEY = "a user's key is the user's alone"

app = typer.Typer(
    help="Certificates demanded from users: whose are accepted.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
)

AsJson = Annotated[
    bool, typer.Option("--json", help="The same for programs; see docs/client-certificates.md.")
]


@app.command("add")
def add(
    context: typer.Context,
    name: Name,
    file: Annotated[
        str,
        typer.Argument(metavar="FILE", help="The authority's root certificate, PEM; - for input."),
    ],
    *,
    wait: Wait = 60.0,
) -> None:
    """Accept the certificates of an authority, and prove that the server follows.

    The file holds its root, and its intermediates where users do not send them. Nothing changes
    unless everything is right; if the server does not follow, the authorities before come back.
    """
    configuration = read_configuration(context)
    upload = replace(read_upload("the file of the authority", file), key_advice=WHY_NO_KEY)
    lines = ProgressLines()
    application = open_application(configuration, lines)
    target = chosen(application, [name])[0]
    outcome = application.pipeline.client_authorities.add(target, upload, wait=wait)
    lines.ended(outcome)
    tell_daemon(application)
    _leave(outcome)


@app.command("list")
def list_(context: typer.Context, name: Name, *, as_json: AsJson = False) -> None:
    """Show whose certificates are accepted."""
    status, now = _status(context, name), datetime.now(UTC)
    if as_json:
        typer.echo(as_document({"schema": SCHEMA, "gateway": name, **asdict(status)}))
        return
    for each in status.authorities:
        kind = "root" if each.is_root else f"intermediate of {each.issuer}"
        typer.echo(each.subject)
        typer.echo(f"  SHA-256  {each.fingerprint}")
        typer.echo(f"  {kind}, ends {day(each.not_after)}, {time_left(each.not_after, now)}")
    if not status.authorities:
        typer.echo(
            f"none: nobody is admitted; gatecert client-ca add {name} FILE adds an authority"
        )
    for line in [status.error, *status.warnings]:
        if line:
            typer.echo(f"gatecert: {name}: {line}", err=True)


@app.command("remove")
def remove(
    context: typer.Context,
    name: Name,
    authority: Annotated[
        str, typer.Argument(metavar="FINGERPRINT-or-SUBJECT", help="Which one, as list shows it.")
    ],
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Even if that locks out users who are known.")
    ] = False,
    wait: Wait = 60.0,
) -> None:
    """Accept them no longer, and prove that the server follows."""
    lines = ProgressLines()
    application = open_application(read_configuration(context), lines)
    target = chosen(application, [name])[0]
    outcome = application.pipeline.client_authorities.remove(
        target, authority, force=force, wait=wait
    )
    lines.ended(outcome)
    tell_daemon(application)
    _leave(outcome)


@app.command("check")
def check(
    context: typer.Context,
    name: Name,
    file: Annotated[
        str, typer.Argument(metavar="FILE", help="A user's certificate, PEM; - for input.")
    ],
    *,
    as_json: AsJson = False,
) -> None:
    """Say whether a certificate of a user would be accepted, and if not, why."""
    configuration = read_configuration(context)
    upload = replace(read_upload("the certificate file", file), key_advice=USERS_KEY)
    application = open_application(configuration)
    target = chosen(application, [name])[0]
    judgement = application.pipeline.client_authorities.check_user(target, upload)
    if as_json:
        typer.echo(as_document(_fields(name, judgement)))
    else:
        _show(name, judgement)
    if not judgement.accepted:
        raise typer.Exit(FAILED)


def _status(context: typer.Context, name: str) -> ClientAuthenticationStatus:

    application = open_application(read_configuration(context))
    target = chosen(application, [name])[0]
    found = client_authentication_status(application, target, datetime.now(UTC))
    if found is not None:
        return found
    path = application.pipeline.client_authorities.admission.files(target).path
    return ClientAuthenticationStatus(
        str(path), (), asked=None, asked_at=None, error="", warnings=()
    )


def _show(name: str, judgement: UserCheckResult) -> None:

    who = label(judgement.user)
    if judgement.accepted:
        by = label(judgement.path[-1])
        end = judgement.user.not_valid_after_utc
        typer.echo(f"{name}: accepted: the certificate {who}, by {by}, until {day(end)}")
    for reason in judgement.reasons:
        typer.echo(f"{name}: refused: the certificate {who} {reason}")
    for note in judgement.notes:
        sys.stdout.flush()
        typer.echo(f"gatecert: {name}: note: {note}", err=True)


def _fields(name: str, judgement: UserCheckResult) -> dict[str, object]:

    return {
        "schema": SCHEMA,
        "gateway": name,
        "accepted": judgement.accepted,
        "subject": name_text(judgement.user.subject),
        "fingerprint": fingerprint(judgement.user),
        "reasons": list(judgement.reasons),
        "notes": list(judgement.notes),
    }


def _leave(outcome: Outcome) -> None:
    if outcome.failed or outcome.code:
        raise typer.Exit(FAILED)
