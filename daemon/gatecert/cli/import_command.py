"""``gatecert import``: install a certificate signed elsewhere."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer

from gatecert import regular_files
from gatecert.certificate.pem import LARGEST_CHAIN
from gatecert.certificate.upload import Upload
from gatecert.cli.application import notify_daemon, open_application
from gatecert.cli.context import MemberName, Name, Wait, find, read_configuration
from gatecert.cli.display import open_display
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.options import options
from gatecert.custom.member import select_member

STANDARD_INPUT = "-"
INHERITED = ("/dev/stdin", "/dev/fd/", "/proc/self/fd/")  # may be pipes, as in <(command)


def import_certificate(  # noqa: PLR0913 - a command has this many options
    context: typer.Context,
    name: Name,
    *,
    certificate: Annotated[
        str,
        typer.Option(
            "--certificate",
            metavar="FILE",
            help="The signed certificate, PEM; - for standard input.",
        ),
    ],
    chain: Annotated[
        str,
        typer.Option(
            "--chain",
            metavar="FILE",
            help="Its issuers up to the root, PEM, unless the same file holds them.",
        ),
    ] = "",
    member: MemberName = "",
    accept_untrusted: Annotated[
        bool,
        typer.Option(
            "--accept-untrusted",
            help="Install it even in place of a certificate that this machine trusts.",
        ),
    ] = False,
    wait: Wait = 60.0,
) -> None:
    """Check, install and prove a certificate signed elsewhere.

    Every check must pass before anything changes.
    """
    configuration = read_configuration(context)
    uploads = _uploads(certificate, chain)
    with open_display(options(context)) as display:
        application = open_application(configuration, display)
        target = select_member(find("gateway", application.targets, name), member)
        outcome = application.pipeline.import_certificate(
            target, uploads, wait=wait, accept_untrusted=accept_untrusted
        )
        display.finish(outcome)
    notify_daemon(application, [name])
    if outcome.failed or outcome.code:
        raise typer.Exit(FAILED)


def _uploads(certificate: str, chain: str) -> list[Upload]:
    """Read the files as the user who runs the command."""
    if certificate == chain == STANDARD_INPUT:
        raise typer.BadParameter("--certificate and --chain cannot both be standard input")
    uploads = [read_upload("the certificate file", certificate)]
    if chain and chain != certificate:
        uploads.append(read_upload("the chain file", chain))
    return uploads


def read_upload(role: str, name: str) -> Upload:
    """Read a file as the user who runs the command; ``-`` is standard input."""
    most = LARGEST_CHAIN + 1  # longer input is refused unread
    if name == STANDARD_INPUT:
        return Upload(role, "", sys.stdin.buffer.read(most))
    try:
        if name.startswith(INHERITED):
            with Path(name).open("rb") as file:
                return Upload(role, name, file.read(most))
        return Upload(role, name, regular_files.read(Path(name), most))
    except OSError as error:
        why = f"{role} {name} cannot be read: {error.strerror}"
        raise typer.BadParameter(why) from error
