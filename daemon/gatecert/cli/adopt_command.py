"""``gatecert adopt``: take over the certificates of certbot, acme.sh, lego or Caddy.

The files are read as the user of the command, usually root; the state directory is written as its
owner, and the configuration as root again.
"""

from __future__ import annotations

import logging
import os
import signal
import threading
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from gatecert.adoption.carry_out import carry_out, write_secrets
from gatecert.adoption.clients import read_client
from gatecert.adoption.existing import read_existing
from gatecert.adoption.gateway_plan import Rights
from gatecert.adoption.own_units import set_up
from gatecert.adoption.plan import make_plan
from gatecert.adoption.served_by import candidates, find_listeners, units_at
from gatecert.adoption.state_owner import acting_as, owner_of
from gatecert.adoption.webroot_check import unserved_names
from gatecert.app import build, utc_now
from gatecert.certificate.trust import load_trusted_roots
from gatecert.cli.adopt_report import AdoptReport
from gatecert.cli.application import no_progress
from gatecert.cli.context import Wait  # noqa: TC001 - Typer reads it
from gatecert.cli.exit_codes import FAILED
from gatecert.cli.options import options
from gatecert.config.addresses import endpoint
from gatecert.config.extension import extend
from gatecert.config.values import BadValueError
from gatecert.errors import WrongUsageError
from gatecert.report import logs
from gatecert.setup.host_reader import read_host
from gatecert.store.state_directory import announce_change

if TYPE_CHECKING:
    from collections.abc import Sequence

    from gatecert.adoption.plan import Plan
    from gatecert.app import Application
    from gatecert.model import Endpoint
    from gatecert.setup.host import Host
    from gatecert.store.drop_root import Owner


def adopt(  # noqa: PLR0913 - a command has this many options
    context: typer.Context,
    directory: Annotated[
        Path,
        typer.Argument(
            metavar="DIRECTORY",
            readable=False,  # the message below says what to do
            help="The other client's directory, such as /etc/letsencrypt or ~/.acme.sh.",
        ),
    ],
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be done; change nothing.")
    ] = False,
    directory_url: Annotated[
        str,
        typer.Option(
            "--directory-url",
            metavar="URL",
            help="ACME directory of the CA, where the client does not record it (lego).",
        ),
    ] = "",
    ca_bundle: Annotated[
        Path | None,
        typer.Option(
            "--ca-bundle",
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="PEM file with the trusted roots for HTTPS connections to a private CA.",
        ),
    ] = None,
    verify: Annotated[
        list[str] | None,
        typer.Option(
            "--verify",
            metavar="HOST:PORT",
            help="A listener that may serve the certificates, beside those found on this host.",
        ),
    ] = None,
    wait: Wait = 60.0,
) -> None:
    """Take over the certificates of certbot, acme.sh, lego or Caddy.

    Accounts, certificates, keys and settings are adopted. Nothing is ordered, and no file of the
    other client is changed.
    """
    given = options(context)
    logs.configure(given.level(logging.WARNING))
    more = [_listener(each) for each in verify or ()]
    existing = read_existing(Path(given.config))
    state = read_client(directory.expanduser().absolute())
    if ca_bundle is not None:
        state = replace(state, ca_bundle=ca_bundle.absolute())
    owner = owner_of(existing.state_directory)
    host = read_host(existing.path, existing.state_directory)
    rights = Rights(runs_as_root=owner is None and os.geteuid() == 0)
    plan = make_plan(
        state,
        existing,
        now=utc_now(),
        roots=load_trusted_roots(),
        rights=rights,
        directory_url=directory_url,
    )
    plan = plan.with_listeners(_find_listeners(plan, host, more), partial(units_at, host), rights)
    report = AdoptReport(plan, existing.state_directory, host, rights)
    if dry_run:
        preview = (
            extend(existing.path, plan.additions, check_files=False) if plan.gateways else None
        )
        report.show_plan(preview.added if preview is not None else "")
    elif plan.gateways:
        _require_writable(existing.path)
        write_secrets(plan, owner)
        extension = extend(existing.path, plan.additions)
        application = build(extension.configuration, no_progress, threading.Event())
        results = carry_out(plan, application, extension, owner=owner, wait=wait)
        wanted = {each.name: each.unit for each in plan.gateways if each.is_new and each.unit}
        report.units = set_up(wanted, plan.webroot, host)
        report.unserved = unserved_names(plan)
        report.show_results(results, left=_tell_daemon(application, plan, owner))
    else:
        report.show_nothing()
    if plan.refused or report.units.problem:
        raise typer.Exit(FAILED)


def _listener(value: str) -> Endpoint:
    try:
        return endpoint(value, port=443)
    except BadValueError as error:
        raise typer.BadParameter(f"--verify {error}") from error


def _find_listeners(
    plan: Plan, host: Host, more: Sequence[Endpoint]
) -> dict[str, tuple[Endpoint, ...]]:
    """Ask the listeners of this host which of the certificates they serve."""
    names = {each.adoptable.fingerprint: each.adoptable.hostname for each in plan.gateways}
    return find_listeners(names, candidates(host, more))


def _tell_daemon(application: Application, plan: Plan, owner: Owner | None) -> str:
    """Make a running daemon read the configuration again.

    Returns:
        The command that is left to the operator; empty if there is none.
    """
    process = application.store.daemon_pid()
    if process is None:
        return "systemctl enable --now gatecert"
    if any(each.is_new for each in plan.gateways):
        try:
            os.kill(process, signal.SIGHUP)
        except OSError:  # of another user, or of another container
            return "systemctl reload gatecert"
        return ""
    with acting_as(owner):
        for each in plan.gateways:
            announce_change(application.configuration.state_directory, each.name)
    return ""


def _require_writable(path: Path) -> None:
    """Refuse to begin if the configuration could not be written at the end.

    Raises:
        WrongUsageError: This user may not write it.
    """
    place = path.resolve()
    while not place.exists():
        place = place.parent
    if not os.access(place, os.W_OK):
        raise WrongUsageError(f"{path} cannot be written", fix="run the command as root")
