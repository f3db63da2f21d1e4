"""Three daemons, each in a ring of its own: roll-out in order, and a server that refuses."""

from __future__ import annotations

import re
import shutil
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from gatecert.store.postgres import halt_rows
from harness.handshake import HandshakeLoop
from harness.waiting import wait_until

from .test_daemons import DATABASE, HOSTNAME, HQ, LONGEST, Cluster, look_again, make_cluster

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from harness.postgres import DatabaseCertificates, EmptyCluster

TOLD = "SELECT host, outcome, reason LIKE '%gw-a rolled it back%' FROM deployment ORDER BY host"
STOPPED = [("gw-a", "rolled-back", False), ("gw-b", "pending", True), ("gw-c", "pending", True)]


@pytest.fixture
def accepted(tmp_path: Path) -> Path:
    """While it exists, the server of the first host refuses every certificate but this one."""
    return tmp_path / "accepted.pem"


@pytest.fixture
def cluster(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
    accepted: Path,
) -> Cluster:
    """Hosts of rings 1, 2 and 3 that serve one certificate."""
    made = make_cluster(servers, tmp_path, certificates, empty_cluster)
    for ring, host in enumerate(made.hosts, start=1):
        host.gatecert.configuration["fleet"]["ring"] = ring
        install = host.gatecert.configuration["gateways"][HQ]["install"]
        if ring == 1:
            live = host.gatecert.files(HQ)["fullchain"]
            *shell, reload = install["reload"]
            is_refused = f"test -e {accepted} && ! cmp -s {accepted} {live}"
            install["reload"] = [*shell, f"{is_refused} && exit 1; {reload}"]
        host.gatecert.write()
    made.start_daemons()
    made.start_gateways(servers)
    made.wait_enrolled()
    made.wait_reported()
    return made


@contextmanager
def served_throughout(cluster: Cluster) -> Iterator[Sequence[HandshakeLoop]]:
    """Make handshakes with all hosts all the time, none of which fails."""
    loops = [
        HandshakeLoop("127.0.0.1", host.web.port, HOSTNAME, interval=0.2) for host in cluster.hosts
    ]
    first, second, third = loops
    with first, second, third:
        yield loops
    for loop in loops:
        assert loop.handshakes
        assert loop.failures == []


def first_served(loop: HandshakeLoop, fingerprint: str) -> float:
    """Return when a host served a certificate first."""
    return next(each.at for each in loop.handshakes if each.fingerprint == fingerprint)


def test_one_ring_installs_after_the_other(cluster: Cluster) -> None:
    before = cluster.hosts[0].served
    with served_throughout(cluster) as loops:
        renewed = cluster.hosts[2].gatecert.run("enroll", HQ, "--force")
        assert renewed.exit_code == 0, renewed.errors
        # Two is reserved if the hosts have looked since the first certificate.
        waits = r"generation [23] waits for ring 1: gw-a"
        assert re.search(waits, renewed.output + renewed.errors)

        after = cluster.wait_same(other_than=before)

        instants = [first_served(loop, after) for loop in loops]
        assert instants == sorted(instants)
    cluster.wait_reported()
    assert [loop.fingerprints for loop in loops] == [[before, after]] * 3
    assert cluster.pebble.orders() == 2


def test_what_the_first_ring_rolls_back_reaches_no_other_until_the_operator_resumes(
    cluster: Cluster, accepted: Path
) -> None:
    first, *others = cluster.hosts
    before = first.served
    shutil.copy(first.gatecert.files(HQ)["fullchain"], accepted)
    with served_throughout(cluster) as loops:
        renewed = others[0].gatecert.run("enroll", HQ, "--force")
        assert renewed.exit_code == 0, renewed.errors
        wait_until(lambda: cluster.rows(TOLD) == STOPPED, "the roll-back", seconds=LONGEST)
        status = others[0].gatecert.status(HQ)
        assert "gw-a rolled it back" in status["warning"]
        assert "gatecert fleet resume" in status["warning_fix"]
        assert (status["fingerprint"], status["state"]) == (before, "trusted")
        assert [host.served for host in cluster.hosts] == [before] * 3

        with cluster.database.owner(DATABASE) as owner:
            owner.execute("SET search_path = gatecert")
            halt_rows.resume(owner)
        look_again(others)

        after = cluster.wait_same(others, other_than=before)
        assert [loop.fingerprints for loop in loops] == [[before], *[[before, after]] * 2]
        accepted.unlink()
        look_again([first])
        assert cluster.wait_same() == after
    cluster.wait_reported()
    assert cluster.pebble.orders() == 2
