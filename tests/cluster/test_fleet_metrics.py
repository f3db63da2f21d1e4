"""Metrics and status page of a host whose daemon follows the fleet's database."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from harness.pgbouncer import PgBouncer
from harness.ports import free_port
from harness.postgres import HOST
from harness.waiting import wait_until

from .configured_host import configured_host

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from .conftest import FleetDatabase

LONGEST = 60.0  # seconds; the follower looks at least every 30 s
ROLE = "hq-gw-a"
AGREED = {"terms_of_service_agreed": True}
LETS_ENCRYPT = "https://acme-v02.api.letsencrypt.org/directory"
DEPLOYED = """
INSERT INTO deployment (cluster, gateway, host, generation, outcome)
VALUES ('hq', 'vpn', 'gw-a', 3, 'proven'), ('hq', 'old', 'gw-a', 2, 'failed')
"""
OPEN_ORDERS = f"""
INSERT INTO intent (cluster, gateway, generation, request, directory_url, host, csr, sealed_key)
VALUES ('hq', 'vpn', 4, 'order-1', '{LETS_ENCRYPT}', 'gw-b', 'csr', 'key'),
  ('hq', 'old', 3, 'left-1', '{LETS_ENCRYPT}', 'gw-b', 'csr', 'key')
"""
LEASE = """
UPDATE gateway SET lease = gen_random_uuid(), lease_host = 'gw-b',
  lease_until = now() + interval '1 hour' WHERE name = 'vpn'
"""
GATEWAYS = """
INSERT INTO gateway (cluster, name, generation)
VALUES ('hq', 'vpn', 3), ('hq', 'old', 2), ('hq', 'field/site1.ddns.example', 1)
"""
VERSIONS = """
INSERT INTO version (cluster, gateway, generation, fingerprint, not_after, host, certificate,
  sealed_key)
SELECT cluster, name, generation, 'f', now(), 'gw-b', 'c',
  CASE WHEN name NOT LIKE 'field/%' THEN 'key'::bytea END
FROM gateway
"""
ROWS = (
    GATEWAYS,
    VERSIONS,
    DEPLOYED,
    OPEN_ORDERS,
    LEASE,
    "UPDATE fleet SET brake_since = now(), brake_reason = '5 of 60'",
    "SELECT 1",
)


class Watched:
    """A running host, and what it shows.

    Attributes:
        pooler: The way to the database, which a test may close.
    """

    def __init__(self, fleet: FleetDatabase, directory: Path) -> None:
        self.pooler = PgBouncer(fleet.server, [ROLE], mode="session")
        self.gatecert = configured_host(fleet, ROLE, directory)
        self.gatecert.configuration["authorities"] = {"letsencrypt": AGREED}
        self.gatecert.configuration["gateways"]["vpn"]["mode"] = (
            "custom"  # so that it orders nothing
        )
        self._ports = {"metrics": free_port(), "page": free_port()}
        for what, port in self._ports.items():
            self.gatecert.configuration[what] = {"listen": [f"{HOST}:{port}"]}
        self.gatecert.configuration["fleet"]["database"]["hosts"] = [f"{HOST}:{self.pooler.port}"]

    def metrics(self) -> dict[str, float]:
        """Return the samples of the fleet by name and labels."""
        text = self._get("metrics", "metrics")
        found = re.findall(r"^gatecert_fleet_(\S+) (\S+)$", text, re.MULTILINE)
        return {name: float(value) for name, value in found}

    def page(self) -> str:
        """Return the page of all gateways."""
        return self._get("page", "")

    def _get(self, what: str, path: str) -> str:
        with urlopen(f"http://{HOST}:{self._ports[what]}/{path}", timeout=10) as response:
            text: str = response.read().decode()
        return text

    def wait_up(self, *, up: bool) -> None:
        """Wait until the host shows whether it can use the database."""

        def shows() -> bool:
            try:
                return self.metrics().get("database_up") == float(up)
            except OSError:
                return False  # it starts

        what = f"metrics of a database that is {'up' if up else 'away'}"
        wait_until(shows, what, seconds=LONGEST)


@pytest.fixture
def watched(database: FleetDatabase, servers: ExitStack, tmp_path: Path) -> Watched:
    database.execute(*ROWS)
    watched = Watched(database, tmp_path)
    servers.enter_context(watched.pooler)
    servers.push(watched.gatecert.__exit__)
    watched.gatecert.start()
    return watched


def test_what_the_follower_sees_is_shown(watched: Watched) -> None:
    watched.wait_up(up=True)
    found = watched.metrics()
    since = found.pop("database_since_timestamp_seconds")
    assert found == {
        "database_up": 1,
        'hosts{state="live"}': 1,
        'hosts{state="silent"}': 1,
        "gateways_behind": 1,
        'orders_in_flight{authority="letsencrypt"}': 1,
        'halted{by="pause"}': 0,
        'halted{by="brake"}': 1,
    }
    page = watched.page()
    assert "5 of 60; only what ends within a day goes on" in page
    assert "silent hosts: gw-b" in page

    watched.pooler.process.stop()

    watched.wait_up(up=False)
    away = watched.metrics()
    assert away.keys() == {"database_up", "database_since_timestamp_seconds"}
    assert away["database_since_timestamp_seconds"] > since
    assert "database away since " in watched.page()

    watched.pooler.start()

    watched.wait_up(up=True)
    assert "database away" not in watched.page()
