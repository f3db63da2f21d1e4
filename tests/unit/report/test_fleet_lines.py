"""The lines of a cluster in the status of a host."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from tests.fakes.clock import START as NOW
from tests.fakes.cluster_views import deployed, host, view
from tests.fakes.gateway_statuses import gateway

from gatecert.model import DeploymentOutcome
from gatecert.model.fleet import SILENT_AFTER, FleetHalt
from gatecert.report.fleet_lines import MOST_SHOWN, fleet_lines, fleet_status
from gatecert.report.gateway_status import FleetStatus

if TYPE_CHECKING:
    from gatecert.model.cluster_view import HostDeployment

PROVEN, PENDING = DeploymentOutcome.PROVEN, DeploymentOutcome.PENDING
ROLLED_BACK, FAILED = DeploymentOutcome.ROLLED_BACK, DeploymentOutcome.FAILED
HALTED = FleetHalt(
    paused_since=NOW - timedelta(hours=1),
    pause_reason="audit",
    brake_since=NOW - timedelta(days=1),
    brake_reason="5 of 60 were rolled back",
)


def words(*deployments: HostDeployment, seen: datetime | None = NOW) -> str:
    hosts = (host("gw-a"), host("gw-b", seen))
    return fleet_status("vpn", view(hosts, deployed("gw-a"), *deployments)).words


@pytest.mark.parametrize(
    ("deployment", "detail"),
    [
        (deployed("gw-b", generation=11), "gw-b has generation 11"),
        (deployed("gw-b", ROLLED_BACK, reason="refused"), "gw-b rolled back: refused"),
        (deployed("gw-b", FAILED, reason="no answer"), "gw-b does not serve it: no answer"),
        (deployed("gw-b", PENDING, reason="ring 1 is first"), "gw-b waits: ring 1 is first"),
        (deployed("gw-c"), "gw-b has none"),
    ],
)
def test_a_host_that_has_not_proven_the_newest_is_named(
    deployment: HostDeployment, detail: str
) -> None:
    assert words(deployment) == f"generation 12 proven on 1 of 2 hosts ({detail})"


def test_a_silent_host_is_named_with_its_last_sign_of_life() -> None:
    seen = NOW - timedelta(minutes=78)
    assert words(deployed("gw-b", generation=11), seen=seen) == (
        "generation 12 proven on 1 of 2 hosts (gw-b silent since 10:42 UTC)"
    )
    assert words(deployed("gw-b"), seen=seen - timedelta(days=1)) == (
        "generation 12 proven on 2 of 2 hosts (gw-b silent since 2026-11-22 10:42 UTC)"
    )
    assert words(seen=None).endswith("(gw-b never seen)")


def test_a_host_is_live_until_it_was_silent_for_long() -> None:
    almost = NOW - SILENT_AFTER + timedelta(seconds=1)
    assert words(deployed("gw-b"), seen=almost) == "generation 12 proven on 2 of 2 hosts"
    assert "silent" in words(deployed("gw-b"), seen=NOW - SILENT_AFTER)


def test_before_the_first_certificate() -> None:
    unknown = fleet_status("new", view((host("gw-a"),)))
    assert (unknown.words, unknown.generation) == ("no certificate shared yet", 0)


def test_a_single_gateway_shows_its_line_and_a_list_those_that_are_not_proven() -> None:
    hosts = (host("gw-a"), host("gw-b"))
    good = fleet_status("vpn", view(hosts, deployed("gw-a"), deployed("gw-b")))
    bad = fleet_status("vpn", view(hosts, deployed("gw-a")))
    assert list(fleet_lines([gateway("boston", fleet=good)])) == [
        "generation 12 proven on 2 of 2 hosts"
    ]
    listed = [gateway("boston", fleet=good)]
    listed += [gateway(f"lyon-{number}", fleet=bad) for number in range(MOST_SHOWN + 2)]
    first, *named, last = fleet_lines(listed)
    assert first == "newest certificate proven on all hosts: 1 of 8 gateways"
    assert named[0] == "lyon-0: generation 12 proven on 1 of 2 hosts (gw-b has none)"
    assert (len(named), last) == (MOST_SHOWN, "and 2 more")


def test_a_halted_fleet_says_so_first() -> None:
    fleet = fleet_status("vpn", view((host("gw-a"),), deployed("gw-a"), halt=HALTED))
    before = fleet_status("vpn", view((host("gw-a"),), deployed("gw-a")))
    paused, brake, line = fleet_lines([gateway("boston", fleet=fleet)])
    assert paused == (
        "fleet paused since 11:00 UTC (audit): only what ends within a day goes on "
        "(gatecert fleet resume)"
    )
    assert brake == (
        "brake since 2026-11-22 12:00 UTC: 5 of 60 were rolled back; only what ends within a day "
        "goes on (gatecert fleet resume)"
    )
    assert line == "generation 12 proven on 1 of 1 hosts"
    assert len(list(fleet_lines([gateway("boston", fleet=before)]))) == 1


def test_without_the_database_the_gateway_that_ends_first_counts() -> None:
    away = [
        gateway(
            f"gw-{days}",
            days_left=days,
            fleet=FleetStatus(f"{days} days left", NOW, away=True, away_since=NOW),
        )
        for days in (40, 31, 60)
    ]
    assert list(fleet_lines(away)) == ["31 days left"]


def test_with_files_alone_nothing_is_said() -> None:
    assert list(fleet_lines([gateway("boston"), gateway("lyon")])) == []
