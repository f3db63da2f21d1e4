"""The lines of a cluster and its fleet in the status of a host. Pure."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING, Final

from gatecert.model import DeploymentOutcome
from gatecert.model.fleet import FleetHalt
from gatecert.report.gateway_status import FleetStatus, HostProgress
from gatecert.time_format import minute

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from gatecert.model.cluster_view import ClusterHost, ClusterView, GatewayRollout
    from gatecert.model.fleet_report import FleetReport
    from gatecert.report.gateway_status import GatewayStatus

MOST_SHOWN: Final = 5  # gateways of a list that are named
GOES_ON: Final = "only what ends within a day goes on"
RESUME: Final = "gatecert fleet resume"


def fleet_status(gateway: str, cluster: ClusterView) -> FleetStatus:
    """Return how the hosts of a cluster fare with a gateway.

    Args:
        gateway: Its name.
        cluster: What this host sees.
    """
    rollout, halt = cluster.rollouts.get(gateway), cluster.halt
    generation = rollout.generation if rollout is not None else 0
    known = [_progress(host, rollout, cluster.at) for host in cluster.hosts]
    proven = tuple(each.name for each in known if _is_proven(each, generation))
    others = tuple(each for each in known if each.silent or each.name not in proven)
    return FleetStatus(
        words=_words(generation, len(known), len(proven), others, cluster.at),
        at=cluster.at,
        generation=generation,
        hosts=len(known),
        proven=proven,
        others=others,
        paused_since=halt.paused_since,
        pause_reason=halt.pause_reason,
        brake_since=halt.brake_since,
        brake_reason=halt.brake_reason,
    )


def fleet_lines(statuses: Sequence[GatewayStatus]) -> Iterator[str]:
    """Yield what a list of gateways says of the fleet; nothing with files alone.

    Gateways whose newest certificate is not proven on every live host are named.
    """
    known = [one for one in statuses if one.fleet is not None]
    away = [one for one in known if one.fleet is not None and one.fleet.away]
    if away:
        yield _words_of(min(away, key=_days_left))
        return
    yield from halt_lines(known)
    if len(known) == 1:
        yield _words_of(known[0])
    if len(known) <= 1:
        return
    unproven = [one for one in known if one.fleet is not None and one.fleet.others]
    proven = f"{len(known) - len(unproven)} of {len(known)} gateways"
    yield f"newest certificate proven on all hosts: {proven}"
    for one in unproven[:MOST_SHOWN]:
        yield f"{one.name}: {_words_of(one)}"
    if len(unproven) > MOST_SHOWN:
        yield f"and {len(unproven) - MOST_SHOWN} more"


def halt_lines(statuses: Sequence[GatewayStatus]) -> Iterator[str]:
    """Yield that the whole fleet is paused or braked, as far as this host has seen it last."""
    seen = [one.fleet for one in statuses if one.fleet is not None and not one.fleet.away]
    latest = max(seen, key=lambda fleet: fleet.at, default=None)
    if latest is None:
        return
    halt = FleetHalt(
        latest.paused_since, latest.brake_since, latest.brake_reason, latest.pause_reason
    )
    for line in _halt_words(halt, latest.at):
        yield f"{line} ({RESUME})"


def report_problems(report: FleetReport, now: datetime) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a fleet, and the fix, for the head of the status page.

    Args:
        report: The last one of the follower.
        now: Current time.
    """
    if not report.is_up:
        since = minute(report.since, now)
        yield f"database away since {since}: serving on, no orders: {report.problem}", report.fix
    for line in _halt_words(report.halt, now):
        yield line, RESUME
    if report.silent:
        names = ", ".join(report.silent[:MOST_SHOWN])
        more = len(report.silent) - MOST_SHOWN
        yield f"silent hosts: {names}{f' and {more} more' if more > 0 else ''}", "gatecert doctor"


def _halt_words(halt: FleetHalt, now: datetime) -> Iterator[str]:
    if halt.paused_since is not None:
        why = f" ({halt.pause_reason})" if halt.pause_reason else ""
        yield f"fleet paused since {minute(halt.paused_since, now)}{why}: {GOES_ON}"
    if halt.brake_since is not None:
        yield f"brake since {minute(halt.brake_since, now)}: {halt.brake_reason}; {GOES_ON}"


def _progress(host: ClusterHost, rollout: GatewayRollout | None, now: datetime) -> HostProgress:
    deployments = rollout.deployments if rollout is not None else ()
    found = next((each for each in deployments if each.host == host.name), None)
    silent = host.is_silent(now)
    if found is None:
        return HostProgress(host.name, 0, "", "", silent, host.seen)
    return HostProgress(host.name, found.generation, found.outcome, found.reason, silent, host.seen)


def _is_proven(host: HostProgress, generation: int) -> bool:
    return host.generation == generation and host.outcome == DeploymentOutcome.PROVEN


def _words(
    generation: int, hosts: int, proven: int, others: Sequence[HostProgress], now: datetime
) -> str:
    """Return ``generation 12 proven on 2 of 3 hosts (gw-c silent since 09:12 UTC)``."""
    if not generation:
        return "no certificate shared yet"
    shown = [_host(each, generation, now) for each in others]
    details = f" ({', '.join(shown)})" if shown else ""
    return f"generation {generation} proven on {proven} of {hosts} hosts{details}"


def _host(host: HostProgress, generation: int, now: datetime) -> str:
    reason = f": {host.reason}" if host.reason else ""
    if host.silent:
        return f"{host.name} " + (
            f"silent since {minute(host.seen, now)}" if host.seen is not None else "never seen"
        )
    if host.generation < generation:
        has = f"has generation {host.generation}" if host.generation else "has none"
        return f"{host.name} {has}"
    match host.outcome:
        case DeploymentOutcome.ROLLED_BACK:
            return f"{host.name} rolled back{reason}"
        case DeploymentOutcome.FAILED:
            return f"{host.name} does not serve it{reason}"
        case _:
            return f"{host.name} waits{reason}"


def _words_of(one: GatewayStatus) -> str:
    return one.fleet.words if one.fleet is not None else ""


def _days_left(one: GatewayStatus) -> float:
    return inf if one.days_left is None else one.days_left
