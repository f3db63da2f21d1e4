"""The configurations of docs/cluster.md: hosts enrol and renew for one name."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from harness.gatecert import Gatecert
from harness.named import Named, TsigKey, Zone
from harness.nginx import Nginx
from harness.pebble import Pebble, PebbleOptions
from harness.ports import free_port
from harness.recipe import Recipe

if TYPE_CHECKING:
    from contextlib import ExitStack

    from harness.challenge_test_server import ChallengeTestServer

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cluster.md"
HQ = "hq"
HOSTNAME = "vpn.example.org"
TEXTS = f"_acme-challenge.{HOSTNAME}"


def shown(heading: str) -> dict[str, Any]:
    """Return the configuration below a heading."""
    section = PAGE.read_text("utf-8").partition(f"\n## {heading}\n")[2]
    (text, *_) = re.findall(r"```yaml\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    return dict(yaml.safe_load(text))


class Host:
    """One of the hosts: gatecert with the page's configuration, and a gateway.

    Args:
        directory: For both.
        configuration: That of the page; what names this machine's servers is replaced.
    """

    def __init__(self, directory: Path, configuration: dict[str, Any]) -> None:
        self.gatecert = Gatecert(directory)
        self._directory = directory
        self.gatecert.configuration["challenges"] = configuration["challenges"]
        self.gateway = configuration["gateways"][HQ]
        self.gatecert.configuration["gateways"][HQ] = self.gateway

    def use(self, pebble: Pebble, names: ChallengeTestServer | Named) -> None:
        """Enrol with this CA, keeping the page's challenges."""
        challenges = self.gatecert.configuration["challenges"]
        self.gatecert.use(pebble, names)
        self.gatecert.configuration["challenges"] = challenges

    def serve(self, servers: ExitStack) -> None:
        """Start the daemon, and a gateway with its bootstrap certificate."""
        web = Nginx(self._directory / "web", **self.gatecert.files(HQ))
        self.gateway["install"] = {"reload": web.reload_command, "verify": [web.address]}
        servers.push(self.gatecert.__exit__)
        self.gatecert.start()
        self.gatecert.wait_bootstrapped(HQ)
        servers.enter_context(web)

    def account(self) -> str:
        """Return the URL of its ACME account."""
        shown = self.gatecert.run("account", "show", "--json").json()
        return str(shown["accounts"][0]["url"])

    def wait_proven(self) -> bytes:
        """Wait until the gateway serves a trusted certificate; return its key."""
        self.gatecert.wait_for(
            lambda: self.gatecert.state(HQ) == "trusted", "a proven certificate", seconds=40.0
        )
        return (self.gatecert.live(HQ) / "privkey.pem").read_bytes()


def keys_of_two_generations(hosts: list[Host], servers: ExitStack) -> list[bytes]:
    """Enrol the hosts, renew them at the same time, and return all keys."""
    for host in hosts:
        host.serve(servers)
    keys = [host.wait_proven() for host in hosts]
    with ThreadPoolExecutor() as pool:
        results = list(pool.map(lambda host: host.gatecert.run("enroll", "--force"), hosts))
    assert [result.errors for result in results if result.exit_code] == []
    return keys + [host.wait_proven() for host in hosts]


def test_dns_01_on_each_host(servers: ExitStack, tmp_path: Path) -> None:
    key = TsigKey()
    zone = Zone("example.org", records=("vpn IN A 203.0.113.7",))
    named = servers.enter_context(Named(tmp_path / "named", zones=[zone], keys=[key]))
    pebble = servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=named.address,
            options=PebbleOptions(reused_authorizations=0),
        )
    )
    hosts = []
    for number in (1, 2, 3):
        configuration = shown("dns-01 on each host")
        dns = configuration["challenges"]["dns-01"]
        assert dns["tsig"].keys() == {"name", "algorithm", "secret_file"}
        dns |= {"server": named.address, "authoritative": [named.address], "ttl": "1s"}
        dns["tsig"] = {
            "name": key.name,
            "algorithm": key.algorithm,
            "secret_file": str(key.write_secret(tmp_path / "tsig.secret")),
        }
        hosts.append(Host(tmp_path / f"host-{number}", configuration))
        hosts[-1].use(pebble, named)
        checked = hosts[-1].gatecert.write().run("check")
        assert (checked.exit_code, checked.errors) == (0, ""), checked.errors

    keys = keys_of_two_generations(hosts, servers)

    assert len(set(keys)) == 6
    assert len({host.account() for host in hosts}) == 3
    assert len({host.gatecert.certificate(HQ) for host in hosts}) == 3
    assert named.texts(TEXTS) == []


def test_check_counts_the_members_of_the_page(tmp_path: Path) -> None:
    host = Host(tmp_path, shown("dns-01 on each host"))
    host.gatecert.configuration["authorities"]["letsencrypt"] = {"terms_of_service_agreed": True}
    secret = TsigKey().write_secret(tmp_path / "tsig.secret")
    dns_01 = host.gatecert.configuration["challenges"]["dns-01"]
    dns_01["tsig"]["secret_file"] = str(secret)
    host.gateway["install"] = {"verify": ["127.0.0.1:443"]}
    for count, is_noted in ((4, False), (5, True)):
        host.gateway["members"] = {
            f"node{each}": {"common_name": f"node{each}.example.org"} for each in range(count)
        }
        checked = host.gatecert.write().run("check")
        assert checked.exit_code == 0, checked.errors
        assert "virtual IP" not in checked.output
        assert (f"{count} hosts share {HOSTNAME}" in checked.output) == is_noted


@pytest.mark.parametrize("holder", [0, 1], ids=["first", "second"])
def test_http_01_reaches_the_host_that_ordered(
    servers: ExitStack, tmp_path: Path, names: ChallengeTestServer, pebble: Pebble, holder: int
) -> None:
    """Either host may hold the virtual address: nginx there asks both, in another order."""
    ports = [free_port(), free_port()]
    others = ports[::-1] if holder else ports
    here = {"0.0.0.0:80": f"127.0.0.1:{pebble.ports.http01}", "[::]:80": ""}
    places = here | {
        "192.0.2.11:888": f"127.0.0.1:{others[0]}",
        "192.0.2.12:888": f"127.0.0.1:{others[1]}",
    }
    recipe = "nginx-http-01-pair.conf"
    servers.enter_context(
        Recipe(tmp_path / "holder", recipe, port=pebble.ports.http01, places=places)
    )
    hosts = []
    for number, port in enumerate(ports):
        configuration = shown("http-01, forwarded to the right host")
        assert configuration["challenges"] == {"http-01": {"listen": ["192.0.2.11:888"]}}
        configuration["challenges"] = {"http-01": {"listen": [f"127.0.0.1:{port}"]}}
        assert configuration["gateways"][HQ]["addresses"] == ["203.0.113.7"]
        configuration["gateways"][HQ]["addresses"] = ["127.0.0.1"]
        hosts.append(Host(tmp_path / f"host-{number}", configuration))
        hosts[-1].use(pebble, names)
    names.point(HOSTNAME, "127.0.0.1")

    keys = keys_of_two_generations(hosts, servers)

    assert len(set(keys)) == 4


@pytest.mark.parametrize("member", ["primary", "spare", None])
def test_the_members_of_the_page_are_valid(gatecert: Gatecert, member: str | None) -> None:
    gateway = shown("Certificates of members")["gateways"][HQ]
    gatecert.configuration["gateways"][HQ] = {**gateway, "member": member}
    gatecert.write()
    result = gatecert.run("check")
    assert result.exit_code == 0, result.errors
