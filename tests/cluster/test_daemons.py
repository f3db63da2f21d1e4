"""The configuration of docs/cluster.md: three daemons, one CA, one PostgreSQL server."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from cryptography import x509
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from gatecert.store.postgres.membership import add_cluster, add_host
from gatecert.store.postgres.migration import migrate
from harness.gatecert import Gatecert
from harness.handshake import served_certificate
from harness.named import Named, TsigKey, Zone
from harness.nginx import Nginx
from harness.pebble import Pebble, PebbleOptions
from harness.postgres import Postgres, make_directory
from harness.waiting import wait_until

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.postgres import DatabaseCertificates, EmptyCluster

HQ, HOSTNAME = "hq", "vpn.example.org"
NAMES = ("gw-a", "gw-b", "gw-c")
DATABASE = "gatecert"
LONGEST = 90.0  # seconds; a host looks again a minute after another one has ordered


def shown(sections: tuple[str, ...]) -> dict[str, Any]:
    """Return sections of the configuration that docs/cluster.md shows."""
    page = Path(__file__).parents[2] / "docs" / "cluster.md"
    below = page.read_text("utf-8").partition("\n## One certificate for all\n")[2]
    (text, *_) = re.findall(r"```yaml\n(.*?)```", below, re.DOTALL)
    configuration = yaml.safe_load(text)
    return {each: configuration[each] for each in sections}


@dataclass(frozen=True, slots=True)
class Host:
    """A host: its daemon, and the gateway that reads its files.

    Attributes:
        name: Its name in the cluster.
    """

    name: str
    gatecert: Gatecert
    web: Nginx

    def is_proven(self, fingerprint: str) -> bool:
        """Tell whether the gateway is trusted with this certificate."""
        status = self.gatecert.status(HQ)
        return (status["fingerprint"], status["state"]) == (fingerprint, "trusted")

    @property
    def served(self) -> str:
        """The fingerprint of what a client gets now."""
        return sha256(served_certificate("127.0.0.1", self.web.port, HOSTNAME)).hexdigest()

    def is_without_database(self) -> bool:
        """Tell whether an order was due, and not placed."""
        return self.gatecert.last_error(HQ) == "database-away"

    @property
    def private_key(self) -> bytes:
        return (self.gatecert.live(HQ) / "privkey.pem").read_bytes()


@dataclass(frozen=True, slots=True)
class Cluster:
    """The hosts and what they share."""

    hosts: Sequence[Host]
    database: Postgres
    pebble: Pebble
    named: Named

    def rows(self, *statements: str) -> list[tuple[object, ...]]:
        return self.database.execute("SET search_path = gatecert", *statements, database=DATABASE)

    def start_daemons(self) -> None:
        """Start all daemons."""
        for host in self.hosts:
            host.gatecert.start()

    def start_gateways(self, servers: ExitStack) -> None:
        """Start the servers that read the daemons' files."""
        for host in self.hosts:
            certificate = partial(host.gatecert.certificate, HQ)
            wait_until(certificate, f"a certificate of {host.name}", seconds=LONGEST)
            servers.enter_context(host.web)

    def wait_same(self, hosts: Sequence[Host] = (), *, other_than: str = "") -> str:
        """Wait until hosts are proven to serve one certificate; return its fingerprint.

        Bootstrap certificates differ from host to host.
        """
        hosts = hosts or self.hosts

        def same() -> str:
            found = {host.served for host in hosts}
            return found.pop() if len(found) == 1 and other_than not in found else ""

        fingerprint = wait_until(
            same, "one certificate on all hosts", seconds=LONGEST, interval=0.2
        )
        for host in hosts:
            wait_until(partial(host.is_proven, fingerprint), "its proof", seconds=LONGEST)
        assert len({host.private_key for host in hosts}) == 1
        return fingerprint

    def wait_enrolled(self) -> str:
        """Wait for the first certificate, without the minute for which hosts leave it to one."""
        wait_until(self.pebble.certificates, "a certificate", seconds=LONGEST)
        wait_until(lambda: self.rows("SELECT generation FROM version"), "its row")
        look_again(self.hosts)
        return self.wait_same()

    def wait_reported(self) -> None:
        """Wait until all hosts have reported that they serve the newest generation.

        Its number depends on whether an order was reserved before.
        """
        asked = (
            "SELECT host, outcome FROM deployment JOIN gateway ON name = gateway"
            " AND deployment.generation = gateway.generation ORDER BY host"
        )
        expected = [(name, "proven") for name in NAMES]
        wait_until(lambda: self.rows(asked) == expected, "the reports", seconds=LONGEST)


@pytest.fixture
def cluster(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> Cluster:
    """Three hosts whose daemons run, and whose gateways serve their bootstrap certificates."""
    made = make_cluster(servers, tmp_path, certificates, empty_cluster)
    made.start_daemons()
    made.start_gateways(servers)
    return made


@pytest.fixture
def slow_cluster(
    servers: ExitStack,
    tmp_path: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
) -> Cluster:
    """Three hosts whose daemons do not run yet, and a CA that takes seconds to validate."""
    options = PebbleOptions(reused_authorizations=0, slowest_validation=5)
    return make_cluster(servers, tmp_path, certificates, empty_cluster, options)


def make_cluster(
    servers: ExitStack,
    directory: Path,
    certificates: DatabaseCertificates,
    empty_cluster: EmptyCluster,
    options: PebbleOptions | None = None,
) -> Cluster:
    data = make_directory()
    servers.callback(shutil.rmtree, data)
    database = servers.enter_context(Postgres(data, certificates).copy(empty_cluster))
    database.execute(f"CREATE DATABASE {DATABASE}")
    migrate(lambda: database.owner(DATABASE, autocommit=False))
    with database.owner(DATABASE) as owner:
        add_cluster(owner, HQ)
        for name in NAMES:
            add_host(owner, HQ, name, f"hq-{name}")

    key = TsigKey()
    zone = Zone("example.org", records=("vpn IN A 127.0.0.1",))
    named = servers.enter_context(Named(directory / "named", zones=[zone], keys=[key]))
    pebble = servers.enter_context(
        Pebble(
            directory / "pebble",
            dns_server=named.address,
            options=options or PebbleOptions(reused_authorizations=0),
        )
    )
    secret_file = key.write_secret(directory / "tsig.secret")
    seal = directory / "seal"
    seal.touch(0o600)
    seal.write_bytes(Fernet.generate_key())
    hosts = []
    for name in NAMES:
        gatecert = Gatecert(directory / name).use(pebble, named)
        gatecert.configuration |= shown(("challenges", "fleet", "gateways"))
        dns_01 = gatecert.configuration["challenges"]["dns-01"]
        dns_01 |= {"server": named.address, "authoritative": [named.address], "ttl": "1s"}
        dns_01["tsig"]["secret_file"] = str(secret_file)
        login = database.login(f"hq-{name}", DATABASE)
        fleet = gatecert.configuration["fleet"]
        assert (fleet["cluster"], fleet["host"]) == (HQ, NAMES[0])
        fleet |= {"host": name, "sealing_keys": [str(seal)]}
        fleet["database"] = {
            "hosts": [f"127.0.0.1:{database.port}"],
            "certificate": str(login.certificate),
            "key": str(login.key),
            "ca_bundle": str(login.ca_bundle),
        }
        web = Nginx(directory / f"{name}-web", **gatecert.files(HQ))
        install = {"reload": web.reload_command, "verify": [web.address]}
        gatecert.configuration["gateways"][HQ] |= {"install": install, "addresses": ["127.0.0.1"]}
        checked = gatecert.write().run("check")
        assert checked.exit_code == 0, checked.errors
        assert f"host {name} of cluster hq" in checked.output
        servers.push(gatecert.__exit__)
        hosts.append(Host(name, gatecert, web))
    return Cluster(hosts, database, pebble, named)


def look_again(hosts: Sequence[Host]) -> None:
    """Have daemons look now instead of in a minute."""
    for host in hosts:
        host.gatecert.look_again()


def test_one_order_is_served_and_proven_by_all(cluster: Cluster) -> None:
    first = cluster.wait_same()
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (1, 1)
    cluster.wait_reported()
    shown = [host.gatecert.status(HQ)["fleet"]["words"] for host in cluster.hosts]
    assert shown == ["generation 1 proven on 3 of 3 hosts"] * 3

    renewed = cluster.hosts[1].gatecert.run("enroll", HQ, "--force")
    assert renewed.exit_code == 0, renewed.errors
    look_again(cluster.hosts)

    assert cluster.wait_same(other_than=first) != first
    cluster.wait_reported()
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (2, 2)


def test_a_host_that_was_down_catches_up(cluster: Cluster) -> None:
    first = cluster.wait_enrolled()
    *others, down = cluster.hosts
    down.gatecert.process.stop()
    renewed = others[0].gatecert.run("enroll", HQ, "--force")
    assert renewed.exit_code == 0, renewed.errors
    look_again(others)
    second = cluster.wait_same(others, other_than=first)
    assert down.served == first

    down.gatecert.start()

    assert cluster.wait_same() == second
    assert cluster.pebble.orders() == 2


def test_another_host_finishes_the_order_of_one_that_was_killed(
    servers: ExitStack, slow_cluster: Cluster
) -> None:
    """The lease of the dead host is made to end at once instead of after two minutes."""
    cluster = slow_cluster
    cluster.start_daemons()
    wait_until(cluster.pebble.orders, "an order", seconds=LONGEST)
    ((name, csr),) = cluster.rows(
        "SELECT lease_host, csr FROM gateway JOIN intent ON intent.gateway = gateway.name"
    )
    dead = next(host for host in cluster.hosts if host.name == name)
    dead.gatecert.process.kill()
    assert cluster.rows("SELECT generation, lease_host FROM gateway") == [(0, name)]
    cluster.rows("UPDATE gateway SET lease_until = clock_timestamp()", "SELECT 1")
    cluster.start_gateways(servers)
    others = [host for host in cluster.hosts if host is not dead]
    look_again(others)

    fingerprint = cluster.wait_same(others)

    ordered = x509.load_pem_x509_csr(str(csr).encode()).public_key()
    assert load_pem_private_key(others[0].private_key, None).public_key() == ordered
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (1, 1)
    dead.gatecert.start()
    assert cluster.wait_same() == fingerprint


def test_without_the_database_all_serve_on_and_none_orders(cluster: Cluster) -> None:
    first = cluster.wait_enrolled()
    cluster.database.crash()
    leaf = (cluster.hosts[0].gatecert.live(HQ) / "cert.pem").read_text("ascii")
    past = datetime.now(UTC) - timedelta(hours=1)
    cluster.pebble.set_renewal_window(leaf, past - timedelta(hours=1), past)
    look_again(cluster.hosts)
    for host in cluster.hosts:
        wait_until(host.is_without_database, "an order that is not placed", seconds=LONGEST)
        warning = host.gatecert.status(HQ)["warning"]
        assert re.fullmatch(
            r"database away since .{23}: serving on, no orders; 89 days left", warning
        )
        assert host.served == first
        assert host.is_proven(first)
    assert cluster.pebble.orders() == 1

    cluster.database.start()
    look_again(cluster.hosts)

    assert cluster.wait_same(other_than=first)
    cluster.wait_reported()
    assert (cluster.pebble.orders(), cluster.pebble.certificates()) == (2, 2)
    assert [host.gatecert.status(HQ)["warning"] for host in cluster.hosts] == ["", "", ""]
