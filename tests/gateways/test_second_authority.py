"""A CA that validates at the standard ports, which are free in a separate network namespace.

Pebble validates at configurable ports; Caddy's CA uses ports 80 and 443.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from harness.caddy import Caddy
from harness.challenge_test_server import ChallengeTestServer
from harness.gatecert import Gatecert

if TYPE_CHECKING:
    from contextlib import ExitStack

BOSTON = "boston"
HOSTNAME = "boston-njndubu.dynamic-m.com"


@pytest.mark.parametrize(("kind", "port"), [("http-01", 80), ("tls-alpn-01", 443)])
def test_validation_at_the_standard_ports(
    servers: ExitStack, tmp_path: Path, kind: str, port: int
) -> None:
    names = servers.enter_context(ChallengeTestServer(tmp_path / "names"))
    names.point(HOSTNAME, "127.0.0.1")
    with Path("/etc/hosts").open("a", encoding="utf-8") as hosts:
        hosts.write(f"127.0.0.1 {HOSTNAME}\n")  # it validates with the system's resolver
    caddy = servers.enter_context(Caddy(tmp_path / "caddy", dns_server=names.address))
    gatecert = Gatecert(tmp_path / "gatecert")
    gatecert.configuration |= {
        "authorities": {
            "caddy": {
                "directory_url": caddy.directory_url,
                "ca_bundle": str(caddy.https_certificate),
                "trusted_roots": str(caddy.root),
            }
        },
        "resolver": {"nameservers": [names.address]},
        "challenges": {kind: {"listen": [f"127.0.0.1:{port}"]}},
    }
    gatecert.add_gateway(BOSTON, HOSTNAME, challenge=kind).write()

    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    assert f"proving control of {HOSTNAME} by {kind}" in result.output
    assert gatecert.is_enrolled(BOSTON)
