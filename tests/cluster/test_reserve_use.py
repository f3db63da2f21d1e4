"""Three daemons, a CA, and a database that is away until a certificate has nearly ended."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from harness.false_clock import false_clock
from harness.pebble import PebbleOptions
from harness.waiting import wait_until

from .test_daemons import HQ, LONGEST, Cluster, Host, look_again, make_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence
    from contextlib import ExitStack
    from pathlib import Path

    from harness.named import Named
    from harness.postgres import DatabaseCertificates, EmptyCluster

HOLDER = "SELECT reserve_host FROM gateway WHERE reserve > generation"
SHORT, LONG = "short", "long"
PROFILES = {SHORT: 26 * 3600, LONG: 90 * 86_400}  # seconds


@pytest.fixture
def clock(tmp_path: Path) -> Path:
    """The file with what the clocks of all hosts are ahead of the CA's, a day at most."""
    path = tmp_path / "clock"
    path.write_text("+0")
    return path


@pytest.fixture
def cluster(
    servers: ExitStack,
    tmp_path: Path,
    clock: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> Cluster:
    """Hosts that serve a certificate of 26 hours; the next one lasts longer."""
    options = PebbleOptions(profiles=PROFILES, reused_authorizations=0)
    made = make_cluster(servers, tmp_path, certificates, empty_cluster, options)
    accept_unsigned_updates(made.named, tmp_path / "named" / "named.conf")
    for host in made.hosts:
        host.gatecert.process.add_environment(false_clock(f"@{clock}"))
        host.gatecert.configuration["authorities"]["pebble"]["profile"] = SHORT
        del host.gatecert.configuration["challenges"]["dns-01"]["tsig"]
    made.start_daemons()
    made.start_gateways(servers)
    made.wait_enrolled()
    for host in made.hosts:
        host.gatecert.configuration["authorities"]["pebble"]["profile"] = LONG
        host.gatecert.reload()
    return made


def test_the_host_that_has_the_reserved_order_renews_without_the_database(
    cluster: Cluster, clock: Path
) -> None:
    first = cluster.hosts[0].served
    look_again(cluster.hosts)
    ((name,),) = wait_until(lambda: cluster.rows(HOLDER), "a reserved order", seconds=LONGEST)
    (holder,) = (host for host in cluster.hosts if host.name == name)
    others = [host for host in cluster.hosts if host.name != name]
    wait_until((holder.gatecert.live(HQ).parent / "reserve.json").exists, "it in a file")
    cluster.database.crash()
    leaf = (holder.gatecert.live(HQ) / "cert.pem").read_text("ascii")
    past = datetime.now(UTC) - timedelta(hours=1)
    cluster.pebble.set_renewal_window(leaf, past - timedelta(hours=1), past)
    look_again(cluster.hosts)
    for host in cluster.hosts:
        wait_until(partial(is_away, host), "a database that is away", seconds=LONGEST)

    set_clock(cluster, clock, "+22h")  # more than a tenth is left
    set_clock(cluster, clock, "+1425m")  # less, but the database is away for 23:45 hours only
    assert (cluster.pebble.orders(), {host.served for host in cluster.hosts}) == (1, {first})

    set_clock(cluster, clock, "+86395s", others)  # a day after the crash, less five seconds
    second = cluster.wait_same([holder], other_than=first)
    assert [host.served for host in others] == [first, first]
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (2, 2)

    clock.write_text("+0")
    cluster.database.start()
    look_again(cluster.hosts)
    assert cluster.wait_same(other_than=first) == second
    cluster.wait_reported()
    assert cluster.rows("SELECT max(generation) FROM version") == [(2,)]
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (2, 2)


def accept_unsigned_updates(named: Named, configuration: Path) -> None:
    """Have a nameserver accept updates of hosts with another clock, which they cannot sign."""
    named.process.stop()
    text, changes = re.subn(
        r"update-policy {.*?}", "allow-update { any; }", configuration.read_text()
    )
    assert changes == 1
    configuration.write_text(text)
    named.start()


def is_away(host: Host) -> bool:
    """Tell whether a host has found out that the database is away."""
    return "database away" in host.gatecert.status(HQ)["warning"]


def set_clock(cluster: Cluster, clock: Path, ahead: str, waiting: Sequence[Host] = ()) -> None:
    """Set the clocks of all hosts; wait until all, or those given, have found the database away."""
    hosts = waiting or cluster.hosts
    before = {host.name: last_error(host) for host in hosts}
    clock.write_text(ahead)
    look_again(cluster.hosts)

    def have_looked() -> bool:
        after = {host.name: last_error(host) for host in hosts}
        return all(
            code == "database-away" and (code, at) != before[name]
            for name, (code, at) in after.items()
        )

    wait_until(have_looked, f"orders that are not placed at {ahead}", seconds=LONGEST, interval=1)


def last_error(host: Host) -> tuple[str, str]:
    """Return the last problem of a host, and its time."""
    error = host.gatecert.status(HQ)["last_error"] or {"code": "", "at": ""}
    return error["code"], error["at"]
