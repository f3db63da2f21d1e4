"""``gatecert csr`` and ``gatecert import``: certificates that somebody else signs."""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.context import (
    Name,
    Wait,
    named,
    open_application,
    open_store,
    options,
    tell_daemon,
)
from gatecert.cli.enroll_command import ProgressLines
from gatecert.errors import clean

if TYPE_CHECKING:
    from gatecert.certificate.upload import Upload
    from gatecert.custom.signing_requests import NewRequest
    from gatecert.model import Target

FAILED = 1
STANDARD_INPUT = "-"

MemberName = Annotated[
    str,
    typer.Option(
        "--member", metavar="M", help="Which host of a pair this is, where not configured."
    ),
]


def csr(
    context: typer.Context,
    name: Name,
    *,
    member: MemberName = "",
    renew: Annotated[
        bool, typer.Option("--renew", help="Make a new key and request, whatever is pending.")
    ] = False,
    wait: Wait = 60.0,
) -> None:
    """Make a certificate signing request (PEM), or print the pending one again.

    The key is made on this host and never leaves it. Have the request signed by an authority, then
    use import.
    """
    from gatecert.config.targets import targets  # noqa: PLC0415 - --help is quick without it
    from gatecert.custom.member import as_member  # noqa: PLC0415
    from gatecert.custom.signing_requests import request  # noqa: PLC0415

    given = options(context)
    given.configure_logs(logging.WARNING)
    configuration = given.load()
    every = {target.name: target for target in targets(configuration)}
    target = as_member(named(every, name), member)
    store = open_store(configuration)
    with store.lock_gateway(name, "making a certificate request", wait=wait):
        requested = request(store, target, now=datetime.now(UTC), renew=renew)
    _explain(target, requested)
    typer.echo(requested.waiting.request.csr, nl=False)


def import_certificate(  # noqa: PLR0913 - a command has this many options
    context: typer.Context,
    name: Name,
    *,
    certificate: Annotated[
        str,
        typer.Option(
            "--certificate", metavar="FILE", help="The signed certificate, PEM; - for input."
        ),
    ],
    chain: Annotated[
        str,
        typer.Option(
            "--chain",
            metavar="FILE",
            help="Its issuers up to the root, PEM, unless they stand in the same file.",
        ),
    ] = "",
    member: MemberName = "",
    accept_untrusted: Annotated[
        bool,
        typer.Option(
            "--accept-untrusted",
            help="Take it even in place of a certificate that this machine trusts.",
        ),
    ] = False,
    wait: Wait = 60.0,
) -> None:
    """Take over a signed certificate: check it, install it, prove that it is served.

    Nothing changes unless everything is right.
    """
    given = options(context)
    given.configure_logs(logging.WARNING)
    configuration = given.load()
    uploads = _uploads(certificate, chain)
    from gatecert.custom.member import as_member  # noqa: PLC0415 - --help is quick without it

    lines = ProgressLines()
    application = open_application(configuration, lines)
    target = as_member(named(application.targets, name), member)
    outcome = application.pipeline.import_certificate(
        target, uploads, wait=wait, accept_untrusted=accept_untrusted
    )
    lines.ended(outcome)
    tell_daemon(application)
    if outcome.failed or outcome.code:
        raise typer.Exit(FAILED)


def _uploads(certificate: str, chain: str) -> list[Upload]:
    """What is handed in, read as whoever runs the command."""
    if certificate == chain == STANDARD_INPUT:
        raise typer.BadParameter("--certificate and --chain cannot both be standard input")
    uploads = [read_upload("the certificate file", certificate)]
    if chain and chain != certificate:
        uploads.append(read_upload("the chain file", chain))
    return uploads


def read_upload(role: str, name: str) -> Upload:
    """What is handed in, read as whoever runs the command; ``-`` is standard input."""
    from gatecert.certificate.pem import LARGEST_CHAIN  # noqa: PLC0415 - --help is quick without it
    from gatecert.certificate.upload import Upload  # noqa: PLC0415

    most = LARGEST_CHAIN + 1  # whatever is longer is refused unread
    if name == STANDARD_INPUT:
        return Upload(role, "", sys.stdin.buffer.read(most))
    try:
        with Path(name).open("rb") as file:
            return Upload(role, name, file.read(most))
    except OSError as error:
        why = f"{role} {clean(name)} cannot be read: {error.strerror}"
        raise typer.BadParameter(why) from error


def _explain(target: Target, requested: NewRequest) -> None:
    """Say on standard error what was printed, so that standard output is the request alone."""
    lines = []
    if requested.outdated is not None:
        lines.append(
            "the configuration has changed since the pending CSR was made, so this is a new one;"
            f" a certificate for the old one ({requested.outdated}) can still be imported"
        )
    state = "a new CSR," if requested.is_new else "the pending CSR,"
    lines.append(
        f"{state} {requested.waiting}; have it signed, then: gatecert import {target.name}"
        " --certificate FILE --chain FILE"
    )
    for line in lines:
        typer.echo(f"gatecert: {target.name}: {line}", err=True)
