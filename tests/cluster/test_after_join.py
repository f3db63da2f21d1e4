"""A host that has enrolled by itself joins a cluster while its daemon runs."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from harness.waiting import wait_until

from .test_daemons import HQ, LONGEST, look_again, make_cluster

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.postgres import DatabaseCertificates, EmptyCluster


def test_the_others_serve_its_certificate_and_renew_with_its_account(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> None:
    cluster = make_cluster(servers, tmp_path, certificates, empty_cluster)
    single, other = cluster.hosts[:2]
    fleet = single.gatecert.configuration.pop("fleet")
    single.gatecert.start()
    wait_until(partial(single.gatecert.is_enrolled, HQ), "a certificate", seconds=LONGEST)
    servers.enter_context(single.web)
    look_again([single])
    first = single.served
    wait_until(partial(single.is_proven, first), "its proof", seconds=LONGEST)
    version = single.gatecert.live(HQ).readlink()

    single.gatecert.configuration["fleet"] = fleet
    joined = single.gatecert.write().run("fleet", "join")
    assert (joined.exit_code, joined.errors) == (0, "")
    other.gatecert.start()
    wait_until(partial(other.gatecert.is_enrolled, HQ), "the certificate", seconds=LONGEST)
    servers.enter_context(other.web)
    look_again([other])

    assert cluster.wait_same([single, other]) == first
    assert cluster.pebble.orders() == 1
    assert single.gatecert.live(HQ).readlink() == version  # not deployed once more
    renewed = other.gatecert.run("enroll", HQ, "--force")
    assert renewed.exit_code == 0, renewed.errors
    look_again([single, other])
    assert cluster.wait_same([single, other], other_than=first)
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (2, 2)
    assert cluster.pebble.accounts() == 1
