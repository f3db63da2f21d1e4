"""Names of private networks: only private CAs are asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from cryptography import x509

if TYPE_CHECKING:
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"


@pytest.mark.parametrize("hostname", ["gw.internal", "vpn.corp.lan", "printer"])
def test_a_private_authority_issues_for_private_names(
    gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer, hostname: str
) -> None:
    names.point(hostname, "127.0.0.1")
    gatecert.use(pebble, names)
    listen = [f"127.0.0.1:{pebble.ports.http01}"]
    gatecert.configuration["challenges"] = {"http-01": {"listen": listen}}
    gatecert.configuration["authorities"]["public"] = {"directory_url": "letsencrypt"}
    gatecert.add_gateway(BOSTON, hostname=hostname, addresses=["127.0.0.1"]).write()

    checked = gatecert.run("check")
    assert "public not used" in checked.output + checked.errors
    result = gatecert.run("enroll")

    assert result.exit_code == 0, result.errors
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    issued = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert issued.get_values_for_type(x509.DNSName) == [hostname]


def test_a_public_authority_alone_is_refused(gatecert: Gatecert) -> None:
    gatecert.configuration["authorities"] = {"le": {"directory_url": "letsencrypt"}}
    gatecert.add_gateway(BOSTON, hostname="gw.internal").write()

    result = gatecert.run("check")

    assert result.exit_code == 2
    assert "hostname: gw.internal is in the private zone internal" in result.errors
    assert "public CAs (le) cannot issue for it" in result.errors
