"""A daemon goes on without the fleet, from the files that gatecert fleet export has written."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from harness.pebble import PebbleOptions
from harness.waiting import wait_until

from .test_daemons import HQ, LONGEST, look_again, make_cluster

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from harness.postgres import DatabaseCertificates, EmptyCluster

    from .test_daemons import Cluster, Host


def leave_fleet(host: Host, cluster: Cluster) -> str:
    """Export, remove the section, and take the database away; return what the command said."""
    exported = host.gatecert.run("fleet", "export")
    assert (exported.exit_code, exported.errors) == (0, "")
    cluster.database.crash()
    del host.gatecert.configuration["fleet"]
    host.gatecert.start()
    return exported.output


def test_it_renews_with_the_account_of_the_cluster(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> None:
    """The host was down while another one renewed, and never had the account in its files."""
    cluster = make_cluster(servers, tmp_path, certificates, empty_cluster)
    issuer, other = cluster.hosts[:2]
    issuer.gatecert.start()
    wait_until(cluster.pebble.certificates, "a certificate", seconds=LONGEST)
    wait_until(lambda: cluster.rows("SELECT generation FROM version"), "its row")
    issuer.gatecert.process.stop()
    registered = cluster.pebble.accounts()
    ((url,),) = cluster.rows("SELECT url FROM account")

    told = leave_fleet(other, cluster)

    assert "account pebble: exported\n" in told
    assert f"gateway {HQ}: exported, generation 1\n" in told
    wait_until(partial(other.gatecert.is_enrolled, HQ), "the certificate", seconds=LONGEST)
    servers.enter_context(other.web)
    first = wait_until(lambda: other.served, "a handshake")
    look_again([other])
    wait_until(partial(other.is_proven, first), "its proof", seconds=LONGEST)
    assert cluster.pebble.orders() == 1

    leaf = (other.gatecert.live(HQ) / "cert.pem").read_text("ascii")
    past = datetime.now(UTC) - timedelta(hours=1)
    cluster.pebble.set_renewal_window(leaf, past - timedelta(hours=1), past)
    look_again([other])
    wait_until(lambda: other.served != first, "a renewal", seconds=LONGEST)
    wait_until(lambda: other.is_proven(other.served), "its proof", seconds=LONGEST)
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (2, 2)
    assert cluster.pebble.accounts() == registered
    account = other.gatecert.state_directory / "accounts" / "pebble" / "account.json"
    assert json.loads(account.read_text("utf-8"))["url"] == url


def test_it_finishes_the_open_order_of_another_host(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> None:
    options = PebbleOptions(reused_authorizations=0, slowest_validation=5)
    cluster = make_cluster(servers, tmp_path, certificates, empty_cluster, options)
    killed, other = cluster.hosts[:2]
    killed.gatecert.start()
    placed = "SELECT enrolment -> 'order' ->> 'url' FROM gateway"
    wait_until(lambda: [row for row in cluster.rows(placed) if row[0]], "an order", seconds=LONGEST)
    ((csr,),) = cluster.rows("SELECT csr FROM intent")
    killed.gatecert.process.kill()
    refused = other.gatecert.run("fleet", "export")
    assert refused.exit_code == 1
    assert f"another host orders for gateway {HQ} at the moment" in refused.errors
    cluster.rows("UPDATE gateway SET lease_until = clock_timestamp()", "SELECT 1")

    told = leave_fleet(other, cluster)

    assert f"gateway {HQ}: exported, no certificate of a CA yet, with its open order\n" in told
    wait_until(partial(other.gatecert.is_enrolled, HQ), "the certificate", seconds=LONGEST)
    ordered = x509.load_pem_x509_csr(str(csr).encode()).public_key()
    assert load_pem_private_key(other.private_key, None).public_key() == ordered
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (1, 1)
