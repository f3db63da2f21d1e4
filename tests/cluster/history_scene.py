"""Two hosts of a cluster, their gateways and clients, a CA and a database, for histories."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from harness.false_clock import false_clock
from harness.gatecert import Gatecert
from harness.handshake import HandshakeLoop
from harness.named import Named, TsigKey, Zone
from harness.nginx import Nginx
from harness.pebble import Pebble, PebbleOptions
from harness.process import BackgroundProcess
from harness.waiting import wait_until

from .configured_host import sealing_key
from .conftest import FleetDatabase
from .cut_link import Link
from .history import History, KeptVersion

if TYPE_CHECKING:
    from contextlib import ExitStack


PROGRAM = Path(__file__).with_name("history_host.py")
ROLES = {"hq-gw-a": "gw-a", "hq-gw-b": "gw-b"}
GATEWAY, HOSTNAME = "hq", "vpn.example.org"
LIMIT = 5  # orders
LONGEST = 90.0  # seconds


@dataclass(slots=True)
class Host:
    """A host: its process, the gateway that reads its files, and a client of that.

    Attributes:
        name: Its name in the cluster.
    """

    name: str
    gatecert: Gatecert
    web: Nginx
    process: BackgroundProcess
    client: HandshakeLoop = field(init=False)

    def __post_init__(self) -> None:
        self.client = HandshakeLoop("127.0.0.1", self.web.port, HOSTNAME)

    @property
    def served(self) -> str:
        return self.client.fingerprints[-1] if self.client.fingerprints else ""

    def kept(self) -> list[KeptVersion]:
        """Return the versions in its files that come from the CA."""
        found = []
        for meta in self.gatecert.state_directory.glob(f"gateways/{GATEWAY}/versions/*/meta.json"):
            generation = json.loads(meta.read_text("utf-8")).get("generation", 0)
            if generation:
                pem = meta.with_name("cert.pem").read_bytes()
                found.append(KeptVersion.of(generation, pem))
        return found

    def journal(self) -> frozenset[str]:
        """Return the ids of the orders that it has counted in its files."""
        requests = [
            request
            for path in (self.gatecert.state_directory / "spending").glob("*.jsonl")
            for line in path.read_text("utf-8").splitlines()
            for request in json.loads(line).get("counted", ())
        ]
        return frozenset(each["id"] for each in requests if each["kind"] == "order")


@dataclass(frozen=True, slots=True)
class Scene:
    """A cluster whose hosts are about to order their first certificate.

    Attributes:
        hosts: By name.
        links: Of the hosts to the database, by name; empty if they are direct.
    """

    fleet: FleetDatabase
    hosts: Mapping[str, Host]
    pebble: Pebble
    links: Mapping[str, Link]

    def reached(self, point: str) -> str:
        """Return the host that orders once an order has come so far: its name; else nothing.

        Args:
            point: ``intent``, ``order`` or ``certificate``.
        """
        if point == "order" and not self.pebble.orders():
            return ""
        if point == "certificate" and not self.pebble.certificates():
            return ""
        found = self.fleet.execute(
            "SELECT lease_host FROM gateway JOIN intent ON intent.gateway = gateway.name"
            " WHERE lease_host IS NOT NULL AND lease_until > now()"
        )
        return str(found[0][0]) if found else ""

    def wait_reached(self, point: str) -> tuple[Host, Host]:
        """Wait until an order has come so far; return the host that orders, and the other one."""
        name = wait_until(
            partial(self.reached, point), point, seconds=LONGEST, interval=0.005, explain=self.tail
        )
        (other,) = (host for each, host in self.hosts.items() if each != name)
        return self.hosts[name], other

    def wait_served(self, *hosts: Host) -> None:
        """Wait until clients of these hosts get the newest version."""

        def served() -> bool:
            newest = self.fleet.execute("SELECT fingerprint FROM version")
            return [(host.served,) for host in hosts] == newest * len(hosts) != []

        wait_until(served, "the newest version", seconds=LONGEST, explain=self.tail)

    def tail(self) -> str:
        return "\n".join(f"{name}:\n{host.process.tail(25)}" for name, host in self.hosts.items())

    def history(self) -> History:
        """Collect what has happened."""
        ((newest, fingerprint),) = self.fleet.execute("SELECT generation, fingerprint FROM version")
        expenses = self.fleet.execute("SELECT id, at::text FROM expense WHERE kind = 'order'")
        return History(
            orders=self.pebble.orders(),
            certificates=self.pebble.certificates(),
            due=1,
            expenses=frozenset((str(identifier), str(at)) for identifier, at in expenses),
            limit=LIMIT,
            journals=frozenset().union(*(host.journal() for host in self.hosts.values())),
            newest=(int(str(newest)), str(fingerprint)),
            kept={name: host.kept() for name, host in self.hosts.items()},
            served={name: host.client.fingerprints for name, host in self.hosts.items()},
            handshakes=sum(len(host.client.handshakes) for host in self.hosts.values()),
            failures={
                name: [each.error for each in host.client.failures]
                for name, host in self.hosts.items()
            },
        )


def set_scene(
    servers: ExitStack,
    fleet: FleetDatabase,
    directory: Path,
    *,
    kind: str = "",
    links: Mapping[str, Link] | None = None,
    clock_of_first: str = "",
) -> Scene:
    """Start everything; the hosts' gateways serve bootstrap certificates.

    Args:
        servers: Ends everything.
        fleet: The database.
        directory: For all files.
        kind: ``naive`` for hosts without the rules.
        links: The way of each host to its database, by its role; None for a direct one.
        clock_of_first: How wrong the clock of the first host is, as for `false_clock`.
    """
    key = TsigKey()
    zone = Zone("example.org", records=("vpn IN A 127.0.0.1",))
    named = servers.enter_context(Named(directory / "named", zones=[zone], keys=[key]))
    options = PebbleOptions(reused_authorizations=0, rejected_nonces=0)
    pebble = Pebble(directory / "pebble", dns_server=named.address, options=options)
    servers.enter_context(pebble)
    secret_file = key.write_secret(directory / "tsig.secret")
    hosts: dict[str, Host] = {}
    for role, name in ROLES.items():
        login = fleet.logins[role]
        gatecert = Gatecert(directory / name)
        gatecert.use(pebble, named, limits={"orders": f"{LIMIT}/3h"})
        gatecert.configuration["challenges"] = {
            "dns-01": {
                "provider": "rfc2136",
                "server": named.address,
                "authoritative": [named.address],
                "ttl": "1s",
                "tsig": {
                    "name": key.name,
                    "algorithm": key.algorithm,
                    "secret_file": str(secret_file),
                },
            }
        }
        direct = [f"{server}:{port}" for server, port in login.hosts]
        link = links[role] if links else None
        gatecert.configuration["fleet"] = {
            "database": {
                "hosts": [link.address] if link else direct,
                "name": login.name,
                "certificate": str(login.certificate),
                "key": str(login.key),
                "ca_bundle": str(login.ca_bundle),
            },
            "cluster": "hq",
            "host": name,
            "sealing_keys": [str(sealing_key(directory, "seal"))],
        }
        web = Nginx(directory / f"{name}-web", **gatecert.files(GATEWAY))
        gatecert.add_gateway(
            GATEWAY,
            HOSTNAME,
            challenge="dns-01",
            install={"reload": web.reload_command, "verify": [web.address]},
        ).write()
        process = BackgroundProcess(
            [sys.executable, str(PROGRAM), str(gatecert.configuration_file), kind],
            log=gatecert.configuration_file.with_name("host.log"),
            environment=false_clock(clock_of_first) if clock_of_first and not hosts else None,
        )
        hosts[name] = Host(name, gatecert, web, process)
    for host in hosts.values():
        servers.enter_context(host.process)
    for host in hosts.values():
        wait_until(
            partial(host.gatecert.certificate, GATEWAY),
            "a certificate",
            seconds=LONGEST,
            explain=host.process.tail,
        )
        servers.enter_context(host.web)
        servers.enter_context(host.client)
    named_links = {ROLES[role]: link for role, link in (links or {}).items()}
    return Scene(fleet, hosts, pebble, named_links)
