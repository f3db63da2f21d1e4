"""docs/dynamic-dns.md as written: each configuration ends in a proven certificate.

The gateway is behind a router: it has a private address, port 80 is closed, and only resolvers and
web services see its public one. The services answer at their own names.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness.dns_services import TOKEN, DnsServices, zones
from harness.gatecert import Gatecert
from harness.named import Named, TsigKey
from harness.network import PrivateNetwork
from harness.nginx import Nginx
from harness.pebble import Pebble, PebblePorts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import ExitStack

PAGES = Path(__file__).parents[2] / "docs/dynamic-dns"
BOSTON = "boston"
INSIDE, OUTSIDE = "192.168.1.20", "100.200.30.40"
CUSTOMERS = {
    "duckdns": ("duckdns.org",),
    "desec": ("boston.dedyn.io", "dedyn.io"),
    "noip": ("ddns.net",),
    "cloudflare": ("example.com",),
    "rfc2136": ("example.com",),
}


@pytest.fixture
def network(tmp_path: Path) -> Iterator[PrivateNetwork]:
    made = PrivateNetwork(
        tmp_path / "network", addresses=[f"{INSIDE}/32"], forwarded=[f"{OUTSIDE}/32"]
    )
    with made as entered:
        yield entered


@pytest.fixture
def servers(network: PrivateNetwork, servers: ExitStack) -> ExitStack:  # noqa: ARG001
    """Stop the servers before the network namespace ends."""
    return servers


class Site:
    """Everything around a gateway that is set up as a page says."""

    def __init__(
        self, servers: ExitStack, network: PrivateNetwork, directory: Path, provider: str
    ) -> None:
        self.key = TsigKey()
        made = zones(OUTSIDE, *CUSTOMERS[provider])
        self.named = servers.enter_context(
            Named(directory / "named", zones=made, keys=[self.key], port=53)
        )
        self.services = servers.enter_context(
            DnsServices(directory / "services", self.named, self.key, seen=OUTSIDE)
        )
        self.pebble = servers.enter_context(
            Pebble(
                directory / "pebble",
                dns_server=self.named.address,
                ports=PebblePorts(tls_alpn01=844),
            )
        )
        self.gatecert = Gatecert(
            directory / "gatecert", environment=self.services.environment, network=network
        )
        self.configuration: dict[str, Any] = yaml.safe_load(
            (PAGES / f"{provider}.yaml").read_text("utf-8")
        )
        self.gateway = self.configuration["gateways"][BOSTON]
        self.secret = directory / "secret"
        self.secret.touch(0o600)
        self.secret.write_text(f"{TOKEN if provider != 'rfc2136' else self.key.secret}\n", "ascii")
        self._adapt(servers, directory)

    def _adapt(self, servers: ExitStack, directory: Path) -> None:
        """Replace what stands for things of the operator: files, the CA, the server's reload."""
        live = self.gatecert.files(BOSTON)
        port = int(self.gateway["install"]["verify"][0].rpartition(":")[2])
        self.nginx = Nginx(directory / "nginx", port=port, **live)
        self._servers = servers
        self.gateway["install"]["reload"] = self.nginx.reload_command
        for group in (self.configuration["challenges"].get("dns-01", {}), self.gateway["ddns"]):
            if "password_file" in group:
                group["password_file"] = str(self.secret)
            if "tsig" in group:
                group["tsig"]["secret_file"] = str(self.secret)
            for option in group.get("credentials", {}):
                group["credentials"][option] = str(self.secret)
        if "tls-alpn-01" in self.configuration["challenges"]:
            listen = {"listen": [f"0.0.0.0:{self.pebble.ports.tls_alpn01}"]}
            self.configuration["challenges"]["tls-alpn-01"] = listen
        self.configuration["authorities"]["letsencrypt"] |= {
            "directory_url": self.pebble.directory_url,
            "ca_bundle": str(self.pebble.https_certificate),
            "trusted_roots": str(self.pebble.root),
        }
        self.configuration["state_directory"] = str(self.gatecert.state_directory)
        self.configuration["resolver"] = {"interval": "1s"}
        self.gatecert.configuration = self.configuration

    def start(self) -> Gatecert:
        """Start the daemon, and the server once there is a certificate."""
        self.gatecert.write()
        checked = self.gatecert.run("check")
        assert checked.exit_code == 0, checked.errors + checked.output
        self.gatecert.start()
        self.gatecert.wait_bootstrapped(BOSTON)
        self._servers.enter_context(self.nginx)
        return self.gatecert


@pytest.fixture
def site(
    request: pytest.FixtureRequest, servers: ExitStack, network: PrivateNetwork, tmp_path: Path
) -> Iterator[Site]:
    made = Site(servers, network, tmp_path, request.param)
    yield made
    made.gatecert.__exit__(None, None, None)


@pytest.mark.parametrize("site", list(CUSTOMERS), indirect=True)
def test_a_page_ends_in_a_proven_certificate(site: Site) -> None:
    hostname = site.gateway["hostname"]
    site.services.hosts[hostname] = site.gateway["ddns"].get("username", hostname)
    site.services.set(hostname, "A", ["100.200.99.99"])  # of yesterday

    gatecert = site.start()

    gatecert.wait_for(lambda: gatecert.state(BOSTON) == "trusted", "a trusted certificate")
    assert site.services.records(hostname, "A") == [OUTSIDE]
    status = gatecert.status(BOSTON)
    assert status["served"] is True
    assert status["ddns"]["addresses"] == [OUTSIDE]
    assert status["ddns"]["error"] == ""
    doctor = gatecert.run("doctor", BOSTON, "--json")
    codes = {each["code"] for each in doctor.json()["findings"]}
    assert "ddns-ok" in codes
    assert TOKEN not in gatecert.process.output
