"""``gatecert revoke``: revoke a certificate (RFC 8555 section 7.6) and replace it."""

from __future__ import annotations

import difflib
from typing import Annotated

import typer

from gatecert.acme.revocation_request import REASON_CODES, Signature
from gatecert.cli.application import notify_daemon, open_application
from gatecert.cli.context import Name, Wait, find, read_configuration
from gatecert.cli.display import open_display
from gatecert.cli.enroll_command import with_earlier_failure
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.options import options
from gatecert.cli.output import write_error
from gatecert.lifecycle.gateway_pass import Occasion
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
            help="Key that signs the request: account or certificate. Default: account, or "
            "certificate for keyCompromise; the other one if the CA refuses.",
        ),
    ] = "",
    wait: Wait = 60.0,
) -> None:
    """Revoke a gateway's certificate and replace it at once.

    The gateway serves the revoked certificate until the new one is in place. The new certificate
    gets a new key if the old one was compromised (keyCompromise) or signed the revocation request.
    """
    why, key = _reason(reason), _signature(by)
    configuration = read_configuration(context)
    with open_display(options(context)) as display:
        application = open_application(configuration, display)
        target = find("gateway", application.targets, name)
        current = application.pipeline.open(target, Occasion(wait=wait))
        display.write(f"{name}: {application.revoker.revoke(current, why, key)}")
        stays, outcome = not_replaced(target, current.excluded_region), None
        if not stays:
            attended = application.pipeline.attend(target, Occasion(look_now=True, wait=wait))
            outcome = with_earlier_failure(application, target, attended)
            display.finish(outcome)
    if stays:
        write_error(f"{name}: {stays}")
    notify_daemon(application, [name])
    if outcome is not None and not outcome.settled:
        raise typer.Exit(FAILED)


def _reason(text: str) -> RevocationReason:
    """Return the reason of that name, in upper or lower case.

    Raises:
        typer.BadParameter: An operator cannot give it.
    """
    by_name = {str(each).casefold(): each for each in RevocationReason}
    found = by_name.get(text.casefold())
    if found in REASON_CODES:
        return found
    possible = ", ".join(REASON_CODES)
    if found is not None:
        raise typer.BadParameter(
            f"the certificate's owner cannot use the reason {found}; possible: {possible}"
        )
    near = difflib.get_close_matches(text.casefold(), by_name, n=1, cutoff=0.5)
    hint = f", did you mean {by_name[near[0]]}?" if near else f"; possible: {possible}"
    raise typer.BadParameter(f"unknown reason {text!r}{hint}")


def _signature(text: str) -> Signature | None:

    if not text:
        return None
    try:
        return Signature(text.casefold())
    except ValueError:
        possible = " or ".join(Signature)
        raise typer.BadParameter(f"unknown key --by {text!r}; possible: {possible}") from None
