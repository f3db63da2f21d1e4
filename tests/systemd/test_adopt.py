"""``gatecert adopt`` on a Debian whose nginx was set up with certbot, as an operator moves it.

certbot runs outside, against the test's CA; its directory is copied into the machine.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest

from harness.challenge_test_server import ChallengeTestServer
from harness.handshake import HandshakeLoop, served_certificate
from harness.machine.booted import Machine
from harness.neighbour import run
from harness.other_clients import Certbot
from harness.pebble import Pebble, PebbleOptions, PebblePorts

from .conftest import PROJECT

if TYPE_CHECKING:
    from contextlib import ExitStack
    from pathlib import Path

    from .conftest import Installed

HOSTNAME: Final = "shop.widgets.dynamic-m.com"
PUBLIC: Final = "45.33.32.11"  # of this namespace alone
OLD: Final = f"/etc/letsencrypt/live/{HOSTNAME}"
LIVE: Final = f"/var/lib/gatecert/gateways/{HOSTNAME}/live"
SITE: Final = "/etc/nginx/sites-enabled/shop"
NGINX: Final = f"""\
server {{
    listen 443 ssl;
    server_name {HOSTNAME};
    ssl_certificate {OLD}/fullchain.pem;
    ssl_certificate_key {OLD}/privkey.pem;
    return 204;
}}
"""
ON_PORT_80: Final = f"""server {{
    listen 80;
    server_name {HOSTNAME};
    root /var/www/html;
}}
"""
WEBROOT: Final = f"""authenticator = webroot
webroot_path = /var/www/html,
[[webroot_map]]
{HOSTNAME} = /var/www/html
"""
DROP_IN: Final = "/etc/systemd/system/gatecert.service.d/init-adopted.conf"


@dataclass
class Shop:
    """A machine with nginx and certbot's directory, and the CA outside."""

    machine: Machine
    pebble: Pebble

    def served(self) -> bytes:
        return served_certificate(PUBLIC, 443, HOSTNAME, trusted=self.pebble.root)


@pytest.fixture
def shop(installed: Installed, servers: ExitStack, tmp_path: Path) -> Shop:
    run("ip", "address", "add", f"{PUBLIC}/32", "dev", "lo")
    servers.callback(run, "ip", "address", "delete", f"{PUBLIC}/32", "dev", "lo")
    names = servers.enter_context(ChallengeTestServer(tmp_path / "names", dns_port=53))
    names.point(HOSTNAME, PUBLIC)
    pebble = servers.enter_context(
        Pebble(
            tmp_path / "pebble",
            dns_server=names.address,
            ports=PebblePorts(http01=80, tls_alpn01=443),
            options=PebbleOptions(rejected_nonces=0, reused_authorizations=0),
        )
    )
    client = Certbot(tmp_path / "certbot", pebble)
    options = ("--standalone", "--deploy-hook", "systemctl reload nginx")
    client.certonly(HOSTNAME, options=options)
    machine = servers.enter_context(Machine(installed.layers, tmp_path / "machine"))
    shutil.copytree(client.home, machine.root / "etc/letsencrypt", symlinks=True)
    settings = machine.root / f"etc/letsencrypt/renewal/{HOSTNAME}.conf"
    moved = settings.read_text("utf-8").replace(str(client.home), "/etc/letsencrypt")
    settings.write_text(moved, "utf-8")
    machine.write("/etc/resolv.conf", "nameserver 127.0.0.1\n")
    machine.write("/etc/hosts", "127.0.0.1 localhost\n")
    machine.write("/etc/gatecert/authority.pem", pebble.https_certificate.read_text("ascii"))
    (machine.root / "etc/nginx/sites-enabled/default").unlink()
    machine.write(SITE, NGINX)
    machine.enable("nginx.service")
    return Shop(machine, pebble)


def _commands_of_the_page() -> list[str]:
    """Return the commands of docs/moving.md, for a private CA."""
    page = (PROJECT / "docs" / "moving.md").read_text("utf-8")
    block = page.partition("```sh\n")[2].partition("```")[0]
    option = "--ca-bundle /etc/gatecert/authority.pem"
    return [
        line.partition("#")[0].replace("adopt /etc/letsencrypt", f"adopt /etc/letsencrypt {option}")
        for line in block.splitlines()
    ]


@pytest.mark.parametrize("method", ["standalone", "webroot"])
def test_an_operator_moves_from_certbot_as_the_command_says(shop: Shop, method: str) -> None:
    if method == "webroot":
        settings = shop.machine.root / f"etc/letsencrypt/renewal/{HOSTNAME}.conf"
        written = settings.read_text("utf-8")
        settings.write_text(written.replace("authenticator = standalone\n", "") + WEBROOT, "utf-8")
        shop.machine.write("/etc/nginx/sites-enabled/port-80", ON_PORT_80)
    machine = shop.machine.boot()
    machine.wait_idle()
    before, orders = shop.served(), shop.pebble.orders()
    theirs = machine.must("sh", "-c", "find /etc/letsencrypt -type f -exec sha256sum {} +")

    rehearsal, adoption, start = _commands_of_the_page()
    assert machine.run("sh", "-c", rehearsal).exit_code == 0
    with HandshakeLoop(PUBLIC, 443, HOSTNAME, interval=0.02) as loop:
        adopted = machine.run("sh", "-c", adoption)
        machine.must("sh", "-c", start)
        machine.wait_active("gatecert.service")

    assert adopted.exit_code == 0, adopted.output + adopted.errors
    assert "proven: 127.0.0.1:443 serves the installed certificate" in adopted.output
    assert "systemd reloads the servers of 1 gateway" in adopted.output
    assert f"in {SITE}:4, change ssl_certificate to {LIVE}/fullchain.pem" in adopted.output
    assert loop.failures == []
    assert shop.served() == before
    assert shop.pebble.orders() == orders
    changed = machine.must("sh", "-c", "find /etc/letsencrypt -type f -exec sha256sum {} +")
    assert changed == theirs
    machine.must("gatecert", "check")
    if method == "webroot":
        assert "Let the web server answer" not in adopted.output
        assert "/.well-known/acme-challenge" in machine.must("cat", DROP_IN)

    # The operator forgets the first step: the next renewal names the line.
    renewed = machine.run("gatecert", "enroll", "--force", HOSTNAME)

    assert renewed.exit_code == 1, renewed.output
    why = f"nginx still reads {OLD}/fullchain.pem: in {SITE}:4, change ssl_certificate to"
    assert why in renewed.errors
    assert shop.served() == before
    assert shop.pebble.orders() == orders + 1

    first = adopted.output.partition("1. Let nginx read")[2].partition("\n2. ")[0]
    commands = [line for line in first.splitlines() if line.startswith("     ")]
    machine.must("sh", "-ec", "\n".join(commands))
    machine.wait_for(lambda: shop.served() != before, "nginx to serve the new certificate")
    second = shop.served()

    again = machine.run("gatecert", "enroll", "--force", HOSTNAME)

    assert again.exit_code == 0, again.errors
    machine.wait_for(lambda: shop.served() not in {before, second}, "systemd to reload nginx")
    (gateway,) = json.loads(machine.must("gatecert", "status", "--json"))["gateways"]
    assert gateway["last_error"] is None
