"""``gatecert csr``: make a certificate signing request."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.cli.context import MemberName, Name, Wait, find, read_configuration
from gatecert.cli.output import show_text, write_error
from gatecert.config.targets import targets
from gatecert.custom.member import select_member
from gatecert.custom.signing_requests import request
from gatecert.store import storage_errors
from gatecert.store.drop_root import drop_root_privileges
from gatecert.store.file_store import FileStore

if TYPE_CHECKING:
    from gatecert.custom.signing_requests import NewRequest
    from gatecert.model import Target


def csr(
    context: typer.Context,
    name: Name,
    *,
    member: MemberName = "",
    renew: Annotated[
        bool, typer.Option("--renew", help="Make a new key and CSR even if one is pending.")
    ] = False,
    wait: Wait = 60.0,
) -> None:
    """Print the pending CSR, or make a key and a CSR.

    The key never leaves this host. Have a CA sign the CSR (PEM), then use import.
    """
    configuration = read_configuration(context)
    by_name = {target.name: target for target in targets(configuration)}
    target = select_member(find("gateway", by_name, name), member)
    storage_errors.runs_as_daemon |= bool(
        drop_root_privileges(configuration.state_directory, keep_bind=False)
    )
    store = FileStore(configuration.state_directory)
    with store.lock_gateway(name, "making a CSR", wait=wait):
        requested = request(store, target, now=datetime.now(UTC), renew=renew)
    _explain(target, requested)
    show_text(requested.pending.request.csr.decode("ascii", "replace"))


def _explain(target: Target, requested: NewRequest) -> None:
    """Describe the CSR on standard error, so that standard output holds the CSR alone."""
    lines = []
    if requested.outdated is not None:
        lines.append(
            "the configuration has changed since the pending CSR was made, so this is a new one;"
            f" a certificate for the old CSR ({requested.outdated}) can still be imported"
        )
    state = "a new CSR," if requested.is_new else "the pending CSR,"
    lines.append(
        f"{state} {requested.pending}; have it signed, then: gatecert import {target.name}"
        " --certificate FILE --chain FILE"
    )
    for line in lines:
        write_error(f"{target.name}: {line}")
