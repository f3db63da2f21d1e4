"""Three daemons that follow their fleet's database: news at once, and challenges on every host."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from harness.gatecert import Gatecert
from harness.waiting import wait_until

from .test_daemons import HQ, LONGEST, NAMES, Cluster, make_cluster

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.postgres import DatabaseCertificates, EmptyCluster

TWO_MORE_SIGNS = 150.0  # seconds; a host signs every half minute


@pytest.fixture
def cluster(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> Cluster:
    """Hosts that answer http-01, each at an address of its own; the CA reaches the second only."""
    made = make_cluster(servers, tmp_path, certificates, empty_cluster)
    addresses = dict(zip(NAMES, ("127.0.0.2", "127.0.0.1", "127.0.0.3"), strict=True))
    for host in made.hosts:
        listen = f"{addresses[host.name]}:{made.pebble.ports.http01}"
        host.gatecert.configuration["challenges"] = {"http-01": {"listen": [listen]}}
        host.gatecert.configuration["gateways"][HQ]["challenge"] = "http-01"
        host.gatecert.configuration["resolver"]["interval"] = "1h"  # between two looks at the name
        host.gatecert.write()
    made.start_daemons()
    made.start_gateways(servers)
    return made


def test_the_ca_reaches_another_host_and_all_install_at_once(cluster: Cluster) -> None:
    """No host has a reason to look again soon, but the hint."""
    first = cluster.wait_same()
    renewed = cluster.hosts[0].gatecert.run("enroll", HQ, "--force")
    assert renewed.exit_code == 0, renewed.errors
    assert "do not answer" not in renewed.errors

    assert cluster.wait_same(other_than=first)

    asked = "SELECT host FROM version ORDER BY generation DESC LIMIT 1"
    assert cluster.rows(asked) == [("gw-a",)]
    assert cluster.rows("SELECT token FROM token") == []
    for host in cluster.hosts:
        assert not list((host.gatecert.state_directory / "challenges").iterdir())


def test_a_host_that_is_down_is_named_and_the_order_goes_on(cluster: Cluster) -> None:
    cluster.wait_same()
    *_, down = cluster.hosts
    down.gatecert.process.kill()

    renewed = cluster.hosts[0].gatecert.run("enroll", HQ, "--force")

    assert renewed.exit_code == 0, renewed.errors
    assert "hosts that do not answer http-01 for vpn.example.org: gw-c;" in renewed.errors


def test_a_follower_that_was_killed_comes_back(cluster: Cluster) -> None:
    first = cluster.wait_same()
    lost = cluster.hosts[1].gatecert
    (before,) = lost.followers()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: set(lost.followers()) - {before}, "another follower", seconds=LONGEST)

    renewed = cluster.hosts[0].gatecert.run("enroll", HQ, "--force")

    assert renewed.exit_code == 0, renewed.errors
    assert cluster.wait_same(other_than=first)
    lost.wait_logged("follower lost")


@pytest.mark.long
def test_two_daemons_with_one_name_are_found_and_order_nothing(
    cluster: Cluster, servers: ExitStack, tmp_path: Path
) -> None:
    cluster.wait_same()
    host = cluster.hosts[2].gatecert
    host.process.kill()  # and comes back, which is no reason to complain
    host.start()
    wait_until(lambda: cluster.rows("SELECT life FROM host WHERE name = 'gw-c'"), "its sign")
    copy = Gatecert(tmp_path / "copy")
    copy.configuration |= {
        key: value for key, value in host.configuration.items() if key != "state_directory"
    }
    servers.push(copy.write().__exit__)
    copy.start()

    for each in (host, copy):
        each.wait_logged("another daemon is in the fleet as host gw-c", seconds=TWO_MORE_SIGNS)

    refused = host.run("enroll", HQ, "--force")
    assert refused.exit_code == 1
    assert "another daemon is in the fleet as host gw-c as well" in refused.errors
    for other in cluster.hosts[:2]:
        assert "another daemon" not in other.gatecert.process.output
