"""Certificates a second of a fleet: eight hosts that share limits and database, against one.

Each host is a daemon with a cluster, and gateways, of its own. They validate by dns-01.
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Final

import psutil
from cryptography.fernet import Fernet

from bench.figures import Figure
from bench.scene import LIMITS, MeasuredDaemon
from gatecert.store.postgres.membership import add_cluster, add_host
from gatecert.store.postgres.migration import migrate
from harness.named import Named, TsigKey, Zone
from harness.pebble import Pebble
from harness.postgres import DatabaseCertificates, EmptyCluster, Postgres, make_directory
from harness.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from bench.scene import Scene

NAME: Final = "gatecert"
ZONE: Final = "fleet.example"
HOSTS: Final = 8
ALONE: Final = 10  # part of the certificates that one host orders, one after the other
AT_ONCE: Final = 20  # orders in progress for each host that orders
UNTIMED: Final = 10  # part of the certificates at the beginning, and at the end
WANTED: Final = 10.0  # times the certificates of one order after the other
EACH: Final = 2.0  # seconds at most for a certificate


@dataclass(frozen=True, slots=True)
class Rate:
    """The rate at which certificates were issued.

    Attributes:
        certificates: A second.
        busy: Processors of the machine that were busy meanwhile, in percent of all.
    """

    certificates: float
    busy: float


def issuance(scene: Scene) -> Iterator[Figure]:
    """Issue the same number of certificates by one host and by eight."""
    count = scene.sizes.issued
    with ExitStack() as servers:
        fleet = IssuingFleet.start(scene, servers)
        scene.say(f"  issuing {count} certificates by {HOSTS} hosts, and as many by one")
        alone = fleet.rate("alone", 1, count // ALONE, most_orders=1)
        one = fleet.rate("one", 1, count, most_orders=AT_ONCE)
        many = fleet.rate("many", HOSTS, count, most_orders=HOSTS * AT_ONCE)
    yield Figure(
        "issuance, 1 host, one order after the other", "certificates/s", [alone.certificates]
    )
    yield Figure("issuance, 1 host", "certificates/s", [one.certificates])
    yield Figure("issuance, 1 host: processors busy", "%", [one.busy])
    yield Figure(f"issuance, {HOSTS} hosts", "certificates/s", [many.certificates])
    yield Figure(f"issuance, {HOSTS} hosts: processors busy", "%", [many.busy])
    yield Figure(
        f"issuance, {HOSTS} hosts: times as fast as one order after the other",
        "",
        [many.certificates / alone.certificates],
        wanted=WANTED,
        at_least=True,
    )


@dataclass(frozen=True, slots=True)
class IssuingFleet:
    """The servers that the hosts share."""

    directory: Path
    database: Postgres
    named: Named
    pebble: Pebble
    secret: Path
    seal: Path

    @classmethod
    def start(cls, scene: Scene, servers: ExitStack) -> IssuingFleet:
        """Start a database and a nameserver; Pebble validates by it."""
        data, directory = make_directory(), scene.directory / "fleet"
        servers.callback(rmtree, data)
        database = Postgres(data, DatabaseCertificates(directory / "certificates"))
        servers.enter_context(database.copy(EmptyCluster.make(data)))
        database.execute(f"CREATE DATABASE {NAME}")
        migrate(lambda: database.owner(NAME, autocommit=False))
        key = TsigKey()
        named = Named(directory / "named", zones=[Zone(ZONE)], keys=[key])
        servers.enter_context(named)
        options = scene.pebble.options
        pebble = Pebble(directory / "pebble", dns_server=named.address, options=options)
        servers.enter_context(pebble)
        seal = directory / "seal"
        seal.touch(0o600)
        seal.write_bytes(Fernet.generate_key())
        secret = key.write_secret(directory / "tsig.secret")
        return cls(directory, database, named, pebble, secret, seal)

    def rate(self, name: str, hosts: int, count: int, **authority: Any) -> Rate:  # noqa: ANN401 - configuration
        """Issue certificates by some hosts, each for its share of new names.

        Args:
            name: Distinguishes the names.
            hosts: Their number.
            count: Of the certificates.
            authority: Further configuration keys of the CA.
        """
        daemons = [self._host(f"{name}-{host}", count // hosts, authority) for host in range(hosts)]
        with ExitStack() as running:
            for daemon in daemons:
                running.enter_context(daemon)
            total = hosts * (count // hosts)
            untimed = total // UNTIMED
            wait(daemons, untimed, total)
            first, begin = enrolled(daemons), time.monotonic()
            psutil.cpu_percent()
            wait(daemons, total - untimed, total)
            timed, seconds = enrolled(daemons) - first, time.monotonic() - begin
            return Rate(timed / seconds, psutil.cpu_percent())

    def _host(self, name: str, count: int, authority: dict[str, Any]) -> MeasuredDaemon:
        with self.database.owner(NAME) as owner:
            add_cluster(owner, name)
            add_host(owner, name, "gw", name)
        login = self.database.login(name, NAME)
        daemon = MeasuredDaemon(self.directory / name)
        daemon.use(self.pebble, self.named, limits=LIMITS, **authority)
        daemon.configuration |= {
            "challenges": {
                "dns-01": {
                    "provider": "rfc2136",
                    "server": self.named.address,
                    "authoritative": [self.named.address],
                    "ttl": "1s",
                    "tsig": {
                        "name": "gatecert",
                        "algorithm": "hmac-sha256",
                        "secret_file": str(self.secret),
                    },
                }
            },
            "fleet": {
                "database": {
                    "hosts": [f"127.0.0.1:{self.database.port}"],
                    "certificate": str(login.certificate),
                    "key": str(login.key),
                    "ca_bundle": str(login.ca_bundle),
                },
                "cluster": name,
                "host": "gw",
                "sealing_keys": [str(self.seal)],
            },
        }
        for number in range(count):
            daemon.add_gateway(f"g{number}", f"{name}-{number}.{ZONE}", challenge="dns-01")
        return daemon


def enrolled(daemons: Sequence[MeasuredDaemon]) -> int:
    """Count the certificates that the hosts have obtained."""
    return sum(len(daemon.enrolled()) for daemon in daemons)


def wait(daemons: Sequence[MeasuredDaemon], count: int, total: int) -> None:
    """Wait until so many certificates of all are there."""
    wait_until(
        lambda: enrolled(daemons) >= count,
        f"{count} certificates",
        seconds=30 + EACH * total,
        interval=0.05,
        explain=lambda: "\n".join(daemon.process.tail(20) for daemon in daemons),
    )
