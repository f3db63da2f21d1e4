"""``gatecert fleet join``: a host brings what it has into its cluster."""
# ruff: noqa: PLC0415 - large libraries, which other commands of the group do not need

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, Final

import typer

from gatecert.app import utc_now
from gatecert.cli.context import Wait  # noqa: TC001 - Typer reads it
from gatecert.cli.fleet_host_store import open_member
from gatecert.cli.output import show_lines
from gatecert.container import fix_for
from gatecert.model import Origin

if TYPE_CHECKING:
    from gatecert.app import Application
    from gatecert.model import Target, Version
    from gatecert.store.postgres.joining import JoinedGateway

ACCOUNT_WORDS: Final = {  # by `Source`
    "sent": "this host's, which all share now",
    "same": "this host's, which all share",
    "cluster": "that of the cluster",
    "none": "none yet",
}


def join(context: typer.Context, *, wait: Wait = 60.0) -> None:
    """Bring what this host has into its cluster: accounts, certificates, state, counted requests.

    Checks login, schema, sealing keys, clock and name of the host first. What the cluster has
    already is kept, and used by this host. Run it before the daemon reads a configuration with
    fleet, or the host registers another account; it may be repeated.
    """
    from gatecert.store.postgres.joining import Joining, Source

    member = open_member(context)
    joining, daemon = Joining(member.store), member.store.daemon_pid()
    names = [target.name for target in member.enrolled]
    joining.check(names, now=utc_now(), daemon_runs=daemon is not None)
    place, session = member.store.place, member.store.database.session
    where = f"database {place.database.name} on {session.where}" if session else "database"
    show_lines(f"host {place.host} of cluster {place.cluster}: {where}")
    accounts = {
        name: joining.account(name) for name in member.application.configuration.authorities
    }
    for name, source in accounts.items():
        show_lines(f"account {name}: {ACCOUNT_WORDS[source.value]}")
    sent = sum(joining.requests(url, now=utc_now()) for url in member.directory_urls)
    show_lines(f"counted requests of the last days: {sent} sent")
    own = {name for name, source in accounts.items() if source in {Source.SENT, Source.SAME}}
    for target in member.enrolled:
        with member.store.lock_gateway(target.name, "joining", wait=wait):
            joined = joining.gateway(target.name, _live(member.application, target), own)
        show_lines(f"gateway {target.name}: {_gateway_words(joined)}")
    show_lines(_next_step(daemon))


def _live(application: Application, target: Target) -> Version | None:
    """Return the certificate of a CA that is in use, unless it has ended."""
    live = application.open(target).live
    if live is None or live.version.origin is not Origin.AUTHORITY:
        return None
    return live.version if live.summary.not_after > utc_now() else None


def _gateway_words(joined: JoinedGateway) -> str:
    match joined.source.value:
        case "sent" if joined.generation:
            what = f"this host's certificate, which all share now as generation {joined.generation}"
        case "sent":
            what = "no certificate of a CA yet; this host's state, which all share now"
        case "same":
            what = f"this host's certificate, which all share as generation {joined.generation}"
        case "cluster":
            return f"that of the cluster, generation {joined.generation}"
        case _:
            return "nothing new"
    return f"{what}, with its open order" if joined.orders else what


def _next_step(daemon: int | None) -> str:
    """Make a running daemon read the configuration; return what is left to do."""
    if daemon is None:
        return "next: " + fix_for(
            host="start the daemon: systemctl enable --now gatecert (or gatecert run)",
            container="start the container with gatecert run",
        )
    try:
        os.kill(daemon, signal.SIGHUP)
    except OSError:  # of another user, or of another container
        return "next: " + fix_for(
            host="make the daemon read the configuration: systemctl reload gatecert",
            container="make the daemon read the configuration: send it SIGHUP",
        )
    return "the running daemon reads the configuration again"
