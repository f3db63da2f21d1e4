"""Checks of a fleet: its database, the hosts of the cluster, newest certificates. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Final

from gatecert.doctor import codes, fleet_codes
from gatecert.model import DeploymentOutcome
from gatecert.model.cluster_view import ClusterView
from gatecert.report.fleet_lines import fleet_status
from gatecert.time_format import duration, instant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from gatecert.doctor.facts import GatewayFacts, MachineFacts
    from gatecert.doctor.finding import Finding
    from gatecert.model.cluster_view import GatewayRollout

TOLERANCE: Final = timedelta(minutes=1)  # between this clock and the server's
TIME_TO_INSTALL: Final = timedelta(minutes=10)  # for a host that only has to notice
REFUSED: Final = {DeploymentOutcome.ROLLED_BACK, DeploymentOutcome.FAILED}


def database(machine: MachineFacts) -> Iterator[Finding]:
    """Check that the database can be used, and that nobody may do more with it than needed."""
    cluster = machine.cluster
    if cluster is None:
        return
    if not isinstance(cluster, ClusterView):
        code = fleet_codes.OF_DATABASE.get(cluster.code, fleet_codes.DATABASE)
        yield code.found(cluster.detail, fix=cluster.fix)
        return
    facts = cluster.database
    if facts.replicated and not facts.synchronous:
        yield fleet_codes.DATABASE_ASYNCHRONOUS.found(
            f"{facts.server} confirms a change before a standby has it"
        )
    if cluster.excess:
        yield fleet_codes.ROLE_EXCESS.found(f"the role of this host {' and '.join(cluster.excess)}")
    ahead = machine.clock_ahead
    if ahead is not None and abs(ahead) > TOLERANCE:
        direction = "ahead of" if ahead > timedelta(0) else "behind"
        yield codes.CLOCK_OFF.found(
            f"this clock is {duration(abs(ahead))} {direction} that of the fleet's database"
        )
    yield fleet_codes.DATABASE_OK.found(f"{facts.server}, schema {facts.schema}")


def hosts(machine: MachineFacts) -> Iterator[Finding]:
    """Report silent hosts, names of two hosts, and whether the fleet is halted."""
    cluster = machine.cluster
    if not isinstance(cluster, ClusterView):
        return
    halt = cluster.halt
    if halt.brake_since is not None:
        seen = f"the brake is set since {instant(halt.brake_since)}: {halt.brake_reason}"
        yield fleet_codes.BRAKE.found(seen)
    if halt.paused_since is not None:
        why = f": {halt.pause_reason}" if halt.pause_reason else ""
        seen = f"the fleet is paused since {instant(halt.paused_since)}{why}"
        yield fleet_codes.FLEET_PAUSED.found(seen)
    for host in cluster.silent:
        if host.name == cluster.own:
            continue  # the check of the daemon says that none runs here
        since = f"is silent since {instant(host.seen)}" if host.seen else "was never seen"
        yield fleet_codes.HOST_SILENT.found(f"{host.name} {since}")
    for host in cluster.hosts:
        if host.is_twice(cluster.at):
            yield fleet_codes.HOST_TWICE.found(f"two daemons are in the fleet as host {host.name}")
    if not cluster.silent:
        yield fleet_codes.CLUSTER_OK.found(", ".join(host.name for host in cluster.hosts))


def rollout(facts: GatewayFacts) -> Iterator[Finding]:
    """Check that this host can use the newest certificate, and that live hosts serve it."""
    problem, cluster = facts.situation.state.host.database, facts.cluster
    if problem is not None and problem.code == fleet_codes.ENROLMENT_DAMAGED.name:
        yield fleet_codes.ENROLMENT_DAMAGED.found(problem.detail, fix=problem.fix)
    newest = cluster.rollouts.get(facts.name) if cluster is not None else None
    if cluster is None or newest is None or not newest.generation:
        return
    if facts.name in cluster.unopened:
        yield fleet_codes.SEALING_KEY_MISSING.found(
            f"the key of generation {newest.generation} is sealed with a key that this host does"
            " not have, or is damaged"
        )
    status = fleet_status(facts.name, cluster)
    if _is_behind(newest, cluster):
        yield fleet_codes.GENERATION_BEHIND.found(status.words)
    elif len(status.proven) < status.hosts:
        yield fleet_codes.ROLLOUT_RUNS.found(status.words)
    else:
        yield fleet_codes.ROLLOUT_OK.found(status.words)


def _is_behind(newest: GatewayRollout, cluster: ClusterView) -> bool:
    """Tell whether a live host has refused the newest certificate, or had time to notice it.

    A host that has noticed it may wait for its ring, which is no problem.
    """
    noticed = {
        each.host: each.outcome
        for each in newest.deployments
        if each.generation == newest.generation
    }
    if REFUSED & set(noticed.values()):
        return True
    is_old = newest.created is not None and cluster.at - newest.created > TIME_TO_INSTALL
    live = {host.name for host in cluster.hosts} - {host.name for host in cluster.silent}
    return is_old and not live <= noticed.keys()
