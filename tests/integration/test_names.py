"""Every kind of name that an authority issues for, each proven in its own way."""

from __future__ import annotations

import ipaddress
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509

from harness.pebble import PebbleOptions

if TYPE_CHECKING:
    from pathlib import Path

    from conftest import StartPebble
    from harness.challenge_test_server import ChallengeTestServer
    from harness.gatecert import Gatecert
    from harness.pebble import Pebble

BOSTON = "boston"
MÜNCHEN = "münchen.example.com"
MUNICH = "xn--mnchen-3ya.example.com"

HOOK = """\
#!/bin/sh
# Publishes and withdraws a TXT record at the test's nameserver.
set -eu
case $1 in
present) exec curl -sf -d "{{\\"host\\":\\"$2.\\",\\"value\\":\\"$3\\"}}" http://{management}/set-txt ;;
cleanup) exec curl -sf -d "{{\\"host\\":\\"$2.\\"}}" http://{management}/clear-txt ;;
esac
"""


def issued_for(gatecert: Gatecert) -> set[str]:
    """The names in the live certificate of the gateway."""
    assert gatecert.is_enrolled(BOSTON)
    certificate = gatecert.certificate(BOSTON)
    assert certificate is not None
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    addresses = names.get_values_for_type(x509.IPAddress)
    return {*names.get_values_for_type(x509.DNSName), *map(str, addresses)}


@pytest.fixture
def prepared(gatecert: Gatecert, pebble: Pebble, names: ChallengeTestServer) -> Gatecert:
    names.point("vpn.example.com", "127.0.0.1")
    names.point(MUNICH, "127.0.0.1")
    return gatecert.use(pebble, names)


def enrol(gatecert: Gatecert, **gateway: Any) -> str:  # noqa: ANN401 - any keys
    """Enrol a gateway; what was said on the way."""
    gatecert.add_gateway(BOSTON, "vpn.example.com", **gateway).write()
    result = gatecert.run("enroll")
    assert result.exit_code == 0, result.errors
    return result.output + result.errors
