"""``gatecert revoke``: have a certificate revoked by its authority, and replaced."""

from __future__ import annotations

import difflib
import sys
from typing import Annotated

import typer

from gatecert.acme.revocation_request import REASON_CODES, Signature
from gatecert.cli.application import chosen, open_application, tell_daemon
from gatecert.cli.context import Name, Wait, read_configuration
from gatecert.cli.enroll_command import with_earlier_failure
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.output import write_line
from gatecert.cli.progress_lines import ProgressLines
from gatecert.lifecycle.pipeline import Occasion
from gatecert.lifecycle.revocation_watch import not_replaced
from gatecert.model import RevocationReason


def revoke(
    context: typer.Context,
    name: Name,
    *,
    reason: Annotated[
        str,
        typer.Option(
            "--reason",
            metavar="REASON",
            help="unspecified, keyCompromise, affiliationChanged, superseded, "
            "cessationOfOperation or privilegeWithdrawn (RFC 5280).",
        ),
    ] = "unspecified",
    by: Annotated[
        str,
        typer.Option(
            "--by",
            metavar="KEY",
            help="Whose key asks for it: account or certificate. Default: the account's; for "
            "keyCompromise the certificate's; the other one where that is refused.",
        ),
    ] = "",
    wait: Wait = 60.0,
) -> None:
    """Have a certificate revoked by its authority, and replaced at once.

    The revoked one is served until its successor is. The successor gets another key if the old one
    has leaked (keyCompromise) or has signed the revocation itself.
    """
    why, key = _reason(reason), _signature(by)
    lines = ProgressLines()
    application = open_application(read_configuration(context), lines)
    target = chosen(application, [name])[0]
    lines.tell(f"{name}: {application.revoker.revoke(target, why, key, wait=wait)}")
    stays = not_replaced(target, application.pipeline.memory.excluded_region(target))
    if stays:
        write_line(sys.stderr, f"gatecert: {name}: {stays}")
        tell_daemon(application)
        return
    outcome = application.pipeline.attend(target, Occasion(look_now=True, wait=wait))
    outcome = with_earlier_failure(application, target, outcome)
    lines.ended(outcome)
    tell_daemon(application)
    if not outcome.settled:
        raise typer.Exit(FAILED)


def _reason(text: str) -> RevocationReason:
    """A reason by its name, upper or lower case.

    Raises:
        typer.BadParameter: An operator cannot give it.
    """
    by_name = {str(each).casefold(): each for each in RevocationReason}
    found = by_name.get(text.casefold())
    if found in REASON_CODES:
        return found
    possible = ", ".join(REASON_CODES)
    if found is not None:
        raise typer.BadParameter(f"the reason {found} is not the owner's to give: {possible}")
    near = difflib.get_close_matches(text.casefold(), by_name, n=1, cutoff=0.5)
    hint = f", did you mean {by_name[near[0]]}?" if near else f"; possible: {possible}"
    raise typer.BadParameter(f"{text!r} is no reason{hint}")


def _signature(text: str) -> Signature | None:

    if not text:
        return None
    try:
        return Signature(text.casefold())
    except ValueError:
        possible = " or ".join(Signature)
        raise typer.BadParameter(f"--by {text!r} is none of the keys: {possible}") from None
